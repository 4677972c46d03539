/**
 * The configuration of ptychopinn: one strict schema each for the model, a training run, an inference run, the scan files
 * and the machine. Types, defaults, flags, help, `docs/configuration.md`, the JSON Schema and the legacy mapping all come
 * from these files.
 */

/** The blocks of a configuration; their fields may also stand beside the others, as flags do. */
type Block = 'model' | 'data' | 'execution';
type FieldsOf<C, B> = C extends { readonly [K in B & string]?: infer Fields } ? Partial<Fields> : unknown;

/**
 * Any part of a configuration, its fields by the names of the command line, flat or in their blocks; the rest has its defaults
 * (docs/configuration.md).
 */
export type PartOf<C> = Partial<Omit<C, Block>> &
  FieldsOf<C, 'model'> &
  FieldsOf<C, 'data'> &
  FieldsOf<C, 'execution'> & { readonly [B in keyof C & Block]?: Partial<C[B]> };

export { type DataConfig, dataConfigSchema } from './schemas/data.js';
export {
  ACCELERATORS,
  askedDevices,
  type ExecutionConfig,
  executionConfigSchema,
  TFJS_ENGINES,
} from './schemas/execution.js';
export { type InferenceConfig, inferenceConfigSchema } from './schemas/inference.js';
export {
  type ModelConfig,
  type ModelRequest,
  modelConfigSchema,
} from './schemas/model.js';
export { type SimulationConfig, simulationConfigSchema } from './schemas/simulation.js';
export type { DemoConfig } from './schemas/tools.js';
export {
  type TrainingConfig,
  type TrainingRequest,
  trainingConfigSchema,
  trainingRequestSchema,
} from './schemas/training.js';

/**
 * The configuration of ptychopinn: one strict schema each for the model, a training run, an inference run, the scan files
 * and the machine. Types, defaults, flags, help, `docs/configuration.md`, the JSON Schema and the legacy mapping all come
 * from these files.
 */

export { type DataConfig, dataConfigSchema } from './schemas/data.js';
export { ACCELERATORS, type ExecutionConfig, executionConfigSchema, TFJS_ENGINES } from './schemas/execution.js';
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

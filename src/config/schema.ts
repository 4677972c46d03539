/**
 * The configuration of ptychopinn: one strict schema each for the model, a training run, an inference run, the scan files
 * and the machine. Types, defaults, flags, help, `docs/configuration.md`, the JSON Schema and the legacy mapping all come
 * from these files.
 */

export { type DataConfig, dataConfigSchema } from './dataSchema.js';
export { type ExecutionConfig, executionConfigSchema } from './executionSchema.js';
export { type InferenceConfig, inferenceConfigSchema } from './inferenceSchema.js';
export {
  type ModelClaim,
  type ModelConfig,
  type ModelRequest,
  modelConfigSchema,
  modelRequestSchema,
  SUPPORTED_N,
} from './modelSchema.js';
export {
  type DemoConfig,
  demoConfigSchema,
  type SimulationConfig,
  simulationConfigSchema,
} from './simulationSchema.js';
export {
  DEFAULT_GROUPS,
  type TrainingConfig,
  type TrainingRequest,
  trainingConfigSchema,
  trainingRequestSchema,
} from './trainingSchema.js';

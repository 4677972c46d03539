/**
 * `ptychopinn/workflows`: the commands as functions, and the configurations that they take. Each opens what its configuration names,
 * calls the library and writes files.
 *
 * @example
 * import { inferWorkflow, inferenceDefinition, resolveConfig } from 'ptychopinn/workflows';
 * const values = { model_path: 'run', test_data_file: 'scan.npz', output_dir: 'image' };
 * const { config } = resolveConfig(inferenceDefinition, { file: { origin: 'notebook', values } });
 * const { files } = await inferWorkflow(config);
 *
 * @module workflows
 */

export {
  calibrationDefinition,
  comparisonDefinition,
  convertDefinition,
  demoDefinition,
  evaluationDefinition,
  importDefinition,
  inferenceDefinition,
  inspectDefinition,
  labelDefinition,
  orientDefinition,
  overlapDefinition,
  productExportDefinition,
  productImportDefinition,
  reconstructDefinition,
  simulationDefinition,
  solveDefinition,
  splitDefinition,
  trainingDefinition,
} from '../config/commands.js';
export { type ConfigDefinition, jsonSchemaOf } from '../config/definition.js';
export { type DatasetFacts, finaliseTrainingConfig } from '../config/finalise.js';
export { loadConfigFile } from '../config/load.js';
export { type Layers, type Resolved, resolveConfig } from '../config/resolve.js';
export {
  type DataConfig,
  type DemoConfig,
  dataConfigSchema,
  type ExecutionConfig,
  executionConfigSchema,
  type InferenceConfig,
  inferenceConfigSchema,
  type ModelConfig,
  modelConfigSchema,
  type SimulationConfig,
  simulationConfigSchema,
  type TrainingConfig,
  type TrainingRequest,
  trainingConfigSchema,
  trainingRequestSchema,
} from '../config/schema.js';
export { type CalibrationConfig, calibrationConfigSchema } from '../config/schemas/calibration.js';
export { type ComparisonConfig, comparisonConfigSchema } from '../config/schemas/comparison.js';
export type { JobsPlanConfig, JobsSubmitConfig } from '../config/schemas/jobs.js';
export { type ReconstructConfig, reconstructConfigSchema } from '../config/schemas/reconstruct.js';
export { type SolveConfig, solveConfigSchema } from '../config/schemas/solve.js';
export type { SolverOptions } from '../config/schemas/solver.js';
export { parseStudy, type StudyConfig } from '../config/schemas/study.js';
export type { Provenance, Services } from '../core/services.js';
export { compareForward, type ForwardOptions, type ForwardParity } from '../evaluation/comparison/compareForward.js';
export type { PlannedJob } from '../jobs/plan.js';
export type { JobRecord, JobState, JobStatus } from '../jobs/record.js';
export type { JobEnd, JobResult } from '../jobs/runJob.js';
export type { ProductInfo } from '../persistence/product/info.js';
export {
  type BundleInfo,
  bundleInfo,
  extractBundle,
  type ImportReport,
  importBundle,
  verifyBundle,
} from '../workflows/bundle.js';
export { type CalibrationSummary, calibrateWorkflow, type ScanCoverage } from '../workflows/calibrate.js';
export { type ComparisonSummary, compareModels, type ForwardSummary, forwardWorkflow } from '../workflows/compare.js';
export { type ConversionSummary, convertWorkflow } from '../workflows/convert.js';
export { type DemoOptions, type DemoSummary, demoWorkflow } from '../workflows/demo.js';
export { type Examination, examine } from '../workflows/doctor.js';
export { evaluateHalvesWorkflow, evaluateWorkflow } from '../workflows/evaluate.js';
export { type InferShardSummary, type InferSummary, inferShardWorkflow, inferWorkflow } from '../workflows/infer.js';
export { type InspectResult, inspectWorkflow } from '../workflows/inspect.js';
export {
  collectPlan,
  jobsStatus,
  type PlanInputs,
  type PlanSummary,
  planJobs,
  retryPlannedJobs,
  runPlannedJob,
  type SubmitSummary,
  submitPlan,
} from '../workflows/jobs.js';
export { type LabelSummary, labelWorkflow } from '../workflows/label.js';
export { type OrientationReport, orientWorkflow } from '../workflows/orient.js';
export { type OverlapReport, overlapWorkflow } from '../workflows/overlap.js';
export {
  exportProduct,
  type ImageOfScan,
  importProduct,
  type ProductExportOptions,
  type ProductExportSummary,
  type ProductImportSummary,
  productInfo,
} from '../workflows/product.js';
export { type ReconstructSummary, reconstructScanWorkflow } from '../workflows/reconstructScan.js';
export { simulateWorkflow } from '../workflows/simulate.js';
export { type SolveSummary, type SolveTilesSummary, solveTilesWorkflow, solveWorkflow } from '../workflows/solve.js';
export { type SplitSummary, splitWorkflow } from '../workflows/split.js';
export {
  ARM_SOURCES,
  doseOverlapStudy,
  planStudy,
  type StudySummary,
  verifyFinishedStudy,
} from '../workflows/study.js';
export { type TrainSummary, trainWorkflow } from '../workflows/train.js';

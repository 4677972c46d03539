/**
 * ptychopinn: physics-informed neural reconstruction of scanning coherent diffraction.
 *
 * @packageDocumentation
 */
export type { Backend, BackendInfo, Compiled, CompileOptions, DeviceState, Tensors } from './backends/backend.js';
export { selectBackend } from './backends/select.js';
export {
  type ConfigDefinition,
  demoDefinition,
  inferenceDefinition,
  simulationDefinition,
  trainingDefinition,
} from './config/definition.js';
export { finaliseTrainingConfig, type Provenance, resolveConfig } from './config/resolve.js';
export {
  type DemoConfig,
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
} from './config/schema.js';
export { isPtychoError, PtychoError, type PtychoErrorCode } from './core/errors.js';
export { type Logger, type ProgressEvent, type ProgressSink, silentLogger } from './core/log.js';
export { LegacyRng } from './core/rng.js';
export type { ComplexImage, ComplexTensor, NumericArray, Shape, Tensor } from './core/tensor.js';
export { type DatasetBatch, DiffractionDataset } from './data/dataset.js';
export { type GroupingOptions, type Groups, groupScan } from './data/grouping.js';
export { inspectScan } from './data/inspect.js';
export { fromNdarray, toNdarray } from './data/ndarray.js';
export { groupedStatistics, measureStatistics, type PatternStatistics } from './data/normalise.js';
export {
  type MeasurementDomain,
  type OpenRawDataOptions,
  openRawData,
  type PatternSource,
  type RawData,
  rawDataFromArrays,
} from './data/rawData.js';
export { alignComplex, relativeObjectError } from './evaluation/align.js';
export { complexPearson, pearson } from './evaluation/correlation.js';
export { amplitudeRFactor, constantObjectRFactor } from './evaluation/rFactor.js';
export { scoreAgainstTruth, type TruthScore } from './evaluation/score.js';
export { type NpzFile, openNpz, writeNpz } from './formats/npz.js';
export { encodeOnnx } from './formats/onnx/encode.js';
export { gradients } from './graph/gradients.js';
export type { GraphNode, OpAttrs, OpName } from './graph/node.js';
export * as ops from './graph/ops.js';
export { defineProgram, type Program } from './graph/program.js';
export { type NetworkSpec, PtychoNetwork } from './model/network.js';
export { type PhysicsScale, physicsScale } from './model/scale.js';
export { type BundleContent, type OpenedBundle, openBundle, saveBundle } from './persistence/bundle.js';
export { type Frame, type ScanBounds, scanBounds } from './reconstruction/frame.js';
export { PatchStitcher, type StitchedImage } from './reconstruction/stitch.js';
export { renderAmplitude, renderPhase, withColourBar } from './report/image.js';
export { encodePng } from './report/png.js';
export { makeObject } from './simulation/objects.js';
export { makeProbe } from './simulation/probes.js';
export { makeScan } from './simulation/scans.js';
export { type SimulatedScan, simulateScan } from './simulation/simulateScan.js';
export { type DemoOptions, type DemoSummary, demoWorkflow } from './workflows/demo.js';
export { type InferSummary, inferWorkflow } from './workflows/infer.js';
export { type OpenedModel, openModel } from './workflows/model.js';
export { type Reconstruction, type ReconstructOptions, reconstruct } from './workflows/reconstruct.js';
export { simulateWorkflow } from './workflows/simulate.js';
export { type TrainSummary, trainWorkflow, type WorkflowServices } from './workflows/train.js';

/**
 * ptychopinn: physics-informed neural reconstruction of scanning coherent diffraction.
 *
 * @packageDocumentation
 */

export {
  type CdiBundle,
  type CdiExample,
  type CdiHistory,
  type CdiImage,
  type CdiImageResults,
  type CdiPatches,
  type CdiResults,
  type CdiTrainingResults,
  loadInferenceBundle,
  loadInferenceBundleWithBackend,
  reassembleCdiImage,
  reconstructImage,
  runCdiExample,
  runCdiExampleWithBackend,
  type StitchOptions,
  trainCdiModel,
  trainCdiModelWithBackend,
} from './adapters/compat/cdi.js';
export { type ContainerParts, type LoadContainerOptions, PtychoDataContainer } from './adapters/compat/container.js';
export {
  type GroupedData,
  type GroupedDataOptions,
  groupedData,
  type LazyArray,
} from './adapters/compat/groupedData.js';
export {
  type Displayable,
  type DisplayOptions,
  type DrawOptions,
  display,
  findKernel,
  type NotebookKernel,
} from './adapters/notebook/display.js';
export { drawFigure } from './adapters/notebook/draw.js';
export { type BatchRequest, type BatchResult, runBatch } from './adapters/ptychodus/batch.js';
export {
  type HostReconstructor,
  type LibraryOptions,
  PtychoPinnReconstructorLibrary,
  type ReconstructorLibraries,
  type RegisteredReconstructor,
  reconstructorLibraries,
} from './adapters/ptychodus/library.js';
export type { PtychoPinnReconstructor } from './adapters/ptychodus/reconstructor.js';
export {
  type Parameter,
  ParameterGroup,
  PtychoPinnSettings,
  SettingsRegistry,
} from './adapters/ptychodus/settings/settings.js';
export type { SolverReconstructor } from './adapters/ptychodus/solverReconstructor.js';
export type {
  LossValue,
  ModelInfo,
  PatternStack,
  ReconstructInput as HostReconstructInput,
  ReconstructOutput,
  Reconstructor,
  ReconstructorLibrary,
  TrainableReconstructor,
  TrainOutput,
} from './adapters/ptychodus/types.js';
export { isTrainable } from './adapters/ptychodus/types.js';
export type { Backend, BackendInfo, Compiled, CompileOptions, DeviceState, Tensors } from './backends/backend.js';
export {
  type BackendChoice,
  type BackendLoader,
  backendNames,
  describeEngine,
  openBackend,
  registerBackend,
  selectBackend,
} from './backends/select.js';
export {
  comparisonDefinition,
  convertDefinition,
  demoDefinition,
  evaluationDefinition,
  inferenceDefinition,
  inspectDefinition,
  orientDefinition,
  productExportDefinition,
  productImportDefinition,
  simulationDefinition,
  solveDefinition,
  splitDefinition,
  trainingDefinition,
} from './config/commands.js';
export { type ConfigDefinition, jsonSchemaOf } from './config/definition.js';
export { type DatasetFacts, finaliseTrainingConfig } from './config/finalise.js';
export {
  type DerivedParams,
  derivedParams,
  fromLegacyParams,
  KEY_MAPPINGS,
  LEGACY_DEFAULTS,
  LegacyParams,
  toLegacyParams,
  updateLegacyDict,
} from './config/legacy/params.js';
export { loadConfigFile } from './config/load.js';
export { type Layers, type Resolved, resolveConfig } from './config/resolve.js';
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
} from './config/schema.js';
export { type ComparisonConfig, comparisonConfigSchema } from './config/schemas/comparison.js';
export { SCAN_FORMATS, type ScanFormat } from './config/schemas/data.js';
export {
  SOLVER_ALGORITHMS,
  type SolveConfig,
  type SolverAlgorithm,
  type SolverOptions,
  solveConfigSchema,
  solverOptionsSchema,
} from './config/schemas/solver.js';
export { parseStudy, type StudyConfig } from './config/schemas/study.js';
export { type FromTorch, fromTorchConfigs, type TorchBlocks } from './config/torch/fromTorchConfigs.js';
export { isPtychoError, PtychoError, type PtychoErrorCode } from './core/errors.js';
export { type Logger, type ProgressEvent, type ProgressSink, silentLogger } from './core/log.js';
export { LegacyRng } from './core/rng.js';
export type { Provenance } from './core/services.js';
export type { ComplexImage, ComplexTensor, NumericArray, Shape, Tensor } from './core/tensor.js';
export { fromNdarray, rawDataFromArrays, toNdarray } from './data/arrays.js';
export { type DatasetBatch, DiffractionDataset } from './data/dataset.js';
export { type GroupingOptions, type Groups, groupScan } from './data/grouping/grouping.js';
export { cachedGroups } from './data/grouping/groupingCache.js';
export { inspectScan, type ScanInspection } from './data/inspect.js';
export { groupedStatistics, measureStatistics, type PatternStatistics } from './data/normalise.js';
export { openDataset } from './data/openDataset.js';
export type { MeasurementDomain } from './data/opening/measurementDomain.js';
export { type AxisOrientation, ORIENTATIONS, orientationFlags, orientPositions } from './data/opening/orientation.js';
export type { OpenDatasetOptions } from './data/options.js';
export { type FindOrientationOptions, findOrientation, type OrientationSearch } from './data/orient/orient.js';
export { keepPatterns } from './data/patternCache.js';
export type { PatternSource } from './data/patternSource.js';
export { type PreparedScan, prepareScan } from './data/preparedScan.js';
export type { RawData } from './data/rawData.js';
export type { ScanGeometry } from './data/scanFile.js';
export { type ScanContent, type WriteScanOptions, writeScan } from './data/scanWriter.js';
export { alignComplex, relativeObjectError } from './evaluation/align.js';
export { type CheckOptions, checkReconstruction, type ReconstructionCheck } from './evaluation/checks.js';
export { alignForEvaluation, cutToCommonFrame } from './evaluation/commonFrame.js';
export type { ComparedImage } from './evaluation/comparison/compared.js';
export { compareForward, type ForwardOptions, type ForwardParity } from './evaluation/comparison/compareForward.js';
export type { Floor, Measured } from './evaluation/comparison/measure.js';
export type { EvaluationReport, HalvesReport } from './evaluation/evaluationReport.js';
export {
  bothFamilies,
  type MetricFloors,
  metricFloors,
  type ScanTotals,
  scanImage,
  scanTotals,
} from './evaluation/floors.js';
export { fourierRingCorrelation, frcCrossing, type Resolution, type Resolutions } from './evaluation/frc.js';
export { type HalfSetCorrelation, halfSetCorrelation } from './evaluation/halves.js';
export type { EvaluatedImage, MetricPair } from './evaluation/images.js';
export { computeOverlapMetrics, discOverlap, type OverlapMetrics, type OverlapOptions } from './evaluation/overlap.js';
export { type ReferenceMetrics, type ReferenceOptions, referenceMetrics } from './evaluation/reference.js';
export { type RegisterOptions, type Registration, registerImages } from './evaluation/register.js';
export { complexPearson, pearson, scoreAgainstTruth, type TruthScore } from './evaluation/score.js';
export { applyRegistration, shiftImage } from './evaluation/shift.js';
export { type GaussianSsimOptions, gaussianSsim, uniformSsim } from './evaluation/similarity.js';
export { type StandardMetrics, type StandardOptions, standardMetrics } from './evaluation/standard.js';
export { type NpzFile, openNpz, writeNpz } from './formats/npz.js';
export { encodeOnnx } from './formats/onnx/encode.js';
export { gradients } from './graph/gradients.js';
export type { GraphNode, OpAttrs, OpName } from './graph/node.js';
export * as ops from './graph/ops.js';
export { defineProgram, type Program } from './graph/program.js';
export { type NetworkSpec, PtychoNetwork } from './model/network.js';
export { type PhysicsScale, physicsScale } from './model/scale.js';
export { type Bundle, encodeModels, openBundle, type StoredBundle, saveBundle } from './persistence/bundle.js';
export { patternsOf } from './persistence/product/arrays.js';
export { positionsInMetres, positionsOnObject } from './persistence/product/geometry.js';
export type {
  PixelSize,
  Product,
  ProductLosses,
  ProductMetadata,
  ProductObject,
  ProductPatterns,
  ProductPositions,
  ProductProbe,
  ProductRawData,
} from './persistence/product/product.js';
export {
  type ReadProductOptions,
  readProductFile,
  readStoredProduct,
  type StoredProduct,
} from './persistence/product/readProduct.js';
export { type WriteProductOptions, writeProductFile } from './persistence/product/writeProduct.js';
export { verifyProductFile } from './persistence/verify.js';
export { probeFwhm, probeGuessFromPatterns } from './physics/probe.js';
export { type Frame, frameOfObject, moveToFrame, type ScanBounds, scanBounds } from './reconstruction/frame.js';
export type { EngineChoice, ScanInput } from './reconstruction/inputs.js';
export {
  type ImageOptions,
  type ReconstructedScan,
  type ReconstructInput,
  reconstructStream,
} from './reconstruction/pipeline.js';
export {
  type RefinedPositions,
  type RefinementRound,
  type RefinePositionsOptions,
  refinePositions,
} from './reconstruction/positions/refinePositions.js';
export { type OpenModelOptions, PtychoModel, type RunBy } from './reconstruction/ptychoModel.js';
export {
  LiveScan,
  type LiveScanOptions,
  liveScanFor,
  type PatchPlacement,
  type PatternBatch,
  type Preview,
  type PreviewInterval,
  type PushedPatterns,
  type Reconstruction,
  type ReconstructOptions,
  reconstructDataset,
  streamDataset as reconstructDatasetStream,
} from './reconstruction/reconstruct.js';
export { type ReconstructionFacts, saveOutputs, writeReconstruction } from './reconstruction/reconstructionFile.js';
export { amplitudeRFactor, constantObjectRFactor, scaledRFactor } from './reconstruction/rFactor.js';
export type { Uncertainty } from './reconstruction/spread.js';
export {
  PatchStitcher,
  type StitchedImage,
  type StitcherOptions,
  type StitchingRule,
} from './reconstruction/stitch.js';
export { renderAmplitude, renderPhase, withColourBar } from './report/image.js';
export { encodePng } from './report/png.js';
export { type DetectorOptions, makeDefects } from './simulation/detector.js';
export { imageObject, makeObject } from './simulation/objects.js';
export { incoherentModes, makeProbe } from './simulation/probes.js';
export { type SimulationRecipe, simulateRecipe } from './simulation/recipe.js';
export { makeScan, withPositionErrors } from './simulation/scans.js';
export { type SimulatedScan, simulateScan } from './simulation/simulateScan.js';
export type { RefinedImage } from './solvers/refineImage.js';
export { type RunServices, runSolver, type SolvedImage, type SolverResult } from './solvers/run.js';
export type { ScanToSolve } from './solvers/scan.js';
export {
  type SolverRecord,
  type SolverSnapshot,
  type SolverStart,
  type SolverUpdate,
  type SolveServices,
  solve,
} from './solvers/solve.js';
export {
  type TrainedModel,
  type TrainingData,
  type TrainingOptions,
  type TrainingScans,
  type TrainServices,
  train,
  trainModel,
} from './training/train.js';
export { type BundleInfo, bundleInfo, extractBundle, verifyBundle } from './workflows/bundle.js';
export { type ComparisonSummary, compareModels } from './workflows/compare.js';
export { type ConversionSummary, convertWorkflow } from './workflows/convert.js';
export { type DemoOptions, type DemoSummary, demoWorkflow } from './workflows/demo.js';
export { type Examination, examine } from './workflows/doctor.js';
export { evaluateHalvesWorkflow, evaluateWorkflow } from './workflows/evaluate.js';
export { exportProduct, type ProductExportSummary } from './workflows/exportProduct.js';
export { type ImportReport, importBundle } from './workflows/importBundle.js';
export { type InferSummary, inferWorkflow } from './workflows/infer.js';
export { type LabelSummary, labelWorkflow } from './workflows/label.js';
export { type OrientationReport, orientWorkflow } from './workflows/orient.js';
export { importProduct, type ProductImportSummary, type ProductInfo, productInfo } from './workflows/product.js';
export { reconstruct } from './workflows/reconstruct.js';
export { simulateWorkflow } from './workflows/simulate.js';
export { type SolveSummary, solveWorkflow } from './workflows/solve.js';
export { type SplitSummary, splitWorkflow } from './workflows/split.js';
export {
  ARM_SOURCES,
  type ArmJob,
  type ArmOutcome,
  type ArmRequest,
  type ArmSource,
  doseOverlapStudy,
  type Study,
  type StudySummary,
  type VerificationReport,
  verifyFinishedStudy,
} from './workflows/study.js';
export { type Services, type TrainSummary, trainWorkflow } from './workflows/train.js';

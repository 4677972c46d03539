/**
 * ptychopinn: images from scanning coherent diffraction (ptychography), by a physics-informed neural network and by iterative
 * solvers. The names stand in the order in which a user meets them; what they are made of is in the sub-paths
 * `ptychopinn/data`, `/graph`, `/reconstruction`, `/solvers`, `/evaluation`, `/simulation`, `/workflows`, `/ptychodus` and `/compat`.
 *
 * @example
 * import { openScan, reconstruct, train, writeReconstruction } from 'ptychopinn';
 *
 * const raw = await openScan('scan.h5'); // any format; what looks wrong is logged or refused
 * const model = await train({ nepochs: 40 }, raw);
 * const { stitched } = await reconstruct(model, raw);
 * await writeReconstruction('out', stitched);
 * await model.save('wts.zip');
 * await model.dispose();
 * await raw.close();
 *
 * @packageDocumentation
 */

// ---- a scan

export { rawDataFromArrays } from './data/arrays.js';
export { openScan } from './data/findings/survey.js';
export { inspectScan, type ScanInspection } from './data/inspect.js';
export type { OpenDatasetOptions } from './data/options.js';
export type { RawData } from './data/rawData.js';
export { writeScan } from './data/scanWriter.js';

// ---- a network

export type { ScanInput } from './reconstruction/inputs.js';
export { type OpenModelOptions, PtychoModel } from './reconstruction/ptychoModel.js';
export { type TrainingOptions, type TrainingScans, type TrainServices, train } from './training/train.js';

// ---- its image of a scan, at once, as it grows, or while the scan is measured

export type { StitchedImage } from './reconstruction/patchStitcher.js';
export { type ImageOptions, type ReconstructedScan, reconstructStream } from './reconstruction/pipeline.js';
export { LiveScan, liveScanFor, type Preview } from './reconstruction/reconstruct.js';
export { reconstruct } from './workflows/reconstruct.js';

// ---- an image without a network

export { runSolver, type SolverResult } from './solvers/run.js';
export { solve } from './solvers/solve.js';
export type { SolverUpdate } from './solvers/updates.js';
export { type ReconstructedImage, type ReconstructScanOptions, reconstructScan } from './tries/reconstructScan.js';

// ---- looking at an image, keeping it, judging it

export { display } from './adapters/notebook/display.js';
export type { EvaluationReport } from './evaluation/evaluationReport.js';
export { scoreAgainstTruth, type TruthScore } from './evaluation/score.js';
export { readReconstruction, writeReconstruction } from './reconstruction/reconstructionFile.js';
export { amplitudeRFactor, constantObjectRFactor } from './reconstruction/rFactor.js';
export { evaluate } from './workflows/evaluate.js';

// ---- a scan with a known object

export { simulate } from './simulation/recipe.js';
export { rawDataFromSimulation, type SimulatedScan } from './simulation/simulateScan.js';

// ---- what all of them take and throw

export { isPtychoError, PtychoError, type PtychoErrorCode } from './core/errors.js';
export { type Logger, type ProgressEvent, type ProgressSink, silentLogger } from './core/log.js';
export type { Services } from './core/services.js';
export type { ComplexImage, ComplexTensor, NumericArray, Shape, Tensor } from './core/tensor.js';
export { createdBy } from './core/version.js';

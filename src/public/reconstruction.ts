/**
 * `ptychopinn/reconstruction`: from patches to images. Frames, stitching, positions, live scans, R-factors; what `reconstruct` and
 * `reconstructStream` of the main entry are made of.
 *
 * @module reconstruction
 */

export type { PartOfMany } from '../data/grouping/cutByPosition.js';
export {
  type Calibration,
  type Intervals,
  intervalsOf,
  LEVELS,
  readCalibration,
  type SpreadCalibration,
  type SpreadScale,
  writeCalibration,
} from '../reconstruction/ensemble/calibration.js';
export { type MeanImage, meanOfImages } from '../reconstruction/ensemble/members.js';
export { type EnsembleImage, openModels, reconstructEnsemble } from '../reconstruction/ensemble/reconstruct.js';
export { type Frame, frameOfObject, moveToFrame, type ScanBounds, scanBounds } from '../reconstruction/frame.js';
export { modelOfScan } from '../reconstruction/matching/modelOfScan.js';
export {
  PatchStitcher,
  type StitchedImage,
  type StitcherOptions,
  type StitchingRule,
} from '../reconstruction/patchStitcher.js';
export {
  type RefinedPositions,
  type RefinementRound,
  type RefinePositionsOptions,
  refinePositions,
} from '../reconstruction/positions/refinePositions.js';
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
  streamDataset,
} from '../reconstruction/reconstruct.js';
export { type ReconstructionFacts, saveOutputs, writeReconstruction } from '../reconstruction/reconstructionFile.js';
export { amplitudeRFactor, constantObjectRFactor, scaledRFactor } from '../reconstruction/rFactor.js';
export { mergeShards } from '../reconstruction/shards/merge.js';
export { reconstructShard, type ShardSummary } from '../reconstruction/shards/shard.js';
export type { Uncertainty } from '../reconstruction/spread.js';
export { figure, type ImagePanelOptions, imagePanel, type Panel } from '../report/figure.js';
export { type Picture, renderAmplitude, renderComplex, renderPhase, renderValues } from '../report/image.js';
export { encodePng } from '../report/png.js';
export { type Drawing, draw, drawPng, drawSvg, type PictureFormat } from '../report/renderer.js';
export { type AdaptationRecord, type AdaptOptions, adaptModel } from '../training/adapt.js';
export { trainEnsemble } from '../training/ensemble.js';

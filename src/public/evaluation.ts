/**
 * `ptychopinn/evaluation`: how good an image is, against a truth, against the patterns, and against itself.
 *
 * @example
 * import { scoreAgainstTruth } from 'ptychopinn/evaluation';
 * const { relative_object_error } = scoreAgainstTruth(stitched, truth, { bounds });
 *
 * @module evaluation
 */
export { alignComplex, relativeObjectError } from '../evaluation/align.js';
export { type CheckOptions, checkReconstruction, type ReconstructionCheck } from '../evaluation/checks.js';
export { alignForEvaluation, cutToCommonFrame } from '../evaluation/commonFrame.js';
export type { ComparedImage } from '../evaluation/comparison/compared.js';
export type { Floor, Measured } from '../evaluation/comparison/measure.js';
export {
  bothFamilies,
  type MetricFloors,
  metricFloors,
  type ScanTotals,
  scanImage,
  scanTotals,
} from '../evaluation/floors.js';
export { fourierRingCorrelation, frcCrossing, type Resolution, type Resolutions } from '../evaluation/frc.js';
export { type HalfSetCorrelation, halfSetCorrelation } from '../evaluation/halves.js';
export type { EvaluatedImage, MetricPair } from '../evaluation/images.js';
export { computeOverlapMetrics, discOverlap, type OverlapMetrics, type OverlapOptions } from '../evaluation/overlap.js';
export { type ReferenceMetrics, type ReferenceOptions, referenceMetrics } from '../evaluation/reference.js';
export { type RegisterOptions, type Registration, registerImages } from '../evaluation/register.js';
export { complexPearson, pearson, scoreAgainstTruth, type TruthScore } from '../evaluation/score.js';
export { applyRegistration, shiftImage } from '../evaluation/shift.js';
export { type GaussianSsimOptions, gaussianSsim, uniformSsim } from '../evaluation/similarity.js';
export { type StandardMetrics, type StandardOptions, standardMetrics } from '../evaluation/standard.js';

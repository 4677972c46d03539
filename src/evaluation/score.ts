/**
 * One reconstruction against a known object, in the object's own pixels.
 *
 * @example
 * const score = scoreAgainstTruth(stitched, truth, { bounds: scanBounds(xs, ys) });
 * console.log(score.relative_object_error, 'a constant object has', score.constant_object_error);
 */

import { PtychoError, requireObject } from '../core/errors.js';
import { moduliOf } from '../core/numbers.js';
import { type ComplexImage, type ComplexTensor, formatShape, type Tensor } from '../core/tensor.js';
import { type Frame, frameOfObject, intersectFrames, moveToFrame, type ScanBounds } from '../reconstruction/frame.js';
import { alignComplex, constantObjectError, relativeDistance } from './align.js';
import { boundingBox } from './commonFrame.js';
import { removePhasePlane, removeRamp } from './phase.js';

/** Phases that spread less than this are rounding. */
const FLAT_PHASE_RAD = 1e-5;

/** Where and how to compare. */
export interface ScoreOptions {
  /** Pixels whose centres lie within the bounds of the scan positions count; default: wherever image and truth overlap. */
  readonly bounds?: ScanBounds;
  /** Shape of the truth; pixels where it is not zero count. */
  readonly mask?: Tensor<Uint8Array> | Tensor<Float32Array>;
  /** Object pixel [y, x] of truth pixel (0, 0), default [0, 0]. */
  readonly truthOriginYxPx?: readonly [number, number];
}

/** Figures of one comparison; every correlation has its means subtracted, so a constant object scores 0. */
export interface TruthScore {
  /** Pearson of the amplitudes. */
  readonly amplitude_pearson: number;
  /** Pearson of the phases, the plane removed from each. */
  readonly phase_pearson: number;
  /** Modulus of the complex correlation. */
  readonly complex_pearson: number;
  /** Relative L2 distance after the best complex scale and phase ramp. */
  readonly relative_object_error: number;
  /** The same for the best constant object in the same pixels. */
  readonly constant_object_error: number;
  /** Pixels compared, and the share of the region asked for that the image's frame holds. */
  readonly pixels: number;
  readonly region_coverage: number;
}

/**
 * Compares an image in its frame with the true object, inside the scan's bounding box. The image is brought into the
 * truth's gauge by one complex scale and one phase ramp; nothing else is fitted, and the image is not shifted.
 *
 * @throws PtychoError DATASET_SHAPE when mask and truth differ or nothing overlaps
 */
export function scoreAgainstTruth(
  reconstruction: { readonly image: ComplexImage; readonly frame: Frame },
  truth: ComplexImage,
  options: ScoreOptions = {},
): TruthScore {
  requireObject(reconstruction, 'scoreAgainstTruth takes an image with its frame first', ['image', 'frame']);
  requireObject(truth, 'scoreAgainstTruth takes the true image { re, im, shape } second', ['re', 'im', 'shape']);
  const truthFrame = { ...frameOfObject(truth), originYxPx: options.truthOriginYxPx ?? ([0, 0] as const) };
  const wanted = options.bounds ? boundingBox(options.bounds) : truthFrame;
  const visible = intersectFrames(wanted, truthFrame);
  const region = visible && intersectFrames(visible, reconstruction.frame);
  if (!visible || !region) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The reconstruction and the truth share no pixel inside the scan: frame ${describe(reconstruction.frame)}, truth ${describe(truthFrame)}, scan ${describe(wanted)}.`,
      { frame: reconstruction.frame, truth: truthFrame, region: wanted },
    );
  }
  const image = moveToFrame(reconstruction.image, reconstruction.frame, region);
  const reference = moveToFrame(truth, truthFrame, region);
  const mask = cutMask(options.mask, truth, truthFrame, region);
  const { aligned } = alignComplex(image, reference, mask);
  // Both phases are taken about the truth's plane first, so that neither wraps where the other does not.
  const { ramp } = removePhasePlane(reference, { mask });
  const phaseOf = (z: ComplexImage<Float32Array | Float64Array>) =>
    removePhasePlane(removeRamp(z, ramp), { mask }).phase.data;
  return {
    amplitude_pearson: pearson(moduliOf(aligned), moduliOf(reference), mask),
    phase_pearson: pearson(phaseOf(aligned), phaseOf(reference), mask, FLAT_PHASE_RAD),
    // Aligning gives even a constant image a slight ramp, which would count as structure.
    complex_pearson: complexPearson(image, image, mask) === 0 ? 0 : complexPearson(aligned, reference, mask),
    relative_object_error: relativeDistance(aligned, reference, mask),
    constant_object_error: constantObjectError(reference, mask),
    pixels: mask ? mask.reduce((n: number, m) => n + (m ? 1 : 0), 0) : region.height * region.width,
    region_coverage: (region.height * region.width) / (visible.height * visible.width),
  };
}

function cutMask(
  mask: ScoreOptions['mask'],
  truth: ComplexImage,
  truthFrame: Frame,
  region: Frame,
): Uint8Array | undefined {
  if (!mask) return undefined;
  if (mask.data.length !== truth.re.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The mask of shape ${formatShape(mask.shape)} does not belong to a truth of shape ${formatShape(truth.shape)}.`,
      { mask: mask.shape, truth: truth.shape },
    );
  }
  const data = Float32Array.from(mask.data);
  return Uint8Array.from(moveToFrame({ re: data, im: data, shape: truth.shape }, truthFrame, region).re, (m) => (m ? 1 : 0)); // biome-ignore format: one call
}

const describe = (f: Frame): string => `${f.height}×${f.width} at (y ${f.originYxPx[0]}, x ${f.originYxPx[1]})`;

/** Spread below this share of the mean square is rounding, not structure. */
const ROUNDING = 1e-13;

/**
 * Pearson correlation of two real arrays of equal length, −1 … 1; 0 where either is constant.
 * @param mask counts elements where it is not zero
 * @param flatBelow an array whose standard deviation is below this counts as constant (for phases, whose mean is no measure
 * of their rounding)
 */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>, mask?: ArrayLike<number>, flatBelow = 0): number {
  let n = 0;
  let sumA = 0;
  let sumB = 0;
  for (let i = 0; i < a.length; i++) {
    if (mask && !mask[i]) continue;
    n++;
    sumA += a[i];
    sumB += b[i];
  }
  if (n === 0) return 0;
  const meanA = sumA / n;
  const meanB = sumB / n;
  let aa = 0;
  let bb = 0;
  let ab = 0;
  for (let i = 0; i < a.length; i++) {
    if (mask && !mask[i]) continue;
    const da = a[i] - meanA;
    const db = b[i] - meanB;
    aa += da * da;
    bb += db * db;
    ab += da * db;
  }
  const flat = n * flatBelow * flatBelow;
  if (isFlat(aa, n, meanA * meanA) || isFlat(bb, n, meanB * meanB) || aa < flat || bb < flat) return 0;
  return ab / Math.sqrt(aa * bb);
}

/**
 * Modulus of the complex correlation Σ conj(a−ā)(b−b̄) / (‖a−ā‖·‖b−b̄‖), 0 … 1: blind to a common complex factor, 0 where
 * either is constant.
 */
export function complexPearson(
  a: ComplexTensor<Float32Array | Float64Array>,
  b: ComplexTensor<Float32Array | Float64Array>,
  mask?: ArrayLike<number>,
): number {
  const size = a.re.length;
  let n = 0;
  let [ar, ai, br, bi] = [0, 0, 0, 0];
  for (let i = 0; i < size; i++) {
    if (mask && !mask[i]) continue;
    n++;
    ar += a.re[i];
    ai += a.im[i];
    br += b.re[i];
    bi += b.im[i];
  }
  if (n === 0) return 0;
  [ar, ai, br, bi] = [ar / n, ai / n, br / n, bi / n];
  let aa = 0;
  let bb = 0;
  let re = 0;
  let im = 0;
  for (let i = 0; i < size; i++) {
    if (mask && !mask[i]) continue;
    const pr = a.re[i] - ar;
    const pi = a.im[i] - ai;
    const qr = b.re[i] - br;
    const qi = b.im[i] - bi;
    aa += pr * pr + pi * pi;
    bb += qr * qr + qi * qi;
    re += pr * qr + pi * qi;
    im += pr * qi - pi * qr;
  }
  if (isFlat(aa, n, ar * ar + ai * ai) || isFlat(bb, n, br * br + bi * bi)) return 0;
  return Math.hypot(re, im) / Math.sqrt(aa * bb);
}

function isFlat(squares: number, n: number, meanSquared: number): boolean {
  return squares <= ROUNDING * n * meanSquared || squares === 0;
}

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
import { shiftByKernel } from '../physics/shiftByKernel.js';
import { type Frame, frameOfObject, intersectFrames, moveToFrame, type ScanBounds } from '../reconstruction/frame.js';
import { alignComplex, constantObjectError, relativeDistance } from './align.js';
import { boundingBox } from './commonFrame.js';
import { removePhasePlane, removeRamp } from './phase.js';
import { fitShift } from './registrationFit.js';
import type { ShiftYx } from './shift.js';

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
  /**
   * Take back a common shift of the image by up to 1.5 px each way: patterns are the same when object and positions are moved together, so
   * that no measurement tells it. Off by default, as published figures are without it.
   */
  readonly register?: boolean;
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
  /** With `register`: [y, x] pixels that the image was moved by; zeros where no shift within reach brings it nearer to the truth. */
  readonly shift_px?: ShiftYx;
}

/**
 * Compares an image in its frame with the true object, inside the scan's bounding box. The image is brought into the
 * truth's gauge by one complex scale and one phase ramp; nothing else is fitted, and the image is not shifted unless `register` asks for it.
 *
 * A shift is found by least squares on smoothed images, as `registerImages` does. Moving by parts of a pixel smooths a little, which
 * would flatter a noisy image, or a blurred one where the truth is moved in its place: each figure is the worse one of both ways.
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
  const common = {
    pixels: mask ? mask.reduce((n: number, m) => n + (m ? 1 : 0), 0) : region.height * region.width,
    region_coverage: (region.height * region.width) / (visible.height * visible.width),
  };
  const asItLies = { ...figuresOf(image, reference, mask), ...common };
  if (!options.register) return asItLies;
  const still = { ...asItLies, shift_px: [0, 0] as const };
  const shift = shiftWithin(image, reference, mask);
  if (!shift) return still;
  // Whole images are moved: what lies around the region is known, too.
  const moved = (whole: ComplexImage, from: Frame, by: ShiftYx) => moveToFrame(singleOf(shiftByKernel(whole, by)), from, region); // biome-ignore format: one call
  const [dy, dx] = shift;
  const ways = [
    figuresOf(moved(reconstruction.image, reconstruction.frame, shift), reference, mask),
    figuresOf(image, moved(truth, truthFrame, [-dy, -dx]), mask),
  ] as const;
  const registered = { ...worseOf(ways), constant_object_error: asItLies.constant_object_error, ...common, shift_px: shift }; // biome-ignore format: one value
  return registered.relative_object_error < asItLies.relative_object_error ? registered : still;
}

/** Farthest that an image is moved each way. */
const REACH_PX = 1.5;

/** The shift that brings an image nearest to the truth; undefined where there is none within reach. */
function shiftWithin(image: ComplexImage, reference: ComplexImage, mask: Uint8Array | undefined): ShiftYx | undefined {
  const counts = mask ?? new Uint8Array(image.re.length).fill(1);
  const fit = fitShift(reference, image, { fixed: counts, moving: counts }, [0, 0]);
  return fit?.converged && fit.shiftYx.every((v) => Math.abs(v) <= REACH_PX) ? fit.shiftYx : undefined;
}

type Figures = Omit<TruthScore, 'pixels' | 'region_coverage' | 'shift_px'>;

function worseOf([a, b]: readonly [Figures, Figures]): Figures {
  return {
    amplitude_pearson: Math.min(a.amplitude_pearson, b.amplitude_pearson),
    phase_pearson: Math.min(a.phase_pearson, b.phase_pearson),
    complex_pearson: Math.min(a.complex_pearson, b.complex_pearson),
    relative_object_error: Math.max(a.relative_object_error, b.relative_object_error),
    constant_object_error: a.constant_object_error,
  };
}

const singleOf = ({ re, im, shape }: ComplexImage<Float64Array>): ComplexImage => ({ re: Float32Array.from(re), im: Float32Array.from(im), shape }); // biome-ignore format: one value

/** Both on one frame. */
function figuresOf(image: ComplexImage, reference: ComplexImage, mask: Uint8Array | undefined): Figures {
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

/**
 * How far images lie from the truth against how far networks or patches disagree: fits half-widths to the one by the other, and
 * measures what they cover.
 *
 * @example
 * const scale = fitSpreadScale([errors]); // of each scan that calibrates
 * coverageOf(errors, scale); // [{ level: 0.9, coverage: 0.91, meanHalfWidth: 0.04 }, …]
 */
import { PtychoError } from '../../core/errors.js';
import type { ComplexImage } from '../../core/tensor.js';
import {
  halfWidth,
  LEVELS,
  type SpreadCalibration,
  type SpreadScale,
} from '../../reconstruction/ensemble/calibration.js';
import { type Frame, frameOfObject, intersectFrames, moveToFrame, scanBounds } from '../../reconstruction/frame.js';
import type { StitchedImage } from '../../reconstruction/patchStitcher.js';
import { wellCovered } from '../../reconstruction/pictures.js';
import type { Uncertainty } from '../../reconstruction/spread.js';
import { alignComplex } from '../align.js';
import { boundingBox } from '../commonFrame.js';

/** Errors of pixels, and the spread there. */
export interface SpreadErrors {
  /** |image − truth|. */
  readonly error: Float64Array;
  readonly spread: Float64Array;
}

/** Of one image. */
export interface ImageErrors {
  readonly amplitude: SpreadErrors;
  readonly phase: SpreadErrors;
}

/**
 * The errors of an image where the scan covers it well and its spread is known: amplitudes, and phases wrapped to −π…π, in the gauge
 * of the truth (one complex factor, one phase ramp).
 * @throws PtychoError DATASET_SHAPE where image and truth share no such pixel
 */
export function errorsOfImage(
  { image, frame, weight }: Pick<StitchedImage, 'image' | 'frame' | 'weight'>,
  spread: Uncertainty,
  truth: ComplexImage,
  positions: { readonly xcoords: Float64Array; readonly ycoords: Float64Array },
): ImageErrors {
  const region = sharedRegion(frame, truth, positions);
  const plane = (data: ArrayLike<number>) => moveToFrame({ re: Float32Array.from(data), im: new Float32Array(data.length), shape: image.shape }, frame, region).re; // biome-ignore format: one call
  const covered = plane(wellCovered(weight));
  const [amplitudes, phases] = [plane(spread.amplitude.data), plane(spread.phase.data)];
  const reference = moveToFrame(truth, frameOfObject(truth), region);
  const { aligned, scale } = alignComplex(moveToFrame(image, frame, region), reference, covered);
  // Spreads are in the image's units.
  const gain = Math.hypot(scale.re, scale.im);
  const known = Int32Array.from(covered.keys()).filter((i) => covered[i] > 0 && !Number.isNaN(amplitudes[i]));
  if (known.length === 0) {
    throw new PtychoError('DATASET_SHAPE', 'Image and truth share no pixel whose spread is known; check the positions of the scan.', {}); // biome-ignore format: one call
  }
  const errors = (error: (i: number) => number, of: ArrayLike<number>, unit: number): SpreadErrors => ({
    error: Float64Array.from(known, error),
    spread: Float64Array.from(known, (i) => of[i] * unit),
  });
  const modulus = (z: ComplexImage<Float32Array | Float64Array>, i: number) => Math.hypot(z.re[i], z.im[i]);
  const angle = (i: number) => {
    const [a, b] = [aligned, reference];
    return Math.abs(Math.atan2(a.im[i] * b.re[i] - a.re[i] * b.im[i], a.re[i] * b.re[i] + a.im[i] * b.im[i]));
  };
  return {
    // In the image's units, like the half-widths to come.
    amplitude: errors((i) => Math.abs(modulus(aligned, i) - modulus(reference, i)) / gain, amplitudes, 1),
    phase: errors(angle, phases, 1),
  };
}

function sharedRegion(
  frame: Frame,
  truth: ComplexImage,
  { xcoords, ycoords }: { readonly xcoords: Float64Array; readonly ycoords: Float64Array },
): Frame {
  const both = intersectFrames(frame, frameOfObject(truth));
  const region = both && intersectFrames(both, boundingBox(scanBounds(xcoords, ycoords)));
  if (region) return region;
  throw new PtychoError(
    'DATASET_SHAPE',
    'The image and the known object of the scan share no pixel; check that xcoords and ycoords are pixels of the object.',
    { frame },
  );
}

/** Floors that are tried, in units of the median spread; beyond the last the spread counts for nothing. */
const FLOORS = [0, 0.25, 0.5, 1, 2, 4, 8];

/**
 * The floor of the highest likelihood (errors normal with standard deviation ∝ √(s² + c²)) and the quantiles with it; every scan
 * counts the same, however many pixels it has.
 * @throws PtychoError USAGE without a scan
 */
export function fitSpreadScale(scans: readonly SpreadErrors[]): SpreadScale {
  if (scans.length === 0) throw new PtychoError('USAGE', 'A calibration needs the errors of one scan or more.', {});
  const median = medianOf(scans.map(({ spread }) => medianOf(spread)));
  const candidates: (number | null)[] = [...(median > 0 ? FLOORS.map((f) => f * median) : []), null];
  const [floor] = candidates
    .map((c): [number | null, number] => [c, misfit(scans, c)])
    .reduce((best, next) => (next[1] < best[1] ? next : best));
  return { floor, quantiles: quantilesOf(scans, floor) };
}

/**
 * The same for each scan without its own errors, with the floor of all: what the intervals of each cover by that is what they may cover on a
 * scan to come.
 * @returns as many as there are scans; none of a single one
 */
export function leftOutScales(scans: readonly SpreadErrors[], { floor }: SpreadScale): SpreadScale[] {
  if (scans.length < 2) return [];
  const sorted = scans.map((scan) => sortedRatios(scan, floor));
  return scans.map((_, i) => ({ floor, quantiles: mixedQuantiles(sorted.filter((_, k) => k !== i)) }));
}

/** Errors and calibrations by where the spread is from. */
type BySpread<T> = Readonly<Partial<Record<'ensemble' | 'overlap', T>>>;

/** A calibration without each of its scans in turn ({@link leftOutScales}); none of a single scan. */
export function leftOutCalibrations(
  scans: readonly BySpread<ImageErrors>[],
  calibration: BySpread<SpreadCalibration>,
): BySpread<SpreadCalibration>[] {
  const scalesOf = (from: 'ensemble' | 'overlap', quantity: keyof ImageErrors) => {
    const scale = calibration[from]?.[quantity];
    const errors = scans.flatMap((scan) => scan[from]?.[quantity] ?? []);
    return scale && errors.length === scans.length ? leftOutScales(errors, scale) : [];
  };
  if (scans.length < 2) return [];
  const parts = (['ensemble', 'overlap'] as const).map(
    (from) => [from, scalesOf(from, 'amplitude'), scalesOf(from, 'phase')] as const,
  );
  return scans.map((_, i) =>
    Object.fromEntries(
      parts.flatMap(([from, amplitudes, phases]) =>
        amplitudes[i] && phases[i] ? [[from, { amplitude: amplitudes[i], phase: phases[i] }]] : [],
      ),
    ),
  );
}

/** √(s² + c²), or 1 where the spread counts for nothing; a spread of 0 stays positive. */
const sigmaOf = (s: number, floor: number | null) => (floor === null ? 1 : Math.sqrt(s * s + floor * floor + 1e-20));

/** Negative log-likelihood per pixel, up to a constant, with the best common factor. */
function misfit(scans: readonly SpreadErrors[], floor: number | null): number {
  let [logs, squares] = [0, 0];
  for (const { error, spread } of scans) {
    const share = 1 / (scans.length * error.length);
    for (let i = 0; i < error.length; i++) {
      const sigma = sigmaOf(spread[i], floor);
      logs += share * Math.log(sigma);
      squares += share * (error[i] / sigma) ** 2;
    }
  }
  return logs + 0.5 * Math.log(squares);
}

/** Quantiles of |error| ÷ √(s² + c²) at {@link LEVELS}. */
function quantilesOf(scans: readonly SpreadErrors[], floor: number | null): number[] {
  return mixedQuantiles(scans.map((scan) => sortedRatios(scan, floor)));
}

const sortedRatios = ({ error, spread }: SpreadErrors, floor: number | null): Float64Array =>
  error.map((e, i) => e / sigmaOf(spread[i], floor)).sort();

/** For each of {@link LEVELS} the smallest value that so many values do not exceed; every sorted list counts the same, however long. */
function mixedQuantiles(lists: readonly Float64Array[]): number[] {
  const share = (value: number) =>
    lists.reduce((sum, list) => sum + countUpTo(list, value) / list.length, 0) / lists.length;
  const nextAbove = (value: number) => Math.min(...lists.map((list) => list[countUpTo(list, value)] ?? Infinity));
  const largest = Math.max(...lists.map((list) => list[list.length - 1]));
  return LEVELS.map((level) => {
    const isEnough = (value: number) => share(value) >= level - 1e-12;
    let [low, high] = [-1, largest];
    for (;;) {
      const next = nextAbove(low);
      if (next >= high || isEnough(next)) return next;
      const middle = (next + high) / 2;
      if (isEnough(middle)) [low, high] = [next, middle];
      else low = middle;
    }
  });
}

/** How many values of a sorted list are no larger. */
function countUpTo(list: Float64Array, value: number): number {
  let [from, to] = [0, list.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (list[middle] <= value) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** What intervals cover. */
export interface Coverage {
  readonly level: number;
  /** Share of the pixels whose error is no larger than the half-width. */
  readonly coverage: number;
  readonly meanHalfWidth: number;
}

/** What the intervals of a calibration cover on a scan, by level. */
export function coverageOf({ error, spread }: SpreadErrors, scale: SpreadScale): Coverage[] {
  return LEVELS.map((level, index) => {
    let [inside, widths] = [0, 0];
    for (let i = 0; i < error.length; i++) {
      const width = halfWidth(spread[i], scale, index);
      if (error[i] <= width) inside++;
      widths += width;
    }
    return { level, coverage: inside / error.length, meanHalfWidth: widths / error.length };
  });
}

/** Half-widths of a normal distribution with the spread as its standard deviation: what an uncalibrated spread would promise. */
export const UNCALIBRATED: SpreadScale = { floor: 0, quantiles: [0.6745, 0.9945, 1.2816, 1.6449, 1.96] };

/** Spearman's rank correlation of spread and error: 0, the spread says nothing about where the errors are. */
export function rankCorrelation({ error, spread }: SpreadErrors): number {
  const [a, b] = [ranksOf(error), ranksOf(spread)];
  const mean = (a.length - 1) / 2;
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += (a[i] - mean) * (b[i] - mean);
    aa += (a[i] - mean) ** 2;
    bb += (b[i] - mean) ** 2;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}

/** Ranks from 0; equal values share the mean of theirs. */
function ranksOf(values: Float64Array): Float64Array {
  const order = Array.from(values.keys()).sort((i, j) => values[i] - values[j]);
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to < order.length && values[order[to]] === values[order[from]]) to++;
    for (let k = from; k < to; k++) ranks[order[k]] = (from + to - 1) / 2;
    from = to;
  }
  return ranks;
}

function medianOf(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort();
  return sorted.length > 0 ? sorted[sorted.length >> 1] : 0;
}

/** What no reconstruction at all would score: the floor beside every number. */

import { cancelPoint } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import type { ComplexImage } from '../core/tensor.js';
import type { RawData } from '../data/rawData.js';
import { type Frame, scanBounds } from '../reconstruction/frame.js';
import { constantLike } from './align.js';
import type { EvaluatedImage } from './images.js';
import { type ReferenceMetrics, type ReferenceOptions, referenceMetrics } from './reference.js';
import { type StandardMetrics, type StandardOptions, standardMetrics } from './standard.js';

/** Both families of one image. */
export interface BothFamilies {
  readonly reference: ReferenceMetrics;
  readonly standard: StandardMetrics;
}

/** Scores of images that know nothing of the phases that were measured. */
export interface MetricFloors {
  /** An object of one value everywhere. */
  readonly constant: BothFamilies;
  /** √(counts) of the scan, smoothed (`scanImage`); there where it was given. */
  readonly scan?: BothFamilies;
}

/** What both families take. */
export type EvaluationOptions = ReferenceOptions & StandardOptions;

/** Both families of an image against the truth. @throws PtychoError as `referenceMetrics` and `standardMetrics` */
export function bothFamilies(
  image: EvaluatedImage,
  truth: EvaluatedImage,
  options: EvaluationOptions = {},
): BothFamilies {
  return { reference: referenceMetrics(image, truth, options), standard: standardMetrics(image, truth, options) };
}

/**
 * The scores of a constant object and, where it is given, of the scan image, against the same truth in the same pixels. A metric
 * in which a reconstruction does not beat both says nothing for it.
 *
 * @param options `scan`: an image of the shape of the truth
 * @throws PtychoError DATASET_SHAPE for too small or different images
 */
export function metricFloors(
  truth: EvaluatedImage,
  options: EvaluationOptions & { readonly scan?: EvaluatedImage } = {},
): MetricFloors {
  return {
    constant: bothFamilies(constantLike(truth), truth, options),
    ...(options.scan && { scan: bothFamilies(options.scan, truth, options) }),
  };
}

/** √(total counts) of each position of a scan. */
export interface ScanTotals {
  readonly totals: ArrayLike<number>;
  /** Object pixels. */
  readonly xs: ArrayLike<number>;
  readonly ys: ArrayLike<number>;
}

const READ_AT_ONCE = 256;
/** Beyond this many σ a position has no weight to speak of. */
const REACH = 6;

/** Reads every pattern once. @throws PtychoError CANCELLED, and those of reading */
export async function scanTotals(raw: RawData, signal?: AbortSignal): Promise<ScanTotals> {
  const area = raw.N * raw.N;
  const totals = new Float64Array(raw.count);
  const patterns = new Float32Array(Math.min(READ_AT_ONCE, raw.count) * area);
  const pause = cancelPoint(signal, 'Reading the patterns of the scan');
  for (let start = 0; start < raw.count; start += READ_AT_ONCE) {
    await pause();
    const n = Math.min(READ_AT_ONCE, raw.count - start);
    await raw.patterns.readAmplitudes(Int32Array.from({ length: n }, (_, i) => start + i), patterns.subarray(0, n * area)); // biome-ignore format: one call
    for (let k = 0; k < n; k++) totals[start + k] = rootOfSum(patterns.subarray(k * area, (k + 1) * area));
  }
  return { totals, xs: raw.xcoords, ys: raw.ycoords };
}

/** √Σ a² of an amplitude pattern. */
export function rootOfSum(amplitudes: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < amplitudes.length; i++) sum += amplitudes[i] ** 2;
  return Math.sqrt(sum);
}

/**
 * The scan as an image of amplitudes: the totals of the positions, smoothed by a Gaussian; where no position is near, their mean.
 * What a reconstruction must beat to have been worth while.
 *
 * @param frame the pixels wanted
 * @param sigma_px of the Gaussian; default half the mean distance of neighbours
 * @throws PtychoError DATASET_SHAPE for no positions
 */
export function scanImage({ totals, xs, ys }: ScanTotals, frame: Frame, sigma_px?: number): ComplexImage {
  if (totals.length === 0 || totals.length !== xs.length || xs.length !== ys.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `A scan image needs one total for each position, at least one; found ${totals.length} totals, ${xs.length} x and ${ys.length} y coordinates.`,
      { totals: totals.length, xs: xs.length, ys: ys.length },
    );
  }
  const sigma = sigma_px ?? meanStep(xs, ys) / 2;
  const { height, width, originYxPx } = frame;
  const sums = new Float64Array(height * width);
  const weights = new Float64Array(height * width);
  const reach = Math.ceil(REACH * sigma);
  let mean = 0;
  for (let k = 0; k < totals.length; k++) {
    mean += totals[k] / totals.length;
    const [y, x] = [ys[k] - originYxPx[0], xs[k] - originYxPx[1]];
    for (let r = Math.max(0, Math.ceil(y - reach)); r <= Math.min(height - 1, y + reach); r++) {
      for (let c = Math.max(0, Math.ceil(x - reach)); c <= Math.min(width - 1, x + reach); c++) {
        const w = Math.exp(-((r - y) ** 2 + (c - x) ** 2) / (2 * sigma * sigma));
        sums[r * width + c] += w * totals[k];
        weights[r * width + c] += w;
      }
    }
  }
  const re = Float32Array.from(sums, (s, i) => (weights[i] > 0 ? s / weights[i] : mean));
  return { re, im: new Float32Array(height * width), shape: [height, width] };
}

/** The distance of neighbours if the positions were spread evenly over their rectangle. */
function meanStep(xs: ArrayLike<number>, ys: ArrayLike<number>): number {
  const { xMin, xMax, yMin, yMax } = scanBounds(xs, ys);
  const [width, height] = [xMax - xMin, yMax - yMin];
  const line = Math.max(width, height) / Math.max(1, xs.length - 1);
  return Math.max(1, line, Math.sqrt((width * height) / xs.length));
}

/**
 * Losses between predicted and measured patterns; each is O(1) and scaled by constants of the data set, never of a
 * batch, so that gradient accumulation and partial batches change nothing.
 */
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import { UNKNOWN_LABEL } from '../physics/sampling.js';
import { type ComplexNode, intensity } from './complex.js';

/** λ is kept above this fraction of the mean count: log λ stays finite where the model predicts darkness. */
export const RATE_FLOOR = 1e-12;

/** Which detector pixels count. */
export interface PixelMask {
  /** [N, N] of 0 and 1. */
  readonly valid: GraphNode;
  /** Share of the pixels that are valid. */
  readonly fraction: number;
}

/** Mean over all pixels, or over the valid ones. */
function pixelMean(x: GraphNode, mask?: PixelMask): GraphNode {
  return mask ? op.mul(op.reduceMean(op.mul(x, mask.valid)), 1 / mask.fraction) : op.reduceMean(x);
}

/**
 * Poisson negative log-likelihood λ − k·ln λ + (k·ln k − k), averaged over pixels and divided by the mean count: 0 for a perfect
 * prediction. The part in brackets belongs to the data and changes no gradient.
 * @param rate λ, @param count k ≥ 0 (any common unit), @param meanCount the data set's mean of k over valid pixels, in that unit
 * @param options mask: pixels that count; floor: see {@link RATE_FLOOR}
 */
export function poissonDeviance(
  rate: GraphNode,
  count: GraphNode,
  meanCount: number,
  { mask, floor = RATE_FLOOR }: { readonly mask?: PixelMask; readonly floor?: number } = {},
): GraphNode {
  const low = floor * meanCount;
  const safeRate = op.maximum(rate, low);
  const model = op.sub(safeRate, op.mul(count, op.log(safeRate)));
  const data = op.sub(op.mul(count, op.log(op.maximum(count, low))), count);
  return op.mul(pixelMean(op.add(model, data), mask), 1 / meanCount);
}

/**
 * Mean |predicted − measured| amplitude over (valid) pixels, divided by the data set's mean amplitude there: the R-factor of
 * the batch.
 */
export function amplitudeMae(
  predicted: GraphNode,
  measured: GraphNode,
  meanAmplitude: number,
  mask?: PixelMask,
): GraphNode {
  return op.mul(pixelMean(op.abs(op.sub(predicted, measured)), mask), 1 / meanAmplitude);
}

/** Each predicted pattern [B, C, N, N] scaled to the norm of the measured one, over the pixels that count. */
export function matchNorm(predicted: GraphNode, measured: GraphNode, mask?: PixelMask): GraphNode {
  const power = (x: GraphNode) => {
    const square = op.square(x);
    return op.reduceSum(mask ? op.mul(square, mask.valid) : square, [2, 3], true);
  };
  return op.mul(predicted, op.sqrt(op.div(power(measured), op.add(power(predicted), 1e-12))));
}

/**
 * Total variation of complex images [B, C, n, n]: squared forward differences of real and imaginary part along rows and
 * columns, summed, over the number of pixels. Differences that would leave the image count as zero.
 */
export function totalVariation({ re, im }: ComplexNode): GraphNode {
  const [batch, channels, rows, columns] = re.shape;
  const along = (x: GraphNode, axis: 2 | 3) => {
    const n = x.shape[axis] - 1;
    return op.reduceSum(op.square(op.sub(op.sliceAxis(x, axis, 1, n), op.sliceAxis(x, axis, 0, n))));
  };
  const sum = [re, im].flatMap((x) => [along(x, 2), along(x, 3)]).reduce((a, b) => op.add(a, b));
  return op.mul(sum, 1 / (batch * channels * rows * columns));
}

/** Under the root of |difference|: its derivative stays finite where prediction and label agree. */
const EQUAL = 1e-12;

/**
 * The mean over the pixels whose label is known ({@link UNKNOWN_LABEL}), of which the data set has this share; over all where no share
 * is given.
 */
function meanOverKnown(x: GraphNode, label: ComplexNode, share: number | undefined): GraphNode {
  if (share === undefined) return op.reduceMean(x);
  const known = op.greater(label.re, UNKNOWN_LABEL / 2);
  return op.mul(op.reduceMean(op.mul(x, known)), 1 / share);
}

/** Mean |O − O*| of complex images of one shape, over known labels. */
export function complexMae(predicted: ComplexNode, label: ComplexNode, share?: number): GraphNode {
  const difference = { re: op.sub(predicted.re, label.re), im: op.sub(predicted.im, label.im) };
  return meanOverKnown(op.sqrt(op.add(intensity(difference), EQUAL)), label, share);
}

/**
 * Mean |φ − φ*|, differences wrapped to −π…π, of a predicted exp(iφ) and known complex labels; where a label is dark it has no
 * phase and the difference is 0.
 */
export function phaseMae(phasor: ComplexNode, label: ComplexNode, share?: number): GraphNode {
  // The angle of e^{iφ}·conj(label), by halves: |angle| = 2·atan(|sin|/(1 + cos)) for cos ≥ 0, π minus that of −cos else.
  const cos = op.add(op.mul(phasor.re, label.re), op.mul(phasor.im, label.im));
  const sin = op.sub(op.mul(phasor.im, label.re), op.mul(phasor.re, label.im));
  const radius = op.sqrt(op.add(intensity(label), 1e-24));
  const half = op.atan(op.div(op.abs(sin), op.add(radius, op.abs(cos))));
  const acute = op.mul(half, 2);
  const obtuse = op.greater(op.neg(cos), 0);
  return meanOverKnown(op.add(acute, op.mul(obtuse, op.sub(Math.PI, op.mul(acute, 2)))), label, share);
}

/** Mean |A − |O*||, over known labels. */
export function objectAmplitudeMae(amplitude: GraphNode, label: ComplexNode, share?: number): GraphNode {
  return meanOverKnown(op.abs(op.sub(amplitude, op.sqrt(intensity(label)))), label, share);
}

/**
 * Losses between predicted and measured patterns; each is O(1) and scaled by constants of the data set, never of a
 * batch, so that gradient accumulation and partial batches change nothing.
 */
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';

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

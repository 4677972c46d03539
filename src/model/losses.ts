/**
 * Losses between predicted and measured patterns; each is O(1) and scaled by constants of the data set, never of a
 * batch, so that gradient accumulation and partial batches change nothing.
 */
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';

/** λ is kept above this fraction of the mean count: log λ stays finite where the model predicts darkness. */
export const RATE_FLOOR = 1e-12;

/**
 * Poisson negative log-likelihood λ − k·ln λ + (k·ln k − k), averaged over pixels and divided by the mean count: 0 for a perfect
 * prediction. The part in brackets belongs to the data and changes no gradient.
 * @param rate λ, @param count k ≥ 0 (any common unit), @param meanCount the data set's mean of k, in that unit
 */
export function poissonDeviance(rate: GraphNode, count: GraphNode, meanCount: number, floor = RATE_FLOOR): GraphNode {
  const low = floor * meanCount;
  const safeRate = op.maximum(rate, low);
  const model = op.sub(safeRate, op.mul(count, op.log(safeRate)));
  const data = op.sub(op.mul(count, op.log(op.maximum(count, low))), count);
  return op.mul(op.reduceMean(op.add(model, data)), 1 / meanCount);
}

/**
 * Mean |predicted − measured| amplitude over pixels, divided by the data set's mean amplitude: the R-factor of the batch.
 */
export function amplitudeMae(predicted: GraphNode, measured: GraphNode, meanAmplitude: number): GraphNode {
  return op.mul(op.reduceMean(op.abs(op.sub(predicted, measured))), 1 / meanAmplitude);
}

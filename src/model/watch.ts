/** Figures that show how training goes, cheap beside the losses: outputs of `trainStep`, `accumulateStep` and `evaluate`. */

import { type ComplexNode, intensity } from '../graph/complex.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { HeadLimits } from '../networks/generator.js';
import { centralHalf, type PixelMask } from './losses.js';
import type { ScanRows } from './scanRows.js';

/** A head this close to its limit, relative to its range (or to 1 where it has no upper limit), is saturated. */
const SATURATION = 0.02;

/** √(mean (A − Ā)²)/Ā over the batch: 0 for a flat amplitude. */
export function contrast(amplitude: GraphNode): GraphNode {
  const mean = op.reduceMean(amplitude);
  const variance = op.reduceMean(op.square(op.sub(amplitude, mean)));
  return op.div(op.sqrt(op.add(variance, 1e-12)), op.add(op.abs(mean), 1e-12));
}

/** Share of the values of a head that lie within 2 % of one of its limits; 0 where it has none. */
export function saturation(values: GraphNode, { low, high }: HeadLimits): GraphNode {
  const margin = SATURATION * (high === null ? 1 : high - low);
  // A share needs no gradient: these are steps.
  const below = Number.isFinite(low) ? [op.reduceMean(op.sub(1, op.greater(values, low + margin)))] : [];
  const above = high === null ? [] : [op.reduceMean(op.greater(values, high - margin))];
  return [...below, ...above].reduce<GraphNode>((a, b) => op.add(a, b), op.scalar(0));
}

/** Mean amplitude of the border of images [B, C, N, N] over that of their central N/2 square. */
export function borderRatio(image: ComplexNode): GraphNode {
  const amplitude = op.sqrt(op.add(intensity(image), 1e-12));
  const centre = op.reduceMean(centralHalf(amplitude));
  // The border holds three quarters of the pixels: its mean is (4·all − centre)/3.
  const border = op.div(op.sub(op.mul(op.reduceMean(amplitude), 4), centre), 3);
  return op.div(border, op.add(centre, 1e-12));
}

/** Mean predicted over mean measured intensity, of the pixels that count. */
export function intensityRatio(predicted: GraphNode, measured: GraphNode, mask?: PixelMask): GraphNode {
  const mean = (x: GraphNode) => op.reduceMean(mask ? op.mul(x, mask.valid) : x);
  return op.div(mean(predicted), op.add(mean(measured), 1e-12));
}

/**
 * How far predicted amplitudes [B, C, N, N] differ between the groups of a batch, relative to how far the measured ones do: the root
 * of the mean variance of a pixel over the batch. 0: the network predicts the same pattern whatever it is fed.
 * @param rows with several scans the groups of each are compared with each other only, because their probes differ; it says nothing
 * where no two groups are of one scan
 */
export function patternSpread(predicted: GraphNode, measured: GraphNode, mask?: PixelMask, rows?: ScanRows): GraphNode {
  const spread = (x: GraphNode) => {
    const deviation = op.square(op.sub(x, rows ? rows.means(x) : op.reduceMean(x, [0], true)));
    return op.sqrt(op.reduceMean(mask ? op.mul(deviation, mask.valid) : deviation));
  };
  return op.div(spread(predicted), op.add(spread(measured), 1e-12));
}

/** Figures that show how training goes, cheap beside the losses: outputs of `trainStep`, `accumulateStep` and `evaluate`. */

import type { Tensor } from '../core/tensor.js';
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

/**
 * What the figures of shares of a batch must bring along, so that those of the whole batch follow: means under names that begin with
 * `share/`, and the predicted amplitudes, which are compared over the batch.
 */
export function shareOutputs(parts: {
  readonly amplitude: GraphNode;
  readonly members: ComplexNode;
  readonly measured: GraphNode;
  readonly predicted?: GraphNode;
}): Record<string, GraphNode> {
  const centre = centralHalf(op.sqrt(op.add(intensity(parts.members), 1e-12)));
  return {
    [`${SHARE}amplitude_contrast`]: op.reduceMean(parts.amplitude),
    [`${SHARE}border_ratio`]: op.reduceMean(centre),
    [`${SHARE}intensity_ratio`]: op.reduceMean(parts.measured),
    ...(parts.predicted ? { [PREDICTED]: parts.predicted } : {}),
  };
}

const SHARE = 'share/';
/** The output of a share that has its predicted amplitudes. */
export const PREDICTED = `${SHARE}predicted`;

/** What a share of a batch came to. */
export interface ShareOutputs {
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly groups: number;
}

/**
 * The outputs of a batch from those of its shares, in order: means of numbers, ratios of means, and one after the other what has a row
 * for each group, as gradients of a mean over the whole batch.
 * @returns `predicted` apart: the predicted amplitudes [B, C, N, N], where shares bring them
 */
export function joinedFigures(
  shares: readonly ShareOutputs[],
  groups: number,
): { readonly outputs: Record<string, Tensor>; readonly predicted: Tensor | undefined } {
  const outputs: Record<string, Tensor> = {};
  let predicted: Tensor | undefined;
  for (const [name, first] of Object.entries(shares[0].outputs)) {
    if (name === PREDICTED) predicted = rowsOf(shares, name, () => 1);
    else if (name.startsWith(SHARE)) continue;
    else if (first.data.length > 1) outputs[name] = rowsOf(shares, name, (share) => share.groups / groups);
    else outputs[name] = { data: Float32Array.of(joinedNumber(name, shares, groups)), shape: first.shape };
  }
  return { outputs, predicted };
}

function joinedNumber(name: string, shares: readonly ShareOutputs[], groups: number): number {
  const mean = (of: (share: ShareOutputs) => number) =>
    shares.reduce((sum, share) => sum + of(share) * (share.groups / groups), 0);
  const value = ({ outputs }: ShareOutputs) => outputs[name].data[0];
  const below = ({ outputs }: ShareOutputs) => outputs[`${SHARE}${name}`].data[0];
  if (shares[0].outputs[`${SHARE}${name}`] === undefined) return mean(value);
  const whole = mean(below);
  if (name !== 'amplitude_contrast') return mean((share) => value(share) * below(share)) / whole;
  // The variance within shares, and that between them.
  const variance = mean((share) => (value(share) * below(share)) ** 2 + (below(share) - whole) ** 2);
  return Math.sqrt(variance) / (Math.abs(whole) + 1e-12);
}

function rowsOf(shares: readonly ShareOutputs[], name: string, factor: (share: ShareOutputs) => number): Tensor {
  const tensors = shares.map((share) => ({ ...share.outputs[name], factor: factor(share) }));
  const data = new Float32Array(tensors.reduce((sum, each) => sum + each.data.length, 0));
  let at = 0;
  for (const { data: values, factor: by } of tensors) {
    for (let i = 0; i < values.length; i++) data[at + i] = values[i] * by;
    at += values.length;
  }
  const rows = tensors.reduce((sum, { shape }) => sum + shape[0], 0);
  return { data, shape: [rows, ...tensors[0].shape.slice(1)] };
}

/**
 * `normalize` and `data_scaling`: by what a network sees its patterns multiplied, besides the one factor of a scan that gives them the mean
 * power (N/2)² (`normalize: Batch`, `data_scaling: Parseval`, where nothing is left to do). Losses and object keep that scale: what is
 * painted from the patterns of a brighter group is brighter.
 */
import type { TrainingConfig } from '../config/schema.js';
import type { Tensor } from '../core/tensor.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import type { ScanRows } from './scanRows.js';

/** The one factor of a scan, a fixed parameter []. */
export const INPUT_FACTOR = 'input.factor';

/** How a network sees its patterns. */
export type InputScaling = Pick<TrainingConfig, 'normalize' | 'data_scaling'>;

/** What is measured of the patterns of a scan (`measureStatistics`). */
export interface ScanFigures {
  /** The factor that gives its amplitudes the mean power (N/2)². */
  readonly inputScale: number;
  /** The largest sum of amplitudes over a pattern, before that factor. */
  readonly maxAmplitudeSum: number;
}

/** Groups of one pattern have nothing that a scan has not: they count as the scan, as published. */
const byGroup = ({ normalize }: InputScaling, members: number) => normalize === 'Group' && members > 1;

/** Whether a scan has a factor of its own. */
const byScan = (scaling: InputScaling, members: number) =>
  !byGroup(scaling, members) && (scaling.normalize === 'None' || scaling.data_scaling === 'Max');

/** Division by a dark group; patterns have a power of (N/2)² on average. */
const DARK = 1e-12;

/**
 * The factors on patterns x [B, C, N, N] for the network, and on what it paints of them, [B, 1, 1, 1] or []; undefined: both are 1.
 * @param factor of the scan, {@link inputFactor}
 */
export function inputScaling(
  scaling: InputScaling,
  x: GraphNode,
  scope: ParameterScope,
  { factor = 1, rows }: { readonly factor?: number; readonly rows?: ScanRows },
): { readonly seen?: GraphNode; readonly painted?: GraphNode } {
  const [, members, side] = x.shape;
  if (byScan(scaling, members)) {
    if (!rows) return { seen: scope.parameter(INPUT_FACTOR, [], factor, true) };
    const each = Float32Array.from(rows.scans, (scan) => scan.inputFactor ?? 1);
    return { seen: rows.scalars(scope.parameter(INPUT_FACTOR, [each.length], each, true)) };
  }
  if (!byGroup(scaling, members)) return {};
  const power = op.reduceMean(op.reduceSum(op.square(x), [2, 3], true), [1], true);
  const brightness = op.sqrt(op.add(op.mul(power, 4 / side ** 2), DARK));
  const largest = () => op.reduceMax(op.reduceSum(x, [2, 3], true), [1], true);
  return {
    seen: op.div(1, scaling.data_scaling === 'Max' ? op.add(largest(), DARK) : brightness),
    painted: brightness,
  };
}

/** The factor of a scan: to its own numbers (`normalize: None`), or to 1 over its largest sum over a pattern (`data_scaling: Max`). */
export function inputFactor({ normalize }: InputScaling, { inputScale, maxAmplitudeSum }: ScanFigures): number {
  return normalize === 'None' ? 1 / inputScale : 1 / (inputScale * maxAmplitudeSum);
}

/** Weights with the factor of another scan, where they have one. */
export function withFactorOf(
  weights: Readonly<Record<string, Tensor>>,
  scaling: InputScaling,
  statistics: ScanFigures,
): Readonly<Record<string, Tensor>> {
  if (!weights[INPUT_FACTOR]) return weights;
  return { ...weights, [INPUT_FACTOR]: { data: Float32Array.of(inputFactor(scaling, statistics)), shape: [] } };
}

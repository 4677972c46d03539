/**
 * The loss over the epochs.
 *
 * @example
 * const series = [{ name: 'training', values: [0.9, 0.5, 0.4] }, { name: 'validation', values: [0.95, 0.6, 0.55] }];
 * await writeFile('loss.png', await drawPng(lossChart(series, { bestEpoch: 3 })));
 */
import { PtychoError } from '../core/errors.js';
import { lineChart } from './chart.js';
import type { Drawing } from './renderer.js';

/** One curve: a value for each epoch from 1 on; `null` or a value that is not finite leaves a gap. */
export interface LossSeries {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

/** How the curves are drawn; everything may be left out. */
export interface LossChartOptions {
  readonly title?: string;
  /** Label of the vertical axis, `loss` where not given. */
  readonly label?: string;
  /** Epoch, counted from 1, that is marked as the best one. */
  readonly bestEpoch?: number;
  /** Values to compare with, as lines across: the loss of a constant object. */
  readonly floors?: readonly { readonly name: string; readonly value: number }[];
  /** `auto` takes the logarithm when all values are positive and spread over more than a factor of ten. */
  readonly axis?: 'auto' | 'linear' | 'log';
}

/** Epochs up to which values are marked as dots. */
const FEW = 60;

/**
 * A chart of the given curves over the epochs.
 * @throws PtychoError DATASET_VALUE when no curve holds a finite value.
 */
export function lossChart(series: readonly LossSeries[], options: LossChartOptions = {}): Drawing {
  const { title = 'Loss per epoch', label = 'loss', bestEpoch, floors = [], axis = 'auto' } = options;
  const finite = series.flatMap(({ values }) => values.filter((v): v is number => Number.isFinite(v)));
  if (finite.length === 0) {
    throw new PtychoError('DATASET_VALUE', 'There is no finite loss to draw; the training history is empty.', {});
  }
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const logarithmic = axis === 'log' || (axis !== 'linear' && low > 0 && high / low > 10);
  const epochs = Math.max(...series.map(({ values }) => values.length));
  const dots = epochs <= FEW;
  return lineChart({
    title,
    below: 'epoch',
    beside: logarithmic ? `${label} (logarithmic)` : label,
    logarithmic,
    wholeX: true,
    x: epochs > 1 ? [1, epochs] : [0.5, 1.5],
    curves: [
      ...series.map(({ name, values }) => ({
        name,
        dots,
        points: values.map((v, k) => [k + 1, v ?? Number.NaN] as const),
      })),
      ...floors.map(({ name, value }) => ({
        name,
        limit: true,
        points: [
          [1, value],
          [Math.max(epochs, 1.5), value],
        ] as const,
      })),
    ],
    marks:
      bestEpoch !== undefined && bestEpoch >= 1 && bestEpoch <= epochs
        ? [{ at: bestEpoch, text: `best epoch (${bestEpoch})` }]
        : [],
  });
}

/** The axes of a loss over epochs, for drawings of every kind. */
import { scaleLinear, scaleLog } from 'd3-scale';
import { PtychoError } from '../core/errors.js';

/** One curve: a value for each epoch from 1 on; `null` or a value that is not finite leaves a gap. */
export interface LossSeries {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

/** Where the curves lie on the drawing. */
export interface LossBox {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly foot: number;
}

/** From epochs and losses to places, and what is written beside the axes. */
export interface LossAxes {
  readonly x: (epoch: number) => number;
  readonly y: (loss: number) => number;
  readonly epochs: number;
  readonly logarithmic: boolean;
  readonly lossTicks: readonly number[];
  readonly epochTicks: readonly number[];
}

/**
 * The axes of these curves.
 * @param axis `auto` (also when not given) takes the logarithm when all values are positive and spread over more than a factor of ten
 * @throws PtychoError DATASET_VALUE when no curve holds a finite value.
 */
export function lossAxes(
  series: readonly LossSeries[],
  axis: 'auto' | 'linear' | 'log' = 'auto',
  box: LossBox,
): LossAxes {
  const finite = series.flatMap((curve) => curve.values.filter(isFiniteNumber));
  if (finite.length === 0) {
    throw new PtychoError('DATASET_VALUE', 'There is no finite loss to draw; the training history is empty.', {});
  }
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const logarithmic = axis === 'log' || (axis !== 'linear' && low > 0 && high / low > 10);
  const epochs = Math.max(...series.map((curve) => curve.values.length));
  const x = scaleLinear()
    .domain(epochs > 1 ? [1, epochs] : [0.5, 1.5])
    .range([box.left, box.right]);
  const y = (logarithmic ? scaleLog() : scaleLinear())
    .domain(low < high ? [low, high] : [low - padOf(low), low + padOf(low)])
    .range([box.foot, box.top])
    .nice();
  const epochTicks = x.ticks(Math.min(8, epochs)).filter(Number.isInteger);
  return { x, y, epochs, logarithmic, lossTicks: valueTicks(y, logarithmic), epochTicks };
}

function valueTicks(scale: { ticks(count?: number): number[] }, logarithmic: boolean): number[] {
  const ticks = scale.ticks(6);
  if (!logarithmic || ticks.length <= 10) return ticks;
  // A long logarithmic axis keeps the powers of ten only.
  const powers = ticks.filter((tick) => Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-9);
  return powers.length >= 2 ? powers : ticks.filter((_, i) => i % 3 === 0);
}

/** A loss beside its axis. */
export function tickText(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential().replace('e+', 'e');
  return String(Number(value.toPrecision(6)));
}

function padOf(value: number): number {
  return value === 0 ? 1 : Math.abs(value) * 0.1;
}

/** True for values that are drawn. */
export function isFiniteNumber(value: number | null): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

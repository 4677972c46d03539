/**
 * Fourier ring correlations over spatial frequency.
 *
 * @example
 * const series = [{ name: 'PtychoPINN', values: frc.amplitude }];
 * await writeFile('frc.png', await drawPng(correlationChart(series, { side_px: 128, title: 'Amplitude' })));
 */
import { lineChart } from './chart.js';
import type { Drawing } from './renderer.js';

/** One curve; element i is i periods across the image, what is not finite leaves a gap. */
export interface CorrelationSeries {
  readonly name: string;
  readonly values: ArrayLike<number>;
}

/** How the curves are drawn. */
export interface CorrelationOptions {
  /** Side of the square that was transformed, pixels. */
  readonly side_px: number;
  readonly title: string;
  /** Side of a pixel, metres: the axis is then in periods per micrometre. */
  readonly pixelSize_m?: number;
  /** Levels or curves to compare with; 1/2 and 1/7 where not given. */
  readonly thresholds?: readonly { readonly label: string; readonly at: number | ArrayLike<number> }[];
}

const THRESHOLDS = [
  { label: '1/2', at: 0.5 },
  { label: '1/7', at: 1 / 7 },
];

/** The curves from zero frequency to Nyquist, thin ones to compare with. */
export function correlationChart(series: readonly CorrelationSeries[], options: CorrelationOptions): Drawing {
  const { side_px, title, pixelSize_m, thresholds = THRESHOLDS } = options;
  const rings = Math.floor(side_px / 2) + 1;
  const step = 1 / (side_px * (pixelSize_m === undefined ? 1 : pixelSize_m * 1e6));
  const points = (at: ArrayLike<number>) =>
    Array.from({ length: Math.min(rings, at.length) }, (_, k) => [k * step, clamped(at[k])] as const);
  return lineChart({
    title,
    below: `spatial frequency, periods per ${pixelSize_m === undefined ? 'pixel' : 'µm'}`,
    beside: 'ring correlation',
    x: [0, (side_px / 2) * step],
    y: [0, 1],
    curves: [
      ...thresholds.map(({ label, at }) => ({
        name: label,
        limit: true,
        points: points(typeof at === 'number' ? new Float64Array(rings).fill(at) : at),
      })),
      ...series.map(({ name, values }) => ({ name, points: points(values) })),
    ],
  });
}

const clamped = (value: number): number => Math.min(1, Math.max(0, value));

/**
 * The loss over the epochs: as an SVG picture, sharp at any size, and as pixels, for places that show pictures only.
 *
 * @example
 * const series = [{ name: 'training', values: [0.9, 0.5, 0.4] }, { name: 'validation', values: [0.95, 0.6, 0.55] }];
 * const svg = renderLossCurve(series, { bestEpoch: 3 });
 * await writeFile('loss.png', encodePng(renderLossChart(series, { bestEpoch: 3 })));
 */
import { scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';
import { PtychoError } from '../core/errors.js';
import { Canvas, type Colour } from './canvas.js';
import {
  type ChartBox,
  chartBox,
  coordinate,
  drawChartFrame,
  drawLegend,
  escapeMarkup,
  seriesColour,
  svgChart,
  svgChartFrame,
  svgColour,
} from './chartFrame.js';
import type { Pixels } from './png.js';

/** One curve: a value for each epoch from 1 on; `null` or a value that is not finite leaves a gap. */
export interface LossSeries {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

/**
 * From epochs and losses to places, and what stands beside the axes.
 * @throws PtychoError DATASET_VALUE when no curve holds a finite value.
 */
function lossAxes(
  series: readonly LossSeries[],
  { axis = 'auto', label = 'loss' }: Pick<LossCurveOptions, 'axis' | 'label'>,
  box: ChartBox,
) {
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
  const beside = {
    rows: valueTicks(y, logarithmic).map((tick) => ({ at: y(tick), text: tickText(tick) })),
    columns: epochTicks.map((tick) => ({ at: x(tick), text: String(tick) })),
    below: 'epoch',
    beside: `${label}${logarithmic ? ' (log)' : ''}`,
  };
  return { x, y, epochs, beside };
}

function valueTicks(scale: { ticks(count?: number): number[] }, logarithmic: boolean): number[] {
  const ticks = scale.ticks(6);
  if (!logarithmic || ticks.length <= 10) return ticks;
  // A long logarithmic axis keeps the powers of ten only.
  const powers = ticks.filter((tick) => Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-9);
  return powers.length >= 2 ? powers : ticks.filter((_, i) => i % 3 === 0);
}

/** A loss beside its axis. */
function tickText(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential().replace('e+', 'e');
  return String(Number(value.toPrecision(6)));
}

function padOf(value: number): number {
  return value === 0 ? 1 : Math.abs(value) * 0.1;
}

/** True for values that are drawn. */
function isFiniteNumber(value: number | null): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

/** How the curve is drawn; everything may be left out. */
export interface LossCurveOptions {
  readonly title?: string;
  /** Label of the vertical axis, `loss` where not given. */
  readonly label?: string;
  /** Epoch, counted from 1, that is marked as the best one. */
  readonly bestEpoch?: number;
  /** `auto` takes the logarithm when all values are positive and spread over more than a factor of ten. */
  readonly axis?: 'auto' | 'linear' | 'log';
  readonly width?: number;
  readonly height?: number;
}

const SVG_MARGIN = { top: 34, right: 18, bottom: 46, left: 70 };

/**
 * An SVG document of the given curves over the epochs.
 * @throws PtychoError DATASET_VALUE when no curve holds a finite value.
 */
export function renderLossCurve(series: readonly LossSeries[], options: LossCurveOptions = {}): string {
  const { width = 640, height = 360, title = 'Loss per epoch', bestEpoch: best } = options;
  const box = chartBox(width, height, SVG_MARGIN);
  const { x, y, epochs, beside } = lossAxes(series, options, box);
  const parts = svgChartFrame({ box, height, title, ...beside });
  if (best !== undefined && best >= 1 && best <= epochs) {
    const at = coordinate(x(best));
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${box.top}" y2="${box.foot}" stroke="currentColor" stroke-dasharray="3 4" stroke-opacity="0.6"/>`,
    );
  }

  const path = line<number | null>()
    .defined(isFiniteNumber)
    .x((_, i) => x(i + 1))
    .y((value) => y(value as number))
    .digits(2);
  series.forEach((curve, k) => {
    const colour = svgColour(k);
    parts.push(
      `<path d="${path(curve.values as (number | null)[]) ?? ''}" fill="none" stroke="${colour}" stroke-width="1.8"/>`,
    );
    // A value between two gaps has no line; points also make short trainings readable.
    if (epochs <= 60) {
      curve.values.forEach((value, i) => {
        if (!isFiniteNumber(value)) return;
        parts.push(
          `<circle cx="${coordinate(x(i + 1))}" cy="${coordinate(y(value))}" r="${i + 1 === best ? 4 : 2.2}" fill="${colour}"/>`,
        );
      });
    }
  });
  parts.push(svgLegend(series, best, width));

  return svgChart(width, height, title, parts);
}

function svgLegend(series: readonly LossSeries[], best: number | undefined, width: number): string {
  const rows = series.map((curve, k) => ({ text: curve.name, colour: svgColour(k), dashed: false }));
  if (best !== undefined) rows.push({ text: `best epoch (${best})`, colour: 'currentColor', dashed: true });
  // Beside the title, where no curve runs; a letter is about 6.5 px wide.
  let right = width - SVG_MARGIN.right;
  const parts: string[] = [];
  for (const row of rows.reverse()) {
    const left = right - 6.5 * row.text.length;
    parts.push(
      `<line x1="${coordinate(left - 24)}" x2="${coordinate(left - 6)}" y1="14" y2="14" stroke="${row.colour}" stroke-width="2"${row.dashed ? ' stroke-dasharray="3 4"' : ''}/>`,
      `<text x="${coordinate(left)}" y="18">${escapeMarkup(row.text)}</text>`,
    );
    right = left - 40;
  }
  return parts.join('\n');
}

const BEST: Colour = [120, 120, 120];
const PIXEL_MARGIN = { top: 56, right: 20, bottom: 46, left: 78 };

/**
 * Pixels of the given curves over the epochs; as {@link renderLossCurve}, which draws the same as SVG.
 * @throws PtychoError DATASET_VALUE when no curve holds a finite value.
 */
export function renderLossChart(series: readonly LossSeries[], options: LossCurveOptions = {}): Pixels {
  const { width = 640, height = 360, title = 'Loss per epoch', bestEpoch: best } = options;
  const box = chartBox(width, height, PIXEL_MARGIN);
  const axes = lossAxes(series, options, box);
  const canvas = new Canvas(width, height);
  const [x, y] = [(epoch: number) => Math.round(axes.x(epoch)), axes.y];

  drawChartFrame(canvas, { box, height, title, ...axes.beside });

  if (best !== undefined && best >= 1 && best <= axes.epochs) {
    for (let at = box.top; at < box.foot; at += 8) canvas.fill(x(best), at, 1, 4, BEST);
  }
  series.forEach(({ values }, k) => {
    const colour = seriesColour(k);
    for (const [i, value] of values.entries()) {
      if (!isFiniteNumber(value)) continue;
      const before = i > 0 ? values[i - 1] : null;
      if (isFiniteNumber(before)) canvas.line(x(i), y(before), x(i + 1), y(value), colour, 2);
      if (axes.epochs <= 60) canvas.disc(x(i + 1), y(value), i + 1 === best ? 4.5 : 2.5, colour);
    }
  });
  const marked = best === undefined ? [] : [{ name: `best epoch (${best})`, colour: BEST, dashed: true }];
  drawLegend(canvas, box.left, [...series.map(({ name }, k) => ({ name, colour: seriesColour(k) })), ...marked]);
  return canvas.pixels;
}

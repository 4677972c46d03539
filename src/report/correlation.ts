/**
 * Fourier ring correlations over spatial frequency: as an SVG picture, and as pixels, for places that show pictures only.
 *
 * @example
 * const series = [{ name: 'PtychoPINN', values: frc.amplitude }];
 * const svg = renderCorrelationCurves(series, { side_px: 128, title: 'Amplitude' });
 * await writeFile('frc.png', encodePng(renderCorrelationChart(series, { side_px: 128, title: 'Amplitude' })));
 */
import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';
import { Canvas, type Colour } from './canvas.js';
import {
  type ChartBox,
  chartBox,
  coordinate,
  drawChartFrame,
  drawLegend,
  escapeMarkup,
  SERIES_COUNT,
  seriesColour,
  svgChart,
  svgChartFrame,
  svgColour,
} from './chartFrame.js';
import { LETTER_HEIGHT, writeText } from './font.js';
import type { Pixels } from './png.js';

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
  readonly width?: number;
  readonly height?: number;
}

const THRESHOLDS = [
  { value: 0.5, label: '1/2' },
  { value: 1 / 7, label: '1/7' },
];
const SVG_MARGIN = { top: 34, right: 150, bottom: 46, left: 60 };

/** An SVG document of the curves from zero frequency to Nyquist, with both thresholds. */
export function renderCorrelationCurves(series: readonly CorrelationSeries[], options: CorrelationOptions): string {
  const { side_px, title, width = 720, height = 320 } = options;
  const box = chartBox(width, height, SVG_MARGIN);
  const { left, right, top } = box;
  const { x, y, ticks } = axesIn(box);
  const parts = svgChartFrame({ box, height, title, ...ticks, beside: 'ring correlation' });
  for (const { value, label } of THRESHOLDS) {
    const at = coordinate(y(value));
    parts.push(
      `<line x1="${left}" x2="${right}" y1="${at}" y2="${at}" stroke="currentColor" stroke-dasharray="3 4" stroke-opacity="0.6"/>`,
      `<text x="${right + 4}" y="${at}" dy="0.32em" fill-opacity="0.7">${label}</text>`,
    );
  }
  const path = line<number>()
    .defined(Number.isFinite)
    .x((_, k) => x(k / side_px))
    .y((value) => y(clamped(value)))
    .digits(2);
  series.forEach(({ name, values }, k) => {
    // Dashed once the colours are used up, so that any number can be told apart.
    const stroke = `stroke="${svgColour(k)}" stroke-width="1.8"${k < SERIES_COUNT ? '' : ' stroke-dasharray="6 3"'}`;
    const row = top + 10 + 18 * k;
    parts.push(
      `<path d="${path(Array.from(values)) ?? ''}" fill="none" ${stroke}/>`,
      `<line x1="${right + 30}" x2="${right + 48}" y1="${row}" y2="${row}" ${stroke}/>`,
      `<text x="${right + 54}" y="${row}" dy="0.32em">${escapeMarkup(name)}</text>`,
    );
  });
  return svgChart(width, height, title, parts);
}

/** A level or a curve to read the correlation against. */
export interface CorrelationThreshold {
  readonly label: string;
  readonly at: number | ArrayLike<number>;
}

const THRESHOLD: Colour = [130, 130, 130];
const PIXEL_MARGIN = { top: 56, right: 90, bottom: 46, left: 60 };

/** Pixels of the given curves, zero frequency to Nyquist. */
export function renderCorrelationChart(
  series: readonly CorrelationSeries[],
  options: CorrelationOptions & { readonly thresholds?: readonly CorrelationThreshold[] },
): Pixels {
  const { side_px, title, thresholds = [], width = 640, height = 360 } = options;
  const box = chartBox(width, height, PIXEL_MARGIN);
  const { x, y, ticks } = axesIn(box);
  const canvas = new Canvas(width, height);
  drawChartFrame(canvas, { box, height, title, ...ticks, beside: 'correlation' });

  const draw = (values: ArrayLike<number>, colour: Colour, thickness: number) => {
    for (let k = 1; k < values.length; k++) {
      const [before, value] = [values[k - 1], values[k]];
      // What is no number leaves a gap.
      if (!Number.isFinite(before) || !Number.isFinite(value) || k > side_px / 2) continue;
      canvas.line(x((k - 1) / side_px), y(clamped(before)), x(k / side_px), y(clamped(value)), colour, thickness);
    }
  };
  const rings = Math.floor(side_px / 2) + 1;
  for (const { label, at } of thresholds) {
    const values = typeof at === 'number' ? new Float64Array(rings).fill(at) : at;
    draw(values, THRESHOLD, 1);
    const last = values[Math.min(values.length, rings) - 1];
    writeText(canvas, label, box.right + 6, y(clamped(last)) - LETTER_HEIGHT / 2, { colour: THRESHOLD });
  }
  series.forEach(({ values }, k) => {
    draw(values, seriesColour(k), 2);
  });
  drawLegend(
    canvas,
    box.left,
    series.map(({ name }, k) => ({ name, colour: seriesColour(k) })),
  );
  return canvas.pixels;
}

/** From zero frequency to Nyquist, from no correlation to all. */
function axesIn({ left, right, top, foot }: ChartBox) {
  const x = scaleLinear().domain([0, 0.5]).range([left, right]);
  const y = scaleLinear().domain([0, 1]).range([foot, top]);
  const ticks = {
    rows: y.ticks(5).map((tick) => ({ at: y(tick), text: String(tick) })),
    columns: x.ticks(5).map((tick) => ({ at: x(tick), text: String(tick) })),
    below: 'spatial frequency, periods per pixel',
  };
  return { x, y, ticks };
}

const clamped = (value: number): number => Math.min(1, Math.max(0, value));

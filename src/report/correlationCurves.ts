/**
 * Fourier ring correlations over spatial frequency as an SVG picture.
 *
 * @example
 * const svg = renderCorrelationCurves([{ name: 'PtychoPINN', values: frc.amplitude }], { side_px: 128, title: 'Amplitude' });
 */
import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';
import { svgChart, svgChartFrame } from './chartFrame.js';
import { coordinate, escapeMarkup } from './svg.js';

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

// Okabe and Ito's colours, then dashed, so that any number can be told apart.
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00'];
const THRESHOLDS = [
  { value: 0.5, label: '1/2' },
  { value: 1 / 7, label: '1/7' },
];
const MARGIN = { top: 34, right: 150, bottom: 46, left: 60 };

/** An SVG document of the curves from zero frequency to Nyquist, with both thresholds. */
export function renderCorrelationCurves(series: readonly CorrelationSeries[], options: CorrelationOptions): string {
  const { side_px, title, width = 720, height = 320 } = options;
  const [left, right, top, foot] = [MARGIN.left, width - MARGIN.right, MARGIN.top, height - MARGIN.bottom];
  const x = scaleLinear().domain([0, 0.5]).range([left, right]);
  const y = scaleLinear().domain([0, 1]).range([foot, top]);
  const parts = svgChartFrame({
    ...{ box: { left, right, top, foot }, height, title },
    rows: y.ticks(5).map((tick) => ({ at: y(tick), text: String(tick) })),
    columns: x.ticks(5).map((tick) => ({ at: x(tick), text: String(tick) })),
    below: 'spatial frequency, periods per pixel',
    beside: 'ring correlation',
  });
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
    .y((value) => y(Math.min(1, Math.max(0, value))))
    .digits(2);
  series.forEach(({ name, values }, k) => {
    const stroke = `stroke="${COLOURS[k % COLOURS.length]}" stroke-width="1.8"${k < COLOURS.length ? '' : ' stroke-dasharray="6 3"'}`;
    const row = top + 10 + 18 * k;
    parts.push(
      `<path d="${path(Array.from(values)) ?? ''}" fill="none" ${stroke}/>`,
      `<line x1="${right + 30}" x2="${right + 48}" y1="${row}" y2="${row}" ${stroke}/>`,
      `<text x="${right + 54}" y="${row}" dy="0.32em">${escapeMarkup(name)}</text>`,
    );
  });
  return svgChart(width, height, title, parts);
}

/**
 * Ring correlations over spatial frequency as pixels, for places that show pictures only.
 *
 * @example
 * await writeFile('frc.png', encodePng(renderCorrelationChart([{ name: 'amplitude', values: curve }], { side_px: 128, title: 'FRC' })));
 */
import { scaleLinear } from 'd3-scale';
import { Canvas, type Colour } from './canvas.js';
import { drawChartFrame, SERIES_COLOURS } from './chartFrame.js';
import type { CorrelationSeries } from './correlationCurves.js';
import { LETTER_HEIGHT, textLength, writeText } from './font.js';
import type { Pixels } from './png.js';

/** A level or a curve to read the correlation against. */
export interface CorrelationThreshold {
  readonly label: string;
  readonly at: number | ArrayLike<number>;
}

const THRESHOLD: Colour = [130, 130, 130];
const MARGIN = { top: 56, right: 90, bottom: 46, left: 60 };

/**
 * Pixels of the given curves, zero frequency to Nyquist.
 * @param options.side_px side of the square that was transformed: element i of a curve is i periods across it
 */
export function renderCorrelationChart(
  series: readonly CorrelationSeries[],
  options: {
    readonly side_px: number;
    readonly title: string;
    readonly thresholds?: readonly CorrelationThreshold[];
    readonly width?: number;
    readonly height?: number;
  },
): Pixels {
  const { side_px, title, thresholds = [], width = 640, height = 360 } = options;
  const box = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, foot: height - MARGIN.bottom };
  const x = scaleLinear().domain([0, 0.5]).range([box.left, box.right]);
  const y = scaleLinear().domain([0, 1]).range([box.foot, box.top]);
  const canvas = new Canvas(width, height);
  drawChartFrame(canvas, {
    ...{ box, height, title },
    rows: y.ticks(5).map((tick) => ({ at: y(tick), text: String(tick) })),
    columns: x.ticks(5).map((tick) => ({ at: x(tick), text: String(tick) })),
    below: 'spatial frequency, periods per pixel',
    beside: 'correlation',
  });

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
  let left = MARGIN.left;
  series.forEach(({ name, values }, k) => {
    const colour = SERIES_COLOURS[k % SERIES_COLOURS.length];
    draw(values, colour, 2);
    canvas.fill(left, 30 + Math.floor(LETTER_HEIGHT / 2), 20, 2, colour);
    writeText(canvas, name, left + 26, 30);
    left += 26 + textLength(name) + 20;
  });
  return canvas.pixels;
}

const clamped = (value: number): number => Math.min(1, Math.max(0, value));

/**
 * Ring correlations over spatial frequency as pixels, for places that show pictures only.
 *
 * @example
 * await writeFile('frc.png', encodePng(renderCorrelationChart([{ name: 'amplitude', values: curve }], { side_px: 128, title: 'FRC' })));
 */
import { scaleLinear } from 'd3-scale';
import { BLACK, Canvas, type Colour } from './canvas.js';
import type { CorrelationSeries } from './correlationCurves.js';
import { LETTER_HEIGHT, textLength, writeText } from './font.js';
import type { Pixels } from './png.js';

/** A level or a curve to read the correlation against. */
export interface CorrelationThreshold {
  readonly label: string;
  readonly at: number | ArrayLike<number>;
}

// Okabe and Ito's colours.
const COLOURS: readonly Colour[] = [
  [0, 114, 178],
  [213, 94, 0],
  [0, 158, 115],
  [204, 121, 167],
];
const GRID: Colour = [222, 222, 222];
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
  for (const tick of y.ticks(5)) {
    const at = Math.round(y(tick));
    canvas.fill(box.left, at, box.right - box.left, 1, GRID);
    writeText(canvas, String(tick), box.left - 8 - textLength(String(tick)), at - LETTER_HEIGHT / 2);
  }
  canvas.fill(box.left, box.top, 1, box.foot - box.top, BLACK);
  canvas.fill(box.left, box.foot, box.right - box.left, 1, BLACK);
  for (const tick of x.ticks(5)) {
    const at = Math.round(x(tick));
    canvas.fill(at, box.foot, 1, 5, BLACK);
    writeText(canvas, String(tick), at - textLength(String(tick)) / 2, box.foot + 8);
  }
  writeText(canvas, title, 10, 8);
  const below = 'spatial frequency, periods per pixel';
  writeText(canvas, below, (box.left + box.right - textLength(below)) / 2, height - LETTER_HEIGHT - 6);
  writeText(canvas, 'correlation', 8, (box.top + box.foot - textLength('correlation')) / 2, { upwards: true });

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
    const colour = COLOURS[k % COLOURS.length];
    draw(values, colour, 2);
    canvas.fill(left, 30 + Math.floor(LETTER_HEIGHT / 2), 20, 2, colour);
    writeText(canvas, name, left + 26, 30);
    left += 26 + textLength(name) + 20;
  });
  return canvas.pixels;
}

const clamped = (value: number): number => Math.min(1, Math.max(0, value));

/**
 * A map of a scan: every position a dot, coloured by a value, with the outlines of probe and object in the same pixels.
 *
 * @example
 * await writeFile('map.png', encodePng(renderScanMap({ xs, ys, values: counts, probeDiameter: 71 })));
 */

import { PtychoError } from '../core/errors.js';
import { extentOf, meanOf } from '../core/numbers.js';
import { BLACK, Canvas, type Colour, GLYPH_HEIGHT, textWidth } from './canvas.js';
import { colourAt, VIRIDIS } from './colormaps.js';
import { drawColours, shortNumber } from './image.js';
import type { Pixels } from './png.js';

/** What is drawn; coordinates and lengths in object pixels, x to the right, y down. */
export interface ScanMap {
  readonly xs: ArrayLike<number>;
  readonly ys: ArrayLike<number>;
  /** One a position; NaN where it is not known. */
  readonly values: ArrayLike<number>;
  /** A circle of this size is drawn around the position nearest to the middle. */
  readonly probeDiameter?: number;
  /** Drawn as a rectangle from (0, 0). */
  readonly object?: { readonly width: number; readonly height: number };
  /** What the values are, written above the colour bar. */
  readonly label?: string;
}

const LONGEST = 700;
const MARGIN = { left: 70, top: 34, right: 96, bottom: 34 };
const BAR = 12;
const UNKNOWN: Colour = [170, 170, 170];
const OUTLINE: Colour = [213, 94, 0];
const OBJECT: Colour = [120, 120, 120];

/** @throws PtychoError DATASET_SHAPE for no positions */
export function renderScanMap({ xs, ys, values, probeDiameter = 0, object, label = '' }: ScanMap): Pixels {
  if (xs.length === 0 || xs.length !== ys.length || xs.length !== values.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `A map needs x, y and a value of each position, got ${xs.length}, ${ys.length} and ${values.length}.`,
      { found: [xs.length, ys.length, values.length] },
    );
  }
  const [x0, x1] = span(xs, probeDiameter / 2, object?.width);
  const [y0, y1] = span(ys, probeDiameter / 2, object?.height);
  const zoom = LONGEST / Math.max(x1 - x0, y1 - y0);
  const [width, height] = [Math.max(1, Math.round(zoom * (x1 - x0))), Math.max(1, Math.round(zoom * (y1 - y0)))];
  const plotHeight = Math.max(height, 120);
  const canvas = new Canvas(MARGIN.left + width + MARGIN.right, MARGIN.top + plotHeight + MARGIN.bottom);
  const atX = (x: number) => MARGIN.left + zoom * (x - x0);
  const atY = (y: number) => MARGIN.top + zoom * (y - y0);

  if (object !== undefined) {
    const [left, top] = [Math.round(atX(0)), Math.round(atY(0))];
    canvas.frame(left, top, Math.round(zoom * object.width), Math.round(zoom * object.height), OBJECT);
    canvas.text('OBJECT', left + 4, top + 4, OBJECT);
  }
  const [low, high] = limits(values);
  const radius = Math.min(6, Math.max(1, 0.28 * zoom * Math.sqrt(((x1 - x0) * (y1 - y0)) / xs.length)));
  for (let i = 0; i < xs.length; i++) {
    const position = high > low ? (values[i] - low) / (high - low) : 0.5;
    canvas.disc(atX(xs[i]), atY(ys[i]), radius, Number.isFinite(values[i]) ? colourAt(VIRIDIS, position) : UNKNOWN);
  }
  if (probeDiameter > 0) {
    const middle = nearest(xs, ys);
    canvas.circle(atX(xs[middle]), atY(ys[middle]), (zoom * probeDiameter) / 2, OUTLINE, 2);
    canvas.text('PROBE', MARGIN.left, MARGIN.top + plotHeight + 18, OUTLINE);
  }
  canvas.frame(MARGIN.left - 1, MARGIN.top - 1, width + 2, height + 2, BLACK);
  axes(canvas, { x0, x1, y0, y1, width, height });
  colourBar(canvas, MARGIN.left + width + 16, plotHeight, low, high, label);
  return canvas.pixels;
}

function axes(
  canvas: Canvas,
  { x0, x1, y0, y1, width, height }: { x0: number; x1: number; y0: number; y1: number; width: number; height: number },
): void {
  const [left, top] = [MARGIN.left, MARGIN.top];
  canvas.text('x px', left + width / 2 - textWidth('x px') / 2, top - 18);
  canvas.text(String(Math.round(x0)), left, top - 18);
  canvas.text(String(Math.round(x1)), left + width - textWidth(String(Math.round(x1))), top - 18);
  const beside = (text: string, y: number) => canvas.text(text, left - 8 - textWidth(text), y);
  beside(String(Math.round(y0)), top);
  beside('y px', Math.round(top + height / 2));
  beside(String(Math.round(y1)), top + height - GLYPH_HEIGHT);
}

function colourBar(canvas: Canvas, left: number, height: number, low: number, high: number, label: string): void {
  const top = MARGIN.top;
  drawColours(canvas, VIRIDIS, { left, top, width: BAR, height });
  canvas.text(label.toUpperCase(), Math.min(left, canvas.width - textWidth(label)), top - 18);
  canvas.text(shortNumber(high), left + BAR + 4, top);
  canvas.text(shortNumber(low), left + BAR + 4, top + height - GLYPH_HEIGHT);
}

function span(values: ArrayLike<number>, margin: number, length?: number): [number, number] {
  const [least, most] = extentOf(values);
  let [low, high] = [least - margin, most + margin];
  if (length !== undefined) [low, high] = [Math.min(low, 0), Math.max(high, length)];
  const room = 0.03 * (high - low) || 1;
  return [low - room, high + room];
}

function limits(values: ArrayLike<number>): [number, number] {
  const [low, high] = extentOf(Array.from(values).filter(Number.isFinite));
  return Number.isFinite(low) ? [low, high] : [0, 0];
}

function nearest(xs: ArrayLike<number>, ys: ArrayLike<number>): number {
  const [mx, my] = [meanOf(xs), meanOf(ys)];
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (let i = 0; i < xs.length; i++) {
    const distance = Math.hypot(xs[i] - mx, ys[i] - my);
    if (distance < least) [best, least] = [i, distance];
  }
  return best;
}

/**
 * Maps of a scan: every position a dot, coloured by a value, with the outlines of probe and object; and what correcting positions did.
 *
 * @example
 * await writeFile('map.png', await drawPng(scanMap({ xs, ys, values: counts, probeDiameter: 71 })));
 */

import { PtychoError } from '../core/errors.js';
import { extentOf, meanOf } from '../core/numbers.js';
import { colourAt, VIRIDIS } from './colormaps.js';
import { colourBar, figure, mark, type Panel, SINGLE } from './figure.js';
import { shortNumber } from './image.js';
import type { Drawing, VegaPart } from './renderer.js';

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
  /** What the values are, written beside the colours. */
  readonly label?: string;
  readonly title?: string;
  readonly note?: string;
  /** Side of a pixel, metres: axes are then in micrometres. */
  readonly pixelSize_m?: number;
  /** Longer side of the map, pixels of the document; `SINGLE` where not given. */
  readonly side_px?: number;
}

const UNKNOWN = '#aaaaaa';
const OUTLINE = '#d55e00';
/** Colours that are told apart; each is one path, so that a map of many thousand positions stays small. */
const SHADES = 64;

/** The map as a drawing of its own. @throws PtychoError DATASET_SHAPE for no positions */
export const scanMap = (map: ScanMap): Drawing => figure([scanMapPanel(map)]);

/** The map as a panel. @throws PtychoError DATASET_SHAPE for no positions */
export function scanMapPanel(map: ScanMap): Panel {
  const { xs, ys, values, probeDiameter = 0, object, label = '', title = 'Scan positions' } = map;
  if (xs.length === 0 || xs.length !== ys.length || xs.length !== values.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `A map needs x, y and a value of each position, got ${xs.length}, ${ys.length} and ${values.length}.`,
      { found: [xs.length, ys.length, values.length] },
    );
  }
  const place = placeOf(map, probeDiameter / 2, object);
  const { atX, atY, zoom, width, height } = place;
  const [low, high] = limits(values);
  const radius = Math.min(7, Math.max(1.2, 0.28 * Math.sqrt((width * height) / xs.length)));
  const shades = new Map<string, string[]>();
  for (let i = 0; i < xs.length; i++) {
    const shade = high > low ? Math.floor(((values[i] - low) / (high - low)) * (SHADES - 1) + 0.5) / (SHADES - 1) : 0.5;
    const colour = Number.isFinite(values[i]) ? hex(colourAt(VIRIDIS, shade)) : UNKNOWN;
    // A dot is a line of no length with round ends.
    const dots = shades.get(colour) ?? [];
    dots.push(`M${atX(xs[i])},${atY(ys[i])}h0.01`);
    shades.set(colour, dots);
  }
  const marks = Array.from(shades, ([colour, dots]) =>
    mark('path', { path: dots.join(''), stroke: colour, strokeWidth: 2 * radius, strokeCap: 'round' }),
  );
  if (object !== undefined) {
    const [left, top] = [atX(0), atY(0)];
    marks.unshift(
      mark('rect', { x: left, y: top, width: zoom * object.width, height: zoom * object.height, stroke: '#777777', strokeDash: [5, 4] }), // biome-ignore format: one mark
      mark('text', { x: left + 5, y: top + 5, text: 'object', baseline: 'top', fontSize: 12, fill: '#777777' }),
    );
  }
  if (probeDiameter > 0) {
    const middle = nearest(xs, ys);
    const [x, y] = [atX(xs[middle]), atY(ys[middle])];
    marks.push(
      mark('symbol', { x, y, size: Math.PI * ((zoom * probeDiameter) / 2) ** 2, stroke: OUTLINE, strokeWidth: 2.5 }),
      mark('text', { x, y: y - (zoom * probeDiameter) / 2 - 5, text: 'probe', align: 'center', baseline: 'bottom', fontSize: 13, fill: OUTLINE, fontWeight: 'bold' }), // biome-ignore format: one mark
    );
  }
  const known = high > low;
  if (known) marks.push(colourBar({ low, high, colormap: VIRIDIS }, label, width, height, place.font));
  return {
    title,
    description: `${title}: ${xs.length} positions${known ? `, ${label || 'values'} from ${shortNumber(low)} to ${shortNumber(high)}` : ''}.`,
    group: framed(place, title, map.note, marks),
  };
}

/** Positions as they were measured and as they were corrected, object pixels. */
export interface PositionShifts {
  readonly measured: { readonly xs: ArrayLike<number>; readonly ys: ArrayLike<number> };
  readonly corrected: { readonly xs: ArrayLike<number>; readonly ys: ArrayLike<number> };
  readonly pixelSize_m?: number;
}

/** A line from every measured position to where it was found to be, lengthened where moves are too small to be seen, which is said. */
export function positionShiftMap({ measured, corrected, pixelSize_m }: PositionShifts): Drawing {
  const count = measured.xs.length;
  const moves = Float64Array.from({ length: count }, (_, i) =>
    Math.hypot(corrected.xs[i] - measured.xs[i], corrected.ys[i] - measured.ys[i]),
  );
  const place = placeOf({ xs: measured.xs, ys: measured.ys, pixelSize_m }, 0);
  const { atX, atY, zoom, width, height } = place;
  const [, most] = extentOf(moves);
  const rms = Math.sqrt(meanOf(moves.map((v) => v * v)));
  const step = Math.sqrt((width * height) / Math.max(1, count));
  const wanted = rms > 0 ? (0.6 * step) / (zoom * rms) : 1;
  const factor = wanted <= 1.5 ? 1 : Math.max(1, Number(wanted.toPrecision(1)));
  const shades = new Map<string, { lines: string[]; dots: string[] }>();
  for (let i = 0; i < count; i++) {
    const shade = most > 0 ? Math.round((moves[i] / most) * (SHADES - 1)) / (SHADES - 1) : 0;
    const colour = hex(colourAt(VIRIDIS, 0.92 * shade));
    const of = shades.get(colour) ?? { lines: [], dots: [] };
    const [dx, dy] = [corrected.xs[i] - measured.xs[i], corrected.ys[i] - measured.ys[i]].map((v) => factor * zoom * v);
    const [x, y] = [atX(measured.xs[i]), atY(measured.ys[i])];
    of.lines.push(`M${x},${y}L${rounded(x + dx)},${rounded(y + dy)}`);
    of.dots.push(`M${rounded(x + dx)},${rounded(y + dy)}h0.01`);
    shades.set(colour, of);
  }
  const dot = Math.min(6, Math.max(2, 0.22 * step));
  const marks = Array.from(shades, ([colour, { lines, dots }]) => [
    mark('path', { path: lines.join(''), stroke: colour, strokeWidth: 1.3 }),
    mark('path', { path: dots.join(''), stroke: colour, strokeWidth: dot, strokeCap: 'round' }),
  ]).flat();
  if (most > 0)
    marks.push(colourBar({ low: 0, high: most, colormap: VIRIDIS }, 'move / px', width, height, place.font));
  const title = 'Corrected positions';
  const note = `root mean square ${shortNumber(rms)} px, largest ${shortNumber(most)} px${factor > 1 ? `; lines are drawn ${factor} times as long` : ''}`;
  return figure([
    { title, description: `${title}: ${count} moves, ${note}.`, group: framed(place, title, note, marks) },
  ]);
}

interface Place {
  readonly font: { readonly labelFontSize: number; readonly titleFontSize: number };
  readonly titleSize: number;
  readonly zoom: number;
  readonly width: number;
  readonly height: number;
  readonly atX: (x: number) => number;
  readonly atY: (y: number) => number;
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
  readonly unit: string;
}

function placeOf(
  { xs, ys, pixelSize_m, side_px = SINGLE }: Pick<ScanMap, 'xs' | 'ys' | 'pixelSize_m' | 'side_px'>,
  margin: number,
  object?: ScanMap['object'],
): Place {
  const [x0, x1] = span(xs, margin, object?.width);
  const [y0, y1] = span(ys, margin, object?.height);
  const zoom = side_px / Math.max(x1 - x0, y1 - y0);
  const [width, height] = [Math.max(40, zoom * (x1 - x0)), Math.max(40, zoom * (y1 - y0))];
  const step = pixelSize_m === undefined ? 1 : pixelSize_m * 1e6;
  const small = side_px < 450;
  return {
    font: small ? { labelFontSize: 11, titleFontSize: 12 } : { labelFontSize: 13, titleFontSize: 14 },
    titleSize: small ? 13 : 16,
    ...{ zoom, width, height, unit: pixelSize_m === undefined ? 'px' : 'µm' },
    atX: (x) => rounded(zoom * (x - x0)),
    atY: (y) => rounded(zoom * (y - y0)),
    x: [x0 * step, (x0 + width / zoom) * step],
    y: [y0 * step, (y0 + height / zoom) * step],
  };
}

function framed(
  { width, height, x, y, unit, font, titleSize }: Place,
  title: string,
  note: string | undefined,
  marks: VegaPart[],
): VegaPart {
  return {
    type: 'group',
    encode: { enter: { width: { value: width }, height: { value: height }, stroke: { value: '#222' } } },
    title: { text: title, ...(note && { subtitle: note, subtitleFontSize: 12 }), fontSize: titleSize },
    scales: [
      { name: 'x', type: 'linear', zero: false, domain: x, range: [0, width] },
      { name: 'y', type: 'linear', zero: false, domain: y, range: [0, height] },
    ],
    axes: [
      { orient: 'bottom', scale: 'x', title: `x / ${unit}`, tickCount: 6, ...font },
      { orient: 'left', scale: 'y', title: `y / ${unit}`, tickCount: 6, ...font },
    ],
    marks,
  };
}

const rounded = (value: number): number => Math.round(100 * value) / 100;

const hex = (colour: readonly number[]): string => `#${colour.map((v) => v.toString(16).padStart(2, '0')).join('')}`;

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

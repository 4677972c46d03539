/**
 * A picture as a figure: title above, colour bar with its values beside, a bar of known length below.
 *
 * @example
 * const phase = figure(renderPhase(object, { range: 'cycle' }), { title: 'phase', pixelSize_m: 10e-9 });
 * await writeFile('object.png', encodePng(sideBySide([amplitude, phase])));
 */
import { scaleLinear } from 'd3-scale';
import { PtychoError } from '../core/errors.js';
import { BLACK, Canvas, GLYPH_HEIGHT, textWidth } from './canvas.js';
import { LETTER_HEIGHT, textLength, writeText } from './font.js';
import { drawColours, type Picture, shortNumber } from './image.js';
import type { Pixels } from './png.js';

/** How a figure is drawn; everything may be left out. */
export interface FigureOptions {
  readonly title?: string;
  /** Side of a pixel, metres: the bar below is then so many nanometres or micrometres long instead of pixels. */
  readonly pixelSize_m?: number;
  /** Enlarged (or, below 1, reduced) so that the longer side gets about this many pixels; 300 where not given. */
  readonly size_px?: number;
}

/** A length that is easy to read, and what is written beside it. */
export interface ScaleBar {
  /** In pixels of the picture; not always whole. */
  readonly length_px: number;
  readonly label: string;
}

const MARGIN = 10;
const TITLE = LETTER_HEIGHT + 7;
const BAR = { gap: 10, width: 14, tick: 3 };
const FOOT = LETTER_HEIGHT + 8;
/** The bar is at most this share of the picture's width. */
const LONGEST_BAR = 0.35;
const SIZE_PX = 300;

/**
 * The longest of 1, 2, 5, 10, 20 … (pixels, nanometres, micrometres) that is at most 35 % of a picture's width.
 * @throws PtychoError CONFIG_INVALID for a pixel size that is not a positive number
 */
export function scaleBar(width_px: number, pixelSize_m?: number): ScaleBar {
  if (pixelSize_m === undefined) {
    const length_px = Math.max(1, roundDown(LONGEST_BAR * width_px));
    return { length_px, label: `${length_px} px` };
  }
  if (!(pixelSize_m > 0 && Number.isFinite(pixelSize_m))) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `pixelSize_m must be the side of a pixel in metres, a positive number, found ${pixelSize_m}.`,
      { key: 'pixelSize_m', found: pixelSize_m },
    );
  }
  const length_nm = roundDown(LONGEST_BAR * width_px * pixelSize_m * 1e9);
  const label = length_nm < 1000 ? `${length_nm} nm` : `${Number((length_nm / 1000).toPrecision(1))} µm`;
  return { length_px: length_nm / (pixelSize_m * 1e9), label };
}

/** The largest of 1, 2, 5 times a power of ten that is not above a value. */
function roundDown(value: number): number {
  const exponent = Math.floor(Math.log10(value) + 1e-9);
  const mantissa = value / 10 ** exponent;
  const kept = mantissa >= 5 - 1e-9 ? 5 : mantissa >= 2 - 1e-9 ? 2 : 1;
  // As a decimal, so that 2·10⁻¹ is 0.2.
  return Number(`${kept}e${exponent}`);
}

/** The figure of a picture. */
export function figure(picture: Picture, options: FigureOptions = {}): Pixels {
  const { shown, zoom } = sized(picture, options.size_px ?? SIZE_PX);
  const [width, height] = [shown.width, shown.height];
  const ticks = barTicks(picture);
  const { unit } = picture;
  const labels = Math.max(textLength(unit), ...ticks.map(({ text }) => textLength(text)));
  const top = MARGIN + (options.title === undefined && unit === '' ? 0 : TITLE);
  const barLeft = MARGIN + width + BAR.gap;
  const bar = scaleBar(picture.width, options.pixelSize_m);
  const barLength = Math.max(1, Math.round(bar.length_px * zoom));
  const canvas = new Canvas(
    Math.max(barLeft + BAR.width + BAR.tick + 4 + labels, MARGIN + textLength(options.title ?? ''), MARGIN + barLength + 8 + textLength(bar.label)) + MARGIN, // biome-ignore format: one call
    top + height + FOOT + MARGIN,
  );
  if (options.title !== undefined) writeText(canvas, options.title, MARGIN, MARGIN);
  canvas.place(shown, MARGIN, top);

  drawColours(canvas, picture.colormap, { left: barLeft, top, width: BAR.width, height });
  for (const { text, at } of ticks) {
    const y = top + Math.round((1 - at) * (height - 1));
    canvas.fill(barLeft + BAR.width, y, BAR.tick, 1, BLACK);
    const row = Math.min(top + height - LETTER_HEIGHT + 2, Math.max(top - 2, y - (LETTER_HEIGHT >> 1)));
    writeText(canvas, text, barLeft + BAR.width + BAR.tick + 4, row);
  }
  if (unit !== '') writeText(canvas, unit, barLeft, MARGIN);

  const foot = top + height + 6;
  const middle = foot + (LETTER_HEIGHT >> 1);
  canvas.fill(MARGIN, middle - 1, barLength, 3, BLACK);
  writeText(canvas, bar.label, MARGIN + barLength + 8, foot);
  return canvas.pixels;
}

/** Figures in a row, their upper edges on one line. */
export const sideBySide = (figures: readonly Pixels[]): Pixels => inColumns(figures, figures.length);

/** Figures row by row; those of a row have their upper edges on one line, those of a column their left ones. */
export function inColumns(figures: readonly Pixels[], columns: number): Pixels {
  const widths = Array.from({ length: columns }, (_, c) =>
    Math.max(...figures.filter((_, k) => k % columns === c).map(({ width }) => width)),
  );
  const rows = Array.from({ length: Math.ceil(figures.length / columns) }, (_, r) =>
    figures.slice(r * columns, (r + 1) * columns),
  );
  const heights = rows.map((row) => Math.max(...row.map(({ height }) => height)));
  const canvas = new Canvas(sumOf(widths), sumOf(heights));
  rows.forEach((row, r) => {
    row.forEach((one, c) => {
      canvas.place(one, sumOf(widths.slice(0, c)), sumOf(heights.slice(0, r)));
    });
  });
  return canvas.pixels;
}

const sumOf = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0);

/** What stands beside the bar, and where between its ends (0 … 1). */
function barTicks({ low, high }: Picture): { readonly text: string; readonly at: number }[] {
  const isTurn = Math.abs(low + Math.PI) < 1e-6 && Math.abs(high - Math.PI) < 1e-6;
  if (isTurn) {
    return ['−π', '−π/2', '0', 'π/2', 'π'].map((text, k) => ({ text, at: k / 4 }));
  }
  const scale = scaleLinear().domain([low, high]);
  const ticks = scale.ticks(5);
  // Where round numbers cannot be told apart, the two ends say more.
  const texts = new Set(ticks.map(shortNumber));
  if (texts.size < ticks.length || ticks.length < 2) return [low, high].map((v, at) => ({ text: shortNumber(v), at }));
  return ticks.map((v) => ({ text: shortNumber(v), at: scale(v) }));
}

/** The picture near a size: pixels repeated, or averaged over squares; `zoom` is the factor. */
function sized(picture: Picture, size_px: number): { readonly shown: Pixels; readonly zoom: number } {
  const longest = Math.max(picture.width, picture.height);
  if (longest <= size_px * 1.5) {
    const zoom = Math.max(1, Math.floor(size_px / longest + 0.3));
    const canvas = new Canvas(picture.width * zoom, picture.height * zoom);
    canvas.place(picture, 0, 0, zoom);
    return { shown: canvas.pixels, zoom };
  }
  const factor = Math.ceil(longest / size_px);
  return { shown: averaged(picture, factor), zoom: 1 / factor };
}

/** Means of squares of `factor` pixels a side; what is left at the right and at the foot counts as a narrower square. */
function averaged({ width, height, data }: Picture, factor: number): Pixels {
  const canvas = new Canvas(Math.ceil(width / factor), Math.ceil(height / factor));
  for (let y = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++) {
      const sum = [0, 0, 0];
      let count = 0;
      for (let r = y * factor; r < Math.min(height, (y + 1) * factor); r++) {
        for (let c = x * factor; c < Math.min(width, (x + 1) * factor); c++) {
          for (let k = 0; k < 3; k++) sum[k] += data[3 * (r * width + c) + k];
          count++;
        }
      }
      canvas.dot(x, y, [sum[0] / count, sum[1] / count, sum[2] / count]);
    }
  }
  return canvas.pixels;
}

/** A picture and the lines above it. */
export interface Tile {
  readonly title: readonly string[];
  readonly picture: Pixels;
}

const GAP = 12;
const LINE = GLYPH_HEIGHT + 4;
/** Smaller pictures are enlarged by whole numbers up to about this width. */
const COMFORTABLE_WIDTH = 240;

/** The tiles row by row, `columns` in a row, in the given order. */
export function contactSheet(tiles: readonly Tile[], columns: number): Pixels {
  const widest = Math.max(...tiles.map((tile) => tile.picture.width));
  const zoom = Math.max(1, Math.floor(COMFORTABLE_WIDTH / widest));
  const titleWidth = Math.max(...tiles.flatMap((tile) => tile.title.map(textWidth)));
  const titleHeight = LINE * Math.max(...tiles.map((tile) => tile.title.length));
  const cellWidth = Math.max(zoom * widest, titleWidth) + GAP;
  const cellHeight = titleHeight + zoom * Math.max(...tiles.map((tile) => tile.picture.height)) + GAP;
  const rows = Math.ceil(tiles.length / columns);
  const canvas = new Canvas(GAP + Math.min(columns, tiles.length) * cellWidth, GAP + rows * cellHeight);
  tiles.forEach(({ title, picture }, i) => {
    const left = GAP + (i % columns) * cellWidth;
    const top = GAP + Math.floor(i / columns) * cellHeight;
    title.forEach((line, l) => {
      canvas.text(line.toUpperCase(), left, top + l * LINE);
    });
    canvas.place(picture, left, top + titleHeight, zoom);
  });
  return canvas.pixels;
}

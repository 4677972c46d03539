/**
 * Small pictures side by side, each with its title: for choices that are easier to see than to read.
 *
 * @example
 * await writeFile('sheet.png', encodePng(contactSheet([{ title: ['1', 'R 0.09'], picture }], 4)));
 */
import { Canvas, textWidth } from './canvas.js';
import { GLYPH_HEIGHT } from './glyphs.js';
import type { Pixels } from './png.js';

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

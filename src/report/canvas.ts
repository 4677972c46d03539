/**
 * A sheet of pixels to place pictures, labels and simple marks on.
 *
 * @example
 * const canvas = new Canvas(200, 100);
 * canvas.place(renderPhase(object), 10, 20);
 * canvas.text('R 0.09', 10, 4);
 * await writeFile('sheet.png', encodePng(canvas.pixels));
 */
import type { Pixels } from './png.js';

/** Red, green, blue, 0 to 255. */
export type Colour = readonly [number, number, number];

export const BLACK: Colour = [0, 0, 0];
export const WHITE: Colour = [255, 255, 255];

/** Blank columns between two characters. */
const LETTER_GAP = 2;

/** Width of a label in pixels, the gap after its last character included. */
export const textWidth = (text: string): number => text.length * (GLYPH_WIDTH + LETTER_GAP);

/** An RGB sheet, white at first; what falls outside is not drawn. Coordinates are columns (x) and rows (y) from the upper left corner. */
export class Canvas {
  readonly pixels: Pixels & { readonly channels: 3 };

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.pixels = { width, height, channels: 3, data: new Uint8Array(width * height * 3).fill(255) };
  }

  /** Colours one pixel, `opacity` from 0 to 1. */
  dot(x: number, y: number, colour: Colour, opacity = 1): void {
    if (!(x >= 0 && y >= 0 && x < this.width && y < this.height)) return;
    const at = 3 * (y * this.width + x);
    const { data } = this.pixels;
    for (let c = 0; c < 3; c++) data[at + c] = Math.round((1 - opacity) * data[at + c] + opacity * colour[c]);
  }

  /** Fills a rectangle. */
  fill(left: number, top: number, width: number, height: number, colour: Colour): void {
    for (let y = top; y < top + height; y++) for (let x = left; x < left + width; x++) this.dot(x, y, colour);
  }

  /** Places a picture with its upper left corner at (left, top), every pixel `zoom` times as wide and high. */
  place(picture: Pixels, left: number, top: number, zoom = 1): void {
    const { width, height, channels, data } = picture;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = channels * (y * width + x);
        const colour: Colour = channels === 3 ? [data[at], data[at + 1], data[at + 2]] : [data[at], data[at], data[at]];
        this.fill(left + zoom * x, top + zoom * y, zoom, zoom, colour);
      }
    }
  }

  /** Writes a label, its upper left corner at (left, top); letters are drawn as capitals, but for the e of 1.5e7. */
  text(label: string, left: number, top: number, colour: Colour = BLACK): void {
    for (let k = 0; k < label.length; k++) {
      for (let y = 0; y < GLYPH_HEIGHT; y++) {
        for (let x = 0; x < GLYPH_WIDTH; x++) {
          if (glyphPixel(label[k], x, y)) this.dot(left + textWidth(label.slice(0, k)) + x, top + y, colour);
        }
      }
    }
  }

  /** A filled disc with soft edges. */
  disc(centreX: number, centreY: number, radius: number, colour: Colour): void {
    this.round(centreX, centreY, radius + 1, (distance) => clamp(radius + 0.5 - distance), colour);
  }

  /** The outline of a circle. */
  circle(centreX: number, centreY: number, radius: number, colour: Colour, stroke = 1): void {
    const cover = (distance: number) => clamp(stroke / 2 + 0.5 - Math.abs(distance - radius));
    this.round(centreX, centreY, radius + stroke, cover, colour);
  }

  /** The outline of a rectangle, one pixel wide. */
  frame(left: number, top: number, width: number, height: number, colour: Colour): void {
    this.fill(left, top, width, 1, colour);
    this.fill(left, top + height - 1, width, 1, colour);
    this.fill(left, top, 1, height, colour);
    this.fill(left + width - 1, top, 1, height, colour);
  }

  /** A straight line with soft edges and round ends. */
  line(x0: number, y0: number, x1: number, y1: number, colour: Colour, stroke = 1): void {
    const reach = stroke / 2 + 1;
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length2 = dx * dx + dy * dy;
    for (let y = Math.floor(Math.min(y0, y1) - reach); y <= Math.max(y0, y1) + reach; y++) {
      for (let x = Math.floor(Math.min(x0, x1) - reach); x <= Math.max(x0, x1) + reach; x++) {
        const along = length2 === 0 ? 0 : clamp(((x - x0) * dx + (y - y0) * dy) / length2);
        const part = clamp(stroke / 2 + 0.5 - Math.hypot(x - x0 - along * dx, y - y0 - along * dy));
        if (part > 0) this.dot(x, y, colour, part);
      }
    }
  }

  private round(cx: number, cy: number, reach: number, cover: (distance: number) => number, colour: Colour): void {
    const [bottom, right] = [Math.min(this.height - 1, cy + reach), Math.min(this.width - 1, cx + reach)];
    for (let y = Math.max(0, Math.floor(cy - reach)); y <= bottom; y++) {
      for (let x = Math.max(0, Math.floor(cx - reach)); x <= right; x++) {
        const part = cover(Math.hypot(x - cx, y - cy));
        if (part > 0) this.dot(x, y, colour, part);
      }
    }
  }
}

const clamp = (v: number) => Math.min(1, Math.max(0, v));

/** Width of a character in pixels, without the gap after it. */
export const GLYPH_WIDTH = 6;
/** Height of a character in pixels. */
export const GLYPH_HEIGHT = 10;

// Rows from the top, three bits each, the left pixel is the highest.
const GLYPHS: Readonly<Record<string, readonly number[]>> = {
  '0': [7, 5, 5, 5, 7],
  '1': [2, 6, 2, 2, 7],
  '2': [7, 1, 7, 4, 7],
  '3': [7, 1, 7, 1, 7],
  '4': [5, 5, 7, 1, 1],
  '5': [7, 4, 7, 1, 7],
  '6': [7, 4, 7, 5, 7],
  '7': [7, 1, 1, 2, 2],
  '8': [7, 5, 7, 5, 7],
  '9': [7, 5, 7, 1, 7],
  '.': [0, 0, 0, 0, 2],
  '-': [0, 0, 7, 0, 0],
  // Small, as in 1.5e7; labels that mean the letter write E.
  e: [0, 7, 7, 4, 7],
  A: [2, 5, 7, 5, 5],
  B: [6, 5, 6, 5, 6],
  C: [3, 4, 4, 4, 3],
  D: [6, 5, 5, 5, 6],
  E: [7, 4, 6, 4, 7],
  F: [7, 4, 6, 4, 4],
  G: [3, 4, 5, 5, 3],
  H: [5, 5, 7, 5, 5],
  I: [7, 2, 2, 2, 7],
  J: [1, 1, 1, 5, 2],
  K: [5, 5, 6, 5, 5],
  L: [4, 4, 4, 4, 7],
  M: [5, 7, 7, 5, 5],
  N: [6, 5, 5, 5, 5],
  O: [2, 5, 5, 5, 2],
  P: [6, 5, 6, 4, 4],
  Q: [2, 5, 5, 6, 3],
  R: [6, 5, 6, 5, 5],
  S: [3, 4, 2, 1, 6],
  T: [7, 2, 2, 2, 2],
  U: [5, 5, 5, 5, 7],
  V: [5, 5, 5, 5, 2],
  W: [5, 5, 7, 7, 5],
  X: [5, 5, 2, 5, 5],
  Y: [5, 5, 2, 2, 2],
  Z: [7, 1, 2, 4, 7],
  _: [0, 0, 0, 0, 7],
  ':': [0, 2, 0, 2, 0],
  ',': [0, 0, 0, 2, 4],
  '%': [5, 1, 2, 4, 5],
  '(': [1, 2, 2, 2, 1],
  ')': [4, 2, 2, 2, 4],
  '=': [0, 7, 0, 7, 0],
  '+': [0, 2, 7, 2, 0],
  '/': [1, 1, 2, 4, 4],
};

/** True when the pixel (x, y) of a character is ink; small letters are drawn as capitals, what is not drawn here stays blank. */
export function glyphPixel(character: string, x: number, y: number): boolean {
  const glyph = GLYPHS[character] ?? GLYPHS[character.toUpperCase()];
  return (((glyph?.[y >> 1] ?? 0) >> (2 - (x >> 1))) & 1) === 1;
}

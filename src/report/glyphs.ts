/** The few characters that a number needs, drawn 3 × 5 and doubled: a colour bar in a PNG has no fonts. */

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
  e: [0, 7, 7, 4, 7],
};

/** True when the pixel (x, y) of a character is ink; a character that is not drawn here stays blank. */
export function glyphPixel(character: string, x: number, y: number): boolean {
  return (((GLYPHS[character]?.[y >> 1] ?? 0) >> (2 - (x >> 1))) & 1) === 1;
}

/** The few characters that numbers and short labels need, drawn 3 × 5 and doubled: a PNG has no fonts. */

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

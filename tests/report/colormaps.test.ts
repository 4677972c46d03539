import { describe, expect, it } from 'vitest';
import { type Colormap, colourAt, GRAY, indexAt, TWILIGHT, VIRIDIS } from '../../src/report/colormaps.js';

/** CIE lightness L* of an sRGB colour, D65. */
function lightness(map: Colormap, row: number): number {
  const linear = (byte: number) => (byte / 255 <= 0.04045 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = map.rgb.slice(3 * row, 3 * row + 3);
  const y = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  return y > 216 / 24389 ? 116 * Math.cbrt(y) - 16 : (24389 / 27) * y;
}

const lightnesses = (map: Colormap) => Array.from({ length: 256 }, (_, row) => lightness(map, row));

describe('colour maps', () => {
  it.each([VIRIDIS, GRAY])('$name rises in lightness from end to end', (map) => {
    expect(map.rgb.length).toBe(768);
    const l = lightnesses(map);
    // A byte of green is a third of a unit of lightness, so single steps may waver by a tenth.
    for (let row = 1; row < 256; row++) expect(l[row] - l[row - 1], `row ${row}`).toBeGreaterThan(-0.1);
    for (let row = 8; row < 256; row++) expect(l[row], `row ${row}`).toBeGreaterThan(l[row - 8] + 1);
    expect(l[255] - l[0]).toBeGreaterThan(70);
  });

  it('viridis has its published ends', () => {
    expect(colourAt(VIRIDIS, 0)).toEqual([68, 1, 84]);
    expect(colourAt(VIRIDIS, 1)).toEqual([253, 231, 37]);
  });

  it('twilight closes its circle, falls to the middle and rises again', () => {
    const l = lightnesses(TWILIGHT);
    const step = (a: number, b: number) =>
      Math.hypot(...[0, 1, 2].map((c) => TWILIGHT.rgb[3 * a + c] - TWILIGHT.rgb[3 * b + c]));
    expect(step(255, 0)).toBeLessThan(5);
    for (let row = 1; row < 256; row++) expect(step(row, row - 1)).toBeLessThan(12);
    const darkest = l.indexOf(Math.min(...l));
    expect(Math.abs(darkest - 128)).toBeLessThan(4);
    for (let row = 6; row < darkest - 4; row++) expect(l[row]).toBeLessThan(l[row - 4] + 0.1);
    for (let row = darkest + 8; row < 252; row++) expect(l[row]).toBeGreaterThan(l[row - 4] - 0.1);
  });

  it('clamps positions, and wraps them in a cyclic map', () => {
    expect([-1, 0, 0.5, 0.999, 1, 7].map((p) => indexAt(VIRIDIS, p))).toEqual([0, 0, 128, 255, 255, 255]);
    expect([-0.25, 0, 0.5, 1, 1.25].map((p) => indexAt(TWILIGHT, p))).toEqual([192, 0, 128, 0, 64]);
  });
});

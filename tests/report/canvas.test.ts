/** Sheets of pictures and maps of scans. */
import { decode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { BLACK, Canvas, WHITE } from '../../src/report/canvas.js';
import { colourAt, VIRIDIS } from '../../src/report/colormaps.js';
import { contactSheet } from '../../src/report/figure.js';
import { encodePng, type Pixels } from '../../src/report/png.js';
import { renderScanMap } from '../../src/report/scanMap.js';

const at = ({ width, data }: Pixels, x: number, y: number) =>
  Array.from(data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3));

describe('Canvas', () => {
  it('places pictures enlarged, cuts what lies outside, mixes colours', () => {
    const canvas = new Canvas(6, 4);
    canvas.place({ width: 2, height: 1, channels: 1, data: Uint8Array.of(10, 20) }, 1, 1, 2);
    expect([0, 1, 2, 3, 4, 5].map((x) => at(canvas.pixels, x, 2)[0])).toEqual([255, 10, 10, 20, 20, 255]);
    canvas.fill(-5, -5, 6, 6, BLACK);
    expect(at(canvas.pixels, 0, 0)).toEqual([0, 0, 0]);
    expect(at(canvas.pixels, 1, 0)).toEqual([...WHITE]);
    canvas.dot(5, 3, [0, 100, 200], 0.5);
    expect(at(canvas.pixels, 5, 3)).toEqual([128, 178, 228]);
    canvas.dot(99, 99, BLACK);
  });

  it('writes labels, small letters as capitals', () => {
    const text = (label: string) => {
      const canvas = new Canvas(40, 10);
      canvas.text(label, 0, 0);
      return Array.from(canvas.pixels.data);
    };
    expect(text('flip')).toEqual(text('FLIP'));
    expect(text('FLIP')).not.toEqual(text('FLIX'));
    for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.,:%()=/') expect(text(letter)).toContain(0);
  });

  it('draws discs and circles', () => {
    const canvas = new Canvas(21, 21);
    canvas.circle(10, 10, 8, BLACK, 1);
    expect([at(canvas.pixels, 10, 2), at(canvas.pixels, 18, 10)]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(at(canvas.pixels, 10, 10)).toEqual([255, 255, 255]);
    canvas.disc(10, 10, 3, BLACK);
    expect(at(canvas.pixels, 10, 10)).toEqual([0, 0, 0]);
    expect(at(canvas.pixels, 10, 15)).toEqual([255, 255, 255]);
  });
});

describe('contactSheet', () => {
  it('holds every tile in its place, row by row', () => {
    const tile = (grey: number) => ({
      title: ['A'],
      picture: { width: 200, height: 100, channels: 1 as const, data: new Uint8Array(20_000).fill(grey) },
    });
    const sheet = contactSheet([tile(10), tile(20), tile(30)], 2);
    const found = new Set<number>();
    const corner = (grey: number) => {
      const i = sheet.data.indexOf(grey);
      return [(i / 3) % sheet.width, Math.floor(i / 3 / sheet.width)];
    };
    for (const value of sheet.data) found.add(value);
    expect([...found].sort((a, b) => a - b)).toEqual([0, 10, 20, 30, 255]);
    expect(corner(20)[1]).toBe(corner(10)[1]);
    expect(corner(20)[0]).toBeGreaterThan(corner(10)[0] + 199);
    expect(corner(30)).toEqual([corner(10)[0], expect.any(Number)]);
    expect(corner(30)[1]).toBeGreaterThan(corner(10)[1] + 99);
    expect(decode(encodePng(sheet)).width).toBe(sheet.width);
  });
});

describe('renderScanMap', () => {
  const xs = [0, 100, 0, 100, 50];
  const ys = [0, 0, 50, 50, 25];
  const count = (pixels: Pixels, [red, green, blue]: readonly number[]) => {
    let sum = 0;
    for (let i = 0; i < pixels.data.length; i += 3) {
      if (pixels.data[i] === red && pixels.data[i + 1] === green && pixels.data[i + 2] === blue) sum++;
    }
    return sum;
  };

  it('colours positions by value, keeps the scale of both axes, draws probe and object', () => {
    const map = renderScanMap({ xs, ys, values: [0, 1, 0, 1, Number.NaN], probeDiameter: 20 });
    expect(count(map, colourAt(VIRIDIS, 0))).toBeGreaterThan(50);
    expect(count(map, colourAt(VIRIDIS, 1))).toBeGreaterThan(50);
    expect(count(map, [170, 170, 170])).toBeGreaterThan(20);
    expect(count(map, [213, 94, 0])).toBeGreaterThan(100);
    // 120 × 70 px and their margins.
    expect(map.width / map.height).toBeGreaterThan(1.3);
    const withObject = renderScanMap({ xs, ys, values: [1, 1, 1, 1, 1], object: { width: 100, height: 300 } });
    expect(withObject.height).toBeGreaterThan(withObject.width);
    expect(count(withObject, [120, 120, 120])).toBeGreaterThan(700);
  });

  it('draws a single position, and refuses none', () => {
    expect(renderScanMap({ xs: [3], ys: [4], values: [5] }).width).toBeGreaterThan(100);
    expect(() => renderScanMap({ xs: [], ys: [], values: [] })).toThrow(/A map needs/);
  });
});

/** Metres and pixels: there and back, and images that stay where they were. */
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import { UPRIGHT } from '../../../src/data/opening/orientation.js';
import { toMetres, toPixels } from '../../../src/data/opening/scanGeometry.js';
import { positionsInMetres, positionsOnObject, scanAsProduct } from '../../../src/persistence/product/geometry.js';
import { sampleProduct } from './sampleProduct.js';

const rng = new LegacyRng(11);
const random = (length: number, least: number, most: number) =>
  Float64Array.from({ length }, () => rng.uniform(least, most));

describe('objectGrid', () => {
  it('is the formula of Ptychodus', () => {
    const grid = { pixel_m: { x: 2e-8, y: 5e-8 }, centre_m: { x: 1e-6, y: -3e-6 }, width: 300, height: 201 };
    expect(toPixels(grid).x(1.4e-6)).toBeCloseTo((1.4e-6 - 1e-6) / 2e-8 + 300 / 2, 9);
    expect(toPixels(grid).y(-2e-6)).toBeCloseTo((-2e-6 + 3e-6) / 5e-8 + 201 / 2, 9);
    expect(toMetres(grid).x(150)).toBe(1e-6);
    expect(toMetres(grid).y(100.5)).toBe(-3e-6);
  });

  it('goes there and back for any grid', () => {
    for (let i = 0; i < 500; i++) {
      const [px, py, cx, cy, m] = [...random(2, 1e-9, 1e-6), ...random(3, -1e-3, 1e-3)];
      const grid = {
        pixel_m: { x: px, y: py },
        centre_m: { x: cx, y: cy },
        width: 1 + rng.interval(4000),
        height: 1 + rng.interval(4000),
      };
      const [there, back] = [toPixels(grid), toMetres(grid)];
      expect(Math.abs(back.x(there.x(m)) - m)).toBeLessThan(1e-15);
      expect(Math.abs(back.y(there.y(m)) - m)).toBeLessThan(1e-15);
    }
  });
});

describe('products', () => {
  it('give positions on their object and take them back', () => {
    const { positions, object } = sampleProduct(50, 3);
    const { x, y } = positionsOnObject({ positions, object });
    const again = positionsInMetres(object, positions.indexes, x, y);
    for (let i = 0; i < 50; i++) {
      expect(Math.abs(again.x_m[i] - positions.x_m[i])).toBeLessThan(1e-18);
      expect(Math.abs(again.y_m[i] - positions.y_m[i])).toBeLessThan(1e-18);
    }
  });

  const image = { re: new Float32Array(30), im: new Float32Array(30), shape: [5, 6] };
  const probe = { re: new Float32Array(8), im: new Float32Array(8), shape: [2, 2, 2] };
  const scan = (changes: object = {}) => ({
    source: 'scan.npz',
    geometry: { objectPixel_m: { x: 2e-8, y: 3e-8 } },
    orientation: UPRIGHT,
    xcoords: random(20, -30, 60),
    ycoords: random(20, -30, 60),
    sampleIndices: Int32Array.from({ length: 20 }, (_, i) => 2 * i),
    ...changes,
  });

  it('have an image where it was stitched, and positions in the metres of the file', () => {
    const raw = scan();
    const notes: string[] = [];
    const parts = scanAsProduct(raw, probe, { image, originYxPx: [-7, 12] }, (text) => notes.push(text));
    expect(parts.positions.x_m).toEqual(raw.xcoords.map((v) => v * 2e-8));
    expect(parts.positions.y_m).toEqual(raw.ycoords.map((v) => v * 3e-8));
    expect(parts.positions.indexes).toEqual(raw.sampleIndices);
    const { x, y } = positionsOnObject(parts);
    for (let i = 0; i < 20; i++) {
      expect(x[i]).toBeCloseTo(raw.xcoords[i] - 12, 9);
      expect(y[i]).toBeCloseTo(raw.ycoords[i] + 7, 9);
    }
    expect(parts.object.array.shape).toEqual([1, 5, 6]);
    expect(parts.probe.array.shape).toEqual([1, 2, 2, 2]);
    expect(parts.probe.pixel).toEqual({ width_m: 2e-8, height_m: 3e-8 });
    expect(notes).toEqual([]);
  });

  it('keep the metres of a scan whose object has a place', () => {
    const objectGuess = { re: new Float32Array(40 * 50), im: new Float32Array(40 * 50), shape: [40, 50] };
    const geometry = { objectPixel_m: { x: 2e-8, y: 3e-8 }, objectCentre_m: { x: 5e-6, y: -1e-6 } };
    const raw = scan({ objectGuess, geometry, patternIndexes: Int32Array.from({ length: 20 }, (_, i) => 100 + i) });
    const grid = toMetres({
      pixel_m: geometry.objectPixel_m,
      centre_m: geometry.objectCentre_m,
      width: 50,
      height: 40,
    });
    const parts = scanAsProduct(raw, probe, { image, originYxPx: [3, -4] }, () => {});
    expect(parts.positions.x_m).toEqual(raw.xcoords.map(grid.x));
    expect(parts.positions.indexes[3]).toBe(103);
    const { x, y } = positionsOnObject(parts);
    for (let i = 0; i < 20; i++) {
      expect(x[i]).toBeCloseTo(raw.xcoords[i] + 4, 9);
      expect(y[i]).toBeCloseTo(raw.ycoords[i] - 3, 9);
    }
    const own = scanAsProduct(raw, probe, { image: objectGuess, originYxPx: [0, 0] }, () => {});
    expect(own.object.center_x_m).toBeCloseTo(5e-6, 18);
    expect(own.object.center_y_m).toBeCloseTo(-1e-6, 18);
  });

  it('say which pixels are assumed', () => {
    const notes: string[] = [];
    const parts = scanAsProduct(scan({ geometry: {} }), probe, { image, originYxPx: [0, 0] }, (text) =>
      notes.push(text),
    );
    expect(parts.object.pixel).toEqual({ width_m: 5e-8, height_m: 5e-8 });
    expect(parts.probe.pixel).toEqual({ width_m: 5e-8, height_m: 5e-8 });
    expect(notes).toEqual([expect.stringMatching(/scan\.npz does not say .* 5e-8 m is assumed/)]);
  });
});

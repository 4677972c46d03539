import { describe, expect, it } from 'vitest';
import { PatchStore } from '../../../src/reconstruction/patches/patchStore.js';

const SIDE = 6;
const patches = (start: number, n: number) => ({
  re: Float32Array.from({ length: n * SIDE * SIDE }, (_, i) => start * 1000 + i),
  im: Float32Array.from({ length: n * SIDE * SIDE }, (_, i) => -(start * 1000 + i)),
  xs: Float64Array.from({ length: n }, (_, i) => start + i + 0.5),
  ys: Float64Array.from({ length: n }, (_, i) => 2 * (start + i)),
});

/** Adds 600 patches in uneven batches and reads them back. */
function roundTrip(memoryBytes: number) {
  const store = new PatchStore(4, 10, memoryBytes);
  for (let start = 0, n = 1; start < 600; start += n, n = 1 + ((n * 7) % 50)) {
    const p = patches(start, Math.min(n, 600 - start));
    expect(store.add(p.re, p.im, p.xs.length, SIDE, p.xs, p.ys)).toBe(true);
  }
  expect(store.count).toBe(600);
  const values: number[] = [];
  const places: number[] = [];
  for (const chunk of store.chunks()) {
    expect(chunk.start).toBe(places.length / 2);
    for (let k = 0; k < chunk.count; k++) {
      places.push(chunk.xs[k], chunk.ys[k]);
      values.push(...chunk.re.subarray(k * 16, k * 16 + 16), ...chunk.im.subarray(k * 16, k * 16 + 16));
    }
  }
  store.close();
  return { values, places };
}

describe('PatchStore', () => {
  const whole = roundTrip(2 ** 20);

  it('gives the centres of the patches back in order', () => {
    expect(whole.places.slice(0, 4)).toEqual([0.5, 0, 1.5, 2]);
    // Row 1, column 1 of the first patch; then its imaginary part.
    expect(whole.values.slice(0, 5)).toEqual([7, 8, 9, 10, 13]);
    expect(whole.values.slice(16, 18)).toEqual([-7, -8]);
    expect(whole.values).toHaveLength(600 * 32);
  });

  it.each([1, 128, 5000])('gives the same from a temporary file, with %i bytes in memory', (memoryBytes) => {
    expect(roundTrip(memoryBytes)).toEqual(whole);
  });
});

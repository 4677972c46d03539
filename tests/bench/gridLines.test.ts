/** The twin of the published grid lines: its check sums are those that were computed apart, with NumPy and SciPy. */
import { expect, it } from 'vitest';

interface GridLines {
  lineImages(seed: number, count?: number): Float64Array[];
  statisticsOf(images: readonly Float64Array[]): { mean: number; deviation: number; max: number };
  gridLineObjects(seed: number, count?: number): { re: Float32Array; im: Float32Array; shape: number[] }[];
  SIDE: number;
}
const file = new URL('../../bench/lines/gridLines.mjs', import.meta.url).href;

it('has the mean, deviation and maximum of both splits, and the pixels of the first image', async () => {
  const { lineImages, statisticsOf, SIDE } = (await import(file)) as GridLines;
  const train = lineImages(1);
  expect(train[0][100 * SIDE + 200]).toBeCloseTo(3.907391, 6);
  for (const [images, mean, deviation, max] of [
    [train, 2.6674, 0.6771, 4.7775],
    [lineImages(2), 2.7796, 0.6722, 4.9371],
  ] as const) {
    const found = statisticsOf(images);
    expect(found.mean).toBeCloseTo(mean, 4);
    expect(found.deviation).toBeCloseTo(deviation, 4);
    expect(found.max).toBeCloseTo(max, 4);
  }
});

it('turns them into objects whose phase follows the amplitude', async () => {
  const { gridLineObjects, lineImages, statisticsOf, SIDE } = (await import(file)) as GridLines;
  const [{ re, im, shape }] = gridLineObjects(2);
  const images = lineImages(2);
  const { mean, max } = statisticsOf(images);
  expect(shape).toEqual([SIDE, SIDE]);
  const at = 57 * SIDE + 301;
  const value = images[0][at];
  expect(Math.hypot(re[at], im[at])).toBeCloseTo(value, 5);
  expect(Math.atan2(im[at], re[at])).toBeCloseTo(Math.PI * Math.tanh((value - max / 2) / (3 * mean)), 5);
});

import { expect, it } from 'vitest';
import { correlationOf, featuresOf, maskedCorrelation } from '../../src/evaluation/registrationSearch.js';

it('is the same from running sums as pixel by pixel', () => {
  const shape = [23, 31];
  const image = (seed: number) => ({
    re: Float64Array.from({ length: 713 }, (_, i) => Math.sin(seed + 0.7 * i) + Math.cos(0.13 * i * seed)),
    im: Float64Array.from({ length: 713 }, (_, i) => Math.cos(seed * i)),
    shape,
  });
  const whole = new Uint8Array(713).fill(1);
  const [a, b] = [featuresOf(image(1), whole), featuresOf(image(2), whole)];
  const fast = correlationOf(a, b);
  for (const shift of [
    [0, 0],
    [3, -5],
    [-7, 2],
    [22, 0],
    [40, 0],
  ] as const) {
    // biome-ignore format: a list
    expect(fast(shift), shift.join()).toBeCloseTo(maskedCorrelation(a, b, shift), 12);
  }
  expect(correlationOf(a, a)([0, 0])).toBeCloseTo(1, 12);
  // With a pixel masked there are no rectangles.
  const holed = featuresOf(image(2), whole.map((v, i) => (i === 300 ? 0 : v))); // biome-ignore format: one call
  expect(correlationOf(a, holed)([3, -5])).toBe(maskedCorrelation(a, holed, [3, -5]));
});

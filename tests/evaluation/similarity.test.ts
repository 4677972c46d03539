import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/core/tensor.js';
import { gaussianSsim } from '../../src/evaluation/similarity.js';
import { makeObject } from '../../src/simulation/objects.js';

const object = makeObject('lines', { rows: 40, cols: 37, seed: 2 });
const truth: Tensor<Float64Array> = { data: Float64Array.from(object.re), shape: [40, 37] };
const spoiled = (of: (v: number, i: number) => number) => ({ data: truth.data.map(of), shape: truth.shape });

/** The definition at one pixel, written out: weighted sums over the 11×11 window. */
function similarityAt(a: Float64Array, b: Float64Array, cols: number, row: number, col: number, range: number): number {
  let [sum, ma, mb] = [0, 0, 0];
  const window: [number, number, number][] = [];
  for (let dr = -5; dr <= 5; dr++) {
    for (let dc = -5; dc <= 5; dc++) {
      const w = Math.exp(-(dr * dr + dc * dc) / (2 * 1.5 * 1.5));
      const i = (row + dr) * cols + col + dc;
      window.push([w, a[i], b[i]]);
      sum += w;
      ma += w * a[i];
      mb += w * b[i];
    }
  }
  [ma, mb] = [ma / sum, mb / sum];
  let [va, vb, cov] = [0, 0, 0];
  for (const [w, x, y] of window) {
    va += (w / sum) * (x - ma) ** 2;
    vb += (w / sum) * (y - mb) ** 2;
    cov += (w / sum) * (x - ma) * (y - mb);
  }
  const [c1, c2] = [(0.01 * range) ** 2, (0.03 * range) ** 2];
  return ((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
}

describe('gaussianSsim', () => {
  it('is the mean of the definition over the pixels whose window lies inside', () => {
    const image = spoiled((v, i) => 0.9 * v + 0.05 * Math.sin(i));
    const range = Math.max(...truth.data) - Math.min(...truth.data);
    let [sum, n] = [0, 0];
    for (let r = 5; r < 35; r++) {
      for (let c = 5; c < 32; c++, n++) sum += similarityAt(image.data, truth.data, 37, r, c, range);
    }
    expect(gaussianSsim(image, truth)).toBeCloseTo(sum / n, 10);
  });

  it('is 1 for equal images and falls with noise', () => {
    expect(gaussianSsim(truth, truth)).toBeCloseTo(1, 12);
    const weak = gaussianSsim(
      spoiled((v, i) => v + 0.02 * Math.sin(7 * i)),
      truth,
    );
    const strong = gaussianSsim(
      spoiled((v, i) => v + 0.2 * Math.sin(7 * i)),
      truth,
    );
    expect(weak).toBeLessThan(1);
    expect(strong).toBeLessThan(weak);
  });

  it('refuses images of different shapes, and images smaller than its window', () => {
    expect(() => gaussianSsim({ data: new Float64Array(100), shape: [10, 10] }, truth)).toThrow(/one shape/);
    const tiny = { data: new Float64Array(100), shape: [10, 10] };
    expect(() => gaussianSsim(tiny, tiny)).toThrow(/larger than 10/);
  });
});

import { describe, expect, it } from 'vitest';
import { scanBounds } from '../../src/reconstruction/frame.js';
import { PatchStitcher } from '../../src/reconstruction/patchStitcher.js';

const N = 8;
const weights = {
  data: Float32Array.from({ length: N * N }, (_, i) => 1 / (1 + (Math.floor(i / N) - 4) ** 2 + ((i % N) - 4) ** 2)),
  shape: [N, N],
};

describe('PatchStitcher with patch weights', () => {
  it('averages overlapping patches by their weights', () => {
    const xs = [20, 23];
    const ys = [10, 10];
    const stitcher = new PatchStitcher(scanBounds(xs, ys), N, { patchWeights: weights });
    const re = new Float32Array(2 * N * N).fill(1, 0, N * N).fill(5, N * N);
    stitcher.add(re, new Float32Array(2 * N * N), 2, N, xs, ys);
    const { image, weight, overlapCount, frame } = stitcher.finish();
    const at = (y: number, x: number) => (y - frame.originYxPx[0]) * frame.width + x - frame.originYxPx[1];
    // object pixel (10, 21): one column right of the first patch's centre, two left of the second's
    const [w1, w2] = [1 / (1 + 1), 1 / (1 + 4)];
    expect(weight.data[at(10, 21)]).toBeCloseTo(w1 + w2, 6);
    expect(overlapCount.data[at(10, 21)]).toBe(2);
    expect(image.re[at(10, 21)]).toBeCloseTo((w1 * 1 + w2 * 5) / (w1 + w2), 5);
  });

  it('gives back the object wherever all patches agree, whatever the weights', () => {
    const xs = [20.25, 22.5, 24.75];
    const ys = [10.5, 11.125, 9.75];
    const stitcher = new PatchStitcher(scanBounds(xs, ys), 6, { patchWeights: weights });
    const re = new Float32Array(3 * N * N).fill(0.7);
    const im = new Float32Array(3 * N * N).fill(-0.2);
    stitcher.add(re, im, 3, N, xs, ys);
    const { image, weight } = stitcher.finish();
    weight.data.forEach((w, i) => {
      if (w < 1e-3) return;
      expect(image.re[i]).toBeCloseTo(0.7, 4);
      expect(image.im[i]).toBeCloseTo(-0.2, 4);
    });
  });

  it('uses the same part of patch and weights when it crops', () => {
    const only = { data: new Float32Array(N * N), shape: [N, N] };
    only.data[4 * N + 4] = 1;
    const stitcher = new PatchStitcher(scanBounds([20], [10]), 2, { patchWeights: only });
    const re = Float32Array.from({ length: N * N }, (_, i) => i);
    stitcher.add(re, new Float32Array(N * N), 1, N, [20], [10]);
    const { image, frame } = stitcher.finish();
    expect(image.re[(10 - frame.originYxPx[0]) * frame.width + 20 - frame.originYxPx[1]]).toBeCloseTo(4 * N + 4, 4);
  });
});

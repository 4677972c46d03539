/** The uncertainty map: what overlapping patches disagree by, without keeping them. */
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import { scanBounds } from '../../src/reconstruction/frame.js';
import { PatchStitcher, type StitcherOptions } from '../../src/reconstruction/patchStitcher.js';
import { RANDOM_PHASE_STD } from '../../src/reconstruction/spread.js';

const N = 8;
const AREA = N * N;

/** `count` patches at one place, their pixels drawn by `amplitude` and `phase`, stitched. */
function atOnePlace(
  count: number,
  amplitude: (k: number, i: number) => number,
  phase: (k: number, i: number) => number,
  options: StitcherOptions = {},
) {
  const re = new Float32Array(count * AREA);
  const im = new Float32Array(count * AREA);
  for (let k = 0; k < count; k++) {
    for (let i = 0; i < AREA; i++) {
      re[k * AREA + i] = amplitude(k, i) * Math.cos(phase(k, i));
      im[k * AREA + i] = amplitude(k, i) * Math.sin(phase(k, i));
    }
  }
  const at = (v: number) => new Float64Array(count).fill(v);
  const stitcher = new PatchStitcher(scanBounds([20], [30]), N, { uncertainty: true, ...options });
  stitcher.add(re, im, count, N, at(20), at(30));
  return stitcher.finish();
}
const meanOf = (v: Float32Array) => v.reduce((s, x) => s + x, 0) / v.length;
const rms = (v: Float32Array) => Math.sqrt(v.reduce((s, x) => s + x * x, 0) / v.length);

describe('uncertainty', () => {
  it('is the unbiased standard deviation of amplitude and phase, whatever the overlap', () => {
    for (const count of [2, 5, 60]) {
      const rng = new LegacyRng(count);
      const noise = Float64Array.from({ length: 2 * count * AREA }, () => rng.normal());
      const { uncertainty } = atOnePlace(
        count,
        (k, i) => 0.8 + 0.05 * noise[k * AREA + i],
        (k, i) => 1.2 + 0.1 * noise[count * AREA + k * AREA + i],
      );
      // Variances are unbiased, deviations of few values are not; the bands are three standard errors wide.
      const band = 3 / Math.sqrt(2 * AREA * (count - 1));
      expect(rms(uncertainty!.amplitude.data) / 0.05).toBeGreaterThan(1 - band);
      expect(rms(uncertainty!.amplitude.data) / 0.05).toBeLessThan(1 + band);
      expect(rms(uncertainty!.phase.data) / 0.1).toBeGreaterThan(1 - band);
      expect(rms(uncertainty!.phase.data) / 0.1).toBeLessThan(1 + band);
    }
  });

  it('agrees with the two-pass formula for unequal weights', () => {
    const weights = { data: Float32Array.from({ length: AREA }, (_, i) => 1 / (1 + (i % N))), shape: [N, N] };
    // Two patches side by side: at a pixel both have another weight.
    const stitcher = new PatchStitcher(scanBounds([20, 23], [30, 30]), N, { uncertainty: true, patchWeights: weights });
    stitcher.add(new Float32Array(2 * AREA).fill(1, 0, AREA).fill(3, AREA), new Float32Array(2 * AREA), 2, N, [20, 23], [30, 30]); // biome-ignore format: one call
    const { uncertainty, frame } = stitcher.finish();
    const at = 4 * frame.width + 5; // column 5 of the first patch, 2 of the second
    const [w1, w2] = [1 / 6, 1 / 3];
    const W = w1 + w2;
    const mean = (w1 * 1 + w2 * 3) / W;
    const variance = (w1 * (1 - mean) ** 2 + w2 * (3 - mean) ** 2) / (W - (w1 * w1 + w2 * w2) / W);
    expect(uncertainty!.amplitude.data[at]).toBeCloseTo(Math.sqrt(variance), 5);
    expect(uncertainty!.phase.data[at]).toBe(0);
  });

  it('loses nothing where patches agree to six digits', () => {
    const { uncertainty } = atOnePlace(
      200,
      (k) => 1000 + (k % 2) * 0.01,
      () => 0.5,
    );
    expect(meanOf(uncertainty!.amplitude.data)).toBeCloseTo(0.005, 3);
    expect(Math.max(...uncertainty!.phase.data)).toBeLessThan(1e-5);
  });

  it('is larger where patches disagree', () => {
    const { uncertainty } = atOnePlace(6, (k, i) => (i < AREA / 2 ? 1 : 1 + 0.2 * k), (k, i) => (i < AREA / 2 ? 0 : 0.3 * k)); // biome-ignore format: one call
    const rows = (data: Float32Array, from: number) => [...data.subarray(from * N, (from + 4) * N)];
    for (const { data } of [uncertainty!.amplitude, uncertainty!.phase]) {
      expect(Math.max(...rows(data, 0))).toBeLessThan(1e-6);
      expect(Math.min(...rows(data, 4))).toBeGreaterThan(0.2);
    }
  });

  it('counts phases on the circle, and stops at those of random ones', () => {
    const { uncertainty: near } = atOnePlace(40, () => 1, (k) => Math.PI + (k % 2 ? 0.1 : -0.1)); // biome-ignore format: one call
    expect(meanOf(near!.phase.data)).toBeCloseTo(0.1, 2);
    const { uncertainty: random } = atOnePlace(
      8,
      () => 1,
      (k) => (k * Math.PI) / 4,
    );
    expect(meanOf(random!.phase.data)).toBeCloseTo(RANDOM_PHASE_STD, 5);
    expect(RANDOM_PHASE_STD).toBeCloseTo(1.8138, 4);
  });

  it('keeps patches that differ by a global phase apart', () => {
    const { uncertainty } = atOnePlace(
      30,
      () => 1,
      (k) => (k % 3) * 0.2,
    );
    expect(meanOf(uncertainty!.phase.data)).toBeGreaterThan(0.15);
  });

  it('is NaN where fewer than two patches lie, and absent unless asked for', () => {
    const stitcher = new PatchStitcher(scanBounds([20, 24], [30, 30]), N, { uncertainty: true });
    stitcher.add(new Float32Array(2 * AREA).fill(1), new Float32Array(2 * AREA), 2, N, [20, 24], [30, 30]);
    const { uncertainty, overlapCount } = stitcher.finish();
    overlapCount.data.forEach((n, i) => {
      expect(Number.isNaN(uncertainty!.amplitude.data[i])).toBe(n < 2);
      expect(Number.isNaN(uncertainty!.phase.data[i])).toBe(n < 2);
    });
    expect(atOnePlace(2, () => 1, () => 0, { uncertainty: false }).uncertainty).toBeUndefined(); // biome-ignore format: one call
  });

  it('does not change the image', () => {
    for (const rule of ['shift-and-sum', 'barycentric'] as const) {
      const patchWeights = { data: Float32Array.from({ length: AREA }, (_, i) => 1 + (i % 5)), shape: [N, N] };
      const image = (uncertainty: boolean) =>
        atOnePlace(3, (k, i) => 1 + k + 0.1 * i, (k) => k, { rule, patchWeights, uncertainty }).image; // biome-ignore format: one call
      expect(image(true)).toEqual(image(false));
    }
  });
});

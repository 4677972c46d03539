import { describe, expect, it } from 'vitest';
import { badPixelsOf, beamstop, type DetectorOptions, makeDefects } from '../../src/simulation/detector.js';
import { makeObject } from '../../src/simulation/objects.js';
import { structuredProbe } from '../../src/simulation/probes.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';

const side = 32;
const area = side * side;
const many = 300;
/** The same place again and again, so that only noise differs between patterns. */
const same = {
  object: makeObject('dead_leaves', { rows: 48, cols: 48, seed: 1 }),
  probe: structuredProbe({ side, diameter: 8, curvatureRad: 2 }),
  xs: new Float64Array(many).fill(23.25),
  ys: new Float64Array(many).fill(24.5),
  photons: 2e4,
  seed: 5,
};
const counts = (detector?: DetectorOptions, over = {}) => {
  const scan = simulateScan({ ...same, detector, ...over });
  return { scan, values: Float64Array.from(scan.diffraction.data, (a) => Math.round(a * a)) };
};
const column = (values: Float64Array, pixel: number) =>
  Array.from({ length: many }, (_, k) => values[k * area + pixel]);
const moments = (values: readonly number[]) => {
  const mean = values.reduce((s, v) => s + v, 0) / values.length;
  return { mean, variance: values.reduce((s, v) => s + (v - mean) ** 2, 0) / (values.length - 1) };
};
const expected = simulateScan({ ...same, xs: [23.25], ys: [24.5], noise: 'none' }).diffraction.data.map((a) => a * a);

describe('photons', () => {
  it('a pattern has the counts asked for on average; pixels have the variance of Poisson', () => {
    const { values } = counts();
    const total = moments(
      Array.from({ length: many }, (_, k) => values.subarray(k * area, (k + 1) * area).reduce((s, v) => s + v, 0)),
    );
    expect(Math.abs(total.mean - 2e4)).toBeLessThan(5 * Math.sqrt(2e4 / many));
    // Relative error of a variance from 300 values: √(2/299) = 8 %.
    expect(Math.abs(total.variance / 2e4 - 1)).toBeLessThan(0.35);
    let [fano, bright] = [0, 0];
    for (let i = 0; i < area; i++) {
      if (expected[i] < 5) continue;
      const { mean, variance } = moments(column(values, i));
      expect(Math.abs(mean - expected[i])).toBeLessThan(6 * Math.sqrt(expected[i] / many));
      fano += variance / mean;
      bright++;
    }
    expect(bright).toBeGreaterThan(100);
    expect(Math.abs(fano / bright - 1)).toBeLessThan(0.03);
  });
});

describe('the detector', () => {
  it('adds read-out noise: variance λ + (σ/gain)², rounding 1/12', () => {
    const { values } = counts({ electronsPerPhoton: 2, readoutNoise_e: 12, seed: 9 });
    const pixel = expected.reduce((best, v, i) => (v > expected[best] ? i : best), 0);
    let [ratio, n] = [0, 0];
    for (let i = 0; i < area; i++) {
      if (expected[i] < 60) continue; // far from zero, where negative counts are cut
      ratio += moments(column(values, i)).variance / (expected[i] + 36 + 1 / 12);
      n++;
    }
    expect(n).toBeGreaterThan(20);
    expect(Math.abs(ratio / n - 1)).toBeLessThan(0.06);
    expect(Math.abs(moments(column(values, pixel)).mean - expected[pixel])).toBeLessThan(
      6 * Math.sqrt((expected[pixel] + 36) / many),
    );
    expect(values.every((v) => v >= 0)).toBe(true);
  });

  it('clips at the full well, and says how often', () => {
    const { scan, values } = counts({ electronsPerPhoton: 10, fullWell_e: 1000 });
    const free = counts().values;
    expect(values.reduce((most, v) => Math.max(most, v), 0)).toBe(100);
    const clipped = free.reduce((sum, v) => sum + (v > 100 ? 1 : 0), 0);
    expect(clipped).toBeGreaterThan(many);
    expect(JSON.parse(scan.metadata).simulation.measured.saturated_readings).toBe(clipped);
    // The photons are the same, so that everything below the full well is, too.
    expect(values.every((v, i) => v === Math.min(100, free[i]))).toBe(true);
  });

  it('has dead, hot, shaded and masked pixels, each counted once and declared as bad', () => {
    const mask = { data: new Uint8Array(area), shape: [side, side] };
    mask.data[3 * side + 4] = 1;
    const defects = makeDefects({ side, dead: 12, hot: 7, beamstopDiameter_px: 4, mask, seed: 2 });
    const number = (pixels: Uint8Array) => pixels.reduce((s, v) => s + v, 0);
    expect([number(defects.dead), number(defects.hot), number(defects.beamstop)]).toEqual([12, 7, 12]);
    expect(defects.dead.some((v, i) => v && defects.hot[i])).toBe(false);
    const free = counts().values;
    const { scan, values } = counts({ fullWell_e: 5000, electronsPerPhoton: 1, defects });
    for (let i = 0; i < area; i++) {
      const shown = values[7 * area + i];
      if (defects.dead[i]) expect(shown).toBe(0);
      else if (defects.hot[i]) expect(shown).toBe(5000);
      else if (defects.beamstop[i]) expect(shown).toBe(0);
      else expect(shown).toBe(free[7 * area + i]);
    }
    const bad = badPixelsOf(defects)!;
    expect(bad[3 * side + 4]).toBe(1);
    expect(scan.bad_pixels?.data).toEqual(bad);
    expect(simulateScan({ ...same, detector: { defects }, declareBadPixels: false }).bad_pixels).toBeUndefined();
    expect(counts({ defects: makeDefects({ side, dead: 12, hot: 7, seed: 3 }) }).scan.bad_pixels?.data).not.toEqual(
      bad,
    );
    expect(badPixelsOf(makeDefects({ side }))).toBeUndefined();
  });

  it('gives expected values exactly where noise is off', () => {
    const { scan } = counts({ readoutNoise_e: 20, fullWell_e: 100 }, { noise: 'none' });
    const first = scan.diffraction.data.subarray(0, area).map((a) => a * a);
    expect(first.every((v, i) => Math.abs(v - Math.min(100, expected[i])) < 1e-3 * (1 + v))).toBe(true);
  });

  it('the published beam stop has diameter 4; none has no pixels', () => {
    expect(beamstop(64).reduce((s, v) => s + v, 0)).toBe(12);
    expect(beamstop(64, 0).some((v) => v !== 0)).toBe(false);
  });

  it('refuses what no detector is', () => {
    expect(() => makeDefects({ side: 4, dead: 10, hot: 6 })).toThrow(/4×4 pixels cannot have 10 dead and 6 hot/);
    expect(() => makeDefects({ side: 4, mask: { data: new Uint8Array(9), shape: [3, 3] } })).toThrow(
      /\(3, 3\).*\(4, 4\)/,
    );
    expect(() => counts({ fullWell_e: 0 })).toThrow(/positive electrons per photon and full well/);
  });
});

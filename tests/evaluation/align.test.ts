import { describe, expect, it } from 'vitest';
import type { ComplexImage } from '../../src/core/tensor.js';
import { alignComplex, constantObjectError, relativeObjectError } from '../../src/evaluation/align.js';
import { fitPlane, removePhasePlane, wrap } from '../../src/evaluation/phase.js';
import { complexPearson, pearson } from '../../src/evaluation/score.js';
import { makeObject } from '../../src/simulation/objects.js';
import { maxDifference, readGolden } from '../support/golden.js';
import { describeShared } from '../support/shared.js';

const truth = makeObject('lines', { rows: 70, cols: 93, seed: 8 });

/** truth · scale · e^{i(x·c + y·r)} */
function spoiled(scale: number, turn: number, x: number, y: number): ComplexImage {
  const [rows, cols] = truth.shape;
  const re = new Float32Array(rows * cols);
  const im = new Float32Array(rows * cols);
  for (let i = 0; i < re.length; i++) {
    const angle = turn + x * (i % cols) + y * Math.floor(i / cols);
    re[i] = scale * (truth.re[i] * Math.cos(angle) - truth.im[i] * Math.sin(angle));
    im[i] = scale * (truth.re[i] * Math.sin(angle) + truth.im[i] * Math.cos(angle));
  }
  return { re, im, shape: truth.shape };
}

const pseudoNoise = (n: number, salt: number) =>
  Float64Array.from({ length: n }, (_, i) => {
    const v = Math.sin(12.9898 * i + salt) * 43758.5453;
    return v - Math.floor(v) - 0.5;
  });

describe('correlations', () => {
  it('are 1 for a copy, −1 for a mirror image, and 0 for a constant', () => {
    const a = pseudoNoise(500, 1);
    expect(
      pearson(
        a,
        a.map((v) => 3 * v + 7),
      ),
    ).toBeCloseTo(1, 12);
    expect(
      pearson(
        a,
        a.map((v) => 1 - v),
      ),
    ).toBeCloseTo(-1, 12);
    expect(pearson(a, new Float32Array(500).fill(0.1))).toBe(0);
    expect(
      pearson(
        a,
        Float64Array.from({ length: 500 }, (_, i) => 0.3 + (i % 2) * 1e-17),
      ),
    ).toBe(0);
    expect(Math.abs(pearson(a, pseudoNoise(500, 77)))).toBeLessThan(0.15);
  });

  it('have a known value on four points, and look at the mask only', () => {
    expect(pearson([1, 2, 3, 4], [1, 3, 2, 4])).toBeCloseTo(0.8, 12);
    expect(pearson([1, 2, 3, 4, 99], [1, 3, 2, 4, -5], [1, 1, 1, 1, 0])).toBeCloseTo(0.8, 12);
    expect(pearson([1, 2], [1, 2], [0, 0])).toBe(0);
  });

  it('complex: blind to a factor, zero for constants', () => {
    expect(complexPearson(spoiled(2.5, 1.1, 0, 0), truth)).toBeCloseTo(1, 6);
    const flat = {
      re: new Float32Array(truth.re.length).fill(0.4),
      im: new Float32Array(truth.re.length).fill(1),
      shape: truth.shape,
    };
    expect(complexPearson(flat, truth)).toBe(0);
    const noise = { re: pseudoNoise(truth.re.length, 1), im: pseudoNoise(truth.re.length, 2), shape: truth.shape };
    expect(complexPearson(noise, truth)).toBeLessThan(0.05);
  });
});

describe('alignComplex', () => {
  it.each([
    [2.5, 1.1, 0, 0],
    [0.3, -2.9, 0.0031, -0.0123],
    [1, 3.1, 0.41, -0.77],
    [4, 0, -2.4, 2.9],
  ])('finds scale %f, turn %f and ramp (%f, %f)', (scale, turn, x, y) => {
    const { aligned, ramp, scale: found } = alignComplex(spoiled(scale, turn, x, y), truth);
    expect(ramp.x).toBeCloseTo(x, 6);
    expect(ramp.y).toBeCloseTo(y, 6);
    expect(Math.hypot(found.re, found.im)).toBeCloseTo(1 / scale, 5);
    expect(wrap(Math.atan2(found.im, found.re) + turn)).toBeCloseTo(0, 4);
    expect(maxDifference(aligned.re, truth.re)).toBeLessThan(2e-5);
    expect(maxDifference(aligned.im, truth.im)).toBeLessThan(2e-5);
  });

  it('measures what is left: noise of known power', () => {
    const noisy = spoiled(2, 0.4, 0.1, -0.2);
    const n = truth.re.length;
    const power = truth.re.reduce((s, v, i) => s + v * v + truth.im[i] ** 2, 0);
    const noise = [pseudoNoise(n, 3), pseudoNoise(n, 4)];
    const noisePower = noise[0].reduce((s, v, i) => s + v * v + noise[1][i] ** 2, 0);
    const a = 0.1 * Math.sqrt(power / noisePower);
    for (let i = 0; i < n; i++) {
      noisy.re[i] += 2 * a * noise[0][i];
      noisy.im[i] += 2 * a * noise[1][i];
    }
    expect(relativeObjectError(noisy, truth)).toBeCloseTo(0.1, 2);
  });

  it('looks at the mask only', () => {
    const recon = spoiled(1, 0, 0.2, 0.1);
    const mask = new Uint8Array(truth.re.length).fill(1, 0, 93 * 50);
    recon.re.fill(99, 93 * 50);
    expect(relativeObjectError(recon, truth, mask)).toBeLessThan(1e-5);
    expect(relativeObjectError(recon, truth)).toBeGreaterThan(0.5);
  });

  it('refuses images of different shapes', () => {
    expect(() => alignComplex({ ...truth, shape: [93, 70] }, truth)).toThrow(/\(93, 70\).*\(70, 93\)/);
  });

  it('a constant object has the error √(1 − |mean|²/mean of squares) or a little less', () => {
    const n = truth.re.length;
    const mean = (a: Float32Array) => a.reduce((s, v) => s + v, 0) / n;
    const power = truth.re.reduce((s, v, i) => s + v * v + truth.im[i] ** 2, 0) / n;
    const withoutRamp = Math.sqrt(1 - (mean(truth.re) ** 2 + mean(truth.im) ** 2) / power);
    const found = constantObjectError(truth);
    expect(found).toBeLessThanOrEqual(withoutRamp + 1e-9);
    expect(found).toBeGreaterThan(0.9 * withoutRamp);
  });
});

describe('removePhasePlane', () => {
  const phaseOf = (z: ComplexImage) => z.re.map((v, i) => Math.atan2(z.im[i], v));

  it('takes a plane out that wraps many times', () => {
    const flat = removePhasePlane(truth);
    for (const [x, y, turn] of [
      [0.9, -0.6, 2],
      [-1.7, 0.04, -1],
    ]) {
      const found = removePhasePlane(spoiled(1, turn, x, y));
      expect(found.ramp.x - flat.ramp.x).toBeCloseTo(x, 5);
      expect(found.ramp.y - flat.ramp.y).toBeCloseTo(y, 5);
      expect(maxDifference(found.phase.data, flat.phase.data)).toBeLessThan(1e-4);
    }
  });

  it('is the least-squares plane where nothing wraps', () => {
    const [rows, cols] = truth.shape;
    const phase = phaseOf(truth);
    const weight = new Float32Array(phase.length).fill(1);
    const plane = fitPlane(phase, weight, rows, cols);
    const expected = phase.map((p, i) => p - plane.x * (i % cols) - plane.y * Math.floor(i / cols) - plane.offset);
    expect(maxDifference(removePhasePlane(truth, { weights: weight }).phase.data, expected)).toBeLessThan(1e-5);
  });

  it('fits planes exactly, weights and single rows included', () => {
    const z = Float64Array.from({ length: 24 }, (_, i) => 2 + 0.3 * (i % 6) - 0.7 * Math.floor(i / 6));
    z[5] = 100;
    const weight = new Float64Array(24).fill(2);
    weight[5] = 0;
    const plane = fitPlane(z, weight, 4, 6);
    expect([plane.x, plane.y, plane.offset].map((v) => Math.round(v * 1e9) / 1e9)).toEqual([0.3, -0.7, 2]);
    expect(fitPlane([0, 2, 4], [1, 1, 1], 1, 3)).toEqual({ x: 2, y: 0, offset: 0 });
    expect(fitPlane([0, 2, 4], [0, 0, 0], 1, 3)).toEqual({ x: 0, y: 0, offset: 0 });
  });

  it('wraps to (−π, π]', () => {
    expect(wrap(Math.PI)).toBe(Math.PI);
    expect(wrap(-Math.PI)).toBeCloseTo(Math.PI, 12);
    expect(wrap(7)).toBeCloseTo(7 - 2 * Math.PI, 12);
    expect(wrap(-10)).toBeCloseTo(-10 + 4 * Math.PI, 12);
  });
});

describeShared('golden: plane removal', () => {
  it('equals the published least-squares plane', async () => {
    const golden = await readGolden('e_metrics.npz');
    const phase = await golden.real('phase_trim_rec');
    const published = await golden.real('phase_plane_removed_rec');
    const unit = { re: phase.data.map(Math.cos), im: phase.data.map(Math.sin), shape: phase.shape };
    const ours = removePhasePlane(unit, { weights: new Float64Array(phase.data.length).fill(1) });
    expect(maxDifference(ours.phase.data, published.data)).toBeLessThan(1e-5);
    await golden.close();
  });
});

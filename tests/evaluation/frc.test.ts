import { describe, expect, it } from 'vitest';
import type { ComplexImage } from '../../src/core/tensor.js';
import { fourierRingCorrelation, frcCrossing } from '../../src/evaluation/frc.js';
import { gaussianBlur } from '../../src/physics/gaussian.js';
import { makeObject } from '../../src/simulation/objects.js';
import { maxDifference, readGolden } from '../support/golden.js';
import { describeShared } from '../support/shared.js';

const real = (data: Float64Array, shape: readonly number[]): ComplexImage<Float64Array> => ({
  re: data,
  im: new Float64Array(data.length),
  shape,
});

describeShared('golden ring correlations', () => {
  it('has the published curve of an odd-sided pair', async () => {
    const golden = await readGolden('e_metrics.npz');
    const [a, b] = [await golden.real('frc_odd_in1'), await golden.real('frc_odd_in2')];
    const curve = fourierRingCorrelation(real(a.data, a.shape), real(b.data, b.shape));
    expect(maxDifference(curve, (await golden.real('frc_odd')).data)).toBeLessThan(1e-5);
    await golden.close();
  });
});

describe('fourierRingCorrelation', () => {
  const truth = makeObject('lines', { rows: 60, cols: 60, seed: 4 });

  it('is one for equal images, whatever their common factor', () => {
    const turned = { re: truth.im.map((v) => -2 * v), im: truth.re.map((v) => 2 * v), shape: truth.shape };
    for (const v of fourierRingCorrelation(truth, turned)) expect(v).toBeCloseTo(1, 6);
  });

  it('falls at the detail that noise hides, and crosses there', () => {
    const noise = Float64Array.from(truth.re, (_, i) => (((Math.sin(12.9898 * i) * 43758.5453) % 1) + 1) % 1);
    const blurred = gaussianBlur({ data: Float64Array.from(truth.re), shape: truth.shape }, 3).data;
    const noisy = (amount: number) =>
      real(
        blurred.map((v, i) => v + amount * (noise[i] - 0.5)),
        truth.shape,
      );
    const clean = real(blurred, truth.shape);
    const little = frcCrossing(fourierRingCorrelation(clean, noisy(0.01)), 0.5);
    const much = frcCrossing(fourierRingCorrelation(clean, noisy(0.5)), 0.5);
    expect(much).toBeLessThan(little);
    expect(much).toBeGreaterThan(1);
  });

  it('interpolates the crossing, and says when there is none', () => {
    expect(frcCrossing([1, 0.8, 0.4, 0.9], 0.5)).toBeCloseTo(1.75, 12);
    expect(frcCrossing([0.2, 0.1], 0.5)).toBe(0);
    expect(frcCrossing([1, 0.9], 0.5)).toBe(2);
  });

  it('refuses images of different shapes', () => {
    expect(() => fourierRingCorrelation(truth, { ...truth, shape: [30, 120] })).toThrow(/one shape/);
  });
});

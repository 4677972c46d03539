import { describe, expect, it } from 'vitest';
import type { ComplexImage } from '../../src/core/tensor.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { checkReconstruction } from '../../src/evaluation/checks.js';
import { bothFamilies, metricFloors, rootOfSum, scanImage, scanTotals } from '../../src/evaluation/floors.js';
import { referenceMetrics } from '../../src/evaluation/reference.js';
import { makeObject } from '../../src/simulation/objects.js';

const SIDE = 64;
const object = makeObject('dead_leaves', { rows: SIDE, cols: SIDE, seed: 8 });
const constant = (re: number): ComplexImage => ({
  re: new Float32Array(SIDE * SIDE).fill(re),
  im: new Float32Array(SIDE * SIDE),
  shape: [SIDE, SIDE],
});
const frame = { originYxPx: [0, 0] as const, height: SIDE, width: SIDE };

describe('metricFloors', () => {
  it('are what a constant object and the scan image score', () => {
    const xs = Array.from({ length: 81 }, (_, k) => 4 + 7 * (k % 9));
    const ys = Array.from({ length: 81 }, (_, k) => 4 + 7 * Math.floor(k / 9));
    const totals = xs.map((x, k) => Math.hypot(object.re[ys[k] * SIDE + x], object.im[ys[k] * SIDE + x]));
    const scan = scanImage({ totals, xs, ys }, frame);
    const floors = metricFloors(object, { scan });
    expect(floors.constant.reference.mae.amplitude).toBeCloseTo(
      bothFamilies(constant(3), object).reference.mae.amplitude,
      6,
    );
    expect(floors.constant.standard.complex_error).toBeGreaterThan(floors.scan!.standard.complex_error * 0.5);
    expect(floors.scan!.standard.ssim.amplitude).toBeGreaterThan(floors.constant.standard.ssim.amplitude);
    // An object without a phase has no ring correlation in phase: NaN, not a number that looks like one.
    expect(floors.constant.reference.frc50.phase).toBeNaN();
    expect(metricFloors(object).scan).toBeUndefined();
  });
});

describe('scanTotals', () => {
  const raw = rawDataFromArrays({
    diffraction: { data: new Float32Array(3 * 16).fill(2.5), shape: [3, 4, 4] },
    xcoords: [1, 2, 3],
    ycoords: [4, 5, 6],
    measurement_domain: 'count_amplitude',
  });

  it('are the roots of the counts of each position', async () => {
    const { totals, xs, ys } = await scanTotals(raw);
    expect(Array.from(totals)).toEqual([10, 10, 10]);
    expect([xs, ys].map((v) => Array.from(v))).toEqual([[1, 2, 3], [4, 5, 6]]); // biome-ignore format: one line
  });

  it('stop when they are told to, as everything else does', async () => {
    await expect(scanTotals(raw, AbortSignal.abort())).rejects.toMatchObject({
      name: 'PtychoError',
      code: 'CANCELLED',
    });
  });
});

describe('scanImage', () => {
  it('smooths the totals of near positions, and takes their mean where none is near', () => {
    const image = scanImage({ totals: [2, 4], xs: [10, 20], ys: [10, 10] }, frame, 1);
    expect(image.re[10 * SIDE + 10]).toBeCloseTo(2, 6);
    expect(image.re[10 * SIDE + 15]).toBeCloseTo(3, 5);
    expect(image.re[60 * SIDE + 60]).toBe(3);
    expect(rootOfSum([3, 4])).toBe(5);
    expect(() => scanImage({ totals: [1], xs: [], ys: [] }, frame)).toThrow(/one total for each position/);
  });
});

describe('checkReconstruction', () => {
  const codes = (image: ComplexImage, options: Parameters<typeof checkReconstruction>[1] = {}) => {
    const { problems, usable, coverage } = checkReconstruction(image, options);
    return { codes: problems.map(({ code }) => code), usable, coverage };
  };

  it('has nothing to say of a good image', () => {
    expect(codes(object, { frame, truthFrame: frame })).toEqual({ codes: [], usable: true, coverage: 1 });
  });

  it('names images without content', () => {
    expect(codes(constant(0))).toMatchObject({ codes: ['empty'], usable: false });
    expect(codes(constant(2))).toMatchObject({ codes: ['flat'], usable: false });
    const broken = { ...object, re: object.re.slice() };
    broken.re[5] = Number.NaN;
    expect(codes(broken)).toMatchObject({ codes: ['not_finite'], usable: false });
    const ramp = constant(1);
    ramp.re.forEach((_, i) => {
      ramp.re[i] = Math.cos(0.1 * (i % SIDE));
      ramp.im[i] = Math.sin(0.1 * (i % SIDE));
    });
    expect(codes(ramp)).toMatchObject({ codes: ['flat'], usable: false });
  });

  it('warns of a constant part, of saturation, of what is not covered and of another frame', () => {
    const phaseOnly = constant(1);
    phaseOnly.im.forEach((_, i) => {
      const angle = Math.sin(i);
      [phaseOnly.re[i], phaseOnly.im[i]] = [Math.cos(angle), Math.sin(angle)];
    });
    expect(codes(phaseOnly)).toMatchObject({ codes: ['flat_amplitude'], usable: true });
    const amplitudeOnly = constant(1);
    amplitudeOnly.re.forEach((_, i) => {
      amplitudeOnly.re[i] = Math.min(1.2, 1 + 0.3 * Math.sin(i));
    });
    expect(codes(amplitudeOnly)).toMatchObject({ codes: ['flat_phase', 'saturated'], usable: true });
    const half = { ...object, re: object.re.slice(), im: object.im.slice() };
    half.re.fill(0, 0, 32 * SIDE);
    half.im.fill(0, 0, 32 * SIDE);
    expect(codes(half)).toMatchObject({ codes: ['uncovered'], usable: true, coverage: 0.5 });
    const away = { ...frame, originYxPx: [50, 0] as const };
    expect(codes(object, { frame: away, truthFrame: frame })).toMatchObject({
      codes: ['frame', 'uncovered'],
      usable: true,
    });
    const gone = { ...frame, originYxPx: [500, 0] as const };
    expect(codes(object, { frame: gone, truthFrame: frame })).toMatchObject({
      codes: ['frame'],
      usable: false,
      coverage: 0,
    });
  });
});

describe('referenceMetrics', () => {
  it('keeps the published ways with zero and NaN', () => {
    expect(referenceMetrics(object, constant(0)).frc).toMatchObject({ amplitude: undefined });
    expect(referenceMetrics(object, constant(0)).frc50.amplitude).toBeNaN();
    const broken = { ...object, re: object.re.map(() => Number.NaN) };
    expect(() => referenceMetrics(broken, object)).toThrow(/nothing but NaN/);
    const spot = { ...object, re: object.re.slice() };
    spot.re[40 * SIDE + 40] = Number.NaN;
    expect(referenceMetrics(spot, object).mae.amplitude).toBeNaN();
    expect(referenceMetrics(spot, object).ms_ssim.amplitude).toBe(0);
  });

  it('refuses methods and offsets that are none', () => {
    expect(() => referenceMetrics(object, object, { phase_align_method: 'median' as 'mean' })).toThrow(/plane or mean/);
    expect(() => referenceMetrics(object, object, { offset_px: 3 })).toThrow(/even/);
    expect(() => referenceMetrics(object, object, { offset_px: 60 })).toThrow(/too small/);
  });
});

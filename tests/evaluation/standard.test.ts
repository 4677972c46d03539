import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { spanOf } from '../../src/core/numbers.js';
import type { ComplexImage, Tensor } from '../../src/core/tensor.js';
import { alignComplex } from '../../src/evaluation/align.js';
import {
  fourierRingCorrelation,
  frcCrossing,
  halfBitThreshold,
  resolutionsOf,
  taperedRingCorrelation,
  tukeyWindow,
} from '../../src/evaluation/frc.js';
import { meanErrors, modulusOf } from '../../src/evaluation/images.js';
import { gaussianSsim, uniformSsim, wangMsSsim } from '../../src/evaluation/similarity.js';
import { psnr, standardMetrics } from '../../src/evaluation/standard.js';
import { writeNpz } from '../../src/formats/npz.js';
import { gaussianBlur } from '../../src/physics/gaussian.js';
import { makeObject } from '../../src/simulation/objects.js';
import { describePython, runPython } from '../support/python.js';
import { formulaImages, SHAPE, SKIMAGE_SCRIPT, type SkimageFigures } from './skimage.js';

type Image = Tensor<Float64Array>;

async function askSkimage(image: Image, truth: Image): Promise<SkimageFigures> {
  const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-skimage-'));
  try {
    const file = path.join(folder, 'images.npz');
    await writeNpz(file, { a: image, b: truth });
    return JSON.parse(runPython(SKIMAGE_SCRIPT, [file], ['skimage']));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function ours(image: Image, truth: Image): SkimageFigures {
  const range = spanOf(truth.data);
  const { mse } = meanErrors(image.data, truth.data);
  return {
    mse,
    psnr: psnr(mse, range),
    ssim_gaussian: gaussianSsim(image, truth),
    ssim_uniform: uniformSsim(image, truth),
    ms_ssim: wangMsSsim(image, truth).value,
  };
}

function expectEqual(found: SkimageFigures, expected: SkimageFigures): void {
  for (const [name, value] of Object.entries(expected)) {
    expect(Math.abs(found[name as keyof SkimageFigures] - value), name).toBeLessThan(1e-6);
  }
}

const object = makeObject('lines', { rows: SHAPE[0], cols: SHAPE[1], seed: 5 });
const blurred = (sigma: number): ComplexImage<Float64Array> => {
  const part = (data: Float32Array) => gaussianBlur({ data: Float64Array.from(data), shape: SHAPE }, sigma).data;
  return { re: part(object.re), im: part(object.im), shape: SHAPE };
};
/** The same image under another factor and ramp. */
function regauged(z: ComplexImage<Float64Array>): ComplexImage<Float64Array> {
  const turn = (i: number) => 0.7 + 0.02 * (i % SHAPE[1]) - 0.013 * Math.floor(i / SHAPE[1]);
  const re = z.re.map((v, i) => 2.5 * (v * Math.cos(turn(i)) - z.im[i] * Math.sin(turn(i))));
  const im = z.re.map((v, i) => 2.5 * (v * Math.sin(turn(i)) + z.im[i] * Math.cos(turn(i))));
  return { re, im, shape: SHAPE };
}

describe('figures that scikit-image wrote', () => {
  it('are ours to 1e-6', async () => {
    const expected = JSON.parse(await readFile('fixtures/evaluation/skimage.json', 'utf8')) as {
      figures: SkimageFigures;
    };
    const { image, truth } = formulaImages();
    expectEqual(ours(image, truth), expected.figures);
  });
});

describePython('scikit-image', ['skimage'], () => {
  it('still writes what the fixture holds', async () => {
    const { image, truth } = formulaImages();
    expectEqual(ours(image, truth), await askSkimage(image, truth));
  }, 120_000);

  it('agrees with standardMetrics on the amplitudes of an image in another gauge', async () => {
    const image = regauged(blurred(1.2));
    const found = standardMetrics(image, object);
    const expected = await askSkimage(modulusOf(alignComplex(image, object).aligned), modulusOf(object));
    expect(Math.abs(found.mse.amplitude - expected.mse)).toBeLessThan(1e-6);
    expect(Math.abs(found.psnr.amplitude - expected.psnr)).toBeLessThan(1e-6);
    expect(Math.abs(found.ssim.amplitude - expected.ssim_gaussian)).toBeLessThan(1e-6);
    expect(Math.abs(found.ms_ssim.amplitude - expected.ms_ssim)).toBeLessThan(1e-6);
  }, 120_000);
});

describe('standardMetrics', () => {
  it('is perfect for the truth in any gauge', () => {
    const truth = { re: Float64Array.from(object.re), im: Float64Array.from(object.im), shape: SHAPE };
    const found = standardMetrics(regauged(truth), object, { pixel_m: 20e-9 });
    expect(found.complex_error).toBeLessThan(1e-5);
    expect(found.ssim.amplitude).toBeCloseTo(1, 6);
    expect(found.ms_ssim.amplitude).toBeCloseTo(1, 6);
    expect(found.ms_ssim_levels).toBe(5);
    expect(found.resolution.complex.half_bit).toMatchObject({ beyond_nyquist: true, ring: 91 });
    expect(found.resolution.complex.half_bit.m).toBeCloseTo((20e-9 * 183) / 182, 12);
    expect(found.frc.complex).toHaveLength(92);
  });

  it('gets worse with blur in every number', () => {
    const [little, much] = [standardMetrics(blurred(0.8), object), standardMetrics(blurred(2.5), object)];
    expect(much.complex_error).toBeGreaterThan(little.complex_error);
    for (const name of ['psnr', 'ssim', 'ms_ssim'] as const) {
      expect(much[name].amplitude, name).toBeLessThan(little[name].amplitude);
      expect(much[name].phase, name).toBeLessThan(little[name].phase);
    }
    expect(much.mae.amplitude).toBeGreaterThan(little.mae.amplitude);
  });

  it('shows NaN and says so where the truth has no structure, and says how many levels fit', () => {
    const flat = { re: new Float64Array(64 * 64).fill(1), im: new Float64Array(64 * 64), shape: [64, 64] };
    const found = standardMetrics(flat, flat);
    expect(found.ssim).toEqual({ amplitude: Number.NaN, phase: Number.NaN });
    expect(found.notes.join(' ')).toMatch(/amplitude of the truth is constant.*phase of the truth is constant/);
    const small = makeObject('lines', { rows: 64, cols: 64, seed: 1 });
    expect(standardMetrics(small, small)).toMatchObject({ ms_ssim_levels: 3 });
    expect(standardMetrics(small, small).notes.join(' ')).toMatch(/3 of its 5 levels/);
  });

  it('refuses images of different shapes', () => {
    expect(() => standardMetrics(object, makeObject('lines', { rows: 60, cols: 60, seed: 1 }))).toThrow(
      /one frame first/,
    );
  });
});

describe('resolution', () => {
  it('is half a period at the crossing', () => {
    const curve = Float64Array.from({ length: 33 }, (_, k) => (k < 16 ? 1 : 0));
    const rings = { curve, pixels: new Int32Array(33).fill(100), side_px: 64 };
    const { frc50 } = resolutionsOf(rings, 10e-9);
    expect(frc50.ring).toBeCloseTo(15.5, 12);
    expect(frc50.px).toBeCloseTo(64 / 31, 12);
    expect(frc50.m).toBeCloseTo(10e-9 * (64 / 31), 18);
    expect(frc50.beyond_nyquist).toBe(false);
  });

  it('has the half-bit threshold of van Heel and Schatz', () => {
    expect(halfBitThreshold([1])[0]).toBeCloseTo(1, 12);
    expect(halfBitThreshold([1e12])[0]).toBeCloseTo(0.2071 / 1.2071, 5);
  });

  it('is not misled by the jump between the edges of windows that do not repeat', () => {
    const slope = (seed: number) => {
      const noise = (i: number) => ((Math.sin(12.9898 * i + seed) * 43758.5453) % 1) * 0.1;
      const re = Float64Array.from({ length: 64 * 64 }, (_, i) => (i % 64) / 64 + noise(i));
      return { re, im: new Float64Array(64 * 64), shape: [64, 64] };
    };
    // Only the slope is common, whose detail ends after a few rings; the jump where it starts again has detail without end.
    const { frc50 } = resolutionsOf(taperedRingCorrelation(slope(1), slope(2)));
    expect(frc50.ring).toBeLessThan(0.7 * frcCrossing(fourierRingCorrelation(slope(1), slope(2)), 0.5));
    expect(tukeyWindow(16, 0.25)[8]).toBe(1);
  });
});

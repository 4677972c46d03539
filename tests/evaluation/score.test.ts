import { beforeAll, describe, expect, it } from 'vitest';
import type { ComplexImage, ComplexTensor, Tensor } from '../../src/core/tensor.js';
import { boundingBox } from '../../src/evaluation/commonFrame.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { openNpz } from '../../src/formats/npz.js';
import { extractPatches } from '../../src/physics/sampling.js';
import { frameOfObject, moveToFrame, scanBounds } from '../../src/reconstruction/frame.js';
import { PatchStitcher } from '../../src/reconstruction/patchStitcher.js';
import {
  amplitudeRFactor,
  constantObjectRFactor,
  exposedRFactor,
  type MeasuredScan,
} from '../../src/reconstruction/rFactor.js';
import { makeObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { makeScan } from '../../src/simulation/scans.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';
import { describeShared, sharedFile } from '../support/shared.js';

const truth = makeObject('lines', { rows: 90, cols: 104, seed: 3 });
const positions = makeScan('jittered_raster', { rows: 90, cols: 104, side: 32, stepPx: 5, seed: 4 });
const probe = makeProbe('structured', { side: 32, diameter: 11 });
const whole = { image: truth, frame: frameOfObject(truth) };
const constant = (shape: readonly number[], re: number, im = 0): ComplexImage => ({
  re: new Float32Array(shape[0] * shape[1]).fill(re),
  im: new Float32Array(shape[0] * shape[1]).fill(im),
  shape,
});

describe('amplitudeRFactor', () => {
  const simulated = (noise: 'poisson' | 'none', ps = positions): MeasuredScan => {
    const s = simulateScan({ object: truth, probe, ...ps, photons: 1e6, seed: 5, noise });
    return { diffraction: s.diffraction, xs: ps.xs, ys: ps.ys, probe: s.probeGuess };
  };

  it('is zero for the truth without noise, and the noise floor with it', () => {
    expect(amplitudeRFactor(simulated('none'), whole)).toBeLessThan(1e-6);
    const floor = amplitudeRFactor(simulated('poisson'), whole);
    expect(floor).toBeGreaterThan(0.005);
    expect(floor).toBeLessThan(0.08);
  });

  it('knows no exposure where the probe is scaled to the counts', () => {
    const bright = simulated('none');
    const dim = { ...bright, diffraction: { ...bright.diffraction, data: bright.diffraction.data.map((v) => v / 10) } };
    expect(amplitudeRFactor(dim, whole)).toBeGreaterThan(5);
    const { r, factor } = exposedRFactor(dim, whole);
    expect(r).toBeLessThan(1e-6);
    expect(factor).toBeCloseTo(0.1, 6);
    expect(exposedRFactor(bright, whole).factor).toBeCloseTo(1, 6);
  });

  it('knows beforehand what counting leaves', () => {
    for (const [seed, photons] of [
      [1, 1e6],
      [2, 2e4],
      [3, 500],
    ]) {
      const s = simulateScan({ object: truth, probe, ...positions, photons, seed, noise: 'poisson' });
      const scan = { diffraction: s.diffraction, ...positions, probe: s.probeGuess };
      const { r, noise } = exposedRFactor(scan, whole);
      expect(noise / r).toBeGreaterThan(0.97);
      expect(noise / r).toBeLessThan(1.03);
    }
  });

  it('does not need to know the frame of the whole object', () => {
    const cut = { originYxPx: [0, 0] as const, height: 90, width: 104 };
    const shifted = { originYxPx: [-7, -11] as const, height: 110, width: 130 };
    const moved = { image: moveToFrame(truth, cut, shifted), frame: shifted };
    expect(amplitudeRFactor(simulated('none'), moved)).toBeLessThan(1e-6);
    const wrong = { image: truth, frame: { ...cut, originYxPx: [1, 0] as const } };
    expect(amplitudeRFactor(simulated('none'), wrong)).toBeGreaterThan(0.02);
  });

  it('knows Fourier shifts: equal to bilinear at whole positions, different between', () => {
    const rounded = { xs: positions.xs.map(Math.round), ys: positions.ys.map(Math.round) };
    const exact = simulated('none', rounded);
    expect(amplitudeRFactor(exact, whole, { shift: 'fourier' })).toBeLessThan(1e-6);
    const between = amplitudeRFactor(simulated('none'), whole, { shift: 'fourier' });
    expect(between).toBeGreaterThan(1e-3);
    expect(between).toBeLessThan(0.05);
  });

  it('leaves bad pixels out, here and for a constant object', () => {
    const scan = simulated('none');
    const badPixels = Uint8Array.from({ length: 32 * 32 }, (_, i) => Number(i % 7 === 3));
    const data = scan.diffraction.data.map((v, i) => (badPixels[i % badPixels.length] ? 1e6 : v));
    const broken = { ...scan, diffraction: { ...scan.diffraction, data } };
    expect(amplitudeRFactor(broken, whole)).toBeGreaterThan(0.9);
    expect(amplitudeRFactor({ ...broken, badPixels }, whole)).toBeLessThan(1e-6);
    const zeroed = { ...scan, badPixels };
    expect(constantObjectRFactor({ ...broken, badPixels }).best).toBeCloseTo(constantObjectRFactor(zeroed).best, 12);
  });

  it('counts all of Σ√I for a dark object, and fills what is not covered', () => {
    const scan = simulated('none');
    const dark = { image: constant([90, 104], 0), frame: whole.frame };
    expect(amplitudeRFactor(scan, dark)).toBeCloseTo(1, 12);
    // An image that covers nothing and is filled with 1 is an empty object.
    const nothing = { image: constant([90, 104], 9), frame: whole.frame };
    const none = { data: new Float32Array(90 * 104), shape: [90, 104] };
    const empty = constantObjectRFactor(scan);
    expect(amplitudeRFactor(scan, nothing, { overlapCount: none, fill: { re: 1, im: 0 } })).toBeCloseTo(empty.empty, 6);
    expect(empty.best).toBeLessThanOrEqual(empty.empty);
    const best = { image: constant([90, 104], empty.amplitude), frame: whole.frame };
    expect(amplitudeRFactor(scan, best)).toBeCloseTo(empty.best, 5);
  });

  it('names shapes that do not fit', () => {
    const scan = simulated('none');
    expect(() => amplitudeRFactor({ ...scan, probe: makeProbe('structured', { side: 16 }) }, whole)).toThrow(
      /probe \(16, 16\)/,
    );
    expect(() => amplitudeRFactor({ ...scan, xs: [1] }, whole)).toThrow(/1 x and/);
    const blank = { ...scan.diffraction, data: new Float32Array(scan.diffraction.data.length) };
    expect(() => amplitudeRFactor({ ...scan, diffraction: blank }, whole)).toThrow(/no counts/);
  });
});

describe('scoreAgainstTruth', () => {
  const bounds = scanBounds(positions.xs, positions.ys);

  it('compares the pixels whose centres lie within the scan', () => {
    expect(boundingBox({ xMin: 2.1, xMax: 7.9, yMin: 3, yMax: 5 })).toEqual({
      originYxPx: [3, 3],
      height: 3,
      width: 5,
    });
  });

  it('is perfect for the truth, also turned, scaled, ramped and in another frame', () => {
    const frame = { originYxPx: [5, 9] as const, height: 80, width: 90 };
    const image = moveToFrame(truth, whole.frame, frame);
    for (let i = 0; i < image.re.length; i++) {
      const angle = 1 + 0.3 * (i % 90) - 0.8 * Math.floor(i / 90);
      const [a, b] = [image.re[i], image.im[i]];
      image.re[i] = 3 * (a * Math.cos(angle) - b * Math.sin(angle));
      image.im[i] = 3 * (a * Math.sin(angle) + b * Math.cos(angle));
    }
    const score = scoreAgainstTruth({ image, frame }, truth, { bounds });
    expect(score.amplitude_pearson).toBeCloseTo(1, 6);
    expect(score.phase_pearson).toBeCloseTo(1, 6);
    expect(score.complex_pearson).toBeCloseTo(1, 6);
    expect(score.relative_object_error).toBeLessThan(1e-5);
    expect(score.region_coverage).toBe(1);
    const box = boundingBox(bounds);
    expect(score.pixels).toBe(box.height * box.width);
  });

  it('gives a constant object 0 in every correlation and the constant error', () => {
    const score = scoreAgainstTruth({ image: constant([90, 104], 0.4, 0.3), frame: whole.frame }, truth, { bounds });
    expect(score.amplitude_pearson).toBe(0);
    expect(score.phase_pearson).toBe(0);
    expect(score.complex_pearson).toBe(0);
    expect(score.relative_object_error).toBeCloseTo(score.constant_object_error, 6);
  });

  it('scores stitched true patches near 1, and a shifted frame worse', () => {
    const patches = extractPatches(truth, positions.xs, positions.ys, 32);
    const stitcher = new PatchStitcher(bounds, 12);
    stitcher.add(patches.re, patches.im, positions.xs.length, 32, positions.xs, positions.ys);
    const stitched = stitcher.finish();
    const score = scoreAgainstTruth(stitched, truth, { bounds });
    expect(score.complex_pearson).toBeGreaterThan(0.99);
    expect(score.relative_object_error).toBeLessThan(0.05);
    const [y, x] = stitched.frame.originYxPx;
    const wrong = { image: stitched.image, frame: { ...stitched.frame, originYxPx: [y + 2, x - 1] as const } };
    expect(scoreAgainstTruth(wrong, truth, { bounds }).complex_pearson).toBeLessThan(score.complex_pearson - 0.02);
  });

  it('keeps to the mask and says how much it saw', () => {
    const mask = { data: new Uint8Array(90 * 104), shape: [90, 104] };
    for (let r = 30; r < 50; r++) mask.data.fill(1, r * 104 + 30, r * 104 + 60);
    const image = constant([90, 104], 0);
    for (let i = 0; i < image.re.length; i++) {
      image.re[i] = mask.data[i] ? truth.re[i] : -5;
      image.im[i] = mask.data[i] ? truth.im[i] : 5;
    }
    const score = scoreAgainstTruth({ image, frame: whole.frame }, truth, { bounds, mask });
    expect(score.pixels).toBe(20 * 30);
    expect(score.relative_object_error).toBeLessThan(1e-5);
    expect(() => scoreAgainstTruth(whole, truth, { bounds, mask: { data: new Uint8Array(4), shape: [2, 2] } })).toThrow(
      /mask of shape \(2, 2\)/,
    );
    const half = {
      image: moveToFrame(truth, whole.frame, { ...whole.frame, width: 52 }),
      frame: { ...whole.frame, width: 52 },
    };
    const partial = scoreAgainstTruth(half, truth, { bounds });
    expect(partial.region_coverage).toBeGreaterThan(0.4);
    expect(partial.region_coverage).toBeLessThan(0.6);
    const far = { image: truth, frame: { ...whole.frame, originYxPx: [500, 0] as const } };
    expect(() => scoreAgainstTruth(far, truth, { bounds })).toThrow(/share no pixel/);
  });
});

describeShared('calibration on the shared scans', () => {
  const open = async (file: string) => {
    const npz = await openNpz(sharedFile('data', file));
    const real = async (key: string) => (await npz.read(key)) as Tensor;
    const complex = async (key: string) => (await npz.read(key)) as unknown as ComplexTensor;
    const scan = async (probeKey: string): Promise<MeasuredScan> => ({
      diffraction: await real('diffraction'),
      xs: (await real('xcoords')).data,
      ys: (await real('ycoords')).data,
      probe: await complex(probeKey),
    });
    return { real, complex, scan, close: () => npz.close() };
  };

  describe('sim_64_counts', () => {
    let scan: MeasuredScan;
    let objectTrue: ComplexTensor;
    beforeAll(async () => {
      const file = await open('sim_64_counts.npz');
      scan = await file.scan('probeTrue');
      objectTrue = await file.complex('objectTrue');
      await file.close();
    });

    it('truth: R 0.160 with bilinear patches, 0.183 (the noise floor) with Fourier shifts', () => {
      const object = { image: objectTrue, frame: frameOfObject(objectTrue) };
      expect(amplitudeRFactor(scan, object)).toBeCloseTo(0.16, 3);
      expect(amplitudeRFactor(scan, object, { shift: 'fourier' })).toBeCloseTo(0.183, 3);
    });

    it('constant object: error 0.415 inside the scan, R 0.401 at the true mean amplitude, 0.391 at the best', () => {
      const score = scoreAgainstTruth(
        { image: constant(objectTrue.shape, 1), frame: frameOfObject(objectTrue) },
        objectTrue,
        { bounds: scanBounds(scan.xs, scan.ys) },
      );
      expect(score.relative_object_error).toBeCloseTo(0.415, 3);
      const n = objectTrue.re.length;
      const mean = objectTrue.re.reduce((s, v, i) => s + Math.hypot(v, objectTrue.im[i]), 0) / n;
      const atMean = { image: constant(objectTrue.shape, mean), frame: frameOfObject(objectTrue) };
      expect(amplitudeRFactor(scan, atMean)).toBeCloseTo(0.401, 3);
      expect(constantObjectRFactor(scan).best).toBeCloseTo(0.3905, 3);
    });
  });

  it('siemens_star_128: constant object R 0.261, the iterative reconstruction 0.145 to 0.151', async () => {
    const file = await open('siemens_star_128.npz');
    const scan = await file.scan('probeGuess');
    const image = await file.complex('objectGuess');
    const baseline = constantObjectRFactor(scan);
    expect(baseline.empty).toBeCloseTo(0.261, 3);
    expect(baseline.best).toBeCloseTo(0.2607, 3);
    expect(amplitudeRFactor(scan, { image, frame: frameOfObject(image) })).toBeCloseTo(0.1448, 3);
    await file.close();
  });
});

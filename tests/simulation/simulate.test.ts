import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { pearson } from '../../src/evaluation/score.js';
import { totalIntensity } from '../../src/physics/probe.js';
import { linesObject, makeObject, OBJECT_KINDS, type ObjectKind, siemensStar } from '../../src/simulation/objects.js';
import { makeProbe, type ProbeKind, structuredProbe } from '../../src/simulation/probes.js';
import { simulate } from '../../src/simulation/recipe.js';
import {
  fermatSpiral,
  jitteredRaster,
  makeScan,
  SCAN_KINDS,
  type ScanKind,
  stepForCount,
} from '../../src/simulation/scans.js';
import { rawDataFromSimulation, simulateScan } from '../../src/simulation/simulateScan.js';
import { writeSimulatedScan } from '../../src/simulation/writeSimulation.js';
import { maxDifference } from '../support/golden.js';
import { detectorAmplitude } from '../support/reference/forward.js';

const polar = (z: { re: Float32Array; im: Float32Array }) => ({
  amplitude: z.re.map((a, i) => Math.hypot(a, z.im[i])),
  phase: z.re.map((a, i) => Math.atan2(z.im[i], a)),
});

describe('objects', () => {
  it.each(OBJECT_KINDS.filter((kind) => kind !== 'blank'))(
    '%s: fills its ranges, odd sides too, and follows its seed',
    (kind) => {
      const make = (seed: number) =>
        makeObject(kind, { rows: 61, cols: 80, seed, amplitudeRange: [0.2, 0.9], phaseSpanRad: 1.6 });
      const object = make(4);
      expect(object.shape).toEqual([61, 80]);
      const { amplitude, phase } = polar(object);
      expect(Math.min(...amplitude)).toBeCloseTo(0.2, 5);
      expect(Math.max(...amplitude)).toBeCloseTo(0.9, 5);
      expect(Math.min(...phase)).toBeCloseTo(-0.8, 5);
      expect(Math.max(...phase)).toBeCloseTo(0.8, 5);
      expect([...make(4).re]).toEqual([...object.re]);
      expect([...make(5).re]).not.toEqual([...object.re]);
    },
  );

  it('lines: the phase says nothing of the amplitude, unless asked to', () => {
    const options = { rows: 96, cols: 96, seed: 11 };
    const own = polar(linesObject(options));
    expect(Math.abs(pearson(own.amplitude, own.phase))).toBeLessThan(0.35);
    const bound = polar(linesObject({ ...options, phase: 'from_amplitude' }));
    expect(pearson(bound.amplitude, bound.phase)).toBeGreaterThan(0.95);
  });

  it('siemens star: opaque and open about half and half between the circles', () => {
    const { amplitude } = polar(siemensStar({ rows: 101, cols: 101, seed: 0 }));
    let [opaque, n] = [0, 0];
    for (let i = 0; i < amplitude.length; i++) {
      const r = Math.hypot(Math.floor(i / 101) - 50, (i % 101) - 50);
      if (r < 35 || r > 45) continue;
      n++;
      if (amplitude[i] < 0.7) opaque++;
    }
    expect(opaque / n).toBeGreaterThan(0.45);
    expect(opaque / n).toBeLessThan(0.55);
  });

  it('names the kinds it knows', () => {
    expect(() => makeObject('cat' as ObjectKind, { rows: 8, cols: 8, seed: 0 })).toThrow(/lines, siemens_star/);
    expect(() => makeProbe('cat' as ProbeKind, { side: 8 })).toThrow(/structured, default_disk/);
    expect(() => makeScan('cat' as ScanKind, { rows: 99, cols: 99, side: 8, stepPx: 3 })).toThrow(/fermat_spiral/);
  });
});

describe('probes', () => {
  it.each([
    [1, 16],
    [3, 16],
    [3, 21],
  ])('structured, flatness %i: |P|² halves at diameter %i', (flatness, diameter) => {
    const probe = structuredProbe({ side: 64, diameter, flatness, curvatureRad: 2 });
    const row = Array.from({ length: 64 }, (_, c) => probe.re[32 * 64 + c] ** 2 + probe.im[32 * 64 + c] ** 2);
    const inside = row.filter((v) => v >= 0.5 - 1e-6).length;
    expect(row[32]).toBeCloseTo(1, 6);
    expect(Math.abs(inside - diameter)).toBeLessThanOrEqual(1);
    // Phase at half maximum relative to the centre.
    if (diameter === 16) expect(Math.atan2(probe.im[32 * 64 + 40], probe.re[32 * 64 + 40])).toBeCloseTo(2, 5);
  });

  it('takes its diameter in pixels or as a share of N', () => {
    const pixels = structuredProbe({ side: 64, diameter: 16 });
    const share = structuredProbe({ side: 64, diameter: 0.25, diameterUnit: 'fraction' });
    expect([...share.re]).toEqual([...pixels.re]);
    expect(() => structuredProbe({ side: 64, diameter: 16, diameterUnit: 'fraction' })).toThrow(/diameter 1024 px/);
  });
});

describe('scans', () => {
  const options = { rows: 150, cols: 200, side: 32, stepPx: 6, seed: 5 };

  it.each(SCAN_KINDS)('%s stays N/2 + 1 inside and has the density of its step', (kind) => {
    const { xs, ys } = makeScan(kind, options);
    expect(Math.min(...xs)).toBeGreaterThanOrEqual(17);
    expect(Math.max(...xs)).toBeLessThanOrEqual(183);
    expect(Math.min(...ys)).toBeGreaterThanOrEqual(17);
    expect(Math.max(...ys)).toBeLessThanOrEqual(133);
    const expected = (166 * 116) / 36;
    expect(xs.length / expected).toBeGreaterThan(0.9);
    expect(xs.length / expected).toBeLessThan(1.15);
    const again = makeScan(kind, { ...options, stepPx: stepForCount(options, 300) });
    expect(Math.abs(again.xs.length - 300)).toBeLessThan(35);
  });

  it('a raster jitters within its bounds and follows its seed; a spiral never comes close to itself', () => {
    const straight = jitteredRaster({ ...options, jitter: 0 });
    const moved = jitteredRaster(options);
    const off = moved.xs.map((x, i) => Math.abs(x - straight.xs[i]));
    expect(Math.max(...off)).toBeLessThanOrEqual(0.3 * 6);
    expect(Math.max(...off)).toBeGreaterThan(0.2 * 6);
    expect([...jitteredRaster({ ...options, seed: 6 }).xs]).not.toEqual([...moved.xs]);
    const { xs, ys } = fermatSpiral(options);
    let nearest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < xs.length; i++) {
      for (let j = 0; j < i; j++) nearest = Math.min(nearest, Math.hypot(xs[i] - xs[j], ys[i] - ys[j]));
    }
    expect(nearest).toBeGreaterThan(0.7 * 6);
  });

  it('refuses objects smaller than a pattern and steps of nothing', () => {
    expect(() => jitteredRaster({ ...options, rows: 33 })).toThrow(/33×200 pixels is too small.*34 pixels/);
    expect(() => fermatSpiral({ ...options, stepPx: 0 })).toThrow(/positive number of pixels, got 0/);
  });
});

describe('simulateScan', () => {
  const object = makeObject('lines', { rows: 64, cols: 72, seed: 1 });
  const probe = makeProbe('structured', { side: 32, diameter: 10 });
  const { xs, ys } = makeScan('jittered_raster', { rows: 64, cols: 72, side: 32, stepPx: 7, seed: 2 });
  const input = { object, probe, xs, ys, photons: 2e4, seed: 3 };
  const scan = simulateScan(input);
  const power = (d: Float32Array) => d.reduce((s, v) => s + v * v, 0) / xs.length;

  it('has the dose asked for, in √counts', () => {
    expect(scan.diffraction.shape).toEqual([xs.length, 32, 32]);
    // The total over the scan is one Poisson number.
    const sigma = Math.sqrt(2e4 / xs.length);
    expect(Math.abs(power(scan.diffraction.data) - 2e4)).toBeLessThan(5 * sigma);
    for (const a of scan.diffraction.data) expect(Math.abs(a * a - Math.round(a * a))).toBeLessThan(1e-3);
  });

  it('carries a probe with which |F(P·O)|² are the expected counts', () => {
    const exact = simulateScan({ ...input, noise: 'none' });
    expect(power(exact.diffraction.data)).toBeCloseTo(2e4, 0);
    const whole = simulateScan({ ...input, xs: [30], ys: [33], noise: 'none' });
    const wave = { re: new Float64Array(1024), im: new Float64Array(1024), shape: [32, 32] };
    for (let i = 0; i < 1024; i++) {
      const at = (33 - 16 + (i >> 5)) * 72 + 30 - 16 + (i & 31);
      const [a, b] = [object.re[at], object.im[at]];
      const [c, d] = [whole.probeGuess.re[i], whole.probeGuess.im[i]];
      wave.re[i] = a * c - b * d;
      wave.im[i] = a * d + b * c;
    }
    const model = detectorAmplitude(wave).data;
    expect(maxDifference(whole.diffraction.data, model)).toBeLessThan(1e-3);
    expect(totalIntensity(wave)).toBeCloseTo(2e4, 0);
  });

  it('is the same again for the same seed, and says how it was made', () => {
    const again = simulateScan({ ...input });
    expect([...again.diffraction.data]).toEqual([...scan.diffraction.data]);
    expect(again.metadata).toBe(scan.metadata);
    expect([...simulateScan({ ...input, seed: 4 }).diffraction.data]).not.toEqual([...scan.diffraction.data]);
    const facts = JSON.parse(simulateScan({ ...input, notes: { object: 'lines' } }).metadata);
    expect(facts.physics_parameters).toEqual({ nphotons: 2e4, N: 32 });
    expect(facts.simulation).toMatchObject({ seed: 3, noise: 'poisson', interpolation: 'bilinear', object: 'lines' });
    expect(scan.measurement_domain).toBe('count_amplitude');
  });

  it('refuses what gives no pattern', () => {
    expect(() => simulateScan({ ...input, photons: 0 })).toThrow(/positive number of photons/);
    expect(() => simulateScan({ ...input, ys: ys.subarray(1) })).toThrow(/y coordinates/);
    const dark = { re: new Float32Array(64 * 72), im: new Float32Array(64 * 72), shape: [64, 72] };
    expect(() => simulateScan({ ...input, object: dark })).toThrow(/No light/);
  });
});

describe('recipes that programs give', () => {
  it('wrong ones fail with a code and a sentence', () => {
    const wrong = (recipe: object) => () => simulate(recipe);
    expect(wrong({ objekt: 'lines' })).toThrow(expect.objectContaining({ code: 'CONFIG_UNKNOWN_KEY' }));
    expect(wrong({ N: 15.5 })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it('may use other names and name a preset, as on the command line', () => {
    const small = { N: 16, object_side_px: 48, probe_diameter_px: 8, seed: 3 } as const;
    const { diffraction } = simulate({ ...small, n_images: 9 } as object);
    expect(diffraction).toEqual(simulate({ ...small, n_patterns: 9 }).diffraction);
    const star = simulate({ ...small, n_patterns: 9, preset: 'star' });
    expect(star.objectGuess).toEqual(simulate({ ...small, n_patterns: 9, object: 'siemens_star' }).objectGuess);
  });
});

describe('a simulated scan in memory', () => {
  it('is what its file opens as', async () => {
    const scan = simulate({ object: 'dead_leaves', N: 32, object_side_px: 64, step_px: 8, photons: 1e4, seed: 3 });
    const file = path.join(await mkdtemp(path.join(tmpdir(), 'ptychopinn-simulated-')), 'scan.npz');
    await writeSimulatedScan(file, scan);
    const [raw, opened] = [rawDataFromSimulation(scan), await openDataset(file)];
    for (const key of ['xcoords', 'ycoords', 'domain', 'N', 'count', 'probeGuess', 'objectGuess'] as const) {
      expect(raw[key]).toEqual(opened[key]);
    }
    const read = async (from: typeof raw) => {
      const data = new Float32Array(2 * 32 * 32);
      await from.patterns.readAmplitudes(Int32Array.of(0, from.count - 1), data);
      return data;
    };
    expect(await read(raw)).toEqual(await read(opened));
    await opened.close();
  });
});

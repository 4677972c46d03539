/** Simulated files as users make them: presets, seeds, truth, inputs; and that the truth explains the patterns. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { groupedData } from '../../src/adapters/compat/groupedData.js';
import { simulationDefinition } from '../../src/config/commands.js';
import { resolveConfig } from '../../src/config/resolve.js';
import { SIMULATION_PRESET_NAMES } from '../../src/config/simulationPresets.js';
import { groupScan } from '../../src/data/grouping/grouping.js';
import { findLabels } from '../../src/data/labels.js';
import { openDataset } from '../../src/data/openDataset.js';
import { openNpz, writeNpz } from '../../src/formats/npz.js';
import { extractPatches } from '../../src/physics/sampling.js';
import { frameOfObject } from '../../src/reconstruction/frame.js';
import { amplitudeRFactor } from '../../src/reconstruction/rFactor.js';
import type { SimulatedScan } from '../../src/simulation/simulateScan.js';
import { simulate, simulateWorkflow } from '../../src/workflows/simulate.js';
import { cli } from '../cli/capture.js';
import { maxDifference } from '../support/golden.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-simulate-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const at = (name: string) => path.join(folder, name);
const sha = async (file: string) =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
const small = { object_side_px: 92, step_px: 9, photons: 1e5 } as const;
const recipeOf = (flags: Record<string, unknown>) => {
  const { config, notes } = resolveConfig(simulationDefinition, { flags: { output_file: at('x.npz'), ...flags } });
  return { config, notes };
};
const simulateTo = (name: string, flags: Record<string, unknown>) =>
  simulateWorkflow(recipeOf({ ...flags, output_file: at(name) }).config);
const metadataOf = (scan: SimulatedScan) => JSON.parse(scan.metadata).simulation;

describe('seeds', () => {
  const rich = { ...small, object: 'points', probe: 'zernike', position_error_px: 0.5, readout_noise_e: 1, dead_pixels: 9 } as const; // biome-ignore format: one recipe
  const scan = (over: object) => simulate({ ...rich, ...over });
  const one = scan({ seed: 1 });

  it('--seed governs everything: any two differ in object, probe, scan, errors, detector and noise', () => {
    for (const seed of [0, 2, 42, 4294967295]) {
      const other = scan({ seed });
      expect(other.objectGuess.re).not.toEqual(one.objectGuess.re);
      expect(other.probeGuess.re).not.toEqual(one.probeGuess.re);
      expect(other.xcoords.data).not.toEqual(one.xcoords.data);
      const errors = (s: SimulatedScan) => s.xcoords_true!.data.map((x, i) => x - s.xcoords.data[i]);
      expect(errors(other)).not.toEqual(errors(one));
      expect(other.bad_pixels).not.toEqual(one.bad_pixels);
      const { streams } = metadataOf(other);
      expect(Object.values(streams).some((s) => Object.values(metadataOf(one).streams).includes(s))).toBe(false);
    }
  });

  it('each purpose has a stream of its own, which can be kept while the others change', () => {
    const kept = scan({ seed: 7, object_seed: metadataOf(one).streams.object });
    expect(kept.objectGuess).toEqual(one.objectGuess);
    expect(kept.xcoords.data).not.toEqual(one.xcoords.data);
    const { streams } = metadataOf(one);
    const noise = scan({ seed: 7, object_seed: streams.object, probe_seed: streams.probe, scan_seed: streams.scan, detector_seed: streams.detector }); // biome-ignore format: one line
    expect(noise.xcoords_true).toEqual(one.xcoords_true);
    expect(noise.probeGuess).toEqual(one.probeGuess);
    expect(noise.bad_pixels).toEqual(one.bad_pixels);
    expect(noise.diffraction.data).not.toEqual(one.diffraction.data);
    expect(scan({ seed: 1, photons: 2e5 }).objectGuess).toEqual(one.objectGuess);
  });

  it('the same seed gives the same bytes, wherever the file is', async () => {
    await simulateTo('a.npz', { ...small, seed: 5, labels: true });
    await simulateTo('b.npz', { ...small, seed: 5, labels: true });
    await simulateTo('c.npz', { ...small, seed: 6, labels: true });
    expect(await sha(at('a.npz'))).toBe(await sha(at('b.npz')));
    expect(await sha(at('a.npz'))).not.toBe(await sha(at('c.npz')));
  });

  it('the metadata name every unit and every seed', () => {
    const { units, seed, streams, recipe, measured } = metadataOf(one);
    for (const key of Object.keys(one)) {
      if (key !== 'metadata' && key !== 'measurement_domain') expect(units, key).toHaveProperty(key);
    }
    expect(seed).toBe(1);
    expect(Object.keys(streams)).toEqual([
      'object',
      'probe',
      'scan',
      'position_errors',
      'detector',
      'noise',
      'readout',
    ]);
    expect(recipe).toMatchObject({ object: 'points', position_error_px: 0.5 });
    expect(measured.mean_counts).toBeGreaterThan(0.8e5);
  });
});

describe('the truth', () => {
  const scan = simulate({
    object: 'dead_leaves',
    object_side_px: 100,
    step_px: 8,
    photons: 1e6,
    probe_coma_rad: 1,
    seed: 3,
  });
  const r = (xs: Float64Array, ys: Float64Array) =>
    amplitudeRFactor(
      { diffraction: scan.diffraction, xs, ys, probe: scan.probeGuess },
      { image: scan.objectGuess, frame: frameOfObject(scan.objectGuess) },
    );

  it('explains the patterns to the noise floor; with the sign of the positions flipped it does not', () => {
    const xs = scan.xcoords.data;
    const ys = scan.ycoords.data;
    // E|√k − √λ| of Poisson counts: 0.4 far above one count, √λ-like below; measured here from the model itself.
    const floor = r(xs, ys);
    const sum = scan.diffraction.data.reduce((s, a) => s + a, 0);
    expect(floor).toBeLessThan((0.45 * scan.diffraction.data.length) / sum);
    const mean = (v: Float64Array) => v.reduce((s, a) => s + a, 0) / v.length;
    const flipped = r(
      xs.map((x) => 2 * mean(xs) - x),
      ys.map((y) => 2 * mean(ys) - y),
    );
    expect(flipped).toBeGreaterThan(2.5 * floor);
    expect(r(ys, xs)).toBeGreaterThan(2.5 * floor);
  });

  it('labels and ground truth are patches at the true positions, for groups of four too', async () => {
    await simulateTo('labels.npz', {
      ...small,
      object: 'dead_leaves',
      position_error_px: 1,
      ground_truth: true,
      gridsize: 2,
      seed: 2,
    });
    const raw = await openDataset(at('labels.npz'));
    const npz = await openNpz(at('labels.npz'));
    try {
      expect(raw.metadata.physics_parameters).toMatchObject({ gridsize: 2, N: 64, nphotons: 1e5 });
      const truth = { x: (await npz.readReal('xcoords_true')).data, y: (await npz.readReal('ycoords_true')).data };
      expect(maxDifference(truth.x, raw.xcoords)).toBeGreaterThan(1);
      const members = [3, 0, 7, 7];
      const own = (v: ArrayLike<number>) => Float64Array.from(members, (m) => v[m]);
      const patches = extractPatches(raw.objectGuess!, own(truth.x), own(truth.y), 64);
      const stored = await raw.labels!.readRows(members);
      expect(stored.re).toEqual(patches.re);
      expect((await raw.groundTruth!.readRows(members)).im).toEqual(patches.im);
      // Not the recorded positions, and not the reflection about a group's centre of the original.
      const nominal = extractPatches(raw.objectGuess!, own(raw.xcoords), own(raw.ycoords), 64);
      expect(maxDifference(nominal.re, patches.re)).toBeGreaterThan(0.1);
      const labels = await findLabels(raw);
      expect(labels.origin).toMatch(/the array "label"/);
      const groups = groupScan(raw.xcoords, raw.ycoords, { gridsize: 2, n_groups: 5, neighbor_count: 5, seed: 0 });
      const grouped = groupedData(raw, groups);
      const Y = await grouped.Y!.rows(0, 2);
      const wanted = await raw.labels!.readRows(groups.members.subarray(0, 8));
      for (let g = 0; g < 2; g++) {
        for (let c = 0; c < 4; c++) {
          const one = Float32Array.from({ length: 4096 }, (_, i) => Y.re[(g * 4096 + i) * 4 + c]);
          expect(maxDifference(one, wanted.re.subarray((4 * g + c) * 4096, (4 * g + c + 1) * 4096))).toBeLessThan(1e-6);
        }
      }
    } finally {
      await npz.close();
      await raw.close();
    }
  });
});

describe('presets', () => {
  it.each(SIMULATION_PRESET_NAMES.filter((name) => name !== 'overlap-free'))('%s makes a scan that opens without a complaint', async (preset) => {
    const size = preset === 'experiments' ? {} : { object_side_px: preset === 'near-field' ? 132 : 92 };
    const density = preset === 'published-lines' ? { n_patterns: 20 } : { step_px: 12 };
    const { count } = await simulateTo(`${preset}.npz`, { preset, ...size, ...density });
    const raw = await openDataset(at(`${preset}.npz`));
    await raw.close();
    expect(raw.count).toBe(count);
    expect(raw.notes).toEqual([]);
    expect(raw.probeGuess).toBeDefined();
    if (preset === 'multimode') expect(raw.probeGuess!.shape).toEqual([3, 64, 64]);
    if (preset === 'noisy-detector') expect(raw.badPixels!.reduce((s, v) => s + v, 0)).toBeGreaterThan(45);
    if (preset === 'published-lines') expect([count, raw.metadata.simulation]).toMatchObject([20, { seed: 42 }]);
    if (preset === 'zone-plate') expect(raw.geometry).toMatchObject({ energy_eV: 8800, objectPixel_m: { x: 1e-8, y: 1e-8 } });
    if (preset === 'experiments') {
      expect(new Set(raw.scanIndex)).toEqual(new Set([0, 1, 2]));
      expect(Array.from(raw.xcoords, (x) => Math.floor(x / 160))).toEqual([...raw.scanIndex]);
    }
  }); // biome-ignore format: one case

  it('overlap-free: positions lie farther apart than the probe is wide', () => {
    const { config } = recipeOf({ preset: 'overlap-free' });
    const { xcoords, ycoords } = simulate({ ...config, object_side_px: 200, photons: 1e3 });
    const [x, y] = [xcoords.data, ycoords.data];
    for (let i = 0; i < x.length; i++) for (let j = 0; j < i; j++) expect(Math.hypot(x[i] - x[j], y[i] - y[j])).toBeGreaterThan(config.probe_diameter_px! * 0.6); // biome-ignore format: one line
  });

  it('give way to what is given, a step to a number of patterns too', () => {
    const { config } = recipeOf({ preset: 'star', n_patterns: 50, photons: 5 });
    expect(config).toMatchObject({
      object: 'siemens_star',
      probe_diameter_px: 16,
      step_px: null,
      n_patterns: 50,
      photons: 5,
    });
    expect(recipeOf({ preset: 'star', object: 'blank' }).config.object).toBe('blank');
  });
});

describe('inputs', () => {
  it('object, probe, positions and mask from files; the flags of simulate_and_save', async () => {
    await simulateTo('source.npz', { ...small, probe: 'gaussian', probe_diameter_px: 9, seed: 4 });
    const source = await openNpz(at('source.npz'));
    const object = await source.readComplex64('objectGuess');
    await source.close();
    const words = ['simulate', '--input-file', at('source.npz'), '--output-file', at('sim.npz'), '--n-images', '30', '--n-photons', '1e7', '--gridsize', '1', '--buffer', '20', '--seed', '8', '--visualize']; // biome-ignore format: one command line
    const { code, out, err } = await cli(...words);
    expect([code, out]).toEqual([0, `Written ${at('sim.npz')}: 30 patterns of 64 × 64.\nWritten ${at('sim.png')}.\n`]);
    expect(err).toMatch(/input_file stands for object "file", probe "file", scan "random", as in simulate_and_save/);
    expect((await stat(at('sim.png'))).size).toBeGreaterThan(2000);
    const raw = await openDataset(at('sim.npz'));
    await raw.close();
    expect(raw.objectGuess).toEqual(object);
    expect(Math.min(...raw.xcoords, ...raw.ycoords)).toBeGreaterThanOrEqual(20);
    expect(raw.metadata.simulation).toMatchObject({ seed: 8, recipe: { photons: 1e7 } });

    const mask = new Uint8Array(4096);
    mask[100] = 1;
    await writeNpz(at('mask.npz'), { mask: { data: mask, shape: [64, 64] } });
    await simulateTo('again.npz', {
      object_file: at('source.npz'), probe_file: `${at('source.npz')}:probeGuess`, probe_mode_powers: [2, 1],
      positions_file: at('sim.npz'), buffer_px: 20, detector_mask: at('mask.npz'), photons: 1e5, seed: 1,
    }); // biome-ignore format: one recipe
    const again = await openDataset(at('again.npz'));
    await again.close();
    expect(again.probeGuess!.shape).toEqual([2, 64, 64]);
    expect(again.badPixels!.indexOf(1)).toBe(100);
    expect(again.xcoords).toEqual(raw.xcoords);
  });

  it('pictures as amplitude and phase, PNG and NPZ', async () => {
    const side = 90;
    const grey = Uint8Array.from({ length: side * side }, (_, i) => (Math.floor(i / side) * 2) % 256);
    const { writeFile } = await import('node:fs/promises');
    await writeFile(at('grey.png'), encode({ width: side, height: side, channels: 1, depth: 8, data: grey }));
    await writeNpz(at('phase.npz'), {
      image: { data: Float64Array.from(grey, (_, i) => i % side), shape: [side, side] },
    });
    await simulateTo('picture.npz', { amplitude_image: at('grey.png'), phase_image: at('phase.npz'), amplitude_range: [0.5, 1], phase_span_rad: 1, step_px: 12 }); // biome-ignore format: one recipe
    const npz = await openNpz(at('picture.npz'));
    const { re, im, shape } = await npz.readComplex64('objectGuess');
    await npz.close();
    expect(shape).toEqual([90, 90]);
    expect(Math.hypot(re[0], im[0])).toBeCloseTo(0.5, 6);
    expect(Math.hypot(re[89 * 90], im[89 * 90])).toBeCloseTo(1, 6);
    expect(Math.atan2(im[89], re[89])).toBeCloseTo(0.5, 6);
  });

  it('n_objects: the first is what one alone would be', () => {
    const one = simulate({ ...small, seed: 9 });
    const two = simulate({ ...small, seed: 9, n_objects: 2 });
    const n = one.xcoords.data.length;
    expect(two.xcoords.data.subarray(0, n)).toEqual(one.xcoords.data);
    expect(two.objectGuess.shape).toEqual([92, 184]);
    expect(two.objectGuess.re.subarray(0, 92)).toEqual(one.objectGuess.re.subarray(0, 92));
    expect(two.objectGuess.re.subarray(92, 184)).not.toEqual(one.objectGuess.re.subarray(0, 92));
  });

  it.each([
    [{ object: 'file' }, /object file needs the file/],
    [{ object: 'lines', object_file: 'a.npz' }, /object_file plays no part with object lines/],
    [{ object: 'image' }, /needs pictures/],
    [{ probe: 'zone_plate', defocus_m: 1e-6 }, /object_pixel_m/],
    [{ probe: 'zone_plate', defocus_m: 1e-6, object_pixel_m: 1e-8 }, /energy_eV/],
    [{ object: 'blank', n_objects: 2 }, /always the same/],
    [{ amplitude_range: [0.5, 0.2] }, /two rising numbers/],
    [{ preset: 'cat' }, /preset must be lines, star/],
  ])('refuses %j', (flags, sentence) => {
    expect(() => recipeOf(flags)).toThrow(sentence);
  });
});

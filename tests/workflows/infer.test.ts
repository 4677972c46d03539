/** Every knob of `infer`, with an untrained network on a small simulated scan. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inferenceConfigSchema, trainingConfigSchema } from '../../src/config/schema.js';
import type { Services } from '../../src/core/services.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { writeScan } from '../../src/data/scanWriter.js';
import type { NpyInput } from '../../src/formats/npyWrite.js';
import { openNpz, writeNpz } from '../../src/formats/npz.js';
import { textArray } from '../../src/formats/outputFiles.js';
import { encodeModels, saveBundle } from '../../src/persistence/bundle.js';
import { networkOfBundle } from '../../src/reconstruction/networkSpec.js';
import { makeObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { content } from '../persistence/sampleBundle.js';

const N = 64;
const COUNT = 16;
const probe = makeProbe('structured', { side: N, diameter: 20 });
let folder: string;

/** Writes the bundle of an untrained network. */
async function writeBundle(name: string, gridsize: number): Promise<void> {
  const config = trainingConfigSchema.parse({ model: { N, gridsize, n_filters_scale: 1 }, nepochs: 2 });
  const canvasSide_px = gridsize === 1 ? N : 96;
  const statistics = { ...content.statistics, meanCounts: 1e5 };
  const bundle = { ...content, statistics, config, canvasSide_px, probe };
  const network = networkOfBundle(bundle, canvasSide_px);
  const weights = network.initialWeights(5);
  await saveBundle(path.join(folder, name), { ...bundle, weights }, encodeModels(network));
}

/** Writes a scan of a known object at these places. */
async function writePlaces(name: string, places: readonly (readonly [number, number])[], truth = true): Promise<void> {
  const object = makeObject('lines', { rows: 160, cols: 170, seed: 4 });
  const [xs, ys] = [places.map(([x]) => x), places.map(([, y]) => y)];
  const s = simulateScan({ object, probe, xs, ys, photons: 1e5, seed: 6 });
  await writeScan(
    path.join(folder, name),
    rawDataFromArrays({
      diffraction: s.diffraction,
      xcoords: xs,
      ycoords: ys,
      probeGuess: s.probeGuess,
      objectGuess: truth ? object : undefined,
      measurement_domain: 'count_amplitude',
    }),
  );
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-infer-'));
  await writeBundle('gs1.zip', 1);
  await writeBundle('gs2.zip', 2);
  const raster = Array.from(
    { length: COUNT },
    (_, k) => [50 + 6 * (k % 4) + 0.3 * (k % 3), 60 + 6 * (k >> 2)] as const,
  );
  await writePlaces('scan.npz', raster);
  await writePlaces('blind.npz', raster, false);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function infer(name: string, over: Record<string, unknown> = {}, services: Services = {}) {
  const { scan = 'scan.npz', model = 'gs1.zip', ...rest } = over;
  const config = inferenceConfigSchema.parse({
    model_path: path.join(folder, model as string),
    test_data_file: path.join(folder, scan as string),
    output_dir: path.join(folder, name),
    overwrite: true,
    neighbor_count: 5,
    batch_size: 4,
    r_factor_patterns: 0,
    execution: { accelerator: 'cpu', threads: 1 },
    ...rest,
  });
  return inferWorkflow(config, services);
}
const inside = (...parts: string[]) => path.join(folder, ...parts);
const record = async (name: string) => JSON.parse(await readFile(inside(name, 'run.json'), 'utf8'));
const FILES = [
  'amplitude_uncertainty.png',
  'index.html',
  'phase_uncertainty.png',
  'reconstructed_amplitude.png',
  'reconstructed_complex.png',
  'reconstructed_phase.png',
  'reconstruction.npz',
  'run.json',
];

describe('infer', () => {
  it('writes image, uncertainty and what became of every patch', async () => {
    const summary = await infer('plain', { r_factor_patterns: 8 });
    expect((await readdir(inside('plain'))).sort()).toEqual(FILES);
    expect([...summary.files].sort()).toEqual(FILES);
    const npz = await openNpz(inside('plain', 'reconstruction.npz'));
    const uncertainty = await npz.readReal('phase_uncertainty');
    expect(uncertainty.shape).toEqual(summary.stitched.image.shape);
    expect(npz.keys).toContain('amplitude_uncertainty');
    expect(Array.from(uncertainty.data).filter((v) => v > 0).length).toBeGreaterThan(500);
    await npz.close();
    const run = await record('plain');
    expect(run).toMatchObject({ cancelled: false, patches_given: COUNT, patches_used: COUNT, stitch_crop_px: 32 });
    expect(run.coverage).toBe(summary.coverage);
    expect(run.r_factor.patterns).toBe(8);
  });

  it('leaves the uncertainty out', async () => {
    const { stitched } = await infer('certain', { uncertainty: false, stitching: 'barycentric' });
    expect(stitched.uncertainty).toBeUndefined();
    expect((await readdir(inside('certain'))).filter((name) => name.includes('uncertainty'))).toEqual([]);
    // The other rule weights before it interpolates.
    const { stitched: other } = await infer('shifted', { uncertainty: false });
    expect(other.image.re).not.toEqual(stitched.image.re);
  });

  it('draws the image beside the truth, in the colours asked for', async () => {
    const { files } = await infer('compared', { comparison_plot: true, phase_vmin: -0.5 });
    expect(files).toContain('comparison_plot.png');
    expect((await readFile(inside('compared', 'comparison_plot.png'))).subarray(1, 4).toString()).toBe('PNG');
    await infer('free');
    const picture = (name: string) => readFile(inside(name, 'reconstructed_phase.png'));
    expect(await picture('compared')).not.toEqual(await picture('free'));
    await expect(infer('blind', { scan: 'blind.npz', comparison_plot: true })).rejects.toThrow(/blind\.npz holds no objectGuess/); // biome-ignore format: one line
    await expect(infer('wrong', { phase_vmin: 1, phase_vmax: 0 })).rejects.toThrow(/phase_vmin is 1 and phase_vmax 0/);
    expect(existsSync(inside('blind'))).toBe(false);
  });

  it('dumps the way, and the statistics of patches', async () => {
    const { files } = await infer('dumped', {
      model: 'gs2.zip',
      debug_dump: inside('dump'),
      log_patch_stats: true,
      patch_stats_limit: 2,
    });
    expect((await readdir(inside('dump'))).sort()).toEqual(['canvases.npz', 'groups.npz', 'patches.npz']);
    const shapes = async (file: string) => {
      const npz = await openNpz(inside('dump', file));
      const entries = await Promise.all(npz.keys.map(async (key) => [key, (await npz.read(key)).shape] as const));
      await npz.close();
      return Object.fromEntries(entries);
    };
    expect(await shapes('groups.npz')).toMatchObject({ nn_indices: [COUNT, 4], coords_relative: [COUNT, 4, 2] });
    expect(await shapes('patches.npz')).toEqual({
      patches: [4, 4, N, N],
      input: [4, 4, N, N],
      input_positions: [4, 4, 1, 2],
      nn_indices: [4, 4],
    });
    expect(files).toContain('logs/patch_stats.csv');
    const [head, ...rows] = (await readFile(inside('dumped', 'logs', 'patch_stats.csv'), 'utf8')).trim().split('\n');
    expect(head).toMatch(/^epoch,batch,patches,amplitude_mean,/);
    expect(rows.map((row) => row.split(',').slice(0, 3))).toEqual([
      ['', '0', '16'],
      ['', '1', '16'],
    ]);
  });

  it('rewrites the pictures while patterns come in', async () => {
    let seen = false;
    const onProgress = () => {
      seen = seen || existsSync(inside('watched', 'reconstructed_phase.png'));
    };
    await infer('watched', { preview_seconds: 1e-6, batch_size: 2 }, { onProgress });
    expect(seen).toBe(true);
    expect(existsSync(inside('watched', 'run.json'))).toBe(true);
  });

  it('writes what it has when it is cancelled', async () => {
    const stop = new AbortController();
    const summary = await infer('stopped', { batch_size: 2 }, { signal: stop.signal, onProgress: () => stop.abort() });
    expect(summary.cancelled).toBe(true);
    expect(summary.stitched.patches).toBe(summary.patterns);
    expect(summary.patterns).toBeLessThan(COUNT);
    expect(await record('stopped')).toMatchObject({ cancelled: true, patches_given: COUNT, patches_used: summary.patterns }); // biome-ignore format: one line
    expect(existsSync(inside('stopped', 'reconstruction.npz'))).toBe(true);
    await expect(infer('never', {}, { signal: stop.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it.each([1, 2])('refines positions, gridsize %i, and says how far they moved', async (gridsize) => {
    const name = `refined${gridsize}`;
    const { refinement, rFactor, files } = await infer(name, {
      model: `gs${gridsize}.zip`,
      refine_positions: 2,
      position_step_limit_px: 0.5,
      r_factor_patterns: 4,
    });
    expect(files).toContain('positions.npz');
    const npz = await openNpz(inside(name, 'positions.npz'));
    const read = async (key: string) => (await npz.readReal(key)).data;
    const [x, y, x0, y0] = [await read('xcoords'), await read('ycoords'), await read('xcoords_measured'), await read('ycoords_measured')]; // biome-ignore format: one line
    await npz.close();
    const moves = Array.from(x, (v, k) => Math.hypot(v - x0[k], y[k] - y0[k]));
    expect(refinement!.meanMove_px).toBeCloseTo(moves.reduce((a, b) => a + b) / COUNT, 6);
    expect(refinement!.meanMove_px).toBeGreaterThan(0);
    expect(refinement!.rounds).toBe(2);
    expect(rFactor!.image).not.toBe(refinement!.rFactorBefore);
    expect((await record(name)).refinement.history).toHaveLength(2);
  });

  it('takes a single shot, and shots that do not overlap', async () => {
    await writePlaces('one.npz', [[70, 80]]);
    const one = await infer('one', { scan: 'one.npz' });
    // All of the patch is the image: there is no neighbour that knows its rim better.
    expect(one.stitched.frame).toEqual({ originYxPx: [48, 38], height: N, width: N });
    expect(one.stitched.overlapCount.data.every((n) => n === 1)).toBe(true);
    // Where the probe has no light at all, the patch has no weight and covers nothing.
    expect(one.coverage).toBeGreaterThan(0.3);
    expect(one.stitched.uncertainty!.phase.data.every(Number.isNaN)).toBe(true);
    await writePlaces('three.npz', [[40, 40], [120, 45], [80, 120]]); // biome-ignore format: one line
    const three = await infer('three', { scan: 'three.npz', comparison_plot: true });
    expect(three.stitched.patches).toBe(3);
    expect(three.coverage).toBeLessThan(0.8);
    expect(three.stitched.overlapCount.data.reduce((s, v) => s + v, 0)).toBeCloseTo(3 * N * N, 2);
  });

  it('warns of a probe that it was not trained with', async () => {
    const warnings: string[] = [];
    const logger = { info() {}, warn: (m: string) => void warnings.push(m) };
    await infer('same', {}, { logger });
    expect(warnings).toEqual([]);
    const object = makeObject('lines', { rows: 100, cols: 100, seed: 4 });
    const wide = makeProbe('structured', { side: N, diameter: 44 });
    const s = simulateScan({ object, probe: wide, xs: [50, 52], ys: [50, 50], photons: 1e5, seed: 6 });
    await writeScan(
      inside('wide.npz'),
      rawDataFromArrays({ ...s, xcoords: [50, 52], ycoords: [50, 50], metadata: {} }),
    );
    await infer('other', { scan: 'wide.npz' }, { logger });
    expect(warnings).toEqual([
      expect.stringMatching(/^The probe of .*wide\.npz is not the one .* correlate to 0\.\d\d\)/),
    ]);
  });

  it('scales the probe to the counts before R, and warns of far fewer than in training', async () => {
    const npz = await openNpz(inside('scan.npz'));
    const arrays: Record<string, NpyInput> = {};
    for (const key of ['xcoords', 'ycoords']) {
      const { data: values, shape: length } = await npz.readReal(key);
      arrays[key] = { data: values, shape: length };
    }
    const probe = await npz.readComplex64('probeGuess');
    const { data, shape } = await npz.readReal('diffraction');
    await npz.close();
    // Amplitudes of a hundredth of the light.
    const dim = { data: Float32Array.from(data, (v) => v / 10), shape };
    await writeNpz(inside('dim.npz'), { ...arrays, probeGuess: probe, diffraction: dim, measurement_domain: textArray('count_amplitude') }); // biome-ignore format: one call
    const warnings: string[] = [];
    const logger = { info() {}, warn: (m: string) => void warnings.push(m) };
    const bright = await infer('bright', { r_factor_patterns: 16 });
    const other = await infer('dim', { scan: 'dim.npz', r_factor_patterns: 16 }, { logger });
    expect(other.rFactor?.image).toBeCloseTo(bright.rFactor?.image ?? Number.NaN, 4);
    expect(other.rFactor!.probeScale / bright.rFactor!.probeScale).toBeCloseTo(0.1, 3);
    expect(warnings.join()).toMatch(
      /hold [\d,.]+ counts each, \d+ times fewer than those that the model was trained with/,
    );
  });
});

/** The whole path on a small simulated scan: train, save, open elsewhere, reconstruct; determinism and cancellation. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inferenceConfigSchema } from '../../src/config/schema.js';
import { isPtychoError } from '../../src/core/errors.js';
import { openNpz } from '../../src/formats/npz.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { simulate, writeSimulatedScan } from '../../src/workflows/simulate.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { tinyRequest, writeTinyScan } from '../support/tinyRun.js';

const run = promisify(execFile);
const cli = path.resolve('dist/cli/main.js');

let folder: string;
let scan: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-e2e-'));
  scan = path.join(folder, 'scan.npz');
  await writeTinyScan(scan);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const request = (name: string, over: Record<string, unknown> = {}) =>
  tinyRequest(scan, path.join(folder, name), { neighbor_count: 7, ...over });
const inference = (model: string, name: string) =>
  inferenceConfigSchema.parse({
    model_path: path.join(folder, model),
    test_data_file: scan,
    output_dir: path.join(folder, name),
    overwrite: true,
    neighbor_count: 7,
    batch_size: 5,
    execution: { accelerator: 'cpu', threads: 1 },
  });
const sha = async (file: string) =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

describe.each([1, 2])('gridsize %i', (gridsize) => {
  const name = `run${gridsize}`;

  it('trains, writes its files and keeps the best epoch', async () => {
    const summary = await trainWorkflow(request(name, { model: { gridsize } }));
    expect(summary.epochs).toBe(2);
    expect(summary.monitored).toBe('val_loss');
    expect(summary.history[1].loss).toBeLessThan(summary.history[0].loss);
    expect((await readdir(path.join(folder, name))).sort()).toEqual([
      'checkpoints',
      'config.json',
      'history.csv',
      'index.html',
      'logs',
      'loss.png',
      'run.json',
      'wts.zip',
    ]);
    const bundle = await openBundle(path.join(folder, name));
    const best = Math.min(...summary.history.map((r) => r.val_loss ?? Number.NaN));
    expect(bundle.training.value).toBe(best);
    expect(bundle.config.model.gridsize).toBe(gridsize);
    const config = JSON.parse(await readFile(path.join(folder, name, 'config.json'), 'utf8'));
    expect(config.provenance.N).toMatchObject({ value: 32, source: 'metadata' });
    // What the network saw can be found again: the patterns of the file, and which of them made each group.
    const record = JSON.parse(await readFile(path.join(folder, name, 'run.json'), 'utf8'));
    expect(record.sample_indices.length).toBe(bundle.statistics.nPatterns);
    expect(record.nn_indices.length).toBeGreaterThan(0);
    for (const group of record.nn_indices) {
      expect(group.length).toBe(gridsize ** 2);
      for (const member of group) expect(record.sample_indices[member]).toBeDefined();
    }
    expect(record.skipped_positions).toBe(0);
  });

  it('gives the same bytes for the same training in another folder', async () => {
    await trainWorkflow(request(`${name}_again`, { model: { gridsize } }));
    expect(await sha(path.join(folder, `${name}_again`, 'wts.zip'))).toBe(
      await sha(path.join(folder, name, 'wts.zip')),
    );
  });

  it('predicts bit for bit the same in another process', async () => {
    const here = await inferWorkflow(inference(name, `${name}_here`));
    const there = path.join(folder, `${name}_there`);
    const config = inference(name, `${name}_there`);
    const { stdout } = await run(process.execPath, [
      cli, 'infer', '--model_path', config.model_path, '--test_data', scan, '--output_dir', there,
      '--neighbor_count', '7', '--batch_size', '5', '--accelerator', 'cpu', '--threads', '1',
    ]); // biome-ignore format: one command
    expect(stdout).toMatch(/predict .*patterns\/s|patterns\/s/);
    expect(await sha(path.join(there, 'reconstruction.npz'))).toBe(
      await sha(path.join(folder, `${name}_here`, 'reconstruction.npz')),
    );
    expect(here.coverage).toBeGreaterThan(0.9);
    const npz = await openNpz(path.join(there, 'reconstruction.npz'));
    expect([...npz.keys].sort()).toEqual([
      'algorithm',
      'amplitude_uncertainty',
      'frame_origin_yx_px',
      'nn_indices',
      'overlap_count',
      'phase_uncertainty',
      'provenance',
      'reconstructed_object',
      'sample_indices',
    ]);
    const image = await npz.read('reconstructed_object');
    expect(image.kind).toBe('complex');
    expect(image.shape).toEqual(here.stitched.image.shape);
    await npz.close();
    for (const file of ['reconstructed_amplitude.png', 'reconstructed_phase.png']) {
      expect((await readFile(path.join(there, file))).subarray(1, 4).toString()).toBe('PNG');
    }
  });
});

describe('cancelling', () => {
  it('keeps the best epoch so far', async () => {
    const stop = new AbortController();
    const summary = await trainWorkflow(request('cancelled', { nepochs: 50 }), {
      signal: stop.signal,
      onProgress: ({ done, total }) => {
        if (done > total / 50) stop.abort();
      },
    });
    expect(summary.cancelled).toBe(true);
    expect(summary.epochs).toBe(1);
    const bundle = await openBundle(path.join(folder, 'cancelled'));
    expect(bundle.training.bestEpoch).toBe(1);
  });

  it('within the first epoch keeps the steps so far', async () => {
    const stop = new AbortController();
    const summary = await trainWorkflow(request('cancelled_early'), {
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    expect(summary).toMatchObject({ cancelled: true, epochs: 1, bestEpoch: 1 });
    await openBundle(path.join(folder, 'cancelled_early'));
  });

  it('before the first step writes nothing', async () => {
    const stop = new AbortController();
    stop.abort();
    const error = await trainWorkflow(request('never'), { signal: stop.signal }).catch((e: unknown) => e);
    expect(isPtychoError(error, 'CANCELLED')).toBe(true);
    await expect(openBundle(path.join(folder, 'never'))).rejects.toThrow(/wts\.zip/);
  });
});

describe('what it trains on', () => {
  it('validates on another scan where one is given', async () => {
    const summary = await trainWorkflow(request('with_test', { test_data_file: scan, nepochs: 1 }));
    expect(summary.monitored).toBe('val_loss');
    expect(summary.history[0].val_loss).not.toBeNull();
  });

  it('monitors the training loss without validation data, and follows the schedule', async () => {
    const summary = await trainWorkflow(request('no_val', { val_fraction: 0, scheduler: 'Exponential' }));
    expect(summary.monitored).toBe('loss');
    expect(summary.history[0].val_loss).toBeNull();
    expect(summary.history.map((r) => r.learning_rate)).toEqual([1e-3, 1e-3 * 0.95]);
  });

  it('begins with other weights where the seed is another', async () => {
    const summary = await trainWorkflow(request('seed', { seed: 1, nepochs: 1 }));
    const { history } = await openBundle(path.join(folder, 'run1'));
    expect(summary.history[0].loss).not.toBe(history[0].loss);
  });

  it('says what is wrong when a model meets patterns of another size', async () => {
    const config = { ...inference('run1', 'wrong') };
    const other = path.join(folder, 'other.npz');
    const big = simulate({
      N: 128, object: 'siemens_star', object_side_px: 160, probe: 'structured', probe_diameter_px: null,
    probe_curvature_rad: 1.2,
      scan: 'fermat_spiral', step_px: 12, n_patterns: null, photons: 1e5, noise: false, seed: 0,
    }); // biome-ignore format: one recipe
    await writeSimulatedScan(other, big);
    await expect(inferWorkflow({ ...config, test_data_file: other })).rejects.toThrow(/128×128.*32×32/);
    await expect(readdir(path.join(folder, 'wrong'))).rejects.toThrow();
  });
});

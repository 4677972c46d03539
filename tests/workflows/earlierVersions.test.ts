/** What version 0.1.0 wrote is opened, and unfinished runs of it go on to what it would have made of them itself. */
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { openNpz, writeNpz } from '../../src/formats/npz.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { decodeHistory } from '../../src/persistence/history.js';
import { readProductFile } from '../../src/persistence/product/readProduct.js';
import { verifyBundle } from '../../src/workflows/bundle.js';
import { cli } from '../cli/capture.js';

const kept = fileURLToPath(new URL('../../fixtures/v0.1.0', import.meta.url));
const host = ['--accelerator', 'cpu', '--threads', '1', '--quiet'];

let folder: string;
let before: string;
const at = (...parts: string[]) => path.join(folder, ...parts);

beforeAll(async () => {
  before = await sumOf(kept);
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-earlier-'));
  await cp(kept, folder, { recursive: true });
  for (const name of await filesIn(folder)) {
    if (!name.endsWith('.gz')) continue;
    await writeFile(at(name.slice(0, -'.gz'.length)), gunzipSync(await readFile(at(name))));
    await rm(at(name));
  }
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  // Nothing was written into the kept files.
  expect(await sumOf(kept)).toBe(before);
});

/** Files below a folder, in order. */
async function filesIn(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => path.relative(root, path.join(entry.parentPath, entry.name))).sort();
}

async function sumOf(root: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of await filesIn(root)) hash.update(name).update(await readFile(path.join(root, name)));
  return hash.digest('hex');
}

/** Runs a command that has to succeed. */
async function runs(...words: string[]): Promise<string> {
  const { code, out, err } = await cli(...words);
  expect(code, err).toBe(0);
  return out;
}

/** The largest difference of two objects on one frame, as a share of the largest amplitude of the second. */
async function objectsDiffer(found: string, expected: string): Promise<number> {
  const [a, b] = await Promise.all([found, expected].map(readObject));
  expect(a.shape).toEqual(b.shape);
  let [worst, largest] = [0, 0];
  for (let i = 0; i < b.re.length; i++) {
    worst = Math.max(worst, Math.hypot(a.re[i] - b.re[i], a.im[i] - b.im[i]));
    largest = Math.max(largest, Math.hypot(b.re[i], b.im[i]));
  }
  return worst / largest;
}

async function readObject(file: string) {
  const npz = await openNpz(file);
  try {
    const object = await npz.read('reconstructed_object');
    if (object.kind !== 'complex') throw new Error(`${file}: the object is not complex`);
    return object;
  } finally {
    await npz.close();
  }
}

describe('version 0.1.0', () => {
  it('scan.npz is read as it was', async () => {
    const raw = await openDataset(at('scan.npz'));
    try {
      expect(raw).toMatchObject({ count: 9, N: 64, domain: 'count_amplitude', format: 'npz' });
      expect(raw.geometry.energy_eV).toBeCloseTo(8000, 6);
      expect(raw.geometry.objectPixel_m?.x).toBeCloseTo(2e-8, 15);
      const pixels = new Float32Array(9 * 64 * 64);
      await raw.patterns.readStored(
        Int32Array.from({ length: 9 }, (_, i) => i),
        pixels,
      );
      expect(pixels.reduce((sum, v) => sum + v * v, 0) / 9 / 20000).toBeCloseTo(1, 1);
    } finally {
      await raw.close();
    }
  });

  it('wts.zip opens, is sound, and makes the image that it made', async () => {
    const bundle = await openBundle(at('trained'));
    expect(bundle.config.model).toMatchObject({ N: 64, gridsize: 1, n_filters_scale: 1 });
    expect(bundle.training.bestEpoch).toBeGreaterThan(0);
    await verifyBundle(at('trained', 'wts.zip'));
    await runs(
      'infer',
      '--model_path',
      at('trained'),
      '--test_data',
      at('scan.npz'),
      '--output_dir',
      at('again'),
      ...host,
    );
    // Phases of patches are aligned by sums that are even within a cell since (it differs by 0.0035).
    expect(await objectsDiffer(at('again', 'reconstruction.npz'), at('image', 'reconstruction.npz'))).toBeLessThan(
      1e-2,
    );
  });

  it('a stopped training goes on to the same losses and weights', async () => {
    const scan = ['--train_data_file', at('scan.npz'), '--init', at('init.zip')];
    const said = await cli('train', '--resume', at('run'), ...scan, '--accelerator', 'cpu', '--threads', '1');
    expect(said.code, said.err).toBe(0);
    expect(said.out).toContain('(2 of them before it was resumed)');
    const history = async (name: string) => decodeHistory(await readFile(at(name, 'history.csv'), 'utf8'));
    const [found, expected] = [await history('run'), await history('trained')];
    expect(found).toHaveLength(4);
    for (const [i, epoch] of expected.entries()) expect(found[i].val_loss! / epoch.val_loss!).toBeCloseTo(1, 4);
    const [weights, theirs] = [(await openBundle(at('run'))).weights, (await openBundle(at('trained'))).weights];
    for (const [name, { data }] of Object.entries(theirs)) {
      expect(
        data.reduce((worst, v, i) => Math.max(worst, Math.abs(v - weights[name].data[i])), 0),
        name,
      ).toBeLessThan(1e-4);
    }
  });

  it('a finished training begins another one', async () => {
    const words = ['--train_data_file', at('scan.npz'), '--init', at('trained'), '--output_dir', at('more')];
    await runs('train', '--config', at('train.yaml'), ...words, '--nepochs', '1', ...host);
    expect((await openBundle(at('more'))).training.bestEpoch).toBe(1);
  });

  it('a stopped solve goes on to the same image', async () => {
    await runs('solve', '--resume', at('solving'), '--test_data', at('scan.npz'), ...host);
    const history = async (name: string) =>
      (await readFile(at(name, 'history.csv'), 'utf8')).trim().split('\n').slice(1);
    const [found, expected] = [await history('solving'), await history('solved')];
    expect(found).toHaveLength(10);
    expected.forEach((line, i) => {
      const [values, theirs] = [found[i], line].map((row) => row.split(',').map(Number));
      for (const [k, value] of theirs.entries()) expect(values[k]).toBeCloseTo(value, 4);
    });
    expect(await objectsDiffer(at('solving', 'reconstruction.npz'), at('solved', 'reconstruction.npz'))).toBeLessThan(
      1e-3,
    );
  });

  it('a finished image begins a solve, and becomes a product', async () => {
    const scan = ['--test_data', at('scan.npz')];
    await runs('solve', ...scan, '--init', at('image'), '--epochs', '1', '--output_dir', at('warm'), ...host);
    await runs(
      'product',
      'export',
      at('solved'),
      '--test_data_file',
      at('scan.npz'),
      '--output_file',
      at('new.h5'),
      '--quiet',
    );
    const [found, expected] = [await readProductFile(at('new.h5')), await readProductFile(at('solved', 'product.h5'))];
    expect(found.object?.array.shape).toEqual(expected.object?.array.shape);
  });

  it('product.h5 is imported', async () => {
    const product = await readProductFile(at('solved', 'product.h5'));
    expect(product.metadata.probe_energy_eV).toBeCloseTo(8000, 6);
    await runs('product', 'verify', at('solved', 'product.h5'));
    const npz = await openNpz(at('scan.npz'));
    const { data, shape } = await npz.readReal('diffraction').finally(() => npz.close());
    await writeNpz(at('patterns.npz'), { diffraction: { data: Float32Array.from(data), shape } });
    const domain = ['--measurement_domain', 'count_amplitude'];
    const patterns = ['--diffraction', at('patterns.npz'), ...domain, '--output_file', at('imported.npz')];
    await runs('product', 'import', at('solved', 'product.h5'), ...patterns, '--quiet');
    const raw = await openDataset(at('imported.npz'));
    try {
      expect(raw).toMatchObject({ count: 9, N: 64 });
      expect(raw.objectGuess?.shape).toEqual(product.object?.array.shape.slice(1));
    } finally {
      await raw.close();
    }
  });

  it('train.yaml and the configuration that a run wrote come to the same', async () => {
    const resolved = async (file: string) =>
      JSON.parse(await runs('config', 'show', 'train', '--config', at(file), '--preset', 'published', '--json')).config;
    const read = await resolved('train.yaml');
    expect(read).toMatchObject({ nepochs: 4, scheduler: 'WarmupCosine', batch_size: 2, model: { n_filters_scale: 1 } });
    // What the run wrote, as a file of its own; the photons are those of its scan.
    const { config } = JSON.parse(await readFile(path.join(kept, 'run', 'config.json'), 'utf8'));
    await writeFile(at('written.json'), JSON.stringify(config));
    expect(await resolved('written.json')).toEqual({ ...read, nphotons: 20000 });
  });
});

/**
 * `examples/python/ptychodus_with_ptychopinn.py` in a host: a stand-in with the names and rules of Ptychodus, and the real one where
 * PTYCHODUS_SRC is the folder of a checkout (and PTYCHODUS_PYTHON a Python that has what it needs).
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describePython, findPython } from '../support/python.js';
import { stageTinyScan } from '../support/stagedScan.js';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** What `host_checks.py` prints. */
interface Seen {
  readonly names: string[];
  readonly algorithm: [name: string, trainable: boolean];
  readonly selected: Record<string, [name: string, trainable: boolean]>;
  readonly abstract: boolean[];
  readonly first: [name: string, losses: number, comments: string];
  readonly second: [name: string, losses: number, shape: number[], comments: string];
  readonly changed: number;
  readonly geometry: boolean[];
  readonly saved: string[];
  readonly failed: [comments: string, changed: number];
  readonly after_kill: [losses: number, code: null];
  readonly trained: [result: number, losses: number, validated: number];
  readonly follows: [filters: number, path: string];
  readonly network: [name: string, comments: string, finite: boolean, losses: number];
  readonly refused: string;
  readonly batch: Batch;
  readonly batch_product: [name: string, losses: number, changed: number];
  readonly batch_fails: Batch;
  readonly batch_network: Batch;
  readonly batch_train: Batch;
  readonly batch_untrained: Batch;
  readonly developer: string;
  readonly no_worker: string[];
}

interface Batch {
  readonly code: number;
  readonly said: string;
  readonly files: string[];
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-host-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function check(python: string, source: string): Promise<void> {
  const staged = await stageTinyScan(folder);
  const options = { launcher: path.resolve('examples/python'), folder, ...staged };
  const args = ['-B', here('../adapters/worker/host_checks.py'), JSON.stringify(options)];
  const env = {
    ...process.env,
    PYTHONPATH: source,
    QT_QPA_PLATFORM: 'offscreen',
    PTYCHOPINN_WORKER: `${process.execPath} ${path.resolve('dist/cli/main.js')} worker --quiet`,
  };
  const { stdout } = await promisify(execFile)(python, args, { env, maxBuffer: 1 << 26 });
  const seen = JSON.parse(stdout.trim().split('\n').at(-1)!) as Seen;
  const solvers = ['DM', 'LSQML', 'ML', 'PIE', 'ePIE', 'rPIE'].map((name) => `PtychoPINN/${name}`);
  const networks = ['PtychoPINN', 'PtychoPINN-onnx', 'PtychoPINN-tf'].flatMap((library) =>
    ['PINN', 'Supervised'].map((name) => `${library}/${name}`),
  );
  const ours = seen.names.filter((name) => name.startsWith('PtychoPINN'));
  expect(ours.sort()).toEqual([...networks, ...solvers].sort());
  expect(seen.algorithm).toEqual(['PtychoPINN/rPIE', false]);
  for (const name of solvers) expect(seen.selected[name]).toEqual([name, false]);
  for (const name of networks) expect(seen.selected[name]).toEqual([name, true]);
  expect(seen.abstract).toEqual([true, true, true]);
  // Settings of the file, then of the window.
  expect(seen.first).toEqual(['tiny_PtychoPINN_LSQML', 2, '']);
  expect(seen.second[0]).toBe('tiny_PtychoPINN_rPIE');
  expect(seen.second[1]).toBe(3);
  expect(seen.changed).toBeGreaterThan(0.01);
  expect(seen.geometry).toEqual([true, true]);
  expect(seen.saved.join(' ')).toContain('[PtychoPINNSolver] NumEpochs = 3');
  // Errors end, and are told.
  expect(seen.failed[0]).toContain('PtychoPINN/PINN failed, so that this is its input: No model is open');
  expect(seen.failed[1]).toBe(0);
  expect(seen.after_kill).toEqual([3, null]);
  expect(seen.refused).toContain('nothing.zip');
  // Models.
  expect(seen.trained).toEqual([0, 2, 2]);
  expect(seen.follows).toEqual([1, path.join(folder, 'model.zip')]);
  expect(seen.network.slice(0, 3)).toEqual([seen.network[0], '', true]);
  expect(seen.network[3]).toBe(2);
  // Batch mode.
  expect([seen.batch.code, seen.batch.files.length]).toEqual([0, 1]);
  expect(seen.batch_product.slice(0, 2)).toEqual(['tiny_PtychoPINN_rPIE', 2]);
  expect(seen.batch_product[2]).toBeGreaterThan(0.01);
  expect([seen.batch_fails.code, seen.batch_fails.files]).toEqual([1, []]);
  expect(seen.batch_fails.said).toContain('no product was written: No model is open');
  expect([seen.batch_network.code, seen.batch_network.files.length]).toEqual([0, 1]);
  expect([seen.batch_train.code, seen.batch_train.files]).toEqual([0, ['wts.zip']]);
  expect([seen.batch_untrained.code, seen.batch_untrained.files]).toEqual([1, []]);
  expect(seen.batch_untrained.said).toContain('holds no train_data.npz');
  expect(seen.developer).toBe('0');
  expect(seen.no_worker[0]).toContain('The worker cannot be started (/no/such/program worker)');
}

describePython('the launcher, with a stand-in of Ptychodus', ['numpy', 'h5py'], () => {
  it('gives it our reconstructors, in its menus and its batch mode', async () => {
    await check(findPython(['numpy', 'h5py'])!, here('../adapters/worker/host'));
  });
});

const checkout = process.env.PTYCHODUS_SRC;

describe.skipIf(!checkout)('the launcher, with the Ptychodus of PTYCHODUS_SRC', () => {
  it('gives it our reconstructors, in its menus and its batch mode', async () => {
    await check(process.env.PTYCHODUS_PYTHON ?? 'python3', path.join(checkout!, 'src'));
  });
});

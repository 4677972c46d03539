/** `examples/python/ptychodus_node_adapter.py` with Python and NumPy, in a host that has the shape of Ptychodus. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type HostSession, runHostSession } from '../adapters/worker/hostSession.js';
import { describePython, findPython } from '../support/python.js';
import { writeTinyScan } from '../support/tinyRun.js';

const run = promisify(execFile);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-host-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describePython('the Python adapter', ['numpy', 'h5py'], () => {
  it('takes a host through a whole session', { timeout: 400_000 }, async () => {
    const scan = path.join(folder, 'scan.npz');
    await writeTinyScan(scan);
    const seen: HostSession = await runHostSession({
      folder,
      scan,
      training_scan: scan,
      settings: {
        PtychoPINNTraining: { NumEpochs: 2, BatchSize: 4 },
        PtychoPINNModel: { NumFiltersScale: 1 },
        PtychoPINNNode: { Accelerator: 'cpu', Threads: 1, PreviewSeconds: 0.1 },
        PtychoPINNSolver: { NumEpochs: 5 },
      },
    });
    expect(seen.names).toEqual(['PINN', 'PINN', 'Zipped Archive (*.zip)', '.zip', 'NumPy Zipped Archive (*.npz)']);
    expect(seen.trainable).toEqual([true, false]);
    expect(seen.epochs.at(-1)).toEqual([1, 2]);
    expect(seen).toMatchObject({ losses_finite: true, validated: 2, loaded_after_training: true, exit_code: 0 });
    expect(seen.train_end).toEqual([2, 0, 0, path.join(folder, 'model', 'wts.zip')]);
    expect(seen.cancelled_training).toEqual([true, 130]);
    expect(seen.settings_after_open).toBe('1');
    expect(seen.progress.at(-1)).toBe(seen.goal);
    expect(seen).toMatchObject({ results: [0], class: 'EarlierProduct', geometry_kept: true, loss_epochs: [1, 2] });
    expect(seen.changed).toBeGreaterThan(0.01);
    for (const [what, deviation] of Object.entries(seen.file)) expect(deviation, what).toBeLessThan(1e-6);
    expect(seen.attributes).toEqual({
      name: 'star',
      distance: 2.3353,
      energy: 8800,
      center_x: 3e-7,
      pixel: 12.5e-9,
      angle: 15,
    });
    expect(seen.again).toBe(0);
    expect(seen).toMatchObject({
      solver_names: ['LSQML', false, ''],
      solver_end: [100, 0, 'EarlierProduct'],
      solver_probe: [true, true],
      solver_positions: [true, 0],
      probe_of_network_kept: true,
    });
    expect(seen.solver_object).toBeGreaterThan(0.01);
    expect(seen.solver_moved).toBeGreaterThan(0.001);
    expect(seen.error[0]).toContain('nothing.zip');
    expect(seen.error[1]).toBe('FILE_NOT_FOUND');
    expect([seen.still_loaded, seen.loaded_after_close]).toEqual([true, false]);
    expect(seen.earlier_train).toEqual([2, 0, 'TrainOutput', path.join(folder, 'model2', 'wts.zip')]);
    expect(seen.log[0]).toBeGreaterThan(5);
    expect(seen.log[1]).toEqual(['ptychopinn.PtychoPINN']);
  });
});

describePython('the Python adapter, without a worker', ['numpy'], () => {
  const adapter = path.resolve('examples/python/ptychodus_node_adapter.py');

  it('is small, needs NumPy alone and runs on Python 3.9', async () => {
    const text = await readFile(adapter, 'utf8');
    expect(text.split('\n').length).toBeLessThanOrEqual(300);
    // Its abstract classes only where the host is there.
    const imports = [...text.matchAll(/^(?:import|from) (.*?)(?: import .*)?$/gm)].flatMap(([, names]) =>
      names.split(', '),
    );
    const standard = ['dataclasses', 'json', 'logging', 'os', 'struct', 'subprocess', 'tempfile', 'threading'];
    standard.push('collections', 'pathlib');
    expect(new Set(imports)).toEqual(new Set([...standard, 'numpy as np']));
    const check = 'import ast, sys; ast.parse(open(sys.argv[1]).read(), feature_version=(3, 9))';
    await run(findPython(['numpy'])!, ['-c', check, adapter]);
  });

  it('says what is wrong where the command is something else', async () => {
    const script = `
import sys
sys.path.insert(0, sys.argv[1])
from ptychodus_node_adapter import Worker, WorkerError
try:
    Worker(['echo', 'this is no frame at all'])
except WorkerError as error:
    print(error)
`;
    const { stdout } = await run(findPython(['numpy'])!, ['-B', '-c', script, path.dirname(adapter)]);
    // Whichever it notices first.
    expect(stdout).toMatch(
      /^(What the command writes .* is not the protocol of ptychopinn|The worker has ended .*)\.$/m,
    );
  });
});

/**
 * Scans that are reconstructed while they are measured: a stream as a detector sends it, with a receiver that is killed; an HDF5 file that h5py
 * writes for readers beside it. Needs `npm run build`.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { relativeObjectError } from '../../src/evaluation/align.js';
import { readReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { freePort } from '../support/freePort.js';
import { describePython, findPython } from '../support/python.js';

const cli = path.resolve('dist/cli/main.js');
const RECIPE = [
  '--N',
  '64',
  '--object',
  'dead_leaves',
  '--object_side_px',
  '128',
  '--step_px',
  '4',
  '--photons',
  '2e5',
  '--seed',
  '4',
];
const EPOCHS = '8';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-live-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const at = (name: string) => path.join(folder, name);
const start = (...words: string[]): ChildProcess => spawn(process.execPath, [cli, ...words], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] }); // biome-ignore format: one call
const ptychopinn = (...words: string[]) => promisify(execFile)(process.execPath, [cli, ...words], { cwd: folder });
async function ended(child: ChildProcess): Promise<{ readonly code: number | null; readonly said: string }> {
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (said += String(chunk)));
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, said };
}

/** The image is that of the same patterns solved afterwards. */
async function expectOffline(live: string, offline: string): Promise<void> {
  const [a, b] = await Promise.all([live, offline].map((name) => readReconstruction(at(`${name}/reconstruction.npz`))));
  expect(a.image.shape).toEqual(b.image.shape);
  expect(relativeObjectError(a.image, b.image)).toBeLessThan(1e-3);
}

describe('a stream of a detector', () => {
  it('is kept, shown and reconstructed as the same scan is afterwards', async () => {
    const address = `tcp://127.0.0.1:${await freePort()}`;
    const detector = start(
      'simulate',
      ...RECIPE,
      '--output_file',
      'scan.npz',
      '--publish',
      address,
      '--publish_hz',
      '60',
    );
    const sentAll = ended(detector);
    const { code, said } = await ended(
      start('live', '--source', address, '--output_dir', 'tonight', '--epochs', EPOCHS, '--every_seconds', '0.5'),
    );
    expect(code, said).toBe(0);
    expect((await sentAll).code).toBe(0);
    const [sent, kept] = await Promise.all([
      openDataset(at('scan.npz')),
      openDataset(at('tonight/record/patterns.npy'), { positions: at('tonight/record/positions.csv') }),
    ]);
    expect(kept.count).toBe(sent.count);
    expect(said).toMatch(new RegExp(`${sent.count} patterns came; \\d+ previews`));
    expect(Array.from(kept.xcoords)).toEqual(Array.from(sent.xcoords));
    const [a, b] = [sent, kept].map(() => new Float32Array(sent.count * 64 * 64));
    const rows = Int32Array.from({ length: sent.count }, (_, k) => k);
    await sent.patterns.readAmplitudes(rows, a);
    await kept.patterns.readAmplitudes(rows, b);
    expect(b.every((value, i) => Math.abs(value - a[i]) < 1e-3)).toBe(true);
    await Promise.all([sent.close(), kept.close()]);
    expect(existsSync(at('tonight/live/reconstructed_phase.png'))).toBe(true);
    await ptychopinn(
      'solve',
      'tonight/record/patterns.npy',
      '--positions',
      'tonight/record/positions.csv',
      '--measurement_domain',
      'count_intensity',
      '--epochs',
      EPOCHS,
      '--output_dir',
      'offline',
    );
    await expectOffline('tonight', 'offline');
  });

  it('goes on after the receiver was killed, with what it had and what waited', async () => {
    const address = `tcp://127.0.0.1:${await freePort()}`;
    const detector = start(
      'simulate',
      ...RECIPE,
      '--output_file',
      'scan2.npz',
      '--publish',
      address,
      '--publish_hz',
      '40',
      '--publish_encoding',
      'lz4',
    );
    const options = ['--source', address, '--output_dir', 'killed', '--epochs', EPOCHS];
    const sentAll = ended(detector);
    const first = start('live', ...options);
    while (
      !existsSync(at('killed/record/positions.csv')) ||
      readFileSync(at('killed/record/positions.csv'), 'utf8').split('\n').length < 40
    ) {
      await new Promise((done) => setTimeout(done, 50));
    }
    const dead = ended(first);
    first.kill('SIGKILL');
    await dead;
    // What the dead process had received and not written is lost; the count says so, and the frames after it have their own positions.
    const { code, said } = await ended(start('live', ...options, '--resume'));
    expect(code, said).toBe(0);
    await sentAll;
    expect(said).toMatch(/Going on after \d+ frames that were recorded before/);
    const sent = await openDataset(at('scan2.npz'));
    const kept = await openDataset(at('killed/record/patterns.npy'), { positions: at('killed/record/positions.csv') });
    expect(kept.count).toBeGreaterThan(40);
    expect(kept.count).toBeLessThanOrEqual(sent.count);
    const places = new Set(Array.from(sent.xcoords, (x, k) => `${x} ${sent.ycoords[k]}`));
    expect(Array.from(kept.xcoords).every((x, k) => places.has(`${x} ${kept.ycoords[k]}`))).toBe(true);
    await Promise.all([sent.close(), kept.close()]);
  });
});

describePython('a file that grows', ['h5py', 'numpy'], () => {
  it('is followed while h5py writes it', async () => {
    await ptychopinn('simulate', ...RECIPE, '--output_file', 'grow.npz');
    writeFileSync(
      at('grow.py'),
      `import h5py, numpy as np, time
z = np.load('grow.npz')
d = np.rint(np.asarray(z['diffraction'], 'f8') ** 2).astype('u4'); x = z['xcoords']; y = z['ycoords']
np.savetxt('grow.csv', np.c_[np.arange(len(x)), x, y], delimiter=',', header='index,x_px,y_px', comments='')
f = h5py.File('grow.h5', 'w', libver='latest')
s = f.create_dataset('entry/data/data', shape=(0,) + d.shape[1:], maxshape=(None,) + d.shape[1:], chunks=(1,) + d.shape[1:], dtype='u4')
f.swmr_mode = True
for k in range(len(d)):
    s.resize(k + 1, axis=0); s[k] = d[k]; s.flush(); time.sleep(0.015)
time.sleep(1)
f.close()
`,
    );
    const writer = spawn(findPython(['h5py', 'numpy']) ?? '', ['grow.py'], { cwd: folder, stdio: 'inherit' });
    while (!existsSync(at('grow.csv')) || !existsSync(at('grow.h5')))
      await new Promise((done) => setTimeout(done, 100));
    const { code, said } = await ended(
      start(
        'live',
        '--source',
        'grow.h5',
        '--positions',
        'grow.csv',
        '--measurement_domain',
        'count_intensity',
        '--idle_seconds',
        '4',
        '--epochs',
        EPOCHS,
        '--output_dir',
        'grown',
      ),
    );
    writer.kill();
    expect(code, said).toBe(0);
    const sent = await openDataset(at('grow.npz'));
    expect(said).toContain(`${sent.count} patterns came`);
    await sent.close();
    await ptychopinn(
      'solve',
      'grow.h5',
      '--positions',
      'grow.csv',
      '--measurement_domain',
      'count_intensity',
      '--epochs',
      EPOCHS,
      '--output_dir',
      'grown-offline',
    );
    await expectOffline('grown', 'grown-offline');
  });
});

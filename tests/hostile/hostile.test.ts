/** Every class of hostile file: a typed error, one sentence, no crash, and memory that does not follow what the file claims. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHdf5 } from '../../src/formats/hdf5/file.js';
import { writeNpz } from '../../src/formats/npz.js';
import { fileOf, HOSTILE, soundScan } from './corpus.js';

interface Outcome {
  readonly opened: boolean;
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly peakBytes: number;
}

const script = fileURLToPath(new URL('./open.mjs', import.meta.url));
/** Opens in a process of its own, which must end by itself; once for each of `options`. */
async function openEach(file: string, options: readonly object[]): Promise<Outcome[]> {
  const words = [script, file, JSON.stringify(options)];
  const { stdout } = await promisify(execFile)(process.execPath, words, { timeout: 60_000 });
  const lines = stdout.trim().split('\n');
  expect(lines).toHaveLength(options.length);
  return lines.map((line) => JSON.parse(line) as Outcome);
}
const open = async (file: string, options = {}): Promise<Outcome> => (await openEach(file, [options]))[0];

const BYTES = 8 << 20;
/** Garbage that was not collected yet, and what differs from run to run. */
const NOISE = 16 << 20;

let folder: string;
let baseline: number;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-hostile-'));
  const small = path.join(folder, 'small.npz');
  await writeNpz(small, soundScan(1));
  const outcome = await open(small);
  expect(outcome).toMatchObject({ opened: true });
  baseline = outcome.peakBytes;
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('hostile files', () => {
  it('a sound one of their size opens', async () => {
    const file = path.join(folder, 'large.npz');
    await writeNpz(file, soundScan(BYTES));
    const outcome = await open(file);
    expect(outcome.opened).toBe(true);
    expect(outcome.peakBytes - baseline).toBeLessThan(2 * BYTES + NOISE);
  });

  it.each(HOSTILE.map((h) => [h.name, h] as const))('%s', async (_, hostile) => {
    const file = fileOf(folder, hostile);
    await hostile.write(file, BYTES);
    const { size } = await stat(file);
    const outcome = await open(file);
    expect(outcome).toMatchObject({ opened: false, name: 'PtychoError' });
    expect(outcome.message).toMatch(hostile.says);
    expect(outcome.message?.split('\n')).toHaveLength(1);
    expect(outcome.peakBytes - baseline, `${size} bytes`).toBeLessThan(2 * size + NOISE);
    await rm(file);
  });
});

describe('hostile HDF5 files', () => {
  const fixtures = fileURLToPath(new URL('../../fixtures/formats', import.meta.url));
  const positions = path.join(fixtures, 'positions.csv');
  const geometry = { positions, object_pixel_m: 1e-8 };
  let sound: number;
  beforeAll(async () => {
    const outcome = await open(path.join(fixtures, 'virtual.h5'), geometry);
    expect(outcome).toMatchObject({ opened: true });
    sound = outcome.peakBytes;
  }, 60_000);

  const hostile = path.join(fixtures, 'hostile.h5');
  it('every dataset of the sample', async () => {
    const file = await openHdf5(hostile);
    const paths = file.keys('/').map((key) => `/${key}`);
    file.close();
    expect(paths.length).toBeGreaterThan(8);
    const options = paths.map((diffraction_path) => ({ ...geometry, diffraction_path }));
    for (const [i, outcome] of (await openEach(hostile, options)).entries()) {
      expect(outcome, paths[i]).toMatchObject({ opened: false, name: 'PtychoError' });
      expect(outcome.message?.split('\n')).toHaveLength(1);
      expect(outcome.peakBytes - sound, paths[i]).toBeLessThan(NOISE);
    }
  });
});

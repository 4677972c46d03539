/**
 * What is written survives whatever happens to the writer: kills at random moments, and two runs in one folder. 5 kills of each
 * command; 1 with PTYCHOPINN_SLOW_SAMPLE=1. Needs `npm run build`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import { isHdf5File } from '../../src/formats/hdf5/file.js';
import { readZip } from '../../src/formats/zip.js';

const KILLS = process.env.PTYCHOPINN_SLOW_SAMPLE === '1' ? 1 : 5;
const main = path.resolve('dist/cli/main.js');

let folder: string;
const at = (...names: string[]) => path.join(folder, ...names);
const hash = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
/** Complete: every member of an archive has its sum, and HDF5 files have a size. (Files tell when they were made, so their bytes differ.) */
async function isWhole(file: string, bytes: number | undefined): Promise<boolean> {
  if (!file.endsWith('.npz')) return statSync(file).size === bytes && isHdf5File(file);
  const members = await readZip(file, { maxMemberBytes: 2 ** 30, maxTotalBytes: 2 ** 30 });
  return members.size > 0;
}
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

function start(...words: string[]): ChildProcess & { said: string } {
  const child = Object.assign(spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'pipe'] }), { said: '' }); // biome-ignore format: one line
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      child.said += String(chunk);
    });
  }
  return child;
}
const ended = (child: ChildProcess) => new Promise<number | null>((done) => child.once('close', done));
async function run(...words: string[]): Promise<void> {
  const child = start(...words);
  expect(await ended(child), child.said).toBe(0);
}
/** Hidden files and temporary ones, anywhere below. */
const leftovers = (where: string) =>
  (readdirSync(where, { recursive: true }) as string[]).filter((name) => /(^|\/)\.|\.tmp$/.test(name));

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-outputs-'));
  await run('simulate', '--output_file', at('scan.npz'), '--N', '64', '--n_patterns', '400');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const STUDY = {
  doses: [1e5],
  views: { dense: { s_img: 0.9 } },
  splits: ['test'],
  simulation: { N: 64, object: 'lines', object_side_px: 130, n_patterns: 100, probe_diameter_px: 20 },
  training: { nepochs: 2, batch_size: 4, n_groups: 12, n_filters_scale: 1 },
  pinn: { nll_weight: 0, mae_weight: 1 },
  comparison: { r_factor_patterns: 4 },
  execution: { accelerator: 'cpu', threads: 1 },
};

/** Words of a command that writes to this folder, and what it leaves there. */
const COMMANDS: Readonly<Record<string, { words: (out: string) => string[]; files: string[] }>> = {
  convert: { words: (out) => ['convert', at('scan.npz'), '--compress', '--output_file', path.join(out, 'a.npz')], files: ['a.npz'] }, // biome-ignore format: one line
  split: { words: (out) => ['split', at('scan.npz'), '--output_dir', out], files: ['scan_train.npz', 'scan_test.npz'] },
  simulate: { words: (out) => ['simulate', '--N', '64', '--n_patterns', '400', '--output_file', path.join(out, 'a.npz')], files: ['a.npz'] }, // biome-ignore format: one line
  product: { words: (out) => ['product', 'export', at('scan.npz'), '--raw_data', '--output_file', path.join(out, 'a.h5')], files: ['a.h5'] }, // biome-ignore format: one line
};

describe.each(Object.entries(COMMANDS))('%s, killed', (name, { words, files }) => {
  const rng = new LegacyRng(name.length);
  const moments = Array.from({ length: KILLS }, () => 0.3 + 0.7 * rng.random());
  let span_ms: number;
  const sizes = new Map<string, number>();

  beforeAll(async () => {
    mkdirSync(at(name));
    const started = performance.now();
    await run(...words(at(name)));
    span_ms = performance.now() - started;
    for (const file of files) sizes.set(file, statSync(at(name, file)).size);
  });

  it.each(moments)('at %f of its time, leaves old files whole and the next run cleans up', async (moment) => {
    const out = at(`${name}-killed`);
    mkdirSync(out);
    for (const file of files) writeFileSync(path.join(out, file), 'old');
    const child = start(...words(out), '--overwrite');
    const over = ended(child);
    await Promise.race([pause(moment * span_ms), over]);
    child.kill('SIGKILL');
    await over;
    for (const file of files) {
      const found = readFileSync(path.join(out, file));
      const old = found.toString('latin1') === 'old';
      expect(old || (await isWhole(path.join(out, file), sizes.get(file))), file).toBe(true);
    }
    await run(...words(out), '--overwrite');
    for (const file of files) expect(await isWhole(path.join(out, file), sizes.get(file)), file).toBe(true);
    expect(leftovers(out)).toEqual([]);
    rmSync(out, { recursive: true });
  });
});

describe('solve', () => {
  const words = (out: string, nepochs = 3) => ['solve', '--test_data', at('scan.npz'), '--algorithm', 'rpie', '--nepochs', String(nepochs), '--save_every', '1', '--output_dir', out]; // biome-ignore format: one line

  it('is refused where another run works, and in a finished folder', async () => {
    const out = at('shared');
    const first = start(...words(out, 2000));
    const over = ended(first);
    while (!existsSync(path.join(out, 'config.json')) && first.exitCode === null) await pause(20);
    const second = start(...words(out));
    expect(await ended(second)).toBe(2);
    expect(second.said).toMatch(new RegExp(`in use: ptychopinn solve \\(process ${first.pid} on `));
    const resumed = start('solve', '--resume', out);
    expect(await ended(resumed)).toBe(2);
    first.kill('SIGKILL');
    await over;
    // Taken over at once, although the lock is still there.
    const third = start(...words(out), '--overwrite');
    expect(await ended(third), third.said).toBe(0);
    expect(third.said).toMatch(/Taking over/);
    expect(leftovers(out)).toEqual([]);
    const sum = hash(path.join(out, 'reconstruction.npz'));
    const fourth = start(...words(out));
    expect([await ended(fourth), fourth.said]).toEqual([2, expect.stringContaining('--overwrite')]);
    expect(hash(path.join(out, 'reconstruction.npz'))).toBe(sum);
  });

  it('killed while it writes its results, can be begun again', async () => {
    const whole = at('solved');
    await run(...words(whole));
    for (let i = 0; i < KILLS; i++) {
      const out = at(`solved-killed-${i}`);
      const child = start(...words(out));
      const over = ended(child);
      while (!existsSync(path.join(out, 'reconstruction.npz')) && child.exitCode === null) await pause(2);
      await pause(20 * i);
      child.kill('SIGKILL');
      await over;
      for (const name of ['reconstruction.npz', 'history.csv']) {
        const file = path.join(out, name);
        if (name.endsWith('.csv') && existsSync(file)) expect(hash(file)).toBe(hash(path.join(whole, name)));
      }
      await run(...words(out), '--overwrite');
      expect(leftovers(out)).toEqual([]);
    }
  });
});

describe.skipIf(process.platform === 'win32')('a file that may not grow as large', () => {
  it('is told of after a solver has run, in place of an end without a word', async () => {
    const out = at('limited');
    const words = [main, 'solve', at('scan.npz'), '--epochs', '1', '--output_dir', out];
    const child = spawnSync('sh', ['-c', 'ulimit -f 40; exec "$0" "$@"', process.execPath, ...words], {
      encoding: 'utf8',
    });
    expect(child.stderr).toContain('the file would be larger than is allowed here');
    expect(child).toMatchObject({ status: 1, signal: null });
    expect(leftovers(out)).toEqual([]);
  });
});

describe('study', () => {
  it('killed, goes on where it was', async () => {
    const file = at('study.json');
    writeFileSync(file, JSON.stringify(STUDY));
    const words = ['study', 'dose-overlap', '--config', file, '--output_dir', at('study')];
    const rng = new LegacyRng(7);
    for (let i = 0; i < KILLS; i++) {
      const child = start(...words);
      const over = ended(child);
      await Promise.race([pause(2000 + 8000 * rng.random()), over]);
      child.kill('SIGKILL');
      await over;
    }
    await run(...words);
    expect(leftovers(at('study'))).toEqual([]);
  });
});

/**
 * Kills a training at random moments and resumes it: whatever the moment, the final bundle has the bytes of the run that was
 * never interrupted. 20 kills; 3 with PTYCHOPINN_SLOW_SAMPLE=1. Needs `npm run build`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import { bundleHash, writeTinyScan } from '../support/tinyRun.js';

const KILLS = process.env.PTYCHOPINN_SLOW_SAMPLE === '1' ? 3 : 20;
const cli = path.resolve('dist/cli/main.js');

let folder: string;
let whole: string;
/** From the folder of the run to its end, when nothing interrupts it. */
let span_ms: number;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-crash-'));
  await writeTinyScan(path.join(folder, 'scan.npz'));
  const started = startedAt(path.join(folder, 'whole'));
  await finished(train('whole'));
  span_ms = performance.now() - (await started);
  whole = await bundleHash(path.join(folder, 'whole'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function train(name: string, ...more: string[]): ChildProcess {
  const flags = {
    train_data_file: path.join(folder, 'scan.npz'),
    output_dir: path.join(folder, name),
    n_filters_scale: '1',
    n_groups: '10',
    val_fraction: '0.2',
    batch_size: '4',
    nepochs: '6',
    nll_weight: '0.5',
    mae_weight: '0.5',
    scheduler: 'WarmupCosine',
    weight_averaging: '0.9',
    checkpoint_save_top_k: '2',
    accelerator: 'cpu',
    threads: '1',
  };
  const list = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  return spawn(process.execPath, [cli, 'train', '--quiet', ...list, ...more], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Waits for the end; fails with what the process said. */
async function finished(child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += String(chunk);
  });
  const code = await ended(child);
  expect(code, said).toBe(0);
}

const ended = (child: ChildProcess) => new Promise<number | null>((done) => child.once('close', done));
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** When a run's folder holds its configuration: from then on there is something to resume. */
async function startedAt(run: string): Promise<number> {
  while (!existsSync(path.join(run, 'config.json'))) await pause(5);
  return performance.now();
}

describe('a training that is killed', () => {
  const rng = new LegacyRng(20);
  // In every part of the run, at a random moment of it.
  const moments = Array.from({ length: KILLS }, (_, i) => (i + rng.random()) / KILLS);

  it.each(moments.map((moment, i) => [i + 1, moment] as const))('kill %i, at %f of the run', async (i, moment) => {
    const name = `killed${i}`;
    const child = train(name);
    const over = ended(child);
    await Promise.race([startedAt(path.join(folder, name)), over]);
    await Promise.race([pause(moment * span_ms), over]);
    child.kill('SIGKILL');
    await over;
    // Every other one goes on in another folder, and every fifth is killed once more.
    const to = i % 2 === 0 ? `resumed${i}` : name;
    if (i % 5 === 0) {
      const again = train(to, '--resume', path.join(folder, name));
      const gone = ended(again);
      await Promise.race([pause(0.5 * span_ms), gone]);
      again.kill('SIGKILL');
      await gone;
    }
    const begun = existsSync(path.join(folder, to, 'config.json')) ? to : name;
    await finished(train(to, '--resume', path.join(folder, i % 5 === 0 ? begun : name)));
    expect(await bundleHash(path.join(folder, to))).toBe(whole);
    const left = await readdir(path.join(folder, to, 'checkpoints'));
    expect(left.sort()).toEqual((await readdir(path.join(folder, 'whole', 'checkpoints'))).sort());
    await rm(path.join(folder, name), { recursive: true, force: true });
    await rm(path.join(folder, to), { recursive: true, force: true });
  });
});

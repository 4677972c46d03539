/** The folder of checkpoints, and what a run may go on from: without any training. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TrainingConfig, trainingConfigSchema } from '../../src/config/schema.js';
import { LegacyRng } from '../../src/core/rng.js';
import { ownIdentity, processMark } from '../../src/formats/replaceFile.js';
import { type CheckpointContent, openCheckpoint } from '../../src/persistence/checkpoint.js';
import { CheckpointFolder, checkResumable, findCheckpoint, warnOfEngine } from '../../src/training/checkpointFolder.js';
import { EpochJudge, type EpochRecord, monitorOf } from '../../src/training/judge.js';

let run: string;
beforeEach(async () => {
  run = await mkdtemp(path.join(tmpdir(), 'ptychopinn-folder-'));
});
afterEach(() => rm(run, { recursive: true, force: true }));

const config = (over: Record<string, unknown> = {}): TrainingConfig =>
  trainingConfigSchema.parse({ model: { N: 64 }, nepochs: 9, scheduler: 'Default', ...over });
const engine = { version: '0.1.0', backend: 'onnx', engine: 'onnxruntime-node 1.30.0', device: 'cpu', threads: 2 };

function contentOf(history: readonly EpochRecord[], bestEpoch: number, of = config()): CheckpointContent {
  const weights = { w: { data: Float32Array.of(history.length), shape: [1] } };
  return {
    engine,
    config: of,
    scan: { patterns: 'a', probe: 'b' },
    init: null,
    epoch: history.length,
    bestEpoch,
    history,
    shuffle: new LegacyRng(1).save(),
    state: weights,
    bestWeights: weights,
  };
}

const recordOf = (epoch: number, val_loss: number): EpochRecord => ({
  epoch,
  learning_rate: 1e-3,
  loss: 1,
  nll: 1,
  mae: 1,
  val_loss,
  val_nll: null,
  val_mae: null,
  amplitude_contrast: 0.2,
});

/** Saves epochs with these losses; the files after each. */
async function filesAfter(losses: readonly number[], keep: number, mode: 'min' | 'max' = 'min'): Promise<string[][]> {
  const of = config({ execution: { checkpoint_mode: mode } });
  const judge = new EpochJudge(monitorOf(of.execution, true), of);
  const folder = new CheckpointFolder(run);
  await folder.make();
  const listings: string[][] = [];
  const history: EpochRecord[] = [];
  for (const loss of losses) {
    history.push(recordOf(history.length + 1, loss));
    judge.add(history[history.length - 1]);
    await folder.save(contentOf(history, judge.best?.epoch ?? 1, of), judge, keep);
    listings.push((await readdir(folder.folder)).sort());
  }
  return listings;
}

describe('the folder of checkpoints', () => {
  const last = 'last.ckpt.zip';
  it('keeps the best epochs and the last one', async () => {
    expect(await filesAfter([0.5, 0.7, 0.4, 0.00012], 2)).toEqual([
      ['epoch=001-val_loss=0.5000.ckpt.zip', last],
      ['epoch=001-val_loss=0.5000.ckpt.zip', 'epoch=002-val_loss=0.7000.ckpt.zip', last],
      ['epoch=001-val_loss=0.5000.ckpt.zip', 'epoch=003-val_loss=0.4000.ckpt.zip', last],
      ['epoch=003-val_loss=0.4000.ckpt.zip', 'epoch=004-val_loss=1.200e-4.ckpt.zip', last],
    ]);
    const folder = new CheckpointFolder(run);
    expect((await folder.files()).map((file) => path.basename(file))).toEqual([
      last,
      'epoch=004-val_loss=1.200e-4.ckpt.zip',
      'epoch=003-val_loss=0.4000.ckpt.zip',
    ]);
    expect((await openCheckpoint(path.join(folder.folder, 'epoch=003-val_loss=0.4000.ckpt.zip'))).epoch).toBe(3);
  });

  it('keeps the largest where that is better, and only the last one where none is wanted', async () => {
    expect((await filesAfter([0.5, 0.7, 0.4], 1, 'max'))[2]).toEqual(['epoch=002-val_loss=0.7000.ckpt.zip', last]);
    await rm(path.join(run, 'checkpoints'), { recursive: true });
    expect((await filesAfter([0.5, 0.7], 0))[1]).toEqual([last]);
  });

  it('clears away what a killed run left half-written, and nothing else', async () => {
    const folder = new CheckpointFolder(run);
    await folder.make();
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const mark = processMark({ ...ownIdentity(), pid, started: 1 });
    const left = ['last.ckpt.zip', 'epoch=001-loss=1.0000.ckpt.zip'].map((name) => `.${name}.${mark}.0123456789ab.tmp`);
    for (const name of [...left, 'notes.txt']) await writeFile(path.join(folder.folder, name), 'x');
    await folder.make();
    expect(await readdir(folder.folder)).toEqual(['notes.txt']);
    expect(await findCheckpoint(run, { info() {}, warn() {} })).toBeUndefined();
  });
});

describe('what a run goes on from', () => {
  const history = [recordOf(1, 0.5), recordOf(2, 0.4)];
  const check = (then: Record<string, unknown>, now: Record<string, unknown>) =>
    checkResumable(contentOf(history, 2, config(then)), {
      config: config(now),
      scan: { patterns: 'a', probe: 'b' },
      init: null,
      folder: 'run',
    });

  it('is the same configuration, apart from what changes no result', () => {
    const elsewhere = {
      output_dir: 'x',
      resume: 'y',
      do_stitching: false,
      log_patch_stats: true,
      execution: { threads: 1, checkpoint_save_top_k: 4, recon_log_every_n_epochs: 1, prefetch_factor: 7 },
    };
    expect(() => check({}, elsewhere)).not.toThrow();
    expect(() => check({}, { data: { positions: 'a.csv', cache_groups: true } })).not.toThrow();
    expect(() => check({}, { data: { flip_x: true } })).toThrow(
      'flip_x is true, but the run in run was begun with false;',
    );
    expect(() => check({}, { execution: { checkpoint_mode: 'max' } })).toThrow('checkpoint_mode is "max", but');
    expect(() => check({ weight_averaging: 0.9 }, {})).toThrow(
      'weight_averaging is 0, but the run in run was begun with 0.9',
    );
  });

  it('may become longer or shorter, unless its past depends on the length', () => {
    expect(() => check({}, { nepochs: 20 })).not.toThrow();
    expect(() => check({}, { nepochs: 2 })).not.toThrow();
    expect(() => check({}, { nepochs: 1 })).toThrow('nepochs is 1, but the run in run was begun with 9; give the same');
    const cosine = { scheduler: 'WarmupCosine' };
    expect(() => check(cosine, { ...cosine, nepochs: 20 })).toThrow(
      'nepochs is 20, but the run in run was begun with 9, and the learning rate of WarmupCosine depends on it; give the same value to resume it, or train again without --resume.',
    );
  });

  it('is the same scan', () => {
    const asked = { config: config(), init: null, folder: 'run' };
    expect(() => checkResumable(contentOf(history, 2), { ...asked, scan: { patterns: 'a', probe: 'c' } })).toThrow(
      'The run in run was begun with another scan: its probe differs',
    );
    const more = { patterns: 'a', probe: 'b', 'validation patterns': 'd' };
    expect(() => checkResumable(contentOf(history, 2), { ...asked, scan: more })).toThrow(
      'its validation patterns differ',
    );
  });

  it('is told of when the engine is another one', () => {
    const said: string[] = [];
    const logger = { info() {}, warn: (text: string) => said.push(text) };
    warnOfEngine(engine, { ...engine }, 'run', logger);
    expect(said).toEqual([]);
    warnOfEngine(engine, { ...engine, threads: 4, device: 'cuda' }, 'run', logger);
    expect(said).toEqual([
      'The run in run was begun with another engine (device cpu → cuda, threads 2 → 4): it goes on, but the last digits may differ from a run that was never interrupted.',
    ]);
  });
});

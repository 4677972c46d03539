/** `train --ensemble`, `infer` with it and `calibrate`: what is written, gone on with, checked and refused. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainingRequestSchema } from '../../src/config/schema.js';
import { openNpz } from '../../src/formats/npz.js';
import { openMembersOf } from '../../src/persistence/ensemble.js';
import { openModels, reconstructEnsemble } from '../../src/reconstruction/ensemble/reconstruct.js';
import { memberSeed, ofSnapshot } from '../../src/training/ensemble.js';
import { restartSeed } from '../../src/training/init.js';
import { calibrateWorkflow } from '../../src/workflows/calibrate.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { tinyRequest, writeTinyScan } from '../support/tinyRun.js';

let folder: string;
const at = (...names: string[]) => path.join(folder, ...names);
const small = { model: { N: 32 }, nepochs: 1 };

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-ensemble-'));
  for (const seed of [3, 4, 5, 6]) await writeTinyScan(at(`scan-${seed}.npz`), seed);
  await trainWorkflow(tinyRequest(at('scan-3.npz'), at('run'), { ...small, ensemble: 2 }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const execution = { accelerator: 'cpu', threads: 1 } as const;

describe('train --ensemble', () => {
  it('trains networks that differ in their seeds', async () => {
    const [first, second] = await openMembersOf(at('run'));
    expect(second.config.seed).toBe(memberSeed(first.config.seed, 2));
    expect(second.weights).not.toEqual(first.weights);
    // Patterns and groups are those of the first.
    const samples = async (member: string) =>
      JSON.parse(await readFile(at('run', member, 'run.json'), 'utf8')).nn_indices;
    expect(await samples('member-2')).toEqual(await samples('member-1'));
  });

  it('takes snapshots of one training: each goes on from the one before it', async () => {
    const falling = { scheduler: 'WarmupCosine', lr_warmup_epochs: 0 } as const;
    const request = tinyRequest(at('scan-3.npz'), at('snapshots'), { ...small, ...falling, nepochs: 4 });
    await trainWorkflow({ ...request, ensemble: 2, ensemble_from: 'snapshots' });
    const [first, second] = await openMembersOf(at('snapshots'));
    expect([first, second].map(({ config }) => config.nepochs)).toEqual([4, 1]);
    expect(second.config.seed).toBe(first.config.seed);
    expect(second.weights).not.toEqual(first.weights);
    // It begins near where the one before ended, at the height of the rate.
    const [before, after] = [first.history.at(-1)!, second.history[0]];
    expect(after.loss).toBeLessThan(first.history[0].loss as number);
    expect(after.learning_rate).toBeGreaterThan(2 * (before.learning_rate as number));
    await expect(trainWorkflow({ ...request, ensemble_from: 'snapshots' })).rejects.toThrow(/give ensemble, how many/);
  });

  it('asks of snapshots what a training may be asked, also behind one with stages and fine tuning', () => {
    const staged = { stage_1_epochs: 1, mae_weight: 0, nll_weight: 1, torch_mae_pred_l2_match_target: true };
    const request = tinyRequest('scan.npz', 'run', {
      ...staged,
      nepochs: 8,
      epochs_fine_tune: 1,
      fine_tune_gamma: 0.2,
    });
    const second = ofSnapshot(request, { run: 'run/member-1', epochs: 8 });
    expect(trainingRequestSchema.parse(second)).toEqual(second);
    expect(second).toMatchObject({ init: 'run/member-1', nepochs: 2, stage_1_epochs: 0, epochs_fine_tune: 0 });
  });

  it('refuses what its networks cannot be before the first is trained', async () => {
    const request = tinyRequest(at('scan-3.npz'), at('refused'), { ...small, ensemble: 2 });
    const refused = (over: object) =>
      trainWorkflow({ ...request, ...over }).then(
        () => 'it was trained',
        ({ code, message }) => `${code}: ${message}`,
      );
    expect(await refused({ resume: at('run') })).toContain('goes on in its own folder');
    for (const init of [at('refused'), at('refused', 'member-2'), at('refused', 'wts.zip')]) {
      expect(await refused({ init })).toContain('would begin from another one');
    }
    expect(await refused({ init: at('refused', 'first', 'wts.zip') })).toMatch(/^FILE_NOT_FOUND/);
    expect(await refused({ ensemble: 1, resume: at('run') })).toContain('is an ensemble');
    expect(await refused({ output_dir: at('run'), overwrite: false })).toMatch(/^OUTPUT_EXISTS/);
    for (const init of [at('run', 'member-1'), at('run', 'member-1', 'wts.zip')]) {
      const further = { ensemble: 1, output_dir: at('run', 'member-1'), overwrite: true, init };
      expect(await refused(further)).toMatch(/^CONFIG_INVALID: .* is the network that this run would replace/);
    }
    const one = { output_dir: at('run', 'member-1'), resume: at('run', 'member-1') };
    expect(await refused(one)).toContain('begun with one network');
    // Nothing was written, and nothing taken away.
    await expect(openMembersOf(at('refused'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    expect(await openMembersOf(at('run'))).toHaveLength(2);
  });

  it('begins one network where an ensemble was so that it can go on, whatever stops it', async () => {
    await mkdir(at('replaced', 'member-1'), { recursive: true });
    const request = tinyRequest(at('scan-3.npz'), at('replaced'), { ...small, overwrite: true });
    const killing = () => {
      if (existsSync(at('replaced', 'config.json'))) throw new Error('killed');
    };
    const logger = { info: killing, warn: killing };
    await expect(trainWorkflow(request, { logger })).rejects.toThrow('killed');
    expect(existsSync(at('replaced', 'wts.zip'))).toBe(false);
    const stopped = { signal: AbortSignal.abort() };
    const goesOn = trainWorkflow({ ...request, resume: at('replaced') }, stopped);
    await expect(goesOn).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('draws seeds that no restart of a member has', () => {
    const members = [1, 2, 3, 4, 5].map((member) => memberSeed(7, member));
    const restarts = members.flatMap((seed) => [1, 2, 3].map((restart) => restartSeed(seed, restart)));
    expect(new Set([...members, ...restarts]).size).toBe(20);
  });
});

describe('the folder of an ensemble', () => {
  it('is believed only where its members are those that it lists', async () => {
    const text = await readFile(at('run', 'ensemble.json'), 'utf8');
    const written = JSON.parse(text);
    const opens = async (content: unknown) => {
      await writeFile(at('run', 'ensemble.json'), typeof content === 'string' ? content : JSON.stringify(content));
      return openMembersOf(at('run'));
    };
    const members = written.members;
    try {
      for (const wrong of [
        '{',
        { ...written, format: 'other' },
        { ...written, members: [] },
        { ...written, members: [{ ...members[0], folder: '../alone' }] },
        { ...written, members: [{ ...members[0], sha256: members[1].sha256 }] },
        { ...written, members: [null] },
      ]) {
        await expect(opens(wrong)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
      }
      await expect(opens({ ...written, version: 2 })).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
    } finally {
      await writeFile(at('run', 'ensemble.json'), text);
    }
    expect(await openMembersOf(at('run'))).toHaveLength(2);
  });
});

describe('calibrate', () => {
  const config = () => ({
    model_path: at('run'),
    calibration_data: [at('scan-4.npz'), at('scan-6.npz')],
    test_data: [at('scan-5.npz')],
    execution,
  });

  it('writes what infer makes intervals of, for these very weights', async () => {
    const { coverage, calibration, leftOut } = await calibrateWorkflow(config());
    expect(Object.keys(calibration)).toEqual(['members', 'scans', 'images', 'ensemble', 'overlap']);
    // Where it was calibrated, intervals cover what they promise.
    const own = coverage.filter(({ calibrated }) => calibrated);
    for (const { from, quantity } of own) {
      const alike = own.filter((one) => one.from === from && one.quantity === quantity);
      const mean = (l: number) => alike.reduce((sum, { levels }) => sum + levels[l].coverage / alike.length, 0);
      for (const [l, { level }] of own[0].levels.entries()) expect(Math.abs(mean(l) - level)).toBeLessThan(0.01);
    }
    // By the other alone, one scan of two is covered less than by both, and the other more.
    expect(leftOut).toHaveLength(8);
    for (const { scan, from, quantity, levels, calibrated } of leftOut) {
      const both = own.find((one) => one.scan === scan && one.from === from && one.quantity === quantity)!.levels;
      expect(calibrated).toBe(false);
      for (const [l, { coverage, level }] of levels.entries()) {
        expect(Math.sign(coverage - level) * (coverage - both[l].coverage)).toBeGreaterThanOrEqual(-0.01);
      }
    }
    expect(coverage.filter(({ calibrated }) => !calibrated)).toHaveLength(4);
    const csv = await readFile(at('run', 'coverage.csv'), 'utf8');
    expect(csv.trim().split('\n')).toHaveLength(1 + (8 + 4 + 8) * 5);
    const infer = { test_data_file: at('scan-5.npz'), r_factor_patterns: 0, execution };
    const { files } = await inferWorkflow({ ...infer, model_path: at('run'), output_dir: at('image') });
    expect(files).toEqual(expect.arrayContaining(['ensemble_phase_spread.png', 'amplitude_interval.png']));
    const npz = await openNpz(at('image', 'reconstruction.npz'));
    const spread = (await npz.readReal('ensemble_amplitude_spread')).data as Float32Array;
    const interval = (await npz.readReal('amplitude_interval')).data as Float32Array;
    const { floor, quantiles } = calibration.ensemble!.amplitude;
    const i = spread.findIndex((v) => !Number.isNaN(v));
    expect(interval[i] / (floor === null ? quantiles[3] : quantiles[3] * Math.hypot(spread[i], floor))).toBeCloseTo(
      1,
      4,
    );
    expect((await npz.readReal('interval_level')).data[0]).toBe(0.9);
    await npz.close();
    // Another model is not calibrated by it.
    const alone = { ...infer, model_path: at('run', 'member-1') };
    const warnings: string[] = [];
    await copyFile(at('run', 'calibration.json'), at('run', 'member-1', 'calibration.json'));
    const logger = { info: () => {}, warn: (text: string) => void warnings.push(text) };
    const one = await inferWorkflow({ ...alone, output_dir: at('one') }, { logger });
    expect(warnings.join()).toContain('calibrates other weights');
    expect(one.files).not.toContain('amplitude_interval.png');
    await expect(
      inferWorkflow({ ...alone, calibration: at('run', 'calibration.json'), output_dir: at('two') }),
    ).rejects.toMatchObject({ code: 'WEIGHTS_MISMATCH' });
    // Nor are images that are made otherwise.
    const otherwise = { ...infer, model_path: at('run'), stitching_rounds: 2 };
    warnings.length = 0;
    const rounds = await inferWorkflow({ ...otherwise, output_dir: at('rounds') }, { logger });
    expect(warnings.join()).toContain(
      'images made with stitching_rounds 1, but this one is made with stitching_rounds 2',
    );
    expect(rounds.files).toContain('ensemble_phase_spread.png');
    expect(rounds.files).not.toContain('amplitude_interval.png');
    await expect(
      inferWorkflow({ ...otherwise, calibration: at('run', 'calibration.json'), output_dir: at('three') }),
    ).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('refuses scans that cannot calibrate, before anything is opened', async () => {
    await expect(calibrateWorkflow({ ...config(), overwrite: true, calibration_data: [] })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    await expect(
      calibrateWorkflow({ ...config(), overwrite: true, test_data: [at('scan-4.npz')] }),
    ).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(calibrateWorkflow(config())).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  });
});

it('is a mean and a spread in the library, too', async () => {
  const models = await openModels(at('run'), { execution });
  const { stitched, spread, members } = await reconstructEnsemble(models, at('scan-4.npz'));
  expect(members).toHaveLength(2);
  const i = stitched.weight.data.findIndex((w) => w > 0);
  const [a, b] = members.map(({ image }) => Math.hypot(image.re[i], image.im[i]));
  expect(spread?.amplitude.data[i]).toBeCloseTo(Math.abs(a - b) / Math.SQRT2, 5);
  await expect(reconstructEnsemble(models, at('scan-4.npz'), { refine_positions: 1 } as object)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
  await models[0].dispose();
});

/** Runs on disk: checkpoints, going on from them, what is refused, and what else a run leaves in its folder. */
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingRequest } from '../../src/config/schema.js';
import { isPtychoError } from '../../src/core/errors.js';
import { openNpz } from '../../src/formats/npz.js';
import { ownIdentity, processMark } from '../../src/formats/replaceFile.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { openCheckpoint, saveCheckpoint } from '../../src/persistence/checkpoint.js';
import { decodeHistory } from '../../src/persistence/history.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { bundleHash, tinyRequest, writeTinyScan } from '../support/tinyRun.js';

let folder: string;
let scan: string;
const at = (...parts: string[]) => path.join(folder, ...parts);
const request = (name: string, over: Record<string, unknown> = {}) => tinyRequest(scan, at(name), over);

/** Everything that a run says. */
async function train(asked: TrainingRequest, stopAfterEpoch?: number) {
  const said: string[] = [];
  const logger = { info: (text: string) => said.push(text), warn: (text: string) => said.push(`warning: ${text}`) };
  const stop = new AbortController();
  const onProgress = ({ note }: { note?: string }) => {
    if (stopAfterEpoch !== undefined && note?.startsWith(`epoch ${stopAfterEpoch + 1}/`)) stop.abort();
  };
  const summary = await trainWorkflow(asked, { logger, signal: stop.signal, onProgress });
  return { summary, said };
}

/** The uninterrupted run, and one that was stopped in its second epoch. */
let whole: string;
let warnings: readonly string[];
/** The scan's metadata name another number of photons than the configuration: nothing that training has to do with. */
const warningsIn = (said: readonly string[]) => said.filter((s) => s.startsWith('warning') && !s.includes('nphotons'));
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-resume-'));
  scan = at('scan.npz');
  await writeTinyScan(scan);
  warnings = warningsIn((await train(request('whole'))).said);
  whole = await bundleHash(at('whole'));
  await train(request('stopped'), 1);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('checkpoints', () => {
  it('are the last epoch and the best one, named by epoch and value', async () => {
    const history = decodeHistory(await readFile(at('whole', 'history.csv'), 'utf8'));
    const { bestEpoch, value } = (await openBundle(at('whole'))).training;
    expect((await readdir(at('whole', 'checkpoints'))).sort()).toEqual([
      `epoch=00${bestEpoch}-val_loss=${value.toFixed(4)}.ckpt.zip`,
      'last.ckpt.zip',
    ]);
    expect(history[0]).toMatchObject({ gradient_norm: expect.any(Number), saturation: expect.any(Number) });
    expect(await readdir(at('whole'))).not.toContain('previews');
    expect(warnings).toEqual([]);
  });
});

describe('resume', () => {
  it('after Ctrl-C ends with the bytes of the uninterrupted run, in the same folder and in another one', async () => {
    expect(await bundleHash(at('stopped'))).not.toBe(whole);
    const elsewhere = await train(request('elsewhere', { resume: at('stopped') }));
    expect(elsewhere.said).toContainEqual(expect.stringMatching(/^Resuming after epoch 1 from .*last\.ckpt\.zip\.$/));
    expect(elsewhere.summary).toMatchObject({ resumedAfter: 1, epochs: 2, cancelled: false });
    await cp(at('stopped'), at('same'), { recursive: true });
    await train(request('same', { resume: at('same') }));
    for (const name of ['elsewhere', 'same']) {
      expect(await bundleHash(at(name))).toBe(whole);
      expect(await readFile(at(name, 'history.csv'))).toEqual(await readFile(at('whole', 'history.csv')));
      // The folder is that of a run that was never interrupted.
      expect(await readdir(at(name, 'checkpoints'))).toEqual(await readdir(at('whole', 'checkpoints')));
      expect(await readFile(at(name, 'logs', 'metrics.csv'))).toEqual(
        await readFile(at('whole', 'logs', 'metrics.csv')),
      );
    }
    const run = JSON.parse(await readFile(at('elsewhere', 'run.json'), 'utf8'));
    expect(run.resumed_from).toEqual({ path: at('stopped', 'checkpoints', 'last.ckpt.zip'), epoch: 1 });
  });

  it('of a finished run writes the same bundle again', async () => {
    const { summary } = await train(request('finished', { resume: at('whole') }));
    expect(summary).toMatchObject({ resumedAfter: 2, epochs: 2 });
    expect(await bundleHash(at('finished'))).toBe(whole);
  });

  it('goes on from the one before where the last is damaged, and says so', async () => {
    await cp(at('stopped'), at('damaged'), { recursive: true });
    await truncate(at('damaged', 'checkpoints', 'last.ckpt.zip'), 100_000);
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const left = `.last.ckpt.zip.${processMark({ ...ownIdentity(), pid, started: 1 })}.0123456789ab.tmp`;
    await writeFile(at('damaged', 'checkpoints', left), 'half');
    const { said } = await train(request('damaged', { resume: at('damaged') }));
    expect(said).toContainEqual(
      expect.stringMatching(/^warning: .*last\.ckpt\.zip is damaged .* goes on from epoch=00\d-.* \(epoch \d\)\.$/),
    );
    expect(await bundleHash(at('damaged'))).toBe(whole);
    expect(await readdir(at('damaged', 'checkpoints'))).toEqual(await readdir(at('whole', 'checkpoints')));
  });

  it('before the first checkpoint starts from the beginning; with more epochs it is the longer run', async () => {
    await cp(at('whole', 'config.json'), at('begun', 'config.json'), { recursive: true });
    const { said, summary } = await train(request('begun', { nepochs: 1, resume: at('begun') }));
    expect(said).toContain(
      `The run in ${at('begun')} was stopped before its first checkpoint, so it starts from the beginning.`,
    );
    expect(summary).toMatchObject({ resumedAfter: 0, epochs: 1 });
    await train(request('longer', { resume: at('begun') }));
    expect(await bundleHash(at('longer'))).toBe(whole);
  });
});

describe('resume refuses', () => {
  const refusal = async (over: Record<string, unknown>, file = scan) => {
    const asked = { ...request('refused', { resume: at('stopped'), ...over }), train_data_file: file };
    const error = await train(asked).catch((e: unknown) => e);
    if (!isPtychoError(error)) throw error;
    return error;
  };

  it('another configuration, naming the field', async () => {
    for (const [over, sentence] of [
      [{ learning_rate: 0.01 }, 'learning_rate is 0.01, but the run in'],
      [{ execution: { accum_steps: 2 } }, 'accum_steps is 2, but'],
      [{ model: { n_filters_scale: 2 } }, 'n_filters_scale is 2, but'],
      [{ seed: 1 }, 'seed is 1, but'],
    ] as const) {
      const error = await refusal(over);
      expect(error.code).toBe('CONFIG_INVALID');
      expect(error.message).toContain(sentence);
    }
  });

  it('another scan, naming what differs', async () => {
    await writeTinyScan(at('other.npz'), 4);
    expect((await refusal({}, at('other.npz'))).message).toBe(
      `The run in ${at('stopped')} was begun with another scan: its patterns differ; give the same files to resume it, or train again without --resume.`,
    );
  });

  it('what is no run, and what is damaged altogether', async () => {
    expect(await refusal({ resume: at('nowhere') })).toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: expect.stringMatching(/^There is nothing to resume in .*nowhere: .*leave --resume out to begin one\.$/),
    });
    await cp(at('stopped'), at('broken'), { recursive: true });
    for (const name of await readdir(at('broken', 'checkpoints'))) {
      await writeFile(at('broken', 'checkpoints', name), 'PK');
    }
    expect(await refusal({ resume: at('broken') })).toMatchObject({
      code: 'CHECKPOINT_INVALID',
      message: expect.stringMatching(/last\.ckpt\.zip is damaged .*; there is no other checkpoint, so train again/),
    });
  });
});

describe('a run whose loss is no longer a number', () => {
  it('leaves the bundle of its best epoch, and says where', async () => {
    const content = await openCheckpoint(at('stopped', 'checkpoints', 'last.ckpt.zip'));
    const [name] = Object.keys(content.state).filter((key) => key.endsWith('.bias'));
    const sick = { ...content.state[name], data: content.state[name].data.map(() => Number.NaN) };
    await mkdir(at('sick', 'checkpoints'), { recursive: true });
    await saveCheckpoint(at('sick', 'checkpoints', 'last.ckpt.zip'), {
      ...content,
      state: { ...content.state, [name]: sick },
    });
    await expect(train(request('sick', { resume: at('sick') }))).rejects.toMatchObject({
      code: 'TRAINING_FAILED',
      message: expect.stringMatching(
        /^The loss is no longer a number in epoch 2 .*; the best epoch until then \(1\) is kept in .*sick.wts\.zip\.$/,
      ),
    });
    expect((await openBundle(at('sick'))).training).toMatchObject({ epochs: 1, bestEpoch: 1 });
  });
});

describe('init', () => {
  it('starts from the weights of a bundle, and remembers which', async () => {
    const { summary } = await train(request('on', { nepochs: 1, init: at('whole') }));
    const fresh = decodeHistory(await readFile(at('whole', 'history.csv'), 'utf8'));
    // The weights of the best epoch, whose loss is that of the end of it, not that of the beginning.
    expect(summary.history[0].val_loss).toBeLessThan(fresh[0].val_loss as number);
    const bundle = await openBundle(at('on'));
    const { manifest } = await openBundle(at('whole'));
    expect(bundle.training.init).toBe(manifest.members['weights.safetensors'].sha256);
    expect(bundle.config).not.toHaveProperty('init');
    const run = JSON.parse(await readFile(at('on', 'run.json'), 'utf8'));
    expect(run.init).toEqual({ path: at('whole'), sha256: bundle.training.init });
    // Going on, the bundle that it began from may be left out but not exchanged.
    await train(request('on_again', { nepochs: 1, resume: at('on') }));
    expect(await bundleHash(at('on_again'))).toBe(await bundleHash(at('on')));
    await expect(train(request('on_other', { nepochs: 1, resume: at('on'), init: at('on') }))).rejects.toThrow(
      /^init names another bundle than the run/,
    );
  });

  it('refuses another network, naming what differs', async () => {
    const other = { nepochs: 1, init: at('whole'), model: { n_filters_scale: 2, amp_activation: 'swish' } };
    await expect(train(request('other_network', other))).rejects.toMatchObject({
      code: 'WEIGHTS_MISMATCH',
      message: `init: ${at('whole', 'wts.zip')} is another network: n_filters_scale 1 (here 2), amp_activation sigmoid (here swish); give the same values, or begin with fresh weights.`,
    });
  });
});

describe('on the way and afterwards', () => {
  it('previews, patch statistics and the stitched test scan are written', async () => {
    const execution = {
      recon_log_every_n_epochs: 2,
      recon_log_fixed_indices: [0, 3],
      recon_log_stitch: true,
      recon_log_max_stitch_samples: 9,
    };
    const over = { log_patch_stats: true, patch_stats_limit: 1, do_stitching: true, test_data_file: scan };
    const { summary } = await train(request('shown', { ...over, execution }));
    expect((await readdir(at('shown', 'previews'))).sort()).toEqual([
      'patches_epoch=002.png',
      'stitched_amplitude_epoch=002.png',
      'stitched_phase_epoch=002.png',
    ]);
    const stats = (await readFile(at('shown', 'logs', 'patch_stats.csv'), 'utf8')).trim().split('\n');
    expect(stats[0]).toMatch(/^epoch,batch,patches,amplitude_mean/);
    expect(stats.slice(1).map((line) => line.split(',').slice(0, 3))).toEqual([
      ['1', '0', '2'],
      ['2', '0', '2'],
    ]);
    expect(summary.files).toEqual(expect.arrayContaining(['wts.zip', 'reconstruction.npz']));
    const npz = await openNpz(at('shown', 'reconstruction.npz'));
    expect((await npz.read('reconstructed_object')).kind).toBe('complex');
    await npz.close();
    const pictures = (await readdir(at('shown'))).filter((name) => name.endsWith('.png'));
    expect(pictures).toEqual(expect.arrayContaining(['reconstructed_amplitude.png', 'reconstructed_phase.png']));
    // What is drawn does not reach the bundle's configuration.
    expect((await openBundle(at('shown'))).config).not.toHaveProperty('do_stitching');
  });

  it('what cannot be shown is refused before training', async () => {
    await expect(
      train(request('no_group', { execution: { recon_log_every_n_epochs: 1, recon_log_fixed_indices: [999] } })),
    ).rejects.toThrow(/^recon_log_fixed_indices: there is no group 999; the scan has 5, counted from 0\.$/);
    const alone = { ...request('no_test', { test_data_file: scan, do_stitching: true }), test_data_file: null };
    await expect(train(alone)).rejects.toThrow(/^do_stitching reconstructs test_data_file, which is not given/);
    await expect(train(request('no_metric', { execution: { checkpoint_monitor_metric: 'accuracy' } }))).rejects.toThrow(
      /is no column of history\.csv/,
    );
  });

  it('refined positions are in positions.npz, run.json and the history, and a resumed run finds the same', async () => {
    const over = {
      model: { gridsize: 2 },
      n_groups: 3,
      batch_size: 2,
      position_trainable: true,
      position_start_epoch: 0,
      position_step_limit_px: 0.5,
    };
    const { summary, said } = await train(request('moved', over));
    expect(warningsIn(said)).toEqual([]);
    expect(summary.history[0].position_shift_px).toBeGreaterThan(0);
    const npz = await openNpz(at('moved', 'positions.npz'));
    const [refined, measured] = await Promise.all(['xcoords', 'xcoords_start'].map((key) => npz.readReal(key)));
    await npz.close();
    const shifts = Array.from(refined.data, (x, i) => Math.abs(x - measured.data[i]));
    expect(Math.max(...shifts)).toBeGreaterThan(0);
    expect(Math.max(...shifts)).toBeLessThanOrEqual(0.5 + 1e-6);
    const run = JSON.parse(await readFile(at('moved', 'run.json'), 'utf8'));
    expect(run.refined_positions.file).toBe('positions.npz');
    await train(request('moved_in_two', over), 1);
    await train(request('moved_in_two', { ...over, resume: at('moved_in_two') }));
    expect(await bundleHash(at('moved_in_two'))).toBe(await bundleHash(at('moved')));
    expect(await readFile(at('moved_in_two', 'positions.npz'))).toEqual(await readFile(at('moved', 'positions.npz')));
  });
});

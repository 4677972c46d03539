/** One network over several scans: training, going on, the bundle, and what it is for each scan and for another one. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { readZip, writeZip } from '../../src/formats/zip.js';
import { openBundle, type StoredBundle } from '../../src/persistence/bundle.js';
import { decodeHistory } from '../../src/persistence/history.js';
import { modelOfScan } from '../../src/reconstruction/matching/modelOfScan.js';
import { reconstructWith } from '../../src/reconstruction/pipeline.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { shareOfMemory } from '../../src/training/prepare.js';
import { trainScans } from '../../src/training/train.js';
import { verifyBundle } from '../../src/workflows/bundle.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { simulate, writeSimulatedScan } from '../../src/workflows/simulate.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { bundleHash, TINY_RECIPE, tinyRequest } from '../support/tinyRun.js';

const N = 32;
let folder: string;
const at = (...parts: string[]) => path.join(folder, ...parts);
const request = (name: string, over: Record<string, unknown> = {}) =>
  tinyRequest(at('a.npz'), at(name), {
    ...{ train_data_files: [at('b.npz')], input_reference: 'constant', probe_trainable: true },
    ...{ nll_weight: 0, mae_weight: 1, ...over },
  });

/** Everything that a run says. */
async function train(asked: ReturnType<typeof request>, stopAfterEpoch?: number) {
  const said: string[] = [];
  const logger = { info: (text: string) => said.push(text), warn: (text: string) => said.push(`warning: ${text}`) };
  const stop = new AbortController();
  const onProgress = ({ note }: { note?: string }) => {
    if (stopAfterEpoch !== undefined && note?.startsWith(`epoch ${stopAfterEpoch + 1}/`)) stop.abort();
  };
  return { summary: await trainWorkflow(asked, { logger, signal: stop.signal, onProgress }), said };
}

let whole: Awaited<ReturnType<typeof train>>;
let bundle: StoredBundle;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-scans-'));
  const write = (name: string, over: object) =>
    writeSimulatedScan(at(name), simulate({ ...TINY_RECIPE, N, object_side_px: N + 20, seed: 3, ...over }));
  await write('a.npz', {});
  await write('b.npz', { probe: 'zernike', photons: 1e4, seed: 4, step_px: 7 });
  await write('new.npz', { probe_diameter_px: 12, photons: 3e4, seed: 5 });
  await write('wide.npz', { N: 64, object_side_px: 84, seed: 6 });
  whole = await train(request('whole'));
  bundle = await openBundle(at('whole'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const scanOf = (name: string) => openDataset(at(name));

describe('training on several scans', () => {
  it('judges each of them', async () => {
    const { summary } = whole;
    expect(summary.scans).toMatchObject([
      { name: at('a.npz'), role: 'train', groups: 5 },
      { name: at('b.npz'), role: 'train', groups: 5 },
    ]);
    const [best] = decodeHistory(await readFile(at('whole', 'history.csv'), 'utf8')).slice(summary.bestEpoch - 1);
    const [first, second] = summary.scans ?? [];
    expect([first.heldOutR, second.heldOutR]).toEqual([best.val_mae_1, best.val_mae_2]);
    // One group of each validates.
    expect(best.val_mae).toBeCloseTo(((best.val_mae_1 as number) + (best.val_mae_2 as number)) / 2, 6);
    expect(summary.rFactor.constant).toBeCloseTo((first.constantR + second.constantR) / 2, 6);
    expect(first.constantR).not.toBeCloseTo(second.constantR, 3);
    const run = JSON.parse(await readFile(at('whole', 'run.json'), 'utf8'));
    expect(run.scans[1]).toMatchObject({ name: at('b.npz'), groups: 5, nn_indices: expect.any(Array) });
  });

  it('goes on to the bytes of a run that was never interrupted', async () => {
    await train(request('stopped'), 1);
    expect(await bundleHash(at('stopped'))).not.toBe(await bundleHash(at('whole')));
    await train(request('stopped', { resume: at('stopped') }));
    expect(await bundleHash(at('stopped'))).toBe(await bundleHash(at('whole')));
    const exchanged = request('other', { resume: at('stopped'), train_data_files: [at('new.npz')] });
    await expect(train(exchanged)).rejects.toThrow(/another scan: its scan 2: \w+ differ/);
  });

  it('takes groups of several patterns, another scan to validate on, and scans that are open', async () => {
    const open = await scanOf('a.npz');
    const scans = [open, at('b.npz')];
    const moving = { position_trainable: true, position_start_epoch: 0 };
    const config = {
      nepochs: 1,
      gridsize: 2,
      n_groups: 4,
      batch_size: 4,
      backend: 'onnx',
      threads: 1,
      ...moving,
    } as const;
    const { model, run } = await trainScans(config, { train: scans, test: at('new.npz') });
    expect(run.scans?.map(({ training, validation }) => [training.length > 0, validation.length > 0])).toEqual([
      [true, false],
      [true, false],
      [false, true],
    ]);
    expect(model.bundle.scans?.map(({ role }) => role)).toEqual(['train', 'train', 'validation']);
    expect(run.result.history[0].val_mae).toBe(run.result.history[0].val_mae_3);
    // The patterns of each scan have a drift of their own, which is none; those that nothing was learned from stay.
    const { raw } = run.training.dataset;
    const moves = Array.from(run.result.positions?.xs ?? [], (x, i) => x - raw.xcoords[i]);
    const counts = run.scans?.map(({ scan }) => scan.raw.count) ?? [];
    const sums = counts.map((count, i) => {
      const first = counts.slice(0, i).reduce((a, b) => a + b, 0);
      const own = moves.slice(first, first + count);
      return [own.reduce((a, b) => a + Math.abs(b), 0), own.reduce((a, b) => a + b, 0)];
    });
    expect(sums.map(([moved]) => moved > 0.01)).toEqual([true, true, false]);
    for (const [, drift] of sums) expect(Math.abs(drift)).toBeLessThan(1e-4);
    await model.dispose();
    await open.close();
  });

  it.each([
    [
      'patterns of two sizes',
      { train_data_files: ['wide.npz'] },
      /wide.npz has patterns of 64×64 pixels, but .*a.npz has 32×32: one network takes/,
    ],
    ['a number of scans that is another', { num_datasets: 3 }, /num_datasets is 3, but 2 scans are given/],
    ['a scan that is named twice', { train_data_files: ['b.npz', 'a.npz'] }, /a.npz is named twice/],
    ['positions of one scan', { data: { positions: 'p.csv' } }, /positions belongs to one scan, but there are 2/],
  ])('refuses %s', async (_, over, message) => {
    const { train_data_files } = over as { train_data_files?: string[] };
    const asked = request('refused', {
      ...over,
      ...(train_data_files && { train_data_files: train_data_files.map((f) => at(f)) }),
    });
    await expect(train(asked)).rejects.toThrow(message);
  });

  it('keeps all scans together no more in memory than one', () => {
    expect(shareOfMemory(1, false)).toBeUndefined();
    expect(shareOfMemory(64, true)).toBe(2 ** 24);
  });
});

/** What training made of the scale. */
const factorOf = ({ weights, scale }: Pick<StoredBundle, 'weights' | 'scale'>) =>
  weights.log_intensity_scale.data[0] - Math.log(scale.intensityScale);

describe('a bundle of several scans', () => {
  it('holds the scales, the probe and the own weights of each, and verifies', async () => {
    const [a, b] = bundle.scans ?? [];
    expect(a).toMatchObject({ name: 'a.npz', role: 'train', scale: bundle.scale, statistics: bundle.statistics });
    expect(b.statistics.meanCounts).toBeLessThan(0.3 * a.statistics.meanCounts);
    expect(Object.keys(b.weights).sort()).toEqual(
      ['input.gain', 'input.reference', 'log_intensity_scale', 'probe.im', 'probe.re'].sort(),
    );
    for (const [name, tensor] of Object.entries(a.weights)) expect(bundle.weights[name]).toEqual(tensor);
    expect(b.weights['input.reference'].data).not.toEqual(a.weights['input.reference'].data);
    await verifyBundle(at('whole'));
  });

  it('is refused where scans and their values do not belong together', async () => {
    const members = await readZip(at('whole', 'wts.zip'), { maxMemberBytes: 2 ** 24, maxTotalBytes: 2 ** 25 });
    const file = at('cut.zip');
    const entries = [...members].filter(([name]) => name !== 'scans.safetensors');
    await writeZip(
      file,
      entries.map(([name, data]) => ({ name, data })),
    );
    await expect(openBundle(file)).rejects.toThrow(/scans.safetensors: the bundle lacks this member/);
  });

  it('is for each scan the model with its probe and scale, and for another one a model with its own', async () => {
    const model = PtychoModel.of(bundle);
    const own = async (name: string, experiment?: number) => {
      const said: string[] = [];
      const raw = await scanOf(name);
      const logger = { info: (text: string) => said.push(text), warn: (text: string) => said.push(`warning: ${text}`) };
      const { bundle: of } = await modelOfScan(model, raw, logger, experiment);
      await raw.close();
      return { of, said: said.join(' '), raw };
    };
    const [a, b] = bundle.scans ?? [];
    const taken = await own('new.npz', 1);
    expect(taken.said).toMatch(/new.npz is taken for b.npz, number 1 of the scans of the model/);
    expect(taken.of.probe).toEqual(b.probe);
    expect(factorOf(taken.of)).toBeCloseTo(factorOf(b), 5);
    await expect(own('new.npz', 2)).rejects.toThrow(/trained on 2 scans, counted from 0/);
    const second = await own('b.npz');
    expect(second.said).toContain('has the probe of b.npz, one of the 2 scans that the model was trained on');
    expect(second.of.scans).toBeUndefined();
    expect(second.of.probe).toEqual(b.probe);
    // Training saw five of its patterns: the scale is that of all, the trained factor on it stays.
    const seen = Math.sqrt(second.of.statistics.meanCounts / b.statistics.meanCounts);
    expect(seen).toBeGreaterThan(0.9);
    expect(second.of.scale.amplitudeGauge / b.scale.amplitudeGauge).toBeCloseTo(seen, 6);
    expect(factorOf(second.of)).toBeCloseTo(factorOf(b), 5);
    const { of, said, raw } = await own('new.npz');
    expect(said).toMatch(/The probe of .*new.npz is none of those of the 2 scans.*correlate to 0\.\d\d/);
    // Its own: the photons of its patterns, the power of its probe, and the mean of what training made of the others.
    expect(of.statistics.meanCounts).toBeGreaterThan(2.5 * b.statistics.meanCounts);
    expect(of.scale.amplitudeGauge).not.toBe(a.scale.amplitudeGauge);
    const power = (p: typeof of.probe) => p.re.reduce((s, v, i) => s + v * v + p.im[i] ** 2, 0);
    const scaled = power(of.probe) / power(raw.probeGuess as typeof of.probe);
    expect(scaled).toBeCloseTo(of.scale.probeFactor ** 2, 4);
    expect(factorOf(of)).toBeCloseTo((factorOf(a) + factorOf(b)) / 2, 5);
  });

  it('infers on a scan of the training as one that knew no other, and on a new one', async () => {
    const result = await inferWorkflow({
      ...{ model_path: at('whole'), test_data_file: at('b.npz'), output_dir: at('infer'), overwrite: true },
      execution: { threads: 1 },
    });
    const raw = await scanOf('b.npz');
    const alone = await modelOfScan(PtychoModel.of(bundle), raw);
    const file = await alone.save(at('alone'));
    const single = await PtychoModel.open(file, { threads: 1 });
    expect(single.bundle.scans).toBeUndefined();
    const again = await reconstructWith(single, raw, {});
    expect(result.stitched.image.re).toEqual(again.stitched.image.re);
    const other = await reconstructWith(single.as(bundle), at('new.npz'), {});
    expect(other.stitched.image.re.every(Number.isFinite)).toBe(true);
    await single.dispose();
    await raw.close();
  });

  it('begins another training, of one scan or several: what they share', async () => {
    await cp(at('whole'), at('start'), { recursive: true });
    const { summary } = await train(request('one', { train_data_files: [], init: at('start'), nepochs: 1 }));
    expect(summary.scans).toBeUndefined();
    const several = await train(
      request('three', { train_data_files: [at('b.npz'), at('new.npz')], init: at('one'), nepochs: 1 }),
    );
    expect(several.summary.scans).toHaveLength(3);
  });
});

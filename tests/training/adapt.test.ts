/** A network that goes on on the scan it is to reconstruct: kept only where it explains held-out patterns better. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openScan } from '../../src/data/findings/survey.js';
import type { RawData } from '../../src/data/rawData.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { adaptModel } from '../../src/training/adapt.js';
import { train } from '../../src/training/train.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { bundleHash, tinyRequest, writeTinyScan } from '../support/tinyRun.js';

let folder: string;
let raw: RawData;
let model: PtychoModel;
const at = (...names: string[]) => path.join(folder, ...names);

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-adapt-'));
  await writeTinyScan(at('scan.npz'));
  await writeTinyScan(at('other.npz'), 8);
  raw = await openScan(at('other.npz'));
  const {
    train_data_file: _,
    output_dir: __,
    ...config
  } = tinyRequest('scan', 'run', {
    model: { N: 32 },
    n_groups: null,
    nepochs: 3,
    nll_weight: 0,
    mae_weight: 1,
  });
  model = await train(config, at('scan.npz'));
  await model.save(at('run'));
});
afterAll(async () => {
  await model.dispose();
  await raw.close();
  await rm(folder, { recursive: true, force: true });
});

describe('adapting', () => {
  it('lowers R of patterns that it did not see, and leaves the model as it is', async () => {
    const before = structuredClone(model.bundle.weights);
    const { model: adapted, record } = await adaptModel(model, raw, { adapt: 3, adapt_learning_rate: 2e-3 });
    expect(record).toMatchObject({ epochs: 3, kept: 'adapted', heldOut: 4, learningRate: 2e-3 });
    expect(record.after).toBeLessThan(record.before);
    expect(model.bundle.weights).toEqual(before);
    expect(adapted.bundle.weights).not.toEqual(before);
    expect(adapted.bundle.training.epochs).toBe(3);
  });

  it('is not kept where held-out patterns are explained worse', async () => {
    const spoilt = await adaptModel(model, raw, { adapt: 1, adapt_learning_rate: 0.3 });
    expect(spoilt.record.after).toBeGreaterThan(spoilt.record.before);
    expect(spoilt.record.kept).toBe('bundle');
    expect(spoilt.model).toBe(model);
  });

  it('refuses networks that cannot go on without labels, and scans that are too small', async () => {
    const { config } = model.bundle;
    const supervised = { ...config, model: { ...config.model, model_type: 'supervised' as const } };
    const labelled = Object.assign(Object.create(model), { bundle: { ...model.bundle, config: supervised } });
    await expect(adaptModel(labelled, raw, { adapt: 1 })).rejects.toMatchObject({ code: 'MODEL_UNSUPPORTED' });
    await expect(adaptModel(model, { ...raw, count: 15 }, { adapt: 1 })).rejects.toMatchObject({
      code: 'DATASET_SHAPE',
    });
  });
});

describe('infer --adapt', () => {
  const infer = (output_dir: string, over: object = {}) =>
    inferWorkflow({
      ...{ model_path: at('run'), test_data_file: at('other.npz'), output_dir: at(output_dir) },
      ...{ r_factor_patterns: 0, execution: { accelerator: 'cpu', threads: 1 } },
      ...over,
    });

  it('makes the image with the adapted network, leaves the bundle, and saves the network where that is asked for', async () => {
    const bundle = await bundleHash(at('run'));
    const { files, adaptations } = await infer('image', { adapt: 1, adapt_learning_rate: 2e-3, save_adapted: true });
    expect(adaptations).toHaveLength(1);
    expect(await bundleHash(at('run'))).toBe(bundle);
    expect(files).toContain('wts.zip');
    const saved = await PtychoModel.read(at('image'));
    expect(saved.bundle.training.init).toBe(
      (await PtychoModel.read(at('run'))).bundle.manifest.members['weights.safetensors'].sha256,
    );
    const record = JSON.parse(await readFile(at('image', 'run.json'), 'utf8'));
    expect(record.adaptation).toEqual(adaptations);
    await expect(infer('idle', { save_adapted: true })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

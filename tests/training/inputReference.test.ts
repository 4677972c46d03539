/** Trainings with `input_reference`: what is kept, that it predicts alone, goes on bit for bit, and leaves other bundles as they were. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { readZip } from '../../src/formats/zip.js';
import { constantPattern, INPUT_GAIN, INPUT_REFERENCE, nearest } from '../../src/model/inputReference.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { openCheckpoint } from '../../src/persistence/checkpoint.js';
import { decodeHistory } from '../../src/persistence/history.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { weightsFor } from '../../src/reconstruction/scanForModel.js';
import { freshWeights, restartSeed } from '../../src/training/init.js';
import { trainLoop } from '../../src/training/loop.js';
import { prepareTraining } from '../../src/training/prepare.js';
import { verifyBundle } from '../../src/workflows/bundle.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { backendCases } from '../support/backends.js';
import { maxAbs, maxDifference } from '../support/golden.js';
import { bundleHash, tinyRequest, writeTinyScan } from '../support/tinyRun.js';

let folder: string;
let scan: string;
const at = (...parts: string[]) => path.join(folder, ...parts);
const request = (name: string, over: Record<string, unknown> = {}) => tinyRequest(scan, at(name), over);

async function train(name: string, over: Record<string, unknown>, stopAfterEpoch?: number) {
  const stop = new AbortController();
  const onProgress = ({ note }: { note?: string }) => {
    if (stopAfterEpoch !== undefined && note?.startsWith(`epoch ${stopAfterEpoch + 1}/`)) stop.abort();
  };
  const said: string[] = [];
  const logger = { info: (text: string) => said.push(text), warn: (text: string) => said.push(text) };
  await trainWorkflow(request(name, over), { logger, signal: stop.signal, onProgress });
  return said;
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-reference-'));
  scan = at('scan.npz');
  await writeTinyScan(scan);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const configText = async (name: string) => {
  const members = await readZip(at(name, 'wts.zip'), { maxMemberBytes: 2 ** 28, maxTotalBytes: 2 ** 28 });
  return new TextDecoder().decode(members.get('config.json'));
};

describe.each([
  ['mean', 1],
  ['constant', 2],
] as const)('input_reference %s, gridsize %d', (input_reference, gridsize) => {
  const name = `${input_reference}${gridsize}`;
  const over = { input_reference, model: { gridsize }, neighbor_count: 5 };
  beforeAll(() => train(name, over));

  it('keeps the reference of the training patterns, which no step moves', async () => {
    const bundle = await openBundle(at(name));
    const raw = await openDataset(scan);
    const { training, network } = await prepareTraining(request(name, over), { train: raw });
    const { data } = (await training.dataset.batch(training.groups)).diffraction;
    const area = raw.N ** 2;
    const count = data.length / area;
    const mean = new Float64Array(area);
    data.forEach((v, i) => {
      mean[i % area] += v / count;
    });
    const power = data.reduce((s, v) => s + v * v, 0) / data.length;
    const reference = input_reference === 'mean' ? mean : nearest(constantPattern(network.spec.scale.probe), mean);
    const kept = bundle.weights[INPUT_REFERENCE];
    expect(kept.shape).toEqual([raw.N, raw.N]);
    expect(
      maxDifference(
        kept.data,
        reference.map((v) => 0.75 * v),
      ) / maxAbs(kept.data),
    ).toBeLessThan(1e-6);
    const seen = data.reduce((s, v, i) => s + (v - 0.75 * reference[i % area]) ** 2, 0) / data.length;
    expect(bundle.weights[INPUT_GAIN].data[0]).toBeCloseTo(Math.sqrt(power / seen), 4);
    // The scan that it was trained on has the probe that it was trained with.
    expect(weightsFor(bundle, raw)).toBe(bundle.weights);
    const probeGuess = raw.probeGuess && { ...raw.probeGuess, re: raw.probeGuess.im.map((v, i) => v + i / 1e4) };
    const others = weightsFor(bundle, { ...raw, probeGuess } as typeof raw);
    if (input_reference === 'mean') expect(others).toBe(bundle.weights);
    else expect(maxDifference(others[INPUT_REFERENCE].data, kept.data)).toBeGreaterThan(0.01 * maxAbs(kept.data));
    await raw.close();
  });

  it('comes back from the bundle, byte for byte, and predicts the same without this library', async () => {
    await verifyBundle(at(name));
    expect(JSON.parse(await configText(name))).toMatchObject({ input_reference });
    const bundle = await openBundle(at(name));
    expect(bundle.config).toMatchObject({ input_reference, input_reference_share: 0.75 });
    const raw = await openDataset(scan);
    const { training } = await prepareTraining(request(name, over), { train: raw });
    const { diffraction, positions } = await training.dataset.batch(training.groups.subarray(0, 2));
    await raw.close();
    const { bytes, externalData } = bundle.model;
    const session = await InferenceSession.create(bytes, { externalData });
    const tensor = ({ data, shape }: typeof diffraction) => new OrtTensor('float32', data as Float32Array, shape);
    const exported = await session.run({ input: tensor(diffraction), input_positions: tensor(positions) });
    await session.release();
    for (const { create } of backendCases) {
      const backend = await create();
      const model = (await PtychoModel.read(at(name))).on(backend);
      const patches = await model.predict(diffraction, positions);
      await model.dispose();
      await backend.dispose();
      const found = exported.object_real.data as Float32Array;
      expect(maxDifference(patches.re, found) / maxAbs(found)).toBeLessThan(1e-5);
    }
  });

  it('goes on after an interruption to the same bytes', async () => {
    await train(`${name}-stopped`, over, 1);
    await train(`${name}-resumed`, { ...over, resume: at(`${name}-stopped`) });
    expect(await bundleHash(at(`${name}-resumed`))).toBe(await bundleHash(at(name)));
    const { config, state } = await openCheckpoint(at(`${name}-stopped`, 'checkpoints', 'last.ckpt.zip'));
    expect(config.input_reference).toBe(input_reference);
    expect(state[INPUT_REFERENCE]).toBeDefined();
    expect(Object.keys(state).filter((key) => key.includes(INPUT_REFERENCE))).toEqual([INPUT_REFERENCE]);
  });
});

describe('without input_reference', () => {
  it('a bundle says nothing of it, and reads as none', async () => {
    await train('none', {});
    expect(await configText('none')).not.toMatch(/input_reference|auto_restart/);
    const { config, weights } = await openBundle(at('none'));
    expect(config).toMatchObject({ input_reference: 'none', input_reference_share: 0.75, auto_restart: false });
    expect(Object.keys(weights)).not.toContain(INPUT_REFERENCE);
    expect(await readFile(at('none', 'history.csv'), 'utf8')).not.toMatch(/restarts|pattern_spread/);
  });

  it('a training does not begin from a bundle with one, and the share alone is refused', async () => {
    await expect(train('init', { init: at('mean1') })).rejects.toThrow(
      'is another network: input_reference mean (here none); give the same values',
    );
    await expect(train('init', { init: at('mean1'), input_reference: 'constant' })).rejects.toThrow(
      'is another network: input_reference mean (here constant); give the same values',
    );
    expect(() => request('share', { input_reference_share: 0.5 })).toThrow('input_reference_share is the share of');
  });
});

describe('auto_restart of a real network', () => {
  it('leaves its records in the run, and a run without a restart gives the same weights as one that does not look', async () => {
    await train('watched', { auto_restart: true, nepochs: 1 });
    const [row] = decodeHistory(await readFile(at('watched', 'history.csv'), 'utf8'));
    expect(row).toMatchObject({ restarts: 0 });
    expect(JSON.parse(await readFile(at('watched', 'run.json'), 'utf8')).restarts).toBe(0);
    expect(JSON.parse(await configText('watched'))).toMatchObject({ auto_restart: true });
    await train('unwatched', { nepochs: 1 });
    const [one, other] = [await openBundle(at('watched')), await openBundle(at('unwatched'))];
    for (const [name, { data }] of Object.entries(other.weights)) {
      expect(maxDifference(one.weights[name].data, data), name).toBeLessThan(1e-6);
    }
  });

  it('begins again from fresh weights with the reference of the first', async () => {
    const raw = await openDataset(scan);
    const asked = request('forced', { auto_restart: true, nepochs: 1, input_reference: 'mean' });
    const { config, network, training, validation } = await prepareTraining(asked, { train: raw });
    const backend = await backendCases[0].create();
    const weightsOf = (restart: number) =>
      freshWeights(network, { ...config, seed: restartSeed(config.seed, restart) }, training, backend);
    const { history, restarts, weights } = await trainLoop({
      ...{ config, network, backend, training, validation },
      initialWeights: await weightsOf(0),
      restartWeights: weightsOf,
      startLimits: { from: 0, to: 1, flat: Number.POSITIVE_INFINITY },
    });
    await backend.dispose();
    await raw.close();
    expect(restarts).toBe(3);
    expect(history).toEqual([expect.objectContaining({ restarts: 3, pattern_spread: expect.any(Number) })]);
    expect(history[0].pattern_spread).toBeGreaterThan(0);
    expect(history[0].pattern_spread).toBeLessThan(1);
    const [first, again] = [await weightsOf(0), await weightsOf(1)];
    expect(weights[INPUT_REFERENCE].data).toEqual(first[INPUT_REFERENCE].data);
    expect(again['encoder.0.conv1.weight'].data).not.toEqual(first['encoder.0.conv1.weight'].data);
  });
});

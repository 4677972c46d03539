/** The published network, untrained, through a bundle: every weight outside the model, groups merged inside it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainingConfigSchema } from '../../src/config/schema.js';
import { isPtychoError } from '../../src/core/errors.js';
import type { Shape } from '../../src/core/tensor.js';
import { PtychoNetwork } from '../../src/model/network.js';
import { encodeModels, openBundle, saveBundle } from '../../src/persistence/bundle.js';
import { checkWeights } from '../../src/persistence/check.js';
import { readOnnxFacts } from '../../src/persistence/models.js';
import { backendCases } from '../support/backends.js';
import { maxAbs, maxDifference } from '../support/golden.js';
import { detectorAmplitude } from '../support/reference/forward.js';
import { content, N, sample } from './sampleBundle.js';

const C = 4;
const canvasSide_px = 72;

function networkOf(n_filters_scale: number) {
  const config = trainingConfigSchema.parse({ model: { N, gridsize: 2, n_filters_scale }, nepochs: 2 });
  const { scale, probe } = content;
  const network = new PtychoNetwork({
    config: config.model,
    scale: { ...scale, meanCounts: 1e6, probe },
    canvasSide_px,
    meanAmplitude: 0.2,
    nll_weight: 1,
    mae_weight: 0,
    intensity_scale_trainable: true,
  });
  return { config, network };
}
const template = (network: PtychoNetwork) => network.parameters.map((p): [string, Shape] => [p.name, p.shape]);

describe('a bundle of the published network, gridsize 2', () => {
  const { config, network } = networkOf(1);
  const weights = network.initialWeights(5);
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-network-'));
    await saveBundle(
      path.join(folder, 'wts.zip'),
      { ...content, config, canvasSide_px, weights },
      encodeModels(network),
    );
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('keeps every weight once, outside the model', async () => {
    const { model } = await openBundle(folder);
    const { external } = readOnnxFacts(model.bytes, 'the model');
    expect(external.map((e) => e.name).sort()).toEqual(Object.keys(weights).sort());
    expect(model.bytes.length).toBeLessThan(0.1 * model.externalData[0].data.length);
  });

  it('has an autoencoder that puts out the object of the other model and the counts that it explains', async () => {
    const { model, autoencoder, probe } = await openBundle(folder);
    if (!autoencoder) throw new Error('the bundle has no autoencoder');
    const batch = 2;
    const input = new OrtTensor('float32', sample([batch, C, N, N], 8).data.map(Math.abs), [batch, C, N, N]);
    const positions = new OrtTensor(
      'float32',
      sample([batch, C, 1, 2], 9).data.map((v) => 9 * v),
      [batch, C, 1, 2],
    );
    const run = async ({ bytes, externalData }: typeof model) => {
      const session = await InferenceSession.create(bytes, { externalData });
      const result = await session.run({ input, input_positions: positions });
      await session.release();
      return (name: string) => result[name].data as Float32Array;
    };
    const [object, auto] = [await run(model), await run(autoencoder)];
    expect(auto('object_real')).toEqual(object('object_real'));
    expect(auto('object_imag')).toEqual(object('object_imag'));
    // On the engines of the library the same program gives the same numbers.
    for (const { create } of backendCases) {
      const backend = await create();
      const compiled = await backend.compile(network.autoencode(batch), { constants: weights });
      const out = await compiled.run({
        input: { data: input.data as Float32Array, shape: [batch, C, N, N] },
        input_positions: { data: positions.data as Float32Array, shape: [batch, C, 1, 2] },
      });
      await compiled.dispose();
      await backend.dispose();
      for (const name of ['object_real', 'object_imag', 'pred_amplitude', 'pred_intensity']) {
        expect(maxDifference(auto(name), out[name].data) / maxAbs(out[name].data), name).toBeLessThan(1e-5);
      }
    }
    // λ = |F(P·O)Fᵀ|² in counts, with the probe of the bundle and a transform of its own.
    const size = N * N;
    const [re, im] = [object('object_real'), object('object_imag')];
    for (const k of [0, 5]) {
      const wave = { re: new Float64Array(size), im: new Float64Array(size), shape: [N, N] };
      for (let i = 0; i < size; i++) {
        const [a, b] = [re[k * size + i], im[k * size + i]];
        wave.re[i] = probe.re[i] * a - probe.im[i] * b;
        wave.im[i] = probe.re[i] * b + probe.im[i] * a;
      }
      const intensity = detectorAmplitude(wave).data.map((v) => v * v);
      const found = auto('pred_intensity').subarray(k * size, (k + 1) * size);
      expect(maxDifference(found, intensity) / maxAbs(intensity)).toBeLessThan(1e-5);
      const roots = auto('pred_amplitude').subarray(k * size, (k + 1) * size);
      expect(maxDifference(roots, found.map(Math.sqrt)) / maxAbs(roots)).toBeLessThan(1e-6);
    }
  });

  it('fits the network it came from, and no other', async () => {
    const bundle = await openBundle(folder);
    checkWeights(template(network), bundle.weights);
    try {
      checkWeights(template(networkOf(2).network), bundle.weights);
      expect.unreachable();
    } catch (error) {
      if (!isPtychoError(error, 'WEIGHTS_MISMATCH')) throw error;
      expect(error.message).toMatch(/^weights: \S+: expected \[\d+(, \d+)*\], file has \[\d+(, \d+)*\]; /);
    }
  });

  it('predicts in plain onnxruntime, the same for a group alone and among others', async () => {
    const { model } = await openBundle(folder);
    const session = await InferenceSession.create(model.bytes, { externalData: model.externalData });
    const x = sample([3, C, N, N], 8).data.map(Math.abs);
    const positions = sample([3, C, 1, 2], 9).data.map((v) => 9 * v);
    const run = async (first: number, batch: number) => {
      const [a, b] = [C * N * N, 2 * C];
      const result = await session.run({
        input: new OrtTensor('float32', x.slice(first * a, (first + batch) * a), [batch, C, N, N]),
        input_positions: new OrtTensor('float32', positions.slice(first * b, (first + batch) * b), [batch, C, 1, 2]),
      });
      expect(result.object_real.dims).toEqual([batch, C, N, N]);
      return [result.object_real.data as Float32Array, result.object_imag.data as Float32Array];
    };
    const together = await run(0, 3);
    for (const group of [0, 1, 2]) {
      const alone = await run(group, 1);
      for (const part of [0, 1]) {
        const size = C * N * N;
        const same = together[part].subarray(group * size, (group + 1) * size);
        const worst = alone[part].reduce((m, v, i) => Math.max(m, Math.abs(v - same[i])), 0);
        expect(alone[part].some((v) => v !== 0)).toBe(true);
        expect(worst).toBeLessThan(1e-5);
      }
    }
    await session.release();
  });
});

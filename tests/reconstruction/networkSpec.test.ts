/** From configuration to network and back from its bundle: no knob is lost on either way. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { trainingConfigSchema } from '../../src/config/schema.js';
import { PtychoNetwork } from '../../src/model/network.js';
import { inputScaleFor, physicsScale, recordOfScale } from '../../src/model/scale.js';
import { encodeModels, saveBundle } from '../../src/persistence/bundle.js';
import { networkSpec } from '../../src/reconstruction/networkSpec.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { probeFor } from '../../src/reconstruction/scanForModel.js';
import { content, N, sample } from '../persistence/sampleBundle.js';
import { backendCases } from '../support/backends.js';
import { maxDifference } from '../support/golden.js';

const configOf = ({ model = {}, ...rest }: Record<string, unknown>) =>
  trainingConfigSchema.parse({ model: { N, n_filters_scale: 1, ...(model as object) }, nepochs: 2, ...rest });

function networkOf(over: Record<string, unknown>) {
  const config = configOf(over);
  const scale = physicsScale(config.model, {
    probe: content.probe,
    meanPower: 300,
    domain: 'count_amplitude',
    nphotons: 1e6,
    contract: config.scale_contract_version,
    intensity: { meanSquaredSum: 1e4, mean: 0.07 },
  });
  const canvasSide_px = config.model.gridsize > 1 ? 72 : N;
  const network = new PtychoNetwork(networkSpec(config, { scale, canvasSide_px, meanAmplitude: 0.2 }));
  return { config, network };
}

describe('networkSpec', () => {
  const specOf = (over: Record<string, unknown>) => networkOf(over).network.spec;

  it.each([
    ['nll_weight', { nll_weight: 0.5 }, 0.5],
    ['mae_weight', { mae_weight: 0.5 }, 0.5],
    ['realspace_weight', { realspace_weight: 0.5, tv_weight: 1 }, 0.5],
    ['realspace_mae_weight', { realspace_weight: 0.5, realspace_mae_weight: 2 }, 2],
    ['tv_weight', { realspace_weight: 0.5, tv_weight: 3 }, 3],
    ['matchPredictedNorm', { mae_weight: 1, torch_mae_pred_l2_match_target: true }, true],
    ['staged', { nepochs: 4, stage_1_epochs: 1 }, true],
    ['staged', { nepochs: 4, stage_2_epochs: 1 }, true],
    ['intensity_scale_trainable', { intensity_scale_trainable: false }, false],
    ['intensity_scale_trainable', { model: { model_type: 'supervised' } }, false],
    ['probe_trainable', { probe_trainable: true }, true],
    ['position_trainable', { model: { gridsize: 2 }, position_trainable: true }, true],
  ] as const)('%s from %o', (name, over, expected) => {
    expect(specOf({})[name]).not.toEqual(expected);
    expect(specOf(over)[name]).toEqual(expected);
  });

  it('has the mask of the probe, and a rate of its own for a trained one', () => {
    expect(specOf({}).probeMask).toBeUndefined();
    expect(Array.from(specOf({ model: { probe_mask: true } }).probeMask!).filter((v) => v > 0)).toHaveLength(812);
    expect(specOf({ probe_trainable: true }).optimiser?.rateFactors).toBeUndefined();
    const { optimiser } = specOf({
      probe_trainable: true,
      probe_learning_rate: 4e-3,
      learning_rate: 2e-3,
      weight_decay: 0.1,
    });
    expect(optimiser?.rateFactors).toEqual({ 'probe.re': 2, 'probe.im': 2 });
    expect(optimiser?.weightDecay).toBe(0.1);
    expect(optimiser?.undecayed).toContain('probe.re');
    expect(specOf({ execution: { accum_steps: 4 } }).optimiser?.accumulates).toBe(true);
  });
});

describe('a bundle of every kind of network', () => {
  let folder: string;
  let backend: Backend;
  beforeAll(async () => {
    backend = await backendCases[0].create();
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-kinds-'));
  });
  afterAll(async () => {
    await backend.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    ['with a trained probe', { probe_trainable: true }],
    ['supervised, two by two', { model: { model_type: 'supervised', gridsize: 2 } }],
    ['baseline, two by two', { model: { model_type: 'supervised', architecture: 'baseline', gridsize: 2 } }],
    [
      'of the contract of counts',
      {
        scale_contract_version: 'ci_intensity_v2',
        model: { cnn_output_mode: 'real_imag', physics_forward_mode: 'rectangular_scaled' },
      },
    ],
    [
      'with scales that are kept, and a CBAM encoder',
      {
        model: {
          architecture: 'cnn_cbam',
          cnn_output_mode: 'real_imag',
          physics_forward_mode: 'rectangular_scaled',
          rect_s1s2_trainable: false,
        },
      },
    ],
  ])('%s: rebuilt the same, and predicts in plain onnxruntime', async (_, over) => {
    const { config, network } = networkOf(over);
    const weights = network.initialWeights(3);
    for (const name of ['rectangular.s1', 'probe.re']) {
      if (weights[name]) weights[name] = { ...weights[name], data: weights[name].data.map((v) => 1.5 * v) };
    }
    const { scale, canvasSide_px } = network.spec;
    const saved = {
      ...content,
      config,
      canvasSide_px,
      weights,
      scale: recordOfScale(scale, config.scale_contract_version, 'count_amplitude'),
      statistics: { ...content.statistics, meanCounts: scale.meanCounts, meanAmplitude: 0.2 },
      probe: network.probeOf(weights),
    };
    await saveBundle(path.join(folder, 'wts.zip'), saved, encodeModels(network));
    const model = await PtychoModel.read(folder);
    const { bundle } = model;
    const again = model.network(canvasSide_px);
    expect(again.spec.scale.countIntensity).toEqual(scale.countIntensity);
    expect(again.parameters.map((p) => [p.name, p.fixed ?? false])).toEqual(
      network.parameters.map((p) => [p.name, p.fixed ?? false]),
    );
    expect(maxDifference(again.probeOf(bundle.weights).re, saved.probe.re)).toBeLessThan(1e-6);

    const C = config.model.gridsize ** 2;
    const input = sample([1, C, N, N], 8);
    const feeds = {
      input: { ...input, data: input.data.map(Math.abs) },
      input_positions: sample([1, C, 1, 2], 9),
    };
    const session = await InferenceSession.create(bundle.model.bytes, { externalData: bundle.model.externalData });
    const ort = (t: { data: Float32Array; shape: readonly number[] }) => new OrtTensor('float32', t.data, [...t.shape]);
    const found = await session.run({ input: ort(feeds.input), input_positions: ort(feeds.input_positions) });
    await session.release();
    const program = await backend.compile(again.predict(1), { constants: bundle.weights });
    const outputs = await program.run(feeds);
    await program.dispose();
    for (const name of ['object_real', 'object_imag']) {
      expect(maxDifference(found[name].data as Float32Array, outputs[name].data)).toBeLessThan(1e-4);
    }
  });

  it('knows what a scan must be', () => {
    const { config, network } = networkOf({ scale_contract_version: 'ci_intensity_v2' });
    const bundle = { scale: recordOfScale(network.spec.scale, config.scale_contract_version, 'count_intensity') };
    const counts = { domain: 'count_amplitude', source: 'a.npz' } as const;
    expect(inputScaleFor(bundle, counts, 7)).toBeCloseTo(1 / network.spec.scale.intensityScale, 12);
    expect(() => inputScaleFor(bundle, { ...counts, domain: 'normalized_amplitude' }, 7)).toThrow(
      /ci_intensity_v2 needs counted photons, but a\.npz holds normalised amplitudes/,
    );
    expect(inputScaleFor(content, { ...counts, domain: 'normalized_amplitude' }, 7)).toBe(7);
  });

  it('weighs patches by the probe of the scan, or by the one that was trained', () => {
    const { probe, scale } = { ...content, scale: { ...content.scale, probeFactor: 3 } };
    const raw = { probeGuess: { ...probe, re: probe.im } };
    expect(probeFor({ config: configOf({}), scale, probe }, raw)).toEqual({ probe: raw.probeGuess, factor: 3 });
    expect(probeFor({ config: configOf({ probe_trainable: true }), scale, probe }, raw)).toEqual({ probe, factor: 1 });
  });
});

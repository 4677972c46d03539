/** Every detector fires on its disease, once, and none on a healthy run. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import type { EpochRecord } from '../../src/training/judge.js';
import { trainLoop } from '../../src/training/loop.js';
import type { LoopState } from '../../src/training/loopState.js';
import { TrainingWatch } from '../../src/training/warnings.js';
import { toyConfig, toyDataset, toyNetwork } from '../support/toyTraining.js';

/** The first epochs of a real training of 32 patterns, the hardest to tell from an ill one: it has hardly begun to learn. */
const healthy = [
  { loss: 0.2835, amplitude_contrast: 0.0031, border_ratio: 1.0019, gradient_norm: 0.4434, saturation: 0 },
  { loss: 0.2726, amplitude_contrast: 0.0126, border_ratio: 0.977, gradient_norm: 0.3526, saturation: 0 },
  { loss: 0.261, amplitude_contrast: 0.0233, border_ratio: 0.9611, gradient_norm: 0.3302, saturation: 0.01 },
  { loss: 0.2625, amplitude_contrast: 0.0438, border_ratio: 0.9259, gradient_norm: 0.558, saturation: 0.02 },
];

function warningsOf(changes: Partial<EpochRecord>, before = 1.0066, architecture = 'cnn'): string[] {
  const warnings: string[] = [];
  const watch = new TrainingWatch((sentence) => warnings.push(sentence), architecture);
  watch.beforeTraining({ intensity_ratio: before });
  healthy.forEach((figures, i) => {
    const losses = { nll: 0.2, mae: 0.4, val_loss: null, val_nll: null, val_mae: null, learning_rate: 1e-3 };
    watch.epoch({ epoch: i + 1, ...losses, ...figures, ...changes });
  });
  return warnings;
}

describe('TrainingWatch', () => {
  it('advises fields that the network has', () => {
    const ill = { border_ratio: 1e3, gradient_norm: 0 };
    const said = warningsOf(ill, 1, 'hybrid_resnet').join('\n');
    expect(said).toMatch(/use --generator_output_mode amp_phase\.$/m);
    expect(said).toMatch(/--seed or --generator_output_mode,/);
    expect(warningsOf(ill).join('\n')).toMatch(/use --border_activation same, or --probe_big false\.$/m);
  });

  it('is silent on a healthy run', () => {
    expect(warningsOf({})).toEqual([]);
    expect(warningsOf({ saturation: 0.4, border_ratio: 3, amplitude_contrast: 0.002 }, 12)).toEqual([]);
    expect(warningsOf({}, 1 / 12)).toEqual([]);
    // Programs that put out no such figures, and tables with gaps.
    const missing = { saturation: undefined, border_ratio: undefined, gradient_norm: undefined };
    expect(warningsOf(missing)).toEqual([]);
    expect(warningsOf({ gradient_norm: null as never, saturation: null as never })).toEqual([]);
  });

  it.each([
    ['a flat amplitude', { amplitude_contrast: 1e-4 }, /flat after 3 epochs.*--mae_weight 1 --nll_weight 0/],
    ['saturated heads', { saturation: 0.8 }, /^80 % of the predicted amplitude .*lower --learning_rate/],
    [
      'an exploding border',
      { border_ratio: 40 },
      /border of the patches is 40 times as bright.*--border_activation same/,
    ],
    ['a dead gradient', { gradient_norm: 0 }, /is stuck: its gradients are zero; try another --seed/],
    ['a loss that stays', { loss: 0.5 }, /is stuck: the loss is the same after 3 epochs/],
  ])('tells of %s, once', (_, disease, sentence) => {
    expect(warningsOf(disease)).toEqual([expect.stringMatching(sentence)]);
  });

  it.each([1e-3, 1e4])('tells of probe and counts that do not fit: %d', (ratio) => {
    expect(warningsOf({}, ratio)).toEqual([
      expect.stringMatching(/^Probe and counts do not fit: .* times as bright as the measured ones.*inspect/),
    ]);
  });

  it('tells of a ratio that is no number', () => {
    expect(warningsOf({}, Number.NaN)).toHaveLength(1);
  });
});

describe('the training loop', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
  });
  afterAll(() => backend.dispose());

  async function warnings(outputs: Record<string, number>, model: Record<string, unknown> = {}) {
    const config = toyConfig({ model: { N: 64, gridsize: 2, ...model } });
    const said: string[] = [];
    const logger = { info() {}, warn: (text: string) => said.push(text) };
    const { dataset, groups } = toyDataset(8);
    const network = toyNetwork(config, { outputs });
    const { history } = await trainLoop({ config, network, backend, training: { dataset, groups }, logger });
    return { said, history };
  }

  it('looks at the figures of the programs, before training and after epochs, and writes them down', async () => {
    const ill = { intensity_ratio: 1e-4, saturation: 0.75, border_ratio: 30, amplitude_contrast: 0 };
    const { said, history } = await warnings(ill);
    expect(said.map((s) => s.split(' ').slice(0, 3).join(' '))).toEqual([
      'Probe and counts',
      '75 % of',
      'The border of',
      'The predicted amplitude',
    ]);
    expect(history[0]).toMatchObject({ saturation: 0.75, border_ratio: 30, amplitude_contrast: 0 });
    expect(history[0].gradient_norm).toBeGreaterThan(0);
  });

  it('says nothing of probe and counts where the network learns from labels', async () => {
    const dark = { intensity_ratio: 1e-4 };
    expect((await warnings(dark)).said).toEqual([expect.stringMatching(/^Probe and counts do not fit/)]);
    expect((await warnings(dark, { model_type: 'supervised' })).said).toEqual([]);
  });

  it('does not tell again what was told before a run was interrupted', async () => {
    const config = toyConfig();
    const said: string[] = [];
    const logger = { info() {}, warn: (text: string) => said.push(text) };
    const { dataset, groups } = toyDataset(8);
    const network = toyNetwork(config, { outputs: { saturation: 0.75 } });
    const parts = { config, network, backend, training: { dataset, groups }, logger };
    let from: LoopState | undefined;
    await trainLoop({
      ...parts,
      onEpoch: async ({ epoch }, view) => {
        if (epoch === 2) from = await view.snapshot();
      },
    });
    expect(said).toHaveLength(1);
    await trainLoop({ ...parts, from });
    expect(said).toHaveLength(1);
  });

  it('says nothing of a healthy run', async () => {
    const { said } = await warnings({ intensity_ratio: 1.2, saturation: 0.01, border_ratio: 1 });
    expect(said).toEqual([]);
  });
});

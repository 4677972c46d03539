/** `epochs_fine_tune`: which weights stay, at which rate, and for how long. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { trainingDefinition } from '../../src/config/commands.js';
import { resolveConfig } from '../../src/config/resolve.js';
import type { Tensor } from '../../src/core/tensor.js';
import { averagedName, optimiserDefaults } from '../../src/model/trainingSteps.js';
import { Attempt } from '../../src/training/attempt.js';
import { trainLoop } from '../../src/training/loop.js';
import { backendCases } from '../support/backends.js';
import { simulated } from '../support/simulatedBatch.js';
import { toyConfig, toyDataset, toyNetwork } from '../support/toyTraining.js';

const scalar = (value: number): Tensor => ({ data: Float32Array.of(value), shape: [] });

describe('epochs_fine_tune', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await backendCases[0].create();
  });
  afterAll(() => backend.dispose());

  it.each([1, 2])('leaves the encoder as it is, gradients of %i batches a step', async (accumulated) => {
    const optimiser = { ...optimiserDefaults, averaging: 0.9, accumulates: accumulated > 1 };
    const { network, feeds } = simulated({
      ...{ N: 16, gridsize: 1, architecture: 'cnn', loss: 'mae', n_filters_scale: 1, batch: 2 },
      spec: { optimiser },
    });
    const before = network.initialWeights(1);
    const state = await backend.createState({ ...before, ...network.initialOptimiserState() });
    const fed = { ...feeds(), learning_rate: scalar(1e-2), batch_weight: scalar(2), total_weight: scalar(2) };
    const frozen = { frozen: true };
    const programs =
      accumulated > 1 ? [network.accumulateStep(2, frozen), network.applyStep(frozen)] : [network.trainStep(2, frozen)];
    for (const program of programs) {
      const compiled = await backend.compile(program);
      await compiled.run(
        Object.fromEntries([...program.inputs.keys()].map((name) => [name, fed[name as keyof typeof fed]])),
        state,
      );
      await compiled.dispose();
    }
    const after = await state.read();
    await state.dispose();
    let moved = 0;
    for (const [name, { data }] of Object.entries(before)) {
      const same = data.every((v, i) => v === after[name].data[i]);
      expect(same, name).toBe(name.startsWith('encoder.'));
      // The first average is the weights, moved or not.
      expect(after[averagedName(name)].data, name).toEqual(after[name].data);
      if (!same) moved++;
    }
    expect(moved).toBeGreaterThan(10);
  });

  it('follows all other epochs, at a rate of its own', () => {
    const config = toyConfig({ scheduler: 'WarmupCosine', epochs_fine_tune: 2, fine_tune_gamma: 0.3 });
    const attempt = new Attempt(config, 8, undefined, 1, 10);
    expect(attempt.lastEpoch).toBe(15);
    expect([12, 13, 14].map((epoch) => attempt.fineTunes(epoch))).toEqual([false, true, true]);
    // Half of it: it began again once.
    expect(attempt.rate(13)).toBeCloseTo(0.05 * 0.3 * 0.5, 10);
    expect(attempt.rate(14.9)).toBeCloseTo(0.05 * 0.3 * 0.5, 10);
    expect(attempt.rate(10)).toBeCloseTo(0.05 * 0.5, 10);
  });

  it('asks the network for such steps in those epochs only', async () => {
    const config = toyConfig({ epochs_fine_tune: 2, fine_tune_gamma: 0.3, scheduler: 'Default' });
    const toy = toyNetwork(config);
    const asked: boolean[] = [];
    const network = {
      ...toy,
      trainStep: (batch: number, kind?: { readonly frozen?: boolean }) => {
        asked.push(kind?.frozen === true);
        return toy.trainStep(batch);
      },
    };
    const training = toyDataset(8);
    const { history } = await trainLoop({ config, network, backend, training });
    expect(asked).toEqual([false, true]);
    expect(history.map(({ learning_rate }) => learning_rate)).toEqual([0.05, 0.05, 0.05, 0.015, 0.015]);
  });

  it('goes with workers, which batch_norm does not', () => {
    const failing = (flags: object) => () =>
      resolveConfig(trainingDefinition, { flags: { train_data_file: 'a', devices: 2, ...flags } });
    expect(failing({ epochs_fine_tune: 2 })).not.toThrow();
    expect(failing({ architecture: 'cnn_cbam', batch_norm: true })).toThrow(
      /each of several workers .* sees a share only/,
    );
  });

  it('is refused for networks without an encoder, and its rate without it', () => {
    const failing = (flags: object) => () =>
      resolveConfig(trainingDefinition, { flags: { train_data_file: 'a', ...flags } });
    expect(failing({ architecture: 'ffno', epochs_fine_tune: 2 })).toThrow(/architecture ffno has none/);
    expect(failing({ fine_tune_gamma: 0.5 })).toThrow(/give both or neither/);
    expect(failing({ architecture: 'hybrid_resnet', epochs_fine_tune: 2, fine_tune_gamma: 0.5 })).not.toThrow();
  });
});

/** The loop over epochs: every knob of it acts, and a run that goes on from a snapshot ends where the other one did. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import { createTensorflowBackend } from '../../src/backends/tf/backend.js';
import { isPtychoError } from '../../src/core/errors.js';
import { monitorOf } from '../../src/training/judge.js';
import { trainLoop } from '../../src/training/loop.js';
import type { LoopState, TrainLoopInput } from '../../src/training/loopState.js';
import { batchesOf } from '../../src/training/programs.js';
import { flatten, type ToyOptions, toyConfig, toyDataset, toyNetwork } from '../support/toyTraining.js';

let backend: Backend;
beforeAll(async () => {
  backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
});
afterAll(() => backend.dispose());

interface Toy extends ToyOptions {
  readonly groups?: number;
  readonly input?: Partial<TrainLoopInput>;
}

function run(over: Record<string, unknown>, { groups = 20, input = {}, ...options }: Toy = {}) {
  const config = toyConfig(over);
  const { dataset, groups: training } = toyDataset(groups, options.C);
  const held = toyDataset(4, options.C, 50);
  const parts = { training: { dataset, groups: training }, validation: { dataset: held.dataset, groups: held.groups } };
  return trainLoop({ config, network: toyNetwork(config, options), backend, ...parts, ...input });
}
const weightsOf = async (over: Record<string, unknown>, toy?: Toy) => Array.from((await run(over, toy)).weights.w.data);

describe('accumulation', () => {
  it('of 4 batches of 4 equals batches of 16, the last, partial group too', async () => {
    // 20 groups: a step of 16 and one of 4; 18: the second of 4 and 2, that is one whole batch and a smaller one.
    for (const groups of [20, 22]) {
      const whole = await run({ batch_size: 16 }, { groups });
      const parts = await run({ batch_size: 4, execution: { accum_steps: 4 } }, { groups });
      parts.weights.w.data.forEach((v, i) => {
        expect(Math.abs(v - whole.weights.w.data[i])).toBeLessThan(1e-5);
      });
      expect(parts.history[0].gradient_norm).toBeCloseTo(whole.history[0].gradient_norm as number, 5);
    }
    expect(await weightsOf({ batch_size: 4 })).not.toEqual(
      await weightsOf({ batch_size: 4, execution: { accum_steps: 4 } }),
    );
  });
});

describe('schedules', () => {
  it('give different traces of the learning rate, and different weights', async () => {
    const runs = await Promise.all(
      ['Default', 'Exponential', 'WarmupCosine'].map((scheduler) =>
        run({ scheduler, nepochs: 4, lr_warmup_epochs: 1 }),
      ),
    );
    const traces = runs.map((r) => r.history.map((record) => record.learning_rate));
    expect(traces[0]).toEqual([0.05, 0.05, 0.05, 0.05]);
    expect(traces[1]).toEqual([0, 1, 2, 3].map((e) => 0.05 * 0.95 ** e));
    expect(traces[2][0]).toBeLessThan(traces[2][1]);
    expect(traces[2][3]).toBeLessThan(traces[2][1]);
    expect(new Set(runs.map((r) => r.weights.w.data.join())).size).toBe(3);
  });

  it('ReduceLROnPlateau follows the validation loss', async () => {
    const plateau = { scheduler: 'ReduceLROnPlateau', plateau_patience: 0, plateau_threshold: 0.9, nepochs: 4 };
    const { history } = await run(plateau);
    expect(history.map((r) => r.learning_rate)).toEqual([0.05, 0.05, 0.025, 0.0125]);
  });

  it('stages: the physics fades in, the rate falls, and only full epochs are compared', async () => {
    const stages = { stage_1_epochs: 1, stage_2_epochs: 2, physics_weight_schedule: 'linear', stage_3_lr_factor: 0.5 };
    const { history, bestEpoch } = await run({ ...stages, nepochs: 5 });
    expect(history.map((r) => r.physics_weight)).toEqual([0, 0, 0.5, 1, 1]);
    expect(history[0].loss).toBeCloseTo(history[0].mae, 6);
    expect(history[4].loss).toBeCloseTo(history[4].nll, 6);
    expect(history.map((r) => r.learning_rate)).toEqual([0.05, 0.025, 0.025, 0.025, 0.025]);
    expect(bestEpoch).toBeGreaterThan(3);
    // The configured losses in full, whatever the stage.
    expect(history[0].val_loss).toBe(history[0].val_nll);
    const plain = await run({ nepochs: 5 });
    expect(plain.history[0].physics_weight).toBeUndefined();
    expect(plain.weights.w.data).not.toEqual((await run({ ...stages, nepochs: 5 })).weights.w.data);
  });
});

describe('progress', () => {
  it('shows R of held-out groups of the last epoch beside that of the best constant object', async () => {
    const notes: string[] = [];
    const input = { constantLoss: 0.25, onProgress: ({ note = '' }: { note?: string }) => void notes.push(note) };
    const { history } = await run({ nepochs: 2 }, { input });
    expect(notes[0]).toMatch(/^epoch 1\/2, loss [\d.]+, constant object 0\.250$/);
    const r = history[0].val_mae?.toPrecision(3);
    expect(notes.at(-1)).toMatch(
      new RegExp(`^epoch 2/2, loss [\\d.]+, held-out R ${r} \\(constant object 0\\.250\\)$`),
    );
    await run({ nepochs: 2 }, { input: { ...input, validation: undefined } });
    expect(notes.at(-1)).toMatch(new RegExp(`, R ${history[0].mae.toPrecision(3)} \\(constant object 0\\.250\\)$`));
  });
});

describe('weight averaging', () => {
  it('validates and keeps the averages', async () => {
    let state: LoopState | undefined;
    const onEpoch: TrainLoopInput['onEpoch'] = async (_, view) => {
      state = await view.snapshot();
    };
    const { weights, history } = await run({ weight_averaging: 0.9, nepochs: 1 }, { input: { onEpoch } });
    expect(weights.w.data).toEqual(state?.state['average/w'].data);
    expect(weights.w.data).not.toEqual(state?.state.w.data);
    const plain = await run({ nepochs: 1 });
    expect(plain.weights.w.data).toEqual(state?.state.w.data);
    expect(plain.history[0].loss).toBe(history[0].loss);
    expect(plain.history[0].val_loss).not.toBe(history[0].val_loss);
  });
});

describe('the best epoch', () => {
  it('is the smallest or the largest of the monitored column', async () => {
    const judged = async (execution: Record<string, unknown>) => {
      const { bestEpoch, bestLoss, monitored, history } = await run({ execution });
      return { bestEpoch, monitored, is: history[bestEpoch - 1][monitored as 'loss'] === bestLoss };
    };
    expect(await judged({})).toEqual({ bestEpoch: 3, monitored: 'val_loss', is: true });
    const worst = { checkpoint_mode: 'max', checkpoint_monitor_metric: 'train_loss' };
    expect(await judged(worst)).toEqual({ bestEpoch: 1, monitored: 'loss', is: true });
    expect(await judged({ checkpoint_monitor_metric: 'mae_val_loss' })).toMatchObject({
      monitored: 'val_mae',
      is: true,
    });
  });

  it('is judged by the training where nothing validates', async () => {
    const input = { validation: { dataset: toyDataset(0).dataset, groups: new Int32Array(0) } };
    const { monitored, history } = await run({ nepochs: 1 }, { input });
    expect(monitored).toBe('loss');
    expect(history[0].val_loss).toBeNull();
  });

  it('knows published names of columns, and lists the columns for others', () => {
    const execution = (name: string) => ({ checkpoint_monitor_metric: name, checkpoint_mode: 'min' as const });
    const columnOf = (name: string, validates = true) => monitorOf(execution(name), validates).column;
    expect(['val_loss', 'train_loss', 'poisson_val_loss', 'mae_train_loss'].map((n) => columnOf(n))).toEqual([
      'val_loss',
      'loss',
      'val_nll',
      'mae',
    ]);
    expect(columnOf('poisson_val_loss', false)).toBe('nll');
    expect(() => columnOf('accuracy')).toThrow(
      /^checkpoint_monitor_metric: "accuracy" is no column of history.csv; use one of loss, nll, mae, val_loss, .*\.$/,
    );
    expect(() => columnOf('toString')).toThrow(/is no column/);
  });

  it('says which columns there are when a run has not the one that was asked for', async () => {
    await expect(run({ execution: { checkpoint_monitor_metric: 'tv' } })).rejects.toThrow(
      'checkpoint_monitor_metric: this run has no tv; use one of loss, nll, mae, val_loss,',
    );
  });

  it('stops after so many epochs without a better one', async () => {
    const execution = { checkpoint_monitor_metric: 'amplitude_contrast', early_stop_patience: 2 };
    const stopped = await run({ nepochs: 9, execution });
    expect([stopped.history.length, stopped.bestEpoch, stopped.stoppedEarly]).toEqual([3, 1, true]);
    const patient = await run({ nepochs: 4, execution: { ...execution, early_stop_patience: 100 } });
    expect([patient.history.length, patient.stoppedEarly]).toEqual([4, false]);
  });
});

describe('what is fed', () => {
  it('labels, where the program asks for them', async () => {
    const { weights } = await run({ nepochs: 60, learning_rate: 0.1 }, { labelled: true });
    for (const w of weights.w.data) expect(w).toBeCloseTo(3, 1);
  });

  it('nothing that training does not have', async () => {
    const config = toyConfig({ stage_1_epochs: 1 });
    const network = toyNetwork(config, { labelled: true });
    const { dataset, groups } = toyDataset(4);
    const bare = {
      ...dataset,
      batch: async (i: ArrayLike<number>) => ({ ...(await dataset.batch(i)), labels: undefined }),
    };
    await expect(trainLoop({ config, network, backend, training: { dataset: bare, groups } })).rejects.toThrow(
      'toy_step_b4 asks for "label_real", which training does not have.',
    );
  });

  it('batches are read ahead as far as asked, in order', async () => {
    for (const [ahead, begun] of [
      [1, [2, 3, 4, 5, 5]],
      [3, [4, 5, 5, 5, 5]],
    ] as const) {
      const { dataset, groups, reads } = toyDataset(18);
      const seen: number[] = [];
      const starts: number[] = [];
      for await (const { start, indices } of batchesOf({ dataset, groups }, 4, ahead)) {
        seen.push(reads.begun);
        starts.push(start, indices.length);
      }
      expect(seen).toEqual(begun);
      expect(starts).toEqual([0, 4, 4, 4, 8, 4, 12, 4, 16, 2]);
    }
    // And the configured number gets there.
    const begunAtFirstEpoch = async (prefetch_factor: number) => {
      const { dataset, groups, reads } = toyDataset(40);
      let first: number | undefined;
      const onProgress = () => {
        first ??= reads.begun;
      };
      await run(
        { nepochs: 1, execution: { prefetch_factor } },
        { input: { training: { dataset, groups }, onProgress } },
      );
      return first;
    };
    expect(await begunAtFirstEpoch(5)).toBe(((await begunAtFirstEpoch(1)) as number) + 4);
  });
});

describe('scan positions', () => {
  const config = { position_trainable: true, position_learning_rate: 0.05, nepochs: 6 };

  it('stay until position_start_epoch, then move where the loss wants them', async () => {
    const { positions, history } = await run({ ...config, position_start_epoch: 2 }, { C: 2 });
    const { raw } = toyDataset(20, 2).dataset as { raw: { xcoords: Float64Array } };
    expect(history.map((r) => (r.position_shift_px as number) > 0)).toEqual([false, false, true, true, true, true]);
    expect(positions?.xs).toHaveLength(40);
    expect(positions?.xs).not.toEqual(raw.xcoords);
    const frozen = await run({ ...config, position_start_epoch: 6 }, { C: 2 });
    expect(history[5].loss).toBeLessThan(frozen.history[5].loss);
    expect((await run({ nepochs: 1 }, { C: 2 })).positions).toBeUndefined();
  });

  it('obey the step limit and their own learning rate', async () => {
    const moved = async (over: object) => {
      const { history } = await run({ ...config, position_start_epoch: 0, ...over }, { C: 2 });
      return history[5].position_shift_px as number;
    };
    const free = await moved({});
    expect(await moved({ position_step_limit_px: 0.1 })).toBeLessThanOrEqual(0.11);
    expect(free).toBeGreaterThan(0.11);
    expect(await moved({ position_learning_rate: 0.005 })).toBeLessThan(free / 2);
  });
});

describe('a loss that is no number', () => {
  it('fails with what to do; what came before is kept', async () => {
    const diverging = { learning_rate: 1e15, nepochs: 5, batch_size: 32, optimizer: 'sgd', momentum: 0 };
    const { failure, history, weights, bestEpoch } = await run(diverging, { groups: 20 });
    expect(isPtychoError(failure, 'TRAINING_FAILED')).toBe(true);
    expect(failure?.message).toMatch(/no longer a number in epoch 2 .*lower --learning_rate/);
    expect(history).toHaveLength(1);
    expect(bestEpoch).toBe(1);
    expect(weights.w.data.every(Number.isFinite)).toBe(true);
  });

  it('in the first epoch leaves nothing to keep', async () => {
    const error = await run({ learning_rate: 1e30, optimizer: 'sgd', momentum: 0 }).catch((e: unknown) => e);
    expect(isPtychoError(error, 'TRAINING_FAILED')).toBe(true);
  });
});

describe('a run that goes on from a snapshot', () => {
  const everything = {
    nepochs: 5,
    batch_size: 4,
    scheduler: 'ReduceLROnPlateau',
    plateau_patience: 0,
    plateau_threshold: 0.5,
    weight_averaging: 0.8,
    stage_1_epochs: 1,
    position_trainable: true,
    position_start_epoch: 1,
    execution: { accum_steps: 2 },
  };

  it.each([
    ['with everything on', everything],
    ['adamw', { nepochs: 5, optimizer: 'adamw', weight_decay: 0.01, scheduler: 'WarmupCosine' }],
    ['sgd', { nepochs: 5, optimizer: 'sgd', scheduler: 'Exponential', learning_rate: 0.01 }],
  ])('ends bit for bit where the uninterrupted one does: %s', (_, over) => goesOn(over, backend));

  it('does so on TensorFlow.js, too', async () => {
    const wasm = await createTensorflowBackend({ accelerator: 'cpu', engine: 'wasm' });
    try {
      await goesOn(everything, wasm);
    } finally {
      await wasm.dispose();
    }
  });

  async function goesOn(over: Record<string, unknown>, on: Backend) {
    const snapshots: LoopState[] = [];
    const onEpoch: TrainLoopInput['onEpoch'] = async (_record, view) => {
      snapshots.push(await view.snapshot());
    };
    const straight = await run(over, { C: 2, input: { onEpoch, backend: on } });
    // The same seed, the same bits.
    snapshots.unshift(undefined as never);
    for (const from of snapshots) {
      const again = await run(over, { C: 2, input: { from: structuredClone(from), backend: on } });
      expect(flatten(again.weights)).toEqual(flatten(straight.weights));
      expect(again.history).toEqual(straight.history);
      expect([again.bestEpoch, again.bestLoss]).toEqual([straight.bestEpoch, straight.bestLoss]);
      expect(again.positions).toEqual(straight.positions);
    }
  }

  it('has forgotten nothing that matters: without its parts it ends elsewhere', async () => {
    let from: LoopState | undefined;
    const onEpoch: TrainLoopInput['onEpoch'] = async (record, view) => {
      if (record.epoch === 2) from = await view.snapshot();
    };
    const straight = await run(everything, { C: 2, input: { onEpoch } });
    const whole = from as LoopState;
    const again = await run(everything, { C: 2, input: { from: { ...whole, positions: undefined } } });
    expect(flatten(again.weights)).toEqual(flatten(straight.weights)); // the toy's weights do not look at positions …
    expect(again.positions).not.toEqual(straight.positions); // … but the positions do
    const { words, ...rest } = whole.shuffle;
    const reshuffled = { ...whole, shuffle: { words: [...words].reverse(), ...rest } };
    expect(flatten((await run(everything, { C: 2, input: { from: reshuffled } })).weights)).not.toEqual(
      flatten(straight.weights),
    );
  });

  it('cancelled within an epoch, it keeps the epochs before', async () => {
    const stop = new AbortController();
    const onProgress = ({ done }: { done: number }) => {
      if (done > 28) stop.abort();
    };
    const { history, cancelled } = await run({ nepochs: 5 }, { input: { signal: stop.signal, onProgress } });
    expect([history.length, cancelled]).toEqual([1, true]);
  });
});

/** A start that is flat is told from one that learns, and begins again; a run that goes on does the same. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import { START_LIMITS, type StartFigures, StartWatch } from '../../src/training/attempt.js';
import { EpochJudge, type EpochRecord, monitorOf } from '../../src/training/judge.js';
import { trainLoop } from '../../src/training/loop.js';
import type { LoopState, TrainLoopInput } from '../../src/training/loopState.js';
import { flatten, toyConfig, toyDataset, toyNetwork } from '../support/toyTraining.js';

/** The verdict on a series of figures, one a step, in epochs of some length; the means of epochs as a history keeps them. */
function judged(spreadAt: (step: number) => number | undefined, perEpoch: number) {
  const watch = new StartWatch(perEpoch);
  const means: StartFigures[] = [];
  for (let step = 0; step < 600; step++) {
    const epoch = Math.floor(step / perEpoch);
    const verdict = watch.judge(step, epoch);
    if (verdict !== undefined) return { step, verdict, means };
    watch.add(step, spreadAt(step));
    if ((step + 1) % perEpoch === 0) {
      means.push(watch.ofEpoch);
      watch.endEpoch(epoch, watch.ofEpoch);
    }
  }
  return { means };
}

describe('StartWatch', () => {
  // Stuck, a failed escape, and learning: figures like those of random lines.
  const stuck = (step: number) => (step === 250 ? 0.4 : 0.003);
  const failed = (step: number) => 0.14 * (1 + Math.sin(step / 7) / 10);
  const learning = (step: number) => Math.min(0.6, step / 400);
  // Late, as hybrid_resnet on dead leaves: it doubles every 60 steps. And one that rises so slowly that it would never get there.
  const late = (step: number) => 0.006 * 2 ** (step / 60);
  const slow = (step: number) => 0.00002 * 2 ** (step / 60);

  it.each([37, 100, 150, 250, 500])('judges steps 200 to 300, in epochs of %d steps', (perEpoch) => {
    for (const [series, flat] of [
      [stuck, true],
      [failed, true],
      [slow, true],
      [late, false],
      [learning, false],
    ] as const) {
      const { step, verdict } = judged(series, perEpoch);
      let sum = 0;
      for (let s = 200; s < 300; s++) sum += series(s);
      expect(step).toBe(300);
      expect(verdict?.spread).toBeCloseTo(sum / 100, 10);
      expect(verdict?.flat).toBe(flat);
    }
    const { verdict } = judged(late, perEpoch);
    expect(verdict?.spread).toBeLessThan(START_LIMITS.flat);
  });

  it('knows from the means of epochs what it knew', () => {
    for (const series of [failed, late, slow]) {
      const { means, verdict } = judged(series, 110);
      const again = new StartWatch(110);
      means.forEach(({ spread = null, before = null }, epoch) => {
        again.endEpoch(epoch, { spread, before });
      });
      for (let step = 220; step < 300; step++) again.add(step, series(step));
      expect(again.judged).toBe(false);
      expect(again.judge(300, 2)).toEqual(verdict);
      expect(again.judge(301, 2)).toBeUndefined();
      again.endEpoch(2, again.ofEpoch);
      expect(again.judged).toBe(true);
    }
  });

  it('says nothing of batches of one group', () => {
    expect(judged(() => undefined, 50)).toEqual({ means: Array.from({ length: 12 }, () => ({})) });
  });
});

describe('auto_restart', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
  });
  afterAll(() => backend.dispose());

  /** Five steps an epoch; the start is judged in the middle of the second one. */
  async function run(spread: number, over: Record<string, unknown> = {}, input: Partial<TrainLoopInput> = {}) {
    const config = toyConfig({ auto_restart: true, nepochs: 3, ...over });
    const network = toyNetwork(config, { outputs: { pattern_spread: spread } });
    const { dataset, groups } = toyDataset(20);
    const held = toyDataset(4, 1, 50);
    const said: string[] = [];
    const states: LoopState[] = [];
    const result = await trainLoop({
      config,
      network,
      backend,
      training: { dataset, groups },
      validation: held,
      startLimits: { from: 4, to: 8, flat: 0.15 },
      restartWeights: async (restart) => network.initialWeights(10 * restart),
      logger: { info: () => undefined, warn: (text) => said.push(text) },
      onEpoch: async (_, view) => {
        states.push(await view.snapshot());
      },
      ...input,
    });
    return { ...result, said, states };
  }
  const column = (history: readonly EpochRecord[], name: keyof EpochRecord) => history.map((record) => record[name]);

  it('begins again at half the rate, three times, and says so', async () => {
    const { history, restarts, said, bestEpoch } = await run(0.01);
    expect(restarts).toBe(3);
    expect(column(history, 'restarts')).toEqual([0, 1, 2, 3, 3, 3]);
    expect(column(history, 'learning_rate')).toEqual([1, 2, 4, 8, 8, 8].map((n) => 0.05 / n));
    expect(column(history, 'epoch')).toEqual([1, 2, 3, 4, 5, 6]);
    expect(history[0].pattern_spread).toBeCloseTo(0.01, 6);
    expect(history[5].pattern_spread).toBeUndefined();
    expect(said).toEqual([
      ...[1, 2, 3].map(
        (k) =>
          `The network is stuck: after 8 steps the predicted patterns vary 0.010 times as much as the measured ones; it starts again from fresh weights at half the learning rate (restart ${k} of 3).`,
      ),
      expect.stringMatching(/^The network is stuck: after 8 steps .* as the measured ones; try another --seed, /),
    ]);
    // What was given up is no best epoch, however good it was.
    expect(bestEpoch).toBeGreaterThan(3);
  });

  it('goes on from every epoch to the same end', async () => {
    for (const over of [
      {},
      { weight_averaging: 0.5, execution: { accum_steps: 2 } },
      { scheduler: 'ReduceLROnPlateau', plateau_patience: 0, plateau_threshold: 0.9 },
    ]) {
      const limits = 'execution' in over ? { startLimits: { from: 2, to: 4, flat: 0.15 } } : {};
      const whole = await run(0.01, over, limits);
      expect(whole.restarts).toBe(3);
      for (const from of whole.states) {
        const resumed = await run(0.01, over, { ...limits, from });
        expect(resumed.history).toEqual(whole.history);
        expect(flatten(resumed.weights)).toEqual(flatten(whole.weights));
        expect([resumed.restarts, resumed.bestEpoch]).toEqual([whole.restarts, whole.bestEpoch]);
        // What was told before is told again only where it is done again.
        expect(resumed.said.length).toBeLessThanOrEqual(whole.said.length - column(from.history, 'restarts').at(-1)!);
      }
    }
  });

  it('leaves alone what learns, what began from a bundle, and what does not ask for it', async () => {
    const learning = await run(0.5);
    expect([learning.restarts, learning.said]).toEqual([0, []]);
    const begun = await run(0.01, {}, { restartWeights: undefined });
    expect(begun.restarts).toBe(0);
    expect(begun.said).toEqual([expect.stringMatching(/^The network is stuck: .*; try another --seed/)]);
    const { history, restarts } = await run(0.01, { auto_restart: false });
    expect(restarts).toBe(0);
    expect(Object.keys(history[0])).not.toContain('restarts');
    expect(Object.keys(history[0])).not.toContain('pattern_spread');
  });

  it('judges an epoch after a restart as better than all before it', () => {
    const config = toyConfig({ execution: { early_stop_patience: 2 } });
    const judge = new EpochJudge(monitorOf(config.execution, false), config);
    const record = (epoch: number, loss: number, restarts: number) =>
      ({ epoch, loss, restarts }) as unknown as EpochRecord;
    expect(
      [record(1, 0.2, 0), record(2, 0.3, 0), record(3, 0.5, 1), record(4, 0.4, 1)].map((r) => judge.add(r)),
    ).toEqual([true, false, true, true]);
    expect(judge.ranking(2).map(({ epoch }) => epoch)).toEqual([4, 3]);
    expect(judge.exhausted).toBe(false);
  });
});

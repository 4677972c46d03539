import { describe, expect, it } from 'vitest';
import { isPtychoError } from '../../src/core/errors.js';
import {
  learningRateSchedule,
  type ScheduleConfig,
  type StageConfig,
  trainingStage,
} from '../../src/model/schedule.js';

const base: ScheduleConfig = {
  scheduler: 'Default',
  learning_rate: 1e-3,
  nepochs: 10,
  lr_warmup_epochs: 0,
  lr_min_ratio: 0.1,
  plateau_factor: 0.5,
  plateau_patience: 2,
  plateau_min_lr: 2e-4,
  plateau_threshold: 0,
};

/** The rate at the beginning of each epoch of a run with these losses. */
function trace(over: Partial<ScheduleConfig>, losses: readonly number[] = new Array(base.nepochs).fill(1)): number[] {
  const schedule = learningRateSchedule({ ...base, ...over });
  return losses.map((loss, epoch) => {
    const rate = schedule.rate(epoch);
    schedule.epochEnded(loss);
    return rate;
  });
}

describe('learningRateSchedule', () => {
  it('is constant by default', () => {
    const s = learningRateSchedule(base);
    expect([0, 3.5, 9.9].map((e) => s.rate(e))).toEqual([1e-3, 1e-3, 1e-3]);
  });

  it('decays by 0.95 an epoch', () => {
    const s = learningRateSchedule({ ...base, scheduler: 'Exponential' });
    expect(s.rate(0)).toBe(1e-3);
    expect(s.rate(2.7)).toBeCloseTo(1e-3 * 0.95 ** 2, 12);
  });

  it('warms up, then follows a cosine to its floor', () => {
    const s = learningRateSchedule({ ...base, scheduler: 'WarmupCosine', lr_warmup_epochs: 2 });
    expect(s.rate(0)).toBeCloseTo(1e-4, 12);
    expect(s.rate(1)).toBeCloseTo(5.5e-4, 12);
    expect(s.rate(2)).toBeCloseTo(1e-3, 12);
    expect(s.rate(6)).toBeCloseTo(5.5e-4, 12);
    expect(s.rate(10)).toBeCloseTo(1e-4, 12);
  });

  it('falls when the loss stands still, never below its floor', () => {
    const s = learningRateSchedule({ ...base, scheduler: 'ReduceLROnPlateau' });
    s.epochEnded(1);
    for (let i = 0; i < 2; i++) s.epochEnded(1);
    expect(s.rate(3)).toBe(1e-3);
    s.epochEnded(1);
    expect(s.rate(4)).toBe(5e-4);
    for (let i = 0; i < 12; i++) s.epochEnded(1);
    expect(s.rate(16)).toBe(2e-4);
  });

  it('gives every scheduler a trace of its own', () => {
    const schedulers = ['Default', 'Exponential', 'WarmupCosine', 'ReduceLROnPlateau'] as const;
    const traces = schedulers.map((scheduler) => trace({ scheduler, lr_warmup_epochs: 2 }));
    for (const [i, a] of traces.entries()) {
      for (const [k, b] of traces.entries())
        if (i !== k) expect(a, `${schedulers[i]}, ${schedulers[k]}`).not.toEqual(b);
      if (schedulers[i] !== 'Default') expect(a[9]).toBeLessThan(a[2]);
    }
  });

  it.each([
    ['WarmupCosine', { lr_warmup_epochs: 3 }],
    ['WarmupCosine', { lr_min_ratio: 0.5 }],
    ['WarmupCosine', { nepochs: 20 }],
    ['ReduceLROnPlateau', { plateau_factor: 0.3 }],
    ['ReduceLROnPlateau', { plateau_patience: 1 }],
    ['ReduceLROnPlateau', { plateau_min_lr: 4e-4 }],
    ['ReduceLROnPlateau', { plateau_threshold: 0.1 }],
  ] as const)('%s does not ignore %o', (scheduler, over) => {
    // falls a little every epoch, except near the end
    const losses = [1, 0.99, 0.98, 0.97, 0.96, 0.95, 1, 1, 1, 1, 1, 1, 1];
    expect(trace({ scheduler, ...over }, losses)).not.toEqual(trace({ scheduler }, losses));
  });

  it('takes a loss that is no number for one without progress', () => {
    const s = learningRateSchedule({ ...base, scheduler: 'ReduceLROnPlateau', plateau_patience: 0 });
    s.epochEnded(Number.NaN);
    expect(s.rate(1)).toBe(5e-4);
    s.epochEnded(3);
    s.epochEnded(2);
    expect(s.rate(3)).toBe(5e-4);
    expect(s.state().every(Number.isFinite)).toBe(true);
  });

  it('goes on from a saved state as if never interrupted', () => {
    const losses = [3, 2, 2.5, 2.5, 2.4, 1.9, 2, 2, 2, 2, 2, 2, 2];
    for (const scheduler of ['Default', 'Exponential', 'WarmupCosine', 'ReduceLROnPlateau'] as const) {
      const config: ScheduleConfig = { ...base, scheduler };
      for (let cut = 0; cut <= losses.length; cut++) {
        const whole = learningRateSchedule(config);
        const second = learningRateSchedule(config);
        losses.forEach((loss, epoch) => {
          // as it lies in a file in between
          if (epoch === cut) second.restore(JSON.parse(JSON.stringify(whole.state())));
          if (epoch >= cut) expect(second.rate(epoch), `${scheduler}, cut ${cut}`).toBe(whole.rate(epoch));
          whole.epochEnded(loss);
          if (epoch >= cut) second.epochEnded(loss);
        });
        if (cut < losses.length) expect(second.state()).toEqual(whole.state());
      }
    }
  });

  it('refuses the state of another scheduler', () => {
    const plateau = learningRateSchedule({ ...base, scheduler: 'ReduceLROnPlateau' });
    const wrong: [ReturnType<typeof learningRateSchedule>, number[]][] = [
      [plateau, []],
      [plateau, [Number.NaN, 0]],
      [learningRateSchedule(base), plateau.state()],
    ];
    for (const [schedule, state] of wrong) {
      try {
        schedule.restore(state);
        expect.unreachable();
      } catch (e) {
        expect(isPtychoError(e, 'CONFIG_INVALID')).toBe(true);
      }
    }
  });
});

describe('trainingStage', () => {
  const stages: StageConfig = {
    stage_1_epochs: 2,
    stage_2_epochs: 4,
    physics_weight_schedule: 'linear',
    stage_3_lr_factor: 0.1,
  };
  const weights = (over: Partial<StageConfig>) =>
    [0, 1, 2, 3, 4, 5, 6, 9].map((epoch) => trainingStage({ ...stages, ...over }, epoch).physicsWeight);

  it.each([
    ['linear', [0, 0, 0, 0.25, 0.5, 0.75, 1, 1]],
    ['cosine', [0, 0, 0, (1 - Math.SQRT1_2) / 2, 0.5, (1 + Math.SQRT1_2) / 2, 1, 1]],
    ['exponential', [0, 0, 0, 1 / 16, 1 / 4, 9 / 16, 1, 1]],
  ] as const)('raises the weight of the physics: %s', (physics_weight_schedule, expected) => {
    weights({ physics_weight_schedule }).forEach((w, i) => {
      expect(w).toBeCloseTo(expected[i], 12);
    });
  });

  it('lowers the rate once stage 1 is over', () => {
    const of = (epoch: number) => trainingStage(stages, epoch);
    expect([0, 1.99, 2, 5, 6, 50].map((e) => of(e).rateFactor)).toEqual([1, 1, 0.1, 0.1, 0.1, 0.1]);
    expect([0, 1.99, 2, 5.5, 6, 50].map((e) => of(e).stage)).toEqual([1, 1, 2, 2, 3, 3]);
    expect(trainingStage({ ...stages, stage_3_lr_factor: 0.5 }, 3).rateFactor).toBe(0.5);
  });

  it('rises within an epoch, too', () => {
    expect(trainingStage(stages, 2.5).physicsWeight).toBeCloseTo(0.125, 12);
    expect(trainingStage({ ...stages, stage_2_epochs: 1 }, 2.5).physicsWeight).toBeCloseTo(0.5, 12);
  });

  it('can jump, or rise from the start', () => {
    expect(weights({ stage_2_epochs: 0 })).toEqual([0, 0, 1, 1, 1, 1, 1, 1]);
    expect(weights({ stage_1_epochs: 0 })).toEqual([0, 0.25, 0.5, 0.75, 1, 1, 1, 1]);
  });

  it('does nothing without stages', () => {
    for (const epoch of [0, 3, 100])
      expect(trainingStage({ ...stages, stage_1_epochs: 0, stage_2_epochs: 0 }, epoch)).toEqual({
        stage: 3,
        physicsWeight: 1,
        rateFactor: 1,
      });
  });
});

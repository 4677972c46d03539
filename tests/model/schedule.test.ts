import { describe, expect, it } from 'vitest';
import { learningRateSchedule, type ScheduleConfig } from '../../src/model/schedule.js';

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
});

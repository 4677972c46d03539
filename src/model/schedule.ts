/**
 * Learning rate and weight of the physics over a run.
 *
 * @example
 * const schedule = learningRateSchedule({ scheduler: 'WarmupCosine', learning_rate: 1e-3, nepochs: 50, … });
 * const stage = trainingStage(config, 12);
 * schedule.rate(12.5) * stage.rateFactor; // in the middle of the 13th epoch
 * schedule.epochEnded(valLoss);
 */
import type { TrainingConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';

export type ScheduleConfig = Pick<
  TrainingConfig,
  | 'scheduler'
  | 'learning_rate'
  | 'nepochs'
  | 'lr_warmup_epochs'
  | 'lr_min_ratio'
  | 'plateau_factor'
  | 'plateau_patience'
  | 'plateau_min_lr'
  | 'plateau_threshold'
>;

export interface LearningRateSchedule {
  /** The rate at a point of the run, counted in epochs from 0; fractions lie inside an epoch. */
  rate(epoch: number): number;
  /** Tells the schedule the loss of the epoch that just ended: lower is better, and all of one kind (see {@link trainingStage}). */
  epochEnded(loss: number): void;
  /** What the schedule remembers, for a checkpoint: finite numbers, to be kept in double precision. */
  state(): number[];
  /**
   * Goes on from what {@link state} returned.
   * @throws PtychoError CONFIG_INVALID when it is the state of another schedule.
   */
  restore(state: readonly number[]): void;
}

const EXPONENTIAL_GAMMA = 0.95;
/** A warm-up begins at this fraction of the rate. */
const WARMUP_START = 0.1;

/**
 * Builds the schedule. `Default`: constant. `Exponential`: ×0.95 an epoch. `WarmupCosine`: linear from a tenth of the
 * rate over the warm-up, then half a cosine to `learning_rate·lr_min_ratio`, stepped smoothly. `ReduceLROnPlateau`: ×
 * factor after `patience` epochs without relative improvement of the monitored loss.
 */
export function learningRateSchedule(config: ScheduleConfig): LearningRateSchedule {
  const base = config.learning_rate;
  switch (config.scheduler) {
    case 'Default':
      return stateless(() => base);
    case 'Exponential':
      return stateless((epoch) => base * EXPONENTIAL_GAMMA ** Math.floor(epoch));
    case 'WarmupCosine': {
      const warmup = Math.min(config.lr_warmup_epochs, config.nepochs);
      const last = base * config.lr_min_ratio;
      return stateless((epoch) => {
        if (epoch < warmup) return base * (WARMUP_START + (1 - WARMUP_START) * (epoch / warmup));
        const done = Math.min(1, (epoch - warmup) / Math.max(1e-9, config.nepochs - warmup));
        return last + (base - last) * 0.5 * (1 + Math.cos(Math.PI * done));
      });
    }
    case 'ReduceLROnPlateau':
      return reduceOnPlateau(config);
  }
}

/** A rate that depends on the epoch alone. */
function stateless(rate: (epoch: number) => number): LearningRateSchedule {
  return { rate, epochEnded() {}, state: () => [], restore: (state) => checkState(state, [0]) };
}

function reduceOnPlateau(config: ScheduleConfig): LearningRateSchedule {
  let rate = config.learning_rate;
  let waited = 0;
  let best: number | undefined;
  return {
    rate: () => rate,
    epochEnded(loss) {
      if (best === undefined ? Number.isFinite(loss) : loss < best - Math.abs(best) * config.plateau_threshold) {
        best = loss;
        waited = 0;
      } else if (++waited > config.plateau_patience) {
        rate = Math.max(rate * config.plateau_factor, Math.min(config.plateau_min_lr, rate));
        waited = 0;
      }
    },
    state: () => [rate, waited, ...(best === undefined ? [] : [best])],
    restore(state) {
      checkState(state, [2, 3]);
      [rate, waited, best] = state;
    },
  };
}

function checkState(state: readonly number[], lengths: readonly number[]): void {
  if (lengths.includes(state.length) && state.every(Number.isFinite)) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `The saved state of the learning rate (${state.length} numbers) is not that of the configured scheduler: resume with the scheduler that the run began with.`,
    { found: state.length, expected: lengths },
  );
}

/** What the stages of a run are made of. */
export type StageConfig = Pick<
  TrainingConfig,
  'stage_1_epochs' | 'stage_2_epochs' | 'physics_weight_schedule' | 'stage_3_lr_factor'
>;

/** Where a run is among its stages. */
export interface TrainingStage {
  readonly stage: 1 | 2 | 3;
  /** The `physics_weight` of the losses, 0…1: 0 in stage 1, rising in stage 2, 1 in stage 3. */
  readonly physicsWeight: number;
  /** Factor on the learning rate of the schedule. */
  readonly rateFactor: number;
}

const RISES: Readonly<Record<StageConfig['physics_weight_schedule'], (p: number) => number>> = {
  linear: (p) => p,
  cosine: (p) => 0.5 * (1 - Math.cos(Math.PI * p)),
  exponential: (p) => p * p,
};

/**
 * The stage at a point of the run, counted in epochs from 0 as in {@link LearningRateSchedule.rate}; whole epochs give the
 * published steps, fractions rise smoothly. Without stages (both lengths 0) it is always stage 3 and the rate is untouched.
 * Losses of different stages measure different things: compare epochs of stage 3 only.
 */
export function trainingStage(config: StageConfig, epoch: number): TrainingStage {
  const { stage_1_epochs: first, stage_2_epochs: second, stage_3_lr_factor: rateFactor } = config;
  if (first === 0 && second === 0) return { stage: 3, physicsWeight: 1, rateFactor: 1 };
  if (epoch < first) return { stage: 1, physicsWeight: 0, rateFactor: 1 };
  if (epoch >= first + second) return { stage: 3, physicsWeight: 1, rateFactor };
  const physicsWeight = RISES[config.physics_weight_schedule]((epoch - first) / second);
  return { stage: 2, physicsWeight, rateFactor };
}

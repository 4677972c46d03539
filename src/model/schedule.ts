/**
 * Learning rate over a run.
 *
 * @example
 * const schedule = learningRateSchedule({ scheduler: 'WarmupCosine', learning_rate: 1e-3, nepochs: 50, … });
 * schedule.rate(12.5); // in the middle of the 13th epoch
 * schedule.epochEnded(valLoss);
 */
import type { TrainingConfig } from '../config/schema.js';

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
  /** Tells the schedule the monitored loss of the epoch that just ended. */
  epochEnded(loss: number): void;
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
  const stateless = (rate: (epoch: number) => number): LearningRateSchedule => ({ rate, epochEnded() {} });
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
    case 'ReduceLROnPlateau': {
      let current = base;
      let best = Number.POSITIVE_INFINITY;
      let waited = 0;
      return {
        rate: () => current,
        epochEnded(loss) {
          if (loss < best - Math.abs(best === Number.POSITIVE_INFINITY ? 0 : best) * config.plateau_threshold) {
            best = loss;
            waited = 0;
          } else if (++waited > config.plateau_patience) {
            current = Math.max(current * config.plateau_factor, Math.min(config.plateau_min_lr, current));
            waited = 0;
          }
        },
      };
    }
  }
}

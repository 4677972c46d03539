/**
 * Tells when a training goes wrong: each ailment once, in one sentence with its likely cause and what to do. It warns and
 * changes nothing; only a loss that is no number ends a run (see `loop.ts`).
 *
 * @example
 * const watch = new TrainingWatch((sentence) => logger.warn(sentence));
 * watch.beforeTraining({ intensity_ratio: 1e-4 });
 * watch.epoch(record);
 */

import { counted } from '../core/words.js';
import { architecturesWith } from '../networks/architectures.js';
import type { EpochRecord } from './judge.js';

/** Beyond these a training is ill; healthy ones stay far away (`tests/training/trainWatch.test.ts`). */
const WATCH_LIMITS = {
  /** Standard deviation of the predicted amplitude over its mean, from epoch 3 on: below, the picture is flat. */
  flatContrast: 1e-3,
  /** Share of the amplitude outputs at the limits of the head, from epoch 2 on. */
  saturation: 0.5,
  /** Mean amplitude of the border over that of the centre, from epoch 2 on. */
  borderRatio: 10,
  /** Norm of the gradients of losses that are of order one. */
  deadGradient: 1e-9,
  /** Relative change of the loss since the first epoch, from epoch 3 on. */
  unchangedLoss: 1e-6,
  /** Mean predicted over mean measured intensity before the first step; also its inverse. */
  intensityRatio: 30,
} as const;

type Ailment = 'flat' | 'saturated' | 'border' | 'dead' | 'scale';

/** Looks at the figures of the first and of every later epoch. */
export class TrainingWatch {
  readonly #told = new Set<Ailment>();
  #firstLoss: number | undefined;
  #restarts = 0;
  /** Epochs before the last restart. */
  #before = 0;

  /** @param architecture of the network: advice names fields that it has */
  constructor(
    private readonly warn: (sentence: string) => void,
    private readonly architecture = 'cnn',
  ) {}

  /** `field`'s advice where the network has it, else that about its head without bounds or with them. */
  #advice(field: string, advice: string, otherwise: string): string {
    return architecturesWith(field).includes(this.architecture) ? advice : otherwise;
  }

  /** Figures of fresh weights, before any step. */
  beforeTraining({ intensity_ratio: ratio }: { readonly intensity_ratio: number }): void {
    const { intensityRatio: limit } = WATCH_LIMITS;
    if (ratio < limit && ratio > 1 / limit) return;
    this.#tell(
      'scale',
      `Probe and counts do not fit: before training, the predicted patterns are ${ratio.toPrecision(3)} times as bright as the measured ones; check the units of the patterns and the probe with "ptychopinn inspect", and give --measurement_domain or --nphotons where they are wrong.`,
    );
  }

  /** A start that was judged to be flat, and what is done about it. */
  stuck(
    spread: number,
    { steps, restart, most }: { readonly steps: number; readonly restart?: number; readonly most: number },
  ): void {
    const found = `The network is stuck: after ${steps} steps the predicted patterns vary ${spread.toPrecision(2)} times as much as the measured ones`;
    if (restart !== undefined) {
      this.warn(
        `${found}; it starts again from fresh weights at half the learning rate (restart ${restart} of ${most}).`,
      );
      return;
    }
    this.#tell(
      'flat',
      `${found}; try another --seed, a smaller --learning_rate or --input_reference mean, and check the probe.`,
    );
  }

  /** The next epoch; `judged`: its start was judged by what the patterns do, which tells more than the contrast. */
  epoch(record: EpochRecord, judged = false): void {
    const { loss } = record;
    const limits = WATCH_LIMITS;
    if ((record.restarts ?? 0) > this.#restarts) {
      this.#restarts = record.restarts ?? 0;
      this.#before = record.epoch - 1;
      this.#firstLoss = undefined;
    }
    const epoch = record.epoch - this.#before;
    this.#firstLoss ??= loss;
    if (!judged && epoch >= 3 && record.amplitude_contrast < limits.flatContrast) {
      this.#tell(
        'flat',
        `The predicted amplitude is flat after ${counted(epoch, 'epoch')}: the network is not learning the object; try --mae_weight 1 --nll_weight 0, another --seed or a smaller --learning_rate, and check the probe.`,
      );
    }
    if (epoch >= 2 && over(record.saturation, limits.saturation)) {
      this.#tell(
        'saturated',
        `${Math.round(100 * (record.saturation ?? 0))} % of the predicted amplitude lies at the limits of the head, where it cannot learn: the scale of probe and counts is off, or the steps are too large; check the probe with "ptychopinn inspect", lower --learning_rate, or use ${this.#advice('amp_activation', '--amp_activation softplus', '--generator_output_mode real_imag')}.`,
      );
    }
    if (epoch >= 2 && over(record.border_ratio, limits.borderRatio)) {
      this.#tell(
        'border',
        `The border of the patches is ${Math.round(record.border_ratio ?? 0)} times as bright as their centre: nothing holds it where the probe is dark; use ${this.#advice('border_activation', '--border_activation same, or --probe_big false', '--generator_output_mode amp_phase')}.`,
      );
    }
    if (this.#isDead(record, epoch)) {
      this.#tell(
        'dead',
        `The network is stuck: ${under(record.gradient_norm, limits.deadGradient) ? 'its gradients are zero' : `the loss is the same after ${counted(epoch, 'epoch')}`}; try another --seed or ${this.#advice('amp_activation', '--amp_activation', '--generator_output_mode')}, or a larger --learning_rate.`,
      );
    }
  }

  #isDead({ loss, gradient_norm: norm }: EpochRecord, epoch: number): boolean {
    if (under(norm, WATCH_LIMITS.deadGradient)) return true;
    const first = this.#firstLoss ?? loss;
    return epoch >= 3 && Math.abs(loss - first) <= WATCH_LIMITS.unchangedLoss * Math.abs(first);
  }

  #tell(ailment: Ailment, sentence: string): void {
    if (this.#told.has(ailment)) return;
    this.#told.add(ailment);
    this.warn(sentence);
  }
}

/** Figures may be missing: `undefined` from programs, null from a table. */
function over(value: number | null | undefined, limit: number): boolean {
  return typeof value === 'number' && value > limit;
}

function under(value: number | null | undefined, limit: number): boolean {
  return typeof value === 'number' && value < limit;
}

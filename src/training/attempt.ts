/**
 * From fresh weights to the end of a training, or to where it is given up because its start was flat (`auto_restart`): what counts
 * from the first step, not from the first row of the history.
 */
import type { TrainingConfig } from '../config/schema.js';
import {
  type LearningRateSchedule,
  learningRateSchedule,
  type TrainingStage,
  trainingStage,
} from '../model/schedule.js';

/** When the start of a training is judged, in steps of the optimiser, and the spread below which it is flat. */
export interface StartLimits {
  readonly from: number;
  readonly to: number;
  readonly flat: number;
}

/** Stuck trainings had 0.001 to 0.14 in these steps, learning ones 0.44 to 0.78; earlier, late starters cannot be told from them. */
export const START_LIMITS: StartLimits = { from: 200, to: 300, flat: 0.15 };

/**
 * Judges the start of a training by the mean of `pattern_spread` over some of its first steps. What it knows follows from the mean of
 * each epoch over those of its steps, which the history keeps, so that a resumed run judges alike.
 */
export class StartWatch {
  /** Of the epochs that are done: the means, weighted by steps. */
  #weighted = 0;
  #steps = 0;
  /** Of the running epoch. */
  #sum = 0;
  #count = 0;
  #judged = false;

  constructor(
    private readonly stepsPerEpoch: number,
    readonly limits: StartLimits = START_LIMITS,
  ) {}

  /** Takes the figure of a step, counted from the start; batches of one group have none. */
  add(step: number, spread: number | undefined): void {
    if (spread === undefined || step < this.limits.from || step >= this.limits.to) return;
    this.#sum += spread;
    this.#count++;
  }

  /** The mean over the steps of the running epoch that count; undefined where none does. */
  get epochMean(): number | undefined {
    return this.#count > 0 ? this.#sum / this.#count : undefined;
  }

  /** Ends epoch `epoch`, counted from 0 at the start, whose mean this is. */
  endEpoch(epoch: number, mean: number | null | undefined): void {
    const end = (epoch + 1) * this.stepsPerEpoch;
    this.#take(mean, epoch, end);
    if (end > this.limits.to) this.#judged = true;
    this.#sum = 0;
    this.#count = 0;
  }

  /** Whether the start was judged, or would have been had there been a figure. */
  get judged(): boolean {
    return this.#judged && this.#steps > 0;
  }

  /** Judges before step `step` of epoch `epoch`, once: the mean over all steps that count; undefined: not now, or it has none. */
  judge(step: number, epoch: number): number | undefined {
    if (this.#judged || step < this.limits.to) return undefined;
    this.#judged = true;
    const total = this.#steps + this.#overlap(epoch, step);
    const own = this.epochMean;
    if (own === undefined) return this.#steps > 0 ? this.#weighted / this.#steps : undefined;
    return (this.#weighted + own * this.#overlap(epoch, step)) / total;
  }

  #take(mean: number | null | undefined, epoch: number, end: number): void {
    if (typeof mean !== 'number') return;
    const steps = this.#overlap(epoch, end);
    this.#weighted += mean * steps;
    this.#steps += steps;
  }

  /** Steps of an epoch before `end` that count. */
  #overlap(epoch: number, end: number): number {
    const { from, to } = this.limits;
    return Math.max(0, Math.min(to, end) - Math.max(from, epoch * this.stepsPerEpoch));
  }
}

/** A training that is still flat begins again this often. */
export const MOST_RESTARTS = 3;

/** What the learning rate is multiplied by at a restart. */
const RESTART_RATE = 0.5;

/** Counts epochs and steps of an attempt, and knows its rate. Epochs are those of the history, counted from 0. */
export class Attempt {
  readonly schedule: LearningRateSchedule;
  /** Looks at the start, with `auto_restart`. */
  readonly start: StartWatch | undefined;
  readonly #stepsPerEpoch: number;

  /**
   * @param groups that train
   * @param restarts before it
   * @param firstEpoch epochs before it
   */
  constructor(
    private readonly config: TrainingConfig,
    groups: number,
    limits: StartLimits | undefined,
    readonly restarts = 0,
    readonly firstEpoch = 0,
  ) {
    this.schedule = learningRateSchedule(config);
    const batches = Math.ceil(groups / config.batch_size);
    this.#stepsPerEpoch = Math.ceil(batches / config.execution.accum_steps);
    const watched = config.auto_restart && config.model.model_type !== 'supervised';
    this.start = watched ? new StartWatch(this.#stepsPerEpoch, limits) : undefined;
  }

  get lastEpoch(): number {
    return this.firstEpoch + this.config.nepochs + this.config.epochs_fine_tune;
  }

  /** Whether an epoch is one of `epochs_fine_tune`, in which the encoder stays as it is. */
  fineTunes(epoch: number): boolean {
    return epoch - this.firstEpoch >= this.config.nepochs;
  }

  /** The learning rate of the schedule, without stages. */
  rate(epoch: number): number {
    const { learning_rate, fine_tune_gamma } = this.config;
    const rate = this.fineTunes(epoch) ? learning_rate * fine_tune_gamma : this.schedule.rate(epoch - this.firstEpoch);
    return rate * RESTART_RATE ** this.restarts;
  }

  stage(epoch: number): TrainingStage {
    return trainingStage(this.config, epoch - this.firstEpoch);
  }

  /** Whether positions move in an epoch. */
  moves(epoch: number): boolean {
    return epoch - this.firstEpoch >= this.config.position_start_epoch;
  }

  /** Steps before the batch whose groups begin at `from` in the order of an epoch. */
  step(epoch: number, from: number): number {
    const { batch_size, execution } = this.config;
    return (epoch - this.firstEpoch) * this.#stepsPerEpoch + Math.floor(from / batch_size / execution.accum_steps);
  }

  /** The spread of a start that is flat, judged once before the batch that begins at `from`. */
  flatSpread(epoch: number, from: number): number | undefined {
    const spread = this.start?.judge(this.step(epoch, from), epoch - this.firstEpoch);
    return spread !== undefined && spread < (this.start?.limits.flat ?? 0) ? spread : undefined;
  }

  /** Ends an epoch whose figure is this. */
  endEpoch(epoch: number, spread: number | null | undefined): void {
    this.start?.endEpoch(epoch - this.firstEpoch, spread);
  }
}

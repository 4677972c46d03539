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

/** When the start of a training is judged, in steps of the optimiser, and the spread below which it is flat unless it rises. */
export interface StartLimits {
  readonly from: number;
  readonly to: number;
  readonly flat: number;
}

/**
 * Stuck trainings had 0.001 to 0.14 in these steps and stayed there, learning ones of `cnn` 0.44 to 0.78; earlier, late starters cannot be
 * told from them. `hybrid_resnet` is such a one on some objects: 0.10 and 0.12 on dead leaves, three times what it was 100 steps before.
 */
export const START_LIMITS: StartLimits = { from: 200, to: 300, flat: 0.15 };

/** A start rises when its spread is so many times that of as many steps before, … */
const RISING = 1.5;
/** … and at that pace beyond the limit after so many times as many steps. */
const SOON = 2;

/** The mean of a figure over some steps, known from the means of epochs over those of their steps. */
class StepMean {
  /** Of the epochs that are done: the means, weighted by steps. */
  #weighted = 0;
  #steps = 0;
  /** Of the running epoch. */
  #sum = 0;
  #count = 0;

  constructor(
    private readonly stepsPerEpoch: number,
    private readonly from: number,
    private readonly to: number,
  ) {}

  add(step: number, value: number): void {
    if (step < this.from || step >= this.to) return;
    this.#sum += value;
    this.#count++;
  }

  get known(): boolean {
    return this.#steps > 0;
  }

  get ofEpoch(): number | undefined {
    return this.#count > 0 ? this.#sum / this.#count : undefined;
  }

  endEpoch(epoch: number, mean: number | null | undefined): void {
    this.#sum = 0;
    this.#count = 0;
    if (typeof mean !== 'number') return;
    const steps = this.#overlap(epoch, (epoch + 1) * this.stepsPerEpoch);
    this.#weighted += mean * steps;
    this.#steps += steps;
  }

  /** Over all steps before `step` of the running epoch. */
  mean(epoch: number, step: number): number | undefined {
    const own = this.ofEpoch;
    if (own === undefined) return this.#steps > 0 ? this.#weighted / this.#steps : undefined;
    const steps = this.#overlap(epoch, step);
    return (this.#weighted + own * steps) / (this.#steps + steps);
  }

  /** Steps of an epoch before `end` that count. */
  #overlap(epoch: number, end: number): number {
    return Math.max(0, Math.min(this.to, end) - Math.max(this.from, epoch * this.stepsPerEpoch));
  }
}

/** What the steps of an epoch say of a start: means over those that count, and over those of as many steps before. */
export interface StartFigures {
  readonly spread?: number | null | undefined;
  readonly before?: number | null | undefined;
}

/** What a start came to. */
export interface StartVerdict {
  /** The mean of `pattern_spread` over the steps that count. */
  readonly spread: number;
  /** It is below the limit and does not rise. */
  readonly flat: boolean;
}

/**
 * Judges the start of a training by the mean of `pattern_spread` over some of its first steps, and by how it rose since as many steps
 * before. What it knows follows from the means of each epoch over those of its steps, which the history keeps, so that a resumed run
 * judges alike.
 */
export class StartWatch {
  readonly #now: StepMean;
  readonly #before: StepMean;
  #judged = false;

  constructor(
    private readonly stepsPerEpoch: number,
    readonly limits: StartLimits = START_LIMITS,
  ) {
    const { from, to } = limits;
    this.#now = new StepMean(stepsPerEpoch, from, to);
    this.#before = new StepMean(stepsPerEpoch, Math.max(0, 2 * from - to), from);
  }

  /** Takes the figure of a step, counted from the start; batches of one group have none. */
  add(step: number, spread: number | undefined): void {
    if (spread === undefined) return;
    this.#now.add(step, spread);
    this.#before.add(step, spread);
  }

  /** The means over the steps of the running epoch that count; undefined where none does. */
  get ofEpoch(): StartFigures {
    return { spread: this.#now.ofEpoch, before: this.#before.ofEpoch };
  }

  /** Ends epoch `epoch`, counted from 0 at the start, whose figures these are. */
  endEpoch(epoch: number, { spread, before }: StartFigures): void {
    this.#now.endEpoch(epoch, spread);
    this.#before.endEpoch(epoch, before);
    if ((epoch + 1) * this.stepsPerEpoch > this.limits.to) this.#judged = true;
  }

  /** Whether the start was judged, or would have been had there been a figure. */
  get judged(): boolean {
    return this.#judged && this.#now.known;
  }

  /** Judges before step `step` of epoch `epoch`, once; undefined: not now, or there is no figure. */
  judge(step: number, epoch: number): StartVerdict | undefined {
    if (this.#judged || step < this.limits.to) return undefined;
    this.#judged = true;
    const spread = this.#now.mean(epoch, step);
    if (spread === undefined) return undefined;
    const pace = spread / (this.#before.mean(epoch, step) ?? Number.POSITIVE_INFINITY);
    const rises = pace >= RISING && spread * pace ** SOON >= this.limits.flat;
    return { spread, flat: spread < this.limits.flat && !rises };
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
    const verdict = this.start?.judge(this.step(epoch, from), epoch - this.firstEpoch);
    return verdict?.flat ? verdict.spread : undefined;
  }

  /** Ends an epoch whose figures these are. */
  endEpoch(epoch: number, figures: StartFigures): void {
    this.start?.endEpoch(epoch - this.firstEpoch, figures);
  }
}

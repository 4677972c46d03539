/**
 * Which epoch is the best, which are worth a file, and when to stop: all of it follows from the history, so that a resumed
 * run knows what the interrupted one knew.
 *
 * @example
 * const judge = new EpochJudge(monitorOf(config.execution, true), config);
 * if (judge.add(record)) keep(await state.read());
 * if (judge.exhausted) stop();
 */
import type { TrainingConfig } from '../config/schema.js';
import { type StageConfig, trainingStage } from '../model/schedule.js';
import { type EpochRecord, type Monitor, monitoredValue } from './records.js';

/** An epoch and its monitored value. */
export interface JudgedEpoch {
  readonly epoch: number;
  readonly value: number;
  /** False in the stages before the configured losses count in full: such values compare with none of the others. */
  readonly comparable: boolean;
}

type JudgeConfig = StageConfig & { readonly execution: Pick<TrainingConfig['execution'], 'early_stop_patience'> };

/** Follows the monitored value over the epochs. */
export class EpochJudge {
  readonly #epochs: JudgedEpoch[] = [];
  #best: JudgedEpoch | undefined;
  #waited = 0;

  constructor(
    readonly monitor: Monitor,
    readonly config: JudgeConfig,
  ) {}

  /** Takes the next epoch; true when it is the best so far. An epoch of an early stage is always better than those before it. */
  add(record: EpochRecord): boolean {
    const comparable = trainingStage(this.config, record.epoch - 1).stage === 3;
    const judged = { epoch: record.epoch, value: monitoredValue(record, this.monitor), comparable };
    this.#epochs.push(judged);
    const better = this.#best === undefined || !comparable || this.#precedes(judged, this.#best);
    if (better) this.#best = judged;
    this.#waited = better ? 0 : this.#waited + 1;
    return better;
  }

  get best(): JudgedEpoch | undefined {
    return this.#best;
  }

  /** True after `early_stop_patience` epochs without a better one. */
  get exhausted(): boolean {
    return this.#waited >= this.config.execution.early_stop_patience;
  }

  /** The best `count` epochs, the best one first; of equal ones the earlier. */
  ranking(count: number): readonly JudgedEpoch[] {
    return [...this.#epochs]
      .sort((a, b) => (this.#precedes(a, b) ? -1 : this.#precedes(b, a) ? 1 : a.epoch - b.epoch))
      .slice(0, count);
  }

  #precedes(a: JudgedEpoch, b: JudgedEpoch): boolean {
    if (a.comparable !== b.comparable) return a.comparable;
    // Early stages: the later, the nearer to what is asked for.
    if (!a.comparable) return a.epoch > b.epoch;
    return this.monitor.mode === 'min' ? a.value < b.value : a.value > b.value;
  }
}

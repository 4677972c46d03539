/**
 * What an epoch came to, which epoch is the best, which are worth a file, and when to stop. All of it follows from the history, so that
 * a resumed run knows what the interrupted one knew.
 *
 * @example
 * const judge = new EpochJudge(monitorOf(config.execution, true), config);
 * if (judge.add(record)) keep(await state.read());
 * if (judge.exhausted) stop();
 */
import type { TrainingConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { type StageConfig, trainingStage } from '../model/schedule.js';

/** Terms of losses that only some runs have; with validation data also as `val_…`. */
export const EXTRA_TERMS = [
  'tv',
  'overlap',
  'object_mae',
  'amp_loss',
  'phase_loss',
  'label_amplitude_mae',
  'label_phase_mae',
] as const;

/** Columns that are there only where the programs of the network have such an output, or the run such a stage. */
export const EXTRA_COLUMNS = [
  'gradient_norm',
  'saturation',
  'border_ratio',
  'intensity_ratio',
  'physics_weight',
  'position_shift_px',
] as const;
export type ExtraColumn =
  | (typeof EXTRA_COLUMNS)[number]
  | (typeof EXTRA_TERMS)[number]
  | `val_${(typeof EXTRA_TERMS)[number]}`;

/** Columns of runs with `auto_restart`, by which no epoch is judged. */
export type RestartColumn = 'restarts' | 'pattern_spread' | 'pattern_spread_before';

/** Held-out R of each of several scans, counted from 1; no epoch is judged by one of them alone. */
export type ScanColumn = `val_mae_${number}`;

/** The column of a scan, counted from 0. */
export const scanColumn = (scan: number): ScanColumn => `val_mae_${scan + 1}`;

/** One line of `history.csv`. Losses are means over patterns; null where there is no validation data. */
export type EpochRecord = Readonly<
  {
    epoch: number;
    learning_rate: number;
    loss: number;
    nll: number;
    mae: number;
    val_loss: number | null;
    val_nll: number | null;
    val_mae: number | null;
    amplitude_contrast: number;
  } & Partial<Record<ExtraColumn | RestartColumn, number>> &
    Record<ScanColumn, number>
>;

/** The columns by which an epoch may be judged. */
const MONITORED_COLUMNS = [
  'loss',
  'nll',
  'mae',
  'val_loss',
  'val_nll',
  'val_mae',
  'amplitude_contrast',
  ...EXTRA_TERMS,
  'val_tv',
  'val_object_mae',
  'val_label_amplitude_mae',
  'val_label_phase_mae',
  'val_amp_loss',
  'val_phase_loss',
  ...EXTRA_COLUMNS,
] as const satisfies readonly (keyof EpochRecord)[];
export type MonitoredColumn = (typeof MONITORED_COLUMNS)[number];

/** Published names of metrics. */
const ALIASES: Readonly<Record<string, MonitoredColumn>> = {
  train_loss: 'loss',
  train_nll: 'nll',
  train_mae: 'mae',
  poisson_train_loss: 'nll',
  poisson_val_loss: 'val_nll',
  mae_train_loss: 'mae',
  mae_val_loss: 'val_mae',
};

/** What decides which epoch is the best. */
export interface Monitor {
  readonly column: MonitoredColumn;
  readonly mode: 'min' | 'max';
}

/**
 * The column that `checkpoint_monitor_metric` means; without validation data that of the training.
 * @throws PtychoError CONFIG_INVALID for a name that no column has.
 */
export function monitorOf(
  execution: Pick<TrainingConfig['execution'], 'checkpoint_monitor_metric' | 'checkpoint_mode'>,
  validates: boolean,
): Monitor {
  const { checkpoint_monitor_metric: name, checkpoint_mode: mode } = execution;
  const column =
    MONITORED_COLUMNS.find((c) => c === name) ?? (Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined);
  if (column === undefined) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `checkpoint_monitor_metric: "${name}" is no column of history.csv; use one of ${MONITORED_COLUMNS.join(', ')}.`,
      { key: 'checkpoint_monitor_metric', found: name, expected: MONITORED_COLUMNS },
    );
  }
  return { column: validates ? column : (column.replace(/^val_/, '') as MonitoredColumn), mode };
}

/**
 * The monitored value of an epoch.
 * @throws PtychoError CONFIG_INVALID when this run has no such figure.
 */
function monitoredValue(record: EpochRecord, { column }: Monitor): number {
  const value = record[column];
  if (typeof value === 'number') return value;
  const there = MONITORED_COLUMNS.filter((c) => typeof record[c] === 'number');
  throw new PtychoError(
    'CONFIG_INVALID',
    `checkpoint_monitor_metric: this run has no ${column}; use one of ${there.join(', ')}.`,
    { key: 'checkpoint_monitor_metric', found: column, expected: there },
  );
}

/** An epoch and its monitored value. */
export interface JudgedEpoch {
  readonly epoch: number;
  readonly value: number;
  /** False in the stages before the configured losses count in full, and before a restart: such values compare with none of the others. */
  readonly comparable: boolean;
}

type JudgeConfig = StageConfig & { readonly execution: Pick<TrainingConfig['execution'], 'early_stop_patience'> };

/** Follows the monitored value over the epochs. */
export class EpochJudge {
  #epochs: JudgedEpoch[] = [];
  #best: JudgedEpoch | undefined;
  #waited = 0;
  #restarts = 0;
  /** Epochs before the last restart. */
  #givenUp = 0;

  constructor(
    readonly monitor: Monitor,
    readonly config: JudgeConfig,
  ) {}

  /** Takes the next epoch; true when it is the best so far. An epoch of an early stage is always better than those before it. */
  add(record: EpochRecord): boolean {
    if ((record.restarts ?? 0) > this.#restarts) this.#giveUp(record);
    const comparable = trainingStage(this.config, record.epoch - 1 - this.#givenUp).stage === 3;
    const judged = { epoch: record.epoch, value: monitoredValue(record, this.monitor), comparable };
    this.#epochs.push(judged);
    const better = this.#best === undefined || !comparable || this.#precedes(judged, this.#best);
    if (better) this.#best = judged;
    this.#waited = better ? 0 : this.#waited + 1;
    return better;
  }

  /** What came before a restart is worse than what comes now, whatever its figures. */
  #giveUp({ epoch, restarts = 0 }: EpochRecord): void {
    this.#restarts = restarts;
    this.#givenUp = epoch - 1;
    this.#waited = 0;
    this.#epochs = this.#epochs.map((judged) => ({ ...judged, comparable: false }));
    this.#best = this.#best && { ...this.#best, comparable: false };
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

/** One row of `history.csv`, and which of its columns a run may be judged by. */
import type { TrainingConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';

/** Terms of losses that only some runs have; with validation data also as `val_…`. */
export const EXTRA_TERMS = ['tv', 'object_mae', 'label_amplitude_mae', 'label_phase_mae'] as const;

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
  } & Partial<Record<ExtraColumn, number>>
>;

/** The columns by which an epoch may be judged. */
export const MONITORED_COLUMNS = [
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
export function monitoredValue(record: EpochRecord, { column }: Monitor): number {
  const value = record[column];
  if (typeof value === 'number') return value;
  const there = MONITORED_COLUMNS.filter((c) => typeof record[c] === 'number');
  throw new PtychoError(
    'CONFIG_INVALID',
    `checkpoint_monitor_metric: this run has no ${column}; use one of ${there.join(', ')}.`,
    { key: 'checkpoint_monitor_metric', found: column, expected: there },
  );
}

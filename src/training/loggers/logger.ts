/** Where the figures of a training run go besides `history.csv`: the interface that the training loop calls. */
import path from 'node:path';
import type { TrainingConfig } from '../../config/schema.js';
import type { Provenance } from '../../core/services.js';

/** The file below the output folder that the CSV logger writes. */
export const METRICS_FILE = path.join('logs', 'metrics.csv');

/** The figures of one epoch (counted from 1), by column of `history.csv`; null where the epoch has no such value. */
export type EpochFigures = Readonly<Record<string, number | null>> & { readonly epoch: number };

/** What a logger is told of a run before its first epoch. */
export interface LoggedRun {
  readonly config: TrainingConfig;
  /** Where the values of the configuration came from. */
  readonly provenance?: Provenance;
  readonly outputDir: string;
  /** True when the run continues one that was logged to the same folder. */
  readonly resumed: boolean;
  /**
   * Epochs that were already done when the run was resumed: what was logged of later ones is forgotten.
   * Where it is not given, the first record says where the run continues.
   */
  readonly epochsDone?: number;
}

/** How a run ended. */
export type RunStatus = 'finished' | 'cancelled' | 'failed';

/**
 * Takes down a training run. Only {@link MetricLogger.start} may throw: once a run is under way a logger that cannot
 * write says so once, as a warning, and keeps quiet.
 */
export interface MetricLogger {
  /**
   * Called once, before the first epoch.
   * @throws PtychoError OUTPUT_UNWRITABLE, or CONFIG_INVALID for a logger that cannot be used: one sentence with what to do.
   */
  start(run: LoggedRun): Promise<void>;
  /** The figures of an epoch that has ended. */
  epoch(record: EpochFigures): Promise<void>;
  /**
   * A picture.
   * @param tag what it shows, such as `previews/amplitude`.
   * @param png the bytes of a PNG file.
   */
  image(tag: string, epoch: number, png: Uint8Array): Promise<void>;
  /** A file of the run that is worth keeping beside its figures, such as the bundle. */
  artifact(file: string): Promise<void>;
  /** Called once, at the end, whatever happened. */
  finish(status: RunStatus): Promise<void>;
}

/**
 * Where messages and progress go: interfaces only, so that a library user decides.
 *
 * @example
 * const lines: string[] = [];
 * const logger: Logger = { info: (m) => lines.push(m), warn: (m) => lines.push(m) };
 */

/** A sink for human-readable lines. */
export interface Logger {
  /** What is worth knowing. */
  info(message: string): void;
  /** What may make a result wrong or surprising. */
  warn(message: string): void;
  /** Details; left out where nobody asks for them. */
  debug?(message: string): void;
}

/** One report of a long task; `done`/`total` count in `unit`s. */
export interface ProgressEvent {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  /** Short extra text, a loss for instance. */
  readonly note?: string;
}

/** Receives progress reports; must not throw. */
export type ProgressSink = (event: ProgressEvent) => void;

/** A logger that keeps quiet. */
export const silentLogger: Logger = { info() {}, warn() {} };

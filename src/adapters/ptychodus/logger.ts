/**
 * The log of a library with Python's level names, for the log pane of a host.
 *
 * @example
 * const log = new LibraryLog();
 * log.setLevel('DEBUG');
 * const stop = log.onRecord(({ level, message }) => pane.append(`${level} ${message}`));
 */
import { PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import type { LibraryLogger, LogLevel } from './types.js';

/** Names and numbers of Python's levels, from nearly nothing to everything. */
export const LOG_LEVELS: Readonly<Record<LogLevel, number>> = {
  CRITICAL: 50,
  ERROR: 40,
  WARNING: 30,
  INFO: 20,
  DEBUG: 10,
};

/**
 * A level from its name or Python's number, the next level at or above which is taken (25 is WARNING).
 * @throws PtychoError USAGE for anything else
 */
export function parseLogLevel(text: string): LogLevel {
  const word = text.trim().toUpperCase();
  if (Object.hasOwn(LOG_LEVELS, word)) return word as LogLevel;
  const number = Number(word);
  if (word !== '' && Number.isFinite(number) && number >= 0) {
    const levels = (Object.entries(LOG_LEVELS) as [LogLevel, number][]).sort((a, b) => a[1] - b[1]);
    return levels.find(([, value]) => value >= number)?.[0] ?? 'CRITICAL';
  }
  throw new PtychoError(
    'USAGE',
    `A log level must be one of ${Object.keys(LOG_LEVELS).join(', ')}, or Python's number for one, got ${JSON.stringify(text)}.`,
    { found: text },
  );
}

/** One line of a log. */
export interface LogRecord {
  readonly level: LogLevel;
  readonly message: string;
}

/** The log of a library; also a logger for everything that takes one. */
export class LibraryLog implements LibraryLogger, Logger {
  #level: LogLevel = 'INFO';
  readonly #listeners = new Set<(record: LogRecord) => void>();

  /** @param forward also hears every record that is at or above the level */
  constructor(private readonly forward?: Logger) {}

  get level(): LogLevel {
    return this.#level;
  }

  /** @throws PtychoError USAGE for a word that is no level */
  setLevel(level: LogLevel): void {
    this.#level = parseLogLevel(level);
  }

  onRecord(hear: (record: LogRecord) => void): () => void {
    // A listener of its own each time, so that one function may listen twice.
    const listener = (record: LogRecord) => hear(record);
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  debug(message: string): void {
    this.#say('DEBUG', message);
  }

  info(message: string): void {
    this.#say('INFO', message);
  }

  warn(message: string): void {
    this.#say('WARNING', message);
  }

  error(message: string): void {
    this.#say('ERROR', message);
  }

  #say(level: LogLevel, message: string): void {
    if (LOG_LEVELS[level] < LOG_LEVELS[this.#level]) return;
    for (const listener of this.#listeners) listener({ level, message });
    if (LOG_LEVELS[level] >= LOG_LEVELS.WARNING) this.forward?.warn(message);
    else if (level === 'INFO') this.forward?.info(message);
    else this.forward?.debug?.(message);
  }
}

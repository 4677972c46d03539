/**
 * `logs/debug.log` of an output folder: everything that a run says, whatever the terminal shows, and the stack of what
 * ended it. Lines wait until the run owns its folder, so that a run that is refused leaves no traces; a later run in
 * the same folder writes behind what is there.
 *
 * @example
 * const log = new RunLog('run', 'ptychopinn train --nepochs 3');
 * const logger = log.tee(console);
 * log.begin();
 * log.close();
 */

import { closeSync, existsSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import { messageOf } from '../core/errors.js';
import type { Logger, ProgressSink } from '../core/log.js';
import { plainText } from '../core/plainText.js';
import type { ConsoleLevel } from './console.js';

/** The file below the output folder. */
export const LOG_FILE = path.join('logs', 'debug.log');

/** Between two lines about the same stage of a run. */
const PROGRESS_MS = 30_000;

/** The log of one run. */
export class RunLog {
  readonly #folder: string;
  readonly #now: () => Date;
  #waiting: string[] = [];
  #file: number | undefined;
  #begun = false;
  #closed = false;
  #progress = { stage: '', at: 0 };
  #trouble: string | undefined;
  #warn: ((message: string) => void) | undefined;

  /** @param title what was asked for, the first line. */
  constructor(folder: string, title: string, now: () => Date = () => new Date()) {
    this.#folder = folder;
    this.#now = now;
    this.write('INFO', title);
  }

  /** The folder is ours from now on: what waited is written. */
  begin(): void {
    this.#begun = true;
    this.#tryTo(() => this.#flush());
  }

  /** Appends a message; one with several lines is indented from the second on. */
  write(level: ConsoleLevel, message: string): void {
    if (this.#closed) return;
    const line = `${this.#now().toISOString()} ${level} ${plainText(message).replaceAll('\n', '\n  ')}\n`;
    this.#waiting.push(line);
    this.#tryTo(() => this.#flush());
  }

  #tryTo(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#closed = true;
      this.#trouble = `${path.join(this.#folder, LOG_FILE)} cannot be written: ${messageOf(error)}.`;
      this.#warn?.(this.#trouble);
    }
  }

  /** Who is told once, where the file cannot be written: the run itself goes on. */
  onTrouble(warn: (message: string) => void): void {
    this.#warn = warn;
    if (this.#trouble !== undefined) warn(this.#trouble);
  }

  /** What ended the run, with its stack and its causes. */
  failure(error: unknown): void {
    this.write('ERROR', inspect(error, { depth: 4, breakLength: 120 }));
  }

  /** A logger that writes here and says the same to another. */
  tee(logger: Logger): Logger {
    return {
      debug: (message) => {
        this.write('DEBUG', message);
        logger.debug?.(message);
      },
      info: (message) => {
        this.write('INFO', message);
        logger.info(message);
      },
      warn: (message) => {
        this.write('WARNING', message);
        logger.warn(message);
      },
    };
  }

  /** Progress as a line now and then, and one at the end of each stage. */
  teeProgress(sink: ProgressSink): ProgressSink {
    return (event) => {
      const { stage, done, total, unit, note } = event;
      const time = this.#now().getTime();
      if (stage !== this.#progress.stage) this.#progress = { stage, at: time };
      if (done >= total || time - this.#progress.at >= PROGRESS_MS) {
        this.#progress = { stage, at: time };
        this.write('DEBUG', `${stage}: ${done}/${total} ${unit}${note ? `, ${note}` : ''}`);
      }
      sink(event);
    };
  }

  /** Ends the log; what waited for a folder that was never made is dropped. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #flush(): void {
    if (this.#file === undefined) {
      if (!this.#begun || !existsSync(this.#folder)) return;
      const file = path.join(this.#folder, LOG_FILE);
      mkdirSync(path.dirname(file), { recursive: true });
      this.#file = openSync(file, 'a');
    }
    // At once and in order: a run may be killed at any moment.
    for (const line of this.#waiting) writeSync(this.#file, line);
    this.#waiting = [];
  }
}

/**
 * Long work from the command line: progress on stderr, an end by signals, the line of the bar closed whatever happens,
 * and a log file where there is one.
 */

import type { Logger, ProgressSink } from '../core/log.js';
import type { ConsoleLevel } from './console.js';
import type { CliContext } from './context.js';
import { type EndingSignal, withInterrupt } from './interrupt.js';
import { createReporter } from './progress.js';
import type { RunLog } from './runLog.js';

/** What every workflow takes besides its configuration. */
export interface Services {
  readonly signal: AbortSignal;
  readonly onProgress: ProgressSink;
  readonly logger: Logger;
  /** Begins the log file: a run that is refused leaves nothing in a folder that is another's. */
  readonly onOutputFolder: () => void;
}

/** How work is watched. */
export interface Supervision {
  readonly level: ConsoleLevel;
  /** What the first signal brings about: `finishing this step …`. */
  readonly interrupted: string;
  /** Hears everything, whatever the level; what the work throws, too. */
  readonly log?: RunLog;
}

/** Runs `work` with progress and a signal for Ctrl-C, SIGTERM and SIGHUP. */
export async function supervise<T>(
  context: CliContext,
  { level, interrupted, log }: Supervision,
  work: (services: Services) => Promise<T>,
): Promise<T> {
  const reporter = createReporter({ stream: context.stderr, level });
  const logger = log ? log.tee(reporter.logger) : reporter.logger;
  const onProgress = log ? log.teeProgress(reporter.onProgress) : reporter.onProgress;
  const announce = (signal: EndingSignal) => {
    const again = signal === 'SIGINT' ? 'press Ctrl-C again to leave at once' : `${signal} again leaves at once`;
    logger.warn(`interrupted${signal === 'SIGINT' ? '' : ` by ${signal}`}: ${interrupted}; ${again}.`);
  };
  const crashed = (error: unknown) => log?.failure(error);
  log?.onTrouble(reporter.logger.warn);
  // Errors that nobody waits for end the process on their own.
  context.signals.on('uncaughtExceptionMonitor', crashed);
  try {
    return await withInterrupt(context, async (interruption) => {
      const stop = interruption.onFirst(announce);
      try {
        return await work({ signal: interruption.signal, onProgress, logger, onOutputFolder: () => log?.begin() });
      } finally {
        stop();
      }
    });
  } catch (error) {
    log?.failure(error);
    throw error;
  } finally {
    context.signals.off('uncaughtExceptionMonitor', crashed);
    reporter.finish();
  }
}

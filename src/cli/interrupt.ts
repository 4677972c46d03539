/** Ctrl-C: the first one asks the work to come to an end, the second leaves at once. */

import type { CliContext } from './context.js';

/**
 * Runs `work` with a signal that the first SIGINT (or SIGTERM, as batch systems send it) aborts.
 * @param announce called once, at the first Ctrl-C.
 */
export async function withInterrupt<T>(
  context: CliContext,
  announce: () => void,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const listener = () => {
    if (controller.signal.aborted) {
      context.leaveNow();
      return;
    }
    announce();
    controller.abort();
  };
  context.signals.on('SIGINT', listener);
  context.signals.on('SIGTERM', listener);
  try {
    return await work(controller.signal);
  } finally {
    context.signals.off('SIGINT', listener);
    context.signals.off('SIGTERM', listener);
  }
}

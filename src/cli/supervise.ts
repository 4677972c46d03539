/** Long work from the command line: progress on stderr, an end by Ctrl-C, the line of the bar closed whatever happens. */

import type { Logger, ProgressSink } from '../core/log.js';
import type { CliContext } from './context.js';
import { withInterrupt } from './interrupt.js';
import { createReporter } from './progress.js';

/** What every workflow takes besides its configuration. */
export interface Services {
  readonly signal: AbortSignal;
  readonly onProgress: ProgressSink;
  readonly logger: Logger;
}

/**
 * Runs `work` with progress and a signal for Ctrl-C.
 * @param options `interrupted` says what the first Ctrl-C brings about: `finishing this step …`.
 */
export async function supervise<T>(
  context: CliContext,
  options: { readonly quiet: boolean; readonly interrupted: string },
  work: (services: Services) => Promise<T>,
): Promise<T> {
  const { onProgress, logger, finish } = createReporter({ stream: context.stderr, quiet: options.quiet });
  const announce = () => logger.warn(`interrupted: ${options.interrupted}; press Ctrl-C again to leave at once.`);
  try {
    return await withInterrupt(context, announce, (signal) => work({ signal, onProgress, logger }));
  } finally {
    finish();
  }
}

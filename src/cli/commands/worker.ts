/** `ptychopinn worker`: reconstructs and trains for another program, over stdin and stdout (`specs/worker.md`). */

import { claimStandardStreams } from '../context.js';
import { EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, withInterrupt } from '../exit.js';
import { addOtherOptions } from '../options.js';
import type { CommandModule } from '../run.js';
import { consoleLevelOf, shows } from '../terminal.js';

const HELP = `
Requests come as frames on stdin and are answered on stdout, one at a time, until stdin ends; messages go to stderr.
specs/worker.md describes the frames, examples/python/ptychodus_node_adapter.py speaks them.`;

export const command: CommandModule = {
  fields: [],
  configure(worker, context, done) {
    addOtherOptions(worker, 'quiet');
    worker.addHelpText('after', HELP).action(async (given: Record<string, unknown>) => {
      const level = consoleLevelOf(given);
      const say = (text: string) => context.stderr.write(`ptychopinn worker: ${text}\n`);
      // Before anything else is loaded, so that nothing can print between the frames.
      const streams = (context.byteStreams ?? claimStandardStreams)();
      const { serveWorker } = await import('../../adapters/worker/serve.js');
      const { reconstructorLibraries } = await import('../../adapters/ptychodus/library.js');
      const { createdBy } = await import('../../core/version.js');
      const { reason, stuck } = await withInterrupt(context, async ({ signal, onFirst }) => {
        onFirst(() => say('interrupted: ending the work at hand.'));
        return serveWorker({
          ...streams,
          libraries: reconstructorLibraries(),
          createdBy,
          signal,
          onRecord: ({ level: of, message }) => {
            if (shows(level, of)) say(`${of === 'INFO' ? '' : `${of.toLowerCase()}: `}${message}`);
          },
        });
      });
      if (reason === 'malformed frame') say('what came on stdin was no series of frames; see specs/worker.md.');
      done(reason === 'signal' ? EXIT_INTERRUPTED : reason === 'malformed frame' ? EXIT_FAILURE : EXIT_OK);
      if (stuck) {
        say('the work at hand did not come to its end in time; quitting immediately.');
        context.leaveNow(context.interruption?.heard ?? 'SIGINT');
      }
    });
  },
};

/** `train` and `infer`: supervised, with a log file in their output folder. */

import type { Resolved } from '../config/resolve.js';
import type { Provenance } from '../core/services.js';
import { createdBy } from '../core/version.js';
import type { ConsoleLevel } from './console.js';
import type { CliContext } from './context.js';
import { RunLog } from './runLog.js';
import { type Services, supervise } from './supervise.js';

/** A run of a command. */
export interface Run {
  readonly command: string;
  readonly resolved: Resolved<{ readonly output_dir: string }>;
  readonly level: ConsoleLevel;
  /** What the first Ctrl-C brings about. */
  readonly interrupted: string;
}

/** Runs `work` with a log of all that it says; `say` writes to the log alone. */
export async function superviseRun<T>(
  context: CliContext,
  { command, resolved, level, interrupted }: Run,
  work: (services: Services, say: (text: string) => void) => Promise<T>,
): Promise<T> {
  const { config, provenance } = resolved;
  const where = `ptychopinn ${createdBy.version} ${command}, Node ${process.version}, ${process.platform} ${process.arch}`;
  const log = new RunLog(config.output_dir, where);
  try {
    log.write('DEBUG', `Given: ${givenText(provenance)}`);
    return await supervise(context, { level, interrupted, log }, (services) =>
      work(services, (text) => log.write('INFO', text.trimEnd())),
    );
  } finally {
    log.close();
  }
}

function givenText(provenance: Provenance): string {
  const given = Object.entries(provenance).filter(([, { source }]) => source !== 'default');
  return (
    given.map(([name, { value, source }]) => `${name}=${JSON.stringify(value)} (${source})`).join(', ') || 'nothing.'
  );
}

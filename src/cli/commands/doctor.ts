/** `ptychopinn doctor`: which engines, accelerators and threads work here, why others do not, and what to install. */

import { formatBytes } from '../../core/words.js';
import type { Examination } from '../../workflows/doctor.js';
import type { CommandModule } from '../command.js';
import { consoleLevelOf } from '../console.js';
import { EXIT_FAILURE, EXIT_OK } from '../exit.js';
import { formatCount, formatTable } from '../format.js';
import { addQuietOption } from '../options.js';
import { supervise } from '../supervise.js';

export const doctorCommand: CommandModule = {
  fields: [],
  configure(command, context, done) {
    command
      .option('--json', 'Print the findings as JSON.')
      .option('--no-measure', 'Only try whether engines work, without measuring their speed.');
    addQuietOption(command);
    command.action(async (given: { json?: boolean; measure?: boolean; quiet?: boolean }) => {
      const { examine } = await import('../../workflows/doctor.js');
      const level = given.json === true ? 'WARNING' : consoleLevelOf(given);
      const found = await supervise(context, { level, interrupted: 'stopping after this engine' }, (services) =>
        examine({ measure: given.measure, signal: services.signal, onProgress: services.onProgress }),
      );
      context.stdout.write(given.json ? `${JSON.stringify(found, null, 2)}\n` : examinationText(found));
      // Nothing works by default: a failure for scripts.
      done(found.defaultWorks ? EXIT_OK : EXIT_FAILURE);
    });
  },
};

/** The findings as text for a terminal. */
export function examinationText(found: Examination): string {
  const rows = found.engines.map((e) => [
    e.backend,
    e.candidate,
    e.works ? 'works' : 'no',
    e.info ? `${e.info.engine}, ${e.info.device}` : '',
    e.info ? String(e.info.threads) : '–',
    e.gflops === undefined ? '–' : formatCount(e.gflops),
  ]);
  const packages = Object.entries(found.packages).map(([name, version]) => [name, version ?? 'not installed']);
  const reasons = found.engines
    .filter((e) => e.reason !== undefined)
    .map((e) => `  - ${e.backend} ${e.candidate}: ${e.reason}`);
  const parts = [
    `ptychopinn ${found.ptychopinn} on Node ${found.node}, ${found.platform}`,
    `${found.processor}, ${found.cores} ${found.cores === 1 ? 'core' : 'cores'}, ${formatBytes(found.memoryBytes)} of memory`,
    '',
    formatTable(['package', 'version'], packages),
    '',
    formatTable(['backend', 'engine', '', 'package and device', 'threads', 'GFLOP/s'], rows),
  ];
  if (reasons.length > 0) parts.push('', 'Not available:', ...reasons);
  if (found.advice.length > 0) parts.push('', 'What to do:', ...found.advice.map((line) => `  - ${line}`));
  return `${parts.join('\n')}\n`;
}

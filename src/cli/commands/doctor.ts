/** `ptychopinn doctor`: which engines, accelerators and threads work here, why others do not, and what to install. */

import type { Adapter } from '../../backends/backend.js';
import type { PresentGpu } from '../../backends/gpus.js';
import { formatBytes } from '../../core/words.js';
import type { Examination } from '../../workflows/doctor.js';
import { EXIT_FAILURE, EXIT_OK } from '../exit.js';
import { commandOf } from '../run.js';
import { consoleLevelOf, formatCount, formatTable } from '../terminal.js';

export const command = commandOf({
  others: 'quiet',
  json: 'Print the findings as JSON.',
  options: (doctor) => doctor.option('--no-measure', 'Only try whether engines work, without measuring their speed.'),
  level: (given) => (given.json === true ? 'WARNING' : consoleLevelOf(given)),
  interrupted: 'stopping after this engine',
  work: async ({ given, services: { signal, onProgress } }) =>
    (await import('../../workflows/doctor.js')).examine({ measure: given.measure === true, signal, onProgress }),
  text: examinationText,
  always: true,
  // Nothing works by default: a failure for scripts.
  exit: ({ defaultWorks }) => (defaultWorks ? EXIT_OK : EXIT_FAILURE),
});

/** ` (SwiftShader, software: right, but slow)` */
function adapterText(adapter: Adapter | undefined): string {
  if (!adapter) return '';
  return ` (${adapter.name}${adapter.software ? ', software: right, but slow' : ''})`;
}

function gpuText({ name, driver }: PresentGpu): string {
  return driver ? `${name} (${driver})` : name;
}

/** The findings as text for a terminal. */
export function examinationText(found: Examination): string {
  const rows = found.engines.map((e) => [
    e.backend,
    e.candidate,
    e.works ? 'works' : 'no',
    e.info ? `${e.info.engine}, ${e.info.device}${adapterText(e.info.adapter)}` : '',
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
    found.gpus.length > 0 ? `GPU: ${found.gpus.map(gpuText).join('; ')}` : 'no GPU found',
    '',
    formatTable(['package', 'version'], packages),
    '',
    formatTable(['backend', 'engine', '', 'package and device', 'threads', 'GFLOP/s'], rows),
  ];
  if (reasons.length > 0) parts.push('', 'Not available:', ...reasons);
  if (found.advice.length > 0) parts.push('', 'What to do:', ...found.advice.map((line) => `  - ${line}`));
  return `${parts.join('\n')}\n`;
}

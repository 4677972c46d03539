/** `ptychopinn inspect FILE`: what a scan file holds, what was understood of it, and what is wrong with it. */

import { formatShape } from '../../core/tensor.js';
import type { ScanInspection, ScanSummary } from '../../data/inspect.js';
import type { CommandModule } from '../command.js';
import { EXIT_FAILURE, EXIT_OK } from '../exit.js';
import { formatBytes, formatCount, formatTable } from '../format.js';
import { addHelpOption } from '../options.js';

export const inspectCommand: CommandModule = {
  fields: [],
  configure(command, context, done) {
    command
      .argument('FILE', 'Scan in an NPZ file.')
      .option('--json', 'Print the findings as JSON.')
      .action(async (file: string, given: { json?: boolean }) => {
        const { inspectScan } = await import('../../data/inspect.js');
        const inspection = await inspectScan(file);
        context.stdout.write(given.json ? `${JSON.stringify(inspection, null, 2)}\n` : inspectionText(inspection));
        // A file that cannot be used as a scan is a failure for scripts, however well it was described.
        done(inspection.scan === undefined ? EXIT_FAILURE : EXIT_OK);
      });
    addHelpOption(command, 'Options:');
  },
};

/** The findings as text for a terminal. */
export function inspectionText(inspection: ScanInspection): string {
  const { path, bytes, arrays, problems, scan } = inspection;
  const rows = arrays.map((array) => [
    array.key,
    array.shape ? formatShape(array.shape) : '–',
    array.dtype ?? '–',
    [array.compressed ? 'compressed' : '', array.order === 'Fortran' ? 'Fortran order' : ''].filter(Boolean).join(', '),
  ]);
  const parts = [`${path}, ${formatBytes(bytes)}`, indent(formatTable(['key', 'shape', 'type', ''], rows))];
  if (scan) parts.push('scan', indent(summaryLines(scan).join('\n')));
  parts.push(
    problems.length === 0 ? 'no problems found' : `problems\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
  );
  return `${parts.join('\n')}\n`;
}

function summaryLines(scan: ScanSummary): string[] {
  const number = (value: number) => formatCount(Number(value.toPrecision(4)));
  const [label, unit] =
    scan.domain === 'normalized_amplitude' ? ['power ', 'Σ amplitude²'] : ['counts', 'photons a pattern'];
  const { power } = scan;
  const lines = [
    `patterns    ${formatCount(scan.count)} of ${scan.N} × ${scan.N}`,
    `numbers     ${scan.domain}: ${scan.domainReason}`,
    `${label}      ${number(power.mean)} on average, ${number(power.min)} to ${number(power.max)} (${unit}, ${formatCount(power.measured)} measured)`,
    `brightest   amplitude ${number(scan.maxAmplitude)}`,
    `positions   x ${number(scan.xRange_px[0])} to ${number(scan.xRange_px[1])} px, y ${number(scan.yRange_px[0])} to ${number(scan.yRange_px[1])} px`,
  ];
  if (scan.meanStep_px !== undefined) lines.push(`step        ${number(scan.meanStep_px)} px to the nearest neighbour`);
  if (scan.probeDiameter_px !== undefined) lines.push(`probe       ${number(scan.probeDiameter_px)} px across`);
  if (scan.overlap !== undefined) lines.push(`overlap     ${Math.round(100 * scan.overlap)} % of the probe's diameter`);
  return lines;
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}

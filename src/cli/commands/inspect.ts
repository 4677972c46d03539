/** `ptychopinn inspect FILE`: what a scan file holds, what was understood of it, and what is wrong with it. */

import { inspectDefinition } from '../../config/commands.js';
import { untilCancelled } from '../../core/cancel.js';
import { formatShape } from '../../core/tensor.js';
import { formatBytes } from '../../core/words.js';
import type { ScanInspection, ScanSummary } from '../../data/inspect.js';
import type { InspectResult } from '../../workflows/inspect.js';
import { EXIT_FAILURE, EXIT_OK } from '../exit.js';
import { commandOf } from '../run.js';
import { formatTable, textBars, textMap } from '../terminal.js';

const EXAMPLE = `
Examples:
  ptychopinn inspect scan.npz --map map.png
  ptychopinn inspect scan.npz --output_dir looked-at
  ptychopinn inspect master.h5 --positions positions.csv --crop_px 128`;

export const command = commandOf({
  definition: inspectDefinition,
  args: { FILE: 'Scan in any readable format; for a TIFF series its folder.' },
  others: 'config',
  json: 'Print the findings as JSON.',
  // The findings are all that it says.
  level: () => 'ERROR',
  help: EXAMPLE,
  work: async ({ config, args: [file], services: { signal, provenance } }) => {
    const { inspectWorkflow } = await import('../../workflows/inspect.js');
    // What is still being read then is of no interest.
    const done = inspectWorkflow(file, config, { signal, provenance });
    const result = await untilCancelled(done, signal, 'The inspection');
    return { ...result, words: await import('../../data/inspectWords.js') };
  },
  data: ({ inspection }) => inspection,
  text: inspectionText,
  always: true,
  // A file that cannot be used as a scan is a failure for scripts, however well it was described.
  exit: ({ inspection }) => (inspection.scan === undefined ? EXIT_FAILURE : EXIT_OK),
});

/** What puts findings into words: loaded with the verb, not with the commands. */
type Words = typeof import('../../data/inspectWords.js');

/** The findings as text for a terminal. */
function inspectionText({ inspection, positions, words }: InspectResult & { readonly words: Words }): string {
  const { path, bytes, arrays, problems, notes, scan, map, files } = inspection;
  const parts = [`${path}, ${formatBytes(bytes)}${scan ? `, ${scan.format}` : ''}`];
  if (arrays.length > 0) parts.push(indent(arrayTable(arrays, words)));
  if (scan) parts.push('scan', indent(summaryLines(scan, words).join('\n')));
  if (scan && positions && scan.count > 1) {
    parts.push('positions (x to the right, y down)', indent(textMap(positions.xs, positions.ys).join('\n')));
  }
  if (map !== undefined) parts.push(`map written to ${map}`);
  if (files !== undefined) parts.push(`written: ${files.join(', ')}`);
  if (notes.length > 0) parts.push(`notes\n${list(notes)}`);
  parts.push(problems.length === 0 ? 'no problems found' : `problems\n${list(problems)}`);
  return `${parts.join('\n')}\n`;
}

function arrayTable(arrays: ScanInspection['arrays'], { storageWords }: Words): string {
  const rows = arrays.map((array) => [
    array.key,
    array.shape ? formatShape(array.shape) : '–',
    array.dtype ?? '–',
    storageWords(array),
  ]);
  return formatTable(['key', 'shape', 'type', ''], rows);
}

function summaryLines(scan: ScanSummary, { fourDigits, summaryRows }: Words): string[] {
  const { power, powerHistogram } = scan;
  return summaryRows(scan).flatMap(([name, fact]) => {
    const line = name.padEnd(NAME) + fact;
    if ((name !== 'counts' && name !== 'power') || !powerHistogram || power.max <= power.min) return [line];
    const { edges, counts } = powerHistogram;
    const [low, high] = [edges[0], edges[edges.length - 1]].map(fourDigits);
    return [line, `${' '.repeat(NAME)}${low} ▕${textBars(counts)}▏ ${high}`];
  });
}

/** Width of the first column. */
const NAME = 12;

function list(sentences: readonly string[]): string {
  return sentences.map((sentence) => `  - ${sentence}`).join('\n');
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}

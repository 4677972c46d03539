/** `ptychopinn export RESULTS...`: images for other programs. */

import { exportDefinition } from '../../config/commands.js';
import { noun } from '../../core/words.js';
import type { ExportedPage } from '../../workflows/export.js';
import { commandOf } from '../run.js';
import { formatCount, formatTable } from '../terminal.js';

const EXAMPLE = `
Examples:
  ptychopinn export solved --tiff --output_dir solved/tiff
  ptychopinn export runs/* --tiff --air_px 40 --output_dir projections     # a stack for tomography
  ptychopinn export solved --cxi

The phase is unwrapped, without its ramp and offset, which a measurement leaves open; docs/export.md says how.`;

export const command = commandOf({
  definition: exportDefinition,
  args: { 'RESULTS...': 'Folders of runs, reconstruction.npz, products, results of other programs, or FILE:key.' },
  help: EXAMPLE,
  interrupted: 'stopping; files that are not complete are discarded',
  work: async ({ config, args, services }) =>
    (await import('../../workflows/export.js')).exportWorkflow(args, config, services),
  text: ({ outputDir, files, pages }) =>
    `${pages.length === 0 ? '' : `${pageTable(pages)}\n`}Written to ${outputDir}: ${files.join(', ')}.\n`,
});

/** What a reader of the phases must know of each page. */
function pageTable(pages: readonly ExportedPage[]): string {
  const rows = pages.map(({ page, source, shiftYxPx, confidence, aligned, residues }) => [
    String(page),
    source,
    aligned ? shiftYxPx.map((v) => v.toFixed(2)).join(', ') : 'not found',
    confidence === undefined ? '–' : confidence.toFixed(2),
    residues === undefined ? '–' : formatCount(residues),
  ]);
  const table = formatTable(['page', 'image', 'moved (down, right)', 'confidence', 'residues'], rows);
  const doubtful = pages.filter(({ residues = 0, regions = 1 }) => residues > 0 || regions > 1).length;
  if (doubtful === 0) return table;
  return `${table}\nOf ${formatCount(doubtful)} ${noun(doubtful, 'page')} the phase can be continued in more than one way: whole turns between the residues (or between parts that do not hang together) are a choice.`;
}

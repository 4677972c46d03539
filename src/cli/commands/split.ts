/** `ptychopinn split INPUT --output_dir DIR`: a scan cut in two, for training and testing. */

import { splitDefinition } from '../../config/commands.js';
import { noun } from '../../core/words.js';
import type { SplitSummary } from '../../workflows/split.js';
import { commandOf } from '../run.js';
import { formatCount, formatTable } from '../terminal.js';

const EXAMPLE = `
Example:
  ptychopinn split scan.npz --output_dir parts --fraction 0.8 --axis y --gap_px 40`;

export const command = commandOf({
  definition: splitDefinition,
  args: { INPUT: 'Scan in any readable format; for a TIFF series its folder.' },
  help: EXAMPLE,
  interrupted: 'stopping; the part being written is discarded',
  work: async ({ config, args: [input], services }) =>
    (await import('../../workflows/split.js')).splitWorkflow(input, config, services),
  text: splitText,
});

/** What was written, and how much the parts still share. */
export function splitText({ axis, threshold_px, train, test, leftOut, overlap }: SplitSummary): string {
  const px = (value: number) => formatCount(Number(value.toPrecision(4)));
  const rows = [train, test].map((part) => [formatCount(part.count), part.path]);
  const lines = [
    formatTable(['patterns', 'file'], rows),
    `Cut at ${axis} = ${px(threshold_px)} px${leftOut > 0 ? `; ${formatCount(leftOut)} ${noun(leftOut, 'pattern')} in the gap are in neither file` : ''}.`,
  ];
  const probe = px(overlap.probeDiameter_px);
  lines.push(
    overlap.nearest_px === undefined
      ? `No test position is nearer to a training position than the probe is wide (${probe} px).`
      : `${formatCount(overlap.testPatterns)} test patterns show places that training patterns show too (nearest ${px(overlap.nearest_px)} px, the probe is ${probe} px across); --gap_px ${Math.ceil(overlap.probeDiameter_px)} keeps the parts apart.`,
  );
  return `${lines.join('\n')}\n`;
}

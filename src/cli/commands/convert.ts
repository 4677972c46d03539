/** `ptychopinn convert INPUT --output_file OUT.npz`: any readable scan as a contract NPZ. */

import { convertDefinition } from '../../config/commands.js';
import { noun } from '../../core/words.js';
import { commandOf } from '../run.js';
import { formatCount } from '../terminal.js';

const EXAMPLE = `
Examples:
  ptychopinn convert master.h5 --positions positions.csv --crop_px 128 --output_file scan.npz
  ptychopinn convert scan.npz --flip_y --swap_xy --output_file turned.npz`;

export const command = commandOf({
  definition: convertDefinition,
  args: { INPUT: 'Scan in any readable format; for a TIFF series its folder.' },
  help: EXAMPLE,
  interrupted: 'stopping; nothing is written',
  work: async ({ config, args: [input], services }) =>
    (await import('../../workflows/convert.js')).convertWorkflow(input, config, services),
  text: ({ path, count, N, domain, domainReason }) =>
    `Written ${path}: ${formatCount(count)} ${noun(count, 'pattern')} of ${N} × ${N}, ${domain} (${domainReason}).\n`,
});

/** `ptychopinn label FILE`: the scan with labels for supervised training, cut from a reconstruction of it. */

import { labelDefinition } from '../../config/commands.js';
import { noun } from '../../core/words.js';
import { commandOf } from '../run.js';
import { formatCount } from '../terminal.js';

const EXAMPLE = `
Example: let a network learn from what it (or an iterative code) reconstructed.
  ptychopinn infer scan.npz --model_path run --output_dir image
  ptychopinn label scan.npz --reconstruction image/reconstruction.npz --output_file labelled.npz
  ptychopinn train labelled.npz --model_type supervised --output_dir supervised

Pixels of a label that the reconstruction does not cover are NaN and count in no loss; a pattern without any is left out.`;

export const command = commandOf({
  definition: labelDefinition,
  args: { FILE: 'Scan (NPZ, or any readable format that needs no options).' },
  help: EXAMPLE,
  interrupted: 'stopping after this piece',
  work: async ({ config, args: [file], services }) =>
    (await import('../../workflows/label.js')).labelWorkflow(file, config, services),
  text: ({ path, count, partly, leftOut }) => {
    const incomplete =
      partly === 0
        ? ''
        : `; of ${formatCount(partly)} the reconstruction covers a part, the rest is NaN and counts in no loss`;
    const without = leftOut === 0 ? '' : `; ${formatCount(leftOut)} were not covered and left out`;
    return `Written ${path}: ${formatCount(count)} ${noun(count, 'pattern')} with labels${incomplete}${without}.\n`;
  },
});

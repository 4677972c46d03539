/** `ptychopinn label FILE`: the scan with labels for supervised training, cut from a reconstruction of it. */

import { labelDefinition } from '../../config/commands.js';
import { noun } from '../../core/words.js';
import { commandOf } from '../run.js';
import { formatCount } from '../terminal.js';

const EXAMPLE = `
Example: let a network learn from what it (or an iterative code) reconstructed.
  ptychopinn infer --model_path run --test_data_file scan.npz --output_dir image
  ptychopinn label scan.npz --reconstruction image/reconstruction.npz --output_file labelled.npz
  ptychopinn train --model_type supervised --train_data_file labelled.npz --output_dir supervised

Patterns whose patch is not wholly covered by the reconstruction are left out.`;

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

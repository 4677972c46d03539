/** `ptychopinn label FILE`: the scan with labels for supervised training, cut from a reconstruction of it. */

import { labelDefinition } from '../../config/commands.js';
import { flagFields } from '../../config/definition.js';
import { noun } from '../../core/words.js';
import type { CommandModule } from '../command.js';
import { consoleLevelOf, shows } from '../console.js';
import { EXIT_OK } from '../exit.js';
import { formatCount } from '../format.js';
import { addCommonOptions, addConfigOptions, logResolution, resolveFlags } from '../options.js';
import { supervise } from '../supervise.js';

const EXAMPLE = `
Example: let a network learn from what it (or an iterative code) reconstructed.
  ptychopinn infer --model_path run --test_data_file scan.npz --output_dir image
  ptychopinn label scan.npz --reconstruction image/reconstruction.npz --output_file labelled.npz
  ptychopinn train --model_type supervised --train_data_file labelled.npz --output_dir supervised

Patterns whose patch is not wholly covered by the reconstruction are left out.`;

export const labelCommand: CommandModule = {
  fields: flagFields(labelDefinition),
  configure(command, context, done) {
    command.argument('FILE', 'Scan (NPZ, or any readable format that needs no options).');
    addConfigOptions(command, labelDefinition);
    addCommonOptions(command);
    command.addHelpText('after', EXAMPLE).action(async (file: string, given: Record<string, unknown>) => {
      const resolved = await resolveFlags(labelDefinition, given);
      const level = consoleLevelOf(given);
      const { labelWorkflow } = await import('../../workflows/label.js');
      const labelled = await supervise(context, { level, interrupted: 'stopping after this piece' }, (services) => {
        logResolution(resolved, services.logger);
        return labelWorkflow(file, resolved.config, services);
      });
      if (shows(level, 'INFO')) {
        const partly =
          labelled.partly === 0
            ? ''
            : `; of ${formatCount(labelled.partly)} the reconstruction covers a part, the rest is NaN and counts in no loss`;
        const without =
          labelled.leftOut === 0 ? '' : `; ${formatCount(labelled.leftOut)} were not covered and left out`;
        context.stdout.write(
          `Written ${labelled.path}: ${formatCount(labelled.count)} ${noun(labelled.count, 'pattern')} with labels${partly}${without}.\n`,
        );
      }
      done(EXIT_OK);
    });
  },
};

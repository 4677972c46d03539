/** `ptychopinn convert INPUT --output_file OUT.npz`: any readable scan as a contract NPZ. */

import { convertDefinition } from '../../config/commands.js';
import { flagFields } from '../../config/definition.js';
import { noun } from '../../core/words.js';
import type { CommandModule } from '../command.js';
import { consoleLevelOf, shows } from '../console.js';
import { EXIT_OK } from '../exit.js';
import { formatCount } from '../format.js';
import { addCommonOptions, addConfigOptions, logResolution, resolveFlags } from '../options.js';
import { supervise } from '../supervise.js';

const EXAMPLE = `
Examples:
  ptychopinn convert master.h5 --positions positions.csv --crop_px 128 --output_file scan.npz
  ptychopinn convert scan.npz --flip_y --swap_xy --output_file turned.npz`;

export const convertCommand: CommandModule = {
  fields: flagFields(convertDefinition),
  configure(command, context, done) {
    command.argument('INPUT', 'Scan in any readable format; for a TIFF series its folder.');
    addConfigOptions(command, convertDefinition);
    addCommonOptions(command);
    command.addHelpText('after', EXAMPLE).action(async (input: string, given: Record<string, unknown>) => {
      const resolved = await resolveFlags(convertDefinition, given);
      const { convertWorkflow } = await import('../../workflows/convert.js');
      const level = consoleLevelOf(given);
      const written = await supervise(context, { level, interrupted: 'stopping; nothing is written' }, (services) => {
        logResolution(resolved, services.logger);
        return convertWorkflow(input, resolved.config, services);
      });
      if (shows(level, 'INFO')) {
        context.stdout.write(
          `Written ${written.path}: ${formatCount(written.count)} ${noun(written.count, 'pattern')} of ${written.N} × ${written.N}, ` +
            `${written.domain} (${written.domainReason}).\n`,
        );
      }
      done(EXIT_OK);
    });
  },
};

/** `ptychopinn simulate`: a scan file with a known object. */

import { allFields, simulationDefinition } from '../../config/definition.js';
import type { CommandModule } from '../command.js';
import { consoleLevelOf, shows } from '../console.js';
import { EXIT_OK } from '../exit.js';
import { formatCount } from '../format.js';
import { addCommonOptions, addConfigOptions, resolveFlags } from '../options.js';
import { supervise } from '../supervise.js';

const EXAMPLE = `
Example:
  ptychopinn simulate --output_file scan.npz --n_patterns 1000 --photons 1e6`;

export const simulateCommand: CommandModule = {
  fields: allFields(simulationDefinition),
  configure(command, context, done) {
    addConfigOptions(command, simulationDefinition);
    addCommonOptions(command);
    command.addHelpText('after', EXAMPLE).action(async (given: Record<string, unknown>) => {
      const { config } = await resolveFlags(simulationDefinition, given);
      const level = consoleLevelOf(given);
      const { simulateWorkflow } = await import('../../workflows/simulate.js');
      const scan = await supervise(context, { level, interrupted: 'stopping after this step' }, (services) =>
        simulateWorkflow(config, services),
      );
      if (shows(level, 'INFO')) {
        context.stdout.write(`Written ${scan.path}: ${formatCount(scan.count)} patterns of ${scan.N} × ${scan.N}.\n`);
      }
      done(EXIT_OK);
    });
  },
};

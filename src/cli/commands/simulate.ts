/** `ptychopinn simulate`: a scan file with a known object. */

import { simulationDefinition } from '../../config/commands.js';
import { allFields } from '../../config/definition.js';
import { SIMULATION_PRESETS } from '../../config/simulationPresets.js';
import { noun } from '../../core/words.js';
import type { CommandModule } from '../command.js';
import { addConsoleOptions, consoleLevelOf, shows } from '../console.js';
import { EXIT_OK } from '../exit.js';
import { formatCount } from '../format.js';
import { addConfigFileOption, addConfigOptions, addHelpOption, logResolution, resolveFlags } from '../options.js';
import { supervise } from '../supervise.js';

const widest = Math.max(...Object.keys(SIMULATION_PRESETS).map((name) => name.length));
const PRESETS = Object.entries(SIMULATION_PRESETS).map(([name, { summary }]) => `  ${name.padEnd(widest)}  ${summary}`);

const EXAMPLE = `
Presets (--preset NAME; flags win over them):
${PRESETS.join('\n')}

How it works: patterns are |F(probe · object)|² at every position, scaled to --photons on average, drawn as
Poisson counts, read out by the detector, and written as √counts. The file knows the truth: the object, the
probe at the level of the counts, and every seed (_metadata). See docs/simulation.md.

Examples:
  ptychopinn simulate --output_file scan.npz --n_patterns 1000 --photons 1e6
  ptychopinn simulate --preset deadleaves --visualize --output_file leaves.npz
  A second scan of the same object with other positions and noise, to test on:
  ptychopinn simulate --preset deadleaves --object_seed 7 --seed 1 --output_file train.npz
  ptychopinn simulate --preset deadleaves --object_seed 7 --seed 2 --output_file test.npz
  As the published tool, object and probe from a file:
  ptychopinn simulate --input-file scan.npz --output-file sim.npz --n-images 500 --n-photons 1e9`;

export const simulateCommand: CommandModule = {
  fields: allFields(simulationDefinition),
  configure(command, context, done) {
    addConfigOptions(command, simulationDefinition);
    command.optionsGroup('Other:');
    addConfigFileOption(command);
    addConsoleOptions(command);
    addHelpOption(command, 'Other:');
    command.addHelpText('after', EXAMPLE).action(async (given: Record<string, unknown>) => {
      const resolved = await resolveFlags(simulationDefinition, given);
      const level = consoleLevelOf(given);
      const { simulateWorkflow } = await import('../../workflows/simulate.js');
      const scan = await supervise(context, { level, interrupted: 'stopping after this step' }, (services) => {
        logResolution(resolved, services.logger);
        return simulateWorkflow(resolved.config, services);
      });
      if (shows(level, 'INFO')) {
        context.stdout.write(
          `Written ${scan.path}: ${formatCount(scan.count)} ${noun(scan.count, 'pattern')} of ${scan.N} × ${scan.N}.\n`,
        );
        if (scan.picture !== undefined) context.stdout.write(`Written ${scan.picture}.\n`);
      }
      done(EXIT_OK);
    });
  },
};

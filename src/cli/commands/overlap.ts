/** `ptychopinn overlap FILE [TEST]`: the overlap metrics of a scan, or of the two parts of a split one. */

import { overlapDefinition } from '../../config/commands.js';
import { flagFields } from '../../config/definition.js';
import type { CommandModule } from '../command.js';
import { consoleLevelOf } from '../console.js';
import { EXIT_OK } from '../exit.js';
import { addCommonOptions, addConfigOptions, logResolution, resolveFlags } from '../options.js';
import { supervise } from '../supervise.js';

const EXAMPLE = `
Examples:
  ptychopinn overlap scan.npz --gridsize 1 --simg 1 --ngroups 512
  ptychopinn overlap scan_train.npz scan_test.npz --gridsize 2 --simg 0.5 --ngroups 512 --output_dir overlap

The metrics are printed as JSON, of two scans as {train, test}. They are a report: no scan is refused for its overlap.
What each number means is in docs/study.md.`;

export const overlapCommand: CommandModule = {
  fields: flagFields(overlapDefinition),
  configure(command, context, done) {
    command.argument('FILE', 'Scan in any readable format, or its training part.');
    command.argument('[TEST]', 'Its test part.');
    addConfigOptions(command, overlapDefinition);
    addCommonOptions(command);
    command
      .addHelpText('after', EXAMPLE)
      .action(async (train: string, test: string | undefined, given: Record<string, unknown>) => {
        const resolved = await resolveFlags(overlapDefinition, given);
        const { overlapWorkflow } = await import('../../workflows/overlap.js');
        const report = await supervise(
          context,
          { level: consoleLevelOf(given), interrupted: 'stopping after this scan' },
          (services) => {
            logResolution(resolved, services.logger);
            return overlapWorkflow({ train, test }, resolved.config, services);
          },
        );
        const shown = report.test ? { train: report.train, test: report.test } : report.train;
        context.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
        done(EXIT_OK);
      });
  },
};

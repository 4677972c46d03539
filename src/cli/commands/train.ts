/** `ptychopinn train`: a scan in, a bundle of the trained network out. */

import { flagFields, trainingDefinition } from '../../config/definition.js';
import { PtychoError } from '../../core/errors.js';
import type { CommandModule } from '../command.js';
import { EXIT_INTERRUPTED, EXIT_OK } from '../exit.js';
import { formatCount, formatDuration } from '../format.js';
import { addCommonOptions, addConfigOptions, logResolution, resolveFlags } from '../options.js';
import { supervise } from '../supervise.js';

const EXAMPLE = `
Example:
  ptychopinn train --train_data_file scan.npz --output_dir run --nepochs 40`;

export const trainCommand: CommandModule = {
  fields: flagFields(trainingDefinition),
  configure(command, context, done) {
    addConfigOptions(command, trainingDefinition);
    addCommonOptions(command);
    command.addHelpText('after', EXAMPLE).action(async (given: Record<string, unknown>) => {
      const resolved = await resolveFlags(trainingDefinition, given);
      const { config, provenance } = resolved;
      if (config.train_data_file === null) {
        throw new PtychoError('USAGE', 'There is nothing to train on; give the scan as --train_data_file FILE.', {
          flag: 'train_data_file',
        });
      }
      const quiet = given.quiet === true;
      const { trainWorkflow } = await import('../../workflows/train.js');
      const summary = await supervise(
        context,
        { quiet, interrupted: 'finishing this step and saving the best epoch' },
        (services) => {
          logResolution(resolved, services.logger);
          return trainWorkflow(config, { ...services, provenance });
        },
      );
      if (!quiet) {
        const speed = `${formatCount(summary.patternsPerSecond)} patterns/s`;
        context.stdout.write(
          `${summary.cancelled ? 'Interrupted after' : 'Trained'} ${formatCount(summary.epochs)} epochs in ` +
            `${formatDuration(summary.seconds)} (${speed}); best epoch ${summary.bestEpoch}: ` +
            `${summary.monitored} ${Number(summary.bestLoss.toPrecision(6))}.\n` +
            `Written to ${summary.outputDir}: wts.zip, history.csv, config.json, run.json.\n`,
        );
      }
      done(summary.cancelled ? EXIT_INTERRUPTED : EXIT_OK);
    });
  },
};

/** `ptychopinn train`: a scan in, a bundle of the trained network out. */

import { trainingDefinition } from '../../config/commands.js';
import { flagFields } from '../../config/definition.js';
import { PtychoError } from '../../core/errors.js';
import { noun } from '../../core/words.js';
import type { TrainSummary } from '../../workflows/train.js';
import type { CommandModule } from '../command.js';
import { consoleLevelOf, shows } from '../console.js';
import { EXIT_INTERRUPTED, EXIT_OK } from '../exit.js';
import { formatCount, formatDuration } from '../format.js';
import { addConfigOptions, addRunOptions, logResolution, resolveFlags } from '../options.js';
import { LOG_FILE } from '../runLog.js';
import { superviseRun } from '../superviseRun.js';

const EXAMPLE = `
Examples:
  ptychopinn train --train_data_file scan.npz --output_dir run --nepochs 40
  ptychopinn train --resume run`;

export const trainCommand: CommandModule = {
  fields: flagFields(trainingDefinition),
  configure(command, context, done) {
    addConfigOptions(command, trainingDefinition);
    addRunOptions(command);
    command.addHelpText('after', EXAMPLE).action(async (given: Record<string, unknown>) => {
      const resolved = await resolveFlags(trainingDefinition, given);
      const { config, provenance } = resolved;
      if (config.train_data_file === null && config.resume !== null) {
        throw new PtychoError(
          'USAGE',
          `There is nothing to resume in ${config.resume}: it holds no config.json, so it is not the output folder of a training run; name that folder, or begin a run with --train_data_file FILE.`,
          { flag: 'resume', path: config.resume },
        );
      }
      if (config.train_data_file === null) {
        throw new PtychoError('USAGE', 'There is nothing to train on; give the scan as --train_data_file FILE.', {
          flag: 'train_data_file',
        });
      }
      const level = consoleLevelOf(given);
      const { trainWorkflow } = await import('../../workflows/train.js');
      const summary = await superviseRun(
        context,
        { command: 'train', resolved, level, interrupted: 'finishing this step and saving the best epoch' },
        async (services, say) => {
          logResolution(resolved, services.logger);
          const trained = await trainWorkflow(config, { ...services, provenance });
          say(summaryText(trained));
          return trained;
        },
      );
      if (shows(level, 'INFO')) context.stdout.write(summaryText(summary));
      done(summary.cancelled ? EXIT_INTERRUPTED : EXIT_OK);
    });
  },
};

function summaryText(summary: TrainSummary): string {
  const how = summary.cancelled ? 'Interrupted' : summary.stoppedEarly ? 'Stopped for want of improvement' : 'Trained';
  const epochs = `${formatCount(summary.epochs)} ${noun(summary.epochs, 'epoch')}`;
  const resumed =
    summary.resumedAfter > 0 ? ` (${formatCount(summary.resumedAfter)} of them before it was resumed)` : '';
  const speed = `${formatCount(summary.patternsPerSecond)} ${noun(summary.patternsPerSecond, 'pattern')}/s`;
  return (
    `${how}${how === 'Trained' ? '' : ' after'} ${epochs}${resumed} in ${formatDuration(summary.seconds)} (${speed}); ` +
    `best epoch ${summary.bestEpoch}: ${summary.monitored} ${Number(summary.bestLoss.toPrecision(6))}.\n` +
    `Written to ${summary.outputDir}: ${[...summary.files, LOG_FILE].join(', ')}.\n`
  );
}

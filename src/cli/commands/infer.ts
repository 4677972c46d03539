/** `ptychopinn infer`: a trained bundle and a scan in, the reconstructed object and its pictures out. */

import { flagFields, inferenceDefinition } from '../../config/definition.js';
import type { CommandModule } from '../command.js';
import { EXIT_OK } from '../exit.js';
import { formatCount, formatDuration, formatTable } from '../format.js';
import { addCommonOptions, addConfigOptions, logResolution, resolveFlags } from '../options.js';
import { supervise } from '../supervise.js';

const EXAMPLE = `
Example:
  ptychopinn infer --model_path run --test_data scan.npz --output_dir image`;

export const inferCommand: CommandModule = {
  fields: flagFields(inferenceDefinition),
  configure(command, context, done) {
    addConfigOptions(command, inferenceDefinition);
    addCommonOptions(command);
    command.addHelpText('after', EXAMPLE).action(async (given: Record<string, unknown>) => {
      const resolved = await resolveFlags(inferenceDefinition, given);
      const { config, provenance } = resolved;
      const quiet = given.quiet === true;
      const { inferWorkflow } = await import('../../workflows/infer.js');
      const summary = await supervise(context, { quiet, interrupted: 'stopping after this step' }, (services) => {
        const { logger } = services;
        logResolution(resolved, logger);
        const debug = config.debug ? (message: string) => logger.info(message) : undefined;
        return inferWorkflow(config, { ...services, provenance, logger: { ...logger, debug } });
      });
      if (!quiet) {
        const rows = summary.stages.map((stage) => [
          stage.name,
          formatDuration(stage.seconds),
          formatCount(stage.patternsPerSecond),
        ]);
        const { rFactor } = summary;
        context.stdout.write(
          `${formatTable(['stage', 'time', 'patterns/s'], rows)}\n` +
            (rFactor
              ? `Amplitude R-factor ${rFactor.image.toPrecision(3)} on ${formatCount(rFactor.patterns)} patterns ` +
                `(a constant object: ${rFactor.constant.toPrecision(3)}).\n`
              : '') +
            `Reconstructed from ${formatCount(summary.patterns)} patterns, written to ${summary.outputDir}: ` +
            `${summary.files.join(', ')}.\n`,
        );
      }
      done(EXIT_OK);
    });
  },
};

/** `ptychopinn demo`: the whole path on a simulated scan, with its report. */

import { demoDefinition } from '../../config/commands.js';
import { allFields } from '../../config/definition.js';
import type { CommandModule } from '../command.js';
import { consoleLevelOf, shows } from '../console.js';
import { EXIT_OK } from '../exit.js';
import { formatDuration, formatTable } from '../format.js';
import { addConfigOptions, addQuietOption, logResolution, resolveFlags } from '../options.js';
import { supervise } from '../supervise.js';

export const demoCommand: CommandModule = {
  fields: allFields(demoDefinition),
  configure(command, context, done) {
    addConfigOptions(command, demoDefinition);
    addQuietOption(command);
    command.action(async (given: Record<string, unknown>) => {
      const resolved = await resolveFlags(demoDefinition, given);
      const { config } = resolved;
      const level = consoleLevelOf(given);
      const { demoWorkflow } = await import('../../workflows/demo.js');
      const summary = await supervise(context, { level, interrupted: 'stopping after this step' }, (services) => {
        logResolution(resolved, services.logger);
        return demoWorkflow(
          {
            outputDir: config.output_dir,
            seed: config.seed,
            gridsize: config.gridsize,
            epochs: config.nepochs ?? undefined,
            accelerator: config.execution.accelerator,
            threads: config.execution.threads ?? undefined,
            overwrite: config.overwrite,
          },
          services,
        );
      });
      if (shows(level, 'INFO')) {
        const rows = Object.entries(summary.metrics).map(([name, value]) => [
          name,
          String(Number(value.toPrecision(4))),
        ]);
        context.stdout.write(
          `${formatTable(['metric', 'value'], rows)}\n` +
            `Done in ${formatDuration(summary.seconds)}, written to ${config.output_dir}: ${summary.files.join(', ')}.\n`,
        );
      }
      done(EXIT_OK);
    });
  },
};

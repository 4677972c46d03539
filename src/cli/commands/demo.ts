/** `ptychopinn demo`: the whole path on a simulated scan, with its report. */

import { demoDefinition } from '../../config/commands.js';
import { commandOf } from '../run.js';
import { formatDuration, formatTable } from '../terminal.js';

export const command = commandOf({
  definition: demoDefinition,
  others: 'quiet',
  interrupted: 'stopping after this step',
  work: async ({ config, services }) =>
    (await import('../../workflows/demo.js')).demoWorkflow(
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
    ),
  text: ({ metrics, seconds, files }, { output_dir }) => {
    const rows = Object.entries(metrics).map(([name, value]) => [name, String(Number(value.toPrecision(4)))]);
    return `${formatTable(['metric', 'value'], rows)}\nDone in ${formatDuration(seconds)}, written to ${output_dir}: ${files.join(', ')}.\n`;
  },
});

/** `ptychopinn split INPUT --output_dir DIR`: a scan cut in two, for training and testing. */

import { splitDefinition } from '../../config/commands.js';
import { flagFields } from '../../config/definition.js';
import { noun } from '../../core/words.js';
import type { SplitSummary } from '../../workflows/split.js';
import type { CommandModule } from '../command.js';
import { consoleLevelOf, shows } from '../console.js';
import { EXIT_OK } from '../exit.js';
import { formatCount, formatTable } from '../format.js';
import { addCommonOptions, addConfigOptions, logResolution, resolveFlags } from '../options.js';
import { supervise } from '../supervise.js';

const EXAMPLE = `
Example:
  ptychopinn split scan.npz --output_dir parts --fraction 0.8 --axis y --gap_px 40`;

export const splitCommand: CommandModule = {
  fields: flagFields(splitDefinition),
  configure(command, context, done) {
    command.argument('INPUT', 'Scan in any readable format; for a TIFF series its folder.');
    addConfigOptions(command, splitDefinition);
    addCommonOptions(command);
    command.addHelpText('after', EXAMPLE).action(async (input: string, given: Record<string, unknown>) => {
      const resolved = await resolveFlags(splitDefinition, given);
      const { splitWorkflow } = await import('../../workflows/split.js');
      const level = consoleLevelOf(given);
      const summary = await supervise(
        context,
        { level, interrupted: 'stopping; the part being written is discarded' },
        (services) => {
          logResolution(resolved, services.logger);
          return splitWorkflow(input, resolved.config, services);
        },
      );
      if (shows(level, 'INFO')) context.stdout.write(splitText(summary));
      done(EXIT_OK);
    });
  },
};

/** What was written, and how much the parts still share. */
export function splitText({ axis, threshold_px, train, test, leftOut, overlap }: SplitSummary): string {
  const px = (value: number) => formatCount(Number(value.toPrecision(4)));
  const rows = [train, test].map((part) => [formatCount(part.count), part.path]);
  const lines = [
    formatTable(['patterns', 'file'], rows),
    `Cut at ${axis} = ${px(threshold_px)} px${leftOut > 0 ? `; ${formatCount(leftOut)} ${noun(leftOut, 'pattern')} in the gap are in neither file` : ''}.`,
  ];
  const probe = px(overlap.probeDiameter_px);
  lines.push(
    overlap.nearest_px === undefined
      ? `No test position is nearer to a training position than the probe is wide (${probe} px).`
      : `${formatCount(overlap.testPatterns)} test patterns show places that training patterns show too (nearest ${px(overlap.nearest_px)} px, the probe is ${probe} px across); --gap_px ${Math.ceil(overlap.probeDiameter_px)} keeps the parts apart.`,
  );
  return `${lines.join('\n')}\n`;
}

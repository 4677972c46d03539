/** `ptychopinn orient FILE`: tries the eight orientations of the positions and says which flags are right. */

import { orientDefinition } from '../../config/commands.js';
import { flagFields } from '../../config/definition.js';
import type { OrientationReport } from '../../workflows/orient.js';
import type { CommandModule } from '../command.js';
import { consoleLevelOf } from '../console.js';
import { EXIT_FAILURE, EXIT_OK } from '../exit.js';
import { formatCount, formatTable } from '../format.js';
import { addCommonOptions, addConfigOptions, logResolution, resolveFlags } from '../options.js';
import { supervise } from '../supervise.js';

const EXAMPLE = `
Examples:
  ptychopinn orient scan.npz --picture orientations.png
  ptychopinn orient scan.npz --probe other.npz:probeGuess

The flags of the first line belong to every command that reads this scan: train, infer, convert, split.`;

export const orientCommand: CommandModule = {
  fields: flagFields(orientDefinition),
  configure(command, context, done) {
    command.argument('FILE', 'Scan in any readable format, with a probe.');
    addConfigOptions(command, orientDefinition);
    addCommonOptions(command);
    command
      .option('--json', 'Print the scores as JSON.')
      .addHelpText('after', EXAMPLE)
      .action(async (file: string, given: Record<string, unknown>) => {
        const resolved = await resolveFlags(orientDefinition, given);
        const { orientWorkflow } = await import('../../workflows/orient.js');
        const level = consoleLevelOf(given);
        const report = await supervise(context, { level, interrupted: 'stopping after this trial' }, (services) => {
          logResolution(resolved, services.logger);
          return orientWorkflow(file, resolved.config, services);
        });
        context.stdout.write(given.json ? `${JSON.stringify(report, null, 2)}\n` : orientationText(report));
        // Scripts that go on with the flags must not go on without them.
        done(report.verdict === 'undecided' ? EXIT_FAILURE : EXIT_OK);
      });
  },
};

/** The ranking and what follows from it, as text for a terminal. */
export function orientationText(report: OrientationReport): string {
  const rows = report.ranking.map((score, i) => [
    String(i + 1),
    score.rFactor.toFixed(4),
    i === 0 ? '' : `+${(100 * score.behind).toFixed(1)} %`,
    i === 0 ? '' : score.standardErrors.toFixed(1),
    score.flags || '(as in the file)',
  ]);
  const { sample } = report;
  const lines = [
    formatTable(['rank', 'R', 'behind', 'std. errors', 'flags'], rows),
    `R: misfit of a short reconstruction from ${formatCount(sample.count)} patterns in ${formatCount(sample.fields)} places (an empty object: ${report.constantRFactor.toFixed(4)}); lower is better.`,
    ...report.reasons.map((reason) => `- ${reason}`),
    verdictSentence(report),
  ];
  if (report.picture !== undefined) lines.push(`Written ${report.picture}.`);
  return `${lines.join('\n')}\n`;
}

function verdictSentence({ verdict, flags }: OrientationReport): string {
  if (verdict === 'undecided') return 'Undecided: this scan does not tell its orientation.';
  const answer = flags ? `use ${flags}` : 'the positions are right as they are, no flags are needed';
  return verdict === 'clear'
    ? `Clear: ${answer}.`
    : `Likely, but not by much: ${answer}. Look at the reconstructions (--picture FILE) before relying on it.`;
}

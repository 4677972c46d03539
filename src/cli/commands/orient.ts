/** `ptychopinn orient FILE`: tries the eight orientations of the positions and says which flags are right. */

import { orientDefinition } from '../../config/commands.js';
import type { OrientationReport } from '../../workflows/orient.js';
import { EXIT_FAILURE, EXIT_OK } from '../exit.js';
import { commandOf } from '../run.js';
import { formatCount, formatTable } from '../terminal.js';

const EXAMPLE = `
Examples:
  ptychopinn orient scan.npz --picture orientations.png
  ptychopinn orient scan.npz --output_dir oriented
  ptychopinn orient scan.npz --probe other.npz:probeGuess

The flags of the first line belong to every command that reads this scan: train, infer, convert, split.`;

export const command = commandOf({
  definition: orientDefinition,
  args: { FILE: 'Scan in any readable format, with a probe.' },
  json: 'Print the scores as JSON.',
  help: EXAMPLE,
  interrupted: 'stopping after this trial',
  work: async ({ config, args: [file], services }) =>
    (await import('../../workflows/orient.js')).orientWorkflow(file, config, services),
  text: orientationText,
  always: true,
  // Scripts that go on with the flags must not go on without them.
  exit: ({ verdict }) => (verdict === 'undecided' ? EXIT_FAILURE : EXIT_OK),
});

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
  const written = [...(report.picture === undefined ? [] : [report.picture]), ...(report.files ?? [])];
  if (written.length > 0) lines.push(`Written ${written.join(', ')}.`);
  return `${lines.join('\n')}\n`;
}

function verdictSentence({ verdict, flags }: OrientationReport): string {
  if (verdict === 'undecided') return 'Undecided: this scan does not tell its orientation.';
  const answer = flags ? `use ${flags}` : 'the positions are right as they are, no flags are needed';
  return verdict === 'clear'
    ? `Clear: ${answer}.`
    : `Likely, but not by much: ${answer}. Look at the reconstructions (--picture FILE) before relying on it.`;
}

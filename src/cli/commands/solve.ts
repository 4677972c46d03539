/** `ptychopinn solve`: a scan in, object and probe out, by an iterative algorithm instead of a network. */

import { solveDefinition } from '../../config/commands.js';
import { noun } from '../../core/words.js';
import type { SolveSummary, SolveTilesSummary } from '../../workflows/solve.js';
import { EXIT_INTERRUPTED } from '../exit.js';
import { commandOf, LOG_FILE } from '../run.js';
import { formatCount, formatDuration } from '../terminal.js';
import { rFactorWords, verdictExit, warnOfR } from '../verdict.js';

const GUIDE = `
Which algorithm:
  rpie    the one to start with: robust, quick, tolerates a wrong probe
  epie    the same without damping where little light falls; often a little sharper, less robust
  lsqml   the best joint step of object and probe in every batch; fewest epochs near the solution, for refining
  dm      the difference map: all patterns at once; escapes wrong solutions that trap the others, needs more memory
  pie     the weights of 2004, for comparison with older work
  A partially coherent beam: --probe_modes 2 or more. Few counts: --noise_model poisson with lsqml.
  Uncertain positions: --position_start 5. A noisy object: --tv_weight 0.001.

Examples:
  ptychopinn solve scan.npz --algorithm rpie --epochs 60 --output_dir solved
  ptychopinn solve scan.npz --init run/wts.zip --algorithm lsqml --epochs 20    # from the image of a network
  ptychopinn solve scan.npz --init solved --algorithm lsqml --epochs 20 --output_dir finer
  ptychopinn solve --resume solved --epochs 100                                 # continues, here to 100 epochs
  ptychopinn solve a.h5 b.h5 --share object                                     # one object, a probe for each scan
  ptychopinn solve a.h5 b.h5 --share probe                                      # one probe, an object for each scan
  ptychopinn solve scan.npz --tile 1/4 --output_dir tiles/1                     # one of four processes
  ptychopinn solve scan.npz --from_tiles tiles --output_dir solved
  ptychopinn train scan.npz --probe solved/reconstruction.npz:reconstructed_probe

Ctrl-C stops after the batch and writes the image so far; --resume continues from there. More in docs/solvers.md.`;

export const command = commandOf({
  definition: solveDefinition,
  others: 'run',
  help: GUIDE,
  interrupted: 'stopping after this batch and writing the image of the last epoch',
  work: async ({ config, services }) => {
    const { solveTilesWorkflow, solveWorkflow } = await import('../../workflows/solve.js');
    const summary = await (config.from_tiles.length > 0 ? solveTilesWorkflow : solveWorkflow)(config, services);
    warnOfR(summary.score, { scan: config.test_data_file, more: MORE }, services.logger);
    return summary;
  },
  text: (summary) => ('tiles' in summary ? tilesText(summary) : summaryText(summary)),
  exit: (summary, config) =>
    'cancelled' in summary && summary.cancelled ? EXIT_INTERRUPTED : verdictExit(summary.score, config),
});

/** What an image that is not at the noise may lack. */
const MORE = [
  'more --epochs',
  'another --probe',
  '--probe_modes 2 (partial coherence)',
  '--position_start 5 (positions that are off)',
];

function tilesText({ tiles, patterns, apart, score, outputDir, files }: SolveTilesSummary): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const lines = [
    `The image of ${formatCount(tiles)} tiles and ${formatCount(patterns)} patterns: where tiles overlap they differ by ${percent(apart.after)} (${percent(apart.before)} as they were solved).`,
    ...(score ? [`As evaluate measures it: ${rFactorWords(score)}.`] : []),
    `Written to ${outputDir}: ${[...files, LOG_FILE].join(', ')}.`,
  ];
  return `${lines.join('\n')}\n`;
}

function summaryText(summary: SolveSummary): string {
  const { algorithm, epochs, resumedAfter, seconds, patternsPerSecond, shift_px, cancelled } = summary;
  const since = resumedAfter > 0 ? ` after ${formatCount(resumedAfter)} before` : '';
  const done = epochs - resumedAfter;
  const lines = [
    done === 0
      ? `${algorithm}: the results of all ${formatCount(epochs)} ${noun(epochs, 'epoch')} were written from the last state.`
      : `${cancelled ? 'Interrupted; ' : ''}${algorithm}: ${formatCount(done)} ${noun(done, 'epoch')}${since} in ${formatDuration(seconds)} (${formatCount(patternsPerSecond)} patterns/s) on ${summary.engine}.`,
    `Amplitude R-factor ${summary.rFactor.toPrecision(3)} by the solver's own model (at the start ${summary.rFactorStart.toPrecision(3)}) on ${formatCount(summary.patterns)} ${noun(summary.patterns, 'pattern')}.`,
  ];
  for (const { source, folder, offset_yx_px, score } of summary.scans ?? []) {
    const [y, x] = offset_yx_px;
    const off = y === 0 && x === 0 ? '' : `, (${y.toFixed(2)}, ${x.toFixed(2)}) px (y, x) off the first scan`;
    lines.push(`${folder}: ${source}${off}${score ? `; as evaluate measures it: ${rFactorWords(score)}` : ''}.`);
  }
  if (summary.score && !summary.scans) lines.push(`As evaluate measures it: ${rFactorWords(summary.score)}.`);
  if (shift_px > 0) lines.push(`Positions were moved by ${shift_px.toPrecision(3)} px (root mean square).`);
  if (cancelled) lines.push(`"ptychopinn solve --resume ${summary.outputDir}" goes on after epoch ${epochs}.`);
  lines.push(`Written to ${summary.outputDir}: ${[...summary.files, LOG_FILE].join(', ')}.`);
  return `${lines.join('\n')}\n`;
}

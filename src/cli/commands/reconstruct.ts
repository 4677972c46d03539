/** `ptychopinn reconstruct`: a scan in, the best image that the time allows out, without any other flag. */

import { reconstructDefinition } from '../../config/commands.js';
import type { ReconstructSummary } from '../../workflows/reconstructScan.js';
import { EXIT_INTERRUPTED } from '../exit.js';
import { commandOf, LOG_FILE } from '../run.js';
import { formatDuration } from '../terminal.js';
import { verdictExit, warnOfR } from '../verdict.js';

const GUIDE = `
What it does: opens the scan with all checks, turns the positions where the patterns clearly ask for it, takes, builds or guesses
the probe, solves, and tries what may help (corrected positions, more modes of the probe). An option is kept only where it explains
patterns better that were held out. At the end all patterns are used.

Examples:
  ptychopinn reconstruct scan.h5
  ptychopinn reconstruct scan.h5 --minutes 20 --output_dir image --product_file image/product.h5
  ptychopinn reconstruct scan.h5 --probe zone_plate --probe_outer_zone_m 50e-9 --probe_defocus_m 1e-3
  ptychopinn reconstruct scan.h5 --model_path run/wts.zip                 # a network's image is the start
  ptychopinn reconstruct scan.h5 --model_path run/wts.zip --single_pass   # and the end
  ptychopinn reconstruct scan.h5 --model auto                             # a network of ptychopinn-models, where its probe fits
  ptychopinn reconstruct a.h5 b.h5 --share object                         # scans of one object, a probe for each
  ptychopinn reconstruct --resume reconstruct_outputs                           # goes on after an interruption

Ctrl-C stops after the batch and writes the image so far. More in docs/reconstruct.md.`;

export const command = commandOf({
  definition: reconstructDefinition,
  others: 'run',
  help: GUIDE,
  interrupted: 'stopping after this batch and writing the image of the last epoch',
  work: async ({ config, services }) => {
    const { reconstructScanWorkflow } = await import('../../workflows/reconstructScan.js');
    const summary = await reconstructScanWorkflow(config, services);
    const more = summary.hurried ? [...MORE, 'more --minutes'] : MORE;
    warnOfR(judgedOf(summary), { scan: config.test_data_file, more }, services.logger);
    return summary;
  },
  text: summaryText,
  exit: (summary, config) => (summary.cancelled ? EXIT_INTERRUPTED : verdictExit(judgedOf(summary), config)),
});

/** What an image that is not at the noise may lack. */
const MORE = ['another --probe'];

/** The R that the summary prints: that of the sample, through bilinear patches, is higher where edges are sharp. */
function judgedOf({ score, measured, rFactor }: Pick<ReconstructSummary, 'score' | 'measured' | 'rFactor'>) {
  return score && measured ? { ...score, image: rFactor } : score;
}

function summaryText(summary: ReconstructSummary): string {
  const { algorithm, engine, history, seconds, cancelled, tried, text } = summary;
  const epochs =
    history.length > 0 ? `${history.length} epochs of ${algorithm} on ${engine}` : `the image of ${algorithm}`;
  const lines = [
    `${cancelled ? 'Interrupted; ' : ''}${epochs}, ${formatDuration(seconds)} in all.`,
    ...tried.map((one) => `With ${one.title}: ${one.kept ? 'kept' : 'not kept'}, ${one.reason}.`),
    text.summary,
  ];
  if (text.resolution) lines.push(`Resolution (two halves of the patterns, half bit): ${text.resolution}.`);
  if (cancelled) lines.push(`"ptychopinn reconstruct --resume ${summary.outputDir}" goes on.`);
  lines.push(`Written to ${summary.outputDir}: ${[...summary.files, LOG_FILE].join(', ')}.`);
  for (const { flag, reason } of summary.next) lines.push(`You may want ${flag}: ${reason}.`);
  return `${lines.join('\n')}\n`;
}

/** `ptychopinn train`: a scan in, a bundle of the trained network out. */

import { trainingDefinition } from '../../config/commands.js';
import type { TrainingRequest } from '../../config/schemas/training.js';
import { PUBLISHED_MODEL, PUBLISHED_TRAINING } from '../../config/trainingPresets.js';
import { PtychoError } from '../../core/errors.js';
import { noun } from '../../core/words.js';
import type { TrainSummary } from '../../workflows/train.js';
import { EXIT_INTERRUPTED, EXIT_OK } from '../exit.js';
import { commandOf, LOG_FILE } from '../run.js';
import { formatCount, formatDuration, formatTable } from '../terminal.js';

const published = Object.entries({ ...PUBLISHED_TRAINING, ...PUBLISHED_MODEL });
const EXAMPLE = `
--preset published: ${published.map(([name, value]) => `${name} ${value ?? 'none'}`).join(', ')}.

Examples:
  ptychopinn train scan.npz --output_dir run
  ptychopinn train scan.npz --output_dir run --probe solve   # the probe is wrong, or unknown
  ptychopinn train scan.npz --output_dir run --ensemble 5     # five networks: infer gives their mean and spread
  ptychopinn train a.npz b.h5 runs/*.h5 --output_dir run     # one network for several scans and probes
  ptychopinn train --resume run`;

export const command = commandOf({
  definition: trainingDefinition,
  others: 'run',
  help: EXAMPLE,
  interrupted: 'finishing this step and saving the best epoch',
  work: async ({ config, services }) => {
    requireScan(config);
    return (await import('../../workflows/train.js')).trainWorkflow(config, services);
  },
  text: summaryText,
  exit: ({ cancelled }) => (cancelled ? EXIT_INTERRUPTED : EXIT_OK),
});

function requireScan({ train_data_file }: TrainingRequest): void {
  if (train_data_file !== null) return;
  throw new PtychoError('USAGE', 'There is nothing to train on; name the scan: "ptychopinn train FILE".', {
    flag: 'train_data_file',
  });
}

function summaryText(summary: TrainSummary): string {
  if (summary.members) return ensembleText(summary);
  const { heldOut, network, constant } = summary.rFactor;
  const how = summary.cancelled ? 'Interrupted' : summary.stoppedEarly ? 'Stopped early (no improvement)' : 'Trained';
  const epochs = `${formatCount(summary.epochs)} ${noun(summary.epochs, 'epoch')}`;
  const resumed =
    summary.resumedAfter > 0 ? ` (${formatCount(summary.resumedAfter)} of them before it was resumed)` : '';
  const speed = `${formatCount(summary.patternsPerSecond)} ${noun(summary.patternsPerSecond, 'pattern')}/s`;
  return (
    `${how}${how === 'Trained' ? '' : ' after'} ${epochs}${resumed} in ${formatDuration(summary.seconds)} (${speed}); ` +
    `best epoch ${summary.bestEpoch}: ${summary.monitored} ${Number(summary.bestLoss.toPrecision(6))}.\n` +
    `${heldOut ? 'Held-out' : 'Training'} R ${network.toPrecision(3)}, the best constant object ${constant.toPrecision(3)}.\n` +
    (summary.scans ?? []).map((scan) => `  ${scan.name}: ${scan.sentence}.\n`).join('') +
    `Written to ${summary.outputDir}: ${[...summary.files, LOG_FILE].join(', ')}.\n`
  );
}

/** A line a network. */
function ensembleText({ members = [], cancelled, seconds, outputDir, files }: TrainSummary): string {
  const rows = members.map(({ bestEpoch, monitored, bestLoss, rFactor }, k) => [
    `member-${k + 1}`,
    String(bestEpoch),
    `${monitored} ${Number(bestLoss.toPrecision(6))}`,
    rFactor.network.toPrecision(3),
    rFactor.constant.toPrecision(3),
  ]);
  const held = members.every(({ rFactor }) => rFactor.heldOut) ? 'held-out R' : 'R';
  const head = ['network', 'best epoch', 'by', held, 'constant object'];
  const end = cancelled
    ? `Interrupted; go on with "ptychopinn train --resume ${outputDir}".`
    : `${formatCount(members.length)} networks in ${formatDuration(seconds)}.`;
  return `${formatTable(head, rows)}\n${end}\nWritten to ${outputDir}: ${[...files, LOG_FILE].join(', ')}.\n`;
}

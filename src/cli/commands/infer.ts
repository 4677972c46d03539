/** `ptychopinn infer`: a trained bundle and a scan in, the reconstructed object and its pictures out. */

import { inferenceDefinition } from '../../config/commands.js';
import type { InferenceConfig } from '../../config/schema.js';
import { noun } from '../../core/words.js';
import type { InferShardSummary, InferSummary } from '../../workflows/infer.js';
import { EXIT_INTERRUPTED, EXIT_OK } from '../exit.js';
import { commandOf, LOG_FILE } from '../run.js';
import { consoleLevelOf, formatCount, formatDuration, formatTable } from '../terminal.js';
import { rFactorWords, verdictExit, warnOfR } from '../verdict.js';

const EXAMPLE = `
Examples:
  ptychopinn infer scan.npz --model_path run --output_dir image
  ptychopinn infer scan.npz --model_path run --refine lsqml:20     # a solver finishes what the network began
  ptychopinn infer scan.npz --model_path run --adapt 8             # the network goes on on the scan itself
  ptychopinn infer scan.npz --model_path run --shard 1/4 --output_dir parts/1   # one of four processes
  ptychopinn infer scan.npz --model_path run --from_shards parts --output_dir image`;

export const command = commandOf({
  definition: inferenceDefinition,
  others: 'run',
  help: EXAMPLE,
  level: (given, { debug }) => consoleLevelOf(given, debug),
  interrupted: 'stopping after this step and writing the image so far',
  work: async ({ config, services }) => {
    if (config.shard !== null) {
      return (await import('../../workflows/infer.js')).inferShardWorkflow(config, services);
    }
    const summary = await (await import('../../workflows/infer.js')).inferWorkflow(config, services);
    warnOfR(summary.rFactor, { scan: config.test_data_file, more: moreFor(config) }, services.logger);
    return summary;
  },
  text: (summary) => ('part' in summary ? shardText(summary) : summaryText(summary)),
  exit: (summary, config) => {
    if ('part' in summary) return EXIT_OK;
    return summary.cancelled ? EXIT_INTERRUPTED : verdictExit(summary.rFactor, config);
  },
});

/** What an image that is not at the noise may lack. */
function moreFor({ refine, refine_positions }: Pick<InferenceConfig, 'refine' | 'refine_positions'>): string[] {
  return [
    ...(refine === null ? ['--refine lsqml:20 (a solver, from this image)'] : []),
    ...(refine_positions === 0 ? ['--refine_positions 5 (positions that are off)'] : []),
    'longer training',
  ];
}

function shardText({ part, patterns, total, seconds, outputDir, files }: InferShardSummary): string {
  return `Shard ${part.index} of ${part.of}: ${formatCount(patterns)} of ${formatCount(total)} patterns predicted in ${formatDuration(seconds)}, written to ${outputDir}: ${[...files, LOG_FILE].join(', ')}.\n"ptychopinn infer --from_shards" makes the image of all ${part.of}.\n`;
}

function summaryText(summary: InferSummary): string {
  const rows = summary.stages.map((stage) => [
    stage.name,
    formatDuration(stage.seconds),
    formatCount(stage.patternsPerSecond),
  ]);
  const { rFactor, refinement, solver, adaptations, varpro } = summary;
  const lines = [formatTable(['stage', 'time', 'patterns/s'], rows)];
  for (const { epochs, heldOut, before, after, kept } of adaptations ?? []) {
    lines.push(
      `Went on on the scan for ${formatCount(epochs)} ${noun(epochs, 'epoch')}: R of ${formatCount(heldOut)} held-out patterns ${before.toPrecision(3)} before, ${after.toPrecision(3)} after; ${kept === 'adapted' ? 'kept' : 'not kept'}.`,
    );
  }
  if (varpro) {
    lines.push(
      `Real parts multiplied by ${varpro.s1.toPrecision(4)}, imaginary parts by ${varpro.s2.toPrecision(4)} (varpro_scaling).`,
    );
  }
  if (refinement) {
    const before =
      refinement.rFactorBefore === undefined ? '' : `; R-factor before: ${refinement.rFactorBefore.toPrecision(3)}`;
    lines.push(
      `Positions refined in ${formatCount(refinement.rounds)} ${noun(refinement.rounds, 'round')}, moved by ${formatCount(refinement.meanMove_px)} px on average${before}.`,
    );
  }
  if (solver) {
    lines.push(
      `${solver.algorithm} refined image and probe in ${formatCount(solver.epochs)} ${noun(solver.epochs, 'epoch')}: ` +
        `R-factor by its own model ${solver.rFactorBefore.toPrecision(3)} before, ${solver.rFactor.toPrecision(3)} after.`,
    );
  }
  if (rFactor) lines.push(`Amplitude R-factor ${rFactorWords(rFactor)}.`);
  lines.push(
    `${summary.cancelled ? 'Interrupted; reconstructed' : 'Reconstructed'} from ${formatCount(summary.patterns)} ${noun(summary.patterns, 'pattern')}, ` +
      `written to ${summary.outputDir}: ${[...summary.files, LOG_FILE].join(', ')}.`,
  );
  return `${lines.join('\n')}\n`;
}

/** `ptychopinn live`: an image while the scan is measured. */

import { liveDefinition } from '../../config/commands.js';
import { counted } from '../../core/words.js';
import type { LiveSummary } from '../../workflows/live.js';
import { EXIT_INTERRUPTED } from '../exit.js';
import { commandOf } from '../run.js';

const GUIDE = `
A stream is kept as it comes (record/patterns.npy, record/positions.csv), whatever the image can follow; previews are in live/. When the scan has
ended, the whole of it is reconstructed as "infer" or "solve" do. "ptychopinn view" shows the previews.

Examples:
  ptychopinn live --source tcp://detector:9999 --model_path run --output_dir tonight
  ptychopinn live --source growing.h5 --algorithm rpie --idle_seconds 30
  ptychopinn simulate --output_file scan.npz --publish tcp://127.0.0.1:9999 --publish_hz 500    # plays a detector

Ctrl-C stops; what came is kept, and --resume goes on with it. More in docs/live.md.`;

export const command = commandOf({
  definition: liveDefinition,
  others: 'run',
  help: GUIDE,
  interrupted: 'stopping; what came is kept',
  work: async ({ config, services }) => (await import('../../workflows/live.js')).liveWorkflow(config, services),
  text: liveText,
  exit: ({ cancelled }) => (cancelled ? EXIT_INTERRUPTED : 0),
});

function liveText({
  received,
  predicted,
  previews,
  rFactor,
  cancelled,
  outputDir,
  scan,
  firstPreviewSeconds,
}: LiveSummary): string {
  const lines = [
    `${counted(received, 'pattern')} came${predicted > 0 ? `, ${predicted} of them were seen by the network on the way` : ''}; ${counted(previews, 'preview')}${firstPreviewSeconds === undefined ? '' : `, the first ${firstPreviewSeconds.toFixed(1)} s after the tenth pattern`}.`,
  ];
  if (rFactor !== undefined) lines.push(`The image of all: R ${rFactor.toFixed(3)}, in ${outputDir}.`);
  lines.push(
    cancelled ? `Stopped; the patterns are in ${scan}, and --resume goes on.` : `The patterns are in ${scan}.`,
  );
  return `${lines.join('\n')}\n`;
}

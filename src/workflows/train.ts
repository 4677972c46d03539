/**
 * `train`: a scan in, a bundle out. Writes `wts.zip`, `history.csv`, `config.json` and `run.json` to `output_dir`; on the
 * way `checkpoints/`, `logs/` and, where asked for, `previews/`; with `do_stitching` also what `infer` writes.
 *
 * @example
 * const summary = await trainWorkflow(trainingRequestSchema.parse({ train_data_file: 'scan.npz', output_dir: 'run' }));
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { trainingDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf, TrainingRequest } from '../config/schema.js';
import { SOLVE_PROBE } from '../config/schemas/trainingFields.js';
import type { Services } from '../core/services.js';
import { type FolderClaim, isRunConfig, withOutputFolder } from '../formats/outputs.js';
import { PAGE_FILE } from '../reconstruction/imagePage.js';
import { PATCH_STATS_FILE } from '../reconstruction/patchRecords.js';
import { RECONSTRUCTION_FILES } from '../reconstruction/reconstructionFile.js';
import { METRICS_FILE } from '../training/loggers/logger.js';
import { checkTrainingRequest, trainToFolder } from '../training/runFolder.js';
import { SOLVED_PROBE_FILE } from '../training/solvedProbe.js';
import type { TrainSummary } from '../training/summary.js';

export type { Services } from '../core/services.js';
export type { TrainSummary } from '../training/summary.js';

/**
 * Trains a network on a scan and saves the best epoch, also when cancelled.
 * @throws PtychoError for anything wrong with configuration, scan, engine or output folder; TRAINING_FAILED when the loss
 * stops being a number (the best epoch until then is saved). Nothing half-written stays.
 */
export async function trainWorkflow(given: PartOf<TrainingRequest>, services: Services = {}): Promise<TrainSummary> {
  const request = wholeConfig(trainingDefinition, given, services.logger);
  checkTrainingRequest(request);
  return withOutputFolder(request.output_dir, claimOf(request), services, (folder) =>
    trainToFolder(request, () => folder.make(), { ...services, signal: folder.signal }),
  );
}

/** A run that goes on writes to its own folder; another run's results stay. */
function claimOf({
  output_dir,
  resume,
  overwrite,
  probe,
  do_stitching,
  log_patch_stats,
}: TrainingRequest): FolderClaim {
  const goesOn = resume !== null && path.resolve(resume) === path.resolve(output_dir);
  const last = path.join('checkpoints', 'last.ckpt.zip');
  return {
    command: 'train',
    overwrite: overwrite || goesOn,
    results: [
      ...[
        'wts.zip',
        last,
        'history.csv',
        'run.json',
        'positions.npz',
        'config.json',
        'loss.png',
        PAGE_FILE,
        METRICS_FILE,
      ],
      ...(do_stitching ? RECONSTRUCTION_FILES : []),
      ...(log_patch_stats ? [PATCH_STATS_FILE] : []),
      ...(probe === SOLVE_PROBE ? [SOLVED_PROBE_FILE] : []),
    ],
    isOwn: isRunConfig,
    instead: existsSync(path.join(output_dir, last)) ? ` go on with --resume ${output_dir},` : '',
  };
}

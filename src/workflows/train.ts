/**
 * `train`: a scan in, a bundle out. Writes `wts.zip`, `history.csv`, `config.json` and `run.json` to `output_dir`; on the
 * way `checkpoints/`, `logs/` and, where asked for, `previews/`; with `do_stitching` also what `infer` writes. With `ensemble` all this in
 * folders `member-1`, `member-2`, …, and `ensemble.json`.
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
import { isPtychoError } from '../core/errors.js';
import type { Provenance, Services } from '../core/services.js';
import { json, writeAtomically } from '../formats/outputFiles.js';
import { type FolderClaim, goesOnIn, isRunConfig, removeEarlier, withOutputFolder } from '../formats/outputs.js';
import { openBundle } from '../persistence/bundle.js';
import {
  ENSEMBLE_FILE,
  type EnsembleMember,
  memberFolder,
  weightsSha256,
  writeEnsemble,
} from '../persistence/ensemble.js';
import { CALIBRATION_FILE } from '../reconstruction/ensemble/calibration.js';
import { PAGE_FILE } from '../reconstruction/imagePage.js';
import { PATCH_STATS_FILE } from '../reconstruction/patchRecords.js';
import { RECONSTRUCTION_FILES } from '../reconstruction/reconstructionFile.js';
import { LAST_CHECKPOINT } from '../training/checkpointFolder.js';
import { ofMember, ofSnapshot, summaryOfEnsemble } from '../training/ensemble.js';
import {
  checkAlone,
  checkMembers,
  leftByEarlier,
  markAlone,
  type NetworkBefore,
  whereToGoOn,
} from '../training/ensembleFolder.js';
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
  if (request.ensemble > 1) return trainMembers(request, services);
  checkAlone(request);
  return trainOne(request, services);
}

/** Trains one network. @param begin called once scans, configuration and checkpoint have been found good, before anything is written */
function trainOne(request: TrainingRequest, services: Services, begin?: () => Promise<void>): Promise<TrainSummary> {
  return withOutputFolder(request.output_dir, claimOf(request), services, ({ make, signal }) => {
    const makeFolder = async () => {
      await begin?.();
      await make();
      // Whoever opens the folder would open the networks that it lists.
      await removeEarlier([ENSEMBLE_FILE], request, services);
      await markAlone(request.output_dir);
    };
    return trainToFolder(request, makeFolder, { ...services, signal });
  });
}

/** Trains the networks of an ensemble, each as a run in a folder of its own; interrupted, all go on with `--resume`. */
async function trainMembers(request: TrainingRequest, services: Services): Promise<TrainSummary> {
  const { output_dir, overwrite } = request;
  checkMembers(request);
  const goesOn = goesOnIn(request);
  const snapshots = request.ensemble_from === 'snapshots';
  const claim: FolderClaim = {
    command: 'train',
    overwrite: overwrite || goesOn,
    results: [ENSEMBLE_FILE, 'config.json', 'wts.zip', LAST_CHECKPOINT, CALIBRATION_FILE],
    isOwn: isRunConfig,
    instead: existsSync(path.join(output_dir, memberFolder(1))) ? ` go on with --resume ${output_dir},` : '',
  };
  return withOutputFolder(output_dir, claim, services, async ({ make, signal }) => {
    const begin = async () => {
      await make();
      await removeEarlier([ENSEMBLE_FILE, ...(goesOn ? [] : await leftByEarlier(output_dir))], request, services);
      const { overwrite: _, resume: __, ...begun } = request;
      const content = json({ config: { ...begun, resume: null }, provenance: services.provenance ?? {} });
      await writeAtomically(path.join(output_dir, 'config.json'), content);
    };
    const summaries: TrainSummary[] = [];
    const members: EnsembleMember[] = [];
    let before: NetworkBefore | undefined;
    for (let member = 1; member <= request.ensemble; member++) {
      services.logger?.info(`Network ${member} of ${request.ensemble}.`);
      const folder = path.join(output_dir, memberFolder(member));
      const own = {
        ...(snapshots ? ofSnapshot(request, before) : ofMember(request, member)),
        output_dir: folder,
        overwrite: overwrite || goesOn,
        resume: goesOn ? await whereToGoOn(folder, snapshots ? before : undefined, services.logger) : null,
      };
      const provenance = services.provenance && {
        ...services.provenance,
        ...chosenFor(own, snapshots && member > 1),
      };
      const hooks = { ...services, onOutputFolder: undefined, signal, provenance };
      const summary = await trainOne(own, hooks, member === 1 ? begin : undefined).catch((error: unknown) => {
        // Stopped before the first step of a network, those before it stand.
        if (isPtychoError(error, 'CANCELLED') && summaries.length > 0) return undefined;
        throw error;
      });
      if (summary) summaries.push(summary);
      if (summary?.cancelled !== false) break;
      const bundle = await openBundle(folder);
      const sha256 = weightsSha256(bundle);
      before = { run: folder, epochs: before?.epochs ?? bundle.config.nepochs, sha256 };
      members.push({ folder: memberFolder(member), seed: own.seed, sha256 });
    }
    const whole = members.length === request.ensemble;
    // What is not whole is no ensemble yet.
    const files = ['config.json', ...(whole ? [await writeEnsemble(output_dir, members)] : [])];
    const folders = summaries.map((_, k) => `${memberFolder(k + 1)}/`);
    return { ...summaryOfEnsemble(summaries, output_dir, [...files, ...folders]), cancelled: !whole };
  });
}

/** Where the values of a member come from that are not those of the ensemble. */
function chosenFor(own: TrainingRequest, goesOn: boolean): Provenance {
  const {
    seed,
    subsample_seed,
    ensemble,
    ensemble_from,
    output_dir,
    overwrite,
    resume,
    init,
    nepochs,
    lr_warmup_epochs,
  } = own;
  const values = {
    ...{ seed, subsample_seed, ensemble, ensemble_from, output_dir, overwrite, resume },
    ...(goesOn ? { init, nepochs, lr_warmup_epochs } : {}),
  };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value, source: 'caller' }]));
}

/** A run that goes on writes to its own folder; another run's results stay. */
function claimOf(request: TrainingRequest): FolderClaim {
  const { output_dir, overwrite, probe, do_stitching, log_patch_stats } = request;
  return {
    command: 'train',
    overwrite: overwrite || goesOnIn(request),
    results: [
      ...[
        'wts.zip',
        LAST_CHECKPOINT,
        'history.csv',
        'run.json',
        'positions.npz',
        'config.json',
        'loss.png',
        PAGE_FILE,
        METRICS_FILE,
        ENSEMBLE_FILE,
        memberFolder(1),
      ],
      ...(do_stitching ? RECONSTRUCTION_FILES : []),
      ...(log_patch_stats ? [PATCH_STATS_FILE] : []),
      ...(probe === SOLVE_PROBE ? [SOLVED_PROBE_FILE] : []),
    ],
    isOwn: isRunConfig,
    instead: existsSync(path.join(output_dir, LAST_CHECKPOINT)) ? ` go on with --resume ${output_dir},` : '',
  };
}

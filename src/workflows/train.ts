/**
 * `train`: a scan in, a bundle out. Writes `wts.zip`, `history.csv`, `config.json` and `run.json` to `output_dir`; on the
 * way `checkpoints/`, `logs/` and, where asked for, `previews/`; with `do_stitching` also what `infer` writes.
 *
 * @example
 * const summary = await trainWorkflow(trainingRequestSchema.parse({ train_data_file: 'scan.npz', output_dir: 'run' }));
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Backend } from '../backends/backend.js';
import { describeEngine, selectBackend } from '../backends/select.js';
import type { TrainingRequest } from '../config/schema.js';
import { isPtychoError, PtychoError } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import { requireThreads } from '../core/memoryBudget.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { counted } from '../core/words.js';
import { memberRows, openScan } from '../data/preparedScan.js';
import { writeNpz } from '../formats/npz.js';
import { json, writeAtomically } from '../formats/outputFiles.js';
import { type FolderClaim, isRunConfig, type OwnedFolder, withOutputFolder } from '../formats/outputs.js';
import { encodeHistory } from '../persistence/history.js';
import { mlflowAccess } from '../persistence/mlflowArtifacts.js';
import { checkResumable, scanFingerprint, warnOfEngine } from '../persistence/resume.js';
import { chooseCropSide } from '../reconstruction/frame.js';
import { PATCH_STATS_FILE } from '../reconstruction/patchRecords.js';
import { modelOf, saveModel } from '../reconstruction/ptychoModel.js';
import { reconstructDataset } from '../reconstruction/reconstruct.js';
import { RECONSTRUCTION_FILES, writeReconstruction } from '../reconstruction/reconstructionFile.js';
import { type FoundCheckpoint, findCheckpoint } from '../training/checkpoints.js';
import { type InitialBundle, openInitialBundle } from '../training/init.js';
import { METRICS_FILE } from '../training/loggers/csv.js';
import { engineOf, loopStateOf, RunRecorder } from '../training/recorder.js';
import type { EpochRecord } from '../training/records.js';
import { type PreparedTraining, prepareTraining, type TrainedModel, trainPrepared } from '../training/trainModel.js';

export type { Services } from '../core/services.js';

export interface TrainSummary {
  readonly epochs: number;
  readonly bestEpoch: number;
  readonly bestLoss: number;
  readonly monitored: string;
  readonly seconds: number;
  readonly patternsPerSecond: number;
  readonly outputDir: string;
  readonly cancelled: boolean;
  /** Ended by `early_stop_patience`. */
  readonly stoppedEarly: boolean;
  /** Epochs that were done before this run resumed; 0: it began from the beginning. */
  readonly resumedAfter: number;
  /** Files in the folder that are new. */
  readonly files: readonly string[];
  /** Where it ran. */
  readonly device: 'cpu' | 'cuda';
  readonly history: readonly EpochRecord[];
}

/**
 * Trains a network on a scan and saves the best epoch, also when cancelled.
 * @throws PtychoError for anything wrong with configuration, scan, engine or output folder; TRAINING_FAILED when the loss
 * stops being a number (the best epoch until then is saved). Nothing half-written stays.
 */
export async function trainWorkflow(request: TrainingRequest, services: Services = {}): Promise<TrainSummary> {
  requireThreads(request.execution.threads);
  if (request.train_data_file === null) {
    throw new PtychoError('CONFIG_INVALID', 'train_data_file is not given: name the scan to train on.', {
      key: 'train_data_file',
    });
  }
  if (request.do_stitching && request.test_data_file === null) {
    throw new PtychoError(
      'CONFIG_INVALID',
      'do_stitching needs test_data_file, the scan to reconstruct after training; name it, or run "ptychopinn infer" later.',
      { key: 'do_stitching' },
    );
  }
  const file = request.train_data_file;
  return withOutputFolder(request.output_dir, claimOf(request), services, (folder) =>
    trainInto(folder, file, request, { ...services, signal: folder.signal }),
  );
}

async function trainInto(
  folder: OwnedFolder,
  file: string,
  request: TrainingRequest,
  services: Services,
): Promise<TrainSummary> {
  const logger = services.logger ?? silentLogger;
  const train = await openScan(file, request, logger);
  const test =
    request.test_data_file === null
      ? undefined
      : await openScan(
          request.test_data_file,
          // Positions and product belong to the training file; one beside the test file is still found.
          { ...request, n_groups: null, n_subsample: null, data: { ...request.data, positions: null, product: null } },
          logger,
        );
  try {
    const prepared = await prepareTraining(request, { train, test }, services);
    const start = await startOf(prepared, logger);
    const { config, provenance } = prepared;
    await folder.make();
    // Leave to overwrite is given once, not to those who begin from this file.
    const { overwrite: _, ...begun } = config;
    await writeAtomically(path.join(config.output_dir, 'config.json'), json({ config: begun, provenance }));
    const backend = await selectBackend(config, logger);
    try {
      logger.info(describeEngine(backend.info));
      return await new Training(prepared, start, backend, services).run();
    } finally {
      await backend.dispose();
    }
  } finally {
    await train.close();
    await test?.close();
  }
}

/** A run that goes on writes to its own folder; another run's results stay. */
function claimOf({ output_dir, resume, overwrite, do_stitching, log_patch_stats }: TrainingRequest): FolderClaim {
  const goesOn = resume !== null && path.resolve(resume) === path.resolve(output_dir);
  const last = path.join('checkpoints', 'last.ckpt.zip');
  return {
    command: 'train',
    overwrite: overwrite || goesOn,
    results: [
      ...['wts.zip', last, 'history.csv', 'run.json', 'positions.npz', 'config.json', METRICS_FILE],
      ...(do_stitching ? RECONSTRUCTION_FILES : []),
      ...(log_patch_stats ? [PATCH_STATS_FILE] : []),
    ],
    isOwn: isRunConfig,
    instead: existsSync(path.join(output_dir, last)) ? ` go on with --resume ${output_dir},` : '',
  };
}

/** Where a run begins. */
interface Start {
  readonly scan: Readonly<Record<string, string>>;
  readonly initial?: InitialBundle;
  readonly resumed?: FoundCheckpoint;
}

/**
 * Finds what `init` and `resume` name, and refuses what cannot go on.
 * @throws PtychoError
 */
async function startOf({ config, network, scan, test }: PreparedTraining, logger: Logger): Promise<Start> {
  const initial =
    config.init === null ? undefined : await openInitialBundle(config.init, network, mlflowAccess(config.execution));
  const fingerprint = await scanFingerprint(scan, test);
  if (config.resume === null) return { scan: fingerprint, initial };
  const resumed = await findCheckpoint(config.resume, logger);
  if (!resumed) {
    logger.info(
      `The run in ${config.resume} was stopped before its first checkpoint, so it starts from the beginning.`,
    );
    return { scan: fingerprint, initial };
  }
  const { content, file } = resumed;
  checkResumable(content, { config, scan: fingerprint, init: initial?.sha256 ?? null, folder: config.resume });
  logger.info(`Going on after epoch ${content.epoch} from ${file}.`);
  return { scan: fingerprint, initial, resumed };
}

/** One run, everything opened. */
class Training {
  constructor(
    private readonly prepared: PreparedTraining,
    private readonly start: Start,
    private readonly backend: Backend,
    private readonly services: Services,
  ) {}

  async run(): Promise<TrainSummary> {
    const { prepared, start, backend, services } = this;
    const { resumed, initial } = start;
    const logger = services.logger ?? silentLogger;
    if (resumed) {
      const folder = prepared.config.resume as string;
      warnOfEngine(resumed.content.engine, engineOf(backend.info), folder, logger);
    }
    const init = resumed ? resumed.content.init : (initial?.sha256 ?? null);
    const recorder = await RunRecorder.open({ prepared, backend, services, scan: start.scan, init, resumed });
    try {
      const trained = await trainPrepared(prepared, backend, services, {
        from: resumed && loopStateOf(resumed),
        initial,
        init,
        onEpoch: (record, view) => recorder.epoch(record, view),
      });
      const files = await this.#write(trained);
      await recorder.metrics.artifact(path.join(prepared.config.output_dir, 'wts.zip'));
      const { result } = trained;
      if (result.failure) throw this.#failed(result.failure, result.bestEpoch);
      if (result.stoppedEarly) {
        logger.info(
          `Stopped after epoch ${result.history.length}: ${result.monitored} has not improved for ${counted(prepared.config.execution.early_stop_patience, 'epoch')}.`,
        );
      }
      if (prepared.config.do_stitching && !result.cancelled) files.push(...(await this.#stitch(trained)));
      await recorder.metrics.finish(result.cancelled ? 'cancelled' : 'finished');
      return this.#summary(trained, files);
    } catch (error) {
      await recorder.metrics.finish(isPtychoError(error, 'CANCELLED') ? 'cancelled' : 'failed');
      throw error;
    }
  }

  #summary({ result }: TrainedModel, files: readonly string[]): TrainSummary {
    return {
      epochs: result.history.length,
      bestEpoch: result.bestEpoch,
      bestLoss: result.bestLoss,
      monitored: result.monitored,
      seconds: result.seconds,
      patternsPerSecond: result.seconds > 0 ? result.patternsSeen / result.seconds : 0,
      outputDir: this.prepared.config.output_dir,
      cancelled: result.cancelled,
      stoppedEarly: result.stoppedEarly,
      resumedAfter: this.start.resumed?.content.epoch ?? 0,
      files,
      device: this.backend.info.device,
      history: result.history,
    };
  }

  #failed(failure: PtychoError, bestEpoch: number): PtychoError {
    const bundle = path.join(this.prepared.config.output_dir, 'wts.zip');
    const message = `${failure.message.replace(/\.$/, '')}; the best epoch until then (${bestEpoch}) is kept in ${bundle}.`;
    return new PtychoError(failure.code, message, { ...failure.fields, path: bundle }, { cause: failure });
  }

  async #write({ scan, result, content }: TrainedModel): Promise<string[]> {
    const { config } = this.prepared;
    const folder = config.output_dir;
    await writeAtomically(path.join(folder, 'history.csv'), encodeHistory(content.history));
    await saveModel(folder, modelOf(content));
    const { positions } = result;
    if (positions) {
      const axis = (data: Float64Array) => ({ data, shape: [data.length] });
      await writeNpz(path.join(folder, 'positions.npz'), {
        xcoords: axis(positions.xs),
        ycoords: axis(positions.ys),
        xcoords_start: axis(scan.raw.xcoords),
        ycoords_start: axis(scan.raw.ycoords),
      });
    }
    await writeAtomically(
      path.join(folder, 'run.json'),
      json({
        finished: new Date().toISOString(),
        cancelled: result.cancelled,
        stopped_early: result.stoppedEarly,
        failure: result.failure?.message,
        resumed_from: this.start.resumed && { path: this.start.resumed.file, epoch: this.start.resumed.content.epoch },
        init: content.training.init && { path: config.init ?? undefined, sha256: content.training.init },
        seconds: result.seconds,
        patterns_per_second: result.seconds > 0 ? result.patternsSeen / result.seconds : 0,
        train_data_file: config.train_data_file,
        sample_indices: Array.from(scan.raw.sampleIndices),
        nn_indices: memberRows(scan.groups),
        skipped_positions: scan.groups.skipped,
        refined_positions: positions && {
          file: 'positions.npz',
          rms_shift_px: result.history[result.bestEpoch - 1].position_shift_px,
        },
        backend: this.backend.info,
        node: process.version,
        version: createdBy.version,
      }),
    );
    return ['wts.zip', 'history.csv', 'config.json', 'run.json', ...(positions ? ['positions.npz'] : [])];
  }

  /** The test scan with the trained weights, written as `infer` does. */
  async #stitch({ config, network, test, result }: TrainedModel): Promise<string[]> {
    if (!test) return [];
    const { raw, groups, dataset } = test;
    const { stitched } = await reconstructDataset({
      network,
      weights: result.weights,
      backend: this.backend,
      dataset,
      batch_size: config.execution.inference_batch_size ?? config.batch_size,
      crop_px: chooseCropSide(raw.xcoords, raw.ycoords, raw.N),
      patch_weighting: 'probe',
      align_phases: true,
      uncertainty: true,
      probe: raw.probeGuess,
      prefetch: config.execution.prefetch_factor ?? undefined,
      signal: this.services.signal,
      onProgress: this.services.onProgress,
    });
    return writeReconstruction(config.output_dir, stitched, {
      algorithm: `PtychoPINN ${config.model.architecture}`,
      sampleIndices: raw.sampleIndices,
      groups,
    });
  }
}

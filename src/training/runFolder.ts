/**
 * A training that leaves files. On the way checkpoints, previews and the figures that go to the logger; at the end the bundle,
 * `history.csv`, `run.json`, refined positions and, with `do_stitching`, the reconstruction of the test scan.
 */
import path from 'node:path';
import type { Backend, BackendInfo } from '../backends/backend.js';
import { startEngines } from '../backends/peers.js';
import { describeEngine } from '../backends/select.js';
import type { TrainingRequest } from '../config/schema.js';
import { SOLVE_PROBE } from '../config/schemas/trainingFields.js';
import { isPtychoError, PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { type Logger, silentLogger } from '../core/log.js';
import { requireThreads } from '../core/memoryBudget.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { counted } from '../core/words.js';
import { memberRows, type PreparedScan } from '../data/preparedScan.js';
import { writeNpz } from '../formats/npz.js';
import { json, writeAtomically, writeDrawing } from '../formats/outputFiles.js';
import { weightsOfScan } from '../model/scanWeights.js';
import type { CheckpointEngine } from '../persistence/checkpoint.js';
import { encodeHistory } from '../persistence/history.js';
import { mlflowAccess } from '../persistence/mlflowArtifacts.js';
import { type ScanFingerprint, trainingFingerprint } from '../persistence/runState.js';
import { modelOfScan } from '../reconstruction/matching/modelOfScan.js';
import { reconstructPrepared } from '../reconstruction/pipeline.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import { writeReconstruction } from '../reconstruction/reconstructionFile.js';
import {
  CheckpointFolder,
  checkResumable,
  type FoundCheckpoint,
  findCheckpoint,
  warnOfEngine,
} from './checkpointFolder.js';
import { type InitialBundle, openInitialBundle } from './init.js';
import { EpochJudge, type EpochRecord, monitorOf } from './judge.js';
import { createLoggers, type MetricLogger } from './loggers/create.js';
import type { EpochView, LoopState } from './loopState.js';
import { type PreparedTraining, prepareTraining } from './prepare.js';
import { Previews } from './previews.js';
import type { TrainPart } from './programs.js';
import { SOLVED_PROBE_FILE, solvedBefore, solvedKey } from './solvedProbe.js';
import {
  patternsPerSecond,
  rFactorOf,
  scansOf,
  summaryOf,
  type TrainSummary,
  trainingChart,
  writeTrainingPage,
} from './summary.js';
import { type TrainedModel, trainPrepared, withTrainingScans } from './train.js';

/**
 * Looks at what can be judged without opening anything.
 * @returns the scan to train on
 * @throws PtychoError CONFIG_INVALID
 */
export function checkTrainingRequest(request: TrainingRequest): string {
  requireThreads(request.execution.threads);
  if (request.train_data_file === null) {
    throw new PtychoError('CONFIG_INVALID', 'train_data_file is not given: name the scan to train on.', {
      key: 'train_data_file',
    });
  }
  const files = [request.train_data_file, ...request.train_data_files].map((file) => path.resolve(file));
  const twice = files.find((file, i) => files.indexOf(file) !== i);
  if (twice !== undefined) {
    throw new PtychoError('CONFIG_INVALID', `${twice} is named twice among the scans to train on; name each once.`, {
      key: 'train_data_files',
      found: twice,
    });
  }
  if (request.do_stitching && request.test_data_file === null) {
    throw new PtychoError(
      'CONFIG_INVALID',
      'do_stitching needs test_data_file, the scan to reconstruct after training; name it, or run "ptychopinn infer" later.',
      { key: 'do_stitching' },
    );
  }
  return request.train_data_file;
}

/**
 * Trains on the files that a request names and writes to its `output_dir`, which the caller owns. The best epoch is saved, also when
 * cancelled.
 * @param makeFolder makes that folder; nothing is written before scans and configuration have been found good
 * @throws PtychoError for anything wrong with configuration, scan or engine; TRAINING_FAILED when the loss stops being a number (the
 * best epoch until then is saved)
 */
export async function trainToFolder(
  request: TrainingRequest,
  makeFolder: () => Promise<void>,
  services: Services = {},
): Promise<TrainSummary> {
  const logger = services.logger ?? silentLogger;
  const more = request.train_data_files;
  const files = { train: checkTrainingRequest(request), more, test: request.test_data_file ?? undefined };
  return withTrainingScans(request, files, logger, async (scans) => {
    const solvedProbes =
      request.probe === SOLVE_PROBE ? await solvedBefore(request.resume, scans.train.N, 1 + more.length) : undefined;
    const prepared = await prepareTraining(request, { ...scans, solvedProbes }, services);
    const start = await startOf(prepared, logger);
    const { config, provenance } = prepared;
    await makeFolder();
    // Leave to overwrite is given once, not to those who begin from this file.
    const { overwrite: _, ...begun } = config;
    await writeAtomically(path.join(config.output_dir, 'config.json'), json({ config: begun, provenance }));
    if (config.probe === SOLVE_PROBE) {
      const probes = trainingScansOf(prepared).map(({ raw }, i) => [solvedKey(i), raw.probeGuess] as const);
      await writeNpz(
        path.join(config.output_dir, SOLVED_PROBE_FILE),
        Object.fromEntries(probes.flatMap(([key, probe]) => (probe ? [[key, probe]] : []))),
      );
    }
    return closing(await startEngines(config, logger), async (backend) => {
      logger.info(describeEngine(backend.info));
      return await new RunFolder(prepared, start, backend, services).train();
    });
  });
}

/** The scans that train, in order. */
function trainingScansOf({ scan, scans, test }: PreparedTraining): PreparedScan[] {
  return scans ? scans.map((one) => one.scan).filter((one) => one !== test) : [scan];
}

/** The groups whose patches are measured: those that validate, else those that train; of several scans those of the first. */
function measuredPart({ scan, scans, training, validation }: PreparedTraining): TrainPart {
  if (!scans) return validation.groups.length > 0 ? validation : training;
  const [first] = scans;
  // Its groups are the first of all, and count alike.
  return { dataset: scan.dataset, groups: first.validation.length > 0 ? first.validation : first.training };
}

/** Where a run begins. */
interface Start {
  readonly scan: ScanFingerprint;
  readonly initial?: InitialBundle;
  readonly resumed?: FoundCheckpoint;
}

/**
 * Finds what `init` and `resume` name, and refuses what cannot go on.
 * @throws PtychoError
 */
async function startOf(prepared: PreparedTraining, logger: Logger): Promise<Start> {
  const { config, network, test } = prepared;
  const initial =
    config.init === null ? undefined : await openInitialBundle(config.init, network, mlflowAccess(config.execution));
  const fingerprint = await trainingFingerprint(trainingScansOf(prepared), test);
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
  logger.info(`Resuming after epoch ${content.epoch} from ${file}.`);
  return { scan: fingerprint, initial, resumed };
}

/** One run and its folder, everything opened. */
class RunFolder {
  readonly #folder: string;
  readonly #logger: Logger;
  /** SHA-256 of the bundle that the run began from. */
  readonly #init: string | null;
  /** This run has left a checkpoint. */
  #checkpointed = false;

  constructor(
    private readonly prepared: PreparedTraining,
    private readonly start: Start,
    private readonly backend: Backend,
    private readonly services: Services,
  ) {
    const { resumed, initial } = start;
    this.#folder = prepared.config.output_dir;
    this.#logger = services.logger ?? silentLogger;
    this.#init = resumed ? resumed.content.init : (initial?.sha256 ?? null);
  }

  async train(): Promise<TrainSummary> {
    const { prepared, backend, services } = this;
    const { resumed, initial } = this.start;
    const { config } = prepared;
    if (resumed) warnOfEngine(resumed.content.engine, engineOf(backend.info), config.resume as string, this.#logger);
    const metrics = await createLoggers(config, this.#folder, services.logger);
    const onEpoch = await this.#record(metrics);
    try {
      const trained = await trainPrepared(prepared, backend, services, {
        from: resumed && loopStateOf(resumed),
        initial,
        init: this.#init,
        onEpoch,
      });
      const files = await this.#write(trained);
      await metrics.artifact(path.join(this.#folder, 'wts.zip'));
      const { result } = trained;
      if (result.failure) throw this.#failed(result.failure, result.bestEpoch);
      if (result.stoppedEarly) {
        this.#logger.info(
          `Stopped after epoch ${result.history.length}: ${result.monitored} has not improved for ${counted(config.execution.early_stop_patience, 'epoch')}.`,
        );
      }
      const stitched = config.do_stitching && !result.cancelled ? await this.#stitch(trained) : undefined;
      files.push(...(stitched?.files ?? []));
      const finished = { trained, outputDir: this.#folder, engine: backend.info, files };
      files.push(await writeTrainingPage(finished, prepared.provenance, stitched?.image));
      await metrics.finish(result.cancelled ? 'cancelled' : 'finished');
      return summaryOf(finished, resumed?.content.epoch ?? 0);
    } catch (error) {
      await metrics.finish(isPtychoError(error, 'CANCELLED') ? 'cancelled' : 'failed');
      throw await this.#withWayOn(error);
    }
  }

  /**
   * Makes the folders and starts the logger.
   * @returns what is done after an epoch; the checkpoint comes last, so that what is before it is done again rather than left out
   * @throws PtychoError OUTPUT_UNWRITABLE, or CONFIG_INVALID for a logger or previews that cannot be.
   */
  async #record(metrics: MetricLogger): Promise<(record: EpochRecord, view: EpochView) => Promise<void>> {
    const { prepared, backend } = this;
    const { resumed } = this.start;
    const { config, provenance, network, scan } = prepared;
    // Of several scans the first is shown.
    const previews = await Previews.open({
      config,
      network: network.ofScan(0),
      backend,
      scan,
      measured: measuredPart(prepared),
      outputDir: this.#folder,
      image: (tag, epoch, png) => metrics.image(tag, epoch, png),
      epochsDone: resumed?.content.epoch ?? 0,
    });
    const checkpoints = new CheckpointFolder(this.#folder);
    if (config.execution.enable_checkpointing) await this.#prepare(checkpoints);
    const sameFolder = resumed !== undefined && checkpoints.holds(resumed.file);
    const epochsDone = resumed?.content.epoch;
    await metrics.start({ config, provenance, outputDir: this.#folder, resumed: sameFolder, epochsDone });
    // Elsewhere the logger knows nothing of the epochs that are done.
    if (resumed && !sameFolder) for (const record of resumed.content.history) await metrics.epoch(record);
    return async (record, view) => {
      await metrics.epoch(withoutGaps(record));
      await previews.epoch(record.epoch, async () => weightsOfScan(network, await view.weights(), 0));
      if (config.execution.enable_checkpointing) await this.#save(checkpoints, view);
    };
  }

  async #prepare(checkpoints: CheckpointFolder): Promise<void> {
    const { config, validation } = this.prepared;
    const { resumed } = this.start;
    await checkpoints.make();
    if (!resumed) {
      if ((await checkpoints.files()).length > 0) {
        this.#logger.info(
          `${checkpoints.folder} holds checkpoints of an earlier run; they are replaced after the first epoch (to go on with that run instead: --resume ${config.output_dir}).`,
        );
      }
      return;
    }
    const judge = new EpochJudge(monitorOf(config.execution, validation.groups.length > 0), config);
    for (const record of loopStateOf(resumed).history) judge.add(record);
    const { epoch } = resumed.content;
    await checkpoints.takeOver(resumed.file, judge, { epoch, keep: config.execution.checkpoint_save_top_k });
  }

  async #save(checkpoints: CheckpointFolder, view: EpochView): Promise<void> {
    const { config } = this.prepared;
    const { best, ...state } = await view.snapshot();
    const content = {
      ...state,
      engine: engineOf(this.backend.info),
      config,
      scan: this.start.scan,
      init: this.#init,
      bestEpoch: best.epoch,
      bestWeights: best.weights,
      bestPositions: best.positions,
    };
    await checkpoints.save(content, view.judge, config.execution.checkpoint_save_top_k);
    this.#checkpointed = true;
  }

  async #write(trained: TrainedModel): Promise<string[]> {
    const { scan, scans, result, content, constantLoss } = trained;
    const { config } = this.prepared;
    const { resumed } = this.start;
    const at = (name: string) => path.join(this.#folder, name);
    await writeAtomically(at('history.csv'), encodeHistory(content.history));
    await PtychoModel.of(content).save(this.#folder);
    const { positions } = result;
    if (positions) {
      const axis = (data: Float64Array) => ({ data, shape: [data.length] });
      const { xcoords, ycoords } = this.prepared.training.dataset.raw;
      const ofScan = scans?.flatMap((one, i) => Array.from({ length: one.scan.raw.count }, () => i));
      await writeNpz(at('positions.npz'), {
        xcoords: axis(positions.xs),
        ycoords: axis(positions.ys),
        xcoords_start: axis(xcoords),
        ycoords_start: axis(ycoords),
        // Those of several scans lie one after the other.
        ...(ofScan && { scan_index: { data: Int32Array.from(ofScan), shape: [ofScan.length] } }),
      });
    }
    await writeAtomically(
      at('run.json'),
      json({
        finished: new Date().toISOString(),
        cancelled: result.cancelled,
        stopped_early: result.stoppedEarly,
        failure: result.failure?.message,
        resumed_from: resumed && { path: resumed.file, epoch: resumed.content.epoch },
        restarts: config.auto_restart ? result.restarts : undefined,
        training_r: rFactorOf(result, constantLoss),
        init: content.training.init && { path: config.init ?? undefined, sha256: content.training.init },
        seconds: result.seconds,
        patterns_per_second: patternsPerSecond(result),
        train_data_file: config.train_data_file,
        ...usedOf(scan),
        scans: scansOf(trained)?.map((figures, i) => ({ ...figures, ...(i > 0 && scans && usedOf(scans[i].scan)) })),
        refined_positions: positions && {
          file: 'positions.npz',
          rms_shift_px: result.history[result.bestEpoch - 1].position_shift_px,
        },
        backend: this.backend.info,
        node: process.version,
        version: createdBy.version,
      }),
    );
    const chart = await writeDrawing(this.#folder, 'loss', trainingChart(result, config));
    const others = [
      ...(positions ? ['positions.npz'] : []),
      ...(config.probe === SOLVE_PROBE ? [SOLVED_PROBE_FILE] : []),
    ];
    return ['wts.zip', 'history.csv', 'config.json', 'run.json', ...others, ...chart];
  }

  /** An engine that failed, as when a device is lost, leaves the checkpoints of this run. */
  async #withWayOn(error: unknown): Promise<unknown> {
    if (!isPtychoError(error, 'ENGINE_FAILURE') || !this.#checkpointed) return error;
    const message = `${error.message.replace(/\.$/, '')}. The last checkpoint remains: go on from it with --resume ${this.#folder}.`;
    return new PtychoError(error.code, message, { ...error.fields, resume: this.#folder }, { cause: error });
  }

  /** The test scan with the trained weights, written as `infer` does. */
  async #stitch({ config, network, test, content }: TrainedModel) {
    if (!test) return undefined;
    const { raw, groups } = test;
    const logger = this.#logger;
    const settings = {
      batch_size: config.execution.inference_batch_size ?? config.batch_size,
      stitch_crop_px: null,
      patch_weighting: 'probe',
      align_phases: true,
      uncertainty: true,
      // As it was before training, also where the probe was trained.
      weightProbe: raw.probeGuess ?? network.spec.scale.probe,
      prefetch: config.execution.prefetch_factor ?? undefined,
    } as const;
    const { signal, onProgress } = this.services;
    // One of several scans has a row of its own.
    const model = await modelOfScan(PtychoModel.of(content, this.backend), raw, logger);
    const { stitched } = await reconstructPrepared(model, test, settings, { signal, onProgress });
    const files = await writeReconstruction(config.output_dir, stitched, {
      algorithm: `PtychoPINN ${config.model.architecture}`,
      sampleIndices: raw.sampleIndices,
      groups,
      geometry: raw.geometry,
      provenance: { scan: raw.source, model: path.join(config.output_dir, 'wts.zip') },
      pictures: { pixelSize_m: raw.geometry.objectPixel_m?.x },
    });
    return { files, image: stitched };
  }

  #failed(failure: PtychoError, bestEpoch: number): PtychoError {
    const bundle = path.join(this.#folder, 'wts.zip');
    const message = `${failure.message.replace(/\.$/, '')}; the best epoch until then (${bestEpoch}) is kept in ${bundle}.`;
    return new PtychoError(failure.code, message, { ...failure.fields, path: bundle }, { cause: failure });
  }
}

/** Which patterns and groups of a scan a run used. */
function usedOf({ raw, groups }: PreparedScan) {
  return {
    sample_indices: Array.from(raw.sampleIndices),
    nn_indices: memberRows(groups),
    skipped_positions: groups.skipped,
  };
}

/** Who trains, as a checkpoint records it. */
function engineOf({ name, engine, device, threads }: BackendInfo): CheckpointEngine {
  return { version: createdBy.version, backend: name, engine, device, threads };
}

/** Where the loop goes on. */
function loopStateOf({ content }: FoundCheckpoint): LoopState {
  const { epoch, history, shuffle, state, positions, bestEpoch, bestWeights, bestPositions } = content;
  return {
    epoch,
    history: history as readonly EpochRecord[],
    shuffle,
    state,
    positions,
    best: { epoch: bestEpoch, weights: bestWeights, positions: bestPositions },
  };
}

/** Figures that an epoch does not have are null to a logger. */
function withoutGaps(record: EpochRecord): Readonly<Record<string, number | null>> & { readonly epoch: number } {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, value ?? null])) as never;
}

/**
 * Training: scans in, a model out, no files written.
 *
 * @example
 * const model = await train({ nepochs: 40, gridsize: 2 }, 'scan.npz', { onProgress: ({ done }) => bar(done) });
 * console.log(model.bundle.training.value, model.bundle.history.length);
 * await model.save('wts.zip');
 * await model.dispose();
 */
import type { Backend } from '../backends/backend.js';
import { trainingDefinition } from '../config/commands.js';
import { resolvePart } from '../config/resolve.js';
import type { PartOf, TrainingRequest } from '../config/schema.js';
import type { Logger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { PtychoNetwork } from '../model/network.js';
import { recordOfScale } from '../model/scale.js';
import type { Bundle } from '../persistence/bundle.js';
import { mlflowAccess } from '../persistence/mlflowArtifacts.js';
import { requireScan, type ScanInput, startEngine, withScan } from '../reconstruction/inputs.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import { constantLoss } from './constantObject.js';
import { forecastText, measuredStep, trainingSeconds, worthForecast } from './forecast.js';
import { freshWeights, type InitialBundle, openInitialBundle, restartSeed } from './init.js';
import { trainLoop } from './loop.js';
import type { LoopState, TrainLoopInput, TrainLoopResult } from './loopState.js';
import { type PreparedTraining, prepareTraining, type TrainingData } from './prepare.js';
import { openedProbe } from './solvedProbe.js';

export type { TrainingData } from './prepare.js';

/** Any part of a training configuration: `{ nepochs: 40, gridsize: 2 }`, or `{ nepochs: 40, model: { gridsize: 2 } }`. */
export interface TrainingOptions extends Omit<PartOf<TrainingRequest>, 'backend'> {
  /** One that was registered may be named, too (`registerBackend`). */
  readonly backend?: TrainingRequest['backend'] | (string & {});
}

/** Scans to learn from: one, or one with another to validate on (else `val_fraction` of the groups validates). */
export type TrainingScans = ScanInput | { readonly train: ScanInput; readonly test?: ScanInput };

/** What else {@link train} takes. */
export interface TrainServices extends Services {
  /** A running engine, which is left running; else the one that `config.backend` names is started. */
  readonly backend?: Backend;
  /** Hears of every complete epoch. */
  readonly onEpoch?: TrainingStart['onEpoch'];
}

/**
 * Trains a network. The model holds the weights of the best epoch, also when cancelled after the first; it runs on the engine that
 * trained it. Files that are named are closed again, open scans stay open; nothing that is passed in is modified.
 * @throws PtychoError for anything wrong with configuration, scan or engine; TRAINING_FAILED when the loss stops being a
 * number; CANCELLED before the first step
 */
export async function train(
  config: TrainingOptions | TrainingRequest,
  data: TrainingScans,
  services: TrainServices = {},
): Promise<PtychoModel> {
  return (await trainScans(config, data, services)).model;
}

/** {@link train}, with everything that is known of the run. */
export async function trainScans(
  config: TrainingOptions | TrainingRequest,
  data: TrainingScans,
  services: TrainServices = {},
): Promise<{ readonly model: PtychoModel; readonly run: TrainedModel }> {
  const { logger, backend: running, onEpoch } = services;
  const { config: request, provenance } = resolvePart(trainingDefinition, config, logger);
  const named = typeof data === 'object' && data !== null && 'train' in data ? data : { train: data };
  requireScan(named.train);
  if (named.test !== undefined) requireScan(named.test);
  return withTrainingScans(request, named, logger, async (scans) => {
    const engine = await startEngine({ backend: running ?? request.backend, execution: request.execution }, logger);
    try {
      const run = await trainModel(request, scans, engine, { provenance, ...services }, { onEpoch });
      return { model: PtychoModel.of(run.content, engine, engine !== running), run };
    } catch (error) {
      if (engine !== running) await engine.dispose();
      throw error;
    }
  });
}

/**
 * Opens the scans that are named and closes them when the work is done; open ones stay open. A named test scan is opened whole:
 * positions and product belong to the training file (those beside the test file are still found).
 * @throws PtychoError as `openRequestedScan`, and what the work throws
 */
export function withTrainingScans<T>(
  asked: TrainingRequest,
  { train, test }: { readonly train: ScanInput; readonly test?: ScanInput },
  logger: Logger | undefined,
  work: (scans: TrainingData) => Promise<T>,
): Promise<T> {
  const request = { ...asked, probe: openedProbe(asked) };
  const data = { ...request.data, positions: null, product: null };
  return withScan(train, request, logger, (trainScan) =>
    test === undefined
      ? work({ train: trainScan })
      : withScan(test, { ...request, n_groups: null, n_subsample: null, data }, logger, (testScan) =>
          work({ train: trainScan, test: testScan }),
        ),
  );
}

/** A trained network with all that is known of it. */
export interface TrainedModel extends PreparedTraining {
  readonly result: TrainLoopResult;
  /** The amplitude loss of the best constant object on the groups that validate, or train where none do. */
  readonly constantLoss: number;
  /** What `saveBundle` takes: weights of the best epoch, scales, statistics, history. */
  readonly content: Bundle;
}

/** How a prepared run starts, and who looks on. */
export interface TrainingStart {
  /** Goes on from here instead of from the first epoch. */
  readonly from?: LoopState;
  /** The weights of the first epoch; those that `config.init` names, or fresh ones, where not given. */
  readonly initial?: InitialBundle;
  /** SHA-256 of the bundle that the run began from, where `from` goes on with it. */
  readonly init?: string | null;
  readonly onEpoch?: TrainLoopInput['onEpoch'];
}

/**
 * Trains on an engine; the best epoch is kept, also when cancelled.
 * @throws PtychoError from engine and data; TRAINING_FAILED when the loss stops being a number; CANCELLED before the first
 * epoch is done.
 */
export async function trainModel(
  request: TrainingRequest,
  data: TrainingData,
  backend: Backend,
  services: Services = {},
  start: TrainingStart = {},
): Promise<TrainedModel> {
  const trained = await trainPrepared(await prepareTraining(request, data, services), backend, services, start);
  if (trained.result.failure) throw trained.result.failure;
  return trained;
}

/** The second half of {@link trainModel}; a run that failed after its first epoch says so in `result.failure`. */
export async function trainPrepared(
  prepared: PreparedTraining,
  backend: Backend,
  services: Services = {},
  start: TrainingStart = {},
): Promise<TrainedModel> {
  const { config, network, training, validation } = prepared;
  const { from, onEpoch } = start;
  const initial =
    start.initial ??
    (config.init !== null && !from
      ? await openInitialBundle(config.init, network, mlflowAccess(config.execution))
      : undefined);
  const began = start.init ?? initial?.sha256;
  const constant = await constantLoss(validation.groups.length > 0 ? validation : training, network.spec);
  if (!from) await forecast(prepared, backend, services);
  const result = await trainLoop({
    config,
    network,
    backend,
    training,
    validation,
    constantLoss: constant,
    from,
    initialWeights: from ? undefined : (initial?.weights ?? (await freshWeights(network, config, training, backend))),
    // Who begins from a bundle does not want its weights to be thrown away.
    restartWeights: began
      ? undefined
      : (restart) => freshWeights(network, { ...config, seed: restartSeed(config.seed, restart) }, training, backend),
    signal: services.signal,
    logger: services.logger,
    onProgress: services.onProgress,
    onEpoch: async (record, view) => {
      services.logger?.debug?.(`epoch ${record.epoch}: loss ${record.loss.toPrecision(5)}`);
      await onEpoch?.(record, view);
    },
  });
  return { ...prepared, result, constantLoss: constant, content: contentOf(prepared, result, backend, began) };
}

/** Says before the first epoch how long all of them will take, where that is worth measuring and somebody listens. */
async function forecast(
  { config, network, training, validation }: PreparedTraining,
  backend: Backend,
  { logger, signal }: Services,
): Promise<void> {
  const groups = training.groups.length;
  if (!logger || signal?.aborted || !worthForecast(config, groups)) return;
  const seconds = async (of: PtychoNetwork) =>
    trainingSeconds(await measuredStep(of, backend, config, training), config, groups, validation.groups.length);
  const scale = network.spec.config.n_filters_scale;
  const whole = await seconds(network);
  if (scale % 2 === 1) {
    logger.info(forecastText(config.nepochs, whole));
    return;
  }
  const model = { ...network.spec.config, n_filters_scale: scale / 2 };
  const half = { scale: scale / 2, seconds: await seconds(new PtychoNetwork({ ...network.spec, config: model })) };
  logger.info(forecastText(config.nepochs, whole, half));
}

function contentOf(
  { config, network, scan }: PreparedTraining,
  result: TrainLoopResult,
  backend: Backend,
  init: string | undefined,
): Bundle {
  const { scale, canvasSide_px, meanAmplitude } = network.spec;
  return {
    createdBy,
    backend: backend.info.name,
    engine: backend.info.engine,
    config,
    canvasSide_px,
    scale: recordOfScale(scale, config.scale_contract_version, scan.raw.domain),
    statistics: {
      meanPower: scan.statistics.meanPower,
      meanCounts: scale.meanCounts,
      meanAmplitude,
      nPatterns: scan.raw.count,
    },
    training: {
      epochs: result.history.length,
      bestEpoch: result.bestEpoch,
      monitor: result.monitored,
      value: result.bestLoss,
      ...(init === undefined ? {} : { init }),
    },
    history: result.history.map((r) => ({ ...r })),
    probe: network.probeOf(result.weights),
    weights: result.weights,
  };
}

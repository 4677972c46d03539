/**
 * From open scans to a trained model, without files: what `train` writes and `runCdiExample` hands back.
 *
 * @example
 * const raw = await openDataset('scan.npz');
 * const backend = await selectBackend(config);
 * const { content } = await trainModel(trainingRequestSchema.parse({ nepochs: 20 }), { train: raw }, backend);
 */
import type { Backend } from '../backends/backend.js';
import type { TrainingRequest } from '../config/schema.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { recordOfScale } from '../model/scale.js';
import type { BundleContent } from '../persistence/bundle.js';
import { mlflowAccess } from '../persistence/mlflowArtifacts.js';
import { freshWeights, type InitialBundle, openInitialBundle } from './init.js';
import { type LoopState, type TrainLoopInput, type TrainLoopResult, trainLoop } from './loop.js';
import { type PreparedTraining, prepareTraining, type TrainingData } from './prepare.js';

export { type PreparedTraining, prepareTraining, type TrainingData } from './prepare.js';

/** A trained network with all that is known of it. */
export interface TrainedModel extends PreparedTraining {
  readonly result: TrainLoopResult;
  /** What `saveBundle` takes: weights of the best epoch, scales, statistics, history. */
  readonly content: BundleContent;
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
  const result = await trainLoop({
    config,
    network,
    backend,
    training,
    validation,
    from,
    initialWeights: from ? undefined : (initial?.weights ?? (await freshWeights(network, config, training, backend))),
    signal: services.signal,
    logger: services.logger,
    onProgress: services.onProgress,
    onEpoch: async (record, view) => {
      services.logger?.debug?.(`epoch ${record.epoch}: loss ${record.loss.toPrecision(5)}`);
      await onEpoch?.(record, view);
    },
  });
  return { ...prepared, result, content: contentOf(prepared, result, backend, start.init ?? initial?.sha256) };
}

function contentOf(
  { config, network, scan }: PreparedTraining,
  result: TrainLoopResult,
  backend: Backend,
  init: string | undefined,
): BundleContent {
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

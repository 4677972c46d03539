/**
 * From open scans to a trained model, without files: what `train` writes and `runCdiExample` hands back.
 *
 * @example
 * const raw = await openDataset('scan.npz');
 * const backend = await selectBackend(config);
 * const { content } = await trainModel(trainingRequestSchema.parse({ nepochs: 20 }), { train: raw }, backend);
 */
import type { Backend } from '../backends/backend.js';
import { finaliseTrainingConfig, type Provenance } from '../config/resolve.js';
import type { TrainingConfig, TrainingRequest } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import { LegacyRng } from '../core/rng.js';
import { checkMetadata, configurationValues } from '../data/metadata.js';
import type { RawData } from '../data/rawData.js';
import { PtychoNetwork } from '../model/network.js';
import { physicsScale, SCALE_CONTRACT_VERSION } from '../model/scale.js';
import type { BundleContent } from '../persistence/bundle.js';
import { probeMask } from '../physics/probe.js';
import { type PreparedScan, prepareScan } from './scan.js';
import type { WorkflowServices } from './services.js';
import { type EpochRecord, type TrainLoopResult, trainLoop } from './trainLoop.js';
import { createdBy } from './version.js';

/** Scans to train and to validate on; without `test` a share of the training groups validates. */
export interface TrainingData {
  readonly train: RawData;
  readonly test?: RawData;
}

/** A trained network with all that is known of it. */
export interface TrainedModel {
  readonly config: TrainingConfig;
  readonly provenance: Provenance;
  readonly network: PtychoNetwork;
  readonly scan: PreparedScan;
  readonly test?: PreparedScan;
  readonly result: TrainLoopResult;
  /** What `saveBundle` takes: weights of the best epoch, scales, statistics, history. */
  readonly content: BundleContent;
}

/** Everything about a training run that can be known before an engine starts. */
export interface PreparedTraining {
  readonly config: TrainingConfig;
  readonly provenance: Provenance;
  readonly network: PtychoNetwork;
  readonly scan: PreparedScan;
  readonly test?: PreparedScan;
}

/**
 * Checks and groups the scans and builds the network.
 * @throws PtychoError for anything wrong with configuration or scans.
 */
export async function prepareTraining(
  request: TrainingRequest,
  data: TrainingData,
  services: WorkflowServices = {},
): Promise<PreparedTraining> {
  const logger = services.logger ?? silentLogger;
  const { train: raw, test: testRaw } = data;
  const { config, provenance, notes } = finaliseTrainingConfig(
    request,
    { N: raw.N, count: raw.count, origin: raw.source, values: configurationValues(raw.metadata) },
    services.provenance,
  );
  for (const note of notes) logger.info(note);
  const used = { N: raw.N, gridsize: config.model.gridsize, nphotons: config.nphotons };
  for (const warning of checkMetadata(raw.metadata, used, raw.source)) logger.warn(warning);
  if (testRaw && testRaw.N !== raw.N) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${testRaw.source} has patterns of ${testRaw.N}×${testRaw.N} pixels, but the training scan ${raw.source} has ${raw.N}×${raw.N}; both must agree.`,
      { found: testRaw.N, expected: raw.N },
    );
  }
  const { gridsize } = config.model;
  const scan = await prepareScan(raw, config, gridsize, logger);
  const test = testRaw && (await prepareScan(testRaw, { ...config, n_groups: null }, gridsize, logger));
  const network = networkFor(config, scan, test, logger);
  logger.info(`${scan.groups.count} groups of ${scan.groups.C}.`);
  return { config, provenance, network, scan, test };
}

/**
 * Trains on an engine; the best epoch is kept, also when cancelled.
 * @throws PtychoError from engine and data; CANCELLED before the first epoch is done.
 */
export async function trainModel(
  request: TrainingRequest,
  data: TrainingData,
  backend: Backend,
  services: WorkflowServices = {},
): Promise<TrainedModel> {
  return trainPrepared(await prepareTraining(request, data, services), backend, services);
}

/** The second half of {@link trainModel}. */
export async function trainPrepared(
  prepared: PreparedTraining,
  backend: Backend,
  services: WorkflowServices = {},
): Promise<TrainedModel> {
  const logger = services.logger ?? silentLogger;
  const { config, network, scan, test } = prepared;
  const split = splitGroups(scan.groups.count, test ? 0 : config.val_fraction, config.seed);
  const result = await trainLoop({
    config,
    network,
    backend,
    training: { dataset: scan.dataset, groups: split.training },
    validation: test
      ? { dataset: test.dataset, groups: Int32Array.from({ length: test.groups.count }, (_, i) => i) }
      : { dataset: scan.dataset, groups: split.validation },
    signal: services.signal,
    onProgress: services.onProgress,
    onEpoch: (record) => {
      warnIfFlat(record, logger);
      logger.debug?.(`epoch ${record.epoch}: loss ${record.loss.toPrecision(5)}`);
    },
  });
  return { ...prepared, result, content: contentOf(prepared, result, backend) };
}

/** Which groups train and which validate: a seeded draw, so that both cover the scan. */
function splitGroups(count: number, fraction: number, seed: number): { training: Int32Array; validation: Int32Array } {
  const held = fraction > 0 && count > 1 ? Math.min(count - 1, Math.max(1, Math.round(count * fraction))) : 0;
  const order = new LegacyRng(seed).permutation(count);
  return {
    training: Int32Array.from(order.slice(held)).sort(),
    validation: Int32Array.from(order.slice(0, held)).sort(),
  };
}

function networkFor(
  config: TrainingConfig,
  scan: PreparedScan,
  test: PreparedScan | undefined,
  logger: Logger,
): PtychoNetwork {
  const { raw, statistics, dataset } = scan;
  if (!raw.probeGuess) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${raw.source} holds no probeGuess: add it to the file or give one with --probe FILE[:key].`,
      {
        key: 'probeGuess',
        path: raw.source,
      },
    );
  }
  const scale = physicsScale(config.model, {
    probe: raw.probeGuess,
    meanPower: statistics.meanPower,
    domain: raw.domain,
    nphotons: config.nphotons,
  });
  if (scale.probeFactor !== 1) {
    logger.info(
      `The probe's power does not fit the counts, so it was scaled by ${scale.probeFactor.toPrecision(4)} to the mean of ${scale.meanCounts.toPrecision(4)} photons per pattern; the object's amplitude is then about 1.`,
    );
  }
  return new PtychoNetwork({
    config: config.model,
    scale,
    canvasSide_px: Math.max(dataset.canvasSide_px, test?.dataset.canvasSide_px ?? 0),
    meanAmplitude: statistics.meanAmplitude,
    nll_weight: config.nll_weight,
    mae_weight: config.mae_weight,
    intensity_scale_trainable: config.intensity_scale_trainable,
    probeMask: config.model.probe_mask ? probeMask(config.model.N).data : undefined,
    badPixels: eitherBad(raw.badPixels, test?.raw.badPixels),
    adam: { beta1: config.adam_beta1, beta2: config.adam_beta2, epsilon: 1e-8 },
  });
}

/** An amplitude that is the same everywhere after the first epochs has learned nothing. */
function warnIfFlat(record: EpochRecord, logger: Logger): void {
  if (record.epoch === 3 && record.amplitude_contrast < 1e-3) {
    logger.warn(
      'The predicted amplitude is flat after three epochs: the network is not learning. Try --mae_weight 1 --nll_weight 0, another --seed or a smaller --learning_rate, and check the probe.',
    );
  }
}

/** A pixel that one of the scans cannot use is used for neither. */
function eitherBad(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.map((bad, i) => bad | b[i]);
}

function contentOf(
  { config, network, scan }: PreparedTraining,
  result: TrainLoopResult,
  backend: Backend,
): BundleContent {
  const { scale, canvasSide_px, meanAmplitude } = network.spec;
  return {
    createdBy,
    backend: backend.info.name,
    engine: backend.info.engine,
    config,
    canvasSide_px,
    scale: {
      version: SCALE_CONTRACT_VERSION,
      domain: scan.raw.domain,
      intensityScale: scale.intensityScale,
      amplitudeGauge: scale.amplitudeGauge,
      probeFactor: scale.probeFactor,
    },
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
    },
    history: result.history.map((r) => ({ ...r })),
    probe: scale.probe,
    weights: result.weights,
  };
}

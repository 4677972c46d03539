/** Everything about a training run that can be known before an engine starts: configuration, groups, labels, network. */

import { finaliseTrainingConfig } from '../config/finalise.js';
import type { TrainingConfig, TrainingRequest } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import { requireEpochMemory, requireMemory } from '../core/memoryBudget.js';
import { integers } from '../core/numbers.js';
import { LegacyRng } from '../core/rng.js';
import type { Provenance, Services } from '../core/services.js';
import { type ComplexTensor, sizeOf } from '../core/tensor.js';
import { counted } from '../core/words.js';
import { findLabels, type LabelSource } from '../data/labels.js';
import { checkMetadata, configurationValues } from '../data/metadata.js';
import { type PreparedScan, prepareScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { needsLabels, PtychoNetwork } from '../model/network.js';
import { type PhysicsScale, physicsScale, recordOfScale, requireCounts } from '../model/scale.js';
import { mlflowAccess } from '../persistence/mlflowArtifacts.js';
import { networkSpec } from '../reconstruction/networkSpec.js';
import { scanForModel } from '../reconstruction/scanForModel.js';
import { networkOfInitial } from './init.js';
import { monitorOf } from './judge.js';
import type { TrainPart } from './programs.js';
import { withSolvedProbe } from './solvedProbe.js';

/** Scans to train and to validate on; without `test` a share of the training groups validates. */
export interface TrainingData {
  readonly train: RawData;
  readonly test?: RawData;
  /** What `probe: solve` came to before, where a run goes on. */
  readonly solvedProbe?: ComplexTensor;
}

/** A run that is ready to start. */
export interface PreparedTraining {
  readonly config: TrainingConfig;
  readonly provenance: Provenance;
  readonly network: PtychoNetwork;
  readonly scan: PreparedScan;
  readonly test?: PreparedScan;
  /** The groups that train, and those that validate (none: nothing does). */
  readonly training: TrainPart & { readonly dataset: PreparedScan['dataset'] };
  readonly validation: TrainPart;
}

/**
 * Checks and groups the scans, finds labels where they are needed, and builds the network.
 * @throws PtychoError for anything wrong with configuration or scans.
 */
export async function prepareTraining(
  request: TrainingRequest,
  data: TrainingData,
  services: Services = {},
): Promise<PreparedTraining> {
  if (request.ensemble > 1) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `ensemble is ${request.ensemble}, but one training gives one network: use trainEnsemble, or the command train, and leave ensemble out here.`,
      { key: 'ensemble', found: request.ensemble },
    );
  }
  const logger = services.logger ?? silentLogger;
  const raw = data.solvedProbe
    ? { ...data.train, probeGuess: data.solvedProbe }
    : await withSolvedProbe(data.train, request, services);
  // Both scans are of one beam.
  const testRaw = data.test && raw !== data.train ? { ...data.test, probeGuess: raw.probeGuess } : data.test;
  const initial =
    request.init === null ? undefined : await networkOfInitial(request.init, mlflowAccess(request.execution));
  const { config, provenance, notes } = finaliseTrainingConfig(
    request,
    {
      N: raw.N,
      count: raw.count,
      origin: raw.source,
      values: configurationValues(raw.metadata),
      initial: initial && { origin: request.init as string, values: initial },
    },
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
  // A misspelt column should not be found out after the first epoch.
  monitorOf(config.execution, true);
  const { gridsize } = config.model;
  // Missing labels are found out before anything is grouped or built.
  const labels = await labelsFor(config, raw, logger);
  const testLabels = testRaw && (await labelsFor(config, testRaw, logger));
  const scan = withLabels(await prepareScan(raw, config, gridsize, logger), labels);
  const grouped = testRaw && (await prepareScan(testRaw, { ...config, n_groups: null }, gridsize, logger));
  const network = withRoom(networkOfScan(config, scan, grouped, logger), config);
  requireRoom(config, network, logger);
  const fed = { scale: recordOfScale(network.spec.scale, config.scale_contract_version, raw.domain) };
  const test = grouped && withLabels(scanForModel(grouped, fed), testLabels);
  logger.info(`${counted(scan.groups.count, 'group')} of ${scan.groups.C}.`);
  const split = splitGroups(scan.groups.count, test ? 0 : config.val_fraction, config.seed);
  return {
    config,
    provenance,
    network,
    scan,
    test,
    training: { dataset: scan.dataset, groups: split.training },
    validation: test
      ? { dataset: test.dataset, groups: integers(test.groups.count) }
      : { dataset: scan.dataset, groups: split.validation },
  };
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

/**
 * Refuses networks whose weights do not fit into memory: each goes with its gradient and two moments of the optimiser; and more
 * epochs than figures can be kept of.
 * @throws PtychoError OUT_OF_MEMORY
 */
function requireRoom(config: TrainingConfig, network: PtychoNetwork, logger: Logger): void {
  const weights = network.parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const filters = `n_filters_scale ${config.model.n_filters_scale}`;
  requireMemory(16 * weights, `The ${weights} weights of a network of ${filters}, with what trains them,`, {
    remedy: 'take a smaller one (--n_filters_scale)',
    logger,
  });
  requireEpochMemory(config.nepochs, '--nepochs');
}

/** The same network on a canvas with room for positions that move. */
function withRoom(network: PtychoNetwork, config: TrainingConfig): PtychoNetwork {
  const margin = positionMargin(config);
  if (margin === 0) return network;
  return new PtychoNetwork({ ...network.spec, canvasSide_px: network.spec.canvasSide_px + 2 * margin });
}

/** How far positions may go, in pixels, where no limit is given; beyond, the corner of a patch leaves the canvas. */
const USUAL_POSITION_ERROR_PX = 3;

/** Room on each side of the canvas for positions that move: a member against the mean of its group. */
function positionMargin({ position_trainable, position_step_limit_px, model }: TrainingConfig): number {
  if (!position_trainable || model.gridsize === 1) return 0;
  return Math.ceil(2 * (position_step_limit_px ?? USUAL_POSITION_ERROR_PX));
}

/**
 * The labels that a configuration needs of a scan; undefined when it needs none.
 * @throws PtychoError DATASET_KEY_MISSING (guard DATA-SUP-001) where it needs them and the scan has none.
 */
async function labelsFor(
  config: Pick<TrainingConfig, 'realspace_weight' | 'realspace_mae_weight' | 'model'>,
  raw: RawData,
  logger?: Logger,
): Promise<LabelSource | undefined> {
  if (!needsLabels({ ...config, config: config.model })) return undefined;
  const labels = await findLabels(raw);
  logger?.info(
    `Known patches: ${labels.origin}; their mean phase of ${labels.meanPhase.toPrecision(3)} rad is left out${labels.knownShare < 1 ? `; ${(100 * labels.knownShare).toFixed(1)} % of their pixels are known, and only those count` : ''}.`,
  );
  return labels;
}

/** A scan whose batches have known patches. */
function withLabels(scan: PreparedScan, labels: LabelSource | undefined): PreparedScan {
  return labels ? { ...scan, dataset: scan.dataset.withLabels(labels) } : scan;
}

/**
 * The network for training on a scan.
 * @throws PtychoError DATASET_KEY_MISSING without a probe, DATASET_UNITS where the scale contract needs counts and a scan has
 * none, and those of {@link physicsScale}.
 */
function networkOfScan(
  config: TrainingConfig,
  { raw, statistics, dataset }: PreparedScan,
  test: PreparedScan | undefined,
  logger: Logger,
): PtychoNetwork {
  if (!raw.probeGuess) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${raw.source} holds no probeGuess: add it to the file, give one with --probe FILE[:key], or have one guessed from the patterns with --probe auto.`,
      {
        key: 'probeGuess',
        path: raw.source,
      },
    );
  }
  if (config.scale_contract_version === 'ci_intensity_v2') {
    for (const part of [raw, ...(test ? [test.raw] : [])]) requireCounts(part.domain, part.source);
  }
  const scale = physicsScale(config.model, {
    probe: raw.probeGuess,
    meanPower: statistics.meanPower,
    domain: raw.domain,
    nphotons: config.nphotons,
    illuminatedPower: dataset.labels?.illuminatedPower,
    contract: config.scale_contract_version,
    intensity: { meanSquaredSum: statistics.meanSquaredIntensity, mean: statistics.meanCountsPerPixel },
  });
  describeProbe(scale, dataset.labels !== undefined, logger);
  return new PtychoNetwork(
    networkSpec(config, {
      scale,
      canvasSide_px: Math.max(dataset.canvasSide_px, test?.dataset.canvasSide_px ?? 0),
      meanAmplitude: statistics.meanAmplitude,
      badPixels: eitherBad(raw.badPixels, test?.raw.badPixels),
      labelShare: labelShareOf(dataset.labels, test?.dataset.labels),
    }),
  );
}

/** One program serves both scans, so that it looks for unknown pixels where either has such. */
function labelShareOf(train: LabelSource | undefined, test: LabelSource | undefined): number | undefined {
  return train && Math.min(train.knownShare, test?.knownShare ?? 1) < 1 ? train.knownShare : undefined;
}

function describeProbe({ probeFactor, meanCounts }: PhysicsScale, labelled: boolean, logger: Logger): void {
  if (probeFactor === 1) return;
  const [factor, photons] = [probeFactor.toPrecision(4), meanCounts.toPrecision(4)];
  logger.info(
    labelled
      ? `The probe was scaled by ${factor}, so that the known patches explain the mean of ${photons} photons per pattern.`
      : `The probe's power does not fit the counts, so it was scaled by ${factor} to the mean of ${photons} photons per pattern; the object's amplitude is then about 1.`,
  );
}

/** A pixel that one of the scans cannot use is used for neither. */
function eitherBad(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.map((bad, i) => bad | b[i]);
}

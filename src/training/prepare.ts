/** Everything about a training run that can be known before an engine starts: configuration, groups, labels, network. */

import { finaliseTrainingConfig } from '../config/finalise.js';
import type { TrainingConfig, TrainingRequest } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import { requireEpochMemory, requireMemory } from '../core/memoryBudget.js';
import { integers } from '../core/numbers.js';
import { LegacyRng } from '../core/rng.js';
import type { Provenance, Services } from '../core/services.js';
import { sizeOf } from '../core/tensor.js';
import { counted } from '../core/words.js';
import { checkMetadata, configurationValues } from '../data/metadata.js';
import { type PreparedScan, prepareScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { PtychoNetwork } from '../model/network.js';
import { recordOfScale } from '../model/scale.js';
import { labelsFor, networkOfScan, withLabels } from '../reconstruction/networkSpec.js';
import { scanForModel } from '../reconstruction/scanForModel.js';
import { monitorOf } from './judge.js';
import type { TrainPart } from './programs.js';

/** Scans to train and to validate on; without `test` a share of the training groups validates. */
export interface TrainingData {
  readonly train: RawData;
  readonly test?: RawData;
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

/** Everything about a training run that can be known before an engine starts: configuration, groups, labels, network. */

import { finaliseTrainingConfig, groupsOf } from '../config/finalise.js';
import type { TrainingConfig, TrainingRequest } from '../config/schema.js';
import { FIELDS_OF_ONE_SCAN } from '../config/schemas/data.js';
import { PtychoError } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import { integers } from '../core/numbers.js';
import { LegacyRng } from '../core/rng.js';
import type { Provenance, Services } from '../core/services.js';
import type { ComplexTensor } from '../core/tensor.js';
import { counted } from '../core/words.js';
import { findLabels, type LabelSource } from '../data/labels.js';
import { checkMetadata, configurationValues } from '../data/metadata.js';
import { MixedDataset } from '../data/mixedDataset.js';
import { DEFAULT_CACHE_BYTES } from '../data/patternCache.js';
import { type PreparedScan, prepareScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { needsLabels, type PtychoNetwork } from '../model/network.js';
import { recordOfScale } from '../model/scale.js';
import { MOST_SCANS } from '../persistence/manifest.js';
import { mlflowAccess } from '../persistence/mlflowArtifacts.js';
import { probeHash } from '../persistence/runState.js';
import { scanForModel } from '../reconstruction/scanForModel.js';
import { networkOfInitial } from './init.js';
import { monitorOf } from './judge.js';
import type { TrainingPart } from './loopState.js';
import { networkOfScans } from './networkOfScans.js';
import type { TrainPart } from './programs.js';
import { withSolvedProbe } from './solvedProbe.js';

/** Scans to train and to validate on; without `test` a share of the training groups validates. */
export interface TrainingData {
  readonly train: RawData;
  /** Further scans for the same network, each with a probe of its own. */
  readonly more?: readonly RawData[];
  readonly test?: RawData;
  /** What `probe: solve` came to before, for each scan, where a run goes on. */
  readonly solvedProbes?: readonly ComplexTensor[];
}

/** One of several scans that a network learns from, or is validated on. */
export interface LearntScan {
  readonly scan: PreparedScan;
  /** SHA-256 of the probe that its file held, also where another was solved for. */
  readonly probeSha256: string;
  /** Its groups among those of all scans: those that train, and those that validate. */
  readonly training: Int32Array;
  readonly validation: Int32Array;
}

/** A run that is ready to start. */
export interface PreparedTraining {
  readonly config: TrainingConfig;
  readonly provenance: Provenance;
  readonly network: PtychoNetwork;
  /** The scan; the first of several. */
  readonly scan: PreparedScan;
  readonly test?: PreparedScan;
  /** All scans in the order of `network.spec.scans`, where there are several; the test scan, if there is one, last. */
  readonly scans?: readonly LearntScan[];
  /** The groups that train, and those that validate (none: nothing does). */
  readonly training: TrainingPart;
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
  const { more = [] } = data;
  checkSeveral(request, 1 + more.length);
  const several = more.length > 0;
  const raws = await solvedScans(request, data, services);
  const [raw] = raws;
  // With one scan both are of one beam; one of several has its own.
  const sharesBeam = !several && raw !== data.train;
  const testRaw = data.test && sharesBeam ? { ...data.test, probeGuess: raw.probeGuess } : data.test;
  for (const other of [...raws, ...(testRaw ? [testRaw] : [])]) requireOneSide(raw, other, raws.includes(other));
  const initial =
    request.init === null ? undefined : await networkOfInitial(request.init, mlflowAccess(request.execution));
  const { config, provenance, notes } = finaliseTrainingConfig(
    request,
    {
      N: raw.N,
      count: raw.count,
      counts: several ? raws.map(({ count }) => count) : undefined,
      origin: raw.source,
      values: configurationValues(raw.metadata),
      initial: initial && { origin: request.init as string, values: initial },
    },
    services.provenance,
  );
  for (const note of notes) logger.info(note);
  for (const { metadata, source } of raws) {
    const used = { N: raw.N, gridsize: config.model.gridsize, nphotons: config.nphotons };
    for (const warning of checkMetadata(metadata, used, source)) logger.warn(warning);
  }
  // A misspelt column should not be found out after the first epoch.
  monitorOf(config.execution, true);
  const { gridsize } = config.model;
  if (!config.phase_subtraction && !needsLabels({ ...config, config: config.model })) {
    logger.info('phase_subtraction false plays no part: this training does not learn from known patches.');
  }
  // Missing labels are found out before anything is grouped or built.
  const labels: (LabelSource | undefined)[] = [];
  for (const one of raws) labels.push(await labelsFor(config, one, logger));
  const testLabels = testRaw && (await labelsFor(config, testRaw, logger));
  const keepBytes = shareOfMemory(raws.length + (testRaw ? 1 : 0), several);
  const scans: PreparedScan[] = [];
  for (const [i, one] of raws.entries()) {
    const n_groups = groupsOf(config.n_groups, one.count, several);
    scans.push(withLabels(await prepareScan(one, { ...config, n_groups }, gridsize, logger, { keepBytes }), labels[i]));
  }
  const [scan] = scans;
  const grouped =
    testRaw && (await prepareScan(testRaw, { ...config, n_groups: null }, gridsize, logger, { keepBytes }));
  const labelled = grouped && withLabels(grouped, testLabels);
  const photons = several ? photonsOf(config, provenance) : () => config.nphotons;
  const network = networkOfScans(config, scans, { test: labelled, several, photons, logger });
  if (several) {
    const all = [...scans, ...(labelled ? [labelled] : [])];
    const opened = [data.train, ...more, ...(data.test ? [data.test] : [])];
    const learnt = learntScans(all, opened.map(probeHash), labelled, config);
    const dataset = new MixedDataset(all.map((one) => one.dataset));
    logger.info(
      `${counted(raws.length, 'scan')}: ${scans.map(({ raw: { source }, groups }) => `${source} ${counted(groups.count, 'group')}`).join(', ')}, of ${scan.groups.C} each.`,
    );
    return {
      ...{ config, provenance, network, scan, test: labelled, scans: learnt },
      training: { dataset, groups: joined(learnt.map((one) => one.training)) },
      validation: { dataset, groups: joined(learnt.map((one) => one.validation)) },
    };
  }
  const fed = { scale: recordOfScale(network.spec.scale, config.scale_contract_version, raw.domain) };
  const test = labelled && scanForModel(labelled, fed);
  logger.info(`${counted(scan.groups.count, 'group')} of ${scan.groups.C}.`);
  const split = splitGroups(scan.groups.count, test ? 0 : config.val_fraction, config.seed);
  return {
    ...{ config, provenance, network, scan, test },
    training: { dataset: scan.dataset, groups: split.training },
    validation: test
      ? { dataset: test.dataset, groups: integers(test.groups.count) }
      : { dataset: scan.dataset, groups: split.validation },
  };
}

/** @throws PtychoError CONFIG_INVALID for what cannot be said of several scans at once */
export function checkSeveral({ data: opening, num_datasets }: TrainingRequest, count: number): void {
  if (num_datasets !== null && num_datasets !== count) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `num_datasets is ${num_datasets}, but ${counted(count, 'scan')} ${count === 1 ? 'is' : 'are'} given to train on; name as many, or leave num_datasets out.`,
      { key: 'num_datasets', found: num_datasets, expected: count },
    );
  }
  if (count > MOST_SCANS) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `There are ${count} scans to train on, more than the ${MOST_SCANS} that a bundle describes; choose some of them.`,
      { key: 'train_data_files', found: count, expected: MOST_SCANS },
    );
  }
  const field = count === 1 ? undefined : FIELDS_OF_ONE_SCAN.find((name) => opening[name] !== null);
  if (field === undefined) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `${field} belongs to one scan, but there are ${count} to train on; leave it out, and have "ptychopinn convert" write each scan that needs it into a file of its own.`,
    { key: field, found: opening[field] },
  );
}

/** The scans with the probes that were solved for, where they are. */
async function solvedScans(
  request: TrainingRequest,
  { train, more = [], solvedProbes }: TrainingData,
  services: Services,
): Promise<RawData[]> {
  const solved: RawData[] = [];
  for (const [i, raw] of [train, ...more].entries()) {
    const probe = solvedProbes?.[i];
    solved.push(probe ? { ...raw, probeGuess: probe } : await withSolvedProbe(raw, request, services));
  }
  return solved;
}

/** @throws PtychoError DATASET_SHAPE for patterns of two sizes */
function requireOneSide(first: RawData, other: RawData, trains: boolean): void {
  if (other.N === first.N) return;
  throw new PtychoError(
    'DATASET_SHAPE',
    trains
      ? `${other.source} has patterns of ${other.N}×${other.N} pixels, but ${first.source} has ${first.N}×${first.N}: one network takes patterns of one size; cut them all alike with --crop_px, pad them with --pad_to, or train a network for each size.`
      : `${other.source} has patterns of ${other.N}×${other.N} pixels, but the training scan ${first.source} has ${first.N}×${first.N}; both must agree.`,
    { path: other.source, found: other.N, expected: first.N },
  );
}

/** What each of several scans may keep in memory, so that all of them together keep no more than one does; bytes. */
export function shareOfMemory(scans: number, several: boolean): number | undefined {
  return several ? Math.floor(DEFAULT_CACHE_BYTES / scans) : undefined;
}

/** Photons per pattern of a scan that holds normalised amplitudes: what is asked for, or else what its own file says. */
function photonsOf(config: TrainingConfig, provenance: Provenance): (raw: RawData) => number {
  const { source } = provenance.nphotons ?? { source: 'default' };
  if (source !== 'default' && source !== 'metadata') return () => config.nphotons;
  return ({ metadata }) => {
    const { nphotons } = configurationValues(metadata);
    return typeof nphotons === 'number' ? nphotons : config.nphotons;
  };
}

/** Which groups of each scan train and validate: a share of each, or all of the test scan, which trains none. */
function learntScans(
  scans: readonly PreparedScan[],
  probes: readonly string[],
  test: PreparedScan | undefined,
  { val_fraction, seed }: TrainingConfig,
): LearntScan[] {
  let first = 0;
  return scans.map((scan, i) => {
    const { count } = scan.groups;
    const probeSha256 = probes[i];
    const from = (groups: Int32Array) => groups.map((group) => group + offset);
    const offset = first;
    first += count;
    if (scan === test) return { scan, probeSha256, training: new Int32Array(0), validation: from(integers(count)) };
    const { training, validation } = splitGroups(count, test ? 0 : val_fraction, seed);
    return { scan, probeSha256, training: from(training), validation: from(validation) };
  });
}

function joined(parts: readonly Int32Array[]): Int32Array {
  return Int32Array.from(parts.flatMap((part) => Array.from(part)));
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
 * The labels that a configuration needs of a scan; undefined when it needs none.
 * @throws PtychoError DATASET_KEY_MISSING (guard DATA-SUP-001) where it needs them and the scan has none.
 */
async function labelsFor(
  config: Pick<TrainingConfig, 'realspace_weight' | 'realspace_mae_weight' | 'phase_subtraction' | 'model'>,
  raw: RawData,
  logger?: Logger,
): Promise<LabelSource | undefined> {
  if (!needsLabels({ ...config, config: config.model })) return undefined;
  const labels = await findLabels(raw, { phaseSubtraction: config.phase_subtraction });
  const phase = config.phase_subtraction
    ? `their mean phase of ${labels.meanPhase.toPrecision(3)} rad is left out`
    : 'phases as they are';
  logger?.info(
    `Known patches: ${labels.origin}; ${phase}${labels.knownShare < 1 ? `; ${(100 * labels.knownShare).toFixed(1)} % of their pixels are known, and only those count` : ''}.`,
  );
  return labels;
}

/** A scan whose batches have known patches. */
function withLabels(scan: PreparedScan, labels: LabelSource | undefined): PreparedScan {
  return labels ? { ...scan, dataset: scan.dataset.withLabels(labels) } : scan;
}

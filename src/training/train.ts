/**
 * Training: scans in, a model out, no files written.
 *
 * @example
 * const model = await train({ nepochs: 40, gridsize: 2 }, 'scan.npz', { onProgress: ({ done }) => bar(done) });
 * console.log(model.bundle.training.value, model.bundle.history.length);
 * await model.save('wts.zip');
 * await model.dispose();
 */
import path from 'node:path';
import type { Backend } from '../backends/backend.js';
import { requirePeers, startEngines } from '../backends/peers.js';
import { trainingDefinition } from '../config/commands.js';
import { resolvePart } from '../config/resolve.js';
import type { PartOf, TrainingConfig, TrainingRequest } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import type { PreparedScan } from '../data/preparedScan.js';
import { PtychoNetwork } from '../model/network.js';
import { recordOfScale } from '../model/scale.js';
import { weightsOfScan } from '../model/scanWeights.js';
import type { Bundle } from '../persistence/bundle.js';
import type { BundleScan, BundleStatistics } from '../persistence/content.js';
import { mlflowAccess } from '../persistence/mlflowArtifacts.js';
import { ownWeights } from '../persistence/scans.js';
import { requireScan, type ScanInput, withScan } from '../reconstruction/inputs.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import { constantLoss } from './constantObject.js';
import { forecastText, measuredStep, trainingSeconds, worthForecast } from './forecast.js';
import { freshWeights, type InitialBundle, openInitialBundle, restartSeed } from './init.js';
import { trainLoop } from './loop.js';
import type { JudgedScan, LoopState, TrainLoopInput, TrainLoopResult } from './loopState.js';
import {
  checkSeveral,
  type LearntScan,
  type PreparedTraining,
  prepareTraining,
  shareOfMemory,
  type TrainingData,
} from './prepare.js';
import { openedProbe } from './solvedProbe.js';

export type { TrainingData } from './prepare.js';

/** Any part of a training configuration: `{ nepochs: 40, gridsize: 2 }`, or `{ nepochs: 40, model: { gridsize: 2 } }`. */
export interface TrainingOptions extends Omit<PartOf<TrainingRequest>, 'backend'> {
  /** One that was registered may be named, too (`registerBackend`). */
  readonly backend?: TrainingRequest['backend'] | (string & {});
}

/**
 * Scans to learn from: one, or several, each with its own probe; maybe with another to validate on (else `val_fraction` of the groups of
 * each validates).
 */
export type TrainingScans =
  | ScanInput
  | readonly ScanInput[]
  | { readonly train: ScanInput | readonly ScanInput[]; readonly test?: ScanInput };

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
  const { test } = named;
  const [first, ...more] = [named.train].flat() as ScanInput[];
  if (running) requirePeers(running, request.execution);
  for (const scan of [first, ...more]) requireScan(scan);
  if (test !== undefined) requireScan(test);
  return withTrainingScans(request, { train: first, more, test }, logger, async (scans) => {
    const engine = running ?? (await startEngines(request, logger));
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
  { train, more = [], test }: NamedScans,
  logger: Logger | undefined,
  work: (scans: TrainingData) => Promise<T>,
): Promise<T> {
  checkSeveral(asked, 1 + more.length);
  const request = { ...asked, probe: openedProbe(asked) };
  const data = { ...request.data, positions: null, product: null };
  const keepBytes = shareOfMemory(1 + more.length + (test === undefined ? 0 : 1), more.length > 0);
  const withTest = (scans: TrainingData) =>
    test === undefined
      ? work(scans)
      : withScan(
          test,
          { ...request, n_groups: null, n_subsample: null, data },
          logger,
          (testScan) => work({ ...scans, test: testScan }),
          { keepBytes },
        );
  // One after the other, each closed after those that came later.
  const withMore = (scans: TrainingData, left: readonly ScanInput[]): Promise<T> =>
    left.length === 0
      ? withTest(scans)
      : withScan(
          left[0],
          request,
          logger,
          (next) => withMore({ ...scans, more: [...(scans.more ?? []), next] }, left.slice(1)),
          { keepBytes },
        );
  return withScan(train, request, logger, (first) => withMore({ train: first }, more), { keepBytes });
}

/** The scans of a training as they were named, or open. */
export interface NamedScans {
  readonly train: ScanInput;
  readonly more?: readonly ScanInput[];
  readonly test?: ScanInput;
}

/** A trained network with all that is known of it. */
export interface TrainedModel extends PreparedTraining {
  readonly result: TrainLoopResult;
  /** The amplitude loss of the best constant object on the groups that validate, or train where none do. */
  readonly constantLoss: number;
  /** The same of each scan, where there are several. */
  readonly judged?: readonly JudgedScan[];
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
  requireWork(backend, training.groups.length);
  const initial =
    start.initial ??
    (config.init !== null && !from
      ? await openInitialBundle(config.init, network, mlflowAccess(config.execution))
      : undefined);
  const began = start.init ?? initial?.sha256;
  const judged = prepared.scans && (await judgedScans(prepared, prepared.scans));
  const constant = judged
    ? meanConstant(judged, prepared.scans as readonly LearntScan[])
    : await constantLoss(validation.groups.length > 0 ? validation : training, network.spec);
  if (!from) await forecast(prepared, backend, services);
  const groups = { ...training, scans: prepared.scans?.map(groupsOfScan) };
  const fresh = (seed: number) => freshWeights(network, { ...config, seed }, groups, backend);
  // What each scan has for itself is its own also where the network is another's.
  const given =
    initial && (isWhole(network, initial) ? initial.weights : { ...(await fresh(config.seed)), ...initial.weights });
  const result = await trainLoop({
    config,
    network,
    backend,
    training,
    validation,
    scans: judged,
    constantLoss: constant,
    from,
    initialWeights: from ? undefined : (given ?? (await fresh(config.seed))),
    // Who begins from a bundle does not want its weights to be thrown away.
    restartWeights: began ? undefined : (restart) => fresh(restartSeed(config.seed, restart)),
    signal: services.signal,
    logger: services.logger,
    onProgress: services.onProgress,
    onEpoch: async (record, view) => {
      services.logger?.debug?.(`epoch ${record.epoch}: loss ${record.loss.toPrecision(5)}`);
      await onEpoch?.(record, view);
    },
  });
  return { ...prepared, result, constantLoss: constant, judged, content: contentOf(prepared, result, backend, began) };
}

/** @throws PtychoError CONFIG_INVALID where some workers would never have a group */
function requireWork({ peers = [] }: Backend, groups: number): void {
  const workers = 1 + peers.length;
  if (groups >= workers) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `There are ${workers} workers, but only ${groups === 1 ? '1 group trains' : `${groups} groups train`}; give ${groups} workers at most.`,
    { key: 'devices', found: workers, expected: groups },
  );
}

/** The groups by which a scan is known: those that train, or all that validate where none trains. */
const groupsOfScan = ({ training, validation }: LearntScan): Int32Array =>
  training.length > 0 ? training : validation;

const isWhole = ({ parameters }: PtychoNetwork, { weights }: InitialBundle): boolean =>
  parameters.every(({ name }) => Object.hasOwn(weights, name));

/** Each of several scans with what it must beat. */
async function judgedScans(
  { network, training }: PreparedTraining,
  scans: readonly LearntScan[],
): Promise<JudgedScan[]> {
  const judged: JudgedScan[] = [];
  for (const [i, { scan, validation, training: own }] of scans.entries()) {
    const groups = validation.length > 0 ? validation : own;
    const constant = await constantLoss({ dataset: training.dataset, groups }, network.ofScan(i).spec);
    judged.push({ name: path.basename(scan.raw.source), validation, constantLoss: constant });
  }
  return judged;
}

/** The loss of constant objects on all groups that are judged. */
function meanConstant(judged: readonly JudgedScan[], scans: readonly LearntScan[]): number {
  const counts = scans.map(({ validation, training }, i) =>
    judged.some((one) => one.validation.length > 0) ? judged[i].validation.length : validation.length + training.length,
  );
  const total = counts.reduce((a, b) => a + b, 0);
  return judged.reduce((sum, { constantLoss: each }, i) => sum + (each * counts[i]) / total, 0);
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
  { config, network, scan, scans }: PreparedTraining,
  result: TrainLoopResult,
  backend: Backend,
  init: string | undefined,
): Bundle {
  const known = scans?.map((one, i) => bundleScan(one, i, network, result, config));
  const first = known?.[0];
  return {
    createdBy,
    backend: backend.info.name,
    engine: backend.info.engine,
    config,
    canvasSide_px: network.spec.canvasSide_px,
    scale: first?.scale ?? recordOfScale(network.spec.scale, config.scale_contract_version, scan.raw.domain),
    statistics: first?.statistics ?? statisticsOf(network, scan),
    training: {
      epochs: result.history.length,
      bestEpoch: result.bestEpoch,
      monitor: result.monitored,
      value: result.bestLoss,
      ...(init === undefined ? {} : { init }),
    },
    history: result.history.map((r) => ({ ...r })),
    probe: first?.probe ?? network.probeOf(result.weights),
    weights: weightsOfScan(network, result.weights, 0),
    ...(known ? { scans: known } : {}),
  };
}

function statisticsOf({ spec }: PtychoNetwork, { statistics, raw }: PreparedScan): BundleStatistics {
  return {
    meanPower: statistics.meanPower,
    meanCounts: spec.scale.meanCounts,
    meanAmplitude: spec.meanAmplitude,
    nPatterns: raw.count,
  };
}

/** What the bundle keeps of one of several scans. */
function bundleScan(
  { scan, training, probeSha256 }: LearntScan,
  index: number,
  all: PtychoNetwork,
  { weights }: TrainLoopResult,
  config: TrainingConfig,
): BundleScan {
  const network = all.ofScan(index);
  const own = weightsOfScan(all, weights, index);
  return {
    name: path.basename(scan.raw.source),
    role: training.length > 0 ? 'train' : 'validation',
    probeSha256,
    scale: recordOfScale(network.spec.scale, config.scale_contract_version, scan.raw.domain),
    statistics: statisticsOf(network, scan),
    probe: network.probeOf(own),
    weights: ownWeights(own),
  };
}

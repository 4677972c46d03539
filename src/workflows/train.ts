/**
 * `train`: a scan in, a bundle out. Writes `wts.zip`, `history.csv`, `config.json` and `run.json` to `output_dir`.
 *
 * @example
 * const summary = await trainWorkflow(trainingRequestSchema.parse({ train_data_file: 'scan.npz', output_dir: 'run' }));
 */
import path from 'node:path';
import { describeEngine, selectBackend } from '../backends/select.js';
import { finaliseTrainingConfig, type Provenance } from '../config/resolve.js';
import type { TrainingConfig, TrainingRequest } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { type Logger, type ProgressSink, silentLogger } from '../core/log.js';
import { LegacyRng } from '../core/rng.js';
import { encodeOnnx } from '../formats/onnx/encode.js';
import { PtychoNetwork } from '../model/network.js';
import { physicsScale, SCALE_CONTRACT_VERSION } from '../model/scale.js';
import { type BundleContent, saveBundle } from '../persistence/bundle.js';
import { encodeHistory } from '../persistence/history.js';
import { probeMask } from '../physics/probe.js';
import { json, makeOutputFolder, writeAtomically } from './files.js';
import { openScan, type PreparedScan, prepareScan } from './scan.js';
import { type EpochRecord, type TrainLoopResult, trainLoop } from './trainLoop.js';
import { createdBy } from './version.js';

export interface WorkflowServices {
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  readonly logger?: Logger;
  readonly provenance?: Provenance;
}

export interface TrainSummary {
  readonly epochs: number;
  readonly bestEpoch: number;
  readonly bestLoss: number;
  readonly monitored: string;
  readonly seconds: number;
  readonly patternsPerSecond: number;
  readonly outputDir: string;
  readonly cancelled: boolean;
  /** Where it ran. */
  readonly device: 'cpu' | 'cuda';
  readonly history: readonly EpochRecord[];
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
 * Trains a network on a scan and saves the best epoch, also when cancelled.
 * @throws PtychoError for anything wrong with configuration, scan, engine or output folder; nothing half-written stays.
 */
export async function trainWorkflow(request: TrainingRequest, services: WorkflowServices = {}): Promise<TrainSummary> {
  const logger = services.logger ?? silentLogger;
  if (request.train_data_file === null) {
    throw new PtychoError('CONFIG_INVALID', 'train_data_file is not given: name the NPZ scan to train on.', {
      key: 'train_data_file',
    });
  }
  const raw = await openScan(request.train_data_file, request, logger);
  const test =
    request.test_data_file === null
      ? undefined
      : await openScan(request.test_data_file, { ...request, n_groups: null, n_subsample: null }, logger);
  try {
    const { config, provenance } = finaliseTrainingConfig(
      request,
      { N: raw.N, origin: raw.source },
      services.provenance,
    );
    if (test && test.N !== raw.N) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `${test.source} has patterns of ${test.N}×${test.N} pixels, but the training scan ${raw.source} has ${raw.N}×${raw.N}; both must agree.`,
        { found: test.N, expected: raw.N },
      );
    }
    const { gridsize } = config.model;
    const scan = await prepareScan(raw, config, gridsize);
    const testScan = test && (await prepareScan(test, { ...config, n_groups: null }, gridsize));
    const network = await networkFor(config, scan, testScan, logger);
    logger.info(`${scan.groups.count} groups of ${scan.groups.C}.`);
    await makeOutputFolder(config.output_dir);
    const backend = await selectBackend(config.backend, config.execution, logger);
    try {
      logger.info(describeEngine(backend.info));
      const split = splitGroups(scan.groups.count, testScan ? 0 : config.val_fraction, config.seed);
      const result = await trainLoop({
        config,
        network,
        backend,
        training: { dataset: scan.dataset, groups: split.training },
        validation: testScan
          ? { dataset: testScan.dataset, groups: Int32Array.from({ length: testScan.groups.count }, (_, i) => i) }
          : { dataset: scan.dataset, groups: split.validation },
        signal: services.signal,
        onProgress: services.onProgress,
        onEpoch: (record) => {
          warnIfFlat(record, logger);
          logger.debug?.(`epoch ${record.epoch}: loss ${record.loss.toPrecision(5)}`);
        },
      });
      await writeRun(config, provenance, network, scan, result, backend.info);
      return {
        epochs: result.history.length,
        bestEpoch: result.bestEpoch,
        bestLoss: result.bestLoss,
        monitored: result.monitored,
        seconds: result.seconds,
        patternsPerSecond: result.patternsSeen / result.seconds,
        outputDir: config.output_dir,
        cancelled: result.cancelled,
        device: backend.info.device,
        history: result.history,
      };
    } finally {
      await backend.dispose();
    }
  } finally {
    await raw.close();
    await test?.close();
  }
}

async function networkFor(
  config: TrainingConfig,
  scan: PreparedScan,
  test: PreparedScan | undefined,
  logger: Logger,
): Promise<PtychoNetwork> {
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

async function writeRun(
  config: TrainingConfig,
  provenance: Provenance,
  network: PtychoNetwork,
  scan: PreparedScan,
  result: TrainLoopResult,
  engine: {
    readonly name: 'onnx' | 'tensorflow';
    readonly engine: string;
    readonly device: string;
    readonly threads: number;
  },
): Promise<void> {
  const { scale, canvasSide_px, meanAmplitude } = network.spec;
  const content: BundleContent = {
    createdBy,
    backend: engine.name,
    engine: engine.engine,
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
  const folder = config.output_dir;
  await writeAtomically(path.join(folder, 'history.csv'), encodeHistory(content.history));
  await writeAtomically(path.join(folder, 'config.json'), json({ config, provenance }));
  await saveBundle(path.join(folder, 'wts.zip'), content, (entries) =>
    encodeOnnx(network.predict(2), {
      externalData: { location: 'weights.safetensors', entries },
      twin: network.predict(3),
    }),
  );
  await writeAtomically(
    path.join(folder, 'run.json'),
    json({
      finished: new Date().toISOString(),
      cancelled: result.cancelled,
      seconds: result.seconds,
      patterns_per_second: result.patternsSeen / result.seconds,
      train_data_file: config.train_data_file,
      sample_indices: Array.from(scan.raw.sampleIndices),
      backend: engine,
      node: process.version,
      version: createdBy.version,
    }),
  );
}

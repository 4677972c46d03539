/**
 * `train`: a scan in, a bundle out. Writes `wts.zip`, `history.csv`, `config.json` and `run.json` to `output_dir`.
 *
 * @example
 * const summary = await trainWorkflow(trainingRequestSchema.parse({ train_data_file: 'scan.npz', output_dir: 'run' }));
 */
import path from 'node:path';
import type { BackendInfo } from '../backends/backend.js';
import { describeEngine, selectBackend } from '../backends/select.js';
import type { TrainingRequest } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import { encodeOnnx } from '../formats/onnx/encode.js';
import { saveBundle } from '../persistence/bundle.js';
import { encodeHistory } from '../persistence/history.js';
import { json, makeOutputFolder, writeAtomically } from './files.js';
import { memberRows, openScan } from './scan.js';
import type { WorkflowServices } from './services.js';
import type { EpochRecord } from './trainLoop.js';
import { prepareTraining, type TrainedModel, trainPrepared } from './trainModel.js';
import { createdBy } from './version.js';

export type { WorkflowServices } from './services.js';

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

/**
 * Trains a network on a scan and saves the best epoch, also when cancelled.
 * @throws PtychoError for anything wrong with configuration, scan, engine or output folder; nothing half-written stays.
 */
export async function trainWorkflow(request: TrainingRequest, services: WorkflowServices = {}): Promise<TrainSummary> {
  const logger = services.logger ?? silentLogger;
  if (request.train_data_file === null) {
    throw new PtychoError('CONFIG_INVALID', 'train_data_file is not given: name the scan to train on.', {
      key: 'train_data_file',
    });
  }
  const train = await openScan(request.train_data_file, request, logger);
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
    const { config } = prepared;
    await makeOutputFolder(config.output_dir);
    const backend = await selectBackend(config, logger);
    try {
      logger.info(describeEngine(backend.info));
      const trained = await trainPrepared(prepared, backend, services);
      const { result } = trained;
      await writeRun(trained, backend.info);
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
    await train.close();
    await test?.close();
  }
}

async function writeRun(
  { config, provenance, network, scan, result, content }: TrainedModel,
  engine: BackendInfo,
): Promise<void> {
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
      nn_indices: memberRows(scan.groups),
      skipped_positions: scan.groups.skipped,
      backend: engine,
      node: process.version,
      version: createdBy.version,
    }),
  );
}

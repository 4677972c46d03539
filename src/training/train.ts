/**
 * `train(config, data)`: a scan in, a model out, no files written.
 *
 * @example
 * const model = await train({ nepochs: 40, model: { gridsize: 2 } }, 'scan.npz', { onProgress: ({ done }) => bar(done) });
 * console.log(model.bundle.training.value, model.bundle.history.length);
 * await model.save('wts.zip');
 * await model.dispose();
 */
import type { Backend } from '../backends/backend.js';
import { trainingDefinition } from '../config/commands.js';
import type { DataConfig, ExecutionConfig, ModelConfig, TrainingRequest } from '../config/schema.js';
import type { Services } from '../core/services.js';
import { completeConfig, type ScanInput, startEngine, withScan } from '../reconstruction/inputs.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import { type TrainedModel, type TrainingStart, trainModel } from './trainModel.js';

/** Any part of a training configuration; the rest has its defaults (docs/configuration.md). */
export type TrainingOptions = Partial<Omit<TrainingRequest, 'model' | 'data' | 'execution'>> & {
  readonly model?: Partial<ModelConfig>;
  readonly data?: Partial<DataConfig>;
  readonly execution?: Partial<ExecutionConfig>;
};

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
  const { logger, backend: running } = services;
  const request = completeConfig(trainingDefinition, config, logger);
  const scans = typeof data === 'object' && 'train' in data ? data : { train: data };
  const work = async (trainScan: Parameters<Parameters<typeof withScan>[3]>[0], test?: typeof trainScan) => {
    const engine = await startEngine({ backend: running ?? request.backend, execution: request.execution }, logger);
    try {
      const run = await trainModel(request, { train: trainScan, test }, engine, services, {
        onEpoch: services.onEpoch,
      });
      return { model: PtychoModel.of(run.content, engine, engine !== running), run };
    } catch (error) {
      if (engine !== running) await engine.dispose();
      throw error;
    }
  };
  const { test } = scans;
  return withScan(scans.train, request, logger, (trainScan) =>
    test === undefined
      ? work(trainScan)
      : withScan(test, requestForTest(request), logger, (testScan) => work(trainScan, testScan)),
  );
}

/** A named test scan is opened whole; positions and product belong to the training file. */
function requestForTest(request: TrainingRequest): TrainingRequest {
  return { ...request, n_groups: null, n_subsample: null, data: { ...request.data, positions: null, product: null } };
}

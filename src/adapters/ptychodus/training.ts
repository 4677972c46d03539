/** Training for a host: scans of a folder in, outputs epoch by epoch, a saved bundle at the end. */

import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Backend } from '../../backends/backend.js';
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { openScan } from '../../data/findings/survey.js';
import { nphotonsOf } from '../../data/metadata.js';
import type { RawData } from '../../data/rawData.js';
import type { HistoryRow } from '../../persistence/history.js';
import type { PtychoModel } from '../../reconstruction/ptychoModel.js';
import { trainScans } from '../../training/train.js';
import { withObjectLabels } from './input.js';
import type { LibraryLog } from './logger.js';
import { lossValues } from './output.js';
import { type ModelType, trainingFromSettings } from './settings/configs.js';
import type { PtychoPinnSettings } from './settings/settings.js';
import { RESULT_CANCELLED, RESULT_OK, type TrainOutput } from './types.js';

/** What the host calls the files of a folder to train on. */
export const TRAIN_FILE = 'train_data.npz';
const TEST_FILE = 'test_data.npz';

/** Scans to train and to validate on, open. */
export interface TrainingFolder {
  readonly train: RawData;
  readonly test?: RawData;
}

/** A model that was trained, and the file in which it was saved. */
export interface TrainedInto {
  readonly model: PtychoModel;
  readonly file: string;
}

/** What {@link runTraining} needs. */
export interface TrainingJob {
  readonly scans: TrainingFolder;
  readonly outputDir: string;
  readonly signal?: AbortSignal;
  readonly settings: PtychoPinnSettings;
  readonly modelType: ModelType;
  readonly backend?: 'onnx' | 'tensorflow';
  readonly engine?: Backend;
  readonly log: LibraryLog;
  /** Gets the model, which is saved by then. */
  readonly take: (trained: TrainedInto) => Promise<void>;
}

/** True where a path is a file. */
export async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}

/**
 * Opens `train_data.npz` and, where there is one, `test_data.npz`.
 * @throws PtychoError FILE_NOT_FOUND, and those of opening a scan
 */
export async function openTrainingFolder(
  folder: string,
  modelType: ModelType,
  log: LibraryLog,
  accept: readonly string[] = [],
): Promise<TrainingFolder> {
  const [train, test] = [path.join(folder, TRAIN_FILE), path.join(folder, TEST_FILE)];
  if (!(await isFile(train))) {
    throw new PtychoError(
      'FILE_NOT_FOUND',
      `The folder ${folder} holds no ${TRAIN_FILE}; export training data to it first (and ${TEST_FILE} to validate on, if there is another scan).`,
      { path: train },
    );
  }
  const open = async (file: string) => {
    const raw = await openScan(file, { accept: [...accept], logger: log });
    return modelType === 'supervised' ? withObjectLabels(raw, log) : raw;
  };
  const opened = await open(train);
  try {
    if (await isFile(test)) return { train: opened, test: await open(test) };
    log.info(`There is no ${TEST_FILE} in ${folder}, so a share of ${TRAIN_FILE} validates.`);
    return { train: opened };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Trains, saves, hands the model over; leaving the loop stops the work. Scans stay open. */
export async function* runTraining(job: TrainingJob): AsyncGenerator<TrainOutput, void, void> {
  const stop = new AbortController();
  const signal = job.signal ? AbortSignal.any([job.signal, stop.signal]) : stop.signal;
  const outputs = new Channel<TrainOutput>();
  const done = work(job, signal, outputs).then(
    () => outputs.close(),
    (error: unknown) => outputs.fail(error),
  );
  try {
    yield* outputs;
  } finally {
    stop.abort();
    outputs.abandon();
    await done;
  }
}

async function work(job: TrainingJob, signal: AbortSignal, outputs: Channel<TrainOutput>): Promise<void> {
  const { settings, scans, log } = job;
  const { config, notes } = trainingFromSettings(settings, job.modelType, job.backend);
  for (const note of notes) log.warn(note);
  const nphotons = nphotonsOf(scans.train.metadata);
  if (nphotons !== undefined && nphotons !== config.nphotons) {
    log.info(
      `${scans.train.source} says ${nphotons} photons per pattern, which replaces NumPhotons = ${config.nphotons}.`,
    );
  }
  const goal = settings.training.numEpochs.value;
  const history: HistoryRow[] = [];
  const output = (rows: readonly HistoryRow[], progress: number, result: number): TrainOutput => ({
    trainingLoss: lossValues(rows, 'loss'),
    validationLoss: lossValues(rows, 'val_loss'),
    progress,
    progressGoal: goal,
    result,
  });
  let trained: Awaited<ReturnType<typeof trainScans>>;
  try {
    trained = await trainScans({ ...config, nphotons: nphotons ?? config.nphotons }, scans, {
      signal,
      logger: log,
      backend: job.engine,
      onEpoch: (record) => {
        history.push({ ...record });
        // The last epoch is told when the model is saved.
        return record.epoch < goal ? outputs.put(output(history, record.epoch, RESULT_OK)) : undefined;
      },
    });
  } catch (error) {
    if (!isPtychoError(error, 'CANCELLED')) throw error;
    log.warn('Training was stopped before its first step, so there is no new model.');
    await outputs.put(output([], 0, RESULT_CANCELLED));
    return;
  }
  const { model, run } = trained;
  const file = await model.save(job.outputDir).catch(async (error: unknown) => {
    await model.dispose();
    throw error;
  });
  await job.take({ model, file });
  const { cancelled, bestEpoch, monitored, bestLoss } = run.result;
  log.info(
    `${cancelled ? 'Stopped' : 'Trained'} after ${run.result.history.length} epochs; the best (${bestEpoch}, ${monitored} ${bestLoss.toPrecision(5)}) is saved in ${file}.`,
  );
  const rows = run.result.history.map((row) => ({ ...row }));
  await outputs.put(output(rows, cancelled ? rows.length : goal, cancelled ? RESULT_CANCELLED : RESULT_OK));
}

/**
 * A queue between work that tells what it does and a loop that listens: who puts something in waits until it was taken out.
 *
 * @example
 * const channel = new Channel<number>();
 * void channel.put(1).then(() => channel.close());
 * for await (const n of channel) console.log(n);
 */
export class Channel<T> implements AsyncIterable<T> {
  #waiting: { readonly value: T; readonly taken: () => void }[] = [];
  #wake: (() => void) | undefined;
  #closed = false;
  #error: { readonly cause: unknown } | undefined;

  /** Resolves when the value was taken, at once where nobody listens any more. */
  put(value: T): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((taken) => {
      this.#waiting.push({ value, taken });
      this.#wake?.();
    });
  }

  /** No more values; what waits is still delivered. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** No more values; the loop throws `cause` behind those that wait. */
  fail(cause: unknown): void {
    this.#error ??= { cause };
    this.close();
  }

  /** The listener is gone: lets go of those who wait. */
  abandon(): void {
    this.#closed = true;
    for (const { taken } of this.#waiting) taken();
    this.#waiting = [];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next) {
          next.taken();
          yield next.value;
        } else if (this.#closed) {
          if (this.#error) throw this.#error.cause;
          return;
        } else {
          await new Promise<void>((wake) => {
            this.#wake = wake;
          });
        }
      }
    } finally {
      this.abandon();
    }
  }
}

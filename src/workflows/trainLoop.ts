/** The loop over epochs and batches, apart from files: network + backend + data in, best weights and history out. */
import type { Backend, Compiled, DeviceState } from '../backends/backend.js';
import type { TrainingConfig } from '../config/schema.js';
import { throwIfCancelled } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import type { ProgressSink } from '../core/log.js';
import { LegacyRng } from '../core/rng.js';
import type { Tensor } from '../core/tensor.js';
import type { DiffractionDataset } from '../data/dataset.js';
import type { Program } from '../graph/program.js';
import type { PtychoNetwork } from '../model/network.js';
import { learningRateSchedule } from '../model/schedule.js';

/** One line of `history.csv`. Losses are means over patterns; null where there is no validation data. */
export interface EpochRecord {
  readonly epoch: number;
  readonly learning_rate: number;
  readonly loss: number;
  readonly nll: number;
  readonly mae: number;
  readonly val_loss: number | null;
  readonly val_nll: number | null;
  readonly val_mae: number | null;
  readonly amplitude_contrast: number;
}

export interface TrainLoopInput {
  readonly config: TrainingConfig;
  readonly network: PtychoNetwork;
  readonly backend: Backend;
  readonly training: { readonly dataset: DiffractionDataset; readonly groups: Int32Array };
  /** Held-out groups, of the same or of another data set. */
  readonly validation?: { readonly dataset: DiffractionDataset; readonly groups: Int32Array };
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  readonly onEpoch?: (record: EpochRecord) => Promise<void> | void;
}

export interface TrainLoopResult {
  readonly history: readonly EpochRecord[];
  readonly bestEpoch: number;
  readonly bestLoss: number;
  readonly monitored: 'val_loss' | 'loss';
  /** Weights of the best epoch. */
  readonly weights: Record<string, Tensor>;
  readonly cancelled: boolean;
  readonly seconds: number;
  readonly patternsSeen: number;
}

/** Means of outputs, weighted by the groups of each batch. */
class Averages {
  readonly #sums = new Map<string, number>();
  #count = 0;

  add(outputs: Readonly<Record<string, Tensor>>, groups: number): void {
    for (const [name, t] of Object.entries(outputs))
      this.#sums.set(name, (this.#sums.get(name) ?? 0) + t.data[0] * groups);
    this.#count += groups;
  }

  mean(name: string): number {
    return (this.#sums.get(name) ?? Number.NaN) / this.#count;
  }

  get count(): number {
    return this.#count;
  }
}

/** Compiles a program for each batch size once. */
class ProgramCache {
  readonly #compiled = new Map<number, Promise<Compiled>>();
  constructor(
    readonly backend: Backend,
    readonly build: (batch: number) => Program,
  ) {}

  get(batch: number): Promise<Compiled> {
    let c = this.#compiled.get(batch);
    if (!c) {
      c = this.backend.compile(this.build(batch));
      this.#compiled.set(batch, c);
    }
    return c;
  }
}

/** Yields batches of group indices with their arrays, reading the next batch while the engine works on this one. */
async function* batches(dataset: DiffractionDataset, groups: Int32Array, size: number) {
  const load = (start: number) => {
    const indices = groups.subarray(start, Math.min(groups.length, start + size));
    return dataset.batch(indices).then((arrays) => ({ indices, arrays, start }));
  };
  let next = groups.length > 0 ? load(0) : undefined;
  while (next) {
    const current = await next;
    const after = current.start + size;
    next = after < groups.length ? load(after) : undefined;
    // A failure of the read-ahead is reported when its turn comes, not as an unhandled rejection.
    next?.catch(() => {});
    yield current;
  }
}

/**
 * Trains and keeps the weights of the best epoch by the monitored loss (`val_loss` where there is validation data).
 * Cancelling ends after the running step and keeps the best epoch so far (within the first epoch: its steps so far).
 *
 * @throws PtychoError TRAINING_FAILED when the loss stops being a number, CANCELLED when cancelled before the first step.
 */
export async function trainLoop(input: TrainLoopInput): Promise<TrainLoopResult> {
  const { config, network, backend, training, validation, signal } = input;
  const weightNames = network.parameters.map((p) => p.name);
  const initial = network.initialWeights(config.seed);
  const state = await backend.createState({ ...initial, ...network.initialOptimiserState() });
  const steps = new ProgramCache(backend, (b) => network.trainStep(b));
  const evaluations = new ProgramCache(backend, (b) => network.evaluate(b));
  const schedule = learningRateSchedule(config);
  // A stream of its own: weights and shuffling stay independent of each other.
  const shuffle = new LegacyRng((config.seed + 1) >>> 0);
  const C = network.spec.config.gridsize ** 2;
  const monitored = validation && validation.groups.length > 0 ? 'val_loss' : 'loss';

  const history: EpochRecord[] = [];
  let best = { epoch: 0, loss: Number.POSITIVE_INFINITY, weights: initial };
  let patternsSeen = 0;
  let cancelled = false;
  const total = config.nepochs * training.groups.length;
  const started = performance.now();

  for (let epoch = 0; epoch < config.nepochs && !cancelled; epoch++) {
    const order = Int32Array.from(shuffle.permutation(training.groups.length), (i) => training.groups[i]);
    const averages = new Averages();
    for await (const { indices, arrays, start } of batches(training.dataset, order, config.batch_size)) {
      if (signal?.aborted) {
        cancelled = true;
        break;
      }
      const rate = schedule.rate(epoch + start / order.length);
      const step = await steps.get(indices.length);
      const feeds = { input: arrays.diffraction, input_positions: arrays.positions, learning_rate: scalarTensor(rate) };
      averages.add(await step.run(feeds, state), indices.length);
      patternsSeen += indices.length * C;
      const loss = averages.mean('loss');
      if (!Number.isFinite(loss)) throw diverged(epoch, rate);
      input.onProgress?.({
        stage: 'training',
        done: epoch * order.length + start + indices.length,
        total,
        unit: 'groups',
        note: `epoch ${epoch + 1}/${config.nepochs}, loss ${loss.toPrecision(4)}`,
      });
    }
    // Stopped within the first epoch there is no epoch to keep: the steps done so far become one.
    if (cancelled && (history.length > 0 || averages.count === 0)) break;
    const held =
      monitored === 'val_loss' && validation
        ? await evaluateGroups(evaluations, validation, config.batch_size, state)
        : undefined;
    const record: EpochRecord = {
      epoch: epoch + 1,
      learning_rate: schedule.rate(epoch),
      loss: averages.mean('loss'),
      nll: averages.mean('nll'),
      mae: averages.mean('mae'),
      val_loss: held?.mean('loss') ?? null,
      val_nll: held?.mean('nll') ?? null,
      val_mae: held?.mean('mae') ?? null,
      amplitude_contrast: averages.mean('amplitude_contrast'),
    };
    history.push(record);
    const watched = record[monitored] ?? record.loss;
    schedule.epochEnded(watched);
    if (watched < best.loss) best = { epoch: record.epoch, loss: watched, weights: await state.read(weightNames) };
    await input.onEpoch?.(record);
  }
  const seconds = (performance.now() - started) / 1000;
  await state.dispose();
  if (history.length === 0) throwIfCancelled(signal, 'Training');
  return {
    history,
    bestEpoch: best.epoch,
    bestLoss: best.loss,
    monitored,
    weights: best.weights,
    cancelled,
    seconds,
    patternsSeen,
  };
}

async function evaluateGroups(
  programs: ProgramCache,
  part: { readonly dataset: DiffractionDataset; readonly groups: Int32Array },
  batchSize: number,
  state: DeviceState,
): Promise<Averages> {
  const averages = new Averages();
  for await (const { indices, arrays } of batches(part.dataset, part.groups, batchSize)) {
    const program = await programs.get(indices.length);
    averages.add(
      await program.run({ input: arrays.diffraction, input_positions: arrays.positions }, state),
      indices.length,
    );
  }
  return averages;
}

function scalarTensor(value: number): Tensor {
  return { data: Float32Array.of(value), shape: [] };
}

function diverged(epoch: number, rate: number): PtychoError {
  return new PtychoError(
    'TRAINING_FAILED',
    `The loss is no longer a number in epoch ${epoch + 1} (learning rate ${rate}): lower --learning_rate, or check that probe and patterns have the same units with "ptychopinn inspect".`,
    { epoch: epoch + 1, learning_rate: rate },
  );
}

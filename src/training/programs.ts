/** The programs of training: what a network must have, the batches that its programs are fed, and means of what they answer. */
import type { Backend, DeviceState } from '../backends/backend.js';
import { ProgramCache } from '../backends/programs.js';
import { PtychoError } from '../core/errors.js';
import { readAhead } from '../core/inOrder.js';
import type { LegacyRng } from '../core/rng.js';
import type { Tensor } from '../core/tensor.js';
import type { DatasetBatch, DiffractionDataset } from '../data/dataset.js';
import type { ParameterSpec } from '../graph/parameters.js';
import type { Program } from '../graph/program.js';
import type { ProgramOptions, StepKind } from '../model/network.js';

/** A network with the programs of training; `PtychoNetwork` is one. */
export interface TrainableNetwork {
  readonly parameters: readonly Pick<ParameterSpec, 'name' | 'shape' | 'fixed'>[];
  /** Steps also move statistics of the batches that they see, which shares of a batch do not have. */
  readonly keepsStatistics?: boolean;
  initialWeights(seed: number): Record<string, Tensor>;
  initialOptimiserState(): Record<string, Tensor>;
  trainStep(batch: number, kind?: StepKind): Program;
  accumulateStep(batch: number, options?: Omit<ProgramOptions, 'averaged'>): Program;
  applyStep(kind?: StepKind): Program;
  evaluate(batch: number, options?: ProgramOptions): Program;
  /** What `pattern_spread` is of amplitudes that shares of a batch predicted; needed where these bring them. */
  spread?(batch: number): Program;
}

/** Groups of one data set. */
export interface TrainPart {
  readonly dataset: Pick<DiffractionDataset, 'batch'>;
  readonly groups: Int32Array;
}

/** A batch, and where its groups begin in the order of the epoch. */
export interface LoadedBatch {
  readonly indices: Int32Array;
  readonly arrays: DatasetBatch;
  readonly start: number;
}

/** How many batches are read ahead where nothing is said. */
export const DEFAULT_PREFETCH = 2;

/**
 * Yields batches of `size` groups (the last one may be smaller) in the given order, reading up to `ahead` further ones
 * meanwhile. A failed read is thrown when its turn comes.
 */
export function batchesOf(
  { dataset, groups }: TrainPart,
  size: number,
  ahead: number = DEFAULT_PREFETCH,
): AsyncGenerator<LoadedBatch> {
  const starts = Array.from({ length: Math.ceil(groups.length / size) }, (_, i) => i * size);
  const load = async (start: number) => {
    const indices = groups.subarray(start, Math.min(groups.length, start + size));
    return { indices, arrays: await dataset.batch(indices), start };
  };
  return readAhead(starts.values(), load, ahead);
}

/** Everything that a program may ask for: each is made only when it is declared. */
export type Available = Readonly<Record<string, Tensor | undefined>>;

/** The arrays of a batch by the names of inputs; `positions` replaces those of the data set. */
export function batchFeeds(arrays: DatasetBatch, positions: Tensor = arrays.positions): Available {
  const { labels } = arrays;
  return {
    input: arrays.diffraction,
    input_positions: positions,
    scan: arrays.scan,
    label_real: labels && { data: labels.re, shape: labels.shape },
    label_imag: labels && { data: labels.im, shape: labels.shape },
  };
}

/** The members of each group in another order, drawn by `rng`: patterns, positions, labels and their numbers alike. */
export function permutedMembers(arrays: DatasetBatch, rng: LegacyRng): DatasetBatch {
  const [batch, channels] = arrays.diffraction.shape;
  const order = Array.from({ length: batch }, (_, b) =>
    Array.from(rng.permutation(channels), (c) => b * channels + c),
  ).flat();
  const moved = <A extends Float32Array | Int32Array>(data: A): A => {
    const each = data.length / order.length;
    const out = data.slice() as A;
    order.forEach((k, i) => {
      out.set(data.subarray(k * each, (k + 1) * each), i * each);
    });
    return out;
  };
  const tensor = ({ data, shape }: Tensor): Tensor => ({ data: moved(data), shape });
  const { labels } = arrays;
  return {
    ...arrays,
    diffraction: tensor(arrays.diffraction),
    positions: tensor(arrays.positions),
    members: moved(arrays.members),
    ...(labels && { labels: { re: moved(labels.re), im: moved(labels.im), shape: labels.shape } }),
  };
}

/** Numbers as feeds. */
export function scalarFeeds(values: Readonly<Record<string, number>>): Available {
  return Object.fromEntries(Object.entries(values).map(([name, v]) => [name, { data: Float32Array.of(v), shape: [] }]));
}

/**
 * What a program declares, out of what there is.
 * @throws PtychoError GRAPH_INVALID for an input that training cannot feed.
 */
function feedsFor(program: Program, available: Available): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const name of program.inputs.keys()) {
    const value = available[name];
    if (value === undefined) {
      throw new PtychoError('GRAPH_INVALID', `${program.name} asks for "${name}", which training does not have.`, {
        program: program.name,
        input: name,
      });
    }
    feeds[name] = value;
  }
  return feeds;
}

/** The programs of each batch size, compiled when they are first needed. */
export class FedPrograms {
  readonly #programs: ProgramCache<number>;

  constructor(
    backend: Backend,
    private readonly build: (batch: number) => Program,
  ) {
    this.#programs = new ProgramCache(backend);
  }

  /** Runs the program of a batch size with those of the available arrays that it declares. */
  async run(batch: number, available: Available, state: DeviceState): Promise<Record<string, Tensor>> {
    const { program, compiled } = await this.#programs.get(batch, () => this.build(batch));
    return compiled.run(feedsFor(program, available), state);
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }
}

/** Means of scalar outputs, weighted by the groups of each batch. */
export class Averages {
  readonly #sums = new Map<string, { sum: number; count: number }>();

  add(outputs: Readonly<Record<string, Tensor>>, groups: number): void {
    for (const [name, t] of Object.entries(outputs)) {
      if (t.data.length !== 1) continue;
      const entry = this.#sums.get(name) ?? { sum: 0, count: 0 };
      entry.sum += t.data[0] * groups;
      entry.count += groups;
      this.#sums.set(name, entry);
    }
  }

  /** Takes over what others added up. */
  addAll(others: Averages): void {
    for (const [name, { sum, count }] of others.#sums) {
      const entry = this.#sums.get(name) ?? { sum: 0, count: 0 };
      this.#sums.set(name, { sum: entry.sum + sum, count: entry.count + count });
    }
  }

  has(name: string): boolean {
    return this.#sums.has(name);
  }

  /** NaN for an output that never came. */
  mean(name: string): number {
    const entry = this.#sums.get(name);
    return entry ? entry.sum / entry.count : Number.NaN;
  }
}

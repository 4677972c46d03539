/**
 * Training on several engines at once (`devices`): every batch is shared out by groups, each engine adds up the gradients of its share,
 * the sums are added in shared memory, the first engine takes the step of the optimiser, and the others copy its weights.
 *
 * The sums are always added in the order of the engines, so that two runs are the same bytes. Weights are copied, not computed again,
 * so that no engine drifts away, and optimiser and averages exist once.
 */
import type { Backend, DeviceState } from '../backends/backend.js';
import { isPtychoError, messageOf, PtychoError } from '../core/errors.js';
import { sizeOf, type Tensor } from '../core/tensor.js';
import type { Program } from '../graph/program.js';
import { accumulatedName, averagedName, sumsOfGradients } from '../model/trainingSteps.js';
import { joinedFigures } from '../model/watch.js';
import { type Available, FedPrograms, type TrainableNetwork } from './programs.js';

/** What runs programs on a batch: one engine, or several on a share each. */
export type BatchPrograms = Pick<FedPrograms, 'dispose'> & {
  run(groups: number, available: Available): Promise<Record<string, Tensor>>;
};

/** Programs of one engine on one state. */
export function aloneOn(programs: FedPrograms, state: DeviceState): BatchPrograms {
  return {
    run: (groups, available) => programs.run(groups, available, state),
    dispose: () => programs.dispose(),
  };
}

interface Worker {
  readonly backend: Backend;
  readonly state: DeviceState;
}

/** Where a batch of some groups is cut, as even as it can be: the last of more workers than groups get none. */
export function sharesOf(groups: number, workers: number): { readonly start: number; readonly end: number }[] {
  const [each, rest] = [Math.floor(groups / workers), groups % workers];
  let start = 0;
  return Array.from({ length: workers }, (_, i) => {
    const end = start + each + (i < rest ? 1 : 0);
    const share = { start, end };
    start = end;
    return share;
  });
}

export class Crew {
  readonly #workers: readonly Worker[];
  /** A part for each engine, as long as all parameters are. */
  readonly #memory: SharedArrayBuffer;
  readonly #part: number;
  readonly #spreads: FedPrograms;
  /** Names of what is trained, and of everything. */
  readonly #trained: readonly string[];
  readonly #parameters: readonly string[];
  readonly #count: number;

  private constructor(network: TrainableNetwork, workers: readonly Worker[]) {
    this.#workers = workers;
    const lengthOf = (parameters: TrainableNetwork['parameters']) =>
      parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    const trained = network.parameters.filter(({ fixed }) => !fixed);
    this.#trained = trained.map(({ name }) => name);
    this.#parameters = network.parameters.map(({ name }) => name);
    this.#count = lengthOf(trained);
    this.#part = lengthOf(network.parameters);
    this.#memory = new SharedArrayBuffer(4 * this.#part * workers.length);
    this.#spreads = new FedPrograms(workers[0].backend, (b) => network.spread!(b));
  }

  /**
   * Puts what a training begins with on the engine, and on the others where it has any.
   * @param values weights and optimiser
   * @param averaged the others will evaluate averages of weights, too
   * @returns the state of the engine, which is the caller's, and who shares the work; undefined where the engine is alone
   */
  static async begin(
    network: TrainableNetwork,
    backend: Backend,
    values: Readonly<Record<string, Tensor>>,
    averaged: boolean,
  ): Promise<{ readonly state: DeviceState; readonly crew: Crew | undefined }> {
    const { peers } = backend;
    if (!peers) return { state: await backend.createState(values), crew: undefined };
    if (network.keepsStatistics) {
      throw new PtychoError(
        'CONFIG_INVALID',
        'batch_norm normalises over a batch, of which each of several engines sees a share only; train on one (leave out workers and devices), or without batch_norm.',
        { field: 'batch_norm' },
      );
    }
    const trained = network.parameters.filter(({ fixed }) => !fixed);
    const sums = sumsOfGradients(trained);
    const needed = [
      ...network.parameters.map(({ name }) => name),
      ...(averaged ? trained.map(({ name }) => averagedName(name)) : []),
    ];
    const copied = Object.fromEntries(needed.map((name) => [name, values[name]]));
    const state = await backend.createState({ ...sums, ...values });
    const workers: Worker[] = [{ backend, state }];
    for (const peer of peers) workers.push({ backend: peer, state: await peer.createState({ ...sums, ...copied }) });
    return { state, crew: new Crew(network, workers) };
  }

  get size(): number {
    return this.#workers.length;
  }

  /** Programs whose batches are shared out; `build` makes that of a share. */
  programs(build: (groups: number) => Program): BatchPrograms {
    const programs = this.#workers.map(({ backend }) => new FedPrograms(backend, build));
    return {
      run: async (groups, available) => {
        const shares = sharesOf(groups, this.size).filter(({ start, end }) => end > start);
        const outputs = await this.#all(shares.length, (i) => {
          const { start, end } = shares[i];
          return programs[i].run(end - start, shareOf(available, groups, start, end), this.#workers[i].state);
        });
        return this.#joined(
          outputs.map((share, i) => ({ outputs: share, groups: shares[i].end - shares[i].start })),
          groups,
          available,
        );
      },
      dispose: async () => {
        for (const each of programs) await each.dispose();
      },
    };
  }

  /** Adds up the sums of gradients of all engines in the state of the first; those of the others are zero afterwards. */
  async gather(): Promise<void> {
    const sums = this.#trained.map(accumulatedName);
    const offsets = this.#workers.map((_, i) => i * this.#part);
    await this.#all(this.size, (i) =>
      this.#workers[i].state.copyOut!(sums, { memory: this.#memory, offset: offsets[i] }, i > 0),
    );
    // Each adds a part of the numbers; every number in the order of the engines.
    const slices = sharesOf(this.#count, this.size);
    await this.#all(this.size, (i) => {
      const { start, end } = slices[i];
      const own = offsets.map((offset) => offset + start);
      return this.#workers[i].backend.addUp!({ memory: this.#memory, offsets: own, count: end - start });
    });
    await this.#all(1, () => this.#workers[0].state.copyIn!(sums, { memory: this.#memory, offset: 0 }));
  }

  /** Gives the others the weights of the first engine after a step. */
  spread(): Promise<void> {
    return this.#copy(this.#trained);
  }

  /** Gives them everything that is not trained, too. */
  spreadAll(): Promise<void> {
    return this.#copy(this.#parameters);
  }

  /** Gives them the averages of weights. */
  spreadAverages(): Promise<void> {
    return this.#copy(this.#trained.map(averagedName));
  }

  async #copy(names: readonly string[]): Promise<void> {
    const place = { memory: this.#memory, offset: 0 };
    await this.#all(1, () => this.#workers[0].state.copyOut!(names, place));
    await this.#all(this.size, (i) => (i === 0 ? Promise.resolve() : this.#workers[i].state.copyIn!(names, place)));
  }

  /** Releases what the others hold. */
  async dispose(): Promise<void> {
    await this.#spreads.dispose();
    for (const { state } of this.#workers.slice(1)) await state.dispose();
  }

  /** What the whole batch comes to. */
  async #joined(
    shares: readonly { readonly outputs: Record<string, Tensor>; readonly groups: number }[],
    groups: number,
    available: Available,
  ): Promise<Record<string, Tensor>> {
    const { outputs, predicted } = joinedFigures(shares, groups);
    if (predicted === undefined || groups < 2) return outputs;
    const { input, scan } = available;
    const spread = await this.#spreads.run(groups, { input, scan, predicted }, this.#workers[0].state);
    return { ...outputs, ...spread };
  }

  /** Waits for all, and says which of them failed. */
  async #all<T>(count: number, work: (worker: number) => Promise<T>): Promise<T[]> {
    const settled = await Promise.allSettled(Array.from({ length: count }, (_, i) => work(i)));
    const failed = settled.findIndex(({ status }) => status === 'rejected');
    if (failed >= 0) throw this.#failure(failed, (settled[failed] as PromiseRejectedResult).reason);
    return settled.map((each) => (each as PromiseFulfilledResult<T>).value);
  }

  #failure(worker: number, error: unknown): unknown {
    if (!isPtychoError(error, 'ENGINE_FAILURE')) return error;
    const message = `Worker ${worker + 1} of ${this.size} failed, and the training ends with it: ${messageOf(error)}`;
    return new PtychoError(error.code, message, { ...error.fields, worker: worker + 1 }, { cause: error });
  }
}

/** Groups `start` to `end` of everything that has a row for each; numbers as they are, but the weight of the share. */
function shareOf(available: Available, groups: number, start: number, end: number): Available {
  const rows = ({ data, shape }: Tensor): Tensor => {
    const each = data.length / groups;
    return { data: data.subarray(start * each, end * each), shape: [end - start, ...shape.slice(1)] };
  };
  const shares = Object.entries(available).map(([name, value]) => [
    name,
    value === undefined || value.shape.length === 0 ? value : rows(value),
  ]);
  return { ...Object.fromEntries(shares), batch_weight: { data: Float32Array.of(end - start), shape: [] } };
}

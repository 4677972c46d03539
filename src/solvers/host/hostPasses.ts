/** Passes on the processor: SIMD in WebAssembly, the patterns of a batch shared out among threads. */
import { PtychoError } from '../../core/errors.js';
import { integers } from '../../core/numbers.js';
import { evenSideRemedy } from '../../networks/sides.js';
import { FieldMemory, type FieldSums, fieldsAt, planesAt, takeScratch } from '../fieldMemory.js';
import {
  addCurvatures,
  type Curvatures,
  type Direction,
  MOMENTS,
  type PassesOptions,
  type PassRequest,
  type PassSums,
  pointsOf,
  type SolverScan,
  type Statistics,
  SumsOfPasses,
  type WavePasses,
} from '../wavePasses.js';
import { takeTransfers } from './freeSpace.js';
import { fitsKernels } from './kernels.js';
import { callsOf, Passes } from './passes.js';
import type { PassSetup } from './passSetup.js';
import type { Range } from './planeSteps.js';
import type { ThreadCalls } from './seat.js';
import { Team } from './team.js';

/** What a thread is told or tells of a pattern, and of each coherent mode. */
const MAIL_BYTES = 128;

/** How often the event loop has its turn. */
const TURN_MS = 5;

/** How a {@link HostPasses} is opened. */
export interface HostPassesOptions extends PassesOptions {
  readonly threads: number;
  /** The largest batch that will be kept; 0: none is. */
  readonly keep: number;
}

export class HostPasses implements WavePasses {
  readonly name = 'host';
  readonly description: string;
  readonly memory: FieldMemory;
  /** What the caller's own thread does. */
  readonly #own: ThreadCalls;
  /** The other threads; undefined where there are none. */
  readonly #team: Team | undefined;
  /** Sums of the threads after the first, which adds to those of the memory. */
  readonly #others: readonly FieldSums[];
  /** Which patterns of the batch that was kept each thread had: their places in it. */
  #shares: readonly Int32Array[] = [];
  /** When the event loop last had its turn. */
  #turned = 0;

  /**
   * @throws PtychoError CONFIG_INVALID for a side that the transforms cannot take, DATASET_VALUE for fields beyond 4 GiB,
   * BACKEND_MISSING where the package was not built
   */
  static async open(options: HostPassesOptions): Promise<HostPasses> {
    const { N } = options.scan;
    if (!fitsKernels(N)) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `The passes of the host take patterns of even sides from 4, not ${N}; use those of programs (--passes program), ${evenSideRemedy(N)}.`,
        { N },
      );
    }
    const points = options.scan.ways?.points ?? 1;
    const memory = new FieldMemory({ N, ...options.sizes, points });
    const sums = [memory.sums, ...Array.from({ length: options.threads - 1 }, () => memory.sumPlanes())];
    const room = Math.max(1, Math.ceil(options.keep / options.threads));
    const stored = options.storeWaves ? options.scan.count * points * options.sizes.modes * 2 * N * N : 0;
    const waves = new Float32Array(new SharedArrayBuffer(4 * stored));
    const transfers = takeTransfers(memory, options.scan.propagation);
    const setups = sums.map(
      (own): PassSetup => ({
        memory: memory.wasm,
        sizes: memory.sizes,
        fields: fieldsAt(memory),
        scratch: takeScratch(memory, room, own, options.bends),
        transfers,
        // Who loads patterns stays here.
        scan: { ...options.scan, stream: undefined },
        waves,
        floor: options.floor,
      }),
    );
    const passes = new HostPasses(memory, setups[0], sums.slice(1), waves, options.scan);
    await passes.#team?.open(memory.module, setups.slice(1));
    return passes;
  }

  private constructor(
    memory: FieldMemory,
    setup: PassSetup,
    others: readonly FieldSums[],
    private readonly waves: Float32Array<SharedArrayBuffer>,
    private readonly scan: SolverScan,
  ) {
    this.memory = memory;
    this.#others = others;
    this.#own = callsOf(new Passes(memory.kernels, setup));
    if (others.length > 0) {
      const team = new Team(others.length, MAIL_BYTES * (setup.scan.count + 256) * (1 + (memory.sizes.coherent ?? 0)));
      this.#team = team;
      memory.shareSteps((steps) => team.run(memory.kernels, steps));
    }
    const threads = others.length + 1;
    this.description = `SIMD on the processor, ${threads === 1 ? 'one thread' : `${threads} threads`}`;
  }

  async pass(batch: Int32Array, request: PassRequest): Promise<PassSums> {
    await this.#turn();
    await this.scan.stream?.load(batch);
    const shares = this.#sharesOf(batch);
    const { object = false, probe = false, background, accumulate } = request;
    const rows = shares.map((share, t) => (object ? this.#rowsOf(batch, share, t === 0 && accumulate) : NO_ROWS));
    // What other threads found before is in the sums already.
    const later = { ...request, accumulate: false };
    const parts = await this.#all('pass', (t) => [patternsOf(batch, shares[t]), t === 0 ? request : later, rows[t]]);
    const what = { object, probe, background: !!background && this.memory.sizes.background !== undefined };
    this.memory.addSums(this.#others, this.memory.sums, what, rows);
    if (request.keep) this.#shares = shares;
    const total = new SumsOfPasses();
    for (const part of parts) total.add(part);
    return total;
  }

  async products(): Promise<Float64Array> {
    return this.#inOrder(await this.#all('products', () => []), 6);
  }

  async moves(): Promise<Float64Array> {
    return this.#inOrder(await this.#all('moves', () => []), 5);
  }

  async correlations(): Promise<Float64Array> {
    return this.#inOrder(await this.#all('correlations', () => []), 5);
  }

  async stretches(): Promise<Float64Array> {
    return this.#inOrder(await this.#all('stretches', () => []), MOMENTS);
  }

  async beamProducts(): Promise<Float64Array> {
    const columns = 3 * (this.memory.sizes.coherent ?? 0);
    return this.#inOrder(await this.#all('beamProducts', () => []), columns);
  }

  async beamSums(weights: Float64Array): Promise<void> {
    const columns = this.memory.sizes.coherent ?? 0;
    const rowsOf = (t: number) =>
      Float64Array.from({ length: this.#shares[t].length * columns }, (_, i) => {
        const row = this.#shares[t][Math.floor(i / columns)];
        return weights[row * columns + (i % columns)];
      });
    await this.#all('beamSums', (t) => [rowsOf(t)]);
    for (const part of this.#others) this.memory.addPlanes(part.variation, this.memory.sums.variation);
  }

  async curvatures(batch: Int32Array, along: readonly Direction[], statistics?: Statistics): Promise<Curvatures> {
    await this.scan.stream?.load(batch);
    const at = along.map(({ object, probe }) => ({ object: planesAt(object), probe: planesAt(probe) }));
    const shares = this.#sharesOf(batch);
    return addCurvatures(await this.#all('curvatures', (t) => [patternsOf(batch, shares[t]), at, statistics]));
  }

  async deviances(batch: Int32Array, raised?: boolean): Promise<Float64Array> {
    await this.scan.stream?.load(batch);
    const shares = this.#sharesOf(batch);
    return inOrder(shares, await this.#all('deviances', (t) => [patternsOf(batch, shares[t]), raised]), 1);
  }

  storedWaves(): Float32Array<SharedArrayBuffer> {
    return this.waves;
  }

  async close(): Promise<void> {
    this.memory.shareSteps(undefined);
    await this.#team?.close();
  }

  /** The event loop may turn before a pass, for signals and whoever waits; not each time, because that takes as long as a small pattern. */
  async #turn(): Promise<void> {
    if (performance.now() - this.#turned < TURN_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#turned = performance.now();
  }

  /** Places in the batch for each thread, of patterns that lie below each other: each has rows of its own to add up, but for where these meet. */
  #sharesOf(batch: Int32Array): Int32Array[] {
    const count = this.#others.length + 1;
    const { ys } = this.scan;
    const places = integers(batch.length);
    if (count === 1) return [places];
    places.sort((i, j) => ys[batch[i]] - ys[batch[j]] || i - j);
    const edge = (t: number) => Math.ceil((batch.length * t) / count);
    return Array.from({ length: count }, (_, t) => places.slice(edge(t), edge(t + 1)));
  }

  /** Rows of the object in which patterns lie. @param all rows, whatever the patterns */
  #rowsOf(batch: Int32Array, places: Int32Array, all = false): Range {
    const { height, width } = this.memory.sizes;
    if (all || this.#others.length === 0) return { from: 0, end: height };
    if (places.length === 0) return NO_ROWS;
    let [from, end] = [height, 0];
    for (const place of places) {
      for (const { row } of pointsOf(this.scan, batch[place], width)) {
        from = Math.min(from, row);
        end = Math.max(end, row + this.scan.N);
      }
    }
    return { from, end };
  }

  /** Every thread's answer, the caller's own first. */
  async #all<K extends keyof ThreadCalls>(
    name: K,
    argsOf: (thread: number) => Parameters<ThreadCalls[K]>,
  ): Promise<ReturnType<ThreadCalls[K]>[]> {
    this.#team?.ask(name, (t) => argsOf(t + 1));
    const call = this.#own[name] as (...args: Parameters<ThreadCalls[K]>) => ReturnType<ThreadCalls[K]>;
    let own: ReturnType<ThreadCalls[K]>;
    let others: readonly ReturnType<ThreadCalls[K]>[] = [];
    try {
      own = call(...argsOf(0));
    } finally {
      // Nobody may be at work when the next question comes.
      others = (await this.#team?.finish()) ?? [];
    }
    return [own, ...others];
  }

  #inOrder(parts: readonly Float64Array[], columns: number): Float64Array {
    return inOrder(this.#shares, parts, columns);
  }
}

const NO_ROWS: Range = { from: 0, end: 0 };

const patternsOf = (batch: Int32Array, places: Int32Array): Int32Array => places.map((place) => batch[place]);

/** What threads found of their patterns, in the order of the batch. */
function inOrder(shares: readonly Int32Array[], parts: readonly Float64Array[], columns: number): Float64Array {
  const all = new Float64Array(columns * shares.reduce((sum, share) => sum + share.length, 0));
  for (const [t, share] of shares.entries()) {
    share.forEach((place, i) => {
      all.set(parts[t].subarray(i * columns, (i + 1) * columns), place * columns);
    });
  }
  return all;
}

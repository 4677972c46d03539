/** Passes on the processor: SIMD in WebAssembly, the patterns of a batch shared out among threads. */
import { WorkerHost, workerFile } from '../../backends/worker/host.js';
import { evenSideRemedy } from '../../config/sides.js';
import { PtychoError } from '../../core/errors.js';
import { FieldMemory, type FieldSums, fieldsAt, planesAt, takeScratch } from '../fieldMemory.js';
import {
  addCurvatures,
  type Curvatures,
  type Direction,
  type PassesOptions,
  type PassRequest,
  type PassSums,
  SumsOfPasses,
  type WavePasses,
} from '../wavePasses.js';
import { takeTransfers } from './freeSpace.js';
import { fitsKernels, type WasmModule } from './kernels.js';
import { Passes } from './passes.js';
import type { DirectionAt, PassSetup, SolverCalls } from './passSetup.js';

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
  readonly #threads: readonly SolverThread[];
  /** Sums of the threads after the first, which adds to those of the memory. */
  readonly #others: readonly FieldSums[];
  /** Which patterns of the batch that was kept each thread had. */
  #shares: readonly Int32Array[] = [];

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
    const memory = new FieldMemory({ N, ...options.sizes });
    const sums = [memory.sums, ...Array.from({ length: options.threads - 1 }, () => memory.sumPlanes())];
    const room = Math.max(1, Math.ceil(options.keep / options.threads));
    const stored = options.storeWaves ? options.scan.count * options.sizes.modes * 2 * N * N : 0;
    const waves = new Float32Array(new SharedArrayBuffer(4 * stored));
    const transfers = takeTransfers(memory, options.scan.propagation);
    const setups = sums.map(
      (own): PassSetup => ({
        memory: memory.wasm,
        sizes: memory.sizes,
        fields: fieldsAt(memory),
        scratch: takeScratch(memory, room, own, options.bends),
        transfers,
        amplitudes: options.scan.amplitudes,
        ys: options.scan.ys,
        xs: options.scan.xs,
        beam: options.scan.beam,
        waves,
        floor: options.floor,
      }),
    );
    const passes = new HostPasses(memory, setups, sums.slice(1), waves);
    await Promise.all(passes.#threads.map((thread, t) => thread.open(setups[t])));
    return passes;
  }

  private constructor(
    memory: FieldMemory,
    setups: readonly PassSetup[],
    others: readonly FieldSums[],
    private readonly waves: Float32Array<SharedArrayBuffer>,
  ) {
    this.memory = memory;
    this.#others = others;
    this.#threads = setups.length === 1 ? [new OwnThread(memory)] : setups.map(() => new OtherThread(memory.module));
    this.description = `SIMD on the processor, ${setups.length === 1 ? 'one thread' : `${setups.length} threads`}`;
  }

  async pass(batch: Int32Array, request: PassRequest): Promise<PassSums> {
    const count = this.#threads.length;
    const shares = this.#threads.map((_, t) => batch.filter((_k, i) => i % count === t));
    const parts = await Promise.all(
      this.#threads.map((thread, t) =>
        // What other threads found before is in the sums already.
        thread.pass(shares[t], t === 0 ? request : { ...request, accumulate: false }),
      ),
    );
    const what = { object: request.object ?? false, probe: request.probe ?? false };
    if (what.object || what.probe) for (const part of this.#others) this.memory.addSums(part, this.memory.sums, what);
    if (request.keep) this.#shares = shares;
    const total = new SumsOfPasses();
    for (const part of parts) total.add(part);
    return total;
  }

  async products(): Promise<Float64Array> {
    return this.#inOrder(await Promise.all(this.#threads.map((thread) => thread.products())), 6);
  }

  async moves(): Promise<Float64Array> {
    return this.#inOrder(await Promise.all(this.#threads.map((thread) => thread.moves())), 5);
  }

  async beamProducts(): Promise<Float64Array> {
    const columns = 3 * (this.memory.sizes.coherent ?? 0);
    return this.#inOrder(await Promise.all(this.#threads.map((thread) => thread.beamProducts())), columns);
  }

  async beamSums(weights: Float64Array): Promise<void> {
    const columns = this.memory.sizes.coherent ?? 0;
    const count = this.#threads.length;
    const rowsOf = (t: number) =>
      Float64Array.from({ length: this.#shares[t].length * columns }, (_, i) => {
        const row = Math.floor(i / columns) * count + t;
        return weights[row * columns + (i % columns)];
      });
    await Promise.all(this.#threads.map((thread, t) => thread.beamSums(rowsOf(t))));
    for (const part of this.#others) this.memory.addPlanes(part.variation, this.memory.sums.variation);
  }

  async curvatures(batch: Int32Array, along: readonly Direction[]): Promise<Curvatures> {
    const count = this.#threads.length;
    const at = along.map(({ object, probe }) => ({ object: planesAt(object), probe: planesAt(probe) }));
    const shares = this.#threads.map((_, t) => batch.filter((_k, i) => i % count === t));
    return addCurvatures(await Promise.all(this.#threads.map((thread, t) => thread.curvatures(shares[t], at))));
  }

  storedWaves(): Float32Array<SharedArrayBuffer> {
    return this.waves;
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  /** Pattern i of the batch went to thread i modulo their number. */
  #inOrder(parts: readonly Float64Array[], columns: number): Float64Array {
    const rows = this.#shares.reduce((sum, share) => sum + share.length, 0);
    const all = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++) {
      const [t, at] = [i % parts.length, Math.floor(i / parts.length)];
      all.set(parts[t].subarray(at * columns, (at + 1) * columns), i * columns);
    }
    return all;
  }
}

interface SolverThread
  extends Pick<SolverCalls, 'pass' | 'products' | 'moves' | 'curvatures' | 'beamProducts' | 'beamSums'> {
  open(setup: PassSetup): Promise<void>;
  close(): Promise<void>;
}

/** The caller's thread; lets the event loop turn before each pass. */
class OwnThread implements SolverThread {
  #passes: Passes | undefined;

  constructor(private readonly memory: FieldMemory) {}

  async open(setup: PassSetup) {
    this.#passes = new Passes(this.memory.kernels, setup);
  }

  async pass(part: Int32Array, request: PassRequest) {
    await new Promise((resolve) => setImmediate(resolve));
    return this.#passes!.pass(part, request);
  }

  async products() {
    return this.#passes!.kept.products();
  }

  async moves() {
    return this.#passes!.kept.moves();
  }

  async curvatures(part: Int32Array, along: readonly DirectionAt[]) {
    return this.#passes!.bends.along(part, along);
  }

  async beamProducts() {
    return this.#passes!.kept.beamProducts();
  }

  async beamSums(weights: Float64Array) {
    this.#passes!.kept.beamSums(weights);
  }

  async close() {}
}

/** A thread of its own, which sees the same memory. */
class OtherThread implements SolverThread {
  readonly #host = new WorkerHost<SolverCalls>(
    workerFile(new URL('./solverWorker.js', import.meta.url), 'solvers/host/solverWorker.js'),
    'The solver',
  );

  constructor(private readonly module: WasmModule) {}

  open(setup: PassSetup) {
    return this.#host.call('open', [this.module, setup]);
  }

  pass(part: Int32Array, request: PassRequest) {
    return this.#host.call('pass', [part, request]);
  }

  products() {
    return this.#host.call('products', []);
  }

  moves() {
    return this.#host.call('moves', []);
  }

  curvatures(part: Int32Array, along: readonly DirectionAt[]) {
    return this.#host.call('curvatures', [part, along]);
  }

  beamProducts() {
    return this.#host.call('beamProducts', []);
  }

  beamSums(weights: Float64Array) {
    return this.#host.call('beamSums', [weights]);
  }

  close() {
    return this.#host.close();
  }
}

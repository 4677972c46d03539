/** The programs of one scan on one backend: each is compiled when it is first needed. */
import type { Backend, Compiled, DeviceState } from '../../backends/backend.js';
import type { Program } from '../../graph/program.js';
import { FLAGS, KEPT, type PassKind, passProgram } from './passProgram.js';
import { movesProgram, productsProgram } from './productPrograms.js';

/** A program and what runs it. */
export interface Ready {
  readonly program: Program;
  readonly compiled: Compiled;
}

/** See the module. */
export class SolverPrograms {
  readonly #ready = new Map<string, Promise<Ready>>();
  readonly #kept = new Map<string, Promise<DeviceState>>();
  readonly #sizes = new Set<number>();

  constructor(
    private readonly backend: Backend,
    private readonly fields: { readonly N: number; readonly modes: number; readonly floor: number },
  ) {}

  /**
   * Patterns in each of `runs` runs that take `count` patterns together. Batches of a scan differ by a pattern or two: a size that is
   * known is taken again where that wastes little.
   */
  runSize(count: number, runs: number): number {
    const needed = Math.ceil(count / runs);
    const known = [...this.#sizes].filter((size) => size >= needed && 8 * (size - needed) <= needed);
    if (known.length > 0) return Math.min(...known);
    this.#sizes.add(needed);
    return needed;
  }

  pass(kind: PassKind, batch: number): Promise<Ready> {
    return this.#once(`${kind.wave} ${FLAGS.filter((flag) => kind[flag])} ${batch}`, () =>
      passProgram(kind, { ...this.fields, batch }, this.fields.floor),
    );
  }

  products(batch: number): Promise<Ready> {
    return this.#once(`products ${batch}`, () => productsProgram({ ...this.fields, batch }));
  }

  moves(batch: number): Promise<Ready> {
    return this.#once(`moves ${batch}`, () => movesProgram({ ...this.fields, batch }));
  }

  /** Where P and χ of the run with this number in its pass are kept. */
  kept(batch: number, run: number): Promise<DeviceState> {
    const name = `${batch} ${run}`;
    const { N, modes } = this.fields;
    const shape = [batch, N, modes, N];
    const make = () =>
      this.backend.createState(
        Object.fromEntries(KEPT.map((key) => [key, { data: new Float32Array(batch * N * modes * N), shape }])),
      );
    return remembered(this.#kept, name, make);
  }

  /** The backend goes on. */
  async dispose(): Promise<void> {
    const states = [...this.#kept.values()];
    const programs = [...this.#ready.values()].map(async (ready) => (await ready).compiled);
    await Promise.all([...states, ...programs].map(async (resource) => (await resource).dispose()));
    this.#kept.clear();
    this.#ready.clear();
  }

  #once(name: string, build: () => Program): Promise<Ready> {
    return remembered(this.#ready, name, async () => {
      const program = build();
      return { program, compiled: await this.backend.compile(program) };
    });
  }
}

function remembered<T>(known: Map<string, Promise<T>>, name: string, make: () => Promise<T>): Promise<T> {
  let found = known.get(name);
  if (!found) {
    found = make();
    known.set(name, found);
    // What failed is not there: the next call tries again, and nothing has to be released.
    found.catch(() => known.delete(name));
  }
  return found;
}

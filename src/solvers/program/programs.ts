/** The programs of one scan on one backend: each is compiled when it is first needed. */
import type { Backend, DeviceState } from '../../backends/backend.js';
import { ProgramCache, type ReadyProgram, remembered } from '../../backends/programs.js';
import { FLAGS, KEPT, movesProgram, type PassKind, passProgram, productsProgram } from './passProgram.js';

/** Compiles the programs of a pass, and keeps the state that they share. */
export class SolverPrograms {
  readonly #programs: ProgramCache<string>;
  readonly #kept = new Map<string, Promise<DeviceState>>();
  readonly #sizes = new Set<number>();

  constructor(
    private readonly backend: Backend,
    private readonly fields: { readonly N: number; readonly modes: number; readonly floor: number },
  ) {
    this.#programs = new ProgramCache(backend);
  }

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

  pass(kind: PassKind, batch: number): Promise<ReadyProgram> {
    return this.#programs.get(`${kind.wave} ${FLAGS.filter((flag) => kind[flag])} ${batch}`, () =>
      passProgram(kind, { ...this.fields, batch }, this.fields.floor),
    );
  }

  products(batch: number): Promise<ReadyProgram> {
    return this.#programs.get(`products ${batch}`, () => productsProgram({ ...this.fields, batch }));
  }

  moves(batch: number): Promise<ReadyProgram> {
    return this.#programs.get(`moves ${batch}`, () => movesProgram({ ...this.fields, batch }));
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
    await this.#programs.dispose();
    await Promise.all([...this.#kept.values()].map(async (state) => (await state).dispose()));
    this.#kept.clear();
  }
}

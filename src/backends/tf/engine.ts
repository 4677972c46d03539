/** The engine's side of the backend: programs and the state that stays with them. Runs in the worker. */
import type { Shape } from '../../core/tensor.js';
import type { Arrays } from '../worker/host.js';
import { type Importer, type LoadedEngine, loadEngine } from './engines.js';
import { download, Executor, type StateValues, upload } from './executor.js';
import type { Kernels } from './kernels/kernels.js';
import type { EngineReport, EngineWish, FlatProgram, TfCalls } from './protocol.js';

export class TfEngine implements TfCalls {
  readonly #importer: Importer | undefined;
  #loaded: LoadedEngine | undefined;
  #nextId = 1;
  readonly #programs = new Map<number, Executor>();
  readonly #states = new Map<number, StateValues>();

  /** @param importer stands in for `import` (tests) */
  constructor(importer?: Importer) {
    this.#importer = importer;
  }

  async open(wish: EngineWish): Promise<EngineReport> {
    this.#loaded = await loadEngine(wish, this.#importer);
    return this.#loaded.report;
  }

  async compile(program: FlatProgram): Promise<number> {
    const id = this.#nextId++;
    this.#programs.set(id, new Executor(this.#kernels, program));
    return id;
  }

  run(program: number, feeds: Arrays, state: number | undefined): Promise<Arrays> {
    const values = state === undefined ? new Map() : found(this.#states, state, 'state');
    return found(this.#programs, program, 'program').run(feeds, values);
  }

  async dropProgram(id: number): Promise<void> {
    this.#programs.get(id)?.dispose();
    this.#programs.delete(id);
  }

  async createState(values: Arrays, shapes: Readonly<Record<string, Shape>>): Promise<number> {
    const id = this.#nextId++;
    const entries = Object.entries(values).map(([name, data]) => [name, upload(this.#kernels, data, shapes[name])]);
    this.#states.set(id, new Map(entries as [string, ReturnType<typeof upload>][]));
    return id;
  }

  async readState(id: number, names: readonly string[]): Promise<Arrays> {
    const state = found(this.#states, id, 'state');
    const arrays: Arrays = {};
    for (const name of names) {
      const value = state.get(name)!;
      arrays[name] = await download(value);
      value.trim();
    }
    return arrays;
  }

  async writeState(id: number, values: Arrays): Promise<void> {
    const state = found(this.#states, id, 'state');
    for (const [name, data] of Object.entries(values)) {
      const old = state.get(name)!;
      state.set(name, upload(this.#kernels, data, old.shape));
      old.dispose();
    }
  }

  async dropState(id: number): Promise<void> {
    for (const value of this.#states.get(id)?.values() ?? []) value.dispose();
    this.#states.delete(id);
  }

  async close(): Promise<void> {
    for (const id of [...this.#programs.keys()]) await this.dropProgram(id);
    for (const id of [...this.#states.keys()]) await this.dropState(id);
  }

  get #kernels(): Kernels {
    if (!this.#loaded) throw new Error('the engine was not opened');
    return this.#loaded.kernels;
  }
}

function found<T>(map: ReadonlyMap<number, T>, id: number, what: string): T {
  const entry = map.get(id);
  if (!entry) throw new Error(`the ${what} was disposed`);
  return entry;
}

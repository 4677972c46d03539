/**
 * Programs of one backend, each compiled when it is first needed.
 *
 * @example
 * const programs = new ProgramCache<number>(backend);
 * const { compiled } = await programs.get(16, () => network.evaluate(16));
 */
import type { Program } from '../graph/program.js';
import type { Backend, Compiled, CompileOptions } from './backend.js';

/** A program and what runs it. */
export interface ReadyProgram {
  readonly program: Program;
  readonly compiled: Compiled;
}

/** Programs by keys: a batch size, or a name. */
export class ProgramCache<K> {
  readonly #ready = new Map<K, Promise<ReadyProgram>>();

  constructor(
    readonly backend: Backend,
    private readonly options?: CompileOptions,
  ) {}

  /**
   * The program of this key, built and compiled at the first call.
   * @throws PtychoError from the engine; what failed is tried again at the next call
   */
  get(key: K, build: () => Program): Promise<ReadyProgram> {
    return remembered(this.#ready, key, async () => {
      const program = build();
      return { program, compiled: await this.backend.compile(program, this.options) };
    });
  }

  /** Releases the programs; the backend goes on. */
  async dispose(): Promise<void> {
    for (const ready of await Promise.allSettled(this.#ready.values())) {
      if (ready.status === 'fulfilled') await ready.value.compiled.dispose();
    }
    this.#ready.clear();
  }
}

/** What `known` has under this key, or what `make` makes. What failed is not kept: the next call tries again. */
export function remembered<K, T>(known: Map<K, Promise<T>>, key: K, make: () => Promise<T>): Promise<T> {
  let found = known.get(key);
  if (!found) {
    found = make();
    known.set(key, found);
    found.catch(() => known.delete(key));
  }
  return found;
}

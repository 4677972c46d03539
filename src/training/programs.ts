/** Programs compiled once for each batch size, and means of their outputs. */
import type { Backend, Compiled, DeviceState } from '../backends/backend.js';
import type { Tensor } from '../core/tensor.js';
import type { Program } from '../graph/program.js';
import { type Available, feedsFor } from './feeds.js';

/** Compiles a program for each batch size when it is first needed. */
export class ProgramCache {
  readonly #compiled = new Map<number, { readonly program: Program; readonly compiled: Promise<Compiled> }>();

  constructor(
    readonly backend: Backend,
    readonly build: (batch: number) => Program,
  ) {}

  /** Runs the program of a batch size with those of the available arrays that it declares. */
  async run(batch: number, available: Available, state: DeviceState): Promise<Record<string, Tensor>> {
    let entry = this.#compiled.get(batch);
    if (!entry) {
      const program = this.build(batch);
      entry = { program, compiled: this.backend.compile(program) };
      this.#compiled.set(batch, entry);
    }
    return (await entry.compiled).run(feedsFor(entry.program, available), state);
  }

  async dispose(): Promise<void> {
    for (const { compiled } of this.#compiled.values()) await (await compiled).dispose();
    this.#compiled.clear();
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

  has(name: string): boolean {
    return this.#sums.has(name);
  }

  /** NaN for an output that never came. */
  mean(name: string): number {
    const entry = this.#sums.get(name);
    return entry ? entry.sum / entry.count : Number.NaN;
  }
}

/**
 * One line of epochs: a solver that goes on as long as it is asked to, and from which others can branch off. All lines of a
 * reconstruction share the patterns in memory.
 */
import type { SolverOptions } from '../config/schemas/solver.js';
import type { ComplexTensor } from '../core/tensor.js';
import { type KeptState, keepState } from '../solvers/run.js';
import type { ScanToSolve } from '../solvers/scan.js';
import { solve } from '../solvers/solve.js';
import type {
  PatternMisfits,
  SolverRecord,
  SolverSnapshot,
  SolverStart,
  SolverUpdate,
  SolveServices,
} from '../solvers/updates.js';

/** What the choice of options needs of a line; tests have others. */
export interface Line {
  readonly options: Partial<SolverOptions>;
  /** The last epoch; 0 before the first. */
  readonly record: SolverRecord;
  /** What an epoch takes, by the last ones; 0 before the first. */
  readonly epochSeconds: number;
  /** One epoch. @throws PtychoError SOLVER_FAILED, CANCELLED */
  advance(): Promise<void>;
  /** How well the patterns that are held out are explained as things stand. */
  heldOut(): Promise<PatternMisfits>;
  /** Loss and R of all patterns as things stand. */
  measure(): Promise<{ readonly loss: number; readonly rFactor: number }>;
  /** Object, probe, positions and all that the line needs to go on, copied. */
  keep(): KeptState;
  /** Where another line can begin. */
  branch(): SolverStart;
  close(): Promise<void>;
}

/** How a line begins. */
export interface LineStart {
  readonly options: Partial<SolverOptions>;
  readonly start?: SolverStart;
  readonly resume?: SolverSnapshot;
  /** Patterns that it does not learn from. */
  readonly heldOut: Int32Array;
}

/** Opens a line at its start. */
export type OpenLine = (from: LineStart) => Promise<Line>;

/** Ends of epochs are of no interest here: a line ends when nobody asks any more. */
const ENDLESS = 2 ** 31;
/** The share of the last epoch in what an epoch is expected to take. */
const LATEST = 0.5;

/** A line of the real solver. */
export class SolverLine implements Line {
  #seconds = 0;

  static async open(raw: ScanToSolve, from: LineStart, services: SolveServices): Promise<SolverLine> {
    const { start, resume, heldOut } = from;
    const updates = solve(raw, { ...from.options, epochs: ENDLESS }, { ...services, start, resume, heldOut });
    const first = (await updates.next()).value;
    if (!first) throw new Error('a solver begins with its start');
    return new SolverLine(from, updates, first);
  }

  private constructor(
    private readonly from: LineStart,
    private readonly updates: AsyncGenerator<SolverUpdate, void, void>,
    private update: SolverUpdate,
  ) {}

  get options(): Partial<SolverOptions> {
    return this.from.options;
  }

  get record(): SolverRecord {
    const { epoch, loss, rFactor, shift_px } = this.update;
    return { epoch, loss, rFactor, shift_px };
  }

  get epochSeconds(): number {
    return this.#seconds;
  }

  async advance(): Promise<void> {
    const began = performance.now();
    const next = (await this.updates.next()).value;
    if (!next) throw new Error('a line has no last epoch');
    this.update = next;
    const took = (performance.now() - began) / 1000;
    this.#seconds = this.#seconds === 0 ? took : (1 - LATEST) * this.#seconds + LATEST * took;
  }

  heldOut(): Promise<PatternMisfits> {
    return this.update.misfits(this.from.heldOut);
  }

  measure(): Promise<{ readonly loss: number; readonly rFactor: number }> {
    return this.update.measure();
  }

  keep(): KeptState {
    return keepState(this.update);
  }

  branch(): SolverStart & { readonly probe: ComplexTensor } {
    const { update } = this;
    const { epoch } = update;
    const [object, probe, positions] = [update.object(), update.probe(), update.positions()];
    return { object, probe, positions, beam: update.beam(), affine: update.affine(), together: update.together(), epoch }; // biome-ignore format: one value
  }

  async close(): Promise<void> {
    await this.updates.return();
  }
}

/**
 * The time that a reconstruction may take. Reading, writing and everything between count; what is left is asked before each piece of
 * work, with what such a piece took before.
 *
 * @example
 * const budget = new Budget(5 * 60);
 * while (budget.allows(line.epochSeconds)) await line.advance();
 */

/** A clock in seconds. */
export type Clock = () => number;

const wallClock: Clock = () => performance.now() / 1000;

/** Work that ends up to half its own length late is begun; a budget is kept within a few percent, not to the second. */
const OVERHANG = 0.5;

/** A number of seconds that run out. */
export class Budget {
  readonly #begun: number;

  /**
   * @param seconds in all
   * @param used by an earlier run that this one goes on from
   */
  constructor(
    readonly seconds: number,
    private readonly clock: Clock = wallClock,
    used = 0,
  ) {
    this.#begun = clock() - used;
  }

  /** Seconds that are used. */
  get used(): number {
    return this.clock() - this.#begun;
  }

  /** Seconds that are left; below 0 when more were used. */
  get left(): number {
    return this.seconds - this.used;
  }

  /**
   * Whether a piece of work fits in what is left.
   * @param reserve seconds that must be left for what follows
   */
  allows(seconds: number, reserve = 0): boolean {
    return this.left - reserve >= OVERHANG * seconds;
  }

  /** How many pieces of work of so many seconds begin and end in what is left; any number of those that take none. */
  pieces(seconds: number): number {
    return seconds > 0 ? Math.floor(Math.max(0, this.left) / seconds) : Number.POSITIVE_INFINITY;
  }
}

/** Groups of neighbours among patterns that come one by one. */

/** A pattern that has come. */
export interface LivePattern {
  /** How many came before it. */
  readonly index: number;
  readonly x: number;
  readonly y: number;
  /** (N·N), normalised. */
  readonly pattern: Float32Array;
}

/** C patterns; the one that started the group is first. */
export type LiveGroup = readonly LivePattern[];

/** A pattern may be a neighbour as long as no more than this many have come after it. */
const REMEMBERED = 4096;

interface Known extends LivePattern {
  started: boolean;
  used: boolean;
}

/**
 * Forms groups: each pattern and its C − 1 nearest among those known, as soon as all lie within `reach` of their centre along
 * x and y.
 */
export class LiveGroups {
  /** Groups so far. */
  formed = 0;
  #unused = 0;
  /** Known patterns in the order in which they came, and by cells of the side of the reach of two members. */
  readonly #known: Known[] = [];
  readonly #cells = new Map<string, Known[]>();
  readonly #cell: number;

  constructor(
    private readonly C: number,
    private readonly reach: number,
  ) {
    this.#cell = Math.max(1, 2 * reach);
  }

  /** Patterns in no group, among those that cannot get into one any more; after {@link release}, among all. */
  get unused(): number {
    return this.#unused;
  }

  /** Takes a pattern in, and gives back the groups that it completes. */
  add(pattern: LivePattern): LiveGroup[] {
    if (this.C === 1) {
      this.formed++;
      return [[pattern]];
    }
    const known: Known = { ...pattern, started: false, used: false };
    this.#known.push(known);
    const cell = this.#cells.get(this.#key(known.x, known.y));
    if (cell) cell.push(known);
    else this.#cells.set(this.#key(known.x, known.y), [known]);
    const groups: LiveGroup[] = [];
    for (const seed of this.#around(known)) {
      const group = seed.started ? undefined : this.#groupOf(seed);
      if (!group) continue;
      seed.started = true;
      for (const member of group) member.used = true;
      this.formed++;
      groups.push(group);
    }
    if (this.#known.length > REMEMBERED) this.#forget(this.#known.shift()!);
    return groups;
  }

  /** No more patterns will come: what is known is let go. */
  release(): void {
    for (const known of this.#known.splice(0)) this.#forget(known);
  }

  /** The pattern with its nearest neighbours, if all lie within reach. */
  #groupOf(seed: Known): Known[] | undefined {
    const distance = (other: Known) => (other === seed ? -1 : (other.x - seed.x) ** 2 + (other.y - seed.y) ** 2);
    const near = this.#around(seed).sort((a, b) => distance(a) - distance(b) || a.index - b.index);
    if (near.length < this.C) return undefined;
    const group = near.slice(0, this.C);
    const within = (values: readonly number[]) => {
      const centre = values.reduce((sum, v) => sum + v, 0) / values.length;
      return values.every((v) => Math.abs(v - centre) <= this.reach);
    };
    return within(group.map(({ x }) => x)) && within(group.map(({ y }) => y)) ? group : undefined;
  }

  /** Known patterns in the cell of this one and those around it, which hold all that can share a group with it. */
  #around({ x, y }: LivePattern): Known[] {
    const found: Known[] = [];
    for (const dy of [-1, 0, 1]) {
      for (const dx of [-1, 0, 1]) {
        found.push(...(this.#cells.get(this.#key(x + dx * this.#cell, y + dy * this.#cell)) ?? []));
      }
    }
    return found;
  }

  #key(x: number, y: number): string {
    return `${Math.floor(x / this.#cell)},${Math.floor(y / this.#cell)}`;
  }

  #forget(known: Known): void {
    if (!known.used) this.#unused++;
    const key = this.#key(known.x, known.y);
    const rest = this.#cells.get(key)!.filter((other) => other !== known);
    if (rest.length > 0) this.#cells.set(key, rest);
    else this.#cells.delete(key);
  }
}

/**
 * Phases beyond ±π: whole turns are added where neighbours differ by more than half of one, the most reliable pixels first. No kept
 * npm package does this.
 *
 * @example
 * const { phase, residues } = unwrapPhase(wrapped, [rows, cols]);
 */

/** An unwrapped phase image. */
export interface UnwrappedPhase {
  /** (rows·cols) radians; NaN outside of the mask. The wrapped values plus whole turns. */
  readonly phase: Float64Array;
  /**
   * Squares of four pixels around which the phase comes to a whole turn (vortices, or steps of more than half a turn): between them
   * a cut must run somewhere, and where it runs is not in the data. 0: the result is the only one.
   */
  readonly residues: number;
  /** Connected parts of the mask; the turns between two of them are not known, each is set nearest to the largest. */
  readonly regions: number;
}

const TURN = 2 * Math.PI;
const wrapped = (angle: number): number => angle - TURN * Math.round(angle / TURN);

/**
 * Unwraps a phase image: pixels are joined with their neighbours, pair by pair in the order of their reliability (the inverse of their second
 * differences), whole groups being shifted by whole turns (Herráez et al., Appl. Opt. 41, 7437 (2002)).
 *
 * @param phase (rows·cols) radians, wrapped or not
 * @param shape rows and columns
 * @param mask (rows·cols): pixels where it is not 0 count; by default all finite ones
 */
export function unwrapPhase(
  phase: ArrayLike<number>,
  [rows, cols]: readonly number[],
  mask?: ArrayLike<number>,
): UnwrappedPhase {
  const size = rows * cols;
  const inside = Uint8Array.from({ length: size }, (_, i) => (Number.isFinite(phase[i]) && (!mask || mask[i]) ? 1 : 0));
  const roughness = roughnessOf(phase, inside, rows, cols);
  // Every pair of neighbours: 2·i to the right of pixel i, 2·i + 1 below it.
  const pairs: number[] = [];
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      if (inside[i] && c + 1 < cols && inside[i + 1]) pairs.push(2 * i);
      if (inside[i] && r + 1 < rows && inside[i + cols]) pairs.push(2 * i + 1);
    }
  }
  const other = (pair: number) => (pair >> 1) + (pair & 1 ? cols : 1);
  const cost = new Float64Array(2 * size);
  for (const pair of pairs) cost[pair] = roughness[pair >> 1] + roughness[other(pair)];
  const order = Float64Array.from(pairs).sort((a, b) => cost[a] - cost[b] || a - b);

  const groups = new TurnGroups(size);
  for (const pair of order) {
    const [a, b] = [pair >> 1, other(pair)];
    groups.join(a, b, Math.round((phase[a] - phase[b]) / TURN));
  }
  const out = new Float64Array(size).fill(Number.NaN);
  for (let i = 0; i < size; i++) if (inside[i]) out[i] = phase[i] + TURN * groups.turnsOf(i);
  const regions = settle(out, inside, groups);
  return { phase: out, residues: residuesIn(phase, inside, rows, cols), regions };
}

/** Squared second differences over the eight neighbours; at edges and beside what is left out nobody knows, which comes last. */
function roughnessOf(phase: ArrayLike<number>, inside: Uint8Array, rows: number, cols: number): Float64Array {
  const out = new Float64Array(rows * cols).fill(4 * Math.PI ** 2 * 4);
  const across = [1, cols, cols + 1, cols - 1];
  for (let r = 1; r < rows - 1; r++) {
    for (let c = 1, i = r * cols + 1; c < cols - 1; c++, i++) {
      let sum = 0;
      for (const step of across) {
        if (!inside[i] || !inside[i - step] || !inside[i + step]) {
          sum = Number.NaN;
          break;
        }
        sum += (wrapped(phase[i - step] - phase[i]) - wrapped(phase[i] - phase[i + step])) ** 2;
      }
      if (!Number.isNaN(sum)) out[i] = sum;
    }
  }
  return out;
}

/** Groups of pixels whose turns among each other are settled: a forest, each pixel with its turns against its parent. */
class TurnGroups {
  readonly #parent: Int32Array;
  readonly #turns: Int32Array;
  readonly #members: Int32Array;

  constructor(size: number) {
    this.#parent = Int32Array.from({ length: size }, (_, i) => i);
    this.#turns = new Int32Array(size);
    this.#members = new Int32Array(size).fill(1);
  }

  /** The pixel that stands for the group of i; afterwards i hangs on it directly. */
  root(i: number): number {
    let top = i;
    let turns = 0;
    while (this.#parent[top] !== top) {
      turns += this.#turns[top];
      top = this.#parent[top];
    }
    for (let at = i; at !== top; ) {
      const [next, own] = [this.#parent[at], this.#turns[at]];
      this.#parent[at] = top;
      this.#turns[at] = turns;
      turns -= own;
      at = next;
    }
    return top;
  }

  turnsOf(i: number): number {
    this.root(i);
    return this.#turns[i];
  }

  /** Joins the groups of a and b so that b has `turns` more than a. */
  join(a: number, b: number, turns: number): void {
    const [ra, rb] = [this.root(a), this.root(b)];
    if (ra === rb) return;
    const between = this.#turnsAt(a, ra) + turns - this.#turnsAt(b, rb);
    const [small, large, sign] = this.#members[ra] < this.#members[rb] ? [ra, rb, -1] : [rb, ra, 1];
    this.#parent[small] = large;
    this.#turns[small] = sign * between;
    this.#members[large] += this.#members[small];
  }

  #turnsAt(i: number, root: number): number {
    return i === root ? 0 : this.#turns[i];
  }
}

/** Shifts every region by whole turns, the largest so that its mean is nearest to zero, the others nearest to it. @returns their number */
function settle(phase: Float64Array, inside: Uint8Array, groups: TurnGroups): number {
  const regions = new Map<number, { n: number; sum: number }>();
  for (let i = 0; i < phase.length; i++) {
    if (!inside[i]) continue;
    const root = groups.root(i);
    const region = regions.get(root) ?? { n: 0, sum: 0 };
    region.n++;
    region.sum += phase[i];
    regions.set(root, region);
  }
  const mean = ({ n, sum }: { n: number; sum: number }) => sum / n;
  const largest = [...regions.values()].reduce<{ n: number; sum: number } | undefined>(
    (most, region) => (!most || region.n > most.n ? region : most),
    undefined,
  );
  if (largest === undefined) return 0;
  const level = wrapped(mean(largest));
  for (let i = 0; i < phase.length; i++) {
    if (!inside[i]) continue;
    const own = mean(regions.get(groups.root(i)) as { n: number; sum: number });
    phase[i] -= TURN * Math.round((own - level) / TURN);
  }
  return regions.size;
}

/** Squares of four pixels with a whole turn around them. */
function residuesIn(phase: ArrayLike<number>, inside: Uint8Array, rows: number, cols: number): number {
  let count = 0;
  for (let r = 0; r + 1 < rows; r++) {
    for (let c = 0, i = r * cols; c + 1 < cols; c++, i++) {
      const [a, b, d, e] = [i, i + 1, i + cols + 1, i + cols];
      if (!inside[a] || !inside[b] || !inside[d] || !inside[e]) continue;
      const around =
        wrapped(phase[b] - phase[a]) +
        wrapped(phase[d] - phase[b]) +
        wrapped(phase[e] - phase[d]) +
        wrapped(phase[a] - phase[e]);
      if (Math.abs(around) > Math.PI) count++;
    }
  }
  return count;
}

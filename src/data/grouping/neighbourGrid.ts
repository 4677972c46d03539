/**
 * Nearest neighbours among scan positions on a uniform grid of cells: scans are nearly uniform, so a query looks at a few
 * cells only. Ties are broken by index, so that the order is defined on lattices too.
 *
 * @example
 * const grid = new NeighbourGrid(xcoords, ycoords);
 * const seven = new Int32Array(7);
 * const found = grid.nearest(12, 7, seven); // the 7 positions nearest to position 12, itself first
 */
import { valuesAt } from '../../core/numbers.js';

/** Positions per cell, on average: few enough to look at, many enough to seldom need a second ring of cells. */
const POINTS_PER_CELL = 3;

/** An index over n positions, in any unit; building costs O(n log n), a query O(k) on a scan without dense clusters. */
export class NeighbourGrid {
  private readonly columns: number;
  private readonly rows: number;
  private readonly x0: number;
  private readonly y0: number;
  private readonly cell: number;
  /** Positions sorted by cell with their coordinates (side by side in memory), and where each cell's begin. */
  private readonly sorted: Int32Array;
  private readonly sortedX: Float64Array;
  private readonly sortedY: Float64Array;
  private readonly starts: Int32Array;
  private distances = new Float64Array(16);

  /** @param x,y coordinates of equal length, finite. */
  constructor(
    private readonly x: Float64Array,
    private readonly y: Float64Array,
  ) {
    const n = x.length;
    // The grid spans the bulk of the positions; stragglers count to its outermost cells, so that one lost encoder reading
    // does not put everything else into a single cell.
    const [x0, x1] = bulk(x);
    const [y0, y1] = bulk(y);
    const [width, height] = [x1 - x0, y1 - y0];
    const cells = Math.max(1, n / POINTS_PER_CELL);
    this.cell = Math.max(Math.sqrt((width * height) / cells), Math.max(width, height) / cells) || 1;
    this.x0 = x0;
    this.y0 = y0;
    this.columns = Math.max(1, Math.ceil(width / this.cell));
    this.rows = Math.max(1, Math.ceil(height / this.cell));
    const cellOf = Int32Array.from({ length: n }, (_, i) => this.row(y[i]) * this.columns + this.column(x[i]));
    this.starts = new Int32Array(this.columns * this.rows + 1);
    for (let i = 0; i < n; i++) this.starts[cellOf[i] + 1]++;
    for (let c = 0; c < this.columns * this.rows; c++) this.starts[c + 1] += this.starts[c];
    const next = this.starts.slice();
    this.sorted = new Int32Array(n);
    for (let i = 0; i < n; i++) this.sorted[next[cellOf[i]]++] = i;
    this.sortedX = valuesAt(x, this.sorted);
    this.sortedY = valuesAt(y, this.sorted);
  }

  /**
   * Writes the `k` positions nearest to position `i` into `out`, by distance, then by index; `i` itself counts and is first
   * among equals whatever its index. With `minDistance` > 0 only positions at least that far away count. Returns how many
   * there were: `k`, or all.
   */
  nearest(i: number, k: number, out: Int32Array, minDistance = 0): number {
    const { x, y, columns, rows, cell } = this;
    if (this.distances.length < k) this.distances = new Float64Array(2 * k);
    let count = 0;
    const [px, py] = [x[i], y[i]];
    const [cx, cy] = [this.column(px), this.row(py)];
    for (let ring = 0; ring < Math.max(columns, rows); ring++) {
      const [left, right, top, bottom] = [cx - ring, cx + ring, cy - ring, cy + ring];
      for (let r = Math.max(0, top); r <= Math.min(rows - 1, bottom); r++) {
        const edge = r === top || r === bottom;
        for (let c = edge ? Math.max(0, left) : left; c <= Math.min(columns - 1, right); c += edge ? 1 : 2 * ring) {
          if (c >= 0) count = this.visit(r * columns + c, i, k, out, count, minDistance * minDistance);
        }
      }
      if (count < k) continue;
      // Whatever lies outside the rings seen so far is at least this far away.
      let reach = Number.POSITIVE_INFINITY;
      if (left > 0) reach = Math.min(reach, px - (this.x0 + left * cell));
      if (right < columns - 1) reach = Math.min(reach, this.x0 + (right + 1) * cell - px);
      if (top > 0) reach = Math.min(reach, py - (this.y0 + top * cell));
      if (bottom < rows - 1) reach = Math.min(reach, this.y0 + (bottom + 1) * cell - py);
      // The small margin covers the rounding of cell borders.
      if (reach > 0 && this.distances[k - 1] < reach * reach * (1 - 1e-9)) break;
    }
    return count;
  }

  /** Inserts a cell's positions into the sorted list of the `count` nearest so far; returns how many are in it then. */
  private visit(cell: number, i: number, k: number, out: Int32Array, count: number, min: number): number {
    const { distances, sorted, sortedX, sortedY } = this;
    const [px, py] = [this.x[i], this.y[i]];
    const end = this.starts[cell + 1];
    let last = count === k ? distances[k - 1] : Number.POSITIVE_INFINITY;
    for (let s = this.starts[cell]; s < end; s++) {
      const dx = sortedX[s] - px;
      const dy = sortedY[s] - py;
      let d = dx * dx + dy * dy;
      if (d > last || d < min) continue;
      const j = sorted[s];
      // The position itself precedes others at the same place.
      if (j === i) d = -1;
      if (count === k && d === last && j > out[k - 1]) continue;
      let at = count < k ? count++ : k - 1;
      for (; at > 0 && (distances[at - 1] > d || (distances[at - 1] === d && out[at - 1] > j)); at--) {
        distances[at] = distances[at - 1];
        out[at] = out[at - 1];
      }
      distances[at] = d;
      out[at] = j;
      if (count === k) last = distances[k - 1];
    }
    return count;
  }

  private column(x: number): number {
    return Math.min(this.columns - 1, Math.max(0, Math.floor((x - this.x0) / this.cell)));
  }

  private row(y: number): number {
    return Math.min(this.rows - 1, Math.max(0, Math.floor((y - this.y0) / this.cell)));
  }
}

/** A span that holds all values of an evenly spread coordinate, and the inner 98 % of any other with some room. */
function bulk(values: Float64Array): readonly [number, number] {
  if (values.length === 0) return [0, 0];
  const sorted = values.slice().sort();
  const n = sorted.length;
  const low = sorted[Math.floor(0.01 * (n - 1))];
  const high = sorted[Math.ceil(0.99 * (n - 1))];
  const room = 0.1 * (high - low);
  return [Math.max(sorted[0], low - room), Math.min(sorted[n - 1], high + room)];
}

/** Mean distance of every position to its nearest other one, in the positions' unit; NaN for fewer than two. */
export function meanNearestDistance(x: Float64Array, y: Float64Array): number {
  if (x.length < 2) return Number.NaN;
  const grid = new NeighbourGrid(x, y);
  const pair = new Int32Array(2);
  let sum = 0;
  for (let i = 0; i < x.length; i++) {
    grid.nearest(i, 2, pair);
    sum += Math.hypot(x[pair[1]] - x[i], y[pair[1]] - y[i]);
  }
  return sum / x.length;
}

/** Positions that no other one is nearer to than a distance. */
export function countWithoutNeighbour(x: Float64Array, y: Float64Array, distance: number): number {
  const grid = new NeighbourGrid(x, y);
  const pair = new Int32Array(2);
  let lonely = 0;
  for (let i = 0; i < x.length; i++) {
    const found = grid.nearest(i, 2, pair);
    if (found < 2 || !(Math.hypot(x[pair[1]] - x[i], y[pair[1]] - y[i]) < distance)) lonely++;
  }
  return lonely;
}

/** Positions that come and go, by square cells: for neighbours among what is known so far. */
export class PositionCells<T extends { readonly x: number; readonly y: number }> {
  readonly #cells = new Map<string, T[]>();

  /** @param side of a cell: how far away {@link around} is sure to look */
  constructor(private readonly side: number) {}

  add(item: T): void {
    const key = this.#key(item.x, item.y);
    const cell = this.#cells.get(key);
    if (cell) cell.push(item);
    else this.#cells.set(key, [item]);
  }

  delete(item: T): void {
    const key = this.#key(item.x, item.y);
    const rest = (this.#cells.get(key) ?? []).filter((other) => other !== item);
    if (rest.length > 0) this.#cells.set(key, rest);
    else this.#cells.delete(key);
  }

  /** All in the cell of a position and in those around it. */
  around({ x, y }: { readonly x: number; readonly y: number }): T[] {
    const steps = [-1, 0, 1].map((step) => step * this.side);
    return steps.flatMap((dy) => steps.flatMap((dx) => this.#cells.get(this.#key(x + dx, y + dy)) ?? []));
  }

  #key(x: number, y: number): string {
    return `${Math.floor(x / this.side)},${Math.floor(y / this.side)}`;
  }
}

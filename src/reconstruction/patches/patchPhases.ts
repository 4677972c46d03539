/**
 * The global phase of each patch.
 *
 * A diffraction pattern says nothing about the phase of its patch as a whole: every patch may be turned by a factor e^{iφ}
 * of its own. Overlapping patches show the same object, so the differences φ_j − φ_k can be read from their overlap; the
 * phases of all patches follow as a least-squares problem on the graph of neighbours (angular synchronisation; A. Singer,
 * Appl. Comput. Harmon. Anal. 30, 20 (2011), with small angles solved linearly and wrapped again each round).
 *
 * @example
 * const phases = new PatchPhases(32, probeWeights);
 * phases.add(re, im, count, 64, xs, ys); // as often as there are batches
 * const { angles } = phases.solve(); // multiply patch k by e^{−i·angles[k]}
 */
import type { Tensor } from '../../core/tensor.js';
import { NeighbourGrid } from '../../data/grouping/neighbourGrid.js';
import { cropStart, cutCentre } from '../frame.js';

/** Options of {@link PatchPhases.solve}. */
export interface PhaseSolveOptions {
  /** Neighbours that each patch is compared with (default 12). */
  readonly neighbours?: number;
  /**
   * How much a patch is held to the phase that it came with, relative to its neighbours' pull (default 1e-4): enough to
   * choose the one phase that is common to all, and the offset of parts of a scan that do not touch.
   */
  readonly prior?: number;
}

/** Phases of all patches. */
export interface PatchPhaseSolution {
  /** (n) radians; patch k times e^{−i·angles[k]} agrees with its neighbours. */
  readonly angles: Float64Array;
  /** Root mean square of the angles about their mean, radians: how far the patches were apart. */
  readonly spreadRad: number;
}

/** Rounds in which differences of phases are wrapped anew. */
const ROUNDS = 4;
const CG_STEPS = 400;
const CG_TOLERANCE = 1e-6;

/** Cells across a patch where nobody says how large they are. */
const CELLS = 8;

/** Pixels whose weight is a smaller share of the largest count for nothing: where there is no light, patches show anything. */
const LIT = 0.01;

/**
 * Remembers each patch as sums over cells of the object (a few hundred bytes a patch) and solves for the phases.
 *
 * Sums are even within a cell, and cells count by the weights of both patches there: sums that are weighted by the pixel show the phase
 * nearer to the centre of their own patch, so that neighbours would seem to differ by less than they do wherever the phase has a slope.
 */
export class PatchPhases {
  readonly #across: number;
  /** What the cells of a patch count, by how its first pixel lies in the first of them, if not the same. */
  readonly #cellWeights: readonly Float32Array[] | undefined;
  /** (cropSide, cropSide) of 1 and 0: which pixels count, if not all. */
  readonly #lit: Uint8Array | undefined;
  // One entry a call of `add`: positions, cell sums (n, across, across) complex interleaved, each patch's first cell, and how its first
  // pixel lies in that.
  readonly #xs: Float64Array[] = [];
  readonly #ys: Float64Array[] = [];
  readonly #sums: Float32Array[] = [];
  readonly #corners: Int32Array[] = [];
  readonly #offsets: Int32Array[] = [];
  #count = 0;

  /**
   * @param cropSide side of the central square of a patch that counts
   * @param patchWeights (N, N), how much each pixel counts; evenly where not given
   * @param cellPx side of the cells that pixels are summed over, an eighth of `cropSide` where not given: smaller ones tell more and
   * cost more
   */
  constructor(
    readonly cropSide: number,
    patchWeights?: Tensor,
    readonly cellPx = Math.max(1, Math.floor(cropSide / CELLS)),
  ) {
    this.#across = Math.ceil(cropSide / cellPx) + 1;
    if (!patchWeights) return;
    const block = cutCentre(patchWeights, cropSide);
    const least = LIT * block.reduce((a, b) => Math.max(a, b), 0);
    this.#lit = Uint8Array.from(block, (w) => (w >= least && w > 0 ? 1 : 0));
    this.#cellWeights = cellWeightsOf(block, cropSide, cellPx);
  }

  /** Patches so far. */
  get count(): number {
    return this.#count;
  }

  /** Cells of a patch. */
  get cells(): number {
    return this.#across ** 2;
  }

  /** Takes note of the first `count` patches of (≥ count, side, side) arrays at xs, ys (object pixels). */
  add(
    re: Float32Array,
    im: Float32Array,
    count: number,
    side: number,
    xs: ArrayLike<number>,
    ys: ArrayLike<number>,
  ): void {
    const { cropSide, cellPx } = this;
    const across = this.#across;
    const skip = cropStart(side, cropSide);
    const sums = new Float32Array(count * this.cells * 2);
    for (let k = 0; k < count; k++) {
      const { top, left, cellTop, cellLeft } = this.#corner(xs[k], ys[k]);
      // Only cells that lie within the patch: those at its edge would show the phase of their part inside.
      const [firstRow, firstColumn] = [cellTop * cellPx < top ? 1 : 0, cellLeft * cellPx < left ? 1 : 0];
      const rows = Math.floor((top + cropSide) / cellPx) - cellTop;
      const columns = Math.floor((left + cropSide) / cellPx) - cellLeft;
      const [rowStart, columnStart] = [(cellTop + firstRow) * cellPx - top, (cellLeft + firstColumn) * cellPx - left];
      const [rowEnd, columnEnd] = [(cellTop + rows) * cellPx - top, (cellLeft + columns) * cellPx - left];
      for (let r = rowStart; r < rowEnd; r++) {
        const row = (k * across + Math.floor((top + r) / cellPx) - cellTop) * across;
        const from = k * side * side + (skip + r) * side + skip;
        for (let c = columnStart; c < columnEnd; c++) {
          if (this.#lit?.[r * cropSide + c] === 0) continue;
          const at = 2 * (row + Math.floor((left + c) / cellPx) - cellLeft);
          sums[at] += re[from + c];
          sums[at + 1] += im[from + c];
        }
      }
    }
    this.addSums(sums, xs, ys);
  }

  /** The sums over cells of all patches so far, (n, cells) complex interleaved: all that {@link solve} needs besides positions. */
  get sums(): Float32Array {
    return joined(this.#sums, (length) => new Float32Array(length));
  }

  /**
   * Takes note of patches by their sums over cells, which another process may have made.
   * @param sums as {@link sums} of phases with the same crop, cells and weights gives them
   * @param xs,ys as many positions, object pixels
   */
  addSums(sums: Float32Array, xs: ArrayLike<number>, ys: ArrayLike<number>): void {
    const count = sums.length / (2 * this.cells);
    const corners = new Int32Array(2 * count);
    const offsets = new Int32Array(count);
    for (let k = 0; k < count; k++) {
      const { top, left, cellTop, cellLeft } = this.#corner(xs[k], ys[k]);
      corners[2 * k] = cellTop;
      corners[2 * k + 1] = cellLeft;
      offsets[k] = (top - cellTop * this.cellPx) * this.cellPx + left - cellLeft * this.cellPx;
    }
    this.#xs.push(Float64Array.from({ length: count }, (_, k) => xs[k]));
    this.#ys.push(Float64Array.from({ length: count }, (_, k) => ys[k]));
    this.#sums.push(sums);
    this.#corners.push(corners);
    this.#offsets.push(offsets);
    this.#count += count;
  }

  /** The first pixel and the first cell of a patch. */
  #corner(x: number, y: number) {
    const half = Math.floor(this.cropSide / 2);
    const [top, left] = [Math.round(y) - half, Math.round(x) - half];
    return { top, left, cellTop: Math.floor(top / this.cellPx), cellLeft: Math.floor(left / this.cellPx) };
  }

  /** The phases that make neighbours agree best. */
  solve(options: PhaseSolveOptions = {}): PatchPhaseSolution {
    const { neighbours = 12, prior = 1e-4 } = options;
    const n = this.#count;
    const angles = new Float64Array(n);
    if (n < 2) return { angles, spreadRad: 0 };
    solveAngles(angles, this.#edges(Math.min(neighbours + 1, n)), prior);
    const mean = angles.reduce((a, v) => a + v, 0) / n;
    const spreadRad = Math.sqrt(angles.reduce((a, v) => a + (v - mean) ** 2, 0) / n);
    return { angles, spreadRad };
  }

  /** Pairs of neighbours with the phase of the first against the second, and how well it is known. */
  #edges(k: number) {
    const n = this.#count;
    const place = (parts: readonly Float64Array[]) => joined(parts, (length) => new Float64Array(length));
    const grid = new NeighbourGrid(place(this.#xs), place(this.#ys));
    const near = new Int32Array(k);
    const from: number[] = [];
    const to: number[] = [];
    const angle: number[] = [];
    const weight: number[] = [];
    const seen = new Set<number>();
    const sums = joined(this.#sums, (n) => new Float32Array(n));
    const corners = joined(this.#corners, (n) => new Int32Array(n));
    const offsets = joined(this.#offsets, (n) => new Int32Array(n));
    const across = this.#across;
    for (let i = 0; i < n; i++) {
      const mine = this.#cellWeights?.[offsets[i]];
      const found = grid.nearest(i, k, near);
      for (let m = 0; m < found; m++) {
        const j = near[m];
        const key = Math.min(i, j) * n + Math.max(i, j);
        if (j === i || seen.has(key)) continue;
        seen.add(key);
        const [dr, dc] = [corners[2 * i] - corners[2 * j], corners[2 * i + 1] - corners[2 * j + 1]];
        const other = this.#cellWeights?.[offsets[j]];
        let [re, im] = [0, 0];
        for (let r = Math.max(0, -dr); r < Math.min(across, across - dr); r++) {
          for (let c = Math.max(0, -dc); c < Math.min(across, across - dc); c++) {
            const a = 2 * ((i * across + r) * across + c);
            const b = 2 * ((j * across + r + dr) * across + c + dc);
            const w = mine && other ? mine[r * across + c] * other[(r + dr) * across + c + dc] : 1;
            re += w * (sums[a] * sums[b] + sums[a + 1] * sums[b + 1]);
            im += w * (sums[a + 1] * sums[b] - sums[a] * sums[b + 1]);
          }
        }
        const strength = Math.hypot(re, im);
        if (strength === 0) continue;
        from.push(i);
        to.push(j);
        angle.push(Math.atan2(im, re));
        weight.push(strength);
      }
    }
    return {
      count: from.length,
      from: Int32Array.from(from),
      to: Int32Array.from(to),
      angle: Float64Array.from(angle),
      weight: Float64Array.from(weight),
    };
  }
}

/** The mean weights of the cells (across, across) of a patch, for each way in which its first pixel may lie in the first cell. */
function cellWeightsOf(block: Float32Array, side: number, cellPx: number): Float32Array[] {
  const across = Math.ceil(side / cellPx) + 1;
  return Array.from({ length: cellPx ** 2 }, (_, offset) => {
    const [down, right] = [Math.floor(offset / cellPx), offset % cellPx];
    const weights = new Float32Array(across ** 2);
    for (let r = 0; r < side; r++) {
      for (let c = 0; c < side; c++) {
        weights[Math.floor((down + r) / cellPx) * across + Math.floor((right + c) / cellPx)] +=
          block[r * side + c] / cellPx ** 2;
      }
    }
    return weights;
  });
}

/** Pairs of neighbours: the phase of the first against the second, radians, and how well it is known. */
export interface PhaseDifferences {
  readonly count: number;
  readonly from: ArrayLike<number>;
  readonly to: ArrayLike<number>;
  readonly angle: ArrayLike<number>;
  readonly weight: ArrayLike<number>;
}

/**
 * Finds the angles whose differences are those of the pairs, as well as they can be; begins with what is in `angles`.
 * @param prior how much an angle is held to zero, relative to the pull of its neighbours
 */
export function solveAngles(angles: Float64Array, edges: PhaseDifferences, prior: number): void {
  const n = angles.length;
  const degree = new Float64Array(n);
  for (let e = 0; e < edges.count; e++) {
    degree[edges.from[e]] += edges.weight[e];
    degree[edges.to[e]] += edges.weight[e];
  }
  const hold = (prior * degree.reduce((a, d) => a + d, 0)) / n;
  const apply = (v: Float64Array, out: Float64Array) => {
    for (let i = 0; i < n; i++) out[i] = (degree[i] + hold) * v[i];
    for (let e = 0; e < edges.count; e++) {
      const [i, j, w] = [edges.from[e], edges.to[e], edges.weight[e]];
      out[i] -= w * v[j];
      out[j] -= w * v[i];
    }
  };
  for (let round = 0; round < ROUNDS; round++) {
    const right = new Float64Array(n);
    for (let e = 0; e < edges.count; e++) {
      const [i, j] = [edges.from[e], edges.to[e]];
      const rest = wrap(edges.angle[e] - (angles[i] - angles[j])) * edges.weight[e];
      right[i] += rest;
      right[j] -= rest;
    }
    for (let i = 0; i < n; i++) right[i] -= hold * wrap(angles[i]);
    const step = conjugateGradients(apply, right, degree, hold);
    let largest = 0;
    for (let i = 0; i < n; i++) {
      angles[i] += step[i];
      largest = Math.max(largest, Math.abs(step[i]));
    }
    if (largest < 1e-3) break;
  }
}

/** Multiplies patches of (count, side, side) arrays by e^{−i·angle} in place. */
export function turnPatches(
  re: Float32Array,
  im: Float32Array,
  count: number,
  side: number,
  angles: ArrayLike<number>,
): void {
  const area = side * side;
  for (let k = 0; k < count; k++) {
    const [c, s] = [Math.cos(angles[k]), Math.sin(angles[k])];
    for (let i = k * area; i < (k + 1) * area; i++) {
      const [a, b] = [re[i], im[i]];
      re[i] = a * c + b * s;
      im[i] = b * c - a * s;
    }
  }
}

const wrap = (angle: number): number => angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI));

/** Arrays of one kind, one after the other. */
function joined<T extends Float64Array | Float32Array | Int32Array>(
  parts: readonly T[],
  make: (length: number) => T,
): T {
  const out = make(parts.reduce((a, p) => a + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

/** Jacobi-preconditioned conjugate gradients from zero. */
function conjugateGradients(
  apply: (v: Float64Array, out: Float64Array) => void,
  right: Float64Array,
  degree: Float64Array,
  hold: number,
): Float64Array {
  const n = right.length;
  const x = new Float64Array(n);
  const r = right.slice();
  const z = r.map((v, i) => v / (degree[i] + hold || 1));
  const p = z.slice();
  const q = new Float64Array(n);
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((s, v, i) => s + v * b[i], 0);
  let rz = dot(r, z);
  const stop = CG_TOLERANCE ** 2 * rz;
  for (let k = 0; k < CG_STEPS && rz > stop && rz > 0; k++) {
    apply(p, q);
    const alpha = rz / dot(p, q);
    for (let i = 0; i < n; i++) {
      x[i] += alpha * p[i];
      r[i] -= alpha * q[i];
      z[i] = r[i] / (degree[i] + hold || 1);
    }
    const next = dot(r, z);
    const beta = next / rz;
    for (let i = 0; i < n; i++) p[i] = z[i] + beta * p[i];
    rz = next;
  }
  return x;
}

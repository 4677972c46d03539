/**
 * Variable projection: the scales s1, s2 of real and imaginary parts with which an object s1·a + i·s2·b explains measured counts best,
 * in the sense of least squares. I = s1²·A + 2·s1·s2·X + s2²·B with A = Σ|Ψa|², B = Σ|Ψb|², X = Σ Re(conj Ψa·Ψb) over the modes of the
 * probe, Ψa = F(P·a), Ψb = F(iP·b). Whatever the number of patterns, nine sums over their pixels hold all that the fit needs.
 *
 * @example
 * const sums = new VarproSums(probe);
 * sums.add(patch.re, patch.im, 0, counts); // for every pattern
 * const scales = sums.solve(); // { s1, s2 }
 */
import type { ComplexTensor } from '../core/tensor.js';
import { DetectorTransform } from './fourier.js';
import type { FloatArray } from './sampling.js';

/** What a fit needs of patterns, the rows being (A, 2X, B). */
export interface VarproMoments {
  /** (3, 3) Σ rᵀr, or their mean. */
  readonly M: ArrayLike<number>;
  /** (3,) Σ rᵀI likewise. */
  readonly v: ArrayLike<number>;
}

/** Factors of real and imaginary part; s1 is not negative. */
export interface PartScales {
  readonly s1: number;
  readonly s2: number;
}

/** Below this share of what a unit matrix has left, three columns are two: float32 patches are no more exact. */
const RANK = 1e-9;

/** A scale this many times the common one of both parts is not believed. */
const BELIEVABLE = 10;

/** Directions that are tried before the best is refined. */
const ANGLES = 720;

/**
 * The s1, s2 of least squares. In the direction t, (s1, s2) = √ρ·(cos t, sin t), the objective is a parabola in ρ; what is left is a
 * function of t alone whose few minima are found by trying directions.
 * @returns undefined where the patterns do not determine both (no imaginary part, for instance), or no scale explains them
 */
export function solveVarpro({ M, v }: VarproMoments): PartScales | undefined {
  if (!hasRank3(M)) return undefined;
  const along = (t: number) => {
    const [c, s] = [Math.cos(t), Math.sin(t)];
    const d = [c * c, c * s, s * s];
    const gain = d[0] * v[0] + d[1] * v[1] + d[2] * v[2];
    let curvature = 0;
    for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) curvature += d[i] * M[3 * i + j] * d[j];
    return { rho: Math.max(gain, 0) / curvature, worth: gain > 0 ? (gain * gain) / curvature : 0 };
  };
  // A turn by π is (−s1, −s2), which explains the same.
  const step = Math.PI / ANGLES;
  let best = 0;
  for (let k = 1; k < ANGLES; k++) if (along(k * step).worth > along(best * step).worth) best = k;
  const t = maximum((angle) => along(angle).worth, (best - 1) * step, (best + 1) * step);
  const { rho } = along(t);
  if (!(rho > 0 && Number.isFinite(rho))) return undefined;
  // Of a part that is next to nothing any scale is as good, and the best one is that of noise.
  const common = commonScale({ M, v });
  const believable = (s: number) => Math.abs(s) < common * BELIEVABLE;
  const { s1, s2 } = polished({ M, v }, { s1: Math.sqrt(rho) * Math.cos(t), s2: Math.sqrt(rho) * Math.sin(t) });
  if (!believable(s1) || !believable(s2)) return undefined;
  return s1 < 0 ? { s1: -s1, s2: -s2 } : { s1, s2 };
}

/** The best scale where both parts have the same; 0 where none explains anything. */
function commonScale({ M, v }: VarproMoments): number {
  const power = Array.from(M).reduce((a, b) => a + b, 0);
  return Math.sqrt(Math.max(0, v[0] + v[1] + v[2]) / power);
}

/** Newton's method on the objective qᵀMq − 2vᵀq, q = (s1², s1·s2, s2²): looking for a maximum finds half of the digits only. */
function polished({ M, v }: VarproMoments, { s1, s2 }: PartScales): PartScales {
  for (let step = 0; step < 3; step++) {
    const q = [s1 * s1, s1 * s2, s2 * s2];
    const byS1 = [2 * s1, s2, 0];
    const byS2 = [0, s1, 2 * s2];
    const row = (i: number, x: readonly number[]) => M[3 * i] * x[0] + M[3 * i + 1] * x[1] + M[3 * i + 2] * x[2];
    const r = [0, 1, 2].map((i) => row(i, q) - v[i]);
    const dot = (x: readonly number[], y: readonly number[]) => x[0] * y[0] + x[1] * y[1] + x[2] * y[2];
    const times = (x: readonly number[], y: readonly number[]) => x.reduce((sum, xi, i) => sum + xi * row(i, y), 0);
    const [g1, g2] = [dot(byS1, r), dot(byS2, r)];
    const [h11, h12, h22] = [times(byS1, byS1) + 2 * r[0], times(byS1, byS2) + r[1], times(byS2, byS2) + 2 * r[2]];
    const determinant = h11 * h22 - h12 * h12;
    if (!(determinant > 0)) break;
    s1 -= (h22 * g1 - h12 * g2) / determinant;
    s2 -= (h11 * g2 - h12 * g1) / determinant;
  }
  return { s1, s2 };
}

/** Golden section, to where neighbouring values are equal. */
function maximum(f: (x: number) => number, low: number, high: number): number {
  const shrink = (Math.sqrt(5) - 1) / 2;
  let [a, b] = [low, high];
  for (let i = 0; i < 60; i++) {
    const [x, y] = [b - shrink * (b - a), a + shrink * (b - a)];
    if (f(x) < f(y)) a = x;
    else b = y;
  }
  return (a + b) / 2;
}

/** Whether a symmetric matrix of sums of squares has three columns to tell apart, each scaled to 1. */
function hasRank3(M: ArrayLike<number>): boolean {
  const scale = [0, 1, 2].map((i) => Math.sqrt(M[4 * i]));
  if (!scale.every((s) => s > 0 && Number.isFinite(s))) return false;
  const g = (i: number, j: number) => M[3 * i + j] / (scale[i] * scale[j]);
  const [a, b, c] = [g(0, 1), g(0, 2), g(1, 2)];
  const left = 1 - a * a;
  const last = left > 0 ? 1 - b * b - (c - a * b) ** 2 / left : 0;
  return left > RANK && last > RANK;
}

/** Adds up {@link VarproMoments} in float64, pattern by pattern; memory does not grow with them. */
export class VarproSums implements VarproMoments {
  readonly M = new Float64Array(9);
  readonly v = new Float64Array(3);
  readonly #side: number;
  readonly #transform: DetectorTransform;
  readonly #waves: readonly Float64Array[];
  readonly #rows: readonly Float64Array[];

  /**
   * @param probe (N, N) or modes (P, N, N), √counts, masked as in the network
   * @param badPixels (N, N): 1 at pixels that are left out
   * @param exit changes exit waves (N, N), as a blur does
   */
  constructor(
    private readonly probe: ComplexTensor<FloatArray>,
    private readonly badPixels?: ArrayLike<number>,
    private readonly exit: (re: Float64Array, im: Float64Array) => void = () => {},
  ) {
    this.#side = probe.shape[probe.shape.length - 1];
    const area = this.#side ** 2;
    this.#transform = new DetectorTransform(this.#side);
    this.#waves = Array.from({ length: 4 }, () => new Float64Array(area));
    this.#rows = Array.from({ length: 3 }, () => new Float64Array(area));
  }

  /** One pattern: the patch that starts at `offset` of (re, im), and its counts, N·N each. */
  add(re: FloatArray, im: FloatArray, offset: number, counts: ArrayLike<number>): void {
    const area = this.#side ** 2;
    const [aRe, aIm, bRe, bIm] = this.#waves;
    const [A, X, B] = this.#rows;
    const { probe } = this;
    for (const row of this.#rows) row.fill(0);
    for (let from = 0; from < probe.re.length; from += area) {
      for (let i = 0; i < area; i++) {
        const [p, q] = [probe.re[from + i], probe.im[from + i]];
        const [a, b] = [re[offset + i], im[offset + i]];
        aRe[i] = p * a;
        aIm[i] = q * a;
        bRe[i] = -q * b;
        bIm[i] = p * b;
      }
      for (const [x, y] of [
        [aRe, aIm],
        [bRe, bIm],
      ]) {
        this.exit(x, y);
        this.#transform.forward(x, y);
      }
      for (let i = 0; i < area; i++) {
        A[i] += aRe[i] * aRe[i] + aIm[i] * aIm[i];
        X[i] += 2 * (aRe[i] * bRe[i] + aIm[i] * bIm[i]);
        B[i] += bRe[i] * bRe[i] + bIm[i] * bIm[i];
      }
    }
    this.#sum(counts);
  }

  #sum(counts: ArrayLike<number>): void {
    const [A, X, B] = this.#rows;
    const { M, v, badPixels } = this;
    let [aa, ax, ab, xx, xb, bb, ai, xi, bi] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < A.length; i++) {
      if (badPixels?.[i]) continue;
      const [a, x, b, n] = [A[i], X[i], B[i], counts[i]];
      aa += a * a;
      ax += a * x;
      ab += a * b;
      xx += x * x;
      xb += x * b;
      bb += b * b;
      ai += a * n;
      xi += x * n;
      bi += b * n;
    }
    [aa, ax, ab, ax, xx, xb, ab, xb, bb].forEach((sum, i) => {
      M[i] += sum;
    });
    [ai, xi, bi].forEach((sum, i) => {
      v[i] += sum;
    });
  }

  /** {@link solveVarpro} of what was added. */
  solve(): PartScales | undefined {
    return solveVarpro(this);
  }
}

/**
 * Errors that all positions of a scan share: its scale, rotation, asymmetry (one axis longer than the other) and shear,
 *   A = s·diag(1 + a/2, 1 − a/2)·[[cos θ, sin θ], [−sin θ, cos θ]]·[[1, 0], [tan φ, 1]], y before x, about the mean position
 * (the parameters of PtychoShelves' probe geometry model, M. Odstrčil, A. Menzel, M. Guizar-Sicairos, Opt. Express 26, 3108, 2018).
 *
 * Where every position follows its own pattern, the object follows the wrong positions, and each pattern sees a fraction of its error.
 * So only the affine part B of what the patterns ask for in an epoch is followed, with a gain and momentum, V ← 0.7·V + 4·B with
 * elements of at most 0.01, and positions and object go along together, by 1 + V.
 */
import { solvePositive } from '../../core/cholesky.js';
import type { NumericArray } from '../../core/tensor.js';
import { MOMENTS } from '../wavePasses.js';
import type { ModePlanes } from './constraints.js';

/** What of the positions as a whole may be wrong. */
export type AffineFreedom = 'scale' | 'rotation' | 'asymmetry' | 'shear';

/** y before x: [[yy, yx], [xy, xx]]. */
export type Matrix2 = readonly [yy: number, yx: number, xy: number, xx: number];

/** What was found of the positions as a whole. */
export interface AffineFound {
  readonly matrix_yx: Matrix2;
  readonly scale: number;
  readonly asymmetry: number;
  readonly rotation_deg: number;
  readonly shear_deg: number;
}

const GAIN = 4;
const MOMENTUM = 0.7;
/** Largest element of a step. */
const LARGEST_STEP = 0.01;
/** Of the published rule: how firmly positions are drawn, and how far off they are expected to be. */
const RELAXATION = 0.1;
const EXPECTED_ERROR_PX = 1;
/** Largest element of A − 1: beyond it something else is wrong. */
export const LARGEST_AFFINE = 0.06;

const IDENTITY: Matrix2 = [1, 0, 0, 1];

const product = ([a, b, c, d]: Matrix2, [e, f, g, h]: Matrix2): Matrix2 => [
  a * e + b * g,
  a * f + b * h,
  c * e + d * g,
  c * f + d * h,
];

function inverse([a, b, c, d]: Matrix2): Matrix2 {
  const determinant = a * d - b * c;
  return [d / determinant, -b / determinant, -c / determinant, a / determinant];
}

/** The parameters of A; those of small changes, up to second order, are what their names say. */
export function decompose(matrix: Matrix2): AffineFound {
  const [b00, b01, b10, b11] = matrix;
  const determinant = b00 * b11 - b01 * b10;
  // Of u = (s(1 + a/2))²: (b11/det)²·u² − u + b01² = 0, the root that is 1 for no change.
  const k = (b11 / determinant) ** 2;
  const u = (1 + Math.sqrt(Math.max(0, 1 - 4 * k * b01 * b01))) / (2 * k);
  const p = Math.sqrt(u);
  const q = determinant / p;
  const rotation = Math.asin(Math.max(-1, Math.min(1, b01 / p)));
  const shear = Math.atan((b10 / q + Math.sin(rotation)) / Math.cos(rotation));
  const scale = (p + q) / 2;
  return {
    matrix_yx: matrix,
    scale,
    asymmetry: (p - q) / scale,
    rotation_deg: (180 / Math.PI) * rotation,
    shear_deg: (180 / Math.PI) * shear,
  };
}

/** The part of a small change that these freedoms allow, by least squares. */
export function allowed([yy, yx, xy, xx]: Matrix2, freedom: readonly AffineFreedom[]): Matrix2 {
  const has = (one: AffineFreedom) => freedom.includes(one);
  const scale = has('scale') ? (yy + xx) / 2 : 0;
  const asymmetry = has('asymmetry') ? yy - xx : 0;
  // yx = θ and xy = φ − θ.
  const rotation = has('rotation') ? (has('shear') ? yx : (yx - xy) / 2) : 0;
  const shear = has('shear') ? xy + rotation : 0;
  return [scale + asymmetry / 2, rotation, shear - rotation, scale - asymmetry / 2];
}

/** Places, of which the affine part is followed. */
interface Places {
  readonly ys: Float64Array;
  readonly xs: Float64Array;
}

export class AffineCorrection {
  readonly #measured: Places;
  readonly #centre: readonly [y: number, x: number];
  /** (count, 4): the move that a pattern asks for, y before x, and its weights. */
  readonly #asked: Float64Array;
  /** Pooled over the patterns of an epoch. */
  readonly #moments = new Float64Array(MOMENTS);
  /** A, then V. */
  readonly #state = Float64Array.of(...IDENTITY, 0, 0, 0, 0);

  constructor(
    { ys, xs }: Places,
    private readonly freedom: readonly AffineFreedom[],
    readonly fits: (y: number, x: number) => boolean,
  ) {
    this.#measured = { ys: Float64Array.from(ys), xs: Float64Array.from(xs) };
    const mean = (values: Float64Array) => values.reduce((sum, v) => sum + v, 0) / values.length;
    this.#centre = [mean(ys), mean(xs)];
    this.#asked = new Float64Array(4 * ys.length);
  }

  /** Goes on from what was found before: limits count from there; positions and object are put there by others. */
  startAt(matrix: Matrix2): void {
    this.#state.set(matrix);
  }

  /** What pattern k asks for. @param weights Σ|∂ψ/∂y|², Σ|∂ψ/∂x|² */
  ask(k: number, move: readonly [y: number, x: number], weights: readonly [y: number, x: number]): void {
    this.#asked.set([...move, ...weights], 4 * k);
  }

  /**
   * One step: positions and fields go along.
   * @param places moved in place
   * @param fields of height × width, warped in place
   */
  step(places: Places, fields: readonly ModePlanes[], size: { readonly height: number; readonly width: number }): void {
    const found = allowed(this.#fit(), this.freedom);
    const wanted = found.map((b, i) => MOMENTUM * this.#state[4 + i] + GAIN * b);
    const largest = Math.max(...wanted.map(Math.abs));
    const held = Math.min(1, LARGEST_STEP / Math.max(largest, 1e-30));
    const step = wanted.map((v) => held * v) as unknown as Matrix2;
    this.#state.set(step, 4);
    this.move([1 + step[0], step[1], step[2], 1 + step[3]], places, fields, size);
  }

  /** Adds how the patches of a batch are stretched. @param moments see `WavePasses.stretches` */
  see(moments: Float64Array): void {
    for (let i = 0; i < moments.length; i++) this.#moments[i % MOMENTS] += moments[i];
  }

  /**
   * One step of the rotation alone: χ of all patterns is fitted by P·(B·u)·∂O and P·t·∂O, u the place in the patch, and positions and fields
   * turn back by the antisymmetric part of B. (Scale and asymmetry of B are not followed: with noise the patterns ask for a scale that is
   * more than 2 % too large; docs/solvers.md.)
   */
  turn(places: Places, fields: readonly ModePlanes[], size: { readonly height: number; readonly width: number }): void {
    const [, yx, xy] = stretchOf(this.#moments);
    this.#moments.fill(0);
    const asked = this.freedom.includes('rotation') ? (yx - xy) / 2 : 0;
    const angle = Math.max(-LARGEST_STEP, Math.min(LARGEST_STEP, asked));
    this.move([1, -angle, angle, 1], places, fields, size);
  }

  /**
   * The rule of PtychoShelves and Pty-Chi: positions have moved by themselves, A is fitted to where they are, and each is drawn to its
   * place in A by F = min(1, 0.1/(1 + w) + max(0, |r| − e)²/e²), w = t⁴ over its mean, t² = Σ|∂ψ|², r how far it is from there and
   * e = 1 px. The object follows by itself.
   */
  relax({ ys, xs }: Places, weights: Float64Array, place: (k: number, y: number, x: number) => void): void {
    const count = ys.length;
    const mean = [0, 0];
    for (let i = 0; i < 2 * count; i++) mean[i % 2] += weights[i] ** 2 / count;
    const w = weights.map((v, i) => v ** 2 / (mean[i % 2] || 1));
    for (let k = 0; k < count; k++) {
      const moved = [ys[k] - this.#measured.ys[k], xs[k] - this.#measured.xs[k]] as const;
      this.ask(k, moved, [w[2 * k], w[2 * k + 1]]);
    }
    const [yy, yx, xy, xx] = allowed(this.#fit(), this.freedom);
    const M: Matrix2 = [1 + yy, yx, xy, 1 + xx];
    if (M.some((v, i) => Math.abs(v - IDENTITY[i]) > LARGEST_AFFINE)) return;
    this.#state.set(M);
    const own = Array.from(ys, (y, k) => {
      const [toY, toX] = this.place(k);
      return [y - toY, xs[k] - toX] as const;
    });
    const drift = [0, 1].map((axis) => own.reduce((sum, r) => sum + r[axis], 0) / count);
    own.forEach((r, k) => {
      const [y, x] = r.map((distance, axis) => {
        const error = Math.max(0, Math.abs(distance - drift[axis]) - EXPECTED_ERROR_PX) / EXPECTED_ERROR_PX;
        const drawn = Math.min(1, RELAXATION / (1 + w[2 * k + axis]) + error ** 2);
        return (1 - drawn) * distance;
      });
      const [toY, toX] = this.place(k);
      place(k, toY + y, toX + x);
    });
  }

  /** Positions and fields by M about the centre; not beyond {@link LARGEST_AFFINE}, and not where `fits` says no. */
  move(
    M: Matrix2,
    { ys, xs }: Places,
    fields: readonly ModePlanes[],
    size: { readonly height: number; readonly width: number },
  ): void {
    const next = product(M, this.#matrix);
    if (next.some((v, i) => Math.abs(v - IDENTITY[i]) > LARGEST_AFFINE)) return;
    const [cy, cx] = this.#centre;
    const moved = Array.from(ys, (_, k) => {
      const [y, x] = [ys[k] - cy, xs[k] - cx];
      return [M[0] * y + M[1] * x + cy, M[2] * y + M[3] * x + cx] as const;
    });
    // Patches stay on the object's array.
    if (moved.some(([y, x]) => !this.fits(y, x))) return;
    this.#state.set(next);
    moved.forEach(([y, x], k) => {
      ys[k] = y;
      xs[k] = x;
    });
    for (const field of fields) warp(field, size, inverse(M), this.#centre);
  }

  /** Where pattern k would be if it was wrong as all are. */
  place(k: number): readonly [y: number, x: number] {
    const M = this.#matrix;
    const [cy, cx] = this.#centre;
    const [y, x] = [this.#measured.ys[k] - cy, this.#measured.xs[k] - cx];
    return [M[0] * y + M[1] * x + cy, M[2] * y + M[3] * x + cx];
  }

  found(): AffineFound {
    return decompose(this.#matrix);
  }

  /** The arrays that a run goes on from; they may be written to. */
  saved(): Record<string, NumericArray> {
    return { state: this.#state };
  }

  get #matrix(): Matrix2 {
    const [a, b, c, d] = this.#state;
    return [a, b, c, d];
  }

  /** B of move = B·(position − centre) + shift, weighted least squares for each axis. */
  #fit(): Matrix2 {
    const { ys, xs } = this.#measured;
    const [cy, cx] = this.#centre;
    const rows = [0, 1].map((axis) => {
      // Normal equations of [y, x, 1].
      const n = new Float64Array(9);
      const r = new Float64Array(3);
      for (let k = 0; k < ys.length; k++) {
        const w = this.#asked[4 * k + 2 + axis];
        const terms = [ys[k] - cy, xs[k] - cx, 1];
        for (let i = 0; i < 3; i++) {
          r[i] += w * terms[i] * this.#asked[4 * k + axis];
          for (let j = 0; j < 3; j++) n[3 * i + j] += w * terms[i] * terms[j];
        }
      }
      return solveThree(n, r);
    });
    return [rows[0][0], rows[0][1], rows[1][0], rows[1][1]];
  }
}

/**
 * B of χ ≈ P·(B·u)·∂O + P·t·∂O, least squares over all pixels of all patterns, from their moments; zeros where nothing is told.
 * @param m see `WavePasses.stretches`, summed over patterns
 */
export function stretchOf(m: ArrayLike<number>): Matrix2 {
  // Unknowns B_yy, B_yx, B_xy, B_xx, t_y, t_x: direction and power of (u, v) of each.
  const unknowns = [
    [0, 1],
    [0, 2],
    [1, 1],
    [1, 2],
    [0, 0],
    [1, 0],
  ] as const;
  const product = [
    [0, 1, 2],
    [1, 3, 4],
    [2, 4, 5],
  ] as const;
  const matrix = unknowns.map(([da, pa]) => unknowns.map(([db, pb]) => m[6 * (da + db) + product[pa][pb]]));
  const right = unknowns.map(([d, p]) => m[18 + 3 * d + p]);
  const found = solvePositive(matrix, right, 1e-12) ?? [0, 0, 0, 0];
  return [found[0], found[1], found[2], found[3]];
}

/** Three linear equations by Cramer's rule; zeros where they do not determine anything. */
function solveThree(n: Float64Array, r: Float64Array): readonly number[] {
  const det = (m: ArrayLike<number>) =>
    m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) + m[2] * (m[3] * m[7] - m[4] * m[6]);
  const whole = det(n);
  if (!(Math.abs(whole) > 1e-12 * n[0] * n[4] * n[8])) return [0, 0, 0];
  return [0, 1, 2].map((column) => det(n.map((v, i) => (i % 3 === column ? r[Math.floor(i / 3)] : v))) / whole);
}

/** field(r) ← field(M·(r − centre) + centre), by cubic splines; beyond the rim the rim goes on. */
function warp(
  field: ModePlanes,
  { height, width }: { readonly height: number; readonly width: number },
  M: Matrix2,
  [cy, cx]: readonly [number, number],
): void {
  for (const plane of [field.re, field.im]) {
    const coefficients = splineCoefficients(plane, height, width);
    for (let r = 0, i = 0; r < height; r++) {
      for (let c = 0; c < width; c++, i++) {
        const y = Math.min(height - 1, Math.max(0, M[0] * (r - cy) + M[1] * (c - cx) + cy));
        const x = Math.min(width - 1, Math.max(0, M[2] * (r - cy) + M[3] * (c - cx) + cx));
        plane[i] = splineAt(coefficients, height, width, y, x);
      }
    }
  }
}

/** The pole of the cubic B-spline's filter. */
const POLE = Math.sqrt(3) - 2;

/** Coefficients of the cubic B-spline through all pixels, mirrored at the rims (M. Unser, IEEE Signal Process. Mag. 16, 22, 1999). */
function splineCoefficients(plane: ArrayLike<number>, height: number, width: number): Float64Array {
  const out = Float64Array.from(plane);
  for (let r = 0; r < height; r++) filterLine(out, r * width, 1, width);
  for (let c = 0; c < width; c++) filterLine(out, c, width, height);
  return out;
}

function filterLine(values: Float64Array, from: number, stride: number, count: number): void {
  if (count < 2) return;
  const at = (i: number) => from + i * stride;
  for (let i = 0; i < count; i++) values[at(i)] *= 6;
  // The sum over the mirrored line, as far as it counts.
  let first = 0;
  for (let i = 0, power = 1; i < Math.min(count, 28); i++, power *= POLE) first += power * values[at(i)];
  values[at(0)] = first;
  for (let i = 1; i < count; i++) values[at(i)] += POLE * values[at(i - 1)];
  const end = count - 1;
  values[at(end)] = (POLE / (POLE * POLE - 1)) * (POLE * values[at(end - 1)] + values[at(end)]);
  for (let i = end - 1; i >= 0; i--) values[at(i)] = POLE * (values[at(i + 1)] - values[at(i)]);
}

function splineAt(coefficients: Float64Array, height: number, width: number, y: number, x: number): number {
  const [row, column] = [Math.floor(y), Math.floor(x)];
  const [wy, wx] = [splineWeights(y - row), splineWeights(x - column)];
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const base = mirrored(row - 1 + i, height) * width;
    let line = 0;
    for (let j = 0; j < 4; j++) line += wx[j] * coefficients[base + mirrored(column - 1 + j, width)];
    value += wy[i] * line;
  }
  return value;
}

function splineWeights(t: number): readonly [number, number, number, number] {
  const u = 1 - t;
  return [(u * u * u) / 6, 2 / 3 - 0.5 * t * t * (2 - t), 2 / 3 - 0.5 * u * u * (2 - u), (t * t * t) / 6];
}

const mirrored = (i: number, count: number): number => {
  const at = i < 0 ? -i : i;
  return at < count ? at : Math.max(0, 2 * (count - 1) - at);
};

/**
 * `physics_forward_mode: rectangular_scaled`: real and imaginary part of the object are scaled by s1 and s2 before the probe,
 * ψ = P·(s1·Re O + i·s2·Im O); and the fit of s1, s2 to measured patterns (variable projection).
 */

import type { ComplexNode } from '../graph/complex.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { detectorIntensity } from './forward.js';
import type { PixelMask } from './losses.js';
import type { ScanRows } from './scanRows.js';

/** The two parameters, scalars. */
export const RECTANGULAR_PARAMETERS = ['rectangular.s1', 'rectangular.s2'] as const;

/** The object with its parts scaled; parameters start at 1. With several scans each has its own. */
export function rectangularScaled(
  object: ComplexNode,
  scope: ParameterScope,
  trainable: boolean,
  rows?: ScanRows,
): ComplexNode {
  const [s1, s2] = RECTANGULAR_PARAMETERS.map((name) =>
    rows
      ? rows.scalars(scope.parameter(name, [rows.scans.length], 1, !trainable))
      : scope.parameter(name, [], 1, !trainable),
  );
  return { re: op.mul(object.re, s1), im: op.mul(object.im, s2) };
}

/** What a fit of s1, s2 needs of patterns; sums may be added over batches of equal size. */
export interface RectangularMoments {
  /** (3, 3) means of X_i·X_j over pixels, X = (|F(P·Re O)|², |F(P·Im O)|², their interference). */
  readonly normal: ArrayLike<number>;
  /** (3,) means of X_i·I, I the measured intensity. */
  readonly right: ArrayLike<number>;
  /** Means of I, and of the intensity predicted with s1 = s2 = 1. */
  readonly measured: number;
  readonly predicted: number;
}

/** {@link RectangularMoments} as graph outputs `normal`, `right`, `measured`, `predicted`. */
export function rectangularMoments(
  object: ComplexNode,
  probe: readonly ComplexNode[],
  measured: GraphNode,
  smoothingSigma: number,
  mask?: PixelMask,
): Record<string, GraphNode> {
  const zero = op.mul(object.re, 0);
  const intensityOf = (z: ComplexNode) => detectorIntensity(z, probe, smoothingSigma);
  const whole = intensityOf(object);
  const real = intensityOf({ re: object.re, im: zero });
  const imaginary = intensityOf({ re: zero, im: object.im });
  const parts = [real, imaginary, op.sub(op.sub(whole, real), imaginary)];
  const mean = (x: GraphNode) => op.reshape(op.reduceMean(mask ? op.mul(x, mask.valid) : x), [1]);
  return {
    normal: op.reshape(
      op.concat(
        parts.flatMap((a) => parts.map((b) => mean(op.mul(a, b)))),
        0,
      ),
      [3, 3],
    ),
    right: op.concat(
      parts.map((a) => mean(op.mul(a, measured))),
      0,
    ),
    measured: op.reshape(mean(measured), []),
    predicted: op.reshape(mean(whole), []),
  };
}

/** A fit further than this factor from the common scale is not believed: the patterns do not determine it. */
const BELIEVABLE = 10;

/**
 * s1, s2 that fit I ≈ s1²X1 + s2²X2 + s1·s2·X3 best: the normal equations for (s1², s2², s1·s2), then the nearest rank-1 form.
 * Where they do not determine both (a network that has not learned yet paints no imaginary part), the common scale
 * √(mean measured / mean predicted).
 */
export function fitRectangular(moments: RectangularMoments): { readonly s1: number; readonly s2: number } {
  const common = Math.sqrt(moments.measured / moments.predicted);
  const w = solve3(Float64Array.from(moments.normal), Float64Array.from(moments.right));
  const fitted = w && rank1(w[0], w[1], w[2]);
  const believable = (s: number) => s > common / BELIEVABLE && s < common * BELIEVABLE;
  return fitted && believable(fitted.s1) && believable(fitted.s2) ? fitted : { s1: common, s2: common };
}

/** The best (s1, s2) for the symmetric matrix [[a, c], [c, b]] ≈ s·sᵀ: its leading eigenpair; s1 is not negative. */
function rank1(a: number, b: number, c: number): { s1: number; s2: number } | undefined {
  const middle = (a + b) / 2;
  const radius = Math.hypot((a - b) / 2, c);
  const value = middle + radius;
  if (!(value > 0)) return undefined;
  // Half the angle of (a − b, 2c) is that of the eigenvector.
  const angle = Math.atan2(2 * c, a - b) / 2;
  return { s1: Math.sqrt(value) * Math.cos(angle), s2: Math.sqrt(value) * Math.sin(angle) };
}

/** Solves a symmetric 3×3 system by elimination with pivoting; undefined when it is (nearly) singular. */
function solve3(m: Float64Array, r: Float64Array): Float64Array | undefined {
  const rows = [0, 1, 2].map((i) => [...m.subarray(3 * i, 3 * i + 3), r[i]]);
  // The unknowns differ by orders of magnitude: singularity is judged after scaling each to a unit diagonal.
  const scale = [0, 1, 2].map((i) => Math.sqrt(m[4 * i]));
  if (!scale.every((s) => s > 0)) return undefined;
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 3; j++) rows[i][j] /= scale[i] * scale[j];
    rows[i][3] /= scale[i];
  }
  for (let k = 0; k < 3; k++) {
    let best = k;
    for (let i = k + 1; i < 3; i++) if (Math.abs(rows[i][k]) > Math.abs(rows[best][k])) best = i;
    [rows[k], rows[best]] = [rows[best], rows[k]];
    if (!(Math.abs(rows[k][k]) > 1e-6)) return undefined;
    for (let i = 0; i < 3; i++) {
      if (i === k) continue;
      const f = rows[i][k] / rows[k][k];
      for (let j = k; j < 4; j++) rows[i][j] -= f * rows[k][j];
    }
  }
  return Float64Array.from(rows, (row, i) => row[3] / row[i] / scale[i]);
}

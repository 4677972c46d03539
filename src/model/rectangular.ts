/**
 * `physics_forward_mode: rectangular_scaled`: real and imaginary part of the object are scaled by s1 and s2 before the probe,
 * ψ = P·(s1·Re O + i·s2·Im O); and the fit of s1, s2 to measured patterns (variable projection).
 */

import type { ComplexNode } from '../graph/complex.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { type PartScales, solveVarpro } from '../physics/varpro.js';
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
 * s1, s2 that fit I ≈ s1²X1 + s2²X2 + s1·s2·X3 best ({@link solveVarpro}). Where the patterns do not determine both (a network that has
 * not learned yet paints no imaginary part), the common scale √(mean measured / mean predicted).
 */
export function fitRectangular({ normal, right, measured, predicted }: RectangularMoments): PartScales {
  const common = Math.sqrt(measured / predicted);
  // Moments come in the order X1, X2, X3; the fit takes the cross term between the other two.
  const order = [0, 2, 1];
  const fitted = solveVarpro({
    M: order.flatMap((i) => order.map((j) => normal[3 * i + j])),
    v: order.map((i) => right[i]),
  });
  const believable = (s: number) => s > common / BELIEVABLE && s < common * BELIEVABLE;
  return fitted && believable(fitted.s1) && believable(fitted.s2) ? fitted : { s1: common, s2: common };
}

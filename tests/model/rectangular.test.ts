/** The fit of s1, s2: normal equations and rank-1 form, and what it does where the patterns do not tell. */
import { describe, expect, it } from 'vitest';
import type { ComplexNode } from '../../src/graph/complex.js';
import * as op from '../../src/graph/ops.js';
import { ParameterScope } from '../../src/graph/parameters.js';
import { detectorIntensity } from '../../src/model/forward.js';
import { fitRectangular, rectangularMoments, rectangularScaled } from '../../src/model/rectangular.js';
import { evaluate } from '../support/interpreter.js';

const N = 8;
const shape = [2, 1, N, N];
const wave = (seed: number, scale = 1) =>
  op.constant(
    Float32Array.from({ length: 2 * N * N }, (_, i) => scale * Math.sin(1.7 * i + seed + 0.01 * i * i)),
    shape,
  );
const probe: ComplexNode = {
  re: op.constant(
    Float32Array.from({ length: N * N }, (_, i) => 1 + 0.5 * Math.cos(0.3 * i)),
    [N, N],
  ),
  im: op.constant(
    Float32Array.from({ length: N * N }, (_, i) => 0.7 * Math.sin(0.2 * i)),
    [N, N],
  ),
};

function momentsOf(object: ComplexNode, measured: ReturnType<typeof op.mul>) {
  const { normal, right, measured: m, predicted } = rectangularMoments(object, [probe], measured, 0);
  const out = evaluate([normal, right, m, predicted], {});
  return { normal: out[0], right: out[1], measured: out[2][0], predicted: out[3][0] };
}

describe('fitRectangular', () => {
  it.each([
    [1, 1],
    [2.5, 0.7],
    [0.3, 1.9],
  ])('finds s1 = %f, s2 = %f from patterns', (s1, s2) => {
    const object = { re: wave(1), im: wave(4, 0.6) };
    const scaled = { re: op.mul(object.re, s1), im: op.mul(object.im, s2) };
    const fitted = fitRectangular(momentsOf(object, op.mul(detectorIntensity(scaled, probe), 1)));
    expect(fitted.s1).toBeCloseTo(s1, 4);
    expect(fitted.s2).toBeCloseTo(s2, 4);
  });

  it('takes the common scale where no imaginary part is painted', () => {
    const object = { re: wave(1), im: op.mul(wave(2), 0) };
    const fitted = fitRectangular(momentsOf(object, op.mul(detectorIntensity(object, probe), 9)));
    expect(fitted.s1).toBeCloseTo(3, 4);
    expect(fitted.s2).toBeCloseTo(3, 4);
  });

  it('takes the common scale where a fit would be absurd', () => {
    // Patterns that have nothing to do with the object, and an imaginary part of almost nothing.
    const object = { re: wave(1), im: wave(2, 1e-4) };
    const fitted = fitRectangular(momentsOf(object, op.mul(op.square(wave(9)), 4)));
    expect(fitted.s1).toBe(fitted.s2);
    expect(fitted.s1).toBeGreaterThan(0);
  });
});

describe('rectangularScaled', () => {
  it('scales real and imaginary part; both parameters start at 1 and can be held fixed', () => {
    const object = { re: op.constant([2], [1]), im: op.constant([3], [1]) };
    for (const trainable of [true, false]) {
      const scope = new ParameterScope();
      const { re, im } = rectangularScaled(object, scope, trainable);
      const leaves = { 'rectangular.s1': [10], 'rectangular.s2': [100] };
      expect(evaluate([re, im], leaves).map((v) => v[0])).toEqual([20, 300]);
      expect(scope.specs.map((s) => s.init)).toEqual([1, 1]);
      expect(scope.nodes.size).toBe(trainable ? 2 : 0);
    }
  });
});

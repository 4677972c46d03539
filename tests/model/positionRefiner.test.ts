/** Positions as trainable values: the chain rule, the limit, the drift, and checkpoints. */
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/core/tensor.js';
import { PositionRefiner } from '../../src/model/positionRefiner.js';

const xs = [0, 10, 3, 7, 21];
const ys = [5, 1, -4, 8, 2];
/** Two groups of two; pattern 1 belongs to both, pattern 4 to none. */
const members = Int32Array.of(0, 1, 1, 3);

const gradientsOf = (values: readonly number[]): Tensor => ({
  data: Float32Array.from(values),
  shape: [values.length / 4, 2, 1, 2],
});

/** A loss of relative positions, and its gradient by them. */
const loss = (r: ArrayLike<number>) => Array.from(r).reduce((s, v, i) => s + (i + 1) * Math.sin(0.3 * v + i), 0);
const lossGradient = (r: ArrayLike<number>) => Array.from(r, (v, i) => 0.3 * (i + 1) * Math.cos(0.3 * v + i));

const refinerAt = (x: ArrayLike<number>, y: ArrayLike<number>, options = {}) =>
  new PositionRefiner({ xs: x, ys: y, learningRate_px: 0.1, ...options });

describe('PositionRefiner', () => {
  it('gives group centre − member', () => {
    const { data, shape } = refinerAt(xs, ys).relativePositions(members, 2, 2);
    expect(shape).toEqual([2, 2, 1, 2]);
    expect(Array.from(data)).toEqual([5, -2, -5, 2, -1.5, 3.5, 1.5, -3.5]);
  });

  it('follows the chain rule from relative positions to patterns', () => {
    // With β₁ = 0 the first moment is the gradient itself.
    const at = (x: readonly number[], y: readonly number[]) =>
      loss(refinerAt(x, y).relativePositions(members, 2, 2).data);
    const h = 0.01;
    const expected = [0, 1, 2, 3, 4].map((m) => {
      const moved = (v: readonly number[], by: number) => v.map((c, i) => (i === m ? c + by : c));
      return [
        (at(moved(xs, h), ys) - at(moved(xs, -h), ys)) / (2 * h),
        (at(xs, moved(ys, h)) - at(xs, moved(ys, -h))) / (2 * h),
      ];
    });
    const refiner = refinerAt(xs, ys, { beta1: 0, beta2: 0.5, learningRate_px: 1 });
    refiner.update(members, gradientsOf(lossGradient(refiner.relativePositions(members, 2, 2).data)));
    const { position_square: square, position_mean: mean } = refiner.state();
    expected.flat().forEach((g, i) => {
      expect(mean.data[i]).toBeCloseTo(g, 2);
      expect(square.data[i]).toBeCloseTo(0.5 * g * g, 1);
    });
    expect(Math.abs(expected[1][0])).toBeGreaterThan(0.1);
  });

  it('lowers a loss, whose minimum it finds', () => {
    const truth = [0.5, 9.6, 3, 7.4, 21];
    const target = refinerAt(truth, ys).relativePositions(members, 2, 2).data;
    const refiner = refinerAt(xs, ys);
    const misfit = () => refiner.relativePositions(members, 2, 2).data.map((v, i) => v - target[i]);
    for (let i = 0; i < 400; i++) refiner.update(members, gradientsOf(Array.from(misfit())), 0.98 ** i);
    expect(Math.max(...misfit().map(Math.abs))).toBeLessThan(1e-3);
  });

  it('keeps positions within the limit, measured from the measured place', () => {
    const refiner = refinerAt(xs, ys, { stepLimit_px: 0.25 });
    for (let i = 0; i < 20; i++) refiner.update(members, gradientsOf([1, 3, -1, -3, 1, 3, -1, -3]));
    const far = xs.map((x, m) => Math.hypot(refiner.xs[m] - x, refiner.ys[m] - ys[m]));
    expect(Math.max(...far)).toBeCloseTo(0.25, 5);
    expect(far[4]).toBe(0);
  });

  it('removes the drift of what was moved, and moves nothing else', () => {
    const refiner = refinerAt(xs, ys);
    refiner.update(members, gradientsOf([1, 2, 3, -4, 1, 0, 0, 5]));
    const before = [refiner.xs[1] - refiner.xs[0], refiner.ys[3] - refiner.ys[0]];
    refiner.endEpoch();
    const shift = (now: Float64Array, then: readonly number[]) => then.map((v, m) => now[m] - v);
    for (const axis of [shift(refiner.xs, xs), shift(refiner.ys, ys)]) {
      expect(axis.reduce((a, b) => a + b)).toBeCloseTo(0, 6);
      expect(Math.max(...axis.map(Math.abs))).toBeGreaterThan(0.01);
      expect([axis[2], axis[4]]).toEqual([0, 0]);
    }
    expect(refiner.xs[1] - refiner.xs[0]).toBeCloseTo(before[0], 6);
    expect(refiner.ys[3] - refiner.ys[0]).toBeCloseTo(before[1], 6);
  });

  it('removes the drift and keeps the limit at once', () => {
    const refiner = refinerAt(xs, ys, { stepLimit_px: 0.1, learningRate_px: 0.3 });
    for (let i = 0; i < 5; i++) refiner.update(members, gradientsOf([9, 0, 0, 0, 1, 0, 0, 0]));
    refiner.endEpoch();
    const shifts = xs.map((x, m) => refiner.xs[m] - x);
    expect(Math.max(...shifts.map(Math.abs))).toBeLessThanOrEqual(0.1 + 1e-6);
    expect(shifts.reduce((a, b) => a + b)).toBeCloseTo(0, 4);
  });

  it('goes on from a checkpoint bit for bit, and leaves its inputs alone', () => {
    const frozen = [Object.freeze([...xs]), Object.freeze([...ys])];
    const [a, b] = [refinerAt(frozen[0], frozen[1]), refinerAt(frozen[0], frozen[1])];
    const g = Array.from({ length: 8 }, (_, i) => Math.sin(i));
    a.update(members, gradientsOf(g));
    b.restore(structuredClone(a.state()));
    for (const refiner of [a, b]) {
      refiner.update(members, gradientsOf(g.map((v) => 0.3 * v + 0.1)));
      refiner.endEpoch();
    }
    expect(b.state()).toEqual(a.state());
    expect(b.xs).toEqual(a.xs);
    expect(a.rmsShift_px).toBeGreaterThan(0);
  });

  it('refuses what cannot be', () => {
    const refiner = refinerAt(xs, ys);
    expect(() => refinerAt(xs, ys, { learningRate_px: 0 })).toThrow('position_learning_rate');
    expect(() => refinerAt(xs, ys.slice(1))).toThrow('5 x and 4 y');
    expect(() => refiner.relativePositions(members, 1, 2)).toThrow('found 4');
    expect(() => refiner.update(members, gradientsOf([1, 2, 3, 4]))).toThrow('(B, C, 1, 2)');
    expect(() => refiner.update(members, gradientsOf([NaN, 2, 3, 4, 5, 6, 7, 8]))).toThrow('no finite gradient');
    expect(() => refiner.restore(refinerAt([1], [1]).state())).toThrow('another scan');
  });
});

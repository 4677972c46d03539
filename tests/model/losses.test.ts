import { describe, expect, it } from 'vitest';
import { gradients } from '../../src/graph/gradients.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { amplitudeOf } from '../../src/model/forward.js';
import { amplitudeMae, poissonDeviance } from '../../src/model/losses.js';
import { evaluate } from '../support/interpreter.js';

const values = (node: GraphNode): Float64Array => evaluate([node], {})[0];

describe('poissonDeviance', () => {
  it('is λ − k ln λ up to a constant of the data: λ = 2, k = 3', () => {
    const rate = op.constant([2], [1]);
    const loss = poissonDeviance(rate, op.constant([3], [1]), 1);
    const data = 3 * Math.log(3) - 3;
    expect(values(loss)[0]).toBeCloseTo(2 - 3 * Math.log(2) + data, 5);
    expect(values(gradients(loss, [rate])[0])[0]).toBeCloseTo(1 - 3 / 2, 6);
  });

  it('is zero for a perfect prediction and positive beside it', () => {
    const count = op.constant([0, 1, 5, 40], [4]);
    expect(values(poissonDeviance(count, count, 11.5))[0]).toBeCloseTo(0, 6);
    for (const factor of [0.8, 1.3]) {
      expect(values(poissonDeviance(op.mul(count, factor), count, 11.5))[0]).toBeGreaterThan(1e-3);
    }
  });

  it('and its gradient stay finite where the model or the data are dark', () => {
    const rate = op.constant([0, 0, 1e-30, 3], [4]);
    const loss = poissonDeviance(rate, op.constant([0, 7, 2, 0], [4]), 2);
    for (const v of [...values(loss), ...values(gradients(loss, [rate])[0])]) expect(Number.isFinite(v)).toBe(true);
  });
});

describe('amplitudeMae', () => {
  it('is the R-factor: Σ|a − d| / Σd', () => {
    const loss = amplitudeMae(op.constant([1, 2, 3], [3]), op.constant([1, 4, 1], [3]), 2);
    expect(values(loss)[0]).toBeCloseTo(4 / 6, 6);
  });

  it('has a finite gradient through the root at zero intensity', () => {
    const intensity = op.constant([0, 4], [2]);
    const loss = amplitudeMae(amplitudeOf(intensity), op.constant([1, 1], [2]), 1);
    const [g] = gradients(loss, [intensity]);
    for (const v of values(g)) expect(Number.isFinite(v)).toBe(true);
  });
});

describe('bad pixels', () => {
  const mask = { valid: op.constant([1, 0, 1], [3]), fraction: 2 / 3 };
  it('count in no loss, whatever is predicted there', () => {
    const count = op.constant([4, 0, 9], [3]);
    for (const wild of [0, 1, 1e6]) {
      const rate = op.constant([4, wild, 9], [3]);
      expect(values(poissonDeviance(rate, count, 6.5, { mask }))[0]).toBeCloseTo(0, 5);
      expect(values(amplitudeMae(op.sqrt(rate), op.sqrt(count), 2.5, mask))[0]).toBeCloseTo(0, 5);
      expect(Math.abs(values(gradients(poissonDeviance(rate, count, 6.5, { mask }), [rate])[0])[1])).toBe(0);
    }
  });

  it('leave the mean of the others as it is without them', () => {
    const masked = poissonDeviance(op.constant([5, 7, 6], [3]), op.constant([4, 0, 9], [3]), 6.5, { mask });
    const without = poissonDeviance(op.constant([5, 6], [2]), op.constant([4, 9], [2]), 6.5);
    expect(values(masked)[0]).toBeCloseTo(values(without)[0], 5);
  });
});

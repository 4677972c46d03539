/** Every op's gradient against central differences in float64, and the conventions at kinks and ties. */
import { describe, expect, it } from 'vitest';
import type { Shape } from '../../src/core/tensor.js';
import { gradients } from '../../src/graph/gradients.js';
import type { GraphNode, OpName } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { derivedOps, type GradientCase, gradientCases, spread, worstError } from '../support/gradientCases.js';
import { evaluate } from '../support/interpreter.js';

describe('gradients against central differences', () => {
  for (const [name, entry] of derivedOps) {
    it.each(entry.map((c) => [c.shapes.map((s) => `[${s}]`).join(' '), c] as const))(`${name} of %s`, (_, c) => {
      // 1e-6: constants in the rules (1/n of a mean) are float32.
      expect(worstError(c)).toBeLessThan(1e-6);
    });
  }

  it('of a chain that uses a value twice, with relu before pooling', () => {
    const chain: GradientCase = {
      shapes: [
        [2, 1, 4, 4],
        [2, 1, 3, 3],
        [1, 2, 3, 3],
      ],
      value: spread,
      build: (x, w1, w2) => {
        const h = op.maxPool2(op.relu(op.conv2d(x, w1)));
        return op.mul(op.sigmoid(op.upConv2d(h, w2)), op.silu(x));
      },
    };
    expect(worstError(chain)).toBeLessThan(1e-6);
  });
});

describe('ops without a gradient', () => {
  const x = op.input('x', [3]);
  const flat: Partial<Record<OpName, GraphNode>> = {
    equal: op.equal(x, 1),
    sign: op.sign(x),
    step: op.step(x),
    greater: op.greater(x, 0),
  };

  it.each(Object.keys(gradientCases).filter((name) => gradientCases[name as OpName] === 'no gradient'))(
    '%s gives zeros',
    (name) => {
      const y = flat[name as OpName];
      expect(y?.op).toBe(name);
      const [dx] = gradients(op.reduceSum(y!), [x]);
      expect([...evaluate([dx], { x: [-1, 0, 1] })[0]]).toEqual([0, 0, 0]);
    },
  );

  it.each(
    Object.entries(gradientCases).flatMap(([name, entry]) =>
      'madeBy' in Object(entry) ? [[name, (entry as { madeBy: OpName }).madeBy]] : [],
    ),
  )('%s is made by the rule of %s, and refuses a second derivative', (name, maker) => {
    const made = new Set<string>();
    const image = op.input('image', [1, 1, 4, 4]);
    const w = op.input('w', maker === 'transposedConv2d' ? [1, 1, 4, 4] : [1, 1, 3, 3]);
    const forward: Record<string, () => GraphNode> = {
      relu: () => op.relu(image),
      gelu: () => op.gelu(image),
      transposedConv2d: () => op.transposedConv2d(image, w),
      conv2d: () => op.conv2d(image, w),
      upConv2d: () => op.upConv2d(image, w),
      maxPool2: () => op.maxPool2(image),
    };
    const parts = gradients(op.reduceSum(op.square(forward[maker]())), [image, w]);
    const stack = [...parts];
    const ofKind: GraphNode[] = [];
    while (stack.length > 0) {
      const n = stack.pop()!;
      made.add(n.op);
      if (n.op === name) ofKind.push(n);
      stack.push(...n.inputs);
    }
    expect(made).toContain(name);
    expect(() => gradients(op.reduceSum(ofKind[0]), [image])).toThrowError(
      expect.objectContaining({ code: 'GRAPH_INVALID', message: expect.stringContaining(name) }),
    );
  });
});

describe('conventions at kinks and ties', () => {
  const gradientAt = (build: (x: GraphNode) => GraphNode, shape: Shape, values: readonly number[]) => {
    const x = op.input('x', shape);
    const [dx] = gradients(op.reduceSum(build(x)), [x]);
    return [...evaluate([dx], { x: values })[0]];
  };

  it('hat: the mean of both one-sided derivatives at whole numbers', () => {
    // Left and right derivatives at −1, 0, 1 are (0, 1), (1, −1), (−1, 0).
    const at = gradientAt(op.hat, [3], [-1, 0, 1]);
    expect(at[0]).toBeCloseTo(0.5, 12);
    expect(at[1]).toBeCloseTo(0, 12);
    expect(at[2]).toBeCloseTo(-0.5, 12);
  });

  it('relu: nothing flows at zero', () => {
    expect(gradientAt(op.relu, [3], [-1, 0, 1])).toEqual([0, 0, 1]);
  });

  it('maxPool2: a block of equal values shares its gradient', () => {
    const dx = gradientAt(op.maxPool2, [1, 1, 2, 4], [5, 5, 1, 2, 5, 5, 2, 0]);
    expect(dx).toEqual([0.25, 0.25, 0, 0.5, 0.25, 0.25, 0.5, 0]);
  });

  it('reduceMax: equal maxima share the gradient', () => {
    expect(gradientAt((x) => op.reduceMax(x, [1]), [2, 3], [1, 3, 3, 2, 2, 2])).toEqual([
      0,
      0.5,
      0.5,
      1 / 3,
      1 / 3,
      1 / 3,
    ]);
  });

  it('relu before pooling: a block whose maximum is zero gets nothing', () => {
    const dx = gradientAt((x) => op.maxPool2(op.relu(x)), [1, 1, 2, 4], [-1, -2, 3, 1, -1, -3, 0, 2]);
    expect(dx).toEqual([0, 0, 1, 0, 0, 0, 0, 0]);
  });
});

describe('gradients', () => {
  it('are zeros for what the loss does not depend on', () => {
    const [x, other] = [op.input('x', [2]), op.input('other', [2, 2])];
    const [d] = gradients(op.reduceSum(x), [other]);
    expect(d.shape).toEqual([2, 2]);
    expect([...evaluate([d], { x: [1, 2], other: [1, 2, 3, 4] })[0]]).toEqual([0, 0, 0, 0]);
  });

  it('need a scalar loss, and say what they got', () => {
    const x = op.input('image', [2, 3]);
    expect(() => gradients(x, [x])).toThrowError(
      expect.objectContaining({
        code: 'GRAPH_INVALID',
        message: 'gradients needs a scalar loss, got shape (2, 3) ("image").',
      }),
    );
  });

  it('of an intermediate node and of the loss itself', () => {
    const x = op.input('x', [2]);
    const y = op.square(x);
    const loss = op.reduceSum(op.mul(y, 3));
    const [dy, dLoss] = gradients(loss, [y, loss]);
    expect(evaluate([dy, dLoss], { x: [1, 2] }).map((v) => [...v])).toEqual([[3, 3], [1]]);
  });
});

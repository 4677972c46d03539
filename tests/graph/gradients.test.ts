/** Every op's gradient against central differences in float64, and the conventions at kinks and ties. */
import { describe, expect, it } from 'vitest';
import { type Shape, sizeOf } from '../../src/core/tensor.js';
import { gradients } from '../../src/graph/gradients.js';
import type { GraphNode, OpName } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { evaluate } from '../support/interpreter.js';

interface Case {
  readonly shapes: readonly Shape[];
  readonly build: (...x: GraphNode[]) => GraphNode;
  /** Index in a fixed pseudo-random sequence in (0, 1) → operand value; away from kinks. */
  readonly value?: (u: number) => number;
}

const centred = (u: number) => 4 * u - 2;
const positive = (u: number) => 0.5 + 2 * u;
/** Distinct values with gaps far larger than the step of the differences, none near a whole number. */
const spread = (u: number) => Math.floor(centred(u) * 97) / 97 + 1 / 211;

const unary = (f: (x: GraphNode) => GraphNode, value = spread): Case[] => [{ shapes: [[2, 3, 4]], build: f, value }];
const binary = (f: (a: GraphNode, b: GraphNode) => GraphNode, value = centred): Case[] => [
  {
    shapes: [
      [2, 3],
      [2, 3],
    ],
    build: f,
    value,
  },
  {
    shapes: [
      [2, 3, 4],
      [3, 1],
    ],
    build: f,
    value,
  },
  { shapes: [[], [2, 2]], build: f, value },
  {
    shapes: [
      [4, 1],
      [1, 3],
    ],
    build: f,
    value,
  },
];
const convolutions = (f: (x: GraphNode, w: GraphNode, b?: GraphNode) => GraphNode, kernels: number[]): Case[] =>
  kernels.flatMap((k) => [
    { shapes: [[2, 3, 4, 6], [2, 3, k, k], [2]], build: f },
    {
      shapes: [
        [1, 1, 4, 4],
        [2, 1, k, k],
      ],
      build: f,
    },
    { shapes: [[3, 2, 4, 2], [1, 2, k, k], [1]], build: f },
  ]);

/** Every op, by name: a new op without a case does not compile. */
const cases: { readonly [O in OpName]: readonly Case[] | 'no gradient' | { readonly madeBy: OpName } } = {
  constant: [{ shapes: [[2, 3]], build: (x) => op.mul(x, op.constant([1, 2, 3], [3])) }],
  input: [{ shapes: [[3]], build: (x) => x }],
  state: [{ shapes: [[3]], build: (x) => op.add(x, op.mul(x, x)) }],
  add: binary(op.add),
  sub: binary(op.sub),
  mul: binary(op.mul),
  div: binary(op.div, positive),
  equal: 'no gradient',
  neg: unary(op.neg),
  abs: unary(op.abs),
  sign: 'no gradient',
  exp: unary(op.exp),
  log: unary(op.log, positive),
  sqrt: unary(op.sqrt, positive),
  square: unary(op.square),
  sin: unary(op.sin),
  cos: unary(op.cos),
  sigmoid: unary(op.sigmoid),
  tanh: unary(op.tanh),
  atan: unary(op.atan),
  relu: unary(op.relu),
  silu: unary(op.silu),
  softplus: unary(op.softplus),
  gelu: unary(op.gelu),
  geluGrad: { madeBy: 'gelu' },
  hat: unary(op.hat),
  step: 'no gradient',
  maximum: unary((x) => op.maximum(x, 0.25)),
  minimum: unary((x) => op.minimum(x, -0.25)),
  greater: 'no gradient',
  reluGrad: { madeBy: 'relu' },
  matmul: [
    {
      shapes: [
        [2, 3],
        [3, 4],
      ],
      build: (a, b) => op.matmul(a, b),
    },
    {
      shapes: [
        [5, 2, 3],
        [5, 3, 4],
      ],
      build: (a, b) => op.matmul(a, b),
    },
    {
      shapes: [
        [2, 3],
        [2, 2, 3, 4],
      ],
      build: (a, b) => op.matmul(a, b),
    },
    {
      shapes: [
        [2, 2, 2, 3],
        [3, 1],
      ],
      build: (a, b) => op.matmul(a, b),
    },
    {
      shapes: [
        [2, 1, 2, 3],
        [1, 4, 3, 2],
      ],
      build: (a, b) => op.matmul(a, b),
    },
  ],
  transpose: [{ shapes: [[2, 3, 4]], build: (x) => op.transpose(x, [2, 0, 1]) }],
  reshape: [{ shapes: [[2, 6]], build: (x) => op.reshape(x, [3, 4]) }],
  concat: [
    {
      shapes: [
        [2, 1, 2],
        [2, 3, 2],
        [2, 2, 2],
      ],
      build: (...x) => op.concat(x, 1),
    },
  ],
  slice: [{ shapes: [[3, 4, 5]], build: (x) => op.slice(x, [1, 0, 2], [2, 4, 2]) }],
  pad: [{ shapes: [[2, 3]], build: (x) => op.pad(x, [1, 0], [0, 2]) }],
  reflectPad: [
    { shapes: [[2, 1, 4, 5]], build: (x) => op.reflectPad(x, 1) },
    { shapes: [[1, 2, 4, 9]], build: (x) => op.reflectPad(x, 3) },
    { shapes: [[1, 1, 2, 3]], build: (x) => op.reflectPad(x, 1) },
  ],
  broadcast: [
    { shapes: [[2, 1, 3]], build: (x) => op.broadcast(x, [4, 2, 5, 3]) },
    { shapes: [[]], build: (x) => op.broadcast(x, [2, 2]) },
  ],
  reduceSum: reductions(op.reduceSum),
  reduceMean: reductions(op.reduceMean),
  reduceMax: reductions(op.reduceMax),
  conv2d: [
    ...convolutions(op.conv2d, [1, 3, 5]),
    ...convolutions((x, w, b) => op.conv2d(op.reflectPad(x, 1), w, b, undefined, 'none'), [1, 3]),
  ],
  conv2dInputGrad: { madeBy: 'conv2d' },
  conv2dFilterGrad: { madeBy: 'conv2d' },
  transposedConv2d: [
    { shapes: [[2, 3, 2, 3], [3, 2, 4, 4], [2]], build: (x, w, b) => op.transposedConv2d(x, w, b) },
    {
      shapes: [
        [1, 1, 3, 2],
        [1, 2, 4, 4],
      ],
      build: (x, w) => op.transposedConv2d(x, w),
    },
  ],
  transposedConv2dInputGrad: { madeBy: 'transposedConv2d' },
  transposedConv2dFilterGrad: { madeBy: 'transposedConv2d' },
  upConv2d: convolutions(op.upConv2d, [3]),
  upConv2dInputGrad: { madeBy: 'upConv2d' },
  upConv2dFilterGrad: { madeBy: 'upConv2d' },
  maxPool2: [{ shapes: [[2, 2, 4, 6]], build: (x) => op.maxPool2(x), value: spread }],
  maxPool2Grad: { madeBy: 'maxPool2' },
  upsampleNearest2: [{ shapes: [[2, 3, 2, 3]], build: (x) => op.upsampleNearest2(x) }],
  upsampleNearest2Grad: [{ shapes: [[2, 3, 4, 2]], build: (x) => op.upsampleNearest2Grad(x) }],
};

function reductions(f: (x: GraphNode, axes?: readonly number[], keepDims?: boolean) => GraphNode): Case[] {
  return [
    { shapes: [[2, 3, 4]], build: (x) => f(x), value: spread },
    { shapes: [[2, 3, 4]], build: (x) => f(x, [1]), value: spread },
    { shapes: [[2, 3, 4]], build: (x) => f(x, [0, -1], true), value: spread },
  ];
}

/** A fixed sequence that fills (0, 1) evenly without repeating. */
const golden = (i: number) => ((i + 1) * 0.6180339887498949) % 1;

/** Largest difference between the gradients and central differences, relative to the largest gradient. */
function worstError({ shapes, build, value = centred }: Case): number {
  const x = shapes.map((shape, i) => op.input(`x${i}`, shape));
  const y = build(...x);
  // Every element of the result weighs differently, so that no error can cancel.
  const weights = op.constant(
    Float32Array.from({ length: sizeOf(y.shape) }, (_, i) => 1 + golden(7 * i)),
    y.shape,
  );
  const loss = op.reduceSum(op.mul(y, weights));
  let at = 0;
  const leaves = Object.fromEntries(
    shapes.map((shape, i) => [`x${i}`, Float64Array.from({ length: sizeOf(shape) }, () => value(golden(at++)))]),
  );
  const found = evaluate(gradients(loss, x), leaves);
  const h = 1e-5;
  let worst = 0;
  let largest = 0;
  shapes.forEach((_, k) => {
    const values = leaves[`x${k}`];
    for (let i = 0; i < values.length; i++) {
      const before = values[i];
      values[i] = before + h;
      const [up] = evaluate([loss], leaves);
      values[i] = before - h;
      const [down] = evaluate([loss], leaves);
      values[i] = before;
      const difference = (up[0] - down[0]) / (2 * h);
      worst = Math.max(worst, Math.abs(difference - found[k][i]));
      largest = Math.max(largest, Math.abs(difference));
    }
  });
  expect(largest).toBeGreaterThan(0);
  return worst / largest;
}

describe('gradients against central differences', () => {
  for (const [name, entry] of Object.entries(cases)) {
    if (!Array.isArray(entry)) continue;
    it.each(entry.map((c: Case) => [c.shapes.map((s) => `[${s}]`).join(' '), c] as const))(`${name} of %s`, (_, c) => {
      // 1e-6: constants in the rules (1/n of a mean) are float32.
      expect(worstError(c)).toBeLessThan(1e-6);
    });
  }

  it('of a chain that uses a value twice, with relu before pooling', () => {
    const chain: Case = {
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

  it.each(Object.keys(cases).filter((name) => cases[name as OpName] === 'no gradient'))('%s gives zeros', (name) => {
    const y = flat[name as OpName];
    expect(y?.op).toBe(name);
    const [dx] = gradients(op.reduceSum(y!), [x]);
    expect([...evaluate([dx], { x: [-1, 0, 1] })[0]]).toEqual([0, 0, 0]);
  });

  it.each(
    Object.entries(cases).flatMap(([name, entry]) =>
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

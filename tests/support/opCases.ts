/**
 * Every op on operands of many shapes, run by an engine and by the reference interpreter.
 *
 * @example
 * for (const [name, cases] of opsWithCases) await expectOp(backend, name, cases);
 */
import { expect } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { type Shape, sizeOf, type Tensor } from '../../src/core/tensor.js';
import type { GraphNode, OpName } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { golden } from './gradientCases.js';
import { interpret } from './interpreter.js';

/** Makes an input; values are taken from a fixed sequence in (0, 1), through `value`. */
type Leaf = (shape: Shape, value?: (u: number) => number) => GraphNode;
type Case = (leaf: Leaf) => GraphNode;

const centred = (u: number) => 4 * u - 2;
const positive = (u: number) => 0.25 + 2 * u;
/** Few different values, zero and one among them, so that operands are often equal. */
const coarse = (u: number) => Math.round(4 * u - 2);

const unary = (f: (x: GraphNode) => GraphNode, value = centred): Case[] => [
  (leaf) => f(leaf([2, 3, 5], value)),
  (leaf) => f(leaf([], value)),
];
const binary = (f: (a: GraphNode, b: GraphNode) => GraphNode, value = centred): Case[] => [
  (leaf) => f(leaf([2, 3], value), leaf([2, 3], value)),
  (leaf) => f(leaf([2, 3, 4], value), leaf([3, 1], value)),
  (leaf) => f(leaf([], value), leaf([2, 2], value)),
  (leaf) => f(leaf([4, 1], value), leaf([1, 3], value)),
];
const reductions = (f: (x: GraphNode, axes?: readonly number[], keepDims?: boolean) => GraphNode): Case[] => [
  (leaf) => f(leaf([2, 3, 4])),
  (leaf) => f(leaf([2, 3, 4]), [1]),
  (leaf) => f(leaf([2, 3, 4]), [0, 2], true),
  (leaf) => f(leaf([2, 3, 4]), undefined, true),
];

/** Batch, channels in and out, rows, columns. */
type Sizes = readonly [b: number, ci: number, co: number, h: number, w: number];
const sides = [4, 8, 16, 32, 64];
const imageSizes: Sizes[] = [
  ...sides.flatMap((h): Sizes[] => [
    [1, 1, 4, h, h],
    [3, 4, 1, h, h],
    [3, 3, 5, h, h],
    [1, 1, 1, h, h],
  ]),
  [2, 3, 2, 6, 10],
  [2, 2, 3, 34, 36],
];
const kernels = (f: (sizes: Sizes, kernel: number) => Case): Case[] => [
  ...imageSizes.flatMap((s) => [f(s, 1), f(s, 3)]),
  ...sides.map((h) => f([3, 2, 1, h, h], 7)),
  f([1, 3, 2, 8, 8], 7),
  f([1, 3, 2, 32, 32], 5),
];

/** Where the kernel stays inside the image: by formulations for few and many channels, small and large images. */
const unframed = (f: (sizes: Sizes, kernel: number) => Case): Case[] => [
  f([1, 1, 8, 6, 6], 3),
  f([2, 8, 1, 6, 10], 3),
  f([3, 3, 5, 6, 18], 3),
  f([3, 3, 5, 18, 18], 3),
  f([2, 3, 2, 34, 36], 3),
  f([2, 3, 2, 20, 24], 5),
];

/** Every op, by name: a new op without a case does not compile. */
const cases: { readonly [O in OpName]: readonly Case[] } = {
  constant: [
    () => op.constant([1, 2, 3], [3]),
    (leaf) =>
      op.add(
        leaf([2, 20]),
        op.constant(
          Float32Array.from({ length: 20 }, (_, i) => i),
          [20],
        ),
      ),
    (leaf) => op.div(leaf([3]), op.constant([-0, 0, 2], [3])),
    (leaf) => op.div(leaf([3]), op.constant([0, -0, 2], [3])),
  ],
  input: [(leaf) => leaf([2, 2])],
  state: [],
  add: binary(op.add),
  sub: binary(op.sub),
  mul: binary(op.mul),
  div: binary(op.div, positive),
  equal: binary(op.equal, coarse),
  neg: unary(op.neg),
  abs: unary(op.abs),
  sign: unary(op.sign, coarse),
  exp: unary(op.exp),
  log: unary(op.log, positive),
  log1p: unary(op.log1p, (u) => 20 * u ** 8 - 0.9),
  sqrt: unary(op.sqrt, positive),
  square: unary(op.square),
  sin: unary(op.sin, (u) => 30 * u - 15),
  cos: unary(op.cos, (u) => 30 * u - 15),
  sigmoid: unary(op.sigmoid, (u) => 40 * u - 20),
  tanh: unary(op.tanh, (u) => 20 * u - 10),
  atan: unary(op.atan, (u) => 20 * u - 10),
  relu: unary(op.relu),
  silu: unary(op.silu),
  softplus: unary(op.softplus, (u) => 80 * u - 40),
  // The tail is exact to 1e-7 of 1, not of its value: it is compared beside values of order 1.
  gelu: [(leaf) => op.gelu(leaf([40], (u) => 16 * u - 8)), (leaf) => op.gelu(leaf([], () => 0.3))],
  geluGrad: [
    (leaf) =>
      op.geluGrad(
        leaf([3, 7]),
        leaf([3, 7], (u) => 16 * u - 8),
      ),
  ],
  hat: [...unary(op.hat), ...unary(op.hat, coarse)],
  step: [...unary(op.step), ...unary(op.step, coarse)],
  maximum: unary((x) => op.maximum(x, 0.25)),
  minimum: unary((x) => op.minimum(x, -0.25)),
  greater: [...unary((x) => op.greater(x, 1), coarse), ...unary((x) => op.greater(x, 0.3))],
  reluGrad: [(leaf) => op.reluGrad(leaf([3, 7]), op.relu(leaf([3, 7], coarse)))],
  matmul: [
    (leaf) => op.matmul(leaf([2, 3]), leaf([3, 4])),
    (leaf) => op.matmul(leaf([5, 2, 3]), leaf([5, 3, 4])),
    (leaf) => op.matmul(leaf([2, 3]), leaf([2, 2, 3, 4])),
    (leaf) => op.matmul(leaf([2, 2, 2, 3]), leaf([3, 1])),
    (leaf) => op.matmul(leaf([2, 1, 2, 3]), leaf([1, 4, 3, 2])),
    (leaf) => op.matmul(op.transposeLast(leaf([2, 3, 2])), leaf([2, 3, 4])),
    (leaf) => op.matmul(leaf([1, 65]), leaf([65, 33])),
  ],
  transpose: [(leaf) => op.transpose(leaf([2, 3, 4]), [2, 0, 1]), (leaf) => op.transpose(leaf([2, 3]), [0, 1])],
  reshape: [(leaf) => op.reshape(leaf([2, 6]), [3, 4]), (leaf) => op.reshape(leaf([1, 1]), [])],
  concat: [
    (leaf) => op.concat([leaf([2, 1, 2]), leaf([2, 3, 2])], 1),
    (leaf) => op.concat([leaf([1]), leaf([2]), leaf([3])], 0),
  ],
  slice: [(leaf) => op.slice(leaf([3, 4, 5]), [1, 0, 2], [2, 4, 2]), (leaf) => op.slice(leaf([4]), [3], [1])],
  pad: [
    (leaf) => op.pad(leaf([2, 3]), [1, 0], [0, 2]),
    (leaf) => op.pad(leaf([1, 2, 3, 3]), [0, 0, 1, 2], [0, 1, 2, 1]),
  ],
  reflectPad: [
    (leaf) => op.reflectPad(leaf([2, 3, 4, 6]), 1),
    (leaf) => op.reflectPad(leaf([1, 2, 8, 7]), 3),
    // As the convolution before it lays it out.
    (leaf) => op.reflectPad(op.conv2d(leaf([2, 3, 4, 6]), leaf([5, 3, 3, 3])), 1),
  ],
  broadcast: [
    (leaf) => op.broadcast(leaf([2, 1, 3]), [4, 2, 5, 3]),
    (leaf) => op.broadcast(leaf([]), [2, 2]),
    // With and without a need to expand.
    (leaf) => op.mul(op.broadcast(leaf([3, 1]), [3, 4]), leaf([3, 4])),
    (leaf) => op.mul(op.broadcast(leaf([3, 1]), [3, 4]), op.broadcast(leaf([1, 4]), [3, 4])),
    (leaf) => op.mul(op.broadcast(leaf([3, 1]), [3, 4]), leaf([1, 4])),
    (leaf) => op.sin(op.broadcast(leaf([3, 1]), [3, 4])),
    (leaf) => {
      const wide = op.broadcast(leaf([3, 1]), [3, 4]);
      return op.mul(wide, wide);
    },
  ],
  reduceSum: reductions(op.reduceSum),
  reduceMean: reductions(op.reduceMean),
  reduceMax: reductions(op.reduceMax),
  conv2d: [
    ...kernels(([b, ci, co, h, w], k) => (leaf) => {
      const bias = b === 3 ? leaf([co]) : undefined;
      return op.conv2d(leaf([b, ci, h, w]), leaf([co, ci, k, k]), bias);
    }),
    ...unframed(([b, ci, co, h, w], k) => (leaf) => {
      const bias = b === 3 ? leaf([co]) : undefined;
      return op.conv2d(leaf([b, ci, h, w]), leaf([co, ci, k, k]), bias, undefined, 'none');
    }),
  ],
  conv2dInputGrad: [
    ...kernels(
      ([b, ci, co, h, w], k) =>
        (leaf) =>
          op.conv2dInputGrad(leaf([b, co, h, w]), leaf([co, ci, k, k])),
    ),
    ...unframed(
      ([b, ci, co, h, w], k) =>
        (leaf) =>
          op.conv2dInputGrad(leaf([b, co, h - k + 1, w - k + 1]), leaf([co, ci, k, k]), undefined, 'none'),
    ),
  ],
  conv2dFilterGrad: [
    ...kernels(
      ([b, ci, co, h, w], k) =>
        (leaf) =>
          op.conv2dFilterGrad(leaf([b, ci, h, w]), leaf([b, co, h, w]), k),
    ),
    ...unframed(
      ([b, ci, co, h, w], k) =>
        (leaf) =>
          op.conv2dFilterGrad(leaf([b, ci, h, w]), leaf([b, co, h - k + 1, w - k + 1]), k, undefined, 'none'),
    ),
  ],
  transposedConv2d: imageSizes.map(([b, ci, co, h, w]) => (leaf) => {
    const bias = b === 3 ? leaf([co]) : undefined;
    return op.transposedConv2d(leaf([b, ci, h / 2, w / 2]), leaf([ci, co, 4, 4]), bias);
  }),
  transposedConv2dInputGrad: imageSizes.map(([b, ci, co, h, w]) => (leaf) => {
    return op.transposedConv2dInputGrad(leaf([b, co, h, w]), leaf([ci, co, 4, 4]));
  }),
  transposedConv2dFilterGrad: imageSizes.map(([b, ci, co, h, w]) => (leaf) => {
    return op.transposedConv2dFilterGrad(leaf([b, ci, h / 2, w / 2]), leaf([b, co, h, w]));
  }),
  upConv2d: imageSizes.map(([b, ci, co, h, w]) => (leaf) => {
    const bias = b === 3 ? leaf([co]) : undefined;
    return op.upConv2d(leaf([b, ci, h / 2, w / 2]), leaf([co, ci, 3, 3]), bias);
  }),
  upConv2dInputGrad: imageSizes.map(([b, ci, co, h, w]) => (leaf) => {
    return op.upConv2dInputGrad(leaf([b, co, h, w]), leaf([co, ci, 3, 3]));
  }),
  upConv2dFilterGrad: imageSizes.map(([b, ci, co, h, w]) => (leaf) => {
    return op.upConv2dFilterGrad(leaf([b, ci, h / 2, w / 2]), leaf([b, co, h, w]));
  }),
  maxPool2: [(leaf) => op.maxPool2(leaf([3, 2, 8, 6])), (leaf) => op.maxPool2(leaf([1, 1, 2, 2]))],
  maxPool2Grad: [coarse, centred, () => 0].map((value) => (leaf) => {
    const x = leaf([3, 2, 8, 6], value);
    const y = op.maxPool2(x);
    return op.maxPool2Grad(x, y, leaf(y.shape));
  }),
  upsampleNearest2: [
    (leaf) => op.upsampleNearest2(leaf([3, 2, 4, 5])),
    (leaf) => op.upsampleNearest2(leaf([1, 1, 1, 1])),
  ],
  upsampleNearest2Grad: [
    (leaf) => op.upsampleNearest2Grad(leaf([3, 2, 8, 6])),
    (leaf) => op.upsampleNearest2Grad(leaf([1, 1, 2, 2])),
  ],
};

/** Expects the values of an engine to be those of the interpreter, up to `tolerance` of the largest one. */
export function expectEqual(found: Tensor, expected: Tensor<Float64Array>, what: string, tolerance = 1e-5): void {
  expect(found.shape, what).toEqual(expected.shape);
  const finite = [...expected.data].filter(Number.isFinite).map(Math.abs);
  const scale = Math.max(0, ...finite.slice(0, 100_000));
  let worst = 0;
  expected.data.forEach((v, i) => {
    const same = Object.is(v, found.data[i]) || v === found.data[i];
    if (!same) worst = Math.max(worst, Math.abs(v - found.data[i]) / scale);
    if (Number.isNaN(found.data[i]) !== Number.isNaN(v)) worst = Number.POSITIVE_INFINITY;
  });
  expect(worst, `${what}: largest difference relative to the largest value`).toBeLessThan(tolerance);
}

/** What the interpreter says of the cases of an op: the same for every engine, and slow to come by. */
const interpreted = new Map<string, ReturnType<typeof interpret>['outputs']>();

/** The ops that have cases, by name. */
export const opsWithCases: readonly (readonly [OpName, readonly Case[]])[] = (
  Object.entries(cases) as [OpName, readonly Case[]][]
).filter(([, list]) => list.length > 0);

/** Runs all cases of an op as one program on the engine and in the interpreter, with equal float32 feeds. */
export async function expectOp(backend: Backend, opName: OpName, list: readonly Case[]): Promise<void> {
  let at = 0;
  const feeds: Record<string, Tensor> = {};
  const nodes: Record<string, GraphNode> = {};
  list.forEach((build, i) => {
    const leaf: Leaf = (shape, value = centred) => {
      const name = `x${Object.keys(feeds).length}`;
      feeds[name] = { data: Float32Array.from({ length: sizeOf(shape) }, () => value(golden(at++))), shape };
      return op.input(name, shape);
    };
    nodes[`case ${i}`] = build(leaf);
  });
  const program = defineProgram({ name: `cases_${opName}_${list.length}`, outputs: nodes });
  const compiled = await backend.compile(program);
  const found = await compiled.run(feeds);
  await compiled.dispose();
  const values = Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, t.data]));
  const outputs = interpreted.get(program.name) ?? interpret(program, values).outputs;
  interpreted.set(program.name, outputs);
  for (const [name, expected] of Object.entries(outputs)) expectEqual(found[name], expected, name);
}

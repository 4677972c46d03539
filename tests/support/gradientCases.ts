/**
 * Every op with operands to derive it by, and its gradients by central differences in float64: what the rules of `graph/gradients.ts` are
 * compared with, in the interpreter and on every engine.
 *
 * @example
 * for (const [name, cases] of derivedOps) await expectGradients(backend, name, cases);
 */
import { expect } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { type Shape, sizeOf, type Tensor } from '../../src/core/tensor.js';
import { gradients } from '../../src/graph/gradients.js';
import type { GraphNode, OpName } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram, type Program } from '../../src/graph/program.js';
import { evaluate } from './interpreter.js';

/** An op on operands of given shapes, first of all those that it is derived by. */
export interface GradientCase {
  readonly shapes: readonly Shape[];
  readonly build: (...x: GraphNode[]) => GraphNode;
  /** Index in a fixed pseudo-random sequence in (0, 1) → operand value; away from kinks. */
  readonly value?: (u: number) => number;
}

const centred = (u: number) => 4 * u - 2;
const positive = (u: number) => 0.5 + 2 * u;
/** Distinct values with gaps far larger than the step of the differences, none near a whole number. */
export const spread = (u: number) => Math.floor(centred(u) * 97) / 97 + 1 / 211;

const unary = (f: (x: GraphNode) => GraphNode, value = spread): GradientCase[] => [
  { shapes: [[2, 3, 4]], build: f, value },
];
const binary = (f: (a: GraphNode, b: GraphNode) => GraphNode, value = centred): GradientCase[] => [
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
const convolutions = (f: (x: GraphNode, w: GraphNode, b?: GraphNode) => GraphNode, kernels: number[]): GradientCase[] =>
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
export const gradientCases: {
  readonly [O in OpName]: readonly GradientCase[] | 'no gradient' | { readonly madeBy: OpName };
} = {
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
  log1p: unary(op.log1p, positive),
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

function reductions(f: (x: GraphNode, axes?: readonly number[], keepDims?: boolean) => GraphNode): GradientCase[] {
  return [
    { shapes: [[2, 3, 4]], build: (x) => f(x), value: spread },
    { shapes: [[2, 3, 4]], build: (x) => f(x, [1]), value: spread },
    { shapes: [[2, 3, 4]], build: (x) => f(x, [0, -1], true), value: spread },
  ];
}

/** A fixed sequence that fills (0, 1) evenly without repeating. */
export const golden = (i: number) => ((i + 1) * 0.6180339887498949) % 1;

/** A scalar loss of a case, its operands, and their values in single precision. */
function lossOf({ shapes, build, value = centred }: GradientCase, prefix = 'x') {
  const x = shapes.map((shape, i) => op.input(`${prefix}${i}`, shape));
  const y = build(...x);
  // Every element of the result weighs differently, so that no error can cancel.
  const weights = op.constant(
    Float32Array.from({ length: sizeOf(y.shape) }, (_, i) => 1 + golden(7 * i)),
    y.shape,
  );
  let at = 0;
  const values = shapes.map((shape) => Float32Array.from({ length: sizeOf(shape) }, () => value(golden(at++))));
  return { x, values, loss: op.reduceSum(op.mul(y, weights)) };
}

const differences = new Map<GradientCase, readonly Float64Array[]>();

/** The gradient of a case by each operand, by central differences. */
function centralDifferences(of: GradientCase): readonly Float64Array[] {
  const known = differences.get(of);
  if (known) return known;
  const { loss, values } = lossOf(of);
  const leaves = Object.fromEntries(values.map((v, i) => [`x${i}`, Float64Array.from(v)]));
  const h = 1e-5;
  const found = values.map((_, k) => {
    const own = leaves[`x${k}`];
    return own.map((before, i) => {
      own[i] = before + h;
      const [up] = evaluate([loss], leaves);
      own[i] = before - h;
      const [down] = evaluate([loss], leaves);
      own[i] = before;
      return (up[0] - down[0]) / (2 * h);
    });
  });
  differences.set(of, found);
  return found;
}

/** Largest difference between gradients and central differences, relative to the largest of these. */
export function worstError(of: GradientCase, found: readonly ArrayLike<number>[] = interpreted(of)): number {
  const expected = centralDifferences(of);
  const all = expected.flatMap((values, k) => Array.from(values, (v, i) => [v, Math.abs(v - found[k][i])]));
  const largest = Math.max(...all.map(([v]) => Math.abs(v)));
  if (!(largest > 0)) throw new Error('the gradient of the case is 0 everywhere');
  const worst = Math.max(...all.map(([, error]) => error));
  // NaN is no small error.
  return Number.isNaN(worst) ? Number.POSITIVE_INFINITY : worst / largest;
}

function interpreted(of: GradientCase): readonly Float64Array[] {
  const { loss, x, values } = lossOf(of);
  return evaluate(gradients(loss, x), Object.fromEntries(values.map((v, i) => [`x${i}`, v])));
}

/** The ops that have a gradient of their own, by name, with their cases. */
export const derivedOps: readonly (readonly [OpName, readonly GradientCase[]])[] = (
  Object.entries(gradientCases) as [OpName, (typeof gradientCases)[OpName]][]
).flatMap(([name, entry]) => (Array.isArray(entry) ? [[name, entry as readonly GradientCase[]] as const] : []));

/**
 * Expects the gradients of all cases of an op, computed by an engine as one program, to agree with central differences.
 * @param tolerance of each case, relative to its largest gradient
 */
export async function expectGradients(
  backend: Backend,
  name: OpName,
  list: readonly GradientCase[],
  tolerance = 1e-5,
): Promise<void> {
  const { program, feeds } = gradientProgram(name, list);
  const compiled = await backend.compile(program);
  const found = await compiled.run(feeds);
  await compiled.dispose();
  list.forEach((of, c) => {
    const error = worstError(
      of,
      of.shapes.map((_, k) => found[`${c} ${k}`].data),
    );
    expect(error, `case ${c} of ${name}`).toBeLessThan(tolerance);
  });
}

/** The gradients of all cases of an op as one program for an engine; outputs `case operand`. */
function gradientProgram(
  name: OpName,
  list: readonly GradientCase[],
): { program: Program; feeds: Record<string, Tensor> } {
  const feeds: Record<string, Tensor> = {};
  const inputs: GraphNode<'input'>[] = [];
  const outputs: Record<string, GraphNode> = {};
  list.forEach((of, c) => {
    const { x, values, loss } = lossOf(of, `x${c}_`);
    // A gradient need not depend on all of them.
    inputs.push(...x);
    values.forEach((data, k) => {
      feeds[`x${c}_${k}`] = { data, shape: of.shapes[k] };
    });
    gradients(loss, x).forEach((dx, k) => {
      outputs[`${c} ${k}`] = dx;
    });
  });
  return { program: defineProgram({ name: `gradients_${name}`, inputs, outputs }), feeds };
}

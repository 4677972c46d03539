/**
 * Reverse-mode differentiation: gradients are nodes of the same graph.
 *
 * @example
 * const loss = reduceMean(square(sub(matmul(x, w), target)));
 * const [dw] = gradients(loss, [w]);
 */
import { PtychoError } from '../core/errors.js';
import { formatShape } from '../core/tensor.js';
import { type GraphNode, isOp, type OpAttrs, type OpName, topologicalOrder } from './node.js';
import * as op from './ops.js';

/** (node, dy) → the gradient of each operand; undefined where an operand has none. `needs[i]` false: do not bother. */
type GradientRule<O extends OpName> = (
  node: GraphNode<O>,
  dy: GraphNode,
  needs: readonly boolean[],
) => readonly (GraphNode | undefined)[];

type Rules = { readonly [O in OpName]: GradientRule<O> | null | 'zero' };

const leaf = () => [];

/** Spreads a reduced gradient back over the reduced axes of `x`. */
function unreduce(node: GraphNode<'reduceSum' | 'reduceMean' | 'reduceMax'>, v: GraphNode): GraphNode {
  const x = node.inputs[0];
  const kept = x.shape.map((d, i) => (node.attrs.axes.includes(i) ? 1 : d));
  return op.broadcast(op.reshape(v, kept), x.shape);
}

function biasGrad(node: GraphNode, dy: GraphNode, needed: boolean | undefined): (GraphNode | undefined)[] {
  if (node.inputs.length < 3) return [];
  return [needed ? op.reduceSum(op.reduceSum(dy, [2, 3]), [0]) : undefined];
}

/** 2·dy; of a gradient that was spread over an image, what was spread. */
function twice(dy: GraphNode): GraphNode {
  return isOp(dy, 'broadcast') ? op.broadcast(op.mul(dy.inputs[0], 2), dy.shape) : op.mul(dy, 2);
}

/** 'zero': piecewise constant, no gradient flows; null: only ever made by a gradient rule, not differentiable again. */
const rules: Rules = {
  constant: leaf,
  input: leaf,
  state: leaf,
  add: ({ inputs: [a, b] }, dy) => [op.sumTo(dy, a.shape), op.sumTo(dy, b.shape)],
  sub: ({ inputs: [a, b] }, dy, needs) => [op.sumTo(dy, a.shape), needs[1] ? op.neg(op.sumTo(dy, b.shape)) : undefined],
  mul: ({ inputs: [a, b] }, dy, needs) => [
    needs[0] ? op.sumTo(op.mul(dy, b), a.shape) : undefined,
    needs[1] ? op.sumTo(op.mul(dy, a), b.shape) : undefined,
  ],
  div: (node, dy, needs) => {
    const [a, b] = node.inputs;
    const q = op.div(dy, b);
    return [
      needs[0] ? op.sumTo(q, a.shape) : undefined,
      needs[1] ? op.sumTo(op.neg(op.mul(q, node)), b.shape) : undefined,
    ];
  },
  equal: 'zero',
  neg: (_, dy) => [op.neg(dy)],
  abs: ({ inputs: [x] }, dy) => [op.mul(dy, op.sign(x))],
  sign: 'zero',
  exp: (node, dy) => [op.mul(dy, node)],
  log: ({ inputs: [x] }, dy) => [op.div(dy, x)],
  log1p: ({ inputs: [x] }, dy) => [op.div(dy, op.add(x, 1))],
  sqrt: (node, dy) => [op.mul(op.div(dy, node), 0.5)],
  square: ({ inputs: [x] }, dy) => [op.mul(twice(dy), x)],
  sin: ({ inputs: [x] }, dy) => [op.mul(dy, op.cos(x))],
  cos: ({ inputs: [x] }, dy) => [op.neg(op.mul(dy, op.sin(x)))],
  // Not y·(1 − y), nor 1 − y² below: where y is near 1 they are 0, though the slope is not.
  sigmoid: (node, dy) => [op.mul(dy, op.mul(node, op.sigmoid(op.neg(node.inputs[0]))))],
  tanh: ({ inputs: [x] }, dy) => {
    const decay = op.exp(op.mul(op.abs(x), -2));
    return [op.mul(dy, op.div(op.mul(decay, 4), op.square(op.add(decay, 1))))];
  },
  atan: ({ inputs: [x] }, dy) => [op.div(dy, op.add(1, op.square(x)))],
  relu: (node, dy) => [reluGradient(node, dy)],
  silu: (node, dy) => {
    const s = op.sigmoid(node.inputs[0]);
    // d(x·s)/dx = s + x·s·(1 − s), with x·s the result itself
    return [op.mul(dy, op.add(s, op.mul(node, op.sub(1, s))))];
  },
  softplus: ({ inputs: [x] }, dy) => [op.mul(dy, op.sigmoid(x))],
  gelu: ({ inputs: [x] }, dy) => [op.geluGrad(dy, x)],
  geluGrad: null,
  // With the usual 0 at the knee, positions that start on whole pixels would never move: step(0) is ½.
  hat: ({ inputs: [z] }, dy) => [op.mul(dy, op.neg(op.mul(op.sign(z), op.step(op.sub(1, op.abs(z))))))],
  step: 'zero',
  maximum: ({ inputs: [x], attrs }, dy) => [op.mul(dy, op.greater(x, attrs.value))],
  minimum: ({ inputs: [x], attrs }, dy) => [op.mul(dy, op.sub(1, op.greater(x, attrs.value)))],
  greater: 'zero',
  reluGrad: null,
  matmul: ({ inputs: [a, b] }, dy, needs) => [
    needs[0] ? op.sumTo(op.matmul(dy, op.transposeLast(b)), a.shape) : undefined,
    needs[1] ? op.sumTo(op.matmul(op.transposeLast(a), dy), b.shape) : undefined,
  ],
  transpose: ({ attrs: { perm } }, dy) => [
    op.transpose(
      dy,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ],
  reshape: ({ inputs: [x] }, dy) => [op.reshape(dy, x.shape)],
  concat: ({ inputs, attrs: { axis } }, dy) => {
    let at = 0;
    return inputs.map((x) => {
      const part = op.sliceAxis(dy, axis, at, x.shape[axis]);
      at += x.shape[axis];
      return part;
    });
  },
  slice: ({ inputs: [x], attrs: { start, size } }, dy) => [
    op.pad(
      dy,
      start,
      x.shape.map((d, i) => d - start[i] - size[i]),
    ),
  ],
  pad: ({ inputs: [x], attrs: { before } }, dy) => [op.slice(dy, before, x.shape)],
  reflectPad: ({ attrs: { size } }, dy) => [foldMirror(foldMirror(dy, 2, size), 3, size)],
  broadcast: ({ inputs: [x] }, dy) => [op.sumTo(dy, x.shape)],
  reduceSum: (node, dy) => [unreduce(node, dy)],
  reduceMean: (node, dy) => {
    const n = node.attrs.axes.reduce((p, a) => p * node.inputs[0].shape[a], 1);
    return [unreduce(node, op.mul(dy, 1 / n))];
  },
  reduceMax: (node, dy) => {
    // Tied maxima share the gradient evenly: a valid subgradient that does not grow with the number of ties.
    const mask = op.equal(node.inputs[0], unreduce(node, node));
    const ties = op.reduceSum(mask, node.attrs.axes, node.attrs.keepDims);
    return [op.mul(mask, unreduce(node, op.div(dy, ties)))];
  },
  conv2d: (node, dy, needs) => {
    const [x, w] = node.inputs;
    const padding = node.attrs.padding > 0 || w.shape[2] === 1 ? 'same' : 'none';
    return [
      needs[0] ? op.conv2dInputGrad(dy, w, node.label, padding) : undefined,
      needs[1] ? op.conv2dFilterGrad(x, dy, w.shape[2], node.label, padding) : undefined,
      ...biasGrad(node, dy, needs[2]),
    ];
  },
  conv2dInputGrad: null,
  conv2dFilterGrad: null,
  transposedConv2d: (node, dy, needs) => {
    const [x, w] = node.inputs;
    return [
      needs[0] ? op.transposedConv2dInputGrad(dy, w, node.label) : undefined,
      needs[1] ? op.transposedConv2dFilterGrad(x, dy, node.label) : undefined,
      ...biasGrad(node, dy, needs[2]),
    ];
  },
  transposedConv2dInputGrad: null,
  transposedConv2dFilterGrad: null,
  upConv2d: (node, dy, needs) => {
    const [x, w] = node.inputs;
    return [
      needs[0] ? op.upConv2dInputGrad(dy, w, node.label) : undefined,
      needs[1] ? op.upConv2dFilterGrad(x, dy, node.label) : undefined,
      ...biasGrad(node, dy, needs[2]),
    ];
  },
  upConv2dInputGrad: null,
  upConv2dFilterGrad: null,
  maxPool2: (node, dy) => [op.maxPool2Grad(node.inputs[0], node, dy)],
  maxPool2Grad: null,
  upsampleNearest2: (_, dy) => [op.upsampleNearest2Grad(dy)],
  upsampleNearest2Grad: (_, dy) => [op.upsampleNearest2(dy)],
};

/** The adjoint of mirroring by `size` along one axis: what was mirrored is turned round and added to where it came from. */
function foldMirror(dy: GraphNode, axis: number, size: number): GraphNode {
  const side = dy.shape[axis] - 2 * size;
  const pixel = (at: number) => op.sliceAxis(dy, axis, at, 1);
  // Pixel i of the image lies at i + size; it was mirrored to size − i and to 2·(side − 1) − i + size.
  const mirrored = (i: number): GraphNode => {
    const copies = [
      i >= 1 && i <= size ? [pixel(size - i)] : [],
      i < side - 1 && i >= side - 1 - size ? [pixel(2 * (side - 1) - i + size)] : [],
    ];
    return copies.flat().reduce<GraphNode>((sum, copy) => op.add(sum, copy), pixel(i + size));
  };
  const [from, to] = [size + 1, side - 1 - size];
  if (to <= from)
    return op.concat(
      Array.from({ length: side }, (_, i) => mirrored(i)),
      axis,
    );
  const run = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => mirrored(start + i));
  return op.concat([...run(0, from), op.sliceAxis(dy, axis, from + size, to - from), ...run(to, side)], axis);
}

/**
 * relu followed by max-pooling: where a block's maximum is 0 the gradient is 0, so the mask can be applied to the pooled
 * gradient, a quarter of the pixels, with the same result (the tied zeros of such a block get nothing either way).
 */
function reluGradient(y: GraphNode<'relu'>, dy: GraphNode): GraphNode {
  if (isOp(dy, 'maxPool2Grad') && dy.inputs[0] === y) {
    const [x, pooled, dPooled] = dy.inputs;
    return op.maxPool2Grad(x, pooled, op.reluGrad(dPooled, pooled));
  }
  return op.reluGrad(dy, y);
}

/**
 * The gradients of a scalar `loss` with respect to each node of `wrt`, as nodes of the same graph.
 * A node that the loss does not depend on gets zeros.
 *
 * @throws PtychoError GRAPH_INVALID when `loss` is no scalar or an op on the way has no gradient rule.
 */
export function gradients(loss: GraphNode, wrt: readonly GraphNode[]): GraphNode[] {
  if (loss.shape.length !== 0) {
    throw new PtychoError(
      'GRAPH_INVALID',
      `gradients needs a scalar loss, got shape ${formatShape(loss.shape)}${loss.label ? ` ("${loss.label}")` : ''}.`,
    );
  }
  const order = topologicalOrder([loss]);
  const wanted = new Set(wrt);
  const active = new Set<GraphNode>();
  for (const n of order) if (wanted.has(n) || n.inputs.some((i) => active.has(i))) active.add(n);

  const dOf = new Map<GraphNode, GraphNode>();
  if (active.has(loss)) dOf.set(loss, op.scalar(1));
  for (let i = order.length - 1; i >= 0; i--) {
    const n = order[i];
    const dy = dOf.get(n);
    if (!dy || !n.inputs.some((x) => active.has(x))) continue;
    const rule = rules[n.op] as GradientRule<OpName> | null | 'zero';
    if (rule === 'zero') continue;
    if (rule === null) {
      throw new PtychoError('GRAPH_INVALID', `${n.op} is itself a gradient and cannot be differentiated again.`, {
        op: n.op,
      });
    }
    const needs = n.inputs.map((x) => active.has(x));
    const parts = rule(n as GraphNode<keyof OpAttrs>, dy, needs);
    n.inputs.forEach((x, k) => {
      const g = parts[k];
      if (!g || !needs[k]) return;
      const sum = dOf.get(x);
      dOf.set(x, sum ? op.add(sum, g) : g);
    });
  }
  return wrt.map((w) => dOf.get(w) ?? op.broadcast(op.scalar(0), w.shape));
}

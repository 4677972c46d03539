/**
 * What a lowering is, the ONNX form of one op of the table in `src/graph/node.ts`; and those of the ops that work element by
 * element or only move values. A free batch axis is handled here.
 */
import type { ElementOp, GraphNode, OpName, ShapeOp } from '../../graph/node.js';
import { type BatchAxes, batchError } from './batch.js';
import { log1p, sigmoid, sign, softplus, tanh, wave } from './functions.js';
import { type Emitter, ONNX_BOOL, ONNX_FLOAT, TO_END } from './model.js';

export interface LowerContext {
  readonly g: Emitter;
  readonly batch: BatchAxes;
  /** True for an operator of ONNX that the engine has no kernel for, or none that is exact enough. */
  readonly lacks: (operator: string) => boolean;
  /** A kernel or a bias, prepared, in the precision of the convolution that takes it. */
  readonly asTaken: (prepared: string) => string;
  /** True for a broadcast that every user makes by itself, so that nothing needs to be expanded. */
  readonly isImplicit: (node: GraphNode<'broadcast'>) => boolean;
}

/** (node, names of its operands, context) → name of its result. */
export type Lowering<O extends OpName> = (node: GraphNode<O>, x: readonly string[], ctx: LowerContext) => string;

/** Lowerings of some ops, each typed by its op's attributes. */
export type LoweringTable<O extends OpName> = { readonly [K in O]: Lowering<K> };

/** An op that ONNX has under another spelling. */
const same =
  <O extends OpName>(onnx: string): Lowering<O> =>
  (_, x, { g }) =>
    g.op(onnx, x);

/** An op whose operator some engines have no kernel for, or none that is exact enough. */
const unless =
  <O extends OpName>(operator: string, otherwise: (g: Emitter, x: string) => string): Lowering<O> =>
  (_, [x], { g, lacks }) =>
    lacks(operator) ? otherwise(g, x) : g.op(operator, [x]);

const logistic: Lowering<OpName> = unless('Sigmoid', sigmoid);

/** −1, 0 or 1. */
const signum: Lowering<OpName> = unless('Sign', sign);

export const elementLowerings: LoweringTable<ElementOp> = {
  add: same('Add'),
  sub: same('Sub'),
  mul: same('Mul'),
  div: same('Div'),
  equal: (_, x, { g }) => g.op('Cast', [g.op('Equal', x)], { to: ONNX_FLOAT }),
  neg: same('Neg'),
  abs: same('Abs'),
  sign: signum,
  exp: same('Exp'),
  log: same('Log'),
  log1p: (_, [x], { g, lacks }) => (lacks('Log1p') ? log1p(g, x) : g.op('Log', [g.op('Add', [x, g.float(1)])])),
  sqrt: same('Sqrt'),
  square: (_, [x], { g }) => g.op('Mul', [x, x]),
  sin: unless('Sin', (g, x) => wave(g, x, 'sin')),
  cos: unless('Cos', (g, x) => wave(g, x, 'cos')),
  sigmoid: logistic,
  tanh: unless('Tanh', tanh),
  atan: same('Atan'),
  relu: same('Relu'),
  silu: (node, [x], ctx) => ctx.g.op('Mul', [x, logistic(node, [x], ctx)]),
  softplus: unless('Softplus', softplus),
  gelu: (_, [x], { g }) => g.op('Mul', [g.op('Mul', [x, twicePhi(x, g)]), g.float(0.5)]),
  geluGrad: (_, [dy, x], { g }) => {
    const slope = g.op('Mul', [x, g.op('Exp', [g.op('Mul', [g.op('Mul', [x, x]), g.float(-0.5)])])]);
    const derivative = g.op('Add', [
      g.op('Mul', [twicePhi(x, g), g.float(0.5)]),
      g.op('Mul', [slope, g.float(1 / Math.sqrt(2 * Math.PI))]),
    ]);
    return g.op('Mul', [dy, derivative]);
  },
  hat: (_, [z], { g }) => g.op('Relu', [g.op('Sub', [g.float(1), g.op('Abs', [z])])]),
  step: (node, x, ctx) => ctx.g.op('Mul', [ctx.g.op('Add', [signum(node, x, ctx), ctx.g.float(1)]), ctx.g.float(0.5)]),
  maximum: ({ attrs }, [x], { g }) => g.op('Max', [x, g.float(attrs.value)]),
  minimum: ({ attrs }, [x], { g }) => g.op('Min', [x, g.float(attrs.value)]),
  greater: ({ attrs }, [x], { g }) => g.op('Cast', [g.op('Greater', [x, g.float(attrs.value)])], { to: ONNX_FLOAT }),
  // y = relu x is never negative, so "not zero" is "positive"; two casts are the fastest mask (Sign and Where cost half more).
  reluGrad: (_, [dy, y], { g }) =>
    g.op('Mul', [dy, g.op('Cast', [g.op('Cast', [y], { to: ONNX_BOOL })], { to: ONNX_FLOAT })]),
};

/** 2·Φ(x), written as engines know it: they fuse it to one operator where x·Φ(x) is all that is wanted. */
function twicePhi(x: string, g: Emitter): string {
  return g.op('Add', [g.op('Erf', [g.op('Div', [x, g.float(Math.SQRT2)])]), g.float(1)]);
}

const reduce =
  <O extends 'reduceSum' | 'reduceMean' | 'reduceMax'>(onnx: string): Lowering<O> =>
  (node, [x], { g }) => {
    const { axes, keepDims } = (node as GraphNode<'reduceSum'>).attrs;
    return g.op(onnx, [x, g.ints(axes)], { keepdims: keepDims ? 1 : 0 });
  };

export const shapeLowerings: LoweringTable<ShapeOp> = {
  matmul: (_, x, { g }) => g.op('MatMul', x),
  transpose: ({ attrs }, [x], { g }) => g.transpose(x, attrs.perm),
  reshape: (node, [x], { g, batch }) => {
    const dims = batch.dims(node);
    if (dims.filter((d) => d === -1).length > 1) throw batchError(node, 'more than one of its axes follows the batch');
    return g.reshape(x, dims);
  },
  concat: ({ attrs }, x, { g }) => g.concat(x, attrs.axis),
  slice,
  pad: (node, [x], { g, batch }) => {
    const { before, after } = node.attrs;
    const twin = batch.twinOf(node);
    if (twin && JSON.stringify(twin.attrs) !== JSON.stringify(node.attrs)) {
      throw batchError(node, 'its paddings depend on the batch size');
    }
    return g.pad(x, before, after);
  },
  reflectPad: ({ attrs: { size: n } }, [x], { g }) =>
    g.op('Pad', [x, g.ints([0, 0, n, n, 0, 0, n, n])], { mode: 'reflect' }),
  broadcast,
  reduceSum: reduce('ReduceSum'),
  reduceMean: reduce('ReduceMean'),
  reduceMax: reduce('ReduceMax'),
};

function slice(node: GraphNode<'slice'>, [x]: readonly string[], { g, batch }: LowerContext): string {
  const { start, size } = node.attrs;
  const full = node.inputs[0].shape;
  const twin = batch.twinOf(node);
  const dims = batch.dims(node);
  const axes: number[] = [];
  const ends: number[] = [];
  full.forEach((length, axis) => {
    let end = start[axis] + size[axis];
    if (twin) {
      if (start[axis] !== twin.attrs.start[axis])
        throw batchError(node, `its start on axis ${axis} depends on the batch size`);
      if (dims[axis] === -1) {
        // Follows the batch: it must end at the same distance from the end in both.
        end -= length;
        const twinEnd = start[axis] + twin.attrs.size[axis] - twin.inputs[0].shape[axis];
        if (end !== twinEnd) throw batchError(node, `its end on axis ${axis} depends on the batch size`);
        if (end === 0) end = TO_END;
      }
    }
    const whole = start[axis] === 0 && (end === TO_END || (end === length && batch.dims(node.inputs[0])[axis] !== -1));
    if (whole) return;
    axes.push(axis);
    ends.push(end);
  });
  if (axes.length === 0) return x;
  return g.slice(
    x,
    axes,
    axes.map((a) => start[a]),
    ends,
  );
}

/** Expand is slow, so it is left out where the users broadcast by themselves. */
function broadcast(node: GraphNode<'broadcast'>, [x]: readonly string[], ctx: LowerContext): string {
  const { g, batch } = ctx;
  if (ctx.isImplicit(node)) return x;
  const dims = batch.dims(node);
  const from = batch.dims(node.inputs[0]);
  const lead = dims.length - from.length;
  // Expand leaves an axis alone where the target says 1: right for a batch axis that the operand already has.
  const target = dims.map((d, i) => (i >= lead && from[i - lead] === d ? 1 : d));
  if (!target.includes(-1)) return g.op('Expand', [x, g.ints(target)]);
  const parts = target.map((d, axis) => (d === -1 ? batchLength(node, axis, ctx) : g.ints([d])));
  return g.op('Expand', [x, g.concat(parts, 0)]);
}

/** The length of an axis that follows the batch, read from an input at run time: int64 [1]. */
function batchLength(node: GraphNode, axis: number, { g, batch }: LowerContext): string {
  const { source } = batch;
  const k = batch.multiple(node, axis);
  if (!source || k === undefined) throw batchError(node, `its axis ${axis} is no multiple of the batch size`);
  const size = g.op('Shape', [source.input], { start: source.axis, end: source.axis + 1 });
  return k === 1 ? size : g.op('Mul', [size, g.ints([k])]);
}

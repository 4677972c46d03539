/**
 * The ops: one builder each, with its shape rule. A wrong shape throws when the graph is built.
 *
 * @example
 * const x = input('x', [16, 1, 64, 64]);
 * const w = state('encoder.0.weight', [64, 1, 3, 3]);
 * const y = relu(conv2d(x, w, undefined, 'encoder.0'));
 */
import { PtychoError } from '../core/errors.js';
import { formatShape, type Shape, sameShape, sizeOf } from '../core/tensor.js';
import type { BinaryOp, GraphNode, OpAttrs, OpName, UnaryOp } from './node.js';

// A counter, not state: ids only tell nodes apart and never enter a result.
let nextId = 0;

function node<O extends OpName>(
  op: O,
  inputs: readonly GraphNode[],
  attrs: OpAttrs[O],
  shape: Shape,
  label?: string,
): GraphNode<O> {
  return { id: nextId++, op, inputs, attrs, shape, label };
}

function fail(op: OpName, operands: readonly GraphNode[], label: string | undefined, why: string): never {
  const shapes = operands.map((o) => formatShape(o.shape)).join(', ');
  const where = label ?? operands.find((o) => o.label)?.label;
  throw new PtychoError('GRAPH_SHAPE', `${op}${where ? ` "${where}"` : ''} of ${shapes || 'nothing'}: ${why}.`, {
    op,
    shapes: operands.map((o) => o.shape),
    label: where,
  });
}

function resolveAxis(op: OpName, x: GraphNode, axis: number, label?: string): number {
  const a = axis < 0 ? axis + x.shape.length : axis;
  if (!Number.isInteger(a) || a < 0 || a >= x.shape.length) fail(op, [x], label, `axis ${axis} does not exist`);
  return a;
}

/** The shape that both operands broadcast to, or undefined. */
export function broadcastShape(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const da = a[a.length - rank + i] ?? 1;
    const db = b[b.length - rank + i] ?? 1;
    if (da !== db && da !== 1 && db !== 1) return undefined;
    out[i] = da === 1 ? db : da;
  }
  return out;
}

// ---- leaves

/** A value known when the program is built; `data` is not copied. */
export function constant(data: Float32Array | readonly number[], shape: Shape, label?: string): GraphNode<'constant'> {
  const values = data instanceof Float32Array ? data : Float32Array.from(data);
  if (values.length !== sizeOf(shape)) {
    throw new PtychoError(
      'GRAPH_SHAPE',
      `constant${label ? ` "${label}"` : ''}: ${values.length} values do not fill ${formatShape(shape)}.`,
      { op: 'constant', shapes: [shape], label },
    );
  }
  return node('constant', [], { data: values }, shape, label);
}

/** A scalar constant. */
export function scalar(value: number): GraphNode<'constant'> {
  return constant([value], []);
}

/** A value fed at every run. */
export function input(name: string, shape: Shape): GraphNode<'input'> {
  return node('input', [], { name }, shape, name);
}

/** A value that stays on the device between runs. */
export function state(name: string, shape: Shape): GraphNode<'state'> {
  return node('state', [], { name }, shape, name);
}

// ---- element by element

type Operand = GraphNode | number;
const asNode = (x: Operand): GraphNode => (typeof x === 'number' ? scalar(x) : x);

function binary<O extends BinaryOp>(op: O, a: Operand, b: Operand, label?: string): GraphNode<O> {
  const [x, y] = [asNode(a), asNode(b)];
  const shape = broadcastShape(x.shape, y.shape);
  if (!shape) fail(op, [x, y], label, 'the shapes cannot be broadcast together');
  return node<BinaryOp>(op, [x, y], {}, shape, label) as GraphNode<O>;
}
/** a + b, shapes broadcast. */
export const add = (a: Operand, b: Operand, label?: string) => binary('add', a, b, label);
/** a − b, shapes broadcast. */
export const sub = (a: Operand, b: Operand, label?: string) => binary('sub', a, b, label);
/** a · b, shapes broadcast. */
export const mul = (a: Operand, b: Operand, label?: string) => binary('mul', a, b, label);
/** a / b, shapes broadcast. */
export const div = (a: Operand, b: Operand, label?: string) => binary('div', a, b, label);
/** 1 where a = b, else 0, shapes broadcast. */
export const equal = (a: Operand, b: Operand, label?: string) => binary('equal', a, b, label);

const unary =
  <O extends UnaryOp>(op: O) =>
  (x: GraphNode, label?: string): GraphNode<O> =>
    node<UnaryOp>(op, [x], {}, x.shape, label) as GraphNode<O>;
/** −x. */
export const neg = unary('neg');
/** |x|. */
export const abs = unary('abs');
/** The sign of x: −1, 0 or 1. */
export const sign = unary('sign');
/** eˣ. */
export const exp = unary('exp');
/** The natural logarithm. */
export const log = unary('log');
/** log(1 + x), exact where x is small. */
export const log1p = unary('log1p');
/** √x. */
export const sqrt = unary('sqrt');
/** x². */
export const square = unary('square');
/** sin x, radians. */
export const sin = unary('sin');
/** cos x, radians. */
export const cos = unary('cos');
/** 1 / (1 + e⁻ˣ). */
export const sigmoid = unary('sigmoid');
/** tanh x. */
export const tanh = unary('tanh');
/** arctan x, radians. */
export const atan = unary('atan');
/** max(x, 0). */
export const relu = unary('relu');
/** x · sigmoid x, also called swish. */
export const silu = unary('silu');
/** log(1 + eˣ). */
export const softplus = unary('softplus');
/** x · Φ(x) with the distribution function Φ of the normal distribution (Hendrycks & Gimpel, arXiv 1606.08415), exact. */
export const gelu = unary('gelu');
/** max(0, 1 − |x|), the weights of linear interpolation. */
export const hat = unary('hat');
/** 1 where x > 0, ½ where x = 0, else 0. */
export const step = unary('step');

/** The larger of x and a constant. */
export const maximum = (x: GraphNode, value: number, label?: string) => node('maximum', [x], { value }, x.shape, label);
/** The smaller of x and a constant. */
export const minimum = (x: GraphNode, value: number, label?: string) => node('minimum', [x], { value }, x.shape, label);
/** 1 where x is greater than a constant, else 0. */
export const greater = (x: GraphNode, value: number, label?: string) => node('greater', [x], { value }, x.shape, label);

/** The gradient of relu from its result: dy where y > 0, else 0. */
export function reluGrad(dy: GraphNode, y: GraphNode, label?: string): GraphNode<'reluGrad'> {
  if (!sameShape(dy.shape, y.shape)) fail('reluGrad', [dy, y], label, 'the shapes differ');
  return node('reluGrad', [dy, y], {}, y.shape, label);
}

/** The gradient of {@link gelu} from its operand: dy · (Φ(x) + x·Φ′(x)). */
export function geluGrad(dy: GraphNode, x: GraphNode, label?: string): GraphNode<'geluGrad'> {
  if (!sameShape(dy.shape, x.shape)) fail('geluGrad', [dy, x], label, 'the shapes differ');
  return node('geluGrad', [dy, x], {}, x.shape, label);
}

// ---- shape and linear algebra

/** Matrix product over the last two axes; leading axes broadcast. */
export function matmul(a: GraphNode, b: GraphNode, label?: string): GraphNode<'matmul'> {
  if (a.shape.length < 2 || b.shape.length < 2) fail('matmul', [a, b], label, 'both operands need two axes or more');
  const [m, k] = a.shape.slice(-2);
  const [k2, n] = b.shape.slice(-2);
  if (k !== k2) fail('matmul', [a, b], label, `the inner sizes ${k} and ${k2} differ`);
  const lead = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (!lead) fail('matmul', [a, b], label, 'the leading axes cannot be broadcast together');
  return node('matmul', [a, b], {}, [...lead, m, n], label);
}

/** Reorders axes: result axis i is operand axis perm[i]. */
export function transpose(x: GraphNode, perm: readonly number[], label?: string): GraphNode<'transpose'> {
  const ok = perm.length === x.shape.length && [...perm].sort((p, q) => p - q).every((p, i) => p === i);
  if (!ok) fail('transpose', [x], label, `[${perm.join(', ')}] is no permutation of its axes`);
  const shape = perm.map((p) => x.shape[p]);
  return node('transpose', [x], { perm }, shape, label);
}

/** Swaps the last two axes. */
export function transposeLast(x: GraphNode, label?: string): GraphNode<'transpose'> {
  const r = x.shape.length;
  const perm = x.shape.map((_, i) => i);
  [perm[r - 2], perm[r - 1]] = [r - 1, r - 2];
  return transpose(x, perm, label);
}

/** The same values in another shape. */
export function reshape(x: GraphNode, shape: Shape, label?: string): GraphNode {
  if (sizeOf(x.shape) !== sizeOf(shape))
    fail('reshape', [x], label, `${formatShape(shape)} holds another number of values`);
  return sameShape(x.shape, shape) ? x : node('reshape', [x], { shape }, shape, label);
}

/** Joins arrays along an axis; the other axes must agree. */
export function concat(xs: readonly GraphNode[], axis: number, label?: string): GraphNode {
  if (xs.length === 0) fail('concat', xs, label, 'there is nothing to join');
  if (xs.length === 1) return xs[0];
  const a = resolveAxis('concat', xs[0], axis, label);
  const fits = xs.every(
    (x) => x.shape.length === xs[0].shape.length && x.shape.every((d, i) => i === a || d === xs[0].shape[i]),
  );
  if (!fits) fail('concat', xs, label, `the shapes differ on an axis other than ${a}`);
  const shape = xs[0].shape.map((d, i) => (i === a ? xs.reduce((s, x) => s + x.shape[a], 0) : d));
  return node('concat', xs, { axis: a }, shape, label);
}

/** The block that begins at `start` and has `size`, per axis. */
export function slice(x: GraphNode, start: readonly number[], size: readonly number[], label?: string): GraphNode {
  const ok =
    start.length === x.shape.length &&
    size.length === x.shape.length &&
    x.shape.every((d, i) => start[i] >= 0 && size[i] > 0 && start[i] + size[i] <= d);
  if (!ok) fail('slice', [x], label, `a block of ${formatShape(size)} from [${start.join(', ')}] does not lie inside`);
  return sameShape(size, x.shape) ? x : node('slice', [x], { start, size }, size, label);
}

/** {@link slice} along one axis. */
export function sliceAxis(x: GraphNode, axis: number, start: number, size: number, label?: string): GraphNode {
  const a = resolveAxis('slice', x, axis, label);
  return slice(
    x,
    x.shape.map((_, i) => (i === a ? start : 0)),
    x.shape.map((d, i) => (i === a ? size : d)),
    label,
  );
}

/** Zeros before and after, per axis. */
export function pad(x: GraphNode, before: readonly number[], after: readonly number[], label?: string): GraphNode {
  const ok =
    before.length === x.shape.length && after.length === x.shape.length && [...before, ...after].every((p) => p >= 0);
  if (!ok) fail('pad', [x], label, `paddings [${before.join(', ')}] and [${after.join(', ')}] do not fit`);
  if ([...before, ...after].every((p) => p === 0)) return x;
  const shape = x.shape.map((d, i) => d + before[i] + after[i]);
  return node('pad', [x], { before, after }, shape, label);
}

/** Mirrors images [B, C, H, W] about their outermost pixels, which are not repeated, by `size` pixels on every side. */
export function reflectPad(x: GraphNode, size: number, label?: string): GraphNode<'reflectPad'> {
  checkImage('reflectPad', x, [x], label);
  const [b, c, h, w] = x.shape;
  if (size < 1 || size >= h || size >= w) {
    fail(
      'reflectPad',
      [x],
      label,
      `${size} pixels cannot be mirrored; there must be at least one, and fewer than a side has`,
    );
  }
  return node('reflectPad', [x], { size }, [b, c, h + 2 * size, w + 2 * size], label);
}

/** Repeats values along axes of length 1, as NumPy does. */
export function broadcast(x: GraphNode, shape: Shape, label?: string): GraphNode {
  const to = broadcastShape(x.shape, shape);
  if (!to || !sameShape(to, shape)) fail('broadcast', [x], label, `it cannot be broadcast to ${formatShape(shape)}`);
  return sameShape(x.shape, shape) ? x : node('broadcast', [x], { shape }, shape, label);
}

type ReduceOp = 'reduceSum' | 'reduceMean' | 'reduceMax';
function reduce<O extends ReduceOp>(
  op: O,
  x: GraphNode,
  axes: readonly number[] | undefined,
  keepDims: boolean,
  label?: string,
): GraphNode {
  const list = (axes ?? x.shape.map((_, i) => i)).map((a) => resolveAxis(op, x, a, label)).sort((p, q) => p - q);
  if (new Set(list).size !== list.length) fail(op, [x], label, 'an axis is named twice');
  if (list.length === 0) return x;
  const shape = keepDims
    ? x.shape.map((d, i) => (list.includes(i) ? 1 : d))
    : x.shape.filter((_, i) => !list.includes(i));
  return node<ReduceOp>(op, [x], { axes: list, keepDims }, shape, label);
}
/** Sum over `axes` (all axes when not given). */
export const reduceSum = (x: GraphNode, axes?: readonly number[], keepDims = false, label?: string) =>
  reduce('reduceSum', x, axes, keepDims, label);
/** Mean over `axes` (all axes when not given). */
export const reduceMean = (x: GraphNode, axes?: readonly number[], keepDims = false, label?: string) =>
  reduce('reduceMean', x, axes, keepDims, label);
/** Maximum over `axes` (all axes when not given). */
export const reduceMax = (x: GraphNode, axes?: readonly number[], keepDims = false, label?: string) =>
  reduce('reduceMax', x, axes, keepDims, label);

/** Sums a broadcast result back to `shape`: the adjoint of broadcasting. */
export function sumTo(x: GraphNode, shape: Shape): GraphNode {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes: number[] = [];
  x.shape.forEach((d, i) => {
    if (i < lead || (shape[i - lead] === 1 && d !== 1)) axes.push(i);
  });
  return reshape(reduceSum(x, axes, true), shape);
}

// ---- images [B, C, H, W]

function checkImage(op: OpName, x: GraphNode, operands: readonly GraphNode[], label?: string): void {
  if (x.shape.length !== 4) fail(op, operands, label, 'images need the axes [batch, channel, row, column]');
}

function checkKernel(op: OpName, w: GraphNode, operands: readonly GraphNode[], label?: string, only3 = false): void {
  const k = w.shape[2];
  if (w.shape.length !== 4 || w.shape[3] !== k || k % 2 !== 1 || (only3 && k !== 3)) {
    fail(op, operands, label, `the kernel must be [out, in, k, k] with ${only3 ? 'k = 3' : 'odd k'}`);
  }
}

function checkBias(op: OpName, bias: GraphNode | undefined, w: GraphNode, operands: GraphNode[], label?: string): void {
  if (bias && !sameShape(bias.shape, [w.shape[0]])) fail(op, operands, label, `the bias must be (${w.shape[0]},)`);
}

/** Zeros around an image: as many as keep its size, or none. */
function paddingOf(op: OpName, w: GraphNode, padding: Padding, operands: readonly GraphNode[], label?: string): number {
  const k = w.shape[2];
  checkKernel(op, w, operands, label);
  return padding === 'same' ? (k - 1) / 2 : 0;
}

/** What is put around an image before it is correlated: zeros that keep its size, or nothing. */
export type Padding = 'same' | 'none';

/**
 * Correlates images [B, in, H, W] with a kernel [out, in, k, k]; `bias` is (out,). Padded with zeros to the same size, or with
 * `padding: 'none'` only where the kernel lies inside: [B, out, H − k + 1, W − k + 1].
 */
export function conv2d(
  x: GraphNode,
  w: GraphNode,
  bias?: GraphNode,
  label?: string,
  padding: Padding = 'same',
): GraphNode<'conv2d'> {
  const operands = bias ? [x, w, bias] : [x, w];
  checkImage('conv2d', x, operands, label);
  const p = paddingOf('conv2d', w, padding, operands, label);
  if (x.shape[1] !== w.shape[1])
    fail('conv2d', operands, label, `the kernel takes ${w.shape[1]} channels, the image has ${x.shape[1]}`);
  checkBias('conv2d', bias, w, operands, label);
  const [h, width] = x.shape.slice(2).map((side) => side + 2 * p - w.shape[2] + 1);
  if (h < 1 || width < 1) fail('conv2d', operands, label, 'the kernel is larger than the image');
  return node('conv2d', operands, { padding: p }, [x.shape[0], w.shape[0], h, width], label);
}

/** The adjoint of {@link conv2d} by its image. */
export function conv2dInputGrad(
  dy: GraphNode,
  w: GraphNode,
  label?: string,
  padding: Padding = 'same',
): GraphNode<'conv2dInputGrad'> {
  checkImage('conv2dInputGrad', dy, [dy, w], label);
  const p = paddingOf('conv2dInputGrad', w, padding, [dy, w], label);
  if (dy.shape[1] !== w.shape[0]) fail('conv2dInputGrad', [dy, w], label, 'the channels do not fit the kernel');
  const [h, width] = dy.shape.slice(2).map((side) => side - 2 * p + w.shape[2] - 1);
  return node('conv2dInputGrad', [dy, w], { padding: p }, [dy.shape[0], w.shape[1], h, width], label);
}

/** The adjoint of {@link conv2d} by its kernel, whose side is `kernel`. */
export function conv2dFilterGrad(
  x: GraphNode,
  dy: GraphNode,
  kernel: number,
  label?: string,
  padding: Padding = 'same',
): GraphNode<'conv2dFilterGrad'> {
  checkImage('conv2dFilterGrad', x, [x, dy], label);
  checkImage('conv2dFilterGrad', dy, [x, dy], label);
  const p = padding === 'same' ? (kernel - 1) / 2 : 0;
  const less = kernel - 1 - 2 * p;
  const fits = x.shape[0] === dy.shape[0] && x.shape[2] - less === dy.shape[2] && x.shape[3] - less === dy.shape[3];
  if (!fits) fail('conv2dFilterGrad', [x, dy], label, 'image and gradient differ in batch or size');
  return node('conv2dFilterGrad', [x, dy], { kernel, padding: p }, [dy.shape[1], x.shape[1], kernel, kernel], label);
}

function checkTransposed(op: OpName, w: GraphNode, operands: readonly GraphNode[], label?: string): void {
  const [, , h, width] = w.shape;
  if (w.shape.length !== 4 || h !== 4 || width !== 4) fail(op, operands, label, 'the kernel must be [in, out, 4, 4]');
}

/**
 * Doubles the sides of images [B, in, H, W]: every pixel lays down the kernel [in, out, 4, 4], two pixels apart, and one pixel is cut
 * off on every side. `bias` is (out,).
 */
export function transposedConv2d(
  x: GraphNode,
  w: GraphNode,
  bias?: GraphNode,
  label?: string,
): GraphNode<'transposedConv2d'> {
  const operands = bias ? [x, w, bias] : [x, w];
  checkImage('transposedConv2d', x, operands, label);
  checkTransposed('transposedConv2d', w, operands, label);
  const [ci, co] = w.shape;
  if (x.shape[1] !== ci)
    fail('transposedConv2d', operands, label, `the kernel takes ${ci} channels, the image has ${x.shape[1]}`);
  if (bias && !sameShape(bias.shape, [co])) fail('transposedConv2d', operands, label, `the bias must be (${co},)`);
  return node('transposedConv2d', operands, {}, [x.shape[0], co, 2 * x.shape[2], 2 * x.shape[3]], label);
}

/** The adjoint of {@link transposedConv2d} by its image. */
export function transposedConv2dInputGrad(
  dy: GraphNode,
  w: GraphNode,
  label?: string,
): GraphNode<'transposedConv2dInputGrad'> {
  checkImage('transposedConv2dInputGrad', dy, [dy, w], label);
  checkTransposed('transposedConv2dInputGrad', w, [dy, w], label);
  if (dy.shape[1] !== w.shape[1] || dy.shape[2] % 2 || dy.shape[3] % 2) {
    fail('transposedConv2dInputGrad', [dy, w], label, 'the gradient does not fit the kernel, or its sides are odd');
  }
  const shape = [dy.shape[0], w.shape[0], dy.shape[2] / 2, dy.shape[3] / 2];
  return node('transposedConv2dInputGrad', [dy, w], {}, shape, label);
}

/** The adjoint of {@link transposedConv2d} by its kernel. */
export function transposedConv2dFilterGrad(
  x: GraphNode,
  dy: GraphNode,
  label?: string,
): GraphNode<'transposedConv2dFilterGrad'> {
  checkImage('transposedConv2dFilterGrad', x, [x, dy], label);
  checkImage('transposedConv2dFilterGrad', dy, [x, dy], label);
  const fits = x.shape[0] === dy.shape[0] && 2 * x.shape[2] === dy.shape[2] && 2 * x.shape[3] === dy.shape[3];
  if (!fits) fail('transposedConv2dFilterGrad', [x, dy], label, 'the gradient must have twice the sides of the image');
  return node('transposedConv2dFilterGrad', [x, dy], {}, [x.shape[1], dy.shape[1], 4, 4], label);
}

/** Doubles the sides of images by repeating pixels, then correlates with a kernel [out, in, 3, 3]. */
export function upConv2d(x: GraphNode, w: GraphNode, bias?: GraphNode, label?: string): GraphNode<'upConv2d'> {
  const operands = bias ? [x, w, bias] : [x, w];
  checkImage('upConv2d', x, operands, label);
  checkKernel('upConv2d', w, operands, label, true);
  if (x.shape[1] !== w.shape[1])
    fail('upConv2d', operands, label, `the kernel takes ${w.shape[1]} channels, the image has ${x.shape[1]}`);
  checkBias('upConv2d', bias, w, operands, label);
  return node('upConv2d', operands, {}, [x.shape[0], w.shape[0], 2 * x.shape[2], 2 * x.shape[3]], label);
}

/** The adjoint of {@link upConv2d} by its image. */
export function upConv2dInputGrad(dy: GraphNode, w: GraphNode, label?: string): GraphNode<'upConv2dInputGrad'> {
  checkImage('upConv2dInputGrad', dy, [dy, w], label);
  checkKernel('upConv2dInputGrad', w, [dy, w], label, true);
  if (dy.shape[1] !== w.shape[0] || dy.shape[2] % 2 || dy.shape[3] % 2) {
    fail('upConv2dInputGrad', [dy, w], label, 'the gradient does not fit the kernel, or its sides are odd');
  }
  return node('upConv2dInputGrad', [dy, w], {}, [dy.shape[0], w.shape[1], dy.shape[2] / 2, dy.shape[3] / 2], label);
}

/** The adjoint of {@link upConv2d} by its kernel. */
export function upConv2dFilterGrad(x: GraphNode, dy: GraphNode, label?: string): GraphNode<'upConv2dFilterGrad'> {
  checkImage('upConv2dFilterGrad', x, [x, dy], label);
  checkImage('upConv2dFilterGrad', dy, [x, dy], label);
  const fits = x.shape[0] === dy.shape[0] && 2 * x.shape[2] === dy.shape[2] && 2 * x.shape[3] === dy.shape[3];
  if (!fits) fail('upConv2dFilterGrad', [x, dy], label, 'the gradient must have twice the sides of the image');
  return node('upConv2dFilterGrad', [x, dy], {}, [dy.shape[1], x.shape[1], 3, 3], label);
}

/** The largest of every 2×2 pixels; sides must be even. */
export function maxPool2(x: GraphNode, label?: string): GraphNode<'maxPool2'> {
  checkImage('maxPool2', x, [x], label);
  if (x.shape[2] % 2 || x.shape[3] % 2) fail('maxPool2', [x], label, 'the sides must be even');
  return node('maxPool2', [x], {}, [x.shape[0], x.shape[1], x.shape[2] / 2, x.shape[3] / 2], label);
}

/** The gradient of {@link maxPool2} from its image, its result and the gradient by that. */
export function maxPool2Grad(x: GraphNode, y: GraphNode, dy: GraphNode, label?: string): GraphNode<'maxPool2Grad'> {
  if (!sameShape(y.shape, dy.shape)) fail('maxPool2Grad', [x, y, dy], label, 'result and gradient differ');
  const halved = x.shape.map((d, i) => (i < 2 ? d : d / 2));
  if (!sameShape(halved, y.shape))
    fail('maxPool2Grad', [x, y, dy], label, 'the result must have half the sides of the image');
  return node('maxPool2Grad', [x, y, dy], {}, x.shape, label);
}

/** Doubles the sides of images by repeating pixels. */
export function upsampleNearest2(x: GraphNode, label?: string): GraphNode<'upsampleNearest2'> {
  checkImage('upsampleNearest2', x, [x], label);
  return node('upsampleNearest2', [x], {}, [x.shape[0], x.shape[1], 2 * x.shape[2], 2 * x.shape[3]], label);
}

/** The adjoint of {@link upsampleNearest2}: sums of 2×2 pixels. */
export function upsampleNearest2Grad(dy: GraphNode, label?: string): GraphNode<'upsampleNearest2Grad'> {
  checkImage('upsampleNearest2Grad', dy, [dy], label);
  if (dy.shape[2] % 2 || dy.shape[3] % 2) fail('upsampleNearest2Grad', [dy], label, 'the sides must be even');
  return node('upsampleNearest2Grad', [dy], {}, [dy.shape[0], dy.shape[1], dy.shape[2] / 2, dy.shape[3] / 2], label);
}

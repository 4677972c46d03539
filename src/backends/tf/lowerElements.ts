/** Ops that work element by element: in whatever layout their operands have. */
import type { ElementOp, OpName } from '../../graph/node.js';
import type { Kernels } from './kernels/kernels.js';
import { inMemory, isPlain, type Layout, plainLayout } from './layout.js';
import type { Lowering, LoweringTable } from './lower.js';
import type { Tf, TfTensor } from './tfjs.js';
import { Value } from './value.js';

type Attributes<O extends OpName> = Parameters<Lowering<O>>[0]['node']['attrs'];

const unary =
  <O extends OpName>(f: (tf: Tf, x: TfTensor, attrs: Attributes<O>) => TfTensor): Lowering<O> =>
  ({ node }, [x], kernels) =>
    new Value(kernels, node.shape, f(kernels.tf, x.loose(x.layout), node.attrs), x.layout);

const binary =
  <O extends OpName>(f: (tf: Tf, a: TfTensor, b: TfTensor) => TfTensor): Lowering<O> =>
  ({ node }, [a, b], kernels) => {
    const layout = commonLayout([a, b], node.shape.length);
    const operand = (x: Value) => looseOperand(x, layout, kernels);
    return new Value(kernels, node.shape, f(kernels.tf, operand(a), operand(b)), layout);
  };

export const elementLowerings: LoweringTable<ElementOp> = {
  add: binary((tf, a, b) => tf.add(a, b)),
  sub: binary((tf, a, b) => tf.sub(a, b)),
  mul: binary((tf, a, b) => tf.mul(a, b)),
  div: binary((tf, a, b) => tf.div(a, b)),
  equal: binary((tf, a, b) => tf.cast(tf.equal(a, b), 'float32')),
  neg: unary((tf, x) => tf.neg(x)),
  abs: unary((tf, x) => tf.abs(x)),
  sign: unary((tf, x) => tf.sign(x)),
  exp: unary((tf, x) => tf.exp(x)),
  log: unary((tf, x) => tf.log(x)),
  sqrt: unary((tf, x) => tf.sqrt(x)),
  square: unary((tf, x) => tf.square(x)),
  sin: unary((tf, x) => tf.sin(x)),
  cos: unary((tf, x) => tf.cos(x)),
  sigmoid: unary((tf, x) => tf.sigmoid(x)),
  tanh: unary((tf, x) => tf.tanh(x)),
  atan: unary((tf, x) => tf.atan(x)),
  relu: unary((tf, x) => tf.relu(x)),
  silu: unary((tf, x) => tf.mul(x, tf.sigmoid(x))),
  softplus: unary((tf, x) => tf.softplus(x)),
  hat: unary((tf, z) => tf.relu(tf.sub(1, tf.abs(z)))),
  step: unary((tf, x) => tf.mul(tf.add(tf.sign(x), 1), 0.5)),
  maximum: unary((tf, x, { value }) => tf.maximum(x, value)),
  minimum: unary((tf, x, { value }) => tf.minimum(x, value)),
  greater: unary((tf, x, { value }) => tf.cast(tf.greater(x, value), 'float32')),
  reluGrad: ({ node }, [dy, y], kernels) => {
    const layout = commonLayout([dy, y], node.shape.length);
    return new Value(kernels, node.shape, kernels.reluGrad(dy.get(layout), y.get(layout)), layout);
  },
};

/** The layout that moves the least: that of the largest operand that is not laid out plainly. */
function commonLayout(operands: readonly Value[], rank: number): Layout {
  let best: Value | undefined;
  for (const x of operands) {
    if (x.shape.length === rank && !isPlain(x.layout) && (!best || x.size > best.size)) best = x;
  }
  return best?.layout ?? plainLayout(rank);
}

/** An operand as its op takes it: in the common layout, with as many axes, perhaps to be broadcast. */
function looseOperand(x: Value, layout: Layout, { tf }: Kernels): TfTensor {
  const missing = layout.length - x.shape.length;
  if (missing === 0) return x.loose(layout);
  const tensor = x.loose(plainLayout(x.shape.length));
  if (isPlain(layout) || x.size === 1) return tensor;
  const shape = [...new Array<number>(missing).fill(1), ...tensor.shape];
  const target = inMemory(shape, layout);
  // With one axis of length over 1 there is nothing to move.
  if (shape.filter((d) => d !== 1).length <= 1) return tf.reshape(tensor, target);
  return tf.transpose(tf.reshape(tensor, shape), [...layout]);
}

/** How an op of the table in `src/graph/node.ts` is run by TensorFlow.js: one entry each. Layouts are kept where the op allows it. */
import type { ElementOp, ImageOp, OpName, ShapeOp } from '../../graph/node.js';
import type { Kernels, PointFunction, Reduction, Tf, TfTensor, TfTensor4D, Weights } from './kernels/kernels.js';
import {
  axesInMemory,
  CHANNELS_LAST,
  inMemory,
  isPlain,
  KERNEL_LAST,
  type Layout,
  plainLayout,
  transposedLayout,
  withoutAxes,
} from './layout.js';
import type { FlatNode } from './protocol.js';
import { Value } from './value.js';

/** What a node is besides its entry in the table. */
export interface NodePlan<O extends OpName = OpName> {
  readonly node: FlatNode<O>;
  /** True when the node's only user is a relu, which it then does as well. */
  readonly relu: boolean;
}

/** (plan, operands, kernels) → result. Operands stay the caller's; the result owns its tensors. */
export type Lowering<O extends OpName> = (plan: NodePlan<O>, x: readonly Value[], kernels: Kernels) => Value;

/** Lowerings of some ops, each typed by its op's attributes. */
export type LoweringTable<O extends OpName> = { readonly [K in O]: Lowering<K> };

type Attributes<O extends OpName> = Parameters<Lowering<O>>[0]['node']['attrs'];

const unary =
  <O extends OpName>(f: (tf: Tf, x: TfTensor, attrs: Attributes<O>) => TfTensor): Lowering<O> =>
  ({ node }, [x], kernels) =>
    new Value(kernels, node.shape, f(kernels.tf, x.loose(x.layout), node.attrs), x.layout);

const point =
  <O extends PointFunction>(name: O): Lowering<O> =>
  ({ node }, [x], kernels) =>
    new Value(kernels, node.shape, kernels.point(name, x.loose(x.layout)), x.layout);

const binary =
  <O extends OpName>(f: (tf: Tf, a: TfTensor, b: TfTensor) => TfTensor): Lowering<O> =>
  ({ node }, [a, b], kernels) => {
    const layout = commonLayout([a, b], node.shape.length);
    const operand = (x: Value) => looseOperand(x, layout, kernels);
    return new Value(kernels, node.shape, f(kernels.tf, operand(a), operand(b)), layout);
  };

/** Ops that work element by element: in whatever layout their operands have. */
const elementLowerings: LoweringTable<ElementOp> = {
  add: binary((tf, a, b) => tf.add(a, b)),
  sub: binary((tf, a, b) => tf.sub(a, b)),
  mul: binary((tf, a, b) => tf.mul(a, b)),
  div: binary((tf, a, b) => tf.div(a, b)),
  equal: binary((tf, a, b) => tf.cast(tf.equal(a, b), 'float32')),
  neg: unary((tf, x) => tf.neg(x)),
  abs: unary((tf, x) => tf.abs(x)),
  sign: point('sign'),
  exp: unary((tf, x) => tf.exp(x)),
  log: unary((tf, x) => tf.log(x)),
  log1p: point('log1p'),
  sqrt: unary((tf, x) => tf.sqrt(x)),
  square: unary((tf, x) => tf.square(x)),
  sin: point('sin'),
  cos: point('cos'),
  sigmoid: unary((tf, x) => tf.sigmoid(x)),
  tanh: unary((tf, x) => tf.tanh(x)),
  atan: unary((tf, x) => tf.atan(x)),
  relu: unary((tf, x) => tf.relu(x)),
  silu: unary((tf, x) => tf.mul(x, tf.sigmoid(x))),
  softplus: unary((tf, x) => tf.softplus(x)),
  hat: unary((tf, z) => tf.relu(tf.sub(1, tf.abs(z)))),
  step: ({ node }, [x], kernels) => {
    const { tf } = kernels;
    const sign = kernels.point('sign', x.loose(x.layout));
    return new Value(kernels, node.shape, tf.mul(tf.add(sign, 1), 0.5), x.layout);
  },
  maximum: unary((tf, x, { value }) => tf.maximum(x, value)),
  minimum: unary((tf, x, { value }) => tf.minimum(x, value)),
  greater: unary((tf, x, { value }) => tf.cast(tf.greater(x, value), 'float32')),
  reluGrad: ({ node }, [dy, y], kernels) => {
    const layout = commonLayout([dy, y], node.shape.length);
    return new Value(kernels, node.shape, kernels.reluGrad(dy.get(layout), y.get(layout)), layout);
  },
  gelu: ({ node }, [x], kernels) => new Value(kernels, node.shape, kernels.gelu(x.loose(x.layout)), x.layout),
  geluGrad: ({ node }, [dy, x], kernels) => {
    const layout = commonLayout([dy, x], node.shape.length);
    return new Value(kernels, node.shape, kernels.geluGrad(dy.get(layout), x.get(layout)), layout);
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

const reduce =
  <O extends OpName & ('reduceSum' | 'reduceMean' | 'reduceMax')>(kind: Reduction): Lowering<O> =>
  ({ node }, [x], kernels) => {
    const { axes, keepDims } = (node as FlatNode as FlatNode<'reduceSum'>).attrs;
    const { layout } = x;
    const result = kernels.reduce(kind, x.get(layout), axesInMemory(axes, layout), keepDims);
    return new Value(kernels, node.shape, result, keepDims ? layout : withoutAxes(layout, axes));
  };

/** Linear algebra and everything that only moves values. */
const shapeLowerings: LoweringTable<ShapeOp> = {
  matmul: ({ node }, [a, b], kernels) => new Value(kernels, node.shape, kernels.matmul(a.get(), b.get())),
  // Nothing is moved until an op needs it.
  transpose: ({ node }, [x]) => x.as(node.shape, transposedLayout(x.layout, node.attrs.perm)),
  reshape: ({ node }, [x], kernels) => new Value(kernels, node.shape, kernels.tf.reshape(x.get(), [...node.shape])),
  concat: ({ node }, xs, kernels) => {
    const layout = (xs.find((x) => !isPlain(x.layout)) ?? xs[0]).layout;
    const parts = xs.map((x) => x.get(layout));
    return new Value(kernels, node.shape, kernels.tf.concat(parts, layout.indexOf(node.attrs.axis)), layout);
  },
  slice: ({ node }, [x], kernels) => {
    const { layout } = x;
    const [start, size] = [inMemory(node.attrs.start, layout), inMemory(node.attrs.size, layout)];
    return new Value(kernels, node.shape, kernels.slice(x.get(layout), start, size), layout);
  },
  pad: ({ node }, [x], kernels) => {
    const { layout } = x;
    const paddings = layout.map((axis): [number, number] => [node.attrs.before[axis], node.attrs.after[axis]]);
    return new Value(kernels, node.shape, kernels.tf.pad(x.get(layout), paddings), layout);
  },
  reflectPad: ({ node }, [x], kernels) => {
    const { layout } = x;
    const { size } = node.attrs;
    const paddings = layout.map((axis): [number, number] => (axis < 2 ? [0, 0] : [size, size]));
    return new Value(kernels, node.shape, kernels.tf.mirrorPad(x.get(layout), paddings, 'reflect'), layout);
  },
  // Only ops that cannot broadcast pay for it.
  broadcast: ({ node }, [x], kernels) => {
    const missing = node.shape.length - x.shape.length;
    if (missing === 0) return x.as(node.shape, x.layout);
    const plain = x.get(plainLayout(x.shape.length));
    const shape = [...new Array<number>(missing).fill(1), ...x.shape];
    return new Value(kernels, node.shape, kernels.tf.reshape(plain, shape));
  },
  reduceSum: reduce('sum'),
  reduceMean: reduce('mean'),
  reduceMax: reduce('max'),
};

const image = (x: Value) => x.get(CHANNELS_LAST) as TfTensor4D;
const weights = (w: Value): Weights => ({
  tensor: w.get(KERNEL_LAST) as TfTensor4D,
  derived: (key, make) => w.derived(key, make),
});

/** Convolutions, pooling and doubling: channels last, by the engine's kernels. */
const imageLowerings: LoweringTable<ImageOp> = {
  conv2d: ({ node, relu }, [x, w, bias], kernels) => {
    const result = kernels.conv2d(image(x), weights(w), bias?.get(), relu, node.attrs.padding);
    return new Value(kernels, node.shape, result, CHANNELS_LAST);
  },
  conv2dInputGrad: ({ node }, [dy, w], kernels) =>
    new Value(kernels, node.shape, kernels.conv2dInputGrad(image(dy), weights(w), node.attrs.padding), CHANNELS_LAST),
  conv2dFilterGrad: ({ node }, [x, dy], kernels) => {
    const { kernel, padding } = node.attrs;
    return new Value(kernels, node.shape, kernels.conv2dFilterGrad(image(x), image(dy), kernel, padding), KERNEL_LAST);
  },
  transposedConv2d: ({ node }, [x, w, bias], kernels) =>
    new Value(kernels, node.shape, kernels.transposedConv2d(image(x), weights(w), bias?.get()), CHANNELS_LAST),
  transposedConv2dInputGrad: ({ node }, [dy, w], kernels) =>
    new Value(kernels, node.shape, kernels.transposedConv2dInputGrad(image(dy), weights(w)), CHANNELS_LAST),
  // Kernels [in, out, 4, 4] as [4, 4, out, in]: the same order of axes as that of other kernels.
  transposedConv2dFilterGrad: ({ node }, [x, dy], kernels) =>
    new Value(kernels, node.shape, kernels.transposedConv2dFilterGrad(image(x), image(dy)), KERNEL_LAST),
  upConv2d: ({ node, relu }, [x, w, bias], kernels) =>
    new Value(kernels, node.shape, kernels.upConv2d(image(x), weights(w), bias?.get(), relu), CHANNELS_LAST),
  upConv2dInputGrad: ({ node }, [dy, w], kernels) =>
    new Value(kernels, node.shape, kernels.upConv2dInputGrad(image(dy), weights(w)), CHANNELS_LAST),
  upConv2dFilterGrad: ({ node }, [x, dy], kernels) =>
    new Value(kernels, node.shape, kernels.upConv2dFilterGrad(image(x), image(dy)), KERNEL_LAST),
  maxPool2: ({ node }, [x], kernels) => new Value(kernels, node.shape, kernels.maxPool2(image(x)), CHANNELS_LAST),
  maxPool2Grad: ({ node }, [x, y, dy], kernels) =>
    new Value(kernels, node.shape, kernels.maxPool2Grad(image(x), image(y), image(dy)), CHANNELS_LAST),
  upsampleNearest2: ({ node }, [x], kernels) =>
    new Value(kernels, node.shape, kernels.doubled(image(x)), CHANNELS_LAST),
  upsampleNearest2Grad: ({ node }, [dy], kernels) =>
    new Value(kernels, node.shape, kernels.blockSum(image(dy)), CHANNELS_LAST),
};

type LoweredOp = Exclude<OpName, 'constant' | 'input' | 'state'>;

const table: LoweringTable<LoweredOp> = { ...elementLowerings, ...shapeLowerings, ...imageLowerings };

/** Runs one node. */
export function lower(plan: NodePlan, operands: readonly Value[], kernels: Kernels): Value {
  const lowering = table[plan.node.op as LoweredOp] as Lowering<OpName>;
  return lowering(plan, operands, kernels);
}

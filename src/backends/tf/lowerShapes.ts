/** Linear algebra and everything that only moves values. Layouts are kept where the op allows it. */
import type { OpName, ShapeOp } from '../../graph/node.js';
import type { FlatNode } from './flatProgram.js';
import type { Reduction } from './kernels/kernels.js';
import { axesInMemory, inMemory, isPlain, plainLayout, transposedLayout, withoutAxes } from './layout.js';
import type { Lowering, LoweringTable } from './lower.js';
import { Value } from './value.js';

const reduce =
  <O extends OpName & ('reduceSum' | 'reduceMean' | 'reduceMax')>(kind: Reduction): Lowering<O> =>
  ({ node }, [x], kernels) => {
    const { axes, keepDims } = (node as FlatNode as FlatNode<'reduceSum'>).attrs;
    const { layout } = x;
    const result = kernels.reduce(kind, x.get(layout), axesInMemory(axes, layout), keepDims);
    return new Value(kernels, node.shape, result, keepDims ? layout : withoutAxes(layout, axes));
  };

export const shapeLowerings: LoweringTable<ShapeOp> = {
  matmul: ({ node }, [a, b], kernels) => new Value(kernels, node.shape, kernels.matmul(a.get(), b.get())),
  // Nothing is moved before somebody needs it.
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
  // Only those who cannot broadcast by themselves pay for it.
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

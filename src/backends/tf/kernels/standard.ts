/**
 * Kernels from TensorFlow's own ops: for tfjs-node and tfjs-node-gpu, whose engine has them all. The other engines
 * replace what they lack.
 */
import { broadcastShape } from '../../../graph/ops.js';
import { joinedTransposition } from '../layout.js';
import type { Kernels, PointFunction, Reduction, Tf, TfTensor, TfTensor2D, TfTensor4D, Weights } from './kernels.js';

/** Zeros that keep the size, or none. */
function padOf(padding: number): 'same' | 'valid' {
  return padding > 0 ? 'same' : 'valid';
}

export class StandardKernels implements Kernels {
  readonly tf: Tf;

  constructor(tf: Tf) {
    this.tf = tf;
  }

  conv2d(x: TfTensor4D, w: Weights, bias: TfTensor | undefined, relu: boolean, padding: number): TfTensor {
    const pad = padOf(padding);
    if (!bias && !relu) return this.tf.conv2d(x, w.tensor, 1, pad);
    const activation = relu ? 'relu' : 'linear';
    return this.tf.fused.conv2d({ x, filter: w.tensor, strides: 1, pad, bias, activation });
  }

  conv2dInputGrad(dy: TfTensor4D, w: Weights, padding: number): TfTensor {
    const [b, h, width] = dy.shape;
    const [k, , ci] = w.tensor.shape;
    const more = k - 1 - 2 * padding;
    return this.tf.conv2dTranspose(dy, w.tensor, [b, h + more, width + more, ci], 1, padOf(padding));
  }

  conv2dFilterGrad(x: TfTensor4D, dy: TfTensor4D, kernel: number, padding: number): TfTensor {
    return this.#filterGrad(x, dy, { strides: 1, pad: padOf(padding), side: kernel });
  }

  transposedConv2d(x: TfTensor4D, w: Weights, bias: TfTensor | undefined): TfTensor {
    const [b, h, width] = x.shape;
    const y = this.tf.conv2dTranspose(x, w.tensor, [b, 2 * h, 2 * width, w.tensor.shape[2]], 2, 'same');
    return bias ? this.tf.add(y, bias) : y;
  }

  transposedConv2dInputGrad(dy: TfTensor4D, w: Weights): TfTensor {
    return this.tf.conv2d(dy, w.tensor, 2, 'same');
  }

  /** The image of the convolution that is transposed here is dy. */
  transposedConv2dFilterGrad(x: TfTensor4D, dy: TfTensor4D): TfTensor {
    return this.#filterGrad(dy, x, { strides: 2, pad: 'same', side: 4 });
  }

  #filterGrad(
    x: TfTensor4D,
    dy: TfTensor4D,
    { strides, pad, side }: { readonly strides: number; readonly pad: string; readonly side: number },
  ): TfTensor {
    const filterShape = [side, side, x.shape[3], dy.shape[3]];
    const attrs = { strides, pad, dataFormat: 'NHWC', filterShape };
    return this.tf.engine().runKernel(this.tf.Conv2DBackpropFilter, { x, dy }, attrs) as TfTensor;
  }

  upConv2d(x: TfTensor4D, w: Weights, bias: TfTensor | undefined, relu: boolean): TfTensor {
    return this.conv2d(this.doubled(x) as TfTensor4D, w, bias, relu, 1);
  }

  upConv2dInputGrad(dy: TfTensor4D, w: Weights): TfTensor {
    return this.blockSum(this.conv2dInputGrad(dy, w, 1) as TfTensor4D);
  }

  upConv2dFilterGrad(x: TfTensor4D, dy: TfTensor4D): TfTensor {
    return this.conv2dFilterGrad(this.doubled(x) as TfTensor4D, dy, 3, 1);
  }

  maxPool2(x: TfTensor4D): TfTensor {
    return this.tf.maxPool(x, 2, 2, 'valid');
  }

  /** Not the engine's own gradient, which gives all to one of several tied maxima. */
  maxPool2Grad(x: TfTensor4D, y: TfTensor4D, dy: TfTensor4D): TfTensor {
    const { tf } = this;
    const mask = tf.cast(tf.equal(x, this.doubled(y)), 'float32') as TfTensor4D;
    return tf.mul(mask, this.doubled(tf.div(dy, this.blockSum(mask)) as TfTensor4D));
  }

  doubled(x: TfTensor4D): TfTensor {
    return this.tf.image.resizeNearestNeighbor(x, [2 * x.shape[1], 2 * x.shape[2]]);
  }

  blockSum(x: TfTensor4D): TfTensor {
    return this.tf.mul(this.tf.avgPool(x, 2, 2, 'valid'), 4);
  }

  matmul(a: TfTensor, b: TfTensor): TfTensor {
    const { tf } = this;
    const [m, k] = a.shape.slice(-2);
    const n = b.shape[b.shape.length - 1];
    const [leadA, leadB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
    const lead = broadcastShape(leadA, leadB)!;
    if (b.size === k * n) {
      const rows = tf.matMul(tf.reshape(a, [-1, k]) as TfTensor2D, tf.reshape(b, [k, n]) as TfTensor2D);
      return tf.reshape(rows, [...lead, m, n]);
    }
    // Engines differ in what they broadcast, and in how many axes they take: both operands get one leading axis.
    const flat = (x: TfTensor, rows: number, columns: number) =>
      tf.reshape(tf.broadcastTo(x, [...lead, rows, columns]), [-1, rows, columns]);
    return tf.reshape(tf.matMul(flat(a, m, k), flat(b, k, n)), [...lead, m, n]);
  }

  transpose(x: TfTensor, permutation: readonly number[]): TfTensor {
    const joined = joinedTransposition(x.shape, permutation);
    const shape = permutation.map((axis) => x.shape[axis]);
    return this.tf.reshape(this.tf.transpose(this.tf.reshape(x, joined.shape), joined.permutation), shape);
  }

  slice(x: TfTensor, start: readonly number[], size: readonly number[]): TfTensor {
    return this.tf.slice(x, [...start], [...size]);
  }

  reduce(kind: Reduction, x: TfTensor, axes: readonly number[], keepDims: boolean): TfTensor {
    return this.tf[kind](x, [...axes], keepDims);
  }

  point(name: PointFunction, x: TfTensor): TfTensor {
    return this.tf[name](x);
  }

  reluGrad(dy: TfTensor, y: TfTensor): TfTensor {
    return this.tf.mul(dy, this.tf.step(y));
  }

  gelu(x: TfTensor): TfTensor {
    return this.tf.mul(x, this.#phi(x));
  }

  geluGrad(dy: TfTensor, x: TfTensor): TfTensor {
    const { tf } = this;
    const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return tf.mul(dy, tf.add(this.#phi(x), tf.mul(x, density)));
  }

  #phi(x: TfTensor): TfTensor {
    const { tf } = this;
    return tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
  }
}

/**
 * Lowerings of convolutions, pooling and upsampling: for each the fastest of several formulations measured on
 * onnxruntime's CPU engine, which has no kernels for the gradients themselves.
 */

import type { ImageOp } from '../../graph/node.js';
import { boxKernel, filterGradient, kernelGradient, turned, upFilterGradient } from './kernels.js';
import type { LoweringTable } from './lowering.js';
import { type Emitter, ONNX_FLOAT } from './model.js';

const same = (kernel: number) => {
  const p = (kernel - 1) / 2;
  return { kernel_shape: [kernel, kernel], pads: [p, p, p, p] };
};
/** Every second pixel, with a frame of one. */
const stride2 = { kernel_shape: [4, 4], pads: [1, 1, 1, 1], strides: [2, 2] };
const blocks = { kernel_shape: [2, 2], strides: [2, 2] };

/**
 * With few input channels doubling the image is cheap, and the plain convolution beats the transposed one, whose cost is
 * in spreading many output channels.
 */
const fewChannels = ([co, ci]: readonly number[]) => 8 * ci <= co;

export const imageLowerings: LoweringTable<ImageOp> = {
  conv2d: ({ inputs }, x, { g }) => g.op('Conv', x, same(inputs[1].shape[2])),
  // The adjoint of a "same" convolution is one with the kernel turned by 180° and its channels swapped: twice as fast as ConvTranspose.
  conv2dInputGrad: ({ inputs }, [dy, w], { g }) => {
    const kernel = inputs[1].shape;
    return g.op('Conv', [dy, turned(g, w, kernel)], same(kernel[2]));
  },
  conv2dFilterGrad: filterGradient,
  upConv2d: ({ inputs }, [x, w, ...bias], { g }) =>
    fewChannels(inputs[1].shape)
      ? g.op('Conv', [doubled(g, x), w, ...bias], same(3))
      : g.op('ConvTranspose', [x, boxKernel(g, w, inputs[1].shape), ...bias], stride2),
  upConv2dInputGrad: ({ inputs }, [dy, w], { g }) => {
    const kernel = inputs[1].shape;
    return fewChannels(kernel)
      ? blockSum(g, g.op('Conv', [dy, turned(g, w, kernel)], same(3)))
      : g.op('Conv', [dy, boxKernel(g, w, kernel)], stride2);
  },
  upConv2dFilterGrad: (node, [x, dy], ctx) => {
    if (!fewChannels(node.shape)) return upFilterGradient(node, [x, dy], ctx);
    const [n, ci, h, w] = ctx.batch.dims(node.inputs[0]);
    return kernelGradient(doubled(ctx.g, x), dy, { g: ctx.g, n, ci, co: node.shape[0], h: 2 * h, w: 2 * w, k: 3 });
  },
  maxPool2: (_, [x], { g }) => g.op('MaxPool', [x], blocks),
  maxPool2Grad: (_, [x, y, dy], { g }) => {
    const mask = g.op('Cast', [g.op('Equal', [x, doubled(g, y)])], { to: ONNX_FLOAT });
    const ties = blockSum(g, mask);
    return g.op('Mul', [mask, doubled(g, g.op('Div', [dy, ties]))]);
  },
  upsampleNearest2: (_, [x], { g }) => doubled(g, x),
  upsampleNearest2Grad: (_, [dy], { g }) => blockSum(g, dy),
};

/** Every pixel as a 2×2 block; Resize is ten times faster than Expand here. */
function doubled(g: Emitter, x: string): string {
  const scales = g.floats(Float32Array.of(1, 1, 2, 2), [4]);
  return g.op('Resize', [x, '', scales], {
    mode: 'nearest',
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  });
}

/** The sum of every 2×2 block. */
function blockSum(g: Emitter, x: string): string {
  return g.op('Mul', [g.op('AveragePool', [x], blocks), g.float(4)]);
}

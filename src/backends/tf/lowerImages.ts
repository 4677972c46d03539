/** Convolutions, pooling and doubling: channels last, by the engine's kernels. */
import type { ImageOp } from '../../graph/node.js';
import type { Weights } from './kernels/kernels.js';
import { CHANNELS_LAST, KERNEL_LAST } from './layout.js';
import type { LoweringTable } from './lower.js';
import type { TfTensor4D } from './tfjs.js';
import { Value } from './value.js';

const image = (x: Value) => x.get(CHANNELS_LAST) as TfTensor4D;
const weights = (w: Value): Weights => ({
  tensor: w.get(KERNEL_LAST) as TfTensor4D,
  derived: (key, make) => w.derived(key, make),
});

export const imageLowerings: LoweringTable<ImageOp> = {
  conv2d: ({ node, relu }, [x, w, bias], kernels) =>
    new Value(kernels, node.shape, kernels.conv2d(image(x), weights(w), bias?.get(), relu), CHANNELS_LAST),
  conv2dInputGrad: ({ node }, [dy, w], kernels) =>
    new Value(kernels, node.shape, kernels.conv2dInputGrad(image(dy), weights(w)), CHANNELS_LAST),
  conv2dFilterGrad: ({ node }, [x, dy], kernels) =>
    new Value(kernels, node.shape, kernels.conv2dFilterGrad(image(x), image(dy), node.attrs.kernel), KERNEL_LAST),
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

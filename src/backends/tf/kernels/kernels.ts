/**
 * What an engine must be able to do beyond the element-by-element ops, which are the same everywhere. Images are
 * [B, H, W, C], kernels [k, k, in, out]. What an engine lacks, or does wrongly or slowly, is
 * replaced in `host.ts`.
 *
 * Results are fresh tensors; intermediate ones are freed by the caller's `tf.tidy`.
 */

/** The types of TensorFlow.js that this room uses; the packages are only loaded by `engines.ts`. */
export type Tf = typeof import('@tensorflow/tfjs-core');
export type TfTensor = import('@tensorflow/tfjs-core').Tensor;
export type TfTensor2D = import('@tensorflow/tfjs-core').Tensor2D;
export type TfTensor4D = import('@tensorflow/tfjs-core').Tensor4D;

/** Functions of one number that some engine gets wrong. */
export type PointFunction = 'sign' | 'log1p' | 'sin' | 'cos';

export type Reduction = 'sum' | 'mean' | 'max';

/** A convolution's kernel [k, k, in, out], with what an engine has already made of it. */
export interface Weights {
  readonly tensor: TfTensor4D;
  /** What `make` makes of the kernel, made once for as long as the kernel lives. */
  derived(key: string, make: () => TfTensor): TfTensor;
}

export interface Kernels {
  readonly tf: Tf;

  /** Stride 1, zero padding (k − 1)/2 or none, then max(0, ·) if `relu`. */
  conv2d(x: TfTensor4D, w: Weights, bias: TfTensor | undefined, relu: boolean, padding: number): TfTensor;
  conv2dInputGrad(dy: TfTensor4D, w: Weights, padding: number): TfTensor;
  conv2dFilterGrad(x: TfTensor4D, dy: TfTensor4D, kernel: number, padding: number): TfTensor;

  /** The transposed convolution of stride 2 whose kernel is [4, 4, out, in], cut by one pixel on every side. */
  transposedConv2d(x: TfTensor4D, w: Weights, bias: TfTensor | undefined): TfTensor;
  transposedConv2dInputGrad(dy: TfTensor4D, w: Weights): TfTensor;
  transposedConv2dFilterGrad(x: TfTensor4D, dy: TfTensor4D): TfTensor;

  /** A 3×3 convolution of the image with every pixel doubled. */
  upConv2d(x: TfTensor4D, w: Weights, bias: TfTensor | undefined, relu: boolean): TfTensor;
  upConv2dInputGrad(dy: TfTensor4D, w: Weights): TfTensor;
  upConv2dFilterGrad(x: TfTensor4D, dy: TfTensor4D): TfTensor;

  maxPool2(x: TfTensor4D): TfTensor;
  /** The gradient of a block is divided evenly among its tied maxima. */
  maxPool2Grad(x: TfTensor4D, y: TfTensor4D, dy: TfTensor4D): TfTensor;
  /** Every pixel as a 2×2 block. */
  doubled(x: TfTensor4D): TfTensor;
  /** The sum of every 2×2 block. */
  blockSum(x: TfTensor4D): TfTensor;

  /** (…, m, k) × (…, k, n), the leading axes broadcast. */
  matmul(a: TfTensor, b: TfTensor): TfTensor;
  transpose(x: TfTensor, permutation: readonly number[]): TfTensor;
  slice(x: TfTensor, start: readonly number[], size: readonly number[]): TfTensor;
  /** Over some axes, ascending, at least one. */
  reduce(kind: Reduction, x: TfTensor, axes: readonly number[], keepDims: boolean): TfTensor;
  /** Element by element, right for every number of float32. */
  point(name: PointFunction, x: TfTensor): TfTensor;
  /** dy where y > 0, else 0; both of one shape. */
  reluGrad(dy: TfTensor, y: TfTensor): TfTensor;
  /** x·Φ(x). */
  gelu(x: TfTensor): TfTensor;
  /** dy·(Φ(x) + x·Φ′(x)); both of one shape. */
  geluGrad(dy: TfTensor, x: TfTensor): TfTensor;
}

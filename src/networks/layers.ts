/**
 * Layers of the spectral and residual networks, as their published PyTorch implementations define and initialise them.
 * Images are [B, C, H, W].
 */
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { cartesianOutput, type GeneratorOutput, type NetworkShape, paintedPatches, polarOutput } from './generator.js';
import type { SpectralConfig } from './spectralFields.js';

interface ConvOptions {
  readonly kernel: 1 | 3;
  /** Without a bias. */
  readonly bare?: boolean;
  /** What lies outside the image; zeros when left out. */
  readonly outside?: 'mirror' | 'zeros';
}

/** Kernel and bias as PyTorch begins with them: even in ±1/√fan. */
function kernelAndBias(scope: ParameterScope, name: string, shape: readonly number[], fan: number, outputs: number) {
  const init = { limit: 1 / Math.sqrt(fan) };
  return [scope.parameter(`${name}.weight`, shape, init), scope.parameter(`${name}.bias`, [outputs], init)] as const;
}

/** A convolution of stride 1 that keeps the size, to `cout` channels. */
export function conv(
  x: GraphNode,
  name: string,
  cout: number,
  { kernel: k, outside = 'zeros', bare = false }: ConvOptions,
  scope: ParameterScope,
): GraphNode {
  const cin = x.shape[1];
  const fan = cin * k * k;
  const [w, b] = bare
    ? [scope.parameter(`${name}.weight`, [cout, cin, k, k], { limit: 1 / Math.sqrt(fan) })]
    : kernelAndBias(scope, name, [cout, cin, k, k], fan, cout);
  const mirrored = outside === 'mirror' && k > 1;
  return op.conv2d(mirrored ? op.reflectPad(x, (k - 1) / 2) : x, w, b, name, mirrored ? 'none' : 'same');
}

/**
 * A k×k convolution of every channel with a kernel of its own, the image mirrored about its edges. Each row of a kernel is a banded matrix
 * that takes a row of the image to what it adds to a row of the result: all of it is one product, on every engine.
 */
export function depthwiseConv(x: GraphNode, name: string, k: number, scope: ParameterScope): GraphNode {
  const [b, channels, h, w] = x.shape;
  const [kernel, bias] = kernelAndBias(scope, name, [channels, 1, k, k], k * k, channels);
  const wide = w + k - 1;
  // [k, wide·w]: tap j of a kernel's row stands where pixel n of the result meets pixel n + j of the mirrored row.
  const bands = new Float32Array(k * wide * w);
  for (let j = 0; j < k; j++) for (let n = 0; n < w; n++) bands[(j * wide + n + j) * w + n] = 1;
  const taps = op.matmul(op.reshape(kernel, [channels * k, k]), op.constant(bands, [k, wide * w], 'bands'));
  const mirrored = op.reflectPad(x, (k - 1) / 2);
  const rows = Array.from({ length: k }, (_, i) => op.sliceAxis(mirrored, 2, i, h));
  const folded = op.reshape(op.transpose(op.concat(rows, 3), [1, 0, 2, 3]), [channels, b * h, k * wide]);
  const sums = op.matmul(folded, op.reshape(taps, [channels, k * wide, w]));
  const images = op.transpose(op.reshape(sums, [channels, b, h, w]), [1, 0, 2, 3]);
  return op.add(images, op.reshape(bias, [1, channels, 1, 1]), name);
}

/** A transposed 2×2 convolution of stride 2: every pixel becomes a block. */
export function blockConv(x: GraphNode, name: string, cout: number, scope: ParameterScope): GraphNode {
  const [b, cin, h, w] = x.shape;
  const [kernel, bias] = kernelAndBias(scope, name, [cin, cout, 2, 2], 4 * cout, cout);
  const points = op.reshape(op.transposeLast(op.reshape(kernel, [cin, 4 * cout])), [4 * cout, cin, 1, 1]);
  const deep = op.reshape(op.conv2d(x, points, undefined, name), [b, cout, 2, 2, h, w]);
  const image = op.reshape(op.transpose(deep, [0, 1, 4, 2, 5, 3]), [b, cout, 2 * h, 2 * w]);
  return op.add(image, op.reshape(bias, [1, cout, 1, 1]));
}

/** The image at twice the size by linear interpolation between the middles of pixels; beyond the edge the outermost pixel is repeated. */
export function linearlyDoubled(x: GraphNode): GraphNode {
  const [, , h, w] = x.shape;
  return op.matmul(op.matmul(doublingMatrix(h), x), op.transposeLast(doublingMatrix(w)));
}

/** [2n, n]: pixel 2i lies a quarter of a pixel before pixel i, pixel 2i + 1 as far behind it. */
function doublingMatrix(n: number): GraphNode {
  const data = new Float32Array(2 * n * n);
  for (let i = 0; i < 2 * n; i++) {
    const own = i >> 1;
    const other = Math.min(n - 1, Math.max(0, own + (i % 2 === 0 ? -1 : 1)));
    data[i * n + own] += 0.75;
    data[i * n + other] += 0.25;
  }
  return op.constant(data, [2 * n, n], 'linear');
}

/** A 2×2 convolution of stride 2: halves the sides, which must be even. */
export function halvingConv(x: GraphNode, name: string, cout: number, scope: ParameterScope): GraphNode {
  const [b, cin, h, w] = x.shape;
  const [kernel, bias] = kernelAndBias(scope, name, [cout, cin, 2, 2], 4 * cin, cout);
  // Every block of 2×2 pixels becomes one of 4·Ci channels, in the order of the kernel: the rest is a product per pixel. As a move of rows
  // and a transposition of matrices it takes less than half the time of one transposition of six axes.
  const rows = op.transpose(op.reshape(x, [b * cin, h / 2, 2, w]), [0, 2, 1, 3]);
  const columns = op.transposeLast(op.reshape(rows, [2 * b * cin, (h * w) / 4, 2]));
  const deep = op.reshape(columns, [b, 4 * cin, h / 2, w / 2]);
  return op.conv2d(deep, op.reshape(kernel, [cout, 4 * cin, 1, 1]), bias, name);
}

/** A transposed 4×4 convolution of stride 2: doubles the sides. */
export function doublingConv(x: GraphNode, name: string, cout: number, scope: ParameterScope): GraphNode {
  const cin = x.shape[1];
  // PyTorch takes the fan from the second axis of the kernel, which is that of the outputs here.
  const [w, b] = kernelAndBias(scope, name, [cin, cout, 4, 4], 16 * cout, cout);
  return op.transposedConv2d(x, w, b, name);
}

/** The mean of every 2×2 pixels. */
export function averagePool2(x: GraphNode): GraphNode {
  return op.mul(op.upsampleNearest2Grad(x), 0.25);
}

/**
 * Every second pixel of the image blurred by [1 2 1]²/16, which is mirrored at its edges.
 * Source: Zhang, "Making convolutional networks shift-invariant again", ICML 2019.
 */
export function blurPool2(x: GraphNode): GraphNode {
  const [, , h, w] = x.shape;
  return op.matmul(op.matmul(blurMatrix(h), x), op.transposeLast(blurMatrix(w)));
}

/** [n/2, n]: row i weighs pixels 2i − 1, 2i, 2i + 1 by ¼, ½, ¼; pixel −1 is pixel 1. */
function blurMatrix(n: number): GraphNode {
  const data = new Float32Array((n / 2) * n);
  for (let i = 0; i < n / 2; i++) {
    for (const [offset, weight] of [
      [-1, 0.25],
      [0, 0.5],
      [1, 0.25],
    ]) {
      data[i * n + Math.abs(2 * i + offset)] += weight;
    }
  }
  return op.constant(data, [n / 2, n], 'blur');
}

/**
 * The image [B, C, H, W] at another size by cubic interpolation whose outermost pixels stay the outermost.
 * Source: Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29 (1981), with a = −0.75.
 */
export function cubicResized(x: GraphNode, [height, width]: readonly [number, number]): GraphNode {
  const [, , h, w] = x.shape;
  const tall = height === h ? x : op.matmul(cubicMatrix(h, height), x);
  return width === w ? tall : op.matmul(tall, op.transposeLast(cubicMatrix(w, width)));
}

/** [to, from]: each row holds the weights of four neighbours; beyond the edge the outermost pixel is repeated. */
function cubicMatrix(from: number, to: number): GraphNode {
  const a = -0.75;
  const near = (t: number) => ((a + 2) * t - (a + 3)) * t * t + 1;
  const far = (t: number) => ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  const data = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const at = (i * (from - 1)) / (to - 1);
    const first = Math.floor(at);
    const t = at - first;
    [far(1 + t), near(t), near(1 - t), far(2 - t)].forEach((weight, k) => {
      data[i * from + Math.min(from - 1, Math.max(0, first - 1 + k))] += weight;
    });
  }
  return op.constant(data, [to, from], 'cubic');
}

/** (x − mean)/√(variance + ε) of every channel of every image, times `scale`: what is one number for an image is put together first. */
function normalised(x: GraphNode, epsilon: number, scale: GraphNode | number = 1): GraphNode {
  const centred = op.sub(x, op.reduceMean(x, [2, 3], true));
  const variance = op.reduceMean(op.square(centred), [2, 3], true);
  return op.mul(centred, op.div(scale, op.sqrt(op.add(variance, epsilon))));
}

/** Instance normalisation with a scale and a shift for every channel; nothing is kept from batch to batch. */
export function instanceNorm(x: GraphNode, name: string, scope: ParameterScope): GraphNode {
  const channels = x.shape[1];
  const perChannel = (part: string, init: number) =>
    op.reshape(scope.parameter(`${name}.${part}`, [channels], init), [1, channels, 1, 1]);
  return op.add(normalised(x, 1e-5, perChannel('scale', 1)), perChannel('shift', 0));
}

/** A factor that is learned. */
export function gate(name: string, init: number, scope: ParameterScope): GraphNode {
  return scope.parameter(name, [], init);
}

const inputTransforms: Readonly<Record<SpectralConfig['fno_input_transform'], (x: GraphNode) => GraphNode>> = {
  none: (x) => x,
  // The root has no finite slope at 0, and nothing that is trained lies before it.
  sqrt: (x) => op.sqrt(op.maximum(x, 0)),
  log1p: (x) => op.log1p(op.maximum(x, 0)),
  instancenorm: (x) => normalised(x, 1e-6),
};

/** The input as `fno_input_transform` says. */
export function transformedInput(config: Pick<SpectralConfig, 'fno_input_transform'>, x: GraphNode): GraphNode {
  return inputTransforms[config.fno_input_transform](x);
}

/** The input transformed and lifted to `fno_width` channels by two convolutions. */
export function lifted(
  config: Pick<SpectralConfig, 'fno_input_transform' | 'fno_width'>,
  x: GraphNode,
  scope: ParameterScope,
): GraphNode {
  const first = op.gelu(conv(transformedInput(config, x), 'lifter.conv1', config.fno_width, { kernel: 3 }, scope));
  return conv(first, 'lifter.conv2', config.fno_width, { kernel: 3 }, scope);
}

/**
 * A fresh head paints the constant object of the measured energy, nearly: its weights begin at a tenth of PyTorch's, its biases at what
 * paints that object. From where the published heads begin, at noise of the same order as the object, a network first has to find back: 0.21
 * instead of 0.18 amplitude MAE after 400 steps on the grid lines, and no phase.
 */
function headConv(features: GraphNode, name: string, biases: readonly number[], scope: ParameterScope): GraphNode {
  const cin = features.shape[1];
  const w = scope.parameter(`${name}.weight`, [biases.length, cin, 1, 1], { limit: 0.1 / Math.sqrt(cin) });
  return op.conv2d(features, w, scope.parameter(`${name}.bias`, [biases.length], Float32Array.from(biases)), name);
}

const UNBOUNDED = { low: Number.NEGATIVE_INFINITY, high: null };

/** The patches that a 1×1 convolution paints from features of full size, by `generator_output_mode`. */
export function paintedByPoints(
  config: Pick<SpectralConfig, 'generator_output_mode'> & NetworkShape,
  features: GraphNode,
  scope: ParameterScope,
  taps: Readonly<Record<string, GraphNode>> = {},
): GeneratorOutput {
  const patches = paintedPatches(config);
  const zeros = new Array<number>(patches).fill(0);
  const polar = (amplitude: GraphNode, phase: GraphNode) =>
    polarOutput(op.sigmoid(amplitude), op.mul(op.tanh(phase), Math.PI), { low: 0, high: 1 }, taps);
  const { generator_output_mode: mode } = config;
  if (mode === 'amp_phase') {
    return polar(headConv(features, 'amplitude', zeros, scope), headConv(features, 'phase', zeros, scope));
  }
  const first = mode === 'real_imag' ? zeros.map(() => 1) : zeros;
  const both = headConv(features, 'head', [...first, ...zeros], scope);
  const half = (i: number) => op.sliceAxis(both, 1, i * patches, patches);
  if (mode === 'amp_phase_logits') return polar(half(0), half(1));
  return cartesianOutput(half(0), half(1), UNBOUNDED, taps);
}

/** What networks with such a head have in common besides their layers. */
export const spectralTraits = {
  // sigmoid(0) = ½; a head without bounds paints an object of amplitude 1.
  gaugeFactor: ({ generator_output_mode }: Pick<SpectralConfig, 'generator_output_mode'>) =>
    generator_output_mode === 'real_imag' ? 1 : 2,
  paintsParts: ({ generator_output_mode }: Pick<SpectralConfig, 'generator_output_mode'>) =>
    generator_output_mode === 'real_imag',
};

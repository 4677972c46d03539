/**
 * Lowerings of convolutions, pooling and upsampling: for each the fastest of several formulations measured on
 * onnxruntime's CPU engine, which has no kernels for the gradients themselves.
 *
 * Kernels are rearranged for them: turning and summing the few entries of a kernel is linear, and a matrix product does it several times
 * faster than slices do. Which formulation of a kernel's gradient is the fastest depends on the shapes: a convolution with batch and
 * channels swapped, the textbook form, is three to seven times slower than these. What costs, beside the products, is copying shifted
 * images (by kernels that use one thread), so copies are few.
 */
import type { GraphNode, ImageOp } from '../../graph/node.js';
import type { LowerContext, LoweringTable } from './lowering.js';
import { type Emitter, ONNX_FLOAT } from './model.js';

const framed = (kernel: number, p: number) => ({ kernel_shape: [kernel, kernel], pads: [p, p, p, p] });
const same = (kernel: number) => framed(kernel, (kernel - 1) / 2);
/** Every second pixel, with a frame of one. */
const stride2 = { kernel_shape: [4, 4], pads: [1, 1, 1, 1], strides: [2, 2] };
const blocks = { kernel_shape: [2, 2], strides: [2, 2] };

/**
 * With few input channels doubling the image is cheap, and the plain convolution beats the transposed one, whose cost is
 * in spreading many output channels.
 */
export const fewChannels = ([co, ci]: readonly number[]) => 8 * ci <= co;

export const imageLowerings: LoweringTable<ImageOp> = {
  conv2d: ({ inputs, attrs }, [x, ...kernel], { g, asTaken }) =>
    g.op('Conv', [x, ...kernel.map(asTaken)], framed(inputs[1].shape[2], attrs.padding)),
  // The adjoint of a convolution is one with the kernel turned by 180° and its channels swapped: twice as fast as ConvTranspose.
  conv2dInputGrad: ({ inputs, attrs }, [dy, w], { g }) => {
    const kernel = inputs[1].shape;
    return g.op('Conv', [dy, turned(g, w, kernel)], framed(kernel[2], kernel[2] - 1 - attrs.padding));
  },
  conv2dFilterGrad: filterGradient,
  transposedConv2d: (_, [x, ...kernel], { g, asTaken }) => g.op('ConvTranspose', [x, ...kernel.map(asTaken)], stride2),
  transposedConv2dInputGrad: (_, [dy, w], { g }) => g.op('Conv', [dy, w], stride2),
  transposedConv2dFilterGrad: transposedFilterGradient,
  upConv2d: ({ inputs }, [x, w, ...bias], { g, asTaken }) =>
    fewChannels(inputs[1].shape)
      ? g.op('Conv', [doubled(g, x), ...[w, ...bias].map(asTaken)], same(3))
      : g.op('ConvTranspose', [x, ...[boxKernel(g, w, inputs[1].shape), ...bias].map(asTaken)], stride2),
  upConv2dInputGrad: ({ inputs }, [dy, w], { g }) => {
    const kernel = inputs[1].shape;
    return fewChannels(kernel)
      ? blockSum(g, g.op('Conv', [dy, turned(g, w, kernel)], same(3)))
      : g.op('Conv', [dy, boxKernel(g, w, kernel)], stride2);
  },
  upConv2dFilterGrad: (node, [x, dy], ctx) => {
    if (!fewChannels(node.shape)) return upFilterGradient(node, [x, dy], ctx);
    const [n, ci, h, w] = ctx.batch.dims(node.inputs[0]);
    return kernelGradient(doubled(ctx.g, x), dy, {
      g: ctx.g,
      n,
      ci,
      co: node.shape[0],
      h: 2 * h,
      w: 2 * w,
      k: 3,
      p: 1,
    });
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
export function doubled(g: Emitter, x: string): string {
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

/** w [Co,Ci,k,k] turned by 180°, channels swapped: [Ci,Co,k,k]. */
export function turned(g: Emitter, w: string, [co, ci, k]: readonly number[]): string {
  if (k === 1) return g.transpose(w, [1, 0, 2, 3]);
  const n = k * k;
  const reversal = linear(n, n, (put) => {
    for (let q = 0; q < n; q++) put(q, n - 1 - q);
  });
  return swapped(g, w, [co, ci, n], reversal, [ci, co, k, k]);
}

/**
 * Doubling pixels and then convolving with w [Co,Ci,3,3] is one transposed convolution of stride 2 with this kernel
 * [Ci,Co,4,4]: w turned and summed over 2×2 boxes. Exact, and a quarter of the multiplications.
 */
export function boxKernel(g: Emitter, w: string, [co, ci]: readonly number[]): string {
  return swapped(g, w, [co, ci, 9], boxSums, [ci, co, 4, 4]);
}

/** A linear map of a kernel's entries: row-major [from, to]. */
interface LinearMap {
  readonly data: Float32Array;
  readonly shape: readonly [from: number, to: number];
}

function linear(from: number, to: number, fill: (put: (from: number, to: number) => void) => void): LinearMap {
  const data = new Float32Array(from * to);
  fill((i, j) => {
    data[i * to + j] += 1;
  });
  return { data, shape: [from, to] };
}

/** Entry (i, j) of the 3×3 kernel adds to the 2×2 box of the turned 4×4 kernel that ends at (3−i, 3−j). */
const boxSums = linear(9, 16, (put) => {
  for (let i = 0; i < 3; i++)
    for (let j = 0; j < 3; j++)
      for (let a = 2 - i; a <= 3 - i; a++) for (let b = 2 - j; b <= 3 - j; b++) put(3 * i + j, 4 * a + b);
});

/**
 * The adjoint of {@link boxKernel}'s sums, [9, 16], for 4×4 kernels whose entries are in the order (half of the row,
 * half of the column, row in the half, column in the half), which is how blocks of 2×2 pixels come.
 */
const boxSumsAdjoint: LinearMap = (() => {
  const data = new Float32Array(9 * 16);
  for (let q = 0; q < 9; q++)
    for (let p = 0; p < 16; p++) {
      const [a, c, r, s] = [p >> 3, (p >> 2) & 1, (p >> 1) & 1, p & 1];
      data[q * 16 + p] = boxSums.data[q * 16 + 4 * (2 * a + r) + 2 * c + s];
    }
  return { data, shape: [9, 16] };
})();

function swapped(
  g: Emitter,
  w: string,
  [co, ci, n]: readonly number[],
  map: LinearMap,
  shape: readonly number[],
): string {
  const rows = g.reshape(g.transpose(g.reshape(w, [co, ci, n]), [1, 0, 2]), [ci * co, n]);
  return g.reshape(g.op('MatMul', [rows, g.floats(map.data, map.shape)]), shape);
}

/** Names and sizes of one gradient; h and w are those of the image; `n` is −1 where the batch size is free. */
interface Sizes {
  readonly g: Emitter;
  readonly n: number;
  readonly ci: number;
  readonly co: number;
  readonly h: number;
  readonly w: number;
  readonly k: number;
  /** Zeros around the image. */
  readonly p: number;
}

/** dw[co,ci,i,j] = Σ x[n, ci, u+i−p, v+j−p] · dy[n, co, u, v]. */
function filterGradient(node: GraphNode<'conv2dFilterGrad'>, [x, dy]: readonly string[], ctx: LowerContext): string {
  const [n, ci, h, w] = ctx.batch.dims(node.inputs[0]);
  const { kernel: k, padding: p } = node.attrs;
  return kernelGradient(x, dy, { g: ctx.g, n, ci, co: node.shape[0], h, w, k, p });
}

/** {@link filterGradient} from names and sizes. */
function kernelGradient(x: string, dy: string, s: Sizes): string {
  const { n, ci, co, k } = s;
  if (k === 1) return pointwise(x, dy, s);
  if (8 * ci <= co) return shiftedImage(x, dy, s);
  if (8 * co <= ci) return shiftedGradient(x, dy, s);
  const { h, w } = resultSides(s);
  return n === -1 || (k === 3 && h * w <= 256) ? shiftedProducts(x, dy, s) : splitShifts(x, framedGradient(dy, s), s);
}

/** Sides of the convolution's result. */
function resultSides({ h, w, k, p }: Sizes): { readonly h: number; readonly w: number } {
  const less = k - 1 - 2 * p;
  return { h: h - less, w: w - less };
}

/** The gradient in zeros, as large as the image: a convolution without padding is the middle of one with it. */
function framedGradient(dy: string, { g, k, p }: Sizes): string {
  const q = (k - 1) / 2 - p;
  return g.pad(dy, [0, 0, q, q], [0, 0, q, q]);
}

/** A 1×1 kernel: one product per image. */
function pointwise(x: string, dy: string, s: Sizes): string {
  return s.g.reshape(productSum(flat(dy, s.co, s), flat(x, s.ci, s), s.g), [s.co, s.ci, 1, 1]);
}

/** All k² shifts of the image, for few input channels. */
function shiftedImage(x: string, dy: string, s: Sizes): string {
  const result = resultSides(s);
  const columns = windows(x, s.ci, offsets(s.k), s.p, { ...s, ...result });
  const dw = productSum(flat(dy, s.co, { ...s, ...result }), columns, s.g); // [Co, k·k·Ci]
  return s.g.transpose(s.g.reshape(dw, [s.co, s.k, s.k, s.ci]), [0, 3, 1, 2]);
}

/** All k² shifts of the gradient, the other way round, for few output channels. */
function shiftedGradient(x: string, dy: string, s: Sizes): string {
  const columns = windows(dy, s.co, offsets(s.k).reverse(), s.k - 1 - s.p, s);
  const dw = productSum(flat(x, s.ci, s), columns, s.g); // [Ci, k·k·Co]
  return s.g.transpose(s.g.reshape(dw, [s.ci, s.k, s.k, s.co]), [3, 0, 1, 2]);
}

/** One product over batch and pixels for each of the k² shifts: the fastest for small images. */
function shiftedProducts(x: string, dy: string, s: Sizes): string {
  const { g, k, p } = s;
  const { h, w } = resultSides(s);
  const pixels = s.n === -1 ? -1 : s.n * h * w;
  const image = g.pad(channelsFirst(g, x), [0, 0, p, p], [0, 0, p, p]);
  const gradient = g.reshape(channelsFirst(g, dy), [s.co, pixels]);
  const parts = offsets(k).map(([i, j]) => {
    const shifted = g.reshape(g.slice(image, [2, 3], [i, j], [i + h, j + w]), [s.ci, pixels]);
    return g.reshape(g.op('Gemm', [gradient, shifted], { transB: 1 }), [s.co, s.ci, 1]);
  });
  return g.reshape(g.concat(parts, 2), [s.co, s.ci, k, k]);
}

/**
 * Column shifts on the image, row shifts on the gradient, one product for all k² pairs.
 *
 * Both are laid out as one line with p zeros after every row, so that every shift is a shift of the line; the shifted
 * lines, zeros between them, are one concatenation. Where the kernel is large beside the image, batch and pixels are one
 * line (with p rows of zeros after every image): no sum over products of single images then.
 */
function splitShifts(x: string, dy: string, s: Sizes): string {
  const { g, n, ci, co, h, k } = s;
  const p = (k - 1) / 2;
  const row = s.w + p;
  const oneLine = 4 * k * k * ci * co > (ci + co) * h * s.w;
  const length = oneLine ? n * (h + p) * row : h * row;
  const total = length + 2 * p * row;
  const lines = (v: string, channels: number, shifts: readonly number[]) => {
    const lead = oneLine ? [channels] : [n, channels];
    const framed = oneLine
      ? g.pad(channelsFirst(g, v), [0, 0, 0, 0], [0, 0, p, p])
      : g.pad(v, [0, 0, 0, 0], [0, 0, 0, p]);
    return shiftedLines(g, g.reshape(framed, [...lead, length]), lead, length, shifts, total);
  };
  const indices = Array.from({ length: k }, (_, i) => i);
  // With x shifted by a(j) and dy by b(i), a pixel of dy meets the pixel of x that lies b − a further: (i−p) rows, (j−p) columns.
  const images = lines(
    x,
    ci,
    indices.map((j) => p * row + p - j),
  );
  const gradients = lines(
    dy,
    co,
    indices.map((i) => i * row),
  );
  const dw = oneLine ? g.op('Gemm', [images, gradients], { transB: 1 }) : productSum(images, gradients, g);
  return g.transpose(g.reshape(dw, [ci, k, co, k]), [2, 0, 3, 1]); // [Ci, j, Co, i] → [Co, Ci, i, j]
}

/** Each line of v (lead…, length) once per shift, moved to the right by it, in zeros: (lead…·shifts, total). */
function shiftedLines(
  g: Emitter,
  v: string,
  lead: readonly number[],
  length: number,
  shifts: readonly number[],
  total: number,
): string {
  const parts: string[] = [];
  let gap = 0;
  const zeros = () => {
    if (gap > 0) parts.push(g.op('ConstantOfShape', [g.ints([...lead, gap])]));
  };
  for (const shift of shifts) {
    gap += shift;
    zeros();
    parts.push(v);
    gap = total - length - shift;
  }
  zeros();
  const channels = lead[lead.length - 1] * shifts.length;
  return g.reshape(g.concat(parts, lead.length), [...lead.slice(0, -1), channels, total]);
}

/** dw[ci,co,a,b] = Σ x[n, ci, u, v] · dy[n, co, 2u+a−1, 2v+b−1], from blocks of 2×2 pixels of dy. */
function transposedFilterGradient(
  node: GraphNode<'transposedConv2dFilterGrad'>,
  [x, dy]: readonly string[],
  ctx: LowerContext,
): string {
  const { g } = ctx;
  const [ci, co] = node.shape;
  const dw = blockProducts(x, dy, ctx.batch.dims(node.inputs[0]), co, ctx); // [half of row, half of column, row, column, Co, Ci]
  return g.reshape(g.transpose(g.reshape(dw, [2, 2, 2, 2, co, ci]), [5, 4, 0, 2, 1, 3]), [ci, co, 4, 4]);
}

/** Of a 4×4 kernel of stride 2: products over batch and pixels, [16·Co, Ci], the entries of the kernel as blocks of 2×2 pixels come. */
function blockProducts(x: string, dy: string, [n, ci, h, w]: readonly number[], co: number, ctx: LowerContext): string {
  const { g } = ctx;
  // The frame puts each 4×4 window of stride 2 on 2×2 whole blocks: [n, 4·Co, h+1, w+1], channels (row in block, column in block, Co).
  const deep = blocksAsChannels(g.pad(dy, [0, 0, 1, 1], [0, 0, 1, 1]), [n, co, 2 * h + 2, 2 * w + 2], ctx);
  const pixels = n === -1 ? -1 : n * h * w;
  const line = channelsFirst(g, deep);
  const image = g.reshape(channelsFirst(g, x), [ci, pixels]);
  const parts = offsets(2).map((at) =>
    g.op('Gemm', [g.reshape(quarterOf(g, line, at, h, w), [4 * co, pixels]), image], { transB: 1 }),
  );
  return g.concat(parts, 0);
}

function quarterOf(g: Emitter, v: string, [i, j]: readonly [number, number], h: number, w: number): string {
  return g.slice(v, [2, 3], [i, j], [i + h, j + w]);
}

/**
 * The kernel gradient of doubling pixels and convolving: of the 4×4 kernel of stride 2 first, then of the 3×3 kernel
 * that its entries are sums of. x [n,Ci,h,w], dy [n,Co,2h,2w].
 */
function upFilterGradient(
  node: GraphNode<'upConv2dFilterGrad'>,
  [x, dy]: readonly string[],
  ctx: LowerContext,
): string {
  const { g } = ctx;
  const [n, ci, h, w] = ctx.batch.dims(node.inputs[0]);
  const co = node.shape[0];
  const adjoint = g.floats(boxSumsAdjoint.data, boxSumsAdjoint.shape);
  if (co <= 4) {
    const deep = blocksAsChannels(g.pad(dy, [0, 0, 1, 1], [0, 0, 1, 1]), [n, co, 2 * h + 2, 2 * w + 2], ctx);
    const quarters = offsets(2).map((at) => quarterOf(g, deep, at, h, w));
    const columns = g.reshape(g.concat(quarters, 1), [n, 16 * co, h * w]);
    const dw4 = productSum(g.reshape(x, [n, ci, h * w]), columns, g); // [Ci, 16·Co]
    const dw = g.op('MatMul', [adjoint, g.reshape(dw4, [ci, 16, co])]);
    return g.reshape(g.transpose(dw, [2, 0, 1]), [co, ci, 3, 3]);
  }
  // Summing products of single images would cost more than products over batch and pixels.
  const dw4 = g.reshape(blockProducts(x, dy, [n, ci, h, w], co, ctx), [16, co * ci]);
  const dw = g.reshape(g.op('MatMul', [adjoint, dw4]), [9, co, ci]);
  return g.reshape(g.transpose(dw, [1, 2, 0]), [co, ci, 3, 3]);
}

/** [n, c, h, w] → [n, (row in block, column in block, c), h/2, w/2]. */
function blocksAsChannels(v: string, [n, c, h, w]: readonly number[], { g, lacks }: LowerContext): string {
  if (!lacks('SpaceToDepth')) return g.op('SpaceToDepth', [v], { blocksize: 2 });
  const blocks = g.transpose(g.reshape(v, [n, c, h / 2, 2, w / 2, 2]), [0, 3, 5, 1, 2, 4]);
  return g.reshape(blocks, [n, 4 * c, h / 2, w / 2]);
}

/** (0,0), (0,1), …, (k−1,k−1) */
function offsets(k: number): [row: number, column: number][] {
  return Array.from({ length: k * k }, (_, q) => [Math.floor(q / k), q % k]);
}

/** The image in a frame of p zeros at each offset, h×w pixels of it, side by side as channels: [n, k²·channels, pixels]. */
function windows(v: string, channels: number, at: readonly (readonly [number, number])[], p: number, s: Sizes): string {
  const inFrame = s.g.pad(v, [0, 0, p, p], [0, 0, p, p]);
  const parts = at.map(([i, j]) => s.g.slice(inFrame, [2, 3], [i, j], [i + s.h, j + s.w]));
  return s.g.reshape(s.g.concat(parts, 1), [s.n, s.k * s.k * channels, s.h * s.w]);
}

function flat(v: string, channels: number, s: Sizes): string {
  return s.g.reshape(v, [s.n, channels, s.h * s.w]);
}

function channelsFirst(g: Emitter, v: string): string {
  return g.transpose(v, [1, 0, 2, 3]);
}

/** Σ over images of a [n,r,m] · b [n,c,m]ᵀ → [r,c]. The engine fuses the transposition into the product. */
function productSum(a: string, b: string, g: Emitter): string {
  return g.reduceSum(g.op('MatMul', [a, g.transpose(b, [0, 2, 1])]), [0]);
}

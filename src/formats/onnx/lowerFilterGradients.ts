/**
 * Kernel gradients of convolutions as matrix products. Which formulation is the fastest depends on the shapes: a
 * convolution with batch and channels swapped, the textbook form, is three to seven times slower than these.
 */
import type { GraphNode } from '../../graph/node.js';
import type { Emitter } from './emitter.js';
import { turned } from './kernels.js';
import type { LowerContext } from './lowering.js';

/** Names and sizes of one gradient; `n` is −1 where the batch size is free. */
interface Sizes {
  readonly g: Emitter;
  readonly n: number;
  readonly ci: number;
  readonly co: number;
  readonly h: number;
  readonly w: number;
  readonly k: number;
}

/** dw[co,ci,i,j] = Σ x[n, ci, u+i−p, v+j−p] · dy[n, co, u, v], p = (k−1)/2. */
export function filterGradient(
  node: GraphNode<'conv2dFilterGrad'>,
  [x, dy]: readonly string[],
  ctx: LowerContext,
): string {
  const [n, ci, h, w] = ctx.batch.dims(node.inputs[0]);
  const co = node.shape[0];
  const k = node.attrs.kernel;
  const s: Sizes = { g: ctx.g, n, ci, co, h, w, k };
  if (k === 1) return pointwise(x, dy, s);
  if (co === 1) return shiftedGradient(x, dy, s);
  if (ci === 1) return shiftedImage(x, dy, s);
  return h >= 32 ? splitShifts(x, dy, s) : shiftedProducts(x, dy, s);
}

/** A 1×1 kernel: one product per image. */
function pointwise(x: string, dy: string, s: Sizes): string {
  return s.g.reshape(productSum(flat(dy, s.co, s), flat(x, s.ci, s), s.g), [s.co, s.ci, 1, 1]);
}

/** All k² shifts of the image, for few input channels. */
function shiftedImage(x: string, dy: string, s: Sizes): string {
  const shifts = offsets(s.k).map(([i, j]) => [i, j] as const);
  const columns = windows(x, s.ci, shifts, s);
  const dw = productSum(flat(dy, s.co, s), columns, s.g); // [Co, k·k·Ci]
  return s.g.transpose(s.g.reshape(dw, [s.co, s.k, s.k, s.ci]), [0, 3, 1, 2]);
}

/** All k² shifts of the gradient, the other way round, for few output channels. */
function shiftedGradient(x: string, dy: string, s: Sizes): string {
  const shifts = offsets(s.k).map(([i, j]) => [s.k - 1 - i, s.k - 1 - j] as const);
  const columns = windows(dy, s.co, shifts, s);
  const dw = productSum(flat(x, s.ci, s), columns, s.g); // [Ci, k·k·Co]
  return s.g.transpose(s.g.reshape(dw, [s.ci, s.k, s.k, s.co]), [3, 0, 1, 2]);
}

/**
 * Column shifts on the image, row shifts on the gradient, one product for all k² pairs: the fastest from 32 rows on.
 * Both get k−1 rows of zeros, so that a product over all rows pairs them rightly.
 */
function splitShifts(x: string, dy: string, s: Sizes): string {
  const { g, n, k } = s;
  const p = (k - 1) / 2;
  const rows = (s.h + 2 * p) * s.w;
  const shifts = Array.from({ length: k }, (_, i) => i);
  const framed = g.pad(x, [0, 0, p, p], [0, 0, p, p]);
  const images = g.concat(
    shifts.map((j) => g.slice(framed, [3], [j], [j + s.w])),
    1,
  );
  const gradients = g.concat(
    shifts.map((i) => g.pad(dy, [0, 0, i, 0], [0, 0, k - 1 - i, 0])),
    1,
  );
  const dw = productSum(g.reshape(images, [n, k * s.ci, rows]), g.reshape(gradients, [n, k * s.co, rows]), g);
  return g.transpose(g.reshape(dw, [k, s.ci, k, s.co]), [3, 1, 2, 0]); // [j, Ci, i, Co] → [Co, Ci, i, j]
}

/** One product over batch and pixels for each of the k² shifts: the fastest for small images. */
function shiftedProducts(x: string, dy: string, s: Sizes): string {
  const { g, k } = s;
  const p = (k - 1) / 2;
  const pixels = s.n === -1 ? -1 : s.n * s.h * s.w;
  const framed = g.pad(g.transpose(x, [1, 0, 2, 3]), [0, 0, p, p], [0, 0, p, p]);
  const gradient = g.reshape(g.transpose(dy, [1, 0, 2, 3]), [s.co, pixels]);
  const parts = offsets(k).map(([i, j]) => {
    const image = g.reshape(g.slice(framed, [2, 3], [i, j], [i + s.h, j + s.w]), [s.ci, pixels]);
    return g.reshape(g.op('Gemm', [gradient, image], { transB: 1 }), [s.co, s.ci, 1]);
  });
  return g.reshape(g.concat(parts, 2), [s.co, s.ci, k, k]);
}

/**
 * The kernel gradient of doubling pixels and convolving: of the 4×4 kernel of stride 2 first, then of the 3×3 kernel
 * that its entries are sums of. x [n,Ci,h,w], dy [n,Co,2h,2w].
 */
export function upFilterGradient(
  node: GraphNode<'upConv2dFilterGrad'>,
  [x, dy]: readonly string[],
  ctx: LowerContext,
): string {
  const { g } = ctx;
  const [n, ci, h, w] = ctx.batch.dims(node.inputs[0]);
  const co = node.shape[0];
  // The frame puts each 4×4 window of stride 2 on 2×2 whole blocks: [n, 4·Co, h+1, w+1], channels (row in block, column in block, Co).
  const deep = g.op('SpaceToDepth', [g.pad(dy, [0, 0, 1, 1], [0, 0, 1, 1])], { blocksize: 2 });
  const quarters = offsets(2).map(([i, j]) => g.slice(deep, [2, 3], [i, j], [i + h, j + w]));
  const columns = g.reshape(g.concat(quarters, 1), [n, 16 * co, h * w]);
  const image = g.reshape(x, [n, ci, h * w]);
  // The product wants its larger side on the left.
  const d = co >= 4 ? productSum(columns, image, g) : g.transpose(productSum(image, columns, g), [1, 0]); // [16·Co, Ci]
  const blocks = g.transpose(g.reshape(d, [2, 2, 2, 2, co, ci]), [5, 4, 0, 2, 1, 3]);
  const dw4 = g.reshape(blocks, [ci, co, 4, 4]);
  const parts = offsets(2).map(([i, j]) => g.slice(dw4, [2, 3], [i, j], [i + 3, j + 3]));
  return turned(g, g.op('Sum', parts), 3);
}

/** (0,0), (0,1), …, (k−1,k−1) */
function offsets(k: number): [row: number, column: number][] {
  return Array.from({ length: k * k }, (_, q) => [Math.floor(q / k), q % k]);
}

/** The framed image at each shift, side by side as channels: [n, k²·channels, pixels]. */
function windows(v: string, channels: number, shifts: readonly (readonly [number, number])[], s: Sizes): string {
  const p = (s.k - 1) / 2;
  const framed = s.g.pad(v, [0, 0, p, p], [0, 0, p, p]);
  const parts = shifts.map(([i, j]) => s.g.slice(framed, [2, 3], [i, j], [i + s.h, j + s.w]));
  return s.g.reshape(s.g.concat(parts, 1), [s.n, s.k * s.k * channels, s.h * s.w]);
}

function flat(v: string, channels: number, s: Sizes): string {
  return s.g.reshape(v, [s.n, channels, s.h * s.w]);
}

/** Σ over images of a [n,r,m] · b [n,c,m]ᵀ → [r,c]. The engine fuses the transposition into the product. */
function productSum(a: string, b: string, g: Emitter): string {
  return g.reduceSum(g.op('MatMul', [a, g.transpose(b, [0, 2, 1])]), [0]);
}

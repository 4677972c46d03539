/**
 * Programs whose weights change, in the layout that the convolutions of ONNX Runtime's processor engine are fastest in: channels in
 * blocks, [B, C/s, H, W, s]. The engine uses it by itself only for constant weights; here kernels are rearranged in the program, which
 * costs little, as they are small beside images. What is computed so is said here, where it pays in `pays.ts`, how values are kept in
 * `blockedValues.ts`.
 *
 * @example
 * const values = new BlockedValues(program, names, ctx, { size: 16, constant: () => false });
 * if (!lowerBlocked(node, values)) names.set(node, plainLowering(node));
 */
import { type Shape, sameShape, sizeOf } from '../../core/tensor.js';
import { type ElementOp, type GraphNode, isOp, type OpName } from '../../graph/node.js';
import { type BlockedValues, type Finish, type Finished, frame } from './blockedValues.js';
import { boxKernel, doubled as doubledPlain, fewChannels, turned } from './images.js';
import { elementLowerings, type Lowering } from './lowering.js';
import { BLOCKED_DOMAIN, encodeModel, ONNX_FLOAT } from './model.js';
import { blocksPay, kernelTilesPay, tilesPay } from './pays.js';
import { winogradKernelGradient, winogradKernels, winogradQuarters } from './winograd.js';

/** Bytes of images that Winograd's algorithm takes at once: their tiles are four times that, and are to stay in a cache. */
const BYTES_AT_ONCE = 3e6;

/** Pieces that images are taken in at most: each has nodes of its own. */
const MOST_PIECES = 32;

const pool = { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] };

/** (node) → name of its result in blocks; undefined where the plain layout serves it better. */
type BlockedRule<O extends OpName> = (node: GraphNode<O>, values: BlockedValues) => string | undefined;

/** Lowers a node in blocks where that pays, and says whether it did; its plain value is made when it is asked for. */
export function lowerBlocked(node: GraphNode, values: BlockedValues): boolean {
  if (values.done(node)) return true;
  if (isOp(node, 'conv2dFilterGrad')) return kernelGradient(node, values);
  const rule = rules[node.op] as BlockedRule<OpName> | undefined;
  const name = rule?.(node, values);
  if (name !== undefined) values.keep(node, name);
  return values.done(node);
}

/** Its result is plain: a kernel. */
function kernelGradient(node: GraphNode<'conv2dFilterGrad'>, values: BlockedValues): boolean {
  const [x, dy] = node.inputs;
  if (!(values.has(x) || values.has(dy)) || !kernelTilesPay(node, values)) return false;
  const named = (image: GraphNode) => [values.of(image), image.shape] as const;
  values.keepPlain(node, winogradKernelGradient(values, named(x), named(dy), node.attrs.padding));
  return true;
}

/** Single pixels have no windows to lay out: they stay in blocks where their image is. */
function pays(node: GraphNode, v: BlockedValues): boolean {
  const [image, kernel] = node.inputs;
  return (kernel.shape[2] > 1 || v.has(image)) && blocksPay(node, v);
}

/** Element by element: in blocks where as many operands are there already as are not; what is one number serves as it is. */
const elementwise: BlockedRule<ElementOp> = (node, v) => {
  if (!v.fits(node.shape)) return undefined;
  const images = node.inputs.filter((x) => sizeOf(x.shape) > 1);
  // Factors of single channels stand better beside plain images, whose rows they go along.
  if (!images.every((x) => x.op !== 'broadcast' && sameShape(x.shape, node.shape))) return undefined;
  const inBlocks = images.filter((x) => v.has(x)).length;
  if (inBlocks === 0 || 2 * inBlocks < images.length) return undefined;
  const operands = node.inputs.map((x) => (sizeOf(x.shape) > 1 ? v.of(x) : v.plain(x)));
  return (elementLowerings[node.op] as Lowering<ElementOp>)(node, operands, v.ctx);
};

const rules: { readonly [O in OpName]?: BlockedRule<O> } = {
  ...Object.fromEntries(Object.keys(elementLowerings).map((op) => [op, elementwise])),
  conv2d: (node, v) => {
    const [x, w] = node.inputs;
    const [co, ci, k] = w.shape;
    const finish = v.finish(node);
    if (tilesPay(node, v)) {
      const kernels = winogradKernels(v.g, v.plain(w), [co, ci], v);
      return winograd(node, { image: x, kernels, padding: node.attrs.padding }, v, finish);
    }
    if (!pays(node, v)) return undefined;
    return finish.keepRelu(v.convolved(x, v.plain(w), [co, ci], [k, node.attrs.padding, 1], finish));
  },
  conv2dInputGrad: (node, v) => {
    const [dy, w] = node.inputs;
    const [co, ci, k] = w.shape;
    if (tilesPay(node, v)) {
      const kernels = winogradKernels(v.g, v.plain(w), [co, ci], { size: v.size, turned: true });
      return winograd(node, { image: dy, kernels, padding: k - 1 - node.attrs.padding }, v);
    }
    if (!pays(node, v)) return undefined;
    return v.convolved(dy, turned(v.g, v.plain(w), w.shape), [ci, co], [k, k - 1 - node.attrs.padding, 1]);
  },
  transposedConv2dInputGrad: (node, v) => {
    const [dy, w] = node.inputs;
    return pays(node, v) ? v.convolved(dy, v.plain(w), [w.shape[0], w.shape[1]], [4, 1, 2]) : undefined;
  },
  transposedConv2d: (node, v) => {
    const [x, w] = node.inputs;
    if (!pays(node, v)) return undefined;
    const finish = v.finish(node);
    return finish.keepRelu(doublingConv(x, v.plain(w), w.shape, v, finish));
  },
  upConv2d: (node, v) => {
    const [x, w] = node.inputs;
    const [co, ci] = w.shape;
    const few = fewChannels(w.shape);
    // A doubled image is plain, and plain images have less than a block of channels; one that is doubled by its kernel is in blocks.
    if (few === (ci % v.size === 0) || !pays(node, v)) return undefined;
    const finish = v.finish(node);
    return finish.keepRelu(
      few
        ? v.convolved(doubledPlain(v.g, v.plain(x)), v.plain(w), [co, ci], [3, 1, 1], finish)
        : doublingConv(x, boxKernel(v.g, v.plain(w), w.shape), [ci, co], v, finish),
    );
  },
  upConv2dInputGrad: (node, v) => {
    const [dy, w] = node.inputs;
    const [co, ci] = w.shape;
    if (fewChannels(w.shape) || !pays(node, v)) return undefined;
    return v.convolved(dy, boxKernel(v.g, v.plain(w), w.shape), [ci, co], [4, 1, 2]);
  },
  maxPool2: (node, v) => (v.has(node.inputs[0]) ? v.own('MaxPool', [v.of(node.inputs[0])], pool) : undefined),
  maxPool2Grad: (node, v) => {
    const [x, y, dy] = node.inputs;
    if (!v.has(x)) return undefined;
    const mask = v.g.op('Cast', [v.g.op('Equal', [v.of(x), doubled(v.of(y), v)])], { to: ONNX_FLOAT });
    const share = v.g.op('Div', [v.of(dy), blockSum(mask, v)]);
    return v.g.op('Mul', [mask, doubled(share, v)]);
  },
  upsampleNearest2: (node, v) => (v.has(node.inputs[0]) ? doubled(v.of(node.inputs[0]), v) : undefined),
  upsampleNearest2Grad: (node, v) => (v.has(node.inputs[0]) ? blockSum(v.of(node.inputs[0]), v) : undefined),
  reflectPad: (node, v) => {
    const [x] = node.inputs;
    if (!v.has(x)) return undefined;
    const n = node.attrs.size;
    const pads = v.g.ints([0, 0, n, n, 0, 0, 0, n, n, 0]);
    return v.shut(v.g.op('Pad', [v.open(v.of(x), x.shape), pads], { mode: 'reflect' }), node.shape);
  },
  slice: (node, v) => {
    const [x] = node.inputs;
    const { start, size } = node.attrs;
    if (!v.has(x) || start[1] % v.size !== 0 || size[1] % v.size !== 0) return undefined;
    const axes = [0, 1, 2, 3].filter((a) => size[a] !== x.shape[a]);
    const unit = (a: number) => (a === 1 ? v.size : 1);
    const from = axes.map((a) => start[a] / unit(a));
    const to = axes.map((a) => (start[a] + size[a]) / unit(a));
    return v.shut(v.g.slice(v.open(v.of(x), x.shape), axes, from, to), node.shape);
  },
  pad: (node, v) => {
    const [x] = node.inputs;
    const { before, after } = node.attrs;
    if (!v.has(x) || before[1] % v.size !== 0 || after[1] % v.size !== 0) return undefined;
    const opened = ([b, c, h, w]: readonly number[]) => [b, c / v.size, h, w, 0];
    return v.shut(v.g.pad(v.open(v.of(x), x.shape), opened(before), opened(after)), node.shape);
  },
  concat: (node, v) => {
    if (!node.inputs.some((x) => v.has(x)) || !node.inputs.every((x) => v.fits(x.shape))) return undefined;
    const parts = node.inputs.map((x) => v.open(v.of(x), x.shape));
    return v.shut(v.g.concat(parts, node.attrs.axis), node.shape);
  },
};

interface OnTiles {
  readonly image: GraphNode;
  readonly kernels: readonly string[];
  readonly padding: number;
}

/** Where pieces of n images begin and end: all of the same size where that is not much smaller than `most`, else nearly so. */
function piecesOf(n: number, most: number): number[] {
  const divisor = Array.from({ length: n }, (_, i) => n - i).find((count) => n % count === 0 && count <= most) ?? 1;
  const count = Math.min(2 * divisor >= most ? n / divisor : Math.ceil(n / most), MOST_PIECES);
  return Array.from({ length: count + 1 }, (_, i) => Math.round((i * n) / count));
}

/** A convolution by Winograd's algorithm, some images at a time; where pooling is all that is wanted of it, that. */
function winograd(node: GraphNode, { image, kernels, padding }: OnTiles, v: BlockedValues, finish?: Finished) {
  const { g, size: s } = v;
  const [n, c, ...sides] = image.shape;
  const [, co, h, w] = node.shape;
  const bounds = piecesOf(n, Math.floor((BYTES_AT_ONCE * n) / (4 * sizeOf(image.shape))));
  const all = v.of(image);
  const last = finish?.last ?? node;
  const user = v.onlyUser(last);
  const pooled = user !== undefined && isOp(user, 'maxPool2') ? user : undefined;
  const pieces = bounds.slice(1).map((end, i) => {
    const at = end - bounds[i];
    const piece = at === n ? all : g.slice(all, [0], [bounds[i]], [end]);
    const given = { image: piece, shape: [at, c, ...sides], kernels, padding };
    const quarters = winogradQuarters(v, given, finish ?? {});
    if (pooled) return g.op('Max', quarters);
    const opened = quarters.map((q) => v.open(q, [at, co, h / 2, w / 2]));
    const row = (r: number) => g.reshape(g.concat(opened.slice(2 * r, 2 * r + 2), 4), [at, co / s, h / 2, w * s]);
    return v.shut(g.concat([row(0), row(1)], 3), [at, co, h, w]);
  });
  const result = g.concat(pieces, 0);
  if (!pooled) return finish ? finish.keepRelu(result) : result;
  v.keep(pooled, result);
  v.within(node);
  v.within(last);
  return undefined;
}

/** The 16 entries of a 4×4 kernel in the order (row of the pixel, column of the pixel, row of the tap, column of the tap). */
const TAPS = [0, 1, 2, 3].map((k) => [k >> 1, k & 1] as const);

/**
 * A transposed convolution of stride 2 by a kernel [Ci, Co, 4, 4]: each of the 2×2 pixels that a pixel becomes is a convolution with 2×2
 * entries, and the four images are put together.
 */
function doublingConv(x: GraphNode, kernel: string, [ci, co]: Shape, v: BlockedValues, finish: Finish) {
  const [n, , h, w] = x.shape;
  const { g, size: s } = v;
  if (ci % s !== 0 || co % s !== 0) return undefined;
  // Pixel 2q + r takes entry 3 − r − 2i from pixel q − 1 + r + i.
  const order = TAPS.flatMap(([r, c]) => TAPS.map(([i, j]) => 4 * (3 - r - 2 * i) + 3 - c - 2 * j));
  const sorted = new Float32Array(256);
  order.forEach((entry, at) => {
    sorted[16 * entry + at] = 1;
  });
  const taps = g.op('MatMul', [g.reshape(kernel, [ci * co, 16]), g.floats(sorted, [16, 16])]);
  const arranged = g.transpose(g.reshape(taps, [ci / s, s, co / s, s, 4, 4]), [4, 2, 0, 5, 1, 3]);
  const image = v.of(x);
  const quarters = TAPS.map(([r, c], q) =>
    v.open(
      v.conv(
        image,
        g.reshape(g.slice(arranged, [0], [q], [q + 1]), [co, ci, 2, 2]),
        { ...frame([2, 0, 1]), pads: [1 - r, 1 - c, r, c] },
        finish,
      ),
      [n, co, h, w],
    ),
  );
  const row = (r: number) => g.reshape(g.concat(quarters.slice(2 * r, 2 * r + 2), 4), [n, co / s, h, 2 * w * s]);
  return v.shut(g.concat([row(0), row(1)], 3), [n, co, 2 * h, 2 * w]);
}

/** Every pixel as a block of 2×2. */
function doubled(x: string, v: BlockedValues): string {
  return v.own('Upsample', [x], { scales: [1, 1, 2, 2], mode: 'nearest' });
}

/** The sum of every 2×2 pixels. */
function blockSum(x: string, v: BlockedValues): string {
  return v.g.op('Mul', [v.own('AveragePool', [x], pool), v.g.float(4)]);
}

/** A model that shows how many channels come in a block: x [1, 16, 2, 1] → y, x in blocks. */
export function encodeBlockTrial(): Uint8Array<ArrayBuffer> {
  const shape = [1, 16, 2, 1];
  return encodeModel({
    graph: 'blocks',
    nodes: [
      { op: 'ReorderInput', domain: BLOCKED_DOMAIN, name: 'blocks', inputs: ['x'], outputs: ['y'], attributes: {} },
    ],
    initializers: [],
    inputs: [{ name: 'x', dims: shape }],
    outputs: [{ name: 'y', dims: shape }],
  });
}

/**
 * Programs whose weights change, in the layout that the convolutions of ONNX Runtime's processor engine are fastest in: channels in
 * blocks, [B, C/s, H, W, s]. The engine uses it by itself only for constant weights; here kernels are rearranged in the program, which
 * costs little, as they are small beside images.
 *
 * Its operators are those of the engine's own domain (`com.microsoft.nchwc`). Values in blocks keep the shape [B, C, H, W] by name; what works
 * element by element takes them as they are, and what moves whole rows or blocks of channels sees [B, C/s, H, W, s]. A value that is wanted
 * in the plain layout is made so once, where it is asked for.
 *
 * @example
 * const blocked = new BlockedValues(program, names, ctx, 16, () => false);
 * if (!blocked.lower(node)) names.set(node, plainLowering(node));
 */
import { type Shape, sameShape, sizeOf } from '../../core/tensor.js';
import { type ElementOp, type GraphNode, isOp, type OpName } from '../../graph/node.js';
import type { Program } from '../../graph/program.js';
import type { Precisions } from './half.js';
import { boxKernel, doubled as doubledPlain, fewChannels, turned } from './images.js';
import { elementLowerings, type LowerContext, type Lowering } from './lowering.js';
import { BLOCKED_DOMAIN, type Emitter, encodeModel, ONNX_FLOAT } from './model.js';
import { winogradKernelGradient, winogradKernels, winogradQuarters } from './winograd.js';

/** Pixels of a batch. */
const LEAST_PIXELS = 2048;
/** Channels from which plain images are as good. */
const MANY_CHANNELS = 256;
/** Multiplications by one entry of a kernel from which the 60 nodes of Winograd's algorithm are little. */
const LEAST_WORK = 2 ** 24;
/** Images that a batch is taken to have where kernels are constant: what a network paints must not depend on who shares its batch. */
const USUAL_BATCH = 16;
/** Bytes of images that Winograd's algorithm takes at once: their tiles are four times that, and are to stay in a cache. */
const BYTES_AT_ONCE = 3e6;

/** Pieces that images are taken in at most: each has nodes of its own. */
const MOST_PIECES = 32;

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;

/** What a convolution does besides. */
interface Finish {
  readonly bias?: readonly string[];
  readonly relu?: boolean;
}

/** {@link Finish}, and the value that then comes of it. */
interface Finished extends Finish {
  readonly last: GraphNode;
  /** Keeps the name for the ReLU, too. */
  readonly keepRelu: (name: string | undefined) => string | undefined;
}

/** Geometry of a convolution: side of the kernel, zeros around the image, stride. */
type Geometry = readonly [kernel: number, zeros: number, stride: number];

const frame = ([kernel, zeros, stride]: Geometry) => ({
  kernel_shape: [kernel, kernel],
  pads: [zeros, zeros, zeros, zeros],
  strides: [stride, stride],
  dilations: [1, 1],
  group: 1,
});

const pool = { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] };

/** (node) → name of its result in blocks; undefined where the plain layout serves it better. */
type BlockedRule<O extends OpName> = (node: GraphNode<O>, values: BlockedValues) => string | undefined;

export class BlockedValues {
  readonly #g: Emitter;
  readonly #names: Precisions;
  readonly #size: number;
  readonly #constant: (node: GraphNode) => boolean;
  readonly #ctx: LowerContext;
  /** Values that are there in blocks. */
  readonly #blocks = new Map<GraphNode, string>();
  /** Values that are made within another, which alone is wanted. */
  readonly #within = new Set<GraphNode>();
  readonly #users = new Map<GraphNode, GraphNode[]>();
  readonly #published: ReadonlySet<GraphNode>;

  /** @param constant whether a value is a part of the model */
  constructor(
    program: Program,
    names: Precisions,
    ctx: LowerContext,
    size: number,
    constant: (node: GraphNode) => boolean,
  ) {
    this.#constant = constant;
    this.#g = ctx.g;
    this.#ctx = ctx;
    this.#names = names;
    this.#size = size;
    for (const node of program.nodes) {
      for (const x of node.inputs) this.#users.set(x, [...(this.#users.get(x) ?? []), node]);
    }
    this.#published = new Set([...program.outputs.values(), ...program.updates.values()]);
  }

  /** Lowers a node in blocks where that pays, and says whether it did; its plain value is made when it is asked for. */
  lower(node: GraphNode): boolean {
    if (this.#blocks.has(node) || this.#within.has(node)) return true;
    if (isOp(node, 'conv2dFilterGrad')) return this.#kernelGradient(node);
    const rule = rules[node.op] as BlockedRule<OpName> | undefined;
    const name = rule?.(node, this);
    if (name === undefined) return this.#within.has(node);
    this.keep(node, name);
    return true;
  }

  /** Its result is plain: a kernel. */
  #kernelGradient(node: GraphNode<'conv2dFilterGrad'>): boolean {
    const [x, dy] = node.inputs;
    if (!(this.has(x) || this.has(dy)) || !winogradGradientPays(node, this)) return false;
    const named = (image: GraphNode) => [this.of(image), image.shape] as const;
    this.#names.set(node, winogradKernelGradient(this, named(x), named(dy), node.attrs.padding));
    return true;
  }

  keep(node: GraphNode, name: string): void {
    this.#blocks.set(node, name);
    this.#names.set(node, () => this.own('ReorderOutput', [name], { channels: node.shape[1] }));
  }

  /** Says that nobody will ask for this value. */
  within(node: GraphNode): void {
    this.#within.add(node);
  }

  get g(): Emitter {
    return this.#g;
  }

  get size(): number {
    return this.#size;
  }

  get ctx(): LowerContext {
    return this.#ctx;
  }

  plain(node: GraphNode): string {
    return this.#names.single(node);
  }

  /** The only user of a value that nobody else sees. */
  onlyUser(node: GraphNode): GraphNode | undefined {
    const users = this.#users.get(node) ?? [];
    return users.length === 1 && !this.#published.has(node) ? users[0] : undefined;
  }

  /** Whether images of this shape can be in blocks. */
  fits(shape: Shape): boolean {
    return shape.length === 4 && shape[1] % this.#size === 0;
  }

  /**
   * Whether it pays to compute this image in blocks. What is saved is laying out windows of pixels, which matters less the more channels
   * are made of them and is nothing for single pixels; a kernel that changes takes as long to arrange as is saved on {@link LEAST_PIXELS}.
   */
  pays({ shape, inputs: [image, kernel] }: GraphNode): boolean {
    if (!this.fits(shape)) return false;
    if (kernel.shape[2] === 1 && !this.has(image)) return false;
    const [b, channels, h, w] = shape;
    return this.#constant(kernel) || (b * h * w >= LEAST_PIXELS && channels < MANY_CHANNELS);
  }

  has(node: GraphNode): boolean {
    return this.#blocks.has(node);
  }

  /** Whether a value is a part of the model. */
  isConstant(node: GraphNode): boolean {
    return this.#constant(node);
  }

  /** The value in blocks, rearranged if need be. */
  of(node: GraphNode): string {
    return this.#blocks.get(node) ?? this.own('ReorderInput', [this.plain(node)]);
  }

  /** An operator of the engine's own domain. */
  own(op: string, inputs: readonly string[], attributes: Attributes = {}) {
    return this.#g.op(op, inputs, attributes, BLOCKED_DOMAIN);
  }

  /** As [B, C/s, H, W, s]. */
  open(name: string, [b, c, h, w]: Shape): string {
    return this.#g.reshape(name, [b, c / this.#size, h, w, this.#size]);
  }

  /** Back from {@link open}. */
  shut(name: string, shape: Shape): string {
    return this.#g.reshape(name, shape);
  }

  /**
   * A convolution with a plain kernel [Co, Ci, k, k]; undefined where channels do not come in whole blocks. Images of less than a block of
   * channels are taken plain, so they may be given by name.
   */
  convolved(
    image: GraphNode | string,
    kernel: string,
    [co, ci]: readonly [co: number, ci: number],
    geometry: Geometry,
    more: Finish = {},
  ): string | undefined {
    const s = this.#size;
    const whole = ci % s === 0;
    if (co % s !== 0 || !(whole || ci < s) || (whole && typeof image === 'string')) return undefined;
    const [k] = geometry;
    const given = typeof image === 'string' ? image : whole ? this.of(image) : this.plain(image);
    return this.conv(given, this.#arranged(kernel, [co, ci, k]), frame(geometry), more);
  }

  /** A kernel [Co, Ci, k, k] as [Co/s, Ci/s, k, k, s in, s out], or [Co/s, Ci, k, k, s out]: a transposition of matrices and a move of rows. */
  #arranged(kernel: string, [co, ci, k]: readonly [co: number, ci: number, k: number]): string {
    const s = this.#size;
    const g = this.#g;
    const outInwards = g.transpose(g.reshape(kernel, [co / s, s, ci * k * k]), [0, 2, 1]);
    if (ci < s || k === 1) return g.reshape(outInwards, [co, ci, k, k]);
    const taps = g.transpose(g.reshape(outInwards, [(co * ci) / s ** 2, s, k * k, s]), [0, 2, 1, 3]);
    return g.reshape(taps, [co, ci, k, k]);
  }

  /** A convolution with a kernel that is arranged already. */
  conv(image: string, kernel: string, attributes: Attributes, { bias = [], relu = false }: Finish): string {
    return this.own('Conv', [image, kernel, ...bias], { ...attributes, ...(relu ? { activation: 'Relu' } : {}) });
  }

  /** Bias of a convolution, and whether its only user is a ReLU, which is then done with it. */
  finish(node: GraphNode): Finished {
    const bias = node.inputs[2];
    const user = this.onlyUser(node);
    const relu = user !== undefined && isOp(user, 'relu') ? user : undefined;
    return {
      bias: bias ? [this.plain(bias)] : [],
      relu: relu !== undefined,
      last: relu ?? node,
      keepRelu: (name) => {
        if (name !== undefined && relu) this.keep(relu, name);
        return name;
      },
    };
  }
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
    if (winogradPays(node, [co, ci, k], v)) {
      const kernels = winogradKernels(v.g, v.plain(w), [co, ci], v);
      return winograd(node, { image: x, kernels, padding: node.attrs.padding }, v, finish);
    }
    if (!v.pays(node)) return undefined;
    return finish.keepRelu(v.convolved(x, v.plain(w), [co, ci], [k, node.attrs.padding, 1], finish));
  },
  conv2dInputGrad: (node, v) => {
    const [dy, w] = node.inputs;
    const [co, ci, k] = w.shape;
    if (winogradPays(node, [ci, co, k], v)) {
      const kernels = winogradKernels(v.g, v.plain(w), [co, ci], { size: v.size, turned: true });
      return winograd(node, { image: dy, kernels, padding: k - 1 - node.attrs.padding }, v);
    }
    if (!v.pays(node)) return undefined;
    return v.convolved(dy, turned(v.g, v.plain(w), w.shape), [ci, co], [k, k - 1 - node.attrs.padding, 1]);
  },
  transposedConv2dInputGrad: (node, v) => {
    const [dy, w] = node.inputs;
    return v.pays(node) ? v.convolved(dy, v.plain(w), [w.shape[0], w.shape[1]], [4, 1, 2]) : undefined;
  },
  transposedConv2d: (node, v) => {
    const [x, w] = node.inputs;
    if (!v.pays(node)) return undefined;
    const finish = v.finish(node);
    return finish.keepRelu(doublingConv(x, v.plain(w), w.shape, v, finish));
  },
  upConv2d: (node, v) => {
    const [x, w] = node.inputs;
    const [co, ci] = w.shape;
    if (!v.pays(node)) return undefined;
    const finish = v.finish(node);
    return finish.keepRelu(
      fewChannels(w.shape)
        ? v.convolved(doubledPlain(v.g, v.plain(x)), v.plain(w), [co, ci], [3, 1, 1], finish)
        : doublingConv(x, boxKernel(v.g, v.plain(w), w.shape), [ci, co], v, finish),
    );
  },
  upConv2dInputGrad: (node, v) => {
    const [dy, w] = node.inputs;
    const [co, ci] = w.shape;
    if (fewChannels(w.shape) || !v.pays(node)) return undefined;
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

/** How many channels there are on both sides together, as the moves of values count beside the products: Ci·Co / (Ci + Co). */
const width = (co: number, ci: number) => (co * ci) / (co + ci);

/**
 * Whether tiles pay between images of these channels and sides.
 * @param least width from which they do
 */
function tilesPay([co, ci, k]: Shape, [b, , h, w]: Shape, least: number, { size }: BlockedValues): boolean {
  const fits = k === 3 && co % size === 0 && ci % size === 0 && h % 2 === 0 && w % 2 === 0;
  return fits && width(co, ci) >= least && b * h * w * co * ci >= LEAST_WORK;
}

/** Whether a convolution of stride 1 is faster by Winograd's algorithm. */
function winogradPays({ shape: [b, ...image], inputs }: GraphNode, kernel: Shape, v: BlockedValues): boolean {
  return tilesPay(kernel, [v.isConstant(inputs[1]) ? USUAL_BATCH : b, ...image], 64, v);
}

/** The same of the gradient of its kernel, for which other ways move more. */
function winogradGradientPays({ shape, inputs }: GraphNode<'conv2dFilterGrad'>, v: BlockedValues): boolean {
  const [, image] = inputs;
  return tilesPay(shape, image.shape, image.shape[2] * image.shape[3] <= 1024 ? 32 : 64, v);
}

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

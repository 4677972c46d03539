/**
 * Convolutions by kernels of 3×3 with 16 multiplications where nine times four are spelt out: Winograd's F(2×2, 3×3). Every 2×2 pixels of the
 * result come from a tile of 4×4 of the image, Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A, so that over channels there are 16 products of a quarter of the pixels
 * each. (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016. Row 3 of Bᵀ and of Aᵀ has the other sign here.)
 *
 * In blocks of channels, all of it is convolutions of the engine: Bᵀ x B are those of single channels, two entries along one side and
 * stride 2; the products are of single pixels, and the four results that have a corner's product to themselves are added to it, with bias and
 * ReLU, by the convolution itself.
 *
 * @example
 * const four = winogradQuarters(values, { image, shape, kernels: winogradKernels(g, w, [co, ci], { size: 16 }), padding: 1 }, { bias: [b], relu: true });
 */
import type { Emitter } from './model.js';

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;

/** How operators of the engine's blocks of channels are made. */
export interface BlockOperators {
  readonly g: Emitter;
  /** Channels in a block. */
  readonly size: number;
  own(op: string, inputs: readonly string[], attributes: Attributes): string;
}

/** A kernel of single channels along one side: entries, how far apart they are, zeros before and after the side. */
interface Taps {
  readonly entries: readonly number[];
  readonly apart: number;
  readonly before: number;
  readonly after: number;
}

const FOUR = [0, 1, 2, 3] as const;
/** Bᵀ: of the four pixels of a tile, which two are added, and their signs. */
const IMAGE = [
  [0, 1, 2, -1],
  [1, 1, 2, 1],
  [1, -1, 2, 1],
  [1, -1, 3, 1],
] as const;
/** A: how the four numbers come of two pixels. */
const RESULT = [[1], [1, 1], [1, -1], [0, 1]] as const;
const KERNEL = [
  [1, 0, 0],
  [0.5, 0.5, 0.5],
  [0.5, -0.5, 0.5],
  [0, 0, 1],
] as const;

const WHOLE: Taps = { entries: [1], apart: 1, before: 0, after: 0 };

/** G ⊗ G, [16, 9]: of a kernel's entries, what its tiles are multiplied with. */
const KERNEL_MAP = Float32Array.from({ length: 16 * 9 }, (_, at) => {
  const [q, e] = [Math.floor(at / 9), at % 9];
  return KERNEL[q >> 2][Math.floor(e / 3)] * KERNEL[q & 3][e % 3];
});

/** Filters of the model that is being made, by what they hold: a model keeps the same array once. */
const filters = new WeakMap<Emitter, Map<string, Float32Array>>();

/** One filter for every channel, as the engine takes it: [C, 1, rows, columns] in blocks of channels. */
function filterOf(
  { g, size }: BlockOperators,
  channels: number,
  { entries: rows }: Taps,
  { entries: columns }: Taps,
): Float32Array {
  const made = filters.get(g) ?? new Map<string, Float32Array>();
  filters.set(g, made);
  const key = `${channels} ${size} ${rows} by ${columns}`;
  const one = rows.flatMap((a) => columns.flatMap((b) => Array<number>(size).fill(a * b)));
  const filter =
    made.get(key) ?? Float32Array.from({ length: (channels / size) * one.length }, (_, i) => one[i % one.length]);
  made.set(key, filter);
  return filter;
}

/** Row i of Bᵀ for a side of `length` pixels in a frame of `padding` zeros. */
function imageTaps(i: number, padding: number, length: number): Taps {
  const [first, a, second, b] = IMAGE[i];
  const before = Math.max(0, padding - first);
  // Where a tile begins further inwards than its first entry, the entries before it are zeros.
  const lead = Math.max(0, first - padding);
  const entries = lead === 0 ? [a, b] : [...Array<number>(lead).fill(0), a, ...(second - first === 2 ? [0] : []), b];
  const apart = lead === 0 ? second - first : 1;
  const tiles = (length + 2 * padding - 2) / 2;
  const reach = 2 * (tiles - 1) + apart * (entries.length - 1) + 1;
  return { entries, apart, before, after: Math.max(0, reach - length - before) };
}

const resultTaps = (i: number): Taps => ({ ...WHOLE, entries: RESULT[i] });

function filtered(
  v: BlockOperators,
  x: string,
  channels: number,
  rows: Taps,
  columns: Taps,
  strides: readonly number[],
) {
  const filter = v.g.floats(filterOf(v, channels, rows, columns), [
    channels,
    1,
    rows.entries.length,
    columns.entries.length,
  ]);
  return v.own('Conv', [x, filter], {
    kernel_shape: [rows.entries.length, columns.entries.length],
    pads: [rows.before, columns.before, rows.after, columns.after],
    strides,
    dilations: [rows.apart, columns.apart],
    group: channels,
  });
}

/** The 16 numbers of every tile, [n, C, h/2, w/2] each in blocks: along rows first, and then along columns. */
function tiles(
  v: BlockOperators,
  x: string,
  channels: number,
  rows: readonly Taps[],
  columns: readonly Taps[],
): string[] {
  return rows.flatMap((row) => {
    const half = filtered(v, x, channels, row, WHOLE, [2, 1]);
    return columns.map((column) => filtered(v, half, channels, WHOLE, column, [1, 2]));
  });
}

function imageTiles(v: BlockOperators, x: string, [, c, h, w]: readonly number[], padding: number): string[] {
  const taps = (length: number) => FOUR.map((i) => imageTaps(i, padding, length));
  return tiles(v, x, c, taps(h), taps(w));
}

/**
 * G w Gᵀ of a kernel [Co, Ci, 3, 3] as 16 kernels of single pixels, arranged in blocks. `turned`: of the kernel turned by 180° with its
 * channels swapped, whose G w Gᵀ has the same numbers elsewhere.
 */
export function winogradKernels(
  g: Emitter,
  w: string,
  [co, ci]: readonly [co: number, ci: number],
  { size, turned = false }: { readonly size: number; readonly turned?: boolean },
): string[] {
  const map = g.floats(KERNEL_MAP, [16, 9]);
  const all = g.op('Gemm', [map, g.reshape(w, [co * ci, 9])], { transB: 1 }); // [16, Co·Ci]
  const arranged = turned
    ? g.transpose(g.reshape(all, [16, co, ci / size, size]), [0, 2, 1, 3])
    : g.transpose(g.reshape(all, [(16 * co) / size, size, ci]), [0, 2, 1]);
  const rows = turned ? ci : co;
  const each = g.reshape(arranged, [16 * rows, turned ? co : ci, 1, 1]);
  const turn = (i: number) => (turned ? [3, 1, 2, 0][i] : i);
  return FOUR.flatMap((i) =>
    FOUR.map((j) => {
      const q = 4 * turn(i) + turn(j);
      return g.slice(each, [0], [q * rows], [(q + 1) * rows]);
    }),
  );
}

/** A convolution: the image in blocks, its shape, the kernels of {@link winogradKernels}, zeros around the image. */
export interface WinogradConvolution {
  readonly image: string;
  readonly shape: readonly number[];
  readonly kernels: readonly string[];
  readonly padding: number;
}

/** The four pixels that come of every tile, in reading order: images [n, Co, h/2, w/2] in blocks. */
export function winogradQuarters(
  v: BlockOperators,
  { image, shape, kernels, padding }: WinogradConvolution,
  { bias = [], relu = false }: { readonly bias?: readonly string[]; readonly relu?: boolean },
): string[] {
  const { g } = v;
  const parts = imageTiles(v, image, shape, padding);
  const product = (i: number, j: number, added: readonly string[] = [], activation: Attributes = {}) =>
    v.own('Conv', [parts[4 * i + j], kernels[4 * i + j], ...added], {
      kernel_shape: [1, 1],
      pads: [0, 0, 0, 0],
      strides: [1, 1],
      dilations: [1, 1],
      group: 1,
      ...activation,
    });
  const sum = (a: string, b: string) => g.op('Add', [a, b]);
  const difference = (a: string, b: string) => g.op('Sub', [a, b]);
  // The product of (1, 1) is in all four pixels, so the bias goes with it.
  const inner = FOUR.map((j) => [product(1, j, j === 1 ? bias : []), product(2, j)] as const);
  const last: Attributes = relu ? { activation: 'Relu' } : {};
  return [sum, difference].flatMap((along, r) => {
    const row = 3 * r;
    const pairs = inner.map(([a, b]) => along(a, b));
    const [left, right] = [1, 2].map((j) => product(row, j, ['', pairs[j]]));
    const corner = (j: number, value: string) => product(row, j, ['', sum(value, pairs[j])], last);
    return [corner(0, sum(left, right)), corner(3, difference(left, right))];
  });
}

/** The gradient of a kernel [Co, Ci, 3, 3], plain, from image and gradient in blocks: 16 products over tiles. */
export function winogradKernelGradient(
  v: BlockOperators,
  [image, imageShape]: readonly [name: string, shape: readonly number[]],
  [gradient, gradientShape]: readonly [name: string, shape: readonly number[]],
  padding: number,
): string {
  const { g } = v;
  const [n, co, h, w] = gradientShape;
  const ci = imageShape[1];
  // Tiles as rows, channels as columns.
  const flat = (x: string, channels: number) =>
    g.reshape(v.own('ReorderOutput', [x], { channels, channels_last: 1 }), [(n * h * w) / 4, channels]);
  const taps = FOUR.map(resultTaps);
  const ofGradient = tiles(v, gradient, co, taps, taps);
  const ofImage = imageTiles(v, image, imageShape, padding);
  const products = ofImage.map((x, q) =>
    g.reshape(g.op('Gemm', [flat(ofGradient[q], co), flat(x, ci)], { transA: 1 }), [1, co * ci]),
  );
  const entries = g.op('Gemm', [g.concat(products, 0), g.floats(KERNEL_MAP, [16, 9])], { transA: 1 });
  return g.reshape(entries, [co, ci, 3, 3]);
}

/**
 * Where images in blocks of channels (`blocked.ts`), and convolutions on tiles in them (`winograd.ts`), pay. It is decided by a layer's
 * shapes alone, and where its kernel is constant not by the batch: what a network paints must not depend on who shares its batch, nor on
 * what was computed before.
 *
 * @example
 * const { blocks, tiles } = layoutOf(program, (node) => isOp(node, 'state') && node.attrs.name in weights);
 */
import type { Shape } from '../../core/tensor.js';
import { type GraphNode, isOp } from '../../graph/node.js';
import type { Program } from '../../graph/program.js';

/** Pixels of a batch. */
const LEAST_PIXELS = 2048;
/** Channels from which plain images are as good. */
const MANY_CHANNELS = 256;
/** Multiplications by one entry of a kernel from which the 60 nodes of Winograd's algorithm are little. */
const LEAST_WORK = 2 ** 24;
/** Images that a batch is taken to have where kernels are constant. */
const USUAL_BATCH = 16;
/** How many channels engines have in a block. */
const SIZES = [8, 16] as const;

/** Where blocks and tiles are taken: where they pay, or, to try them, wherever they can be. */
export type Taken = 'where it pays' | 'everywhere';

/** Whether a value is a part of the model. */
export type IsConstant = (node: GraphNode) => boolean;

/** What a layout is decided by, besides a layer's shapes. */
export interface Layout {
  /** Channels in a block. */
  readonly size: number;
  readonly constant: IsConstant;
  /** Where it pays, if not given. */
  readonly taken?: Taken;
}

/** Whether images of this shape can be in blocks of so many channels. */
export function fitsBlocks(shape: Shape, size: number): boolean {
  return shape.length === 4 && shape[1] % size === 0;
}

/**
 * Whether it pays to compute the result of a convolution in blocks, other than of single pixels. What is saved is laying out windows of
 * pixels, which matters less the more channels are made of them; a kernel that changes takes as long to arrange as is saved on
 * {@link LEAST_PIXELS}.
 */
export function blocksPay({ shape, inputs: [image, kernel] }: GraphNode, { size, constant, taken }: Layout): boolean {
  const [b, channels, h, w] = shape;
  // Images of less than a block of channels are taken plain.
  const fits = fitsBlocks(shape, size) && (image.shape[1] < size || fitsBlocks(image.shape, size));
  const large = b * h * w >= LEAST_PIXELS && channels < MANY_CHANNELS;
  return fits && (taken === 'everywhere' || constant(kernel) || large);
}

/** How many channels there are on both sides together, as the moves of values count beside the products: Ci·Co / (Ci + Co). */
const width = (co: number, ci: number) => (co * ci) / (co + ci);

/**
 * Whether tiles pay between images of these channels and sides.
 * @param least width from which they do
 */
function between([co, ci, k]: Shape, [b, , h, w]: Shape, least: number, { size, taken }: Layout): boolean {
  const fits = k === 3 && co % size === 0 && ci % size === 0 && h % 2 === 0 && w % 2 === 0;
  return fits && (taken === 'everywhere' || (width(co, ci) >= least && b * h * w * co * ci >= LEAST_WORK));
}

/** Whether a convolution of stride 1, or the gradient of its image, is faster by Winograd's algorithm. */
export function tilesPay(
  { shape: [b, ...image], inputs: [, kernel] }: GraphNode<'conv2d' | 'conv2dInputGrad'>,
  layout: Layout,
): boolean {
  return between(kernel.shape, [layout.constant(kernel) ? USUAL_BATCH : b, ...image], 64, layout);
}

/** The same of the gradient of its kernel, for which other ways move more. */
export function kernelTilesPay({ shape, inputs: [, image] }: GraphNode<'conv2dFilterGrad'>, layout: Layout): boolean {
  return between(shape, image.shape, image.shape[2] * image.shape[3] <= 1024 ? 32 : 64, layout);
}

const CONVOLUTIONS: ReadonlySet<string> = new Set([
  'conv2d',
  'conv2dInputGrad',
  'transposedConv2d',
  'transposedConv2dInputGrad',
  'upConv2d',
  'upConv2dInputGrad',
]);

/** What a program may have of it, whatever the size of a block: where it has no blocks, all layouts give the same model. */
export function layoutOf(
  { nodes }: Program,
  constant: IsConstant,
): { readonly blocks: boolean; readonly tiles: boolean } {
  const onTiles = (node: GraphNode, layout: Layout) =>
    isOp(node, 'conv2dFilterGrad')
      ? kernelTilesPay(node, layout)
      : (isOp(node, 'conv2d') || isOp(node, 'conv2dInputGrad')) && tilesPay(node, layout);
  // Single pixels stay in blocks where their image is; they are no reason to begin.
  const inBlocks = (node: GraphNode, layout: Layout) =>
    CONVOLUTIONS.has(node.op) && ((node.inputs[1].shape[2] > 1 && blocksPay(node, layout)) || onTiles(node, layout));
  const any = (of: (node: GraphNode, layout: Layout) => boolean) =>
    nodes.some((node) => SIZES.some((size) => of(node, { size, constant })));
  const blocks = any(inBlocks);
  return { blocks, tiles: blocks && any(onTiles) };
}

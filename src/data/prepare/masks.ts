/** Masks of detector pixels that cannot be used, 1 (true) = bad: read, joined, and taken through what frames go through. */
import { formatShape, type Tensor } from '../../core/tensor.js';
import { expectReal } from '../../formats/npy.js';
import { type NpyOrigin, npyError } from '../../formats/npyHeader.js';
import { readArrayFile } from '../opening/arrayFile.js';
import type { OpenDatasetOptions } from '../options.js';
import type { PatternView } from '../patternSource.js';
import type { ScanFile, StoredPatterns } from '../scanFile.js';
import { type CropWindow, copyWindow, type FrameLayout, layMask } from './frameLayout.js';
import { addTo, judgePixels } from './pixels.js';
import type { Sample } from './sample.js';

/** Where masks are when nobody says. */
const MASK_KEYS = ['bad_pixels', 'mask', 'pixel_mask'] as const;

/** A mask and where it is from. */
export interface FoundMask {
  readonly mask: Tensor<Uint8Array>;
  readonly origin: NpyOrigin;
}

/**
 * Reads the mask that `FILE[:key]` names (`bad_pixels`, `mask` or `pixel_mask` when the key is left out); whatever is not 0
 * is bad.
 * @throws PtychoError DATASET_VALUE for text or complex numbers, and those of reading the file.
 */
export async function readBadPixels(spec: string, allowLinks?: readonly string[]): Promise<FoundMask> {
  const { array, origin } = await readArrayFile(spec, MASK_KEYS, 'the mask', allowLinks);
  const { data, shape } = expectReal(array, origin);
  const mask = Uint8Array.from(data as ArrayLike<number>, (v) => (v === 0 ? 0 : 1));
  return { mask: { data: mask, shape: shape.filter((length) => length !== 1) }, origin };
}

/**
 * The mask of the finished patterns, (N, N).
 * @param mask (height, width) of the frames, or (N, N) of the patterns before they are transposed.
 * @throws PtychoError DATASET_SHAPE for another shape; DATASET_VALUE when no pixel is left.
 */
export function maskOfPatterns(
  { mask, origin }: FoundMask,
  { height, width }: StoredPatterns,
  window: CropWindow | undefined,
  transpose: boolean,
): Uint8Array {
  const side = window?.side ?? width;
  const [rows, columns] = mask.shape;
  const ofFrames = rows === height && columns === width;
  if (mask.shape.length !== 2 || !(ofFrames || (rows === side && columns === side))) {
    throw npyError(
      'DATASET_SHAPE',
      origin,
      `has shape ${formatShape(mask.shape)}, but a mask of bad pixels must have the shape of the patterns, (${height}, ${width}).`,
      { found: mask.shape, expected: [height, width] },
    );
  }
  const whole = { row: 0, column: 0, side };
  const finished = new Uint8Array(side * side);
  copyWindow(mask.data, columns, ofFrames ? (window ?? whole) : whole, transpose, finished);
  const bad = finished.reduce((sum, v) => sum + v, 0);
  if (bad === finished.length) {
    throw npyError(
      'DATASET_VALUE',
      origin,
      `marks all ${side}×${side} pixels as bad; true must mean bad: where it means good, give --invert_mask.`,
      { found: bad },
    );
  }
  return finished;
}

/** The mask that is given, or the file's. */
export async function findMask(file: ScanFile, options: OpenDatasetOptions): Promise<FoundMask | undefined> {
  const found = options.bad_pixels
    ? await readBadPixels(options.bad_pixels, options.allow_links)
    : file.badPixels && { mask: file.badPixels, origin: { path: file.path, member: 'bad_pixels' } };
  if (!found || !options.invert_mask) return found;
  const { data, shape } = found.mask;
  return { mask: { data: data.map((bad) => (bad ? 0 : 1)), shape }, origin: found.origin };
}

/** Masks of whole frames as one. */
export function maskOf(
  { path, patterns: { height, width } }: ScanFile,
  masks: readonly (Uint8Array | undefined)[],
): FoundMask | undefined {
  const some = masks.filter((mask) => mask !== undefined);
  if (some.length === 0) return undefined;
  const data = new Uint8Array(height * width);
  for (const mask of some) addTo(data, mask);
  return { mask: { data, shape: [height, width] }, origin: { path } };
}

/** The patterns looked at before pixels are added up: only then do their numbers say what they are. */
export async function unbinned(
  sample: Sample,
  layout: FrameLayout,
  view: PatternView,
  noData: Uint8Array | undefined,
): Promise<Float32Array> {
  const fine = { ...layout, rebin: 1, N: layout.padded };
  const { pixels } = await sample.as(fine, () => 'count_intensity', { ...view, window: undefined });
  const { height, width } = sample.frames;
  const square = layMask(noData, [height, width], fine);
  judgePixels(pixels, fine.N, { given: view.transpose ? transposed(square, fine.N) : square, dtype: 'float32' });
  return pixels;
}

function transposed(mask: Uint8Array, side: number): Uint8Array {
  return mask.map((_, p) => mask[(p % side) * side + Math.floor(p / side)]);
}

/** A mask of whole frames goes through what they go through; pixels that a moved frame does not reach are bad. */
export function laidMask(
  found: FoundMask | undefined,
  { height, width }: StoredPatterns,
  layout: FrameLayout,
): FoundMask {
  const ofFrames = found && found.mask.shape[0] === height && found.mask.shape[1] === width;
  if (found && !ofFrames) return found;
  const data = layMask(found?.mask.data, [height, width], layout);
  return { mask: { data, shape: [layout.N, layout.N] }, origin: found?.origin ?? { path: 'crop_center_px' } };
}

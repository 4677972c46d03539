/** Masks of detector pixels that cannot be used: 1 (true) = bad. */
import { PtychoError } from '../../core/errors.js';
import { formatShape, type Tensor } from '../../core/tensor.js';
import { expectReal } from '../../formats/npy.js';
import { type NpyOrigin, nameOf } from '../../formats/npyHeader.js';
import type { StoredPatterns } from '../scanFile.js';
import { readArrayFile } from './arrayFile.js';
import { type CropWindow, copyWindow } from './crop.js';

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
    throw new PtychoError(
      'DATASET_SHAPE',
      `${nameOf(origin)} has shape ${formatShape(mask.shape)}, but a mask of bad pixels must have the shape of the patterns, (${height}, ${width}).`,
      { path: origin.path, key: origin.member, found: mask.shape, expected: [height, width] },
    );
  }
  const whole = { row: 0, column: 0, side };
  const finished = new Uint8Array(side * side);
  copyWindow(mask.data, columns, ofFrames ? (window ?? whole) : whole, transpose, finished);
  const bad = finished.reduce((sum, v) => sum + v, 0);
  if (bad === finished.length) {
    throw new PtychoError(
      'DATASET_VALUE',
      `${nameOf(origin)} marks all ${side}×${side} pixels as bad; true must mean bad: where it means good, give --invert_mask.`,
      { path: origin.path, key: origin.member, found: bad },
    );
  }
  return finished;
}

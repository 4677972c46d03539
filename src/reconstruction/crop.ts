/** The central square of patches. */
import { PtychoError } from '../core/errors.js';
import type { Tensor } from '../core/tensor.js';

/** Where the central M×M pixels of an N×N patch begin, along either axis: pixel ⌊N/2⌋ becomes pixel ⌊M/2⌋. */
export function cropStart(side: number, cropSide: number): number {
  return Math.floor(side / 2) - Math.floor(cropSide / 2);
}

/**
 * The central M×M of an (N, N) array.
 * @throws PtychoError CONFIG_INVALID when M > N
 */
export function cutCentre({ data, shape }: Tensor, cropSide: number): Float32Array {
  const side = shape[0];
  if (cropSide > side) throw cropError(cropSide, side);
  const skip = cropStart(side, cropSide);
  const out = new Float32Array(cropSide * cropSide);
  for (let i = 0; i < cropSide; i++) {
    const from = (skip + i) * side + skip;
    out.set(data.subarray(from, from + cropSide), i * cropSide);
  }
  return out;
}

/** The error for a crop that is no part of a patch. */
export function cropError(cropSide: number, side: number | string): PtychoError {
  return new PtychoError(
    'CONFIG_INVALID',
    `Stitching uses the central M×M pixels of each N×N patch, so M must be a whole number with 0 < M ≤ N; got M = ${cropSide}, N = ${side}.`,
    { key: 'M', found: cropSide, expected: `1 to ${side}` },
  );
}

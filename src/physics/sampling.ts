/**
 * Bilinear sampling of images: the one interpolation rule of the project.
 *
 * A value between pixels is the mean of its four neighbours weighted by nearness; a neighbour outside the image counts as
 * zero, each of the four on its own, so edges fade linearly over one pixel.
 */
import { PtychoError } from '../core/errors.js';
import { type ComplexImage, type ComplexTensor, formatShape } from '../core/tensor.js';

/** Arrays that hold images. */
export type FloatArray = Float32Array | Float64Array;

/**
 * Samples a window of a real plane: out[i, j] = plane(y + i, x + j), i < outRows, j < outCols, bilinear, zeros outside.
 *
 * @param out receives outRows·outCols values from `outOffset` on
 */
export function sampleWindow(
  plane: FloatArray,
  rows: number,
  cols: number,
  y: number,
  x: number,
  out: FloatArray,
  outRows: number,
  outCols: number,
  outOffset = 0,
  planeOffset = 0,
): void {
  const y0 = Math.floor(y);
  const x0 = Math.floor(x);
  const fy = y - y0;
  const fx = x - x0;
  const w00 = (1 - fy) * (1 - fx);
  const w01 = (1 - fy) * fx;
  const w10 = fy * (1 - fx);
  const w11 = fy * fx;
  for (let i = 0; i < outRows; i++) {
    const r = y0 + i;
    const top = planeOffset + r * cols;
    const dst = outOffset + i * outCols;
    if (r >= 0 && r + 1 < rows && x0 >= 0 && x0 + outCols < cols) {
      for (let j = 0, s = top + x0; j < outCols; j++, s++) {
        out[dst + j] = w00 * plane[s] + w01 * plane[s + 1] + w10 * plane[s + cols] + w11 * plane[s + cols + 1];
      }
      continue;
    }
    const topIn = r >= 0 && r < rows;
    const bottomIn = r + 1 >= 0 && r + 1 < rows;
    for (let j = 0; j < outCols; j++) {
      const c = x0 + j;
      const leftIn = c >= 0 && c < cols;
      const rightIn = c + 1 >= 0 && c + 1 < cols;
      let value = 0;
      if (topIn && leftIn) value += w00 * plane[top + c];
      if (topIn && rightIn) value += w01 * plane[top + c + 1];
      if (bottomIn && leftIn) value += w10 * plane[top + cols + c];
      if (bottomIn && rightIn) value += w11 * plane[top + cols + c + 1];
      out[dst + j] = value;
    }
  }
}

/** The rows and columns of an image. @throws PtychoError DATASET_SHAPE when it is not two-dimensional. */
export function imageSides(image: { readonly shape: readonly number[] }, what = 'An image'): [number, number] {
  if (image.shape.length !== 2) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${what} must have shape (rows, columns), found ${formatShape(image.shape)}.`,
      {
        expected: '(rows, columns)',
        found: image.shape,
      },
    );
  }
  return [image.shape[0], image.shape[1]];
}

/**
 * What a pixel of a known patch is fed as that is not known after all (NaN in the file): a real part that no object has. Losses leave
 * it out.
 */
export const UNKNOWN_LABEL = -1e6;

/**
 * Cuts the N×N patch that a probe at scan position (y, x) sees: patch[i, j] = object(y − N/2 + i, x − N/2 + j), so patch
 * pixel (N/2, N/2) lies on the position. Integer positions give exactly object[y−N/2 : y+N/2, x−N/2 : x+N/2]; between
 * pixels bilinear; zeros outside the object.
 *
 * @param y, x position in object pixels (row, column)
 */
export function extractPatch<T extends FloatArray>(
  object: ComplexImage<T>,
  y: number,
  x: number,
  side: number,
): ComplexImage<T> {
  const patches = extractPatches(object, [x], [y], side);
  return { re: patches.re, im: patches.im, shape: [side, side] };
}

/**
 * {@link extractPatch} at every position: patches (n, N, N).
 * @throws PtychoError DATASET_SHAPE when xs and ys differ in length
 */
export function extractPatches<T extends FloatArray>(
  object: ComplexImage<T>,
  xs: ArrayLike<number>,
  ys: ArrayLike<number>,
  side: number,
): ComplexTensor<T> {
  const [rows, cols] = imageSides(object, 'An object');
  const n = requireEqualLengths(xs, ys);
  const re = emptyLike(object.re, n * side * side);
  const im = emptyLike(object.im, n * side * side);
  const half = Math.floor(side / 2);
  for (let k = 0; k < n; k++) {
    const at = k * side * side;
    sampleWindow(object.re, rows, cols, ys[k] - half, xs[k] - half, re, side, side, at);
    sampleWindow(object.im, rows, cols, ys[k] - half, xs[k] - half, im, side, side, at);
  }
  return { re, im, shape: [n, side, side] };
}

/** The common length of x and y coordinates. @throws PtychoError DATASET_SHAPE when they differ. */
export function requireEqualLengths(xs: ArrayLike<number>, ys: ArrayLike<number>): number {
  if (xs.length !== ys.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `There are ${xs.length} x and ${ys.length} y coordinates; a scan needs one of each per position.`,
      { xs: xs.length, ys: ys.length },
    );
  }
  return xs.length;
}

/** A zeroed array of the same type. */
export function emptyLike<T extends FloatArray>(array: T, length: number = array.length): T {
  return (array instanceof Float64Array ? new Float64Array(length) : new Float32Array(length)) as T;
}

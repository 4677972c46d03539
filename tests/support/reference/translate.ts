/** Whole images moved by the bilinear rule of `src/physics/sampling.ts`, as the published code moves them. */
import type { ComplexImage, Tensor } from '../../../src/core/tensor.js';
import { emptyLike, type FloatArray, imageSides, sampleWindow } from '../../../src/physics/sampling.js';

/**
 * Moves the content of a real image by t = [tx, ty] pixels: out(x) = in(x − t), bilinear, zeros outside.
 * Positive t moves content toward larger x (columns) and y (rows).
 */
export function translateReal<T extends FloatArray>(image: Tensor<T>, [tx, ty]: readonly [number, number]): Tensor<T> {
  const [rows, cols] = imageSides(image);
  const data = emptyLike(image.data);
  sampleWindow(image.data, rows, cols, -ty, -tx, data, rows, cols);
  return { data, shape: image.shape };
}

/** {@link translateReal} for a complex image; real and imaginary parts are interpolated apart. */
export function translate<T extends FloatArray>(
  image: ComplexImage<T>,
  [tx, ty]: readonly [number, number],
): ComplexImage<T> {
  const [rows, cols] = imageSides(image);
  const re = emptyLike(image.re);
  const im = emptyLike(image.im);
  sampleWindow(image.re, rows, cols, -ty, -tx, re, rows, cols);
  sampleWindow(image.im, rows, cols, -ty, -tx, im, rows, cols);
  return { re, im, shape: image.shape };
}

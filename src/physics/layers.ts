/**
 * Objects of several layers, which light passes one after the other. Everything here that knows one image of an object sees their
 * product, which is what a thin object with the same effect would be.
 *
 * @example
 * const image = projection({ re, im, shape: [3, rows, columns] }); // (rows, columns)
 */
import { type ComplexImage, type ComplexTensor, sizeOf } from '../core/tensor.js';

/** The layers of an object, (layers, rows, columns), and the distances from each to the next, metres. */
export interface ObjectLayers {
  readonly array: ComplexTensor;
  readonly spacing_m: Float64Array;
}

/** The thin object that layers are together: their product, (rows, columns). */
export function projection(array: ComplexTensor): ComplexImage {
  const shape = array.shape.slice(-2);
  const area = sizeOf(shape);
  const [re, im] = [array.re.slice(0, area), array.im.slice(0, area)];
  for (let at = area; at < array.re.length; at++) {
    const p = at % area;
    [re[p], im[p]] = [re[p] * array.re[at] - im[p] * array.im[at], re[p] * array.im[at] + im[p] * array.re[at]];
  }
  return { re, im, shape };
}

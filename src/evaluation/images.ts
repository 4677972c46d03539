/** Small operations on images that every metric starts with. */

import { PtychoError } from '../core/errors.js';
import { moduliOf } from '../core/numbers.js';
import { type ComplexImage, formatShape, sameShape, type Tensor } from '../core/tensor.js';

/** A complex image (rows, cols) in either precision. */
export type EvaluatedImage = ComplexImage<Float32Array | Float64Array>;

/** Every metric of an image is two numbers. */
export interface MetricPair {
  readonly amplitude: number;
  readonly phase: number;
}

/** |z| of every pixel. */
export function modulusOf(z: EvaluatedImage): Tensor<Float64Array> {
  return { data: moduliOf(z), shape: z.shape };
}

/** arg z of every pixel, (−π, π]. */
export function phaseOf(z: EvaluatedImage): Tensor<Float64Array> {
  return { data: Float64Array.from({ length: z.re.length }, (_, i) => Math.atan2(z.im[i], z.re[i])), shape: z.shape };
}

/** A real image as a complex one. */
export function asComplex(image: Tensor<Float64Array>): ComplexImage<Float64Array> {
  return { re: image.data, im: new Float64Array(image.data.length), shape: image.shape };
}

/** The rectangle of an image from (top, left). The caller sees to it that it lies inside. */
export function cutImage<T extends EvaluatedImage>(
  image: T,
  top: number,
  left: number,
  height: number,
  width: number,
): T {
  const cols = image.shape[1];
  const cut = (plane: Float32Array | Float64Array) => {
    const out = plane instanceof Float64Array ? new Float64Array(height * width) : new Float32Array(height * width);
    for (let r = 0; r < height; r++) {
      const from = (top + r) * cols + left;
      out.set(plane.subarray(from, from + width), r * width);
    }
    return out;
  };
  return { re: cut(image.re), im: cut(image.im), shape: [height, width] } as unknown as T;
}

/** The central rectangle; where the difference is odd, the smaller part lies before it. */
export function centreCut<T extends EvaluatedImage>(image: T, height: number, width: number): T {
  const [rows, cols] = image.shape;
  return cutImage(image, Math.floor((rows - height) / 2), Math.floor((cols - width) / 2), height, width);
}

/** @throws PtychoError DATASET_SHAPE unless both are images of one shape */
export function requireSameImage(image: EvaluatedImage, truth: EvaluatedImage): void {
  if (image.shape.length === 2 && sameShape(image.shape, truth.shape)) return;
  throw new PtychoError(
    'DATASET_SHAPE',
    `A reconstruction of shape ${formatShape(image.shape)} cannot be compared with a truth of shape ${formatShape(truth.shape)}; bring both to one frame first (alignForEvaluation, or registerImages with applyRegistration).`,
    { image: image.shape, truth: truth.shape },
  );
}

/** Mean absolute and mean square difference. */
export function meanErrors(a: ArrayLike<number>, b: ArrayLike<number>): { readonly mae: number; readonly mse: number } {
  let [absolute, square] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const d = a[i] - b[i];
    absolute += Math.abs(d);
    square += d * d;
  }
  return { mae: absolute / a.length, mse: square / a.length };
}

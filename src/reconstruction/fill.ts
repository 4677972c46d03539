/** What stands where an image does not reach. */
import type { ComplexImage, Tensor } from '../core/tensor.js';

/** What is known of an image's coverage. */
export interface FillOptions {
  /** Stands for the object where the image does not reach; default: the mean of the image over covered pixels. */
  readonly fill?: { readonly re: number; readonly im: number };
  /** Weight plane of a stitched image: pixels where it is 0 are not covered and take `fill`. */
  readonly overlapCount?: Tensor;
}

/** The image with uncovered pixels replaced, and the fill that was used. */
export function fillUncovered(image: ComplexImage, options: FillOptions = {}) {
  const weight = options.overlapCount?.data;
  let { fill } = options;
  if (!fill) {
    let [re, im, n] = [0, 0, 0];
    for (let i = 0; i < image.re.length; i++) {
      if (weight && weight[i] === 0) continue;
      re += image.re[i];
      im += image.im[i];
      n++;
    }
    fill = { re: re / Math.max(1, n), im: im / Math.max(1, n) };
  }
  if (!weight) return { image, fill };
  const { re: fillRe, im: fillIm } = fill;
  const re = image.re.map((v, i) => (weight[i] === 0 ? fillRe : v));
  const im = image.im.map((v, i) => (weight[i] === 0 ? fillIm : v));
  return { image: { re, im, shape: image.shape }, fill };
}

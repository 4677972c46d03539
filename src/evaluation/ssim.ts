/** Structural similarity of two images. */
import { PtychoError } from '../core/errors.js';
import { formatShape, type Tensor } from '../core/tensor.js';
import { gaussianBlur } from '../physics/gaussian.js';

/** Options of {@link gaussianSsim}. */
export interface GaussianSsimOptions {
  /** Width of the Gaussian window, pixels (default 1.5); it ends at ⌊3.5σ + ½⌋ pixels. */
  readonly sigma?: number;
  /** Range of the values; default: largest minus smallest of the truth. */
  readonly dataRange?: number;
}

/**
 * Mean structural similarity of two images (rows, cols) under a Gaussian window, population covariances, K1 = 0.01, K2 = 0.03;
 * a border of the window's radius is left out of the mean. Equal images have 1.
 * Source: Wang, Bovik, Sheikh & Simoncelli, IEEE Trans. Image Process. 13, 600 (2004).
 *
 * @throws PtychoError DATASET_SHAPE when the shapes differ or the images are smaller than the window
 * @example
 * gaussianSsim(reconstructedAmplitude, trueAmplitude); // 0.93
 */
export function gaussianSsim(
  image: Tensor<Float64Array>,
  truth: Tensor<Float64Array>,
  options: GaussianSsimOptions = {},
): number {
  const { sigma = 1.5 } = options;
  const [rows, cols] = truth.shape;
  const radius = Math.floor(3.5 * sigma + 0.5);
  if (image.data.length !== truth.data.length || image.shape[0] !== rows || Math.min(rows, cols) <= 2 * radius) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `Structural similarity compares two images of one shape, larger than ${2 * radius} pixels; found ${formatShape(image.shape)} and ${formatShape(truth.shape)}.`,
      { image: image.shape, truth: truth.shape },
    );
  }
  const range = options.dataRange ?? spanOf(truth.data);
  const c1 = (0.01 * range) ** 2;
  const c2 = (0.03 * range) ** 2;
  const blur = (of: (i: number) => number) =>
    gaussianBlur(
      { data: Float64Array.from({ length: truth.data.length }, (_, i) => of(i)), shape: truth.shape },
      sigma,
      {
        radius,
      },
    ).data;
  const [a, b] = [image.data, truth.data];
  const meanA = blur((i) => a[i]);
  const meanB = blur((i) => b[i]);
  const aa = blur((i) => a[i] * a[i]);
  const bb = blur((i) => b[i] * b[i]);
  const ab = blur((i) => a[i] * b[i]);
  let sum = 0;
  for (let r = radius; r < rows - radius; r++) {
    for (let c = radius; c < cols - radius; c++) {
      const i = r * cols + c;
      const [ma, mb] = [meanA[i], meanB[i]];
      const similarity =
        ((2 * ma * mb + c1) * (2 * (ab[i] - ma * mb) + c2)) /
        ((ma * ma + mb * mb + c1) * (aa[i] - ma * ma + (bb[i] - mb * mb) + c2));
      sum += similarity;
    }
  }
  return sum / ((rows - 2 * radius) * (cols - 2 * radius));
}

function spanOf(values: Float64Array): number {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const v of values) {
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  return high - low;
}

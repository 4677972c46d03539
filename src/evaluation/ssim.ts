/** Structural similarity of two images. */
import { PtychoError } from '../core/errors.js';
import { spanOf } from '../core/numbers.js';
import { formatShape, sameShape, type Tensor } from '../core/tensor.js';
import {
  gaussianSimilarityWindow,
  type SimilarityWindow,
  similarityOf,
  uniformSimilarityWindow,
} from './similarity.js';

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
  const window = gaussianSimilarityWindow(options.sigma ?? 1.5);
  return ssimUnder(window, image, truth, options.dataRange);
}

/**
 * The same under a square window of 7 pixels with sample covariances: what the published tools report.
 * @throws PtychoError DATASET_SHAPE when the shapes differ or the images are smaller than the window
 */
export function uniformSsim(image: Tensor<Float64Array>, truth: Tensor<Float64Array>, dataRange?: number): number {
  return ssimUnder(uniformSimilarityWindow(7), image, truth, dataRange);
}

function ssimUnder(
  window: SimilarityWindow,
  image: Tensor<Float64Array>,
  truth: Tensor<Float64Array>,
  dataRange = spanOf(truth.data),
): number {
  const [rows, cols] = truth.shape;
  if (!sameShape(image.shape, truth.shape) || Math.min(rows, cols) <= 2 * window.radius) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `Structural similarity compares two images of one shape, larger than ${2 * window.radius} pixels; found ${formatShape(image.shape)} and ${formatShape(truth.shape)}.`,
      { image: image.shape, truth: truth.shape },
    );
  }
  return similarityOf(image, truth, window, dataRange).ssim;
}

/** Structural similarity, its local statistics, and over several scales: as published, and as Wang, Simoncelli and Bovik define it. */

import { PtychoError } from '../core/errors.js';
import { spanOf } from '../core/numbers.js';
import { formatShape, sameShape, type Tensor } from '../core/tensor.js';
import { gaussianBlur, slidingSums } from '../physics/gaussian.js';

/** A window of local statistics. */
export interface SimilarityWindow {
  /** Weighted local means (rows, cols); pixels nearer to the edge than `radius` are not used. */
  means(values: Tensor<Float64Array>): Float64Array;
  readonly radius: number;
  /** Variances are multiplied by this: n/(n−1) for sample statistics, 1 for population. */
  readonly varianceFactor: number;
}

/** Means over the pixels whose whole window lies inside. */
export interface Similarity {
  /** Luminance × contrast × structure. */
  readonly ssim: number;
  /** Contrast × structure alone, as multi-scale similarity wants it. */
  readonly contrast: number;
}

/** A Gaussian window that ends at ⌊3.5σ + ½⌋ pixels, population statistics. */
export function gaussianSimilarityWindow(sigma: number): SimilarityWindow {
  const radius = Math.floor(3.5 * sigma + 0.5);
  return { means: (values) => gaussianBlur(values, sigma, { radius }).data, radius, varianceFactor: 1 };
}

/** A square window of `side` pixels (odd), every pixel alike, sample statistics. */
export function uniformSimilarityWindow(side: number): SimilarityWindow {
  const n = side * side;
  return { means: (values) => boxMeans(values, side), radius: (side - 1) / 2, varianceFactor: n / (n - 1) };
}

/**
 * Structural similarity of two images of one shape with K1 = 0.01, K2 = 0.03.
 * Source: Wang, Bovik, Sheikh & Simoncelli, IEEE Trans. Image Process. 13, 600 (2004).
 */
export function similarityOf(
  image: Tensor<Float64Array>,
  truth: Tensor<Float64Array>,
  window: SimilarityWindow,
  range: number,
): Similarity {
  const [rows, cols] = truth.shape;
  const { radius, varianceFactor } = window;
  const c1 = (0.01 * range) ** 2;
  const c2 = (0.03 * range) ** 2;
  const [a, b] = [image.data, truth.data];
  const meansOfProduct = (x: Float64Array, y: Float64Array) => {
    const data = new Float64Array(x.length);
    for (let i = 0; i < data.length; i++) data[i] = x[i] * y[i];
    return window.means({ data, shape: truth.shape });
  };
  const meanA = window.means(image);
  const meanB = window.means(truth);
  const aa = meansOfProduct(a, a);
  const bb = meansOfProduct(b, b);
  const ab = meansOfProduct(a, b);
  let [ssim, contrast] = [0, 0];
  for (let r = radius; r < rows - radius; r++) {
    for (let c = radius; c < cols - radius; c++) {
      const i = r * cols + c;
      const ma = meanA[i];
      const mb = meanB[i];
      const variances = varianceFactor * (aa[i] - ma * ma + (bb[i] - mb * mb));
      const structure = (2 * varianceFactor * (ab[i] - ma * mb) + c2) / (variances + c2);
      contrast += structure;
      ssim += ((2 * ma * mb + c1) / (ma * ma + mb * mb + c1)) * structure;
    }
  }
  const pixels = (rows - 2 * radius) * (cols - 2 * radius);
  return { ssim: ssim / pixels, contrast: contrast / pixels };
}

/** Means over squares; what has no whole square is left 0. */
function boxMeans({ data, shape }: Tensor<Float64Array>, side: number): Float64Array {
  const [rows, cols] = shape;
  const radius = (side - 1) / 2;
  const along = new Float64Array(rows * cols);
  const ones = new Float64Array(side).fill(1);
  for (let r = 0; r < rows; r++) {
    const row = data.subarray(r * cols, (r + 1) * cols);
    slidingSums(row, ones, along.subarray(r * cols + radius, (r + 1) * cols - radius));
  }
  const out = new Float64Array(rows * cols);
  for (let r = radius; r < rows - radius; r++) {
    const sums = out.subarray(r * cols + radius, (r + 1) * cols - radius);
    for (let k = -radius; k <= radius; k++) {
      const from = (r + k) * cols + radius;
      for (let c = 0; c < sums.length; c++) sums[c] += along[from + c];
    }
    for (let c = 0; c < sums.length; c++) sums[c] /= side * side;
  }
  return out;
}

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

/** Weights of the levels, finest first. Source: Wang, Simoncelli & Bovik, Asilomar 2003, Section 3.2. */
export const MS_SSIM_WEIGHTS: readonly number[] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

type Image = Tensor<Float64Array>;

/**
 * The variant of the published tools: the whole similarity (7×7 uniform window) at every level, levels made by leaving out every
 * second pixel without smoothing, a negative level counted as 10⁻⁴ and a NaN as 0; ends without renormalising where a side falls
 * below 7 pixels.
 *
 * @param sigma both images are first smoothed by a Gaussian of this many pixels; 0: not
 */
export function publishedMsSsim(image: Image, truth: Image, sigma: number, levels = MS_SSIM_WEIGHTS.length): number {
  let [a, b] = [gaussianBlur(image, sigma), gaussianBlur(truth, sigma)];
  const range = Math.max(spanOf(a.data), spanOf(b.data));
  const window = uniformSimilarityWindow(7);
  let product = 1;
  for (const weight of MS_SSIM_WEIGHTS.slice(0, levels)) {
    if (Math.min(...b.shape) < 7) break;
    const { ssim } = similarityOf(a, b, window, range);
    product *= (Number.isNaN(ssim) ? 0 : ssim < 0 ? 1e-4 : ssim) ** weight;
    [a, b] = [everySecond(a), everySecond(b)];
  }
  return product;
}

/** A multi-scale similarity, and over how many levels. */
export interface MultiScale {
  readonly value: number;
  /** 5, or as many as fit into the image; 0 (and NaN) where not even one does. */
  readonly levels: number;
  /** The similarity at full size: that of one scale. Undefined where not even that fits. */
  readonly finest?: Similarity;
}

/**
 * Multi-scale similarity as defined: contrast and structure at every level, luminance at the coarsest only; Gaussian window of
 * σ 1.5 (11 pixels), levels made by means of 2×2 pixels. Images too small for five levels (below 176 pixels) use those that
 * fit, their weights scaled to the same sum. A level below zero counts as 0.
 * Source: Wang, Simoncelli & Bovik, Asilomar 2003.
 */
export function wangMsSsim(image: Image, truth: Image, dataRange = spanOf(truth.data)): MultiScale {
  const window = gaussianSimilarityWindow(1.5);
  const side = Math.min(...truth.shape);
  const fits = (level: number) => Math.floor(side / 2 ** level) > 2 * window.radius;
  const weights = MS_SSIM_WEIGHTS.filter((_, level) => fits(level));
  if (weights.length === 0) return { value: Number.NaN, levels: 0 };
  const sumOf = (values: readonly number[]) => values.reduce((sum, w) => sum + w, 0);
  const share = sumOf(MS_SSIM_WEIGHTS) / sumOf(weights);
  let [a, b] = [image, truth];
  let value = 1;
  let finest: Similarity | undefined;
  weights.forEach((weight, level) => {
    const found = similarityOf(a, b, window, dataRange);
    finest ??= found;
    const { ssim, contrast } = found;
    value *= Math.max(0, level === weights.length - 1 ? ssim : contrast) ** (weight * share);
    [a, b] = [meansOfFour(a), meansOfFour(b)];
  });
  return { value, levels: weights.length, finest };
}

function everySecond({ data, shape: [rows, cols] }: Image): Image {
  const [height, width] = [Math.ceil(rows / 2), Math.ceil(cols / 2)];
  const out = new Float64Array(height * width);
  for (let r = 0; r < height; r++) for (let c = 0; c < width; c++) out[r * width + c] = data[2 * r * cols + 2 * c];
  return { data: out, shape: [height, width] };
}

/** Means of 2×2 pixels; an odd row or column at the end is left out. */
function meansOfFour({ data, shape: [rows, cols] }: Image): Image {
  const [height, width] = [Math.floor(rows / 2), Math.floor(cols / 2)];
  const out = new Float64Array(height * width);
  for (let r = 0; r < height; r++) {
    for (let c = 0; c < width; c++) {
      const at = 2 * r * cols + 2 * c;
      out[r * width + c] = (data[at] + data[at + 1] + data[at + cols] + data[at + cols + 1]) / 4;
    }
  }
  return { data: out, shape: [height, width] };
}

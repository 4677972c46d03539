/** The local statistics behind every structural similarity. */
import type { Tensor } from '../core/tensor.js';
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

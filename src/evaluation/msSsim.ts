/** Multi-scale structural similarity: the published tools' variant, and the one of Wang, Simoncelli & Bovik. */

import { spanOf } from '../core/numbers.js';
import type { Tensor } from '../core/tensor.js';
import { gaussianBlur } from '../physics/gaussian.js';
import { gaussianSimilarityWindow, type Similarity, similarityOf, uniformSimilarityWindow } from './similarity.js';

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

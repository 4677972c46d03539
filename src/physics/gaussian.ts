/** Gaussian windows and blurs, as NumPy's and SciPy's users know them. */
import type { Tensor } from '../core/tensor.js';
import { imageSides } from './sampling.js';

/** How a blur continues the image beyond its edge: mirrored with the edge pixel repeated (SciPy's `reflect`), or zero. */
export type BlurEdge = 'reflect' | 'zero';

/** A symmetric Gaussian window of `length` points: exp(−½((i − (length−1)/2)/std)²). */
export function gaussianWindow(length: number, std: number): Float64Array {
  const middle = (length - 1) / 2;
  return Float64Array.from({ length }, (_, i) => Math.exp(-0.5 * ((i - middle) / std) ** 2));
}

/** A normalised Gaussian kernel of 2·radius+1 points. */
function gaussianKernel(sigma: number, radius: number): Float64Array {
  const kernel = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-0.5 * ((i - radius) / sigma) ** 2));
  let sum = 0;
  for (const k of kernel) sum += k;
  return kernel.map((k) => k / sum);
}

/**
 * Blurs an image (rows, cols) with a Gaussian of `sigma` pixels; the kernel ends at ⌊4σ + ½⌋ pixels as in
 * `scipy.ndimage.gaussian_filter`.
 */
export function gaussianBlur(
  image: Tensor<Float64Array>,
  sigma: number,
  options: { readonly edge?: BlurEdge; readonly radius?: number } = {},
): Tensor<Float64Array> {
  if (sigma <= 0) return { data: image.data.slice(), shape: image.shape };
  const [rows, cols] = imageSides(image);
  const radius = options.radius ?? Math.floor(4 * sigma + 0.5);
  const kernel = gaussianKernel(sigma, radius);
  const half = blurRows(image.data, rows, cols, kernel, radius, options.edge ?? 'reflect');
  const turned = transpose(half, rows, cols);
  const whole = blurRows(turned, cols, rows, kernel, radius, options.edge ?? 'reflect');
  return { data: transpose(whole, cols, rows), shape: image.shape };
}

function blurRows(
  image: Float64Array,
  rows: number,
  cols: number,
  kernel: Float64Array,
  radius: number,
  edge: BlurEdge,
): Float64Array {
  const out = new Float64Array(rows * cols);
  const line = new Float64Array(cols + 2 * radius);
  for (let r = 0; r < rows; r++) {
    for (let i = -radius; i < cols + radius; i++) {
      const inside = i >= 0 && i < cols;
      line[i + radius] = inside || edge === 'reflect' ? image[r * cols + (inside ? i : mirrored(i, cols))] : 0;
    }
    slidingSums(line, kernel, out.subarray(r * cols, (r + 1) * cols));
  }
  return out;
}

/**
 * out[c] = Σ_k kernel[k]·line[c + k], each sum in the order of k. Four sums at once: one alone waits for every addition to end
 * before the next begins, and what the four share is read once (three times as fast, to the same bits).
 */
export function slidingSums(line: Float64Array, kernel: Float64Array, out: Float64Array): void {
  const n = kernel.length;
  let c = 0;
  for (; c + 3 < out.length; c += 4) {
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    let [v0, v1, v2] = [line[c], line[c + 1], line[c + 2]];
    for (let k = 0; k < n; k++) {
      const weight = kernel[k];
      const v3 = line[c + 3 + k];
      s0 += weight * v0;
      s1 += weight * v1;
      s2 += weight * v2;
      s3 += weight * v3;
      v0 = v1;
      v1 = v2;
      v2 = v3;
    }
    out[c] = s0;
    out[c + 1] = s1;
    out[c + 2] = s2;
    out[c + 3] = s3;
  }
  for (; c < out.length; c++) {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += kernel[k] * line[c + k];
    out[c] = sum;
  }
}

/** Index of a half-sample mirror: … 1 0 | 0 1 … n−1 | n−1 n−2 … */
function mirrored(i: number, n: number): number {
  const m = ((i % (2 * n)) + 2 * n) % (2 * n);
  return m < n ? m : 2 * n - 1 - m;
}

function transpose(image: Float64Array, rows: number, cols: number): Float64Array {
  const out = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) out[c * rows + r] = image[r * cols + c];
  return out;
}

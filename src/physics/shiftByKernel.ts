/** Moving an image by parts of a pixel, from pixel to pixel. */
import type { ComplexImage } from '../core/tensor.js';
import { slidingSums } from './gaussian.js';
import { imageSides } from './sampling.js';

/** Pixels at each side that an interpolated value is made of. */
export const KERNEL_RADIUS = 6;

/**
 * An image moved with a sinc under a Kaiser window (12 pixels): local, so that only the outermost pixels, which are mirrored
 * beyond the edge, know of the edge. For small shifts, out(r, c) = in(r − dy, c − dx); what is moved in from outside is mirrored too.
 */
export function shiftByKernel(
  image: ComplexImage<Float32Array | Float64Array>,
  [dy, dx]: readonly [dy: number, dx: number],
): ComplexImage<Float64Array> {
  const [rows, cols] = imageSides(image);
  const along = (plane: ArrayLike<number>) => {
    const half = convolveRows(plane, rows, cols, dx);
    return transposed(convolveRows(transposed(half, rows, cols), cols, rows, dy), cols, rows);
  };
  return { re: along(image.re), im: along(image.im), shape: image.shape };
}

/** Weights of the pixels −6 … 6 around a pixel, for a value `shift` (at most half a pixel) before it. */
function fractionalKernel(shift: number): Float64Array {
  const kernel = Float64Array.from({ length: 2 * KERNEL_RADIUS + 1 }, (_, k) => {
    const x = k - KERNEL_RADIUS + shift;
    // The window ends where the sinc is zero, so that results are smooth in the shift.
    const inside = 1 - (x / KERNEL_RADIUS) ** 2;
    return inside <= 0 ? 0 : sinc(x) * besselI0(6 * Math.sqrt(inside));
  });
  const sum = kernel.reduce((s, v) => s + v, 0);
  return kernel.map((v) => v / sum);
}

const sinc = (x: number): number => (Math.abs(x) < 1e-12 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** The modified Bessel function of order 0, by its series. */
function besselI0(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; k < 40; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function convolveRows(plane: ArrayLike<number>, rows: number, cols: number, shift: number): Float64Array {
  const whole = Math.round(shift);
  const kernel = fractionalKernel(shift - whole);
  const out = new Float64Array(rows * cols);
  const line = new Float64Array(cols + 2 * KERNEL_RADIUS);
  const sources = Int32Array.from(line, (_, i) => mirrored(i - KERNEL_RADIUS - whole, cols));
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < line.length; i++) line[i] = plane[r * cols + sources[i]];
    slidingSums(line, kernel, out.subarray(r * cols, (r + 1) * cols));
  }
  return out;
}

/** … 2 1 | 0 1 … n−1 | n−2 n−3 … */
function mirrored(i: number, n: number): number {
  if (n === 1) return 0;
  const period = 2 * (n - 1);
  const m = ((i % period) + period) % period;
  return m < n ? m : period - m;
}

function transposed(plane: Float64Array, rows: number, cols: number): Float64Array {
  const out = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) out[c * rows + r] = plane[r * cols + c];
  return out;
}

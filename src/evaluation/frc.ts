/** Fourier ring correlation: down to which detail two images agree. */
import { PtychoError } from '../core/errors.js';
import { type ComplexImage, formatShape } from '../core/tensor.js';
import { Fft2, isPowerOfTwo } from '../physics/fourier.js';

type Image = ComplexImage<Float32Array | Float64Array>;

/**
 * |Σ F₁·conj F₂| / √(Σ|F₁|²·Σ|F₂|²) over rings of one frequency step, of two complex images of one shape (cut to their central
 * square): element i belongs to i periods across the image, 0 … the corner of the spectrum; 0 where a ring is empty of light.
 * Rings above half the side lie outside the circle that all directions reach.
 * Source: van Heel & Schatz, J. Struct. Biol. 151, 250 (2005).
 *
 * @throws PtychoError DATASET_SHAPE when the shapes differ
 */
export function fourierRingCorrelation(a: Image, b: Image): Float64Array {
  if (a.shape.join() !== b.shape.join() || a.shape.length !== 2) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The Fourier ring correlation compares two images of one shape; found ${formatShape(a.shape)} and ${formatShape(b.shape)}.`,
      { a: a.shape, b: b.shape },
    );
  }
  const side = Math.min(a.shape[0], a.shape[1]);
  const first = spectrum(a, side);
  const second = spectrum(b, side);
  const middle = Math.floor(side / 2);
  const rings = Math.round(Math.hypot(middle, middle)) + 1;
  const sums = Array.from({ length: 4 }, () => new Float64Array(rings));
  const [re, im, powerA, powerB] = sums;
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      const ring = Math.round(Math.hypot(signed(r, side), signed(c, side)));
      const i = r * side + c;
      re[ring] += first.re[i] * second.re[i] + first.im[i] * second.im[i];
      im[ring] += first.im[i] * second.re[i] - first.re[i] * second.im[i];
      powerA[ring] += first.re[i] ** 2 + first.im[i] ** 2;
      powerB[ring] += second.re[i] ** 2 + second.im[i] ** 2;
    }
  }
  return Float64Array.from({ length: rings }, (_, k) => {
    const power = Math.sqrt(powerA[k] * powerB[k]);
    return power > 0 ? Math.hypot(re[k], im[k]) / power : 0;
  });
}

/**
 * Where a correlation curve first falls below `threshold`, with linear interpolation between rings: the number of periods across
 * the image that are resolved; the curve's length where it never does.
 */
export function frcCrossing(curve: ArrayLike<number>, threshold: number): number {
  for (let i = 0; i < curve.length; i++) {
    if (curve[i] >= threshold) continue;
    if (i === 0) return 0;
    const drop = curve[i - 1] - curve[i];
    return i - 1 + Math.min(1, Math.max(0, (curve[i - 1] - threshold) / drop));
  }
  return curve.length;
}

/** Frequency of an index: 0 … n/2 − 1, −n/2 … −1. */
const signed = (k: number, n: number): number => (k < n - Math.floor(n / 2) ? k : k - n);

/** The transform of the central square, zero frequency first. */
function spectrum(image: Image, side: number): { re: Float64Array; im: Float64Array } {
  const [rows, cols] = image.shape;
  const [top, left] = [Math.floor((rows - side) / 2), Math.floor((cols - side) / 2)];
  const re = new Float64Array(side * side);
  const im = new Float64Array(side * side);
  for (let r = 0; r < side; r++) {
    const from = (top + r) * cols + left;
    re.set(image.re.subarray(from, from + side), r * side);
    im.set(image.im.subarray(from, from + side), r * side);
  }
  if (isPowerOfTwo(side)) {
    new Fft2(side, side).forward(re, im);
    return { re, im };
  }
  return transformColumns(transformColumns({ re, im }, side), side);
}

/** The transform along columns, transposed: twice is the transform of the image. */
function transformColumns(z: { re: Float64Array; im: Float64Array }, side: number) {
  const cos = Float64Array.from({ length: side }, (_, k) => Math.cos((2 * Math.PI * k) / side));
  const sin = Float64Array.from({ length: side }, (_, k) => -Math.sin((2 * Math.PI * k) / side));
  const re = new Float64Array(side * side);
  const im = new Float64Array(side * side);
  for (let c = 0; c < side; c++) {
    for (let k = 0; k < side; k++) {
      let [a, b] = [0, 0];
      for (let r = 0, turn = 0; r < side; r++, turn = (turn + k) % side) {
        const [x, y] = [z.re[r * side + c], z.im[r * side + c]];
        a += x * cos[turn] - y * sin[turn];
        b += x * sin[turn] + y * cos[turn];
      }
      re[c * side + k] = a;
      im[c * side + k] = b;
    }
  }
  return { re, im };
}

/** A first guess of a probe from the patterns alone. */
import type { ComplexImage, Tensor } from '../core/tensor.js';
import { AnyFft2 } from './anyFourier.js';
import { gaussianWindow } from './gaussian.js';
import { defaultDiskProbe, probeMask } from './probe.js';
import type { FloatArray } from './sampling.js';

/**
 * The published guess where a scan has no probe: a real Gaussian as wide as the central row of |F⁻¹ of the mean amplitude pattern|
 * (its standard deviation about N/2), cut by the hard probe mask and scaled so that it sums to what the default disk does.
 * @param amplitudes (n, N, N), zero frequency at N/2, N even
 */
export function probeGuessFromPatterns(amplitudes: Tensor<FloatArray>): ComplexImage {
  const [count, side] = amplitudes.shape;
  const area = side * side;
  const re = new Float64Array(area);
  const im = new Float64Array(area);
  for (let i = 0; i < amplitudes.data.length; i++) re[i % area] += amplitudes.data[i] / count;
  new AnyFft2(side, side).inverse(re, im);
  // Only the modulus counts, so the place of the zero frequency does not: it multiplies by ±1.
  const half = side / 2;
  let [weight, moment] = [0, 0];
  for (let c = 0; c < side; c++) {
    const modulus = Math.hypot(re[c], im[c]);
    // Row 0 of the transform is the central row once its origin is moved to N/2.
    const distance = c < half ? c : c - side;
    weight += modulus;
    moment += modulus * distance ** 2;
  }
  const window = gaussianWindow(side, Math.sqrt(moment / weight));
  const mask = probeMask(side).data;
  const guess = Float64Array.from(
    { length: area },
    (_, i) => mask[i] * window[Math.floor(i / side)] * window[i % side],
  );
  const sum = (values: Float64Array) => values.reduce((s, v) => s + v, 0);
  const scale = sum(defaultDiskProbe(side).data) / sum(guess);
  return { re: Float32Array.from(guess, (v) => v * scale), im: new Float32Array(area), shape: [side, side] };
}

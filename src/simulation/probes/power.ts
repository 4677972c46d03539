/** One gauge for probes that come out of a calculation. */
import type { ComplexImage, Shape } from '../../core/tensor.js';

/** The array divided by √Σ|P|², in single precision. */
export function unitPower(re: Float64Array, im: Float64Array, shape: Shape): ComplexImage {
  let power = 0;
  for (let i = 0; i < re.length; i++) power += re[i] ** 2 + im[i] ** 2;
  const scale = 1 / Math.sqrt(power);
  return { re: Float32Array.from(re, (v) => v * scale), im: Float32Array.from(im, (v) => v * scale), shape };
}

/**
 * Light on its way through empty space, from one plane to a parallel one: the angular spectrum (J. W. Goodman, Introduction to Fourier
 * Optics, §3.10).
 *
 * @example
 * const H = transferFunction(256, { wavelength_m: 1e-10, distance_m: 0.01, pixel_m: { x: 5e-8, y: 5e-8 } });
 */
import type { ComplexImage } from '../core/tensor.js';
import { signedFrequency } from './fourier.js';

/** A way through empty space, and the grid that the light is sampled on. */
export interface FreeSpace {
  readonly wavelength_m: number;
  readonly distance_m: number;
  readonly pixel_m: { readonly x: number; readonly y: number };
}

/**
 * What free space makes of every spatial frequency, (N, N) with frequency 0 in the corner:
 * H = exp(2πi·(z/λ)·(√(1 − λ²k²) − 1)), 0 where k is beyond 1/λ (evanescent waves). Ψ = F⁻¹[H·Fψ]; the way back is conj(H).
 */
export function transferFunction(
  side: number,
  { wavelength_m, distance_m, pixel_m }: FreeSpace,
): ComplexImage<Float64Array> {
  const [re, im] = [new Float64Array(side * side), new Float64Array(side * side)];
  // λ·k along one axis.
  const sines = (pixel: number) =>
    Float64Array.from({ length: side }, (_, i) => (signedFrequency(i, side) * wavelength_m) / (side * pixel));
  const [ys, xs] = [sines(pixel_m.y), sines(pixel_m.x)];
  for (let r = 0, i = 0; r < side; r++) {
    for (let c = 0; c < side; c++, i++) {
      const square = ys[r] ** 2 + xs[c] ** 2;
      if (square > 1) continue;
      // √(1 − s) − 1 without the difference of two numbers that are nearly 1.
      const angle = ((-2 * Math.PI * distance_m) / wavelength_m) * (square / (1 + Math.sqrt(1 - square)));
      re[i] = Math.cos(angle);
      im[i] = Math.sin(angle);
    }
  }
  return { re, im, shape: [side, side] };
}

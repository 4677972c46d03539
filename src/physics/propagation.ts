/**
 * Light on its way through empty space, from one plane to a parallel one: the angular spectrum (J. W. Goodman, Introduction to Fourier
 * Optics, §3.10), and what a cone beam comes to in a parallel one.
 *
 * @example
 * const { distance_m, magnification } = coneBeam({ source_m: 0.01, detector_m: 1 });
 * const H = transferFunction(256, { wavelength_m: 1e-10, distance_m, pixel_m: { x: 5e-8, y: 5e-8 } });
 */
import type { ComplexImage } from '../core/tensor.js';
import { AnyFft2, signedFrequency } from './fourier.js';

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

/** A field (N, N) behind free space, `back`: before it. Light that leaves one side comes in at the other. */
export function propagate(
  field: ComplexImage<Float32Array | Float64Array>,
  transfer: ComplexImage<Float64Array>,
  back = false,
): ComplexImage<Float64Array> {
  const [side] = field.shape;
  const [re, im] = [Float64Array.from(field.re), Float64Array.from(field.im)];
  const fft = new AnyFft2(side, side);
  fft.forward(re, im);
  const sign = back ? -1 : 1;
  for (let i = 0; i < re.length; i++) {
    const [a, b] = [re[i], im[i]];
    re[i] = a * transfer.re[i] - sign * b * transfer.im[i];
    im[i] = b * transfer.re[i] + sign * a * transfer.im[i];
  }
  fft.inverse(re, im);
  return { re, im, shape: [side, side] };
}

/** The farthest that {@link transferFunction} is sampled finely enough for, N·pixel²/λ; beyond, a pattern is a far field of a curved wave. */
export const nearFieldReach_m = (side: number, { pixel_m, wavelength_m }: Omit<FreeSpace, 'distance_m'>): number =>
  (side * Math.min(pixel_m.x, pixel_m.y) ** 2) / wavelength_m;

/**
 * The parallel beam in which the sample makes the same picture as in a cone beam (Fresnel scaling theorem): z = z₂·z₁/(z₁ + z₂), seen on a
 * detector whose pixels are smaller by M = (z₁ + z₂)/z₁.
 * @param way from the source (or focus) to the sample, and from there to the detector
 */
export function coneBeam({ source_m, detector_m }: { readonly source_m: number; readonly detector_m: number }): {
  readonly distance_m: number;
  readonly magnification: number;
} {
  const magnification = (source_m + detector_m) / source_m;
  return { distance_m: detector_m / magnification, magnification };
}

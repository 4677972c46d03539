/** The beam of a Fresnel zone plate near its focus. */
import { PtychoError } from '../../core/errors.js';
import type { ComplexImage } from '../../core/tensor.js';
import { DetectorTransform } from '../../physics/fourier.js';
import { unitPower } from './power.js';
import { wavefront } from './zernike.js';

/** Options of {@link zonePlateProbe}; lengths in object pixels Δx. */
export interface ZonePlateOptions {
  /** N, pixels. */
  readonly side: number;
  /** Width of the outermost zone, pixels: about the size of the focus; default 3. */
  readonly outerZone_px?: number;
  /** Diameter of the central stop as a share of the plate's; default 0.35. */
  readonly stopFraction?: number;
  /** λ·z/Δx², z the distance of the sample behind the focus; 0 is the focus, and negative in front of it. */
  readonly defocus_px2?: number;
  /** In place of `defocus_px2`: diameter of the lit ring at the sample by ray optics, pixels; default a third of N. */
  readonly diameter?: number;
  /** Aberrations of the plate, radians rms over its disc: the Noll terms 4, 5, 6, …; default none. */
  readonly coefficientsRad?: readonly number[];
}

/**
 * The field of a zone plate with central stop, z behind its focus, centred on pixel (N/2, N/2); Σ|P|² = 1.
 *
 * In the far field the plate is a ring of outer radius N/(2·outerZone_px) detector pixels, since its numerical aperture is λ/(2·dr)
 * and a detector pixel λ/(N·Δx); propagation over z multiplies it by e^{−iπ(λz/Δx²)q²/N²}, q in detector pixels (Fresnel); the
 * probe is its inverse transform. The lit disc has the diameter λz/dr. The order-sorting aperture is taken to be perfect.
 * @throws PtychoError CONFIG_INVALID for a ring beyond the detector or too small for it, and a disc larger than 0.9 N
 */
export function zonePlateProbe(options: ZonePlateOptions): ComplexImage {
  const { side, outerZone_px = 3, stopFraction = 0.35, coefficientsRad = [] } = options;
  const defocus = options.defocus_px2 ?? (options.diameter ?? side / 3) * outerZone_px;
  const radius = side / (2 * outerZone_px);
  const diameter = Math.abs(defocus) / outerZone_px;
  if (
    !(radius < side / 2 - 1 && radius > 1.5) ||
    !(stopFraction >= 0 && stopFraction < 0.95) ||
    !(diameter <= 0.9 * side) ||
    !coefficientsRad.every(Number.isFinite)
  ) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `A zone-plate probe needs an outermost zone of ${(side / (side - 2)).toFixed(2)} to ${(side / 3).toFixed(1)} pixels, a stop below 0.95 of its diameter, a lit disc below 0.9 N and finite aberrations; got ${outerZone_px} px, ${stopFraction}, ${diameter.toFixed(1)} px for N = ${side}, and ${coefficientsRad.join(', ') || 'none'}.`,
      { key: 'probe', outerZone_px, stopFraction, diameter, side },
    );
  }
  const re = new Float64Array(side * side);
  const im = new Float64Array(side * side);
  const centre = Math.floor(side / 2);
  const phaseAt = wavefront(coefficientsRad);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      const [y, x] = [r - centre, c - centre];
      const share = ringShare(y, x, stopFraction * radius, radius);
      if (share === 0) continue;
      const phase = phaseAt(x / radius, y / radius) - (Math.PI * defocus * (x * x + y * y)) / side ** 2;
      // The inverse transform has its origin at pixel 0; the alternating sign moves it to N/2.
      const amplitude = (r + c) % 2 === 0 ? share : -share;
      re[r * side + c] = amplitude * Math.cos(phase);
      im[r * side + c] = amplitude * Math.sin(phase);
    }
  }
  new DetectorTransform(side).inverse(re, im);
  return unitPower(re, im, [side, side]);
}

/** How much of a pixel lies in the ring, over 4×4 points. */
function ringShare(y: number, x: number, inner: number, outer: number): number {
  let hits = 0;
  for (let k = 0; k < 16; k++) {
    const r = Math.hypot(y + ((k >> 2) - 1.5) / 4, x + ((k & 3) - 1.5) / 4);
    if (r >= inner && r < outer) hits++;
  }
  return hits / 16;
}

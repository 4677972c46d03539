/** Probes as optics make them: wavefronts of Zernike polynomials, and the beam of a Fresnel zone plate near its focus. */
import { PtychoError } from '../core/errors.js';
import { LegacyRng } from '../core/rng.js';
import type { ComplexImage, Tensor } from '../core/tensor.js';
import { DetectorTransform } from '../physics/fourier.js';
import { gaussianBlur } from '../physics/gaussian.js';
import { unitPower } from '../physics/probe.js';

/** Coefficients start here: piston and the two tilts (1, 2, 3) say nothing, or only move the probe's pattern or place. */
const FIRST_ABERRATION = 4;
/** Drawn wavefronts have the terms 4 … 28, that is, all of radial order 2 to 6. */
const LAST_DRAWN = 28;

/** Options of {@link zernikeProbe}. */
export interface ZernikeProbeOptions {
  /** N, pixels. */
  readonly side: number;
  /** Of the lit disc, pixels; default a third of N. */
  readonly diameter?: number;
  /** Radians rms over the disc of the terms 4, 5, 6, … in Noll's order (defocus, astigmatism, coma, …); default: drawn. */
  readonly coefficientsRad?: readonly number[];
  /** Rms of a drawn wavefront over the disc, radians (default 1). */
  readonly rmsRad?: number;
  /** Of the drawn coefficients. */
  readonly seed?: number;
}

/** Radial order n and azimuthal frequency m (negative: sine) of the Noll index j = 1, 2, … (R. Noll, JOSA 66, 207, 1976). */
export function nollOrder(j: number): readonly [n: number, m: number] {
  let n = 0;
  while (((n + 1) * (n + 2)) / 2 < j) n++;
  const k = j - (n * (n + 1)) / 2; // 1 … n + 1 within the order
  const m = n % 2 === 0 ? 2 * Math.floor(k / 2) : 2 * Math.floor((k - 1) / 2) + 1;
  return [n, m === 0 || j % 2 === 0 ? m : -m];
}

/**
 * Noll's Zernike polynomial j at (x, y), in radii of the disc: orthonormal there, (1/π)∫ Z_i Z_j = δ_ij, so that a coefficient is an
 * rms. Outside the disc it continues the value at the rim.
 */
export function zernike(j: number, x: number, y: number): number {
  const [n, m] = nollOrder(j);
  const order = Math.abs(m);
  const rho = Math.min(1, Math.hypot(x, y));
  let radial = 0;
  for (let s = 0; s <= (n - order) / 2; s++) {
    const weight = factorial(n - s) / (factorial(s) * factorial((n + order) / 2 - s) * factorial((n - order) / 2 - s));
    radial += (s % 2 === 0 ? weight : -weight) * rho ** (n - 2 * s);
  }
  if (m === 0) return Math.sqrt(n + 1) * radial;
  const angle = order * Math.atan2(y, x);
  return Math.sqrt(2 * (n + 1)) * radial * (m > 0 ? Math.cos(angle) : Math.sin(angle));
}

/** The wavefront Σ c_j Z_j, radians, of coefficients for j = 4, 5, 6, …, as a function of (x, y) in radii. */
export function wavefront(coefficientsRad: readonly number[]): (x: number, y: number) => number {
  return (x, y) =>
    coefficientsRad.reduce((sum, c, i) => (c === 0 ? sum : sum + c * zernike(FIRST_ABERRATION + i, x, y)), 0);
}

/** Coefficients for j = 4 … 28, normal, the higher orders weaker (1/n²), scaled so that the whole wavefront has the rms asked for. */
export function drawAberrations(seed: number, rmsRad: number): number[] {
  const rng = new LegacyRng(seed);
  const drawn: number[] = [];
  for (let j = FIRST_ABERRATION; j <= LAST_DRAWN; j++) drawn.push(rng.normal() / nollOrder(j)[0] ** 2);
  const rms = Math.hypot(...drawn);
  return drawn.map((c) => (c * rmsRad) / rms);
}

/**
 * A disc with soft edges (blurred by 1 px), centred on pixel (N/2, N/2), whose phase is a sum of Zernike polynomials: an aberrated
 * beam at the sample. Σ|P|² = 1.
 * @throws PtychoError CONFIG_INVALID for a disc that does not fit, or coefficients that are not finite
 */
export function zernikeProbe(options: ZernikeProbeOptions): ComplexImage {
  const { side, diameter = side / 3, rmsRad = 1, seed = 0 } = options;
  const coefficients = options.coefficientsRad ?? drawAberrations(seed, rmsRad);
  if (!(diameter > 0 && diameter < side) || !coefficients.every(Number.isFinite)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `A Zernike probe needs a diameter between 0 and N pixels and finite coefficients; got diameter ${diameter} px for N = ${side} and ${coefficients.join(', ')}.`,
      { key: 'probe', diameter, side },
    );
  }
  const centre = Math.floor(side / 2);
  const radius = diameter / 2;
  const disc: Tensor<Float64Array> = { data: new Float64Array(side * side), shape: [side, side] };
  for (let i = 0; i < disc.data.length; i++) {
    if (Math.hypot(Math.floor(i / side) - centre, (i % side) - centre) < radius) disc.data[i] = 1;
  }
  const amplitude = gaussianBlur(disc, 1, { edge: 'zero' }).data;
  const phaseAt = wavefront(coefficients);
  const re = new Float64Array(side * side);
  const im = new Float64Array(side * side);
  for (let i = 0; i < re.length; i++) {
    if (amplitude[i] < 1e-9) continue;
    const phase = phaseAt(((i % side) - centre) / radius, (Math.floor(i / side) - centre) / radius);
    re[i] = amplitude[i] * Math.cos(phase);
    im[i] = amplitude[i] * Math.sin(phase);
  }
  return unitPower(re, im, [side, side]);
}

function factorial(n: number): number {
  let product = 1;
  for (let k = 2; k <= n; k++) product *= k;
  return product;
}

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

/** Zernike polynomials and a probe whose wavefront is made of them. */
import { PtychoError } from '../../core/errors.js';
import { LegacyRng } from '../../core/rng.js';
import type { ComplexImage, Tensor } from '../../core/tensor.js';
import { gaussianBlur } from '../../physics/gaussian.js';
import { unitPower } from './power.js';

/** Coefficients start here: piston and the two tilts (1, 2, 3) say nothing, or only move the probe's pattern or place. */
export const FIRST_ABERRATION = 4;
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

/**
 * Probes to simulate with. Their photon level is set by {@link simulateScan}.
 *
 * @example
 * const probe = makeProbe('structured', { side: 64, diameter: 20 });
 */
import { PtychoError } from '../core/errors.js';
import { LegacyRng } from '../core/rng.js';
import type { ComplexImage } from '../core/tensor.js';
import { gaussianBlur } from '../physics/gaussian.js';
import { asComplex, defaultDiskProbe } from '../physics/probe.js';
import { type ZernikeProbeOptions, type ZonePlateOptions, zernikeProbe, zonePlateProbe } from './optics.js';

export { incoherentModes } from '../physics/probe.js';
export { type ZernikeProbeOptions, type ZonePlateOptions, zernikeProbe, zonePlateProbe } from './optics.js';

/** Every kind that {@link makeProbe} knows. */
export const PROBE_KINDS = ['structured', 'default_disk', 'gaussian', 'zone_plate', 'zernike', 'diffuser'] as const;

/** One of {@link PROBE_KINDS}. */
export type ProbeKind = (typeof PROBE_KINDS)[number];

/** What every kind takes; `default_disk` uses `side` only, the others what their own options say. */
export type AnyProbeOptions = ProbeOptions &
  Omit<ZonePlateOptions, 'side'> &
  Omit<ZernikeProbeOptions, 'side'> &
  Omit<DiffuserOptions, 'side'>;

/** Options of {@link structuredProbe}. */
export interface ProbeOptions {
  /** N, pixels. */
  readonly side: number;
  /** Full width at half maximum of |P|²; default a third of N. */
  readonly diameter?: number;
  /** What `diameter` counts: object pixels (default), or shares of N. */
  readonly diameterUnit?: 'px' | 'fraction';
  /** 1: Gaussian; larger: flatter inside with steeper edges, like a zone plate's defocused spot (default 3). */
  readonly flatness?: number;
  /** Phase at half maximum minus phase at the centre, radians: the curvature of a defocused wave. */
  readonly curvatureRad?: number;
  /**
   * Coma: the term comaRad·u³·cos(θ − comaAngleRad) of the phase, as misaligned optics have it (default 0). Under a purely quadratic
   * phase a shifted object with the matching phase ramp gives almost the same pattern; coma tells the two apart.
   */
  readonly comaRad?: number;
  /** Direction of the coma, from +x to +y, radians (default 0). */
  readonly comaAngleRad?: number;
}

/**
 * A probe by its kind, (N, N), centred on pixel (N/2, N/2); `gaussian` is the structured probe with flatness 1.
 * @throws PtychoError CONFIG_INVALID for a kind that is not known, or options out of range
 */
export function makeProbe(kind: ProbeKind, options: AnyProbeOptions): ComplexImage {
  switch (kind) {
    case 'structured':
      return structuredProbe(options);
    case 'default_disk':
      return asComplex(defaultDiskProbe(options.side));
    case 'gaussian':
      return structuredProbe({ ...options, flatness: 1 });
    case 'zone_plate':
      return zonePlateProbe(options);
    case 'zernike':
      return zernikeProbe(options);
    case 'diffuser':
      return diffuserProbe(options);
    default:
      throw new PtychoError('CONFIG_INVALID', `There is no probe '${kind}'; choose one of ${PROBE_KINDS.join(', ')}.`, {
        key: 'probe',
        found: kind,
        expected: PROBE_KINDS,
      });
  }
}

/**
 * A round probe with curved phase, centred on pixel (N/2, N/2): |P|² = 2^(−u^(2·flatness)), arg P = curvatureRad·u², with
 * u = radius/(diameter/2), and coma where asked for. The curvature spreads the beam over the detector and tells the object from its
 * twin.
 */
export function structuredProbe(options: ProbeOptions): ComplexImage {
  const { side, diameterUnit = 'px', flatness = 3, curvatureRad = 3, comaRad = 0, comaAngleRad = 0 } = options;
  const diameter =
    (options.diameter ?? side / 3) * (options.diameter !== undefined && diameterUnit === 'fraction' ? side : 1);
  if (
    !(diameter > 0 && diameter < side) ||
    !(flatness > 0) ||
    !Number.isFinite(curvatureRad + comaRad + comaAngleRad)
  ) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `A structured probe needs a diameter between 0 and N pixels, a positive flatness and finite angles; got diameter ${diameter} px for N = ${side}, flatness ${flatness}, curvature ${curvatureRad}, coma ${comaRad} towards ${comaAngleRad}.`,
      { key: 'probe', diameter, side, flatness, curvatureRad, comaRad, comaAngleRad },
    );
  }
  const re = new Float32Array(side * side);
  const im = new Float32Array(side * side);
  const centre = Math.floor(side / 2);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      const [y, x] = [(r - centre) / (diameter / 2), (c - centre) / (diameter / 2)];
      const u2 = y * y + x * x;
      const coma = comaRad * u2 * (x * Math.cos(comaAngleRad) + y * Math.sin(comaAngleRad));
      const phase = curvatureRad * u2 + coma;
      const amplitude = Math.sqrt(2 ** -(u2 ** flatness));
      re[r * side + c] = amplitude * Math.cos(phase);
      im[r * side + c] = amplitude * Math.sin(phase);
    }
  }
  return { re, im, shape: [side, side] };
}

/** Options of {@link diffuserProbe}. */
export interface DiffuserOptions {
  /** N, pixels. */
  readonly side: number;
  /** Width of the beam; default three quarters of N. */
  readonly diameter?: number;
  /** Rms of the phase, radians (default 1). */
  readonly rmsRad?: number;
  /** Standard deviation of the blur that makes its grain, pixels (default 3). */
  readonly grain_px?: number;
  readonly seed?: number;
}

/**
 * A wide beam behind a diffuser, as near fields need it: a disc with a soft rim, centred on pixel (N/2, N/2), random phase and a quarter of
 * random amplitude, blurred to a grain. Without a diffuser nothing tells the object from the beam.
 * @throws PtychoError CONFIG_INVALID for options out of range
 */
export function diffuserProbe({
  side,
  diameter = 0.75 * side,
  rmsRad = 1,
  grain_px = 3,
  seed = 0,
}: DiffuserOptions): ComplexImage {
  if (!(diameter > 0 && diameter < side) || !(grain_px > 0 && grain_px < side / 4) || !(rmsRad >= 0)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `A beam behind a diffuser needs a diameter between 0 and N pixels, a grain between 0 and N/4 and an rms phase from 0; got ${diameter} px for N = ${side}, grain ${grain_px} px, ${rmsRad} rad.`,
      { key: 'probe', diameter, side, grain_px, rmsRad },
    );
  }
  const rng = new LegacyRng(seed);
  const grainy = (blur_px: number) => {
    const noise = Float64Array.from({ length: side * side }, () => rng.normal());
    const { data: smooth } = gaussianBlur({ data: noise, shape: [side, side] }, blur_px);
    const rms = Math.sqrt(smooth.reduce((sum, v) => sum + v * v, 0) / smooth.length);
    return smooth.map((v) => v / rms);
  };
  const [phase, amplitude] = [grainy(grain_px), grainy(1.3 * grain_px)];
  const [re, im] = [new Float32Array(side * side), new Float32Array(side * side)];
  const centre = Math.floor(side / 2);
  for (let i = 0; i < re.length; i++) {
    const r = Math.hypot(Math.floor(i / side) - centre, (i % side) - centre);
    const size = (1 + 0.25 * amplitude[i]) / (1 + Math.exp((r - diameter / 2) / 2));
    re[i] = size * Math.cos(rmsRad * phase[i]);
    im[i] = size * Math.sin(rmsRad * phase[i]);
  }
  return { re, im, shape: [side, side] };
}

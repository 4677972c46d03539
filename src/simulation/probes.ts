/**
 * Probes to simulate with. Their photon level is set by {@link simulateScan}.
 *
 * @example
 * const probe = makeProbe('structured', { side: 64, diameter: 20 });
 */
import { PtychoError } from '../core/errors.js';
import type { ComplexImage } from '../core/tensor.js';
import { asComplex, defaultDiskProbe } from '../physics/probe.js';

/** Every kind that {@link makeProbe} knows. */
export const PROBE_KINDS = ['structured', 'default_disk'] as const;

/** One of {@link PROBE_KINDS}. */
export type ProbeKind = (typeof PROBE_KINDS)[number];

/** Options of {@link structuredProbe}; `default_disk` uses `side` only. */
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
}

/**
 * A probe by its kind, (N, N).
 * @throws PtychoError CONFIG_INVALID for a kind that is not known, or options out of range
 */
export function makeProbe(kind: ProbeKind, options: ProbeOptions): ComplexImage {
  switch (kind) {
    case 'structured':
      return structuredProbe(options);
    case 'default_disk':
      return asComplex(defaultDiskProbe(options.side));
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
 * u = radius/(diameter/2). The curvature spreads the beam over the detector and tells the object from its twin.
 */
export function structuredProbe(options: ProbeOptions): ComplexImage {
  const { side, diameterUnit = 'px', flatness = 3, curvatureRad = 3 } = options;
  const diameter =
    (options.diameter ?? side / 3) * (options.diameter !== undefined && diameterUnit === 'fraction' ? side : 1);
  if (!(diameter > 0 && diameter < side) || !(flatness > 0) || !Number.isFinite(curvatureRad)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `A structured probe needs a diameter between 0 and N pixels, a positive flatness and a finite curvature; got diameter ${diameter} px for N = ${side}, flatness ${flatness}, curvature ${curvatureRad}.`,
      { key: 'probe', diameter, side, flatness, curvatureRad },
    );
  }
  const re = new Float32Array(side * side);
  const im = new Float32Array(side * side);
  const centre = Math.floor(side / 2);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      const u2 = ((r - centre) ** 2 + (c - centre) ** 2) / (diameter / 2) ** 2;
      const amplitude = Math.sqrt(2 ** -(u2 ** flatness));
      re[r * side + c] = amplitude * Math.cos(curvatureRad * u2);
      im[r * side + c] = amplitude * Math.sin(curvatureRad * u2);
    }
  }
  return { re, im, shape: [side, side] };
}

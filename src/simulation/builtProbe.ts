/**
 * Probes from the sizes of the optics, in metres: for those who know what made their beam.
 *
 * @example
 * const probe = builtProbe('zone_plate', { outerZone_m: 50e-9, stopFraction: 0.35, defocus_m: 1e-3 }, raw);
 */
import { PtychoError } from '../core/errors.js';
import type { ComplexImage } from '../core/tensor.js';
import { wavelengthOf } from '../data/opening/wavelength.js';
import type { RawData } from '../data/rawData.js';
import { DetectorTransform } from '../physics/fourier.js';
import { unitPower } from '../physics/probe.js';
import { zonePlateProbe } from './optics.js';

/** Sizes of the optics; what a kind does not need is not looked at. */
export interface OpticsSizes {
  /** Aperture: its diameter; gaussian: full width at half maximum of the intensity at the waist. */
  readonly diameter_m?: number;
  /** Zone plate: width of the outermost zone. */
  readonly outerZone_m?: number;
  /** Zone plate: the central stop, as a share of the diameter. */
  readonly stopFraction?: number;
  /** Of the sample behind focus, aperture or waist. */
  readonly defocus_m?: number;
}

/**
 * A probe (N, N) in the pixels of a scan; Σ|P|² = 1. Aperture and gaussian are real at their own place and go on from there by the
 * Fresnel propagator e^{−iπ(λz/Δx²)q²/N²}, q in pixels of the detector.
 * @throws PtychoError CONFIG_INVALID where the scan does not say how large a pixel is or which wavelength it has, or where the optics do not fit
 */
export function builtProbe(
  kind: 'zone_plate' | 'aperture' | 'gaussian',
  sizes: OpticsSizes,
  { N, geometry, source }: Pick<RawData, 'N' | 'geometry' | 'source'>,
): ComplexImage {
  const pixel = geometry.objectPixel_m;
  const wavelength_m = wavelengthOf(geometry);
  const { diameter_m = 0, outerZone_m = 0, stopFraction, defocus_m = 0 } = sizes;
  if (!pixel || (wavelength_m === undefined && (defocus_m !== 0 || kind === 'zone_plate'))) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `probe ${kind}: ${source} does not say ${pixel ? 'which wavelength it was measured with' : 'how large a pixel of the object is'}, so that metres mean nothing; give --energy_eV (or --electron_keV), --detector_distance_m and --detector_pixel_m, or --object_pixel_m.`,
      { key: 'probe', path: source },
    );
  }
  const pixel_m = Math.sqrt(pixel.x * pixel.y);
  const defocus_px2 = ((wavelength_m ?? 0) * defocus_m) / pixel_m ** 2;
  if (kind === 'zone_plate') {
    return zonePlateProbe({ side: N, outerZone_px: outerZone_m / pixel_m, stopFraction, defocus_px2 });
  }
  const diameter_px = diameter_m / pixel_m;
  if (!(diameter_px >= 1 && diameter_px < N)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `probe ${kind}: a diameter of ${diameter_m} m is ${diameter_px.toPrecision(3)} pixels of the object of ${source}, but it must be from 1 to ${N}; check probe_diameter_m and the pixel (${pixel_m.toPrecision(3)} m).`,
      { key: 'probe_diameter_m', found: diameter_m },
    );
  }
  return propagated(kind === 'aperture' ? disc(N, diameter_px) : gaussian(N, diameter_px), N, defocus_px2);
}

/** Amplitude 1 within a circle around pixel N/2, the share of a pixel at its rim. */
function disc(N: number, diameter_px: number): Float64Array {
  return round(N, (r) => Math.min(1, Math.max(0, diameter_px / 2 - r + 0.5)));
}

/** Amplitude of a beam whose intensity falls to half at half the diameter. */
function gaussian(N: number, diameter_px: number): Float64Array {
  return round(N, (r) => Math.sqrt(2 ** -((r / (diameter_px / 2)) ** 2)));
}

function round(N: number, amplitude: (radius_px: number) => number): Float64Array {
  const centre = Math.floor(N / 2);
  return Float64Array.from({ length: N * N }, (_, i) => amplitude(Math.hypot(Math.floor(i / N) - centre, (i % N) - centre))); // biome-ignore format: one call
}

function propagated(re: Float64Array, N: number, defocus_px2: number): ComplexImage {
  const im = new Float64Array(N * N);
  if (defocus_px2 !== 0) {
    const transform = new DetectorTransform(N);
    transform.forward(re, im);
    const centre = Math.floor(N / 2);
    for (let i = 0; i < re.length; i++) {
      const q2 = (Math.floor(i / N) - centre) ** 2 + ((i % N) - centre) ** 2;
      const phase = (-Math.PI * defocus_px2 * q2) / N ** 2;
      const [a, b] = [re[i], im[i]];
      re[i] = a * Math.cos(phase) - b * Math.sin(phase);
      im[i] = a * Math.sin(phase) + b * Math.cos(phase);
    }
    transform.inverse(re, im);
  }
  return unitPower(re, im, [N, N]);
}

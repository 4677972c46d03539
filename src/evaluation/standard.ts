/**
 * The `standard` family: metrics as the literature defines them, so that they mean what they say.
 *
 * @example
 * const found = standardMetrics(reconstruction, truth, { pixel_m: 10e-9 });
 * console.log(found.ssim.amplitude, found.complex_error, found.resolution.complex.half_bit.m);
 */

import { spanOf } from '../core/numbers.js';
import type { Tensor } from '../core/tensor.js';
import { alignComplex, relativeDistance } from './align.js';
import { allResolutions, curvesOf, type OfEach, type Resolutions, taperedRingCorrelation } from './frc.js';
import { asComplex, type EvaluatedImage, type MetricPair, meanErrors, modulusOf, requireSameImage } from './images.js';
import { removePhasePlane, removeRamp } from './phase.js';
import { gaussianSsim, wangMsSsim } from './similarity.js';

/** What {@link standardMetrics} may know besides the images. */
export interface StandardOptions {
  /** Side of an object pixel, metres: resolutions are then given in metres too. */
  readonly pixel_m?: number;
}

/** The metrics of the `standard` family. */
export interface StandardMetrics {
  /** Mean absolute error: amplitude in units of the truth, phase in radians. */
  readonly mae: MetricPair;
  readonly mse: MetricPair;
  /** Decibels about the range of the truth. */
  readonly psnr: MetricPair;
  /** Gaussian window of σ 1.5. */
  readonly ssim: MetricPair;
  /** Wang's multi-scale similarity over `ms_ssim_levels` levels. */
  readonly ms_ssim: MetricPair;
  readonly ms_ssim_levels: number;
  /** Periods across the image at which the ring correlation falls below 0.5; at most half the side (Nyquist). */
  readonly frc50: MetricPair;
  readonly frc1over7: MetricPair;
  /** ‖image − truth‖/‖truth‖ after the best complex factor and phase ramp. */
  readonly complex_error: number;
  readonly resolution: OfEach<Resolutions>;
  /** Ring correlations to Nyquist; element i is i periods across `side_px` pixels. */
  readonly frc: OfEach<Float64Array> & {
    readonly side_px: number;
    /** The half-bit threshold belongs to these counts of pixels. */
    readonly pixels: Int32Array;
  };
  /** Sentences about numbers that cannot be had, or mean less than they seem. */
  readonly notes: readonly string[];
}

/** A truth whose values spread less than this has no structure to compare with. */
const FLAT = 1e-6;

/**
 * Compares a reconstruction with the truth, both (rows, cols) in one frame and at least 11 pixels a side. The reconstruction is
 * first brought into the gauge of the truth: one complex factor and one phase ramp, the two things that ptychography leaves open.
 * Ranges are those of the truth.
 *
 * @throws PtychoError DATASET_SHAPE for different or too small images
 */
export function standardMetrics(
  image: EvaluatedImage,
  truth: EvaluatedImage,
  options: StandardOptions = {},
): StandardMetrics {
  requireSameImage(image, truth);
  const { aligned } = alignComplex(image, truth);
  // The truth's plane leaves both phases before either is taken, so that neither wraps where the other does not.
  const { ramp } = removePhasePlane(truth);
  const level = (z: EvaluatedImage): Tensor<Float64Array> => removePhasePlane(removeRamp(z, ramp)).phase;
  const values = {
    amplitude: { image: modulusOf(aligned), truth: modulusOf(truth) },
    phase: { image: level(aligned), truth: level(truth) },
  };
  const notes: string[] = [];
  const measured = {
    amplitude: measure(values.amplitude.image, values.amplitude.truth, 'amplitude', notes),
    phase: measure(values.phase.image, values.phase.truth, 'phase', notes),
  };
  const pair = (of: (m: Measured) => number): MetricPair => ({
    amplitude: of(measured.amplitude),
    phase: of(measured.phase),
  });
  const rings = {
    amplitude: taperedRingCorrelation(asComplex(values.amplitude.image), asComplex(values.amplitude.truth)),
    phase: taperedRingCorrelation(asComplex(values.phase.image), asComplex(values.phase.truth)),
    complex: taperedRingCorrelation(aligned, truth),
  };
  const resolution = allResolutions(rings, options.pixel_m);
  const levels = measured.amplitude.ms_ssim.levels;
  if (levels > 0 && levels < 5) {
    notes.push(
      `The multi-scale similarity has ${levels} of its 5 levels, since ${Math.min(...truth.shape)} pixels hold no more; do not compare it with that of larger images.`,
    );
  }
  return {
    mae: pair((m) => m.mae),
    mse: pair((m) => m.mse),
    psnr: pair((m) => m.psnr),
    ssim: pair((m) => m.ssim),
    ms_ssim: pair((m) => m.ms_ssim.value),
    ms_ssim_levels: levels,
    frc50: { amplitude: resolution.amplitude.frc50.ring, phase: resolution.phase.frc50.ring },
    frc1over7: { amplitude: resolution.amplitude.frc1over7.ring, phase: resolution.phase.frc1over7.ring },
    complex_error: relativeDistance(aligned, truth),
    resolution,
    frc: { side_px: rings.complex.side_px, ...curvesOf(rings), pixels: rings.complex.pixels },
    notes,
  };
}

/** Peak signal-to-noise ratio about a range: 10·log₁₀(range²/mse), decibels; ∞ for equal images. */
export function psnr(mse: number, range: number): number {
  return 10 * Math.log10((range * range) / mse);
}

interface Measured {
  readonly mae: number;
  readonly mse: number;
  readonly psnr: number;
  readonly ssim: number;
  readonly ms_ssim: { readonly value: number; readonly levels: number };
}

function measure(image: Tensor<Float64Array>, truth: Tensor<Float64Array>, of: string, notes: string[]): Measured {
  const range = spanOf(truth.data);
  const { mae, mse } = meanErrors(image.data, truth.data);
  if (range < FLAT) {
    notes.push(
      `The ${of} of the truth is constant, so what is relative to its range or structure (psnr, ssim, ms_ssim) has no value; mae and mse stand.`,
    );
    const none = Number.NaN;
    return { mae, mse, psnr: none, ssim: none, ms_ssim: { value: none, levels: 0 } };
  }
  const ms_ssim = wangMsSsim(image, truth, range);
  // The same window: what the multi-scale similarity has at full size.
  const ssim = ms_ssim.finest?.ssim ?? gaussianSsim(image, truth, { dataRange: range });
  return { mae, mse, psnr: psnr(mse, range), ssim, ms_ssim };
}

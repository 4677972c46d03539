/**
 * The `reference` family: the metrics of the published tools, to the digit, with all their peculiarities, so that numbers can be
 * compared with those in print. What each peculiarity means is in docs/evaluation.md; for judging an image use `standardMetrics`.
 *
 * @example
 * const { psnr, ssim } = referenceMetrics(reconstruction, truth);
 * console.log(psnr.amplitude, ssim.phase);
 */
import { PtychoError } from '../core/errors.js';
import { meanOf } from '../core/numbers.js';
import type { Tensor } from '../core/tensor.js';
import { gaussianBlur } from '../physics/gaussian.js';
import { frcCrossing, ringCorrelation } from './frc.js';
import {
  asComplex,
  cutImage,
  type EvaluatedImage,
  type MetricPair,
  meanErrors,
  phaseOf,
  requireSameImage,
} from './images.js';
import { fitPlane } from './phase.js';
import { publishedMsSsim, uniformSsim } from './similarity.js';

/** What is taken out of the phases before they are compared. */
export type PhaseAlignment = 'plane' | 'mean';

/** Choices of the published tools. */
export interface ReferenceOptions {
  /** `plane`: the plane of least squares is taken out of each phase, `mean`: its mean; no unwrapping. Default `plane`. */
  readonly phase_align_method?: PhaseAlignment;
  /** Smooths the ring correlation curves by a Gaussian of this many rings; default 0. */
  readonly frc_sigma?: number;
  /** Smooths amplitudes by a Gaussian of this many pixels before `ms_ssim`; default 1. */
  readonly ms_ssim_sigma?: number;
  /** Half of this many pixels are left out at every side; even, default 4. */
  readonly offset_px?: number;
}

/** The published metrics, each for amplitude and phase. */
export interface ReferenceMetrics {
  readonly mae: MetricPair;
  readonly mse: MetricPair;
  /** Decibels about a peak of 255, whatever the range of the data. */
  readonly psnr: MetricPair;
  readonly ssim: MetricPair;
  readonly ms_ssim: MetricPair;
  /** First ring whose correlation is below 0.5, in periods across the image. */
  readonly frc50: MetricPair;
  /** First ring whose correlation is below 1/7. */
  readonly frc1over7: MetricPair;
  /** The curves, rings up to the corner of the spectrum included; undefined where the truth is zero everywhere. */
  readonly frc: { readonly amplitude?: Float64Array; readonly phase?: Float64Array };
}

/** Names of the metrics that are numbers, in the published order. */
export const METRIC_NAMES = ['mae', 'mse', 'psnr', 'ssim', 'ms_ssim', 'frc50', 'frc1over7'] as const;

/**
 * Compares a reconstruction with the truth, both (rows, cols) in one frame, as the published tools do: amplitudes are scaled to
 * the same mean, planes (or means) are taken out of both phases.
 *
 * @throws PtychoError DATASET_SHAPE for different or too small images, CONFIG_INVALID for an odd offset, DATASET_VALUE for a
 * reconstruction of NaN only
 */
export function referenceMetrics(
  image: EvaluatedImage,
  truth: EvaluatedImage,
  options: ReferenceOptions = {},
): ReferenceMetrics {
  const { phase_align_method = 'plane', frc_sigma = 0, ms_ssim_sigma = 1, offset_px = 4 } = options;
  requireSameImage(image, truth);
  if (image.re.every((v, i) => Number.isNaN(v) || Number.isNaN(image.im[i]))) {
    throw new PtychoError(
      'DATASET_VALUE',
      'The reconstruction holds nothing but NaN, so it cannot be compared; look at the run that made it.',
      {},
    );
  }
  const [ours, theirs] = [trimmed(image, offset_px), trimmed(truth, offset_px)];

  // Single precision, as published: in rings near the corner of the spectrum its rounding is part of the numbers.
  const trueAmplitude = singleModulus(theirs);
  const amplitude = rounded(scaledToMean(singleModulus(ours), trueAmplitude));
  const phase = alignedPhase(rounded(phaseOf(ours)), phase_align_method);
  const truePhase = alignedPhase(rounded(phaseOf(theirs)), phase_align_method);
  const [turn, trueTurn] = [asTurn(phase), asTurn(truePhase)];
  const errors = {
    amplitude: meanErrors(amplitude.data, trueAmplitude.data),
    phase: meanErrors(phase.data, truePhase.data),
  };
  const rings = {
    amplitude: publishedFrc(amplitude, trueAmplitude, frc_sigma),
    phase: publishedFrc(phase, truePhase, frc_sigma),
  };
  const both = (of: (of: 'amplitude' | 'phase') => number): MetricPair => ({
    amplitude: of('amplitude'),
    phase: of('phase'),
  });
  return {
    mae: both((of) => errors[of].mae),
    mse: both((of) => errors[of].mse),
    psnr: both((of) => publishedPsnr(errors[of].mse)),
    ssim: { amplitude: uniformSsim(amplitude, trueAmplitude), phase: uniformSsim(turn, trueTurn, 1) },
    ms_ssim: {
      amplitude: publishedMsSsim(amplitude, trueAmplitude, ms_ssim_sigma),
      phase: publishedMsSsim(turn, trueTurn, 0),
    },
    frc50: both((of) => rings[of].frc50),
    frc1over7: both((of) => rings[of].frc1over7),
    frc: { amplitude: rings.amplitude.curve, phase: rings.phase.curve },
  };
}

/** 20·log₁₀(255/√mse): 48.13 dB above a peak signal-to-noise ratio about a peak of 1. */
export function publishedPsnr(mse: number): number {
  return 20 * Math.log10(255 / (Math.sqrt(mse) + Number.EPSILON));
}

/**
 * A phase image with its least-squares plane, or its mean, taken out.
 * @throws PtychoError CONFIG_INVALID for another method
 */
export function alignedPhase(phase: Tensor<Float64Array>, method: PhaseAlignment): Tensor<Float64Array> {
  const { data, shape } = phase;
  const [rows, cols] = shape;
  if (method === 'mean') {
    // In single precision, as published: exact arithmetic would leave the innermost ring of the correlation empty.
    const mean = Math.fround(meanOf(data));
    return { data: data.map((v) => Math.fround(v - mean)), shape };
  }
  if (method !== 'plane') {
    throw new PtychoError(
      'CONFIG_INVALID',
      `phase_align_method must be plane or mean, found ${JSON.stringify(method)}.`,
      { key: 'phase_align_method', found: method },
    );
  }
  const plane = fitPlane(data, new Float64Array(data.length).fill(1), rows, cols);
  const at = (i: number) => plane.x * (i % cols) + plane.y * Math.floor(i / cols) + plane.offset;
  return { data: data.map((v, i) => v - at(i)), shape };
}

/** The published ring correlation of two real images and where it crosses; no curve where the truth is zero everywhere. */
export function publishedFrc(image: Tensor<Float64Array>, truth: Tensor<Float64Array>, sigma: number) {
  if (truth.data.every((v) => v === 0)) return { curve: undefined, frc50: Number.NaN, frc1over7: Number.NaN };
  const { curve } = ringCorrelation(asComplex(image), asComplex(truth), { empty: Number.NaN, exact: true });
  const smooth = gaussianBlur({ data: curve, shape: [1, curve.length] }, sigma).data;
  return { curve: smooth, frc50: frcCrossing(smooth, 0.5), frc1over7: frcCrossing(smooth, 1 / 7) };
}

function trimmed<T extends EvaluatedImage>(image: T, offset: number): T {
  if (!Number.isInteger(offset) || offset < 0 || offset % 2 !== 0) {
    throw new PtychoError('CONFIG_INVALID', `offset_px must be an even number of pixels from 0, found ${offset}.`, {
      key: 'offset_px',
      found: offset,
    });
  }
  const [rows, cols] = image.shape;
  if (Math.min(rows, cols) - offset < 7) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `Images of ${rows}×${cols} pixels are too small to compare: ${offset} rows and columns are left out, and the similarity needs 7.`,
      { found: image.shape },
    );
  }
  return cutImage(image, offset / 2, offset / 2, rows - offset, cols - offset);
}

function scaledToMean(image: Tensor<Float64Array>, truth: Tensor<Float64Array>): Tensor<Float64Array> {
  const factor = meanOf(truth.data) / meanOf(image.data);
  return { data: image.data.map((v) => v * factor), shape: image.shape };
}

/** |z| in the steps of NumPy's single-precision modulus: both parts divided by the larger, every step rounded. */
function singleModulus(z: EvaluatedImage): Tensor<Float64Array> {
  const { fround } = Math;
  const data = Float64Array.from({ length: z.re.length }, (_, i) => {
    const [x, y] = [Math.abs(fround(z.re[i])), Math.abs(fround(z.im[i]))];
    const larger = Math.max(x, y);
    if (larger === 0) return 0;
    const [a, b] = [fround(x / larger), fround(y / larger)];
    return fround(fround(Math.sqrt(fround(fround(a * a) + fround(b * b)))) * larger);
  });
  return { data, shape: z.shape };
}

/** Values that single precision holds. */
function rounded({ data, shape }: Tensor<Float64Array>): Tensor<Float64Array> {
  return { data: data.map(Math.fround), shape };
}

/** A phase as a part of a turn, −π … π on 0 … 1. */
function asTurn({ data, shape }: Tensor<Float64Array>): Tensor<Float64Array> {
  return { data: data.map((v) => (v + Math.PI) / (2 * Math.PI)), shape };
}

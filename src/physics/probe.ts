/** Probe preparation: the default disk, masks, and the published normalisation. */
import type { ComplexImage, ComplexTensor, Tensor } from '../core/tensor.js';
import { gaussianBlur, gaussianWindow } from './gaussian.js';
import { emptyLike, type FloatArray } from './sampling.js';

/** The published default for `probe_scale`. */
export const DEFAULT_PROBE_SCALE = 4;

/**
 * The default probe (N, N): the half-maximum disk of a Gaussian of standard deviation N/(0.7π²), blurred by σ = 1 px, plus
 * 1e-9; real and positive (376 pixels at N = 64).
 */
export function defaultDiskProbe(side: number): Tensor<Float64Array> {
  const window = gaussianWindow(side, side / (0.7 * Math.PI ** 2));
  const disk = new Float64Array(side * side);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) disk[r * side + c] = window[r] * window[c] > 0.5 ? 1 : 0;
  }
  const probe = gaussianBlur({ data: disk, shape: [side, side] }, 1);
  for (let i = 0; i < probe.data.length; i++) probe.data[i] += 1e-9;
  return probe;
}

/** The hard probe mask (N, N): 1 where the distance from the centre (N/2 − ½) is below N/4, else 0 (812 pixels at N = 64). */
export function probeMask(side: number): Tensor<Float64Array> {
  const radius = Math.floor(side / 4);
  const half = Math.floor(side / 2);
  const data = new Float64Array(side * side);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      const distance2 = (r - half + 0.5) ** 2 + (c - half + 0.5) ** 2;
      data[r * side + c] = distance2 < radius * radius ? 1 : 0;
    }
  }
  return { data, shape: [side, side] };
}

/** The soft probe mask (N, N): a disk of diameter N/2 blurred by σ = 1 px (zeros outside, ±3 px), largest value 1. */
export function softProbeMask(side: number): Tensor<Float64Array> {
  const mask = gaussianBlur(probeMask(side), 1, { edge: 'zero', radius: 3 });
  const largest = mask.data.reduce((a, b) => Math.max(a, b), 0);
  for (let i = 0; i < mask.data.length; i++) mask.data[i] = Math.min(1, Math.max(0, mask.data[i] / largest));
  return mask;
}

/** A probe in the published gauge. */
export interface NormalisedProbe<T extends FloatArray> {
  /** P / norm; never masked itself. */
  readonly probe: ComplexTensor<T>;
  /** probe_scale · mean|mask·P|. */
  readonly norm: number;
}

/**
 * The published probe gauge: P/(probe_scale · mean|mask·P|). The mask enters the norm only. TensorFlow's form always uses
 * {@link probeMask}; PyTorch's uses {@link softProbeMask} where masking is on and none otherwise. All modes of a (P, N, N)
 * probe share one norm.
 */
export function normaliseProbe<T extends FloatArray>(
  probe: ComplexTensor<T>,
  options: { readonly probeScale?: number; readonly mask?: Tensor<Float64Array> } = {},
): NormalisedProbe<T> {
  const { probeScale = DEFAULT_PROBE_SCALE, mask } = options;
  const area = probe.shape[probe.shape.length - 1] * probe.shape[probe.shape.length - 2];
  let sum = 0;
  for (let i = 0; i < probe.re.length; i++) {
    sum += Math.hypot(probe.re[i], probe.im[i]) * (mask ? mask.data[i % area] : 1);
  }
  const norm = (probeScale * sum) / probe.re.length;
  return { probe: scaleComplex(probe, 1 / norm), norm };
}

/** Real and imaginary values of anything. */
type Parts = Pick<ComplexTensor<FloatArray>, 're' | 'im'>;

/** Σ|P|² over the modes at each of `area` pixels. */
export function modeIntensity({ re, im }: Parts, area: number): Float64Array {
  const sums = new Float64Array(area);
  for (let i = 0; i < re.length; i++) sums[i % area] += re[i] ** 2 + im[i] ** 2;
  return sums;
}

/** Σ|P|², in counts when the probe carries the photon level: the mean counts behind an empty object. */
export function totalIntensity(image: Parts): number {
  let sum = 0;
  for (let i = 0; i < image.re.length; i++) sum += image.re[i] ** 2 + image.im[i] ** 2;
  return sum;
}

/**
 * What a probe must be multiplied by so that the patterns it explains hold as many counts as the measured ones: exposures differ, and
 * a probe file keeps the power of the one that it was made at.
 * @param counts,modelled sums over the same pixels; 1 where nothing is modelled
 */
export const exposureFactor = (counts: number, modelled: number): number =>
  modelled > 0 ? Math.sqrt(counts / modelled) : 1;

/** The array times a real number. */
export function scaleComplex<T extends FloatArray>(image: ComplexTensor<T>, factor: number): ComplexTensor<T> {
  const re = emptyLike(image.re);
  const im = emptyLike(image.im);
  for (let i = 0; i < re.length; i++) {
    re[i] = image.re[i] * factor;
    im[i] = image.im[i] * factor;
  }
  return { re, im, shape: image.shape };
}

/** A real image as a complex one (float32). */
export function asComplex(image: Tensor<FloatArray>): ComplexImage {
  return { re: Float32Array.from(image.data), im: new Float32Array(image.data.length), shape: image.shape };
}

/**
 * Diameter in pixels of a disc as large as the probe: 2·√(A/π), A = (Σ|P|²)² / Σ|P|⁴ pixels; the modes of a (P, N, N) probe
 * add up in intensity first.
 */
export function probeDiameter({ re, im, shape }: ComplexTensor<Float32Array | Float64Array>): number {
  const area = shape[shape.length - 1] * shape[shape.length - 2];
  let [sum, squares] = [0, 0];
  for (let p = 0; p < area; p++) {
    let intensity = 0;
    for (let i = p; i < re.length; i += area) intensity += re[i] * re[i] + im[i] * im[i];
    sum += intensity;
    squares += intensity * intensity;
  }
  return squares === 0 ? 0 : 2 * Math.sqrt((sum * sum) / squares / Math.PI);
}

/**
 * Width of a probe: the diameter of a disc of as many pixels as have half the largest intensity or more (modes added up), which is
 * the full width at half maximum of a round probe.
 */
export function probeFwhm(probe: ComplexTensor<Float32Array | Float64Array>): number {
  const { shape } = probe;
  const intensity = modeIntensity(probe, shape[shape.length - 1] * shape[shape.length - 2]);
  const half = intensity.reduce((most, v) => Math.max(most, v), 0) / 2;
  const lit = intensity.reduce((count, v) => count + (half > 0 && v >= half ? 1 : 0), 0);
  return 2 * Math.sqrt(lit / Math.PI);
}

/**
 * What the network sees of a pattern x: x′ = g·(x − share·reference), g such that x′ has the rms of x. Patterns of a scan are nearly
 * alike; without their common part a network leaves the constant object sooner. Both parameters are fixed: they are kept with the
 * weights and no step moves them, so that whatever predicts with the weights needs nothing else.
 *
 * @example
 * const sums = new PatternSums(N * N);
 * sums.add(patterns); // as the network is fed them
 * const { moments } = sums;
 * const fixed = referenceParameters(moments, nearest(constantPattern(probe), moments.mean), 0.75);
 */
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { DiffractionModel } from '../physics/detector.js';
import { smoothedProbe } from './detector.js';
import type { ScanRows } from './scanRows.js';

/** share·reference, [N, N]. */
export const INPUT_REFERENCE = 'input.reference';
/** g, []. */
export const INPUT_GAIN = 'input.gain';

/** x′ of patterns [B, C, N, N]; the parameters begin as those of the patterns themselves. With several scans each has its own. */
export function relativeInput(x: GraphNode, N: number, scope: ParameterScope, rows?: ScanRows): GraphNode {
  if (rows) {
    const count = rows.scans.length;
    const references = op.reshape(scope.parameter(INPUT_REFERENCE, [count, N, N], 0, true), [count, 1, N, N]);
    const gains = scope.parameter(INPUT_GAIN, [count], 1, true);
    return op.mul(op.sub(x, rows.of(references)), rows.scalars(gains));
  }
  const reference = scope.parameter(INPUT_REFERENCE, [N, N], 0, true);
  return op.mul(op.sub(x, reference), scope.parameter(INPUT_GAIN, [], 1, true));
}

/** What is known of the patterns that a network is fed. */
export interface PatternMoments {
  /** (N·N) mean over patterns. */
  readonly mean: Float64Array;
  /** Mean over patterns and pixels of x². */
  readonly power: number;
}

/** Adds up patterns as they come. */
export class PatternSums {
  readonly #sum: Float64Array;
  #squares = 0;
  #count = 0;

  /** @param area pixels of a pattern */
  constructor(area: number) {
    this.#sum = new Float64Array(area);
  }

  /** Takes whole patterns, one after the other. */
  add(patterns: ArrayLike<number>): void {
    const area = this.#sum.length;
    for (let i = 0; i < patterns.length; i++) {
      const v = patterns[i];
      this.#sum[i % area] += v;
      this.#squares += v * v;
    }
    this.#count += patterns.length / area;
  }

  get moments(): PatternMoments {
    const { length: area } = this.#sum;
    return { mean: this.#sum.map((v) => v / this.#count), power: this.#squares / (this.#count * area) };
  }
}

/** How {@link constantPattern} sees the detector. */
export interface PatternOptions {
  /** (N, N): the probe counts where this is 1. */
  readonly probeMask?: ArrayLike<number>;
  /** (N, N): 1 at pixels that are dark because they cannot be used. */
  readonly badPixels?: ArrayLike<number>;
  /** The network is fed counts instead of amplitudes. */
  readonly counts?: boolean;
  /** `gaussian_smoothing_sigma` of the network: exit waves are blurred. */
  readonly smoothingSigma?: number;
}

/** |F P| of a probe (N, N), or √Σ|F P_p|² of incoherent modes: the pattern of a constant object, up to a factor. */
export function constantPattern(
  probe: ComplexTensor,
  { probeMask: mask, badPixels, counts = false, smoothingSigma = 0 }: PatternOptions = {},
): Float64Array {
  const area = probe.shape[probe.shape.length - 1] ** 2;
  const lit = mask ? maskedProbe(probe, mask) : probe;
  // The exit wave of a constant object is the probe.
  const model = new DiffractionModel(smoothingSigma > 0 ? smoothedProbe(lit, smoothingSigma) : lit);
  const intensity = new Float64Array(area);
  const ones = new Float64Array(area).fill(1);
  model.intensity(ones, new Float64Array(area), 0, intensity);
  return intensity.map((v, i) => (badPixels?.[i] ? 0 : counts ? v : Math.sqrt(v)));
}

function maskedProbe({ re, im, shape }: ComplexTensor, mask: ArrayLike<number>): ComplexTensor {
  const masked = (x: Float32Array) => x.map((v, i) => v * mask[i % mask.length]);
  return { re: masked(re), im: masked(im), shape };
}

/** `pattern` times the factor that brings it nearest to `target`, by least squares. */
export function nearest(pattern: Float64Array, target: ArrayLike<number>): Float64Array {
  const factor = dot(pattern, target) / dot(pattern, pattern);
  return pattern.map((v) => v * factor);
}

/** Less of the power than this is rounding: patterns that are all alike are not blown up. */
const LEAST_REST = 1e-6;

/** The fixed parameters for patterns with these moments. */
export function referenceParameters(
  { mean, power }: PatternMoments,
  reference: Float64Array,
  share: number,
): Record<string, Tensor> {
  const side = Math.sqrt(mean.length);
  const taken = Float32Array.from(reference, (v) => share * v);
  // mean (x − r)² = mean x² − 2·mean x·r + mean r²
  const rest = power + (dot(taken, taken) - 2 * dot(taken, mean)) / mean.length;
  return {
    [INPUT_REFERENCE]: { data: taken, shape: [side, side] },
    [INPUT_GAIN]: { data: Float32Array.of(Math.sqrt(power / Math.max(rest, LEAST_REST * power))), shape: [] },
  };
}

/** Relative to the largest value: a difference of two float32 computations, not of two probes. */
const SAME_PATTERN = 1e-4;

/**
 * A kept reference c·|F P| for another scan: the pattern of its probe with the power of the kept one. The kept one itself where the
 * probe is the same.
 * @param pattern {@link constantPattern} of the scan's probe with its bad pixels
 * @param whole the same without bad pixels
 */
export function followedReference(kept: Tensor, pattern: Float64Array, whole: Float64Array): Tensor {
  const { data, shape } = kept;
  let power = 0;
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) power += whole[i] ** 2;
  const factor = Math.sqrt(dot(data, data) / power);
  const followed = Float32Array.from(pattern, (v) => v * factor);
  let [largest, difference] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    largest = Math.max(largest, data[i]);
    difference = Math.max(difference, Math.abs(data[i] - followed[i]));
  }
  return power > 0 && difference > SAME_PATTERN * largest ? { data: followed, shape } : kept;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

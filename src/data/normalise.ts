/**
 * Statistical normalisation: the mean power of the patterns, measured in float64 while they stream by. Photon scales and
 * display scales are other things and live elsewhere.
 */
import { PtychoError } from '../core/errors.js';
import { inputNormalisation } from '../physics/scale.js';
import type { Groups } from './grouping.js';
import type { PatternSource } from './patternSource.js';

/** What the patterns of a scan measure together; d is the amplitude, so d² is an intensity (counts, in count domains). */
export interface PatternStatistics {
  /** Patterns measured; repeated ones count again. */
  readonly count: number;
  /** Mean over the patterns of Σ d². */
  readonly meanPower: number;
  /** The same per pixel: mean d². */
  readonly meanCountsPerPixel: number;
  readonly maxAmplitude: number;
  /** Mean over patterns and pixels of the normalised amplitude s·d. */
  readonly meanAmplitude: number;
  /** s = √((N/2)² / meanPower): the mean power of s·d is (N/2)², the scale that networks are fed at. */
  readonly inputScale: number;
}

/** {@link PatternStatistics} over grouped patterns. */
export type GroupedStatistics = PatternStatistics;

/** Pixels read in one go. */
const CHUNK_PIXELS = 1 << 21;

/**
 * Reads patterns in bounded pieces, each once, in the given order.
 * @param visit called for every pattern with its place in `indices` and its pixels (valid only during the call).
 */
export async function forEachPattern(
  source: PatternSource,
  indices: Int32Array,
  visit: (amplitudes: Float32Array, i: number) => void,
): Promise<void> {
  const size = source.N * source.N;
  const step = Math.max(1, Math.floor(CHUNK_PIXELS / size));
  const buffer = new Float32Array(Math.min(step, indices.length) * size);
  for (let from = 0; from < indices.length; from += step) {
    const part = indices.subarray(from, from + step);
    const pixels = buffer.subarray(0, part.length * size);
    await source.readAmplitudes(part, pixels);
    for (let i = 0; i < part.length; i++) visit(pixels.subarray(i * size, (i + 1) * size), from + i);
  }
}

/** Σ d² of one pattern, in float64. */
export function patternPower(amplitudes: Float32Array): number {
  let power = 0;
  for (const d of amplitudes) power += d * d;
  return power;
}

/**
 * Measures patterns, each counted once.
 * @param indices which patterns; all by default.
 * @throws PtychoError DATASET_VALUE when all of them are dark, and those of reading.
 */
export async function measureStatistics(
  source: PatternSource,
  indices?: ArrayLike<number>,
): Promise<PatternStatistics> {
  const chosen = Int32Array.from(indices ?? { length: source.count }, (value, i) => value ?? i);
  return weightedStatistics(source, chosen, new Float64Array(chosen.length).fill(1));
}

/**
 * Measures the patterns of groups: a pattern that is in several groups counts as often, as it does in the array of groups
 * (B, C, N, N). Every pattern is read once.
 * @throws PtychoError as {@link measureStatistics}.
 */
export async function groupedStatistics(source: PatternSource, groups: Groups): Promise<GroupedStatistics> {
  const times = new Map<number, number>();
  for (const member of groups.members) times.set(member, (times.get(member) ?? 0) + 1);
  const chosen = Int32Array.from(times.keys()).sort();
  return weightedStatistics(
    source,
    chosen,
    Float64Array.from(chosen, (member) => times.get(member)!),
  );
}

async function weightedStatistics(
  source: PatternSource,
  indices: Int32Array,
  weights: Float64Array,
): Promise<PatternStatistics> {
  let total = 0;
  let amplitude = 0;
  let count = 0;
  let maxAmplitude = 0;
  await forEachPattern(source, indices, (amplitudes, i) => {
    total += weights[i] * patternPower(amplitudes);
    count += weights[i];
    let sum = 0;
    for (const d of amplitudes) {
      sum += d;
      if (d > maxAmplitude) maxAmplitude = d;
    }
    amplitude += weights[i] * sum;
  });
  if (total === 0) {
    throw new PtychoError(
      'DATASET_VALUE',
      `All ${count} patterns are dark (zero everywhere), so there is nothing to normalise or to learn from; check the diffraction array.`,
      { found: 0 },
    );
  }
  const { N } = source;
  const meanPower = total / count;
  const inputScale = inputNormalisation(meanPower, N);
  return {
    count,
    meanPower,
    meanCountsPerPixel: meanPower / (N * N),
    maxAmplitude,
    meanAmplitude: (inputScale * amplitude) / (count * N * N),
    inputScale,
  };
}

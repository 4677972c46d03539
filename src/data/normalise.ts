/**
 * Statistical normalisation: the mean power of the patterns, measured in float64 while they stream by. Photon scales and
 * display scales are other things and live elsewhere.
 */
import { isPtychoError, PtychoError, type PtychoErrorCode } from '../core/errors.js';
import { inputNormalisation } from '../physics/detector.js';
import type { Groups } from './grouping/grouping.js';
import type { LookedPatterns, PatternSource } from './patternSource.js';

/** What the patterns of a scan measure together; d is the amplitude, so d² is an intensity (counts, in count domains). */
export interface PatternStatistics {
  /** Patterns measured; repeated ones count again. */
  readonly count: number;
  /** Mean over the patterns of Σ d². */
  readonly meanPower: number;
  /** The same per usable pixel: mean d². */
  readonly meanCountsPerPixel: number;
  /** Mean over the patterns of Σ d⁴, the squared intensities. */
  readonly meanSquaredIntensity: number;
  readonly maxAmplitude: number;
  /** The largest sum Σ d over a pattern. */
  readonly maxAmplitudeSum: number;
  /** Mean over patterns and usable pixels of the normalised amplitude s·d. */
  readonly meanAmplitude: number;
  /** s = √((N/2)² / meanPower): the mean power of s·d is (N/2)², the scale that networks are fed at. */
  readonly inputScale: number;
}

/** Options of {@link measureStatistics} and {@link groupedStatistics}. */
export interface StatisticsOptions {
  /**
   * (N, N), 1 where a pixel cannot be used (`RawData.badPixels`): such pixels are left out of every sum and mean. The input
   * scale stays (N/2)² a pattern, whatever the number of usable pixels.
   */
  readonly badPixels?: ArrayLike<number>;
}

/** Pixels read in one go. */
const CHUNK_PIXELS = 1 << 21;

/**
 * Reads patterns in bounded pieces, each once, in the given order.
 * @param visit called for every piece with its place in `indices`; its pixels are valid only during the call
 * @param lost told of patterns that cannot be read (with this code, where one is given): the others of their piece are read one by one
 */
export async function forEachPiece(
  source: PatternSource,
  indices: Int32Array,
  visit: (piece: LookedPatterns, from: number) => void,
  lost?: { readonly code?: PtychoErrorCode; add(problem: string): void },
): Promise<void> {
  const size = source.N * source.N;
  const step = Math.max(1, Math.floor(CHUNK_PIXELS / size));
  const buffer = new Float32Array(Math.min(step, indices.length) * size);
  const read = async (part: Int32Array, from: number): Promise<void> => {
    const pixels = buffer.subarray(0, part.length * size);
    try {
      await source.readAmplitudes(part, pixels);
    } catch (error) {
      if (!lost || !isPtychoError(error, lost.code)) throw error;
      if (part.length === 1) lost.add(error.message);
      else for (let i = 0; i < part.length; i++) await read(part.subarray(i, i + 1), from + i);
      return;
    }
    visit({ pixels, indices: part }, from);
  };
  for (let from = 0; from < indices.length; from += step) await read(indices.subarray(from, from + step), from);
}

/** {@link forEachPiece}, pattern by pattern. @param visit called with the pixels of each and its place in `indices` */
export function forEachPattern(
  source: PatternSource,
  indices: Int32Array,
  visit: (amplitudes: Float32Array, i: number) => void,
): Promise<void> {
  const size = source.N * source.N;
  return forEachPiece(source, indices, ({ pixels, indices: part }, from) => {
    for (let i = 0; i < part.length; i++) visit(pixels.subarray(i * size, (i + 1) * size), from + i);
  });
}

/**
 * Measures patterns, each counted once.
 * @param indices which patterns; all by default.
 * @throws PtychoError DATASET_VALUE when all of them are dark, and those of reading.
 */
export async function measureStatistics(
  source: PatternSource,
  indices?: ArrayLike<number>,
  options: StatisticsOptions = {},
): Promise<PatternStatistics> {
  const chosen = Int32Array.from(indices ?? { length: source.count }, (value, i) => value ?? i);
  return weightedStatistics(source, chosen, new Float64Array(chosen.length).fill(1), options);
}

/**
 * Measures the patterns of groups: a pattern that is in several groups counts as often, as it does in the array of groups
 * (B, C, N, N). Every pattern is read once.
 * @throws PtychoError as {@link measureStatistics}.
 */
export async function groupedStatistics(
  source: PatternSource,
  groups: Pick<Groups, 'members'>,
  options: StatisticsOptions = {},
): Promise<PatternStatistics> {
  const times = new Map<number, number>();
  for (const member of groups.members) times.set(member, (times.get(member) ?? 0) + 1);
  const chosen = Int32Array.from(times.keys()).sort();
  return weightedStatistics(
    source,
    chosen,
    Float64Array.from(chosen, (member) => times.get(member)!),
    options,
  );
}

async function weightedStatistics(
  source: PatternSource,
  indices: Int32Array,
  weights: Float64Array,
  { badPixels }: StatisticsOptions,
): Promise<PatternStatistics> {
  const { N } = source;
  const bad = badPixelList(badPixels, N);
  const usable = N * N - bad.length;
  let total = 0;
  let squared = 0;
  let amplitude = 0;
  let count = 0;
  let maxAmplitude = 0;
  let maxAmplitudeSum = 0;
  const add = (i: number, { power, squares, sum, max }: ReturnType<typeof patternSums>) => {
    total += weights[i] * power;
    squared += weights[i] * squares;
    amplitude += weights[i] * sum;
    count += weights[i];
    maxAmplitude = Math.max(maxAmplitude, max);
    maxAmplitudeSum = Math.max(maxAmplitudeSum, sum);
  };
  const { sums } = source;
  if (sums) {
    // Measured already, bad pixels being dark in every source that has them.
    indices.forEach((k, i) => {
      add(i, { power: sums.power[k], squares: sums.squares[k], sum: sums.sum[k], max: sums.max[k] });
    });
  } else {
    await forEachPattern(source, indices, (amplitudes, i) => {
      for (let b = 0; b < bad.length; b++) amplitudes[bad[b]] = 0;
      add(i, patternSums(amplitudes));
    });
  }
  if (total === 0) {
    throw new PtychoError(
      'DATASET_VALUE',
      `All ${count} patterns are dark (zero everywhere), so there is nothing to normalise or to learn from; check the diffraction array.`,
      { found: 0 },
    );
  }
  const meanPower = total / count;
  const inputScale = inputNormalisation(meanPower, N);
  return {
    count,
    meanPower,
    meanCountsPerPixel: meanPower / usable,
    meanSquaredIntensity: squared / count,
    maxAmplitude,
    maxAmplitudeSum,
    meanAmplitude: (inputScale * amplitude) / (count * usable),
    inputScale,
  };
}

/** Σ d², Σ d⁴, Σ d and the largest d. By index and in locals: for…of and captured variables are ten times slower here. */
export function patternSums(amplitudes: Float32Array): { power: number; squares: number; sum: number; max: number } {
  let power = 0;
  let squares = 0;
  let sum = 0;
  let max = 0;
  for (let p = 0; p < amplitudes.length; p++) {
    const d = amplitudes[p];
    const intensity = d * d;
    power += intensity;
    squares += intensity * intensity;
    sum += d;
    if (d > max) max = d;
  }
  return { power, squares, sum, max };
}

function badPixelList(badPixels: ArrayLike<number> | undefined, N: number): Int32Array {
  if (badPixels === undefined) return new Int32Array(0);
  if (badPixels.length !== N * N) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The bad-pixel mask has ${badPixels.length} pixels, but the patterns have ${N}×${N}; it must have one value for each.`,
      { found: badPixels.length, expected: N * N },
    );
  }
  const list = Int32Array.from({ length: N * N }, (_, p) => p).filter((p) => badPixels[p] !== 0);
  if (list.length < N * N) return list;
  throw new PtychoError('DATASET_VALUE', 'The bad-pixel mask marks every pixel, so nothing is left to use; check it.', {
    found: list.length,
  });
}

/** What a network must beat: the amplitude loss of the best constant object, whose patterns are all alike. */
import { spreadIndices } from '../core/numbers.js';
import type { Tensor } from '../core/tensor.js';
import { constantPattern } from '../model/inputReference.js';
import type { NetworkSpec } from '../model/network.js';
import type { TrainPart } from './programs.js';

/** Amplitudes that are looked at, at most. */
const MOST_VALUES = 2 ** 23;

/** Groups that are read at a time. */
const READ = 16;

/** What of a network decides it. */
export type ConstantSpec = Pick<
  NetworkSpec,
  'config' | 'scale' | 'meanAmplitude' | 'probeMask' | 'badPixels' | 'matchPredictedNorm'
>;

/**
 * The amplitude loss (`mae`) of the best constant object under the network's first probe, over evenly spaced groups of a part that
 * hold at most 2²³ values: Σ|x − c·p| over the patterns x, with p = |F P| and the c that makes it least.
 */
export async function constantLoss({ dataset, groups }: TrainPart, spec: ConstantSpec): Promise<number> {
  const { config, scale, meanAmplitude, probeMask, badPixels, matchPredictedNorm } = spec;
  const area = config.N ** 2;
  const most = Math.max(1, Math.floor(MOST_VALUES / (area * config.gridsize ** 2)));
  const chosen = spreadIndices(groups.length, most).map((i) => groups[i]);
  const patterns: Tensor[] = [];
  for (let from = 0; from < chosen.length; from += READ) {
    patterns.push((await dataset.batch(chosen.subarray(from, from + READ))).diffraction);
  }
  const pattern = constantPattern(scale.probe, {
    probeMask,
    badPixels,
    smoothingSigma: config.gaussian_smoothing_sigma,
  });
  const valid = area - (badPixels ? Array.from(badPixels).reduce((n, bad) => n + (bad ? 1 : 0), 0) : 0);
  const measured = patterns.flatMap(({ data }) =>
    Array.from({ length: data.length / area }, (_, k) => data.subarray(k * area, (k + 1) * area)),
  );
  const misfit = matchPredictedNorm
    ? ownNorms(measured, pattern, badPixels)
    : leastMisfit(measured, pattern, badPixels);
  return misfit / (measured.length * valid * meanAmplitude);
}

type Patterns = readonly Float32Array[];

/** Every pattern against p with its own norm. */
function ownNorms(measured: Patterns, pattern: Float64Array, bad: ArrayLike<number> | undefined): number {
  const power = (x: ArrayLike<number>) => {
    let sum = 0;
    for (let i = 0; i < x.length; i++) if (!bad?.[i]) sum += x[i] * x[i];
    return sum;
  };
  const own = power(pattern);
  return measured.reduce((sum, x) => sum + misfitOf(x, pattern, Math.sqrt(power(x) / own), bad), 0);
}

/** The least Σ|x − c·p|, which is convex in c. */
function leastMisfit(measured: Patterns, pattern: Float64Array, bad: ArrayLike<number> | undefined): number {
  const total = (c: number) => measured.reduce((sum, x) => sum + misfitOf(x, pattern, c, bad), 0);
  let [low, high] = [0, 2 * leastSquares(measured, pattern)];
  let least = total(low);
  for (let step = 0; step < STEPS; step++) {
    const [a, b] = [low + (high - low) / 3, high - (high - low) / 3];
    const [atA, atB] = [total(a), total(b)];
    least = Math.min(least, atA, atB);
    if (atA < atB) high = b;
    else low = a;
  }
  return least;
}

/** Of ternary search: (2/3)²⁰ of the range is below a thousandth, and the misfit is flat at its minimum. */
const STEPS = 20;

function leastSquares(measured: Patterns, pattern: Float64Array): number {
  let [cross, power] = [0, 0];
  for (const x of measured) {
    for (let i = 0; i < x.length; i++) {
      cross += x[i] * pattern[i];
      power += pattern[i] * pattern[i];
    }
  }
  return power > 0 ? cross / power : 0;
}

function misfitOf(x: Float32Array, pattern: Float64Array, c: number, bad: ArrayLike<number> | undefined): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) if (!bad?.[i]) sum += Math.abs(x[i] - c * pattern[i]);
  return sum;
}

/**
 * What photon counting leaves in numbers, whatever they were multiplied by: counts come in whole steps and spread by the square
 * root of their mean; square roots of counts come in steps of √2, √3, … and spread equally, however bright it is.
 *
 * @example
 * stepsOf(values, 64); // 'counts', 'roots' or undefined, where no steps are left
 * spreadOf(values, 64); // 'counts', 'roots' or undefined, where no noise is seen
 * rootDeviation(1000); // 0.399: how far the root of a count lies from the root of its mean, on average
 */

/** What numbers look like: counts (times a factor), or square roots of counts (times a factor). */
export type Look = 'counts' | 'roots';

/** Steps are looked for among values up to this many times the smallest: beyond, single precision blurs them. */
const LARGEST_STEP = 64;
/** Relative rounding of single precision, of a quotient and of its square, with some room. */
const ROUNDING = 6e-7;
/** So many groups of numbers in steps are no accident. */
const ENOUGH_GROUPS = 8;
/** How much oftener one kind of step must be than the other. */
const CLEAR = 20;
/** Pixels looked at for the steps that are each pixel's own (flat field). */
const MOST_PIXELS = 8192;
/** Squares of two pixels in two patterns looked at for the steps that are left of both. */
const MOST_SQUARES = 120_000;
const ROOT_3 = Math.sqrt(3);
/** Neighbourhoods looked at for the spread. */
const MOST_NEIGHBOURHOODS = 60_000;

/**
 * The steps of counts that were multiplied by one factor, or by one a pattern (monitor), or by one a pixel (flat field): within
 * such a group all numbers are whole multiples of the smallest, or the roots of whole numbers times the smallest.
 * @param values (n, side, side); 0 and negative values are passed over.
 */
export function stepsOf(values: Float32Array, side: number): Look | undefined {
  const size = side * side;
  const n = Math.floor(values.length / size);
  const votes = { counts: 0, roots: 0 };
  const vote = (look: Look | undefined) => {
    if (look !== undefined) votes[look]++;
  };
  // Patterns are long: parts of them are groups, too, and in a dark part the smallest number is one photon.
  const part = Math.max(64, Math.floor(size / 16));
  for (let from = 0; from + part <= n * size; from += part) vote(stepsAmong(values, from, 1, part));
  const stride = Math.max(1, Math.ceil(size / MOST_PIXELS));
  for (let p = 0; p < size; p += stride) vote(stepsAmong(values, p, size, n));
  const across = stepsAcross(values, side);
  const counts = votes.counts + across.counts;
  // Among roots of counts, twos (roots of fours) are found as well, but less often than roots of twos.
  const roots = votes.roots + across.roots;
  if (across.roots >= ENOUGH_GROUPS && across.roots > across.counts && votes.counts <= votes.roots) return 'roots';
  if (roots >= ENOUGH_GROUPS && roots > CLEAR * counts) return 'roots';
  // A grid that numbers were rounded to has whole steps as well, but does not spread as counts do.
  if (counts >= ENOUGH_GROUPS && counts > CLEAR * roots && spreadsByItsSteps(values, side)) return 'counts';
  return undefined;
}

/**
 * Counts that were multiplied by one factor a pattern and one a pixel at once: in v(p,i)·v(q,j) / v(p,j)·v(q,i) both are gone, and
 * what is left is a quotient of whole numbers, or the root of one. Halves are never roots of halves, so they tell.
 */
function stepsAcross(values: Float32Array, side: number): { counts: number; roots: number } {
  const size = side * side;
  const n = Math.floor(values.length / size);
  const pairs = Math.floor(n / 2);
  const votes = { counts: 0, roots: 0 };
  const stride = Math.max(1, Math.ceil((pairs * (size - 1)) / MOST_SQUARES));
  for (let k = 0; k < pairs * (size - 1); k += stride) {
    const pattern = Math.floor(k / (size - 1));
    const p = 2 * pattern * size + (k - pattern * (size - 1));
    const [a, b, c, d] = [values[p], values[p + 1], values[p + size], values[p + size + 1]];
    if (!(a > 0 && b > 0 && c > 0 && d > 0)) continue;
    const quotient = (a * d) / (b * c);
    const ratio = quotient < 1 ? 1 / quotient : quotient;
    if (Math.abs(ratio - 2) < 2 * ROUNDING || Math.abs(ratio - 3) < 3 * ROUNDING) votes.counts++;
    else if (Math.abs(ratio - Math.SQRT2) < 2 * ROUNDING || Math.abs(ratio - ROOT_3) < 2 * ROUNDING) votes.roots++;
  }
  return votes;
}

/** The steps among `count` values from place `from` on, `stride` apart. */
function stepsAmong(values: Float32Array, from: number, stride: number, count: number): Look | undefined {
  let smallest = Number.POSITIVE_INFINITY;
  for (let i = 0, p = from; i < count; i++, p += stride)
    if (values[p] > 0 && values[p] < smallest) smallest = values[p];
  if (smallest === Number.POSITIVE_INFINITY) return undefined;
  let [whole, twos, roots] = [0, 0, 0];
  for (let i = 0, p = from; i < count; i++, p += stride) {
    const ratio = values[p] / smallest;
    if (!(ratio > 1 + ROUNDING) || ratio > LARGEST_STEP) continue;
    const square = ratio * ratio;
    if (Math.abs(square - Math.round(square)) > 2 * ROUNDING * square) return undefined;
    if (Math.abs(ratio - Math.round(ratio)) > ROUNDING * ratio) roots++;
    else {
      whole++;
      // √k is whole for k = 1, 4, 9 … alone: among roots, twos are never alone.
      if (Math.round(ratio) <= 3) twos++;
    }
  }
  if (roots >= 2) return 'roots';
  return roots === 0 && whole >= 2 && twos >= 1 ? 'counts' : undefined;
}

/**
 * A neighbourhood of 3×3 pixels: its mean, and two estimates of a pixel's variance, from its roughness over three pixels and over
 * two. They agree where neighbours know nothing of each other, as noise; what the light itself does is rougher over two.
 */
type SeeNeighbourhood = (mean: number, variance: number, overTwo: number) => void;

/** Neighbourhoods spread evenly over the patterns. */
function eachNeighbourhood(values: Float32Array, side: number, see: SeeNeighbourhood): void {
  const size = side * side;
  const n = Math.floor(values.length / size);
  const inside = Math.max(0, side - 2);
  const stride = Math.max(1, Math.ceil((n * inside * inside) / MOST_NEIGHBOURHOODS));
  const all = n * inside * inside;
  for (let k = 0; k < all; k += stride) {
    const pattern = Math.floor(k / (inside * inside));
    const place = k - pattern * inside * inside;
    const row = Math.floor(place / inside);
    const p = pattern * size + row * side + (place - row * inside);
    const [a, b, c] = [values[p], values[p + 1], values[p + 2]];
    const [d, e, f] = [values[p + side], values[p + side + 1], values[p + side + 2]];
    const [g, h, i] = [values[p + 2 * side], values[p + 2 * side + 1], values[p + 2 * side + 2]];
    const mean = (a + b + c + d + e + f + g + h + i) / 9;
    // The product of two second differences: what the light itself does over three pixels is all but gone.
    const rough = a - 2 * b + c - 2 * (d - 2 * e + f) + g - 2 * h + i;
    const saddle = a - b - d + e;
    see(mean, (rough * rough) / 36, (saddle * saddle) / 4);
  }
}

/** True when the numbers, in units of their smallest, spread as counts do where there are one to four in a pixel. */
function spreadsByItsSteps(values: Float32Array, side: number): boolean {
  let smallest = Number.POSITIVE_INFINITY;
  for (const v of values) if (v > 0 && v < smallest) smallest = v;
  let [n, sum, variance] = [0, 0, 0];
  eachNeighbourhood(values, side, (mean, v) => {
    const level = mean / smallest;
    if (!(level >= 0.5 && level <= 4)) return;
    n++;
    sum += level;
    variance += v / smallest ** 2;
  });
  // Too few to tell: other factors for other pixels, or bright everywhere.
  return n < 100 || variance > 0.6 * sum;
}

/** Bins of the mean, an octave has so many. */
const BINS_PER_OCTAVE = 2;
/** Neighbourhoods that a bin needs. */
const ENOUGH_IN_BIN = 80;
/** The part of a bin's variances that is averaged: edges and hot pixels are in the rest. */
const KEPT = 0.75;
/** Mean of the smallest three quarters of χ² with one degree of freedom. */
const KEPT_MEAN = 0.3686;
/** Bins over which a slope is measured, and the octaves that they may span. */
const WINDOW = 5;
const LONGEST_WINDOW = 4;
/** mean²/variance from which roots of counts are spread equally, to which counts must be seen, that roots must reach. */
const [LEAST_SIGNAL, DARK_ENOUGH, BRIGHT_ENOUGH] = [1, 20, 12];
/** Exponents of variance ∝ mean^s: 0 for roots of counts, 1 for counts, 2 where only the light varies. */
const [FLATTEST, STEEPEST] = [0.35, 1.4];
const PROPORTIONAL = 0.65;
/** How much of the light itself may be in the roughness, on average, see {@link Level}. */
const MOST_LIGHT = 1.5;
/** How much of what is below two photons may be far below one; a Gaussian noise of reading of two photons gives 0.2. */
const MOST_BELOW = 0.3;

/** Mean and variance of a pixel at one brightness. */
interface Level {
  readonly mean: number;
  readonly variance: number;
  /** The variance that two pixels give over that which three give: 1 for noise, more where the light is seen. */
  readonly light: number;
}

/** How a pixel's variance depends on its mean. */
function levelsOf(values: Float32Array, side: number): Level[] {
  const bins = new Map<number, { means: number; variances: number[]; overTwo: number[] }>();
  eachNeighbourhood(values, side, (mean, variance, overTwo) => {
    if (!(mean > 0 && variance > 0 && variance < Number.POSITIVE_INFINITY)) return;
    const key = Math.floor(BINS_PER_OCTAVE * Math.log2(mean));
    let bin = bins.get(key);
    if (bin === undefined) {
      bin = { means: 0, variances: [], overTwo: [] };
      bins.set(key, bin);
    }
    bin.means += mean;
    bin.variances.push(variance);
    bin.overTwo.push(overTwo);
  });
  return [...bins.entries()]
    .filter(([, { variances }]) => variances.length >= ENOUGH_IN_BIN)
    .sort(([a], [b]) => a - b)
    .map(([, { means, variances, overTwo }]) => {
      const variance = meanOfSmallest(variances);
      return { mean: means / variances.length, variance, light: meanOfSmallest(overTwo) / variance };
    });
}

/** The expected value of squares, from the smallest of them. */
function meanOfSmallest(squares: readonly number[]): number {
  const kept = Float64Array.from(squares)
    .sort()
    .subarray(0, Math.ceil(KEPT * squares.length));
  return kept.reduce((sum, v) => sum + v, 0) / kept.length / KEPT_MEAN;
}

/**
 * How the roughness of neighbouring pixels grows with their mean: counts spread by the root of their mean (variance ∝ mean),
 * roots of counts equally, and what the light itself varies grows with mean². It is looked for where the slope is least, in the
 * dark parts of the patterns: there noise is most of what is seen.
 * @param values (n, side, side)
 */
export function spreadOf(values: Float32Array, side: number): Look | undefined {
  const levels = levelsOf(values, side).filter(({ mean, variance }) => mean * mean >= LEAST_SIGNAL * variance);
  let least: { slope: number; window: readonly Level[] } | undefined;
  for (let from = 0; from + WINDOW <= levels.length; from++) {
    const window = levels.slice(from, from + WINDOW);
    if (Math.log2(window[WINDOW - 1].mean / window[0].mean) > LONGEST_WINDOW) continue;
    const slope = slopeOf(window);
    if (least === undefined || slope < least.slope) least = { slope, window };
  }
  if (least === undefined) return undefined;
  const { slope, window } = least;
  if (window.reduce((sum, { light }) => sum + light, 0) > MOST_LIGHT * WINDOW) return undefined;
  const { mean, variance } = window[0];
  const photon = slope < FLATTEST ? 2 * Math.sqrt(variance) : variance / mean;
  if (!photonsAreLeast(values, photon)) return undefined;
  const signal = (i: number) => window[i].mean ** 2 / window[i].variance;
  if (slope < FLATTEST) return signal(WINDOW - 1) >= BRIGHT_ENOUGH ? 'roots' : undefined;
  return slope > PROPORTIONAL && slope < STEEPEST && signal(0) <= DARK_ENOUGH ? 'counts' : undefined;
}

/** Below one photon there is nothing but what electronics add: false where numbers go on to be small, as computed ones do. */
function photonsAreLeast(values: Float32Array, photon: number): boolean {
  let [below, around] = [0, 0];
  for (const v of values) {
    if (!(v > 0 && v < 2 * photon)) continue;
    around++;
    if (v < 0.3 * photon) below++;
  }
  return below <= MOST_BELOW * around;
}

/** The exponent s of variance ∝ mean^s, by least squares. */
function slopeOf(levels: readonly Level[]): number {
  const xs = levels.map(({ mean }) => Math.log(mean));
  const ys = levels.map(({ variance }) => Math.log(variance));
  const middle = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const [x0, y0] = [middle(xs), middle(ys)];
  let [xy, xx] = [0, 0];
  for (let i = 0; i < xs.length; i++) {
    xy += (xs[i] - x0) * (ys[i] - y0);
    xx += (xs[i] - x0) ** 2;
  }
  return xy / xx;
}

/** Where the mean deviation of roots is that of bright pixels to a part in a thousand. */
const BRIGHT = 200;
/** Steps of the table of {@link rootDeviation}: √λ in tenths. */
const ROOT_STEP = 0.1;
let rootTable: Float64Array | undefined;

/**
 * E|√n − √λ| of a count n with mean λ (Poisson): what counting alone puts between measured and true amplitude. Goes to 1/√(2π) for
 * bright pixels; interpolated, to a part in a thousand.
 */
export function rootDeviation(lambda: number): number {
  if (!(lambda > 0)) return 0;
  // √n has variance 1/4 + 3/(32λ) about √λ for bright pixels, and spreads as a Gaussian does.
  if (lambda >= BRIGHT) return Math.sqrt((0.25 + 3 / (32 * lambda)) * (2 / Math.PI));
  rootTable ??= Float64Array.from({ length: Math.ceil(Math.sqrt(BRIGHT) / ROOT_STEP) + 2 }, (_, i) =>
    summedDeviation((i * ROOT_STEP) ** 2),
  );
  const at = Math.sqrt(lambda) / ROOT_STEP;
  const i = Math.floor(at);
  return rootTable[i] + (at - i) * (rootTable[i + 1] - rootTable[i]);
}

/** The same, term by term. */
function summedDeviation(lambda: number): number {
  const root = Math.sqrt(lambda);
  const last = Math.ceil(lambda + 10 * root + 10);
  let chance = Math.exp(-lambda);
  let sum = 0;
  for (let n = 0; n <= last; n++) {
    sum += chance * Math.abs(Math.sqrt(n) - root);
    chance *= lambda / (n + 1);
  }
  return sum;
}

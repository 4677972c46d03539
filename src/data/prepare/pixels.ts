/**
 * What is done about single pixels when a scan is opened: which of them are left out, and what becomes of values that are no
 * counts, all judged by some of the patterns.
 */

import type { Finding } from '../findings/finding.js';
import { hotPixels } from '../findings/patternFigures.js';
import { outsideRange, type ValidRange } from './corrections.js';
import { darkAmidLight, deadPixels, isEndOfRange } from './deadPixels.js';

/** Pixels of whole frames that are no data. */
export interface FrameReport {
  /** (size,), 1 = left out; undefined where all are used. */
  readonly mask?: Uint8Array;
  /** In words, for {@link badPixelFinding}. */
  readonly found: readonly string[];
}

/**
 * Judges the pixels of a detector by frames as they are stored: marks that are the same in all of them, and what lies outside of
 * the valid range.
 * @param values (n, size)
 */
export function judgeFrames(values: Float32Array, size: number, validRange?: ValidRange): FrameReport {
  const dead = deadPixels(values, size);
  const found: string[] = [];
  if (dead.found.length > 0) {
    const each = dead.found.slice(0, MOST_NAMED).map(({ value, pixels }) => `${pixels} × ${value}`);
    const total = dead.found.reduce((sum, { pixels }) => sum + pixels, 0);
    found.push(
      `${pixelsOf(total, size)} hold the same mark in all frames looked at (${each.join(', ')}${dead.found.length > MOST_NAMED ? ', …' : ''})`,
    );
  }
  const { mask } = dead;
  const outside = validRange ? addTo(mask, outsideRange(values, size, validRange)) : 0;
  if (outside > 0) found.push(`${pixelsOf(outside, size)} lie outside of valid_range`);
  return { mask: found.length > 0 ? mask : undefined, found };
}

/** What is known of the patterns' pixels. */
export interface PatternPixels {
  /** The mask of the file or the one that was given, (side, side), 1 = bad. */
  readonly given?: Uint8Array;
  /** Pixels that are no data for another reason. */
  readonly noData?: Uint8Array;
  /** Leave out hot pixels, gaps and dead lines, too. */
  readonly autoMask?: boolean;
  /** The type of the stored values. */
  readonly dtype: string;
}

/** What was found and what is to be done. */
export interface PixelReport {
  /** (side, side), 1 = left out; undefined where all are used. */
  readonly mask?: Uint8Array;
  /** In words, for {@link badPixelFinding}. */
  readonly found: readonly string[];
  /** All values that are left are finite. */
  readonly finite: boolean;
  /** Values below zero, which amplitudes cannot have: noise around zero, or marks in single pixels. */
  readonly negatives?: { readonly noise: boolean; readonly finding: Finding };
  readonly findings: readonly Finding[];
}

/** A mask that leaves out most pixels and nearly all light says where the good pixels are. */
const [MOST_PIXELS, MOST_LIGHT] = [0.5, 0.9];
/** Negative values that are this part of all, or of that many sizes, are noise. */
const [NOISY, NOISY_SIZES] = [0.01, 3];
/** Noise that adds more than this part to the light when what is below zero is cut off is said. */
const MOST_ADDED = 0.02;
/** So often a detector stops counting by chance at the largest number looked at. */
const BY_CHANCE = 3;
const MOST_NAMED = 4;

/**
 * Judges pixels by the patterns looked at, and prepares these values in place: those left out become 0.
 * @param values (n, side, side), NaN and negative ones included.
 */
export function judgePixels(values: Float32Array, side: number, known: PatternPixels): PixelReport {
  const { given, noData, autoMask = false, dtype } = known;
  const size = side * side;
  const inverted = given && invertedMask(values, given);
  const mask = given?.slice() ?? new Uint8Array(size);
  if (noData) addTo(mask, noData);
  const leaveOut = () => {
    if (!mask.includes(1)) return;
    for (let q = 0, p = 0; q < values.length; q++, p = p + 1 === size ? 0 : p + 1) if (mask[p]) values[q] = 0;
  };
  leaveOut();
  const found: string[] = [];
  if (autoMask) {
    const before = mask.slice();
    const hot = new Uint8Array(size);
    for (const { row, column } of hotPixels(meanOf(values, size), side)) hot[row * side + column] = 1;
    const hotCount = addTo(mask, hot);
    if (hotCount > 0) found.push(`${pixelsOf(hotCount, size)} are far brighter than all neighbours`);
    leaveOut();
    const dark = darkAmidLight(values, side).map((v, p) => (before[p] ? 0 : v));
    const darkCount = addTo(mask, dark);
    if (darkCount > 0) found.push(`${pixelsOf(darkCount, size)} are dark amid light in all patterns looked at`);
    leaveOut();
  }
  const tally = tallyOf(values);
  return {
    finite: tally.finite,
    mask: mask.includes(1) ? mask : undefined,
    found,
    negatives: negativeFinding(tally, values.length),
    findings: [inverted, saturation(tally, dtype)].filter((finding) => finding !== undefined),
  };
}

/** One note about all pixels that are left out besides those of the mask; undefined where there are none. */
export function badPixelFinding(found: readonly string[], source: string): Finding | undefined {
  if (found.length === 0) return undefined;
  return {
    code: 'BAD_PIXELS_FOUND',
    severity: 'note',
    message: `In ${source} ${found.join('; ')}: left out as bad pixels.`,
  };
}

/** Adds one mask to another; how many pixels are new. */
export function addTo(mask: Uint8Array, more: Uint8Array): number {
  let added = 0;
  for (let p = 0; p < mask.length; p++) {
    if (!more[p] || mask[p]) continue;
    mask[p] = 1;
    added++;
  }
  return added;
}

function meanOf(values: Float32Array, size: number): Float64Array {
  const mean = new Float64Array(size);
  const n = values.length / size;
  for (let q = 0, p = 0; q < values.length; q++, p = p + 1 === size ? 0 : p + 1) mean[p] += values[q] / n;
  return mean;
}

const pixelsOf = (count: number, size: number) =>
  `${count} of ${size} pixels${count >= size / 1000 ? ` (${((100 * count) / size).toFixed(1)} %)` : ''}`;

function invertedMask(values: Float32Array, mask: Uint8Array): Finding | undefined {
  const size = mask.length;
  const bad = mask.reduce((sum, v) => sum + v, 0);
  if (bad <= MOST_PIXELS * size) return undefined;
  const good = { light: 0 };
  let all = 0;
  for (let q = 0, p = 0; q < values.length; q++, p = p + 1 === size ? 0 : p + 1) {
    const v = values[q];
    if (!(v > 0 && v < Number.POSITIVE_INFINITY) || isEndOfRange(v)) continue;
    all += v;
    if (!mask[p]) good.light += v;
  }
  if (!(all > 0 && good.light <= (1 - MOST_LIGHT) * all)) return undefined;
  return {
    code: 'MASK_INVERTED',
    severity: 'wrong',
    message: `The mask of bad pixels leaves out ${pixelsOf(bad, size)} and ${(100 * (1 - good.light / all)).toFixed(1)} % of the light: in it true seems to mean good.`,
    remedy: '--invert_mask',
  };
}

/** What one pass over the values shows. */
interface Tally {
  readonly finite: boolean;
  readonly largest: number;
  /** Values that are the largest. */
  readonly times: number;
  readonly negatives: number;
  /** Σ v of the positive ones, and of the negative ones. */
  readonly above: number;
  readonly below: number;
  /** Σ v² of the negative ones, the least of them, and some of those that differ. */
  readonly squares: number;
  readonly least: number;
  readonly sizes: readonly number[];
}

function tallyOf(values: Float32Array): Tally {
  let [largest, times, negatives, squares, least, above, below] = [0, 0, 0, 0, 0, 0, 0];
  let finite = true;
  const sizes: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    if (v > 0) {
      above += v;
      if (v > largest) {
        largest = v;
        times = 1;
      } else if (v === largest) times++;
    } else if (v < 0 && v !== Number.NEGATIVE_INFINITY) {
      negatives++;
      below += v;
      squares += v * v;
      if (v < least) least = v;
      if (sizes.length < NOISY_SIZES && !sizes.includes(v)) sizes.push(v);
    } else if (v !== 0) finite = false;
  }
  return {
    finite: finite && largest < Number.POSITIVE_INFINITY,
    largest,
    times,
    negatives,
    above,
    below,
    squares,
    least,
    sizes,
  };
}

/** Counts that stopped at the end of a type's range in some of the patterns. */
function saturation({ largest, times }: Tally, dtype: string): Finding | undefined {
  const bits = /^uint(8|16|32)$/.exec(dtype)?.[1];
  const full = bits !== undefined && largest >= Math.fround(2 ** Number(bits) - 1);
  if (!full && !(largest >= 255 && isEndOfRange(largest) && times > BY_CHANCE)) return undefined;
  return {
    code: 'SATURATED',
    severity: 'doubt',
    message: `${times} pixels of the patterns looked at hold ${largest}, the end of an integer type's range, in some patterns and not in all: the detector was saturated there.`,
    remedy: `leave them out with --valid_range :${largest - 1} or a mask (--bad_pixels FILE[:key])`,
  };
}

function negativeFinding(
  { negatives: count, above, below, squares, least, sizes }: Tally,
  among: number,
): { readonly noise: boolean; readonly finding: Finding } | undefined {
  if (count === 0) return undefined;
  const share = count / among;
  const noise = share >= NOISY || sizes.length >= NOISY_SIZES;
  const percent = `${(100 * share).toPrecision(2)} % of the values looked at`;
  if (noise) {
    // What cutting off adds to the light.
    const added = -below / Math.max(above + below, -below);
    const what = `${percent} are negative (rms ${Math.sqrt(squares / count).toPrecision(3)}, down to ${least.toPrecision(3)}), as after a dark frame was subtracted: they are kept in means, and 0 as amplitudes`;
    const message =
      added > MOST_ADDED
        ? `${what}, which adds ${(100 * added).toPrecision(2)} % to the light and is seen in the image.`
        : `${what}.`;
    const severity = added > MOST_ADDED ? 'doubt' : 'note';
    return { noise, finding: { code: 'NEGATIVE_NOISE', severity, message } };
  }
  return {
    noise,
    finding: {
      code: 'NEGATIVE_PIXELS',
      severity: 'wrong',
      message: `${count} of the values looked at ${count === 1 ? 'is' : 'are'} ${sizes.join(' or ')}, in single pixels of single patterns: no counts, but marks.`,
      remedy: '--valid_range 0:',
    },
  };
}

/** What the patterns of a scan show: light in the corners or off the middle, hot pixels, frames without light or with too much. */

import { median } from '../../core/numbers.js';
import type { ComplexTensor } from '../../core/tensor.js';
import { lightShift } from '../../physics/lightShift.js';
import type { MeasurementDomain } from '../opening/measurementDomain.js';
import type { Finding } from './finding.js';
import { centreOfLight, hotPixels, lightInCorners, type PatternFigures } from './patternFigures.js';

/** The scan that patterns belong to, as far as their checks need it. */
export interface CheckedScan {
  readonly N: number;
  readonly domain: MeasurementDomain;
  readonly probeGuess: ComplexTensor | undefined;
  /** File rows of the patterns, by which frames are named. */
  readonly sampleIndices: Int32Array;
  /** The patterns are those of whole frames, so that their pixels can be named as the file has them. */
  readonly source: string;
}

/** The light may be this part of N away from N/2 before it is said. */
const OFF_CENTRE = 1 / 16;
/** As far from where the probe sends it, the light already costs a good image. */
const A_LITTLE_OFF = 1 / 32;
/** Largest values of a detector that counts; smaller ones repeat by chance. */
const SATURATION_FROM = 50;
/** A frame with so many times the usual light holds no more of the same. */
const OVERBRIGHT = 30;
/** More of them than this part of the scan may be the sample. */
const FEW = 0.1;
/** Nor is anything light that holds so many times the usual: dropped frames are filled with the largest number there is. */
const NO_LIGHT = 1e5;
/** Frames with less than this part of the usual light are dim. */
const DIM = 0.1;
/** Light that changes by so much between frames, and by a leap, is rather the beam's doing than the sample's. */
const LEAP = { dim: 1 / 3, bright: 1.8, ratio: 1.6 } as const;
const MOST_NAMED = 10;
/** Light in the corners must exceed that in the middle so many times, or it is noise that decides. */
const CORNERS = 1.5;
/** Smaller patterns have no middle and no corners to speak of. */
export const SMALLEST_PATTERN_PX = 16;

/** Checks of some or all patterns, `figures` being theirs, `field` the far field of the probe. */
export function checkPatterns(scan: CheckedScan, figures: PatternFigures, field: Float64Array | undefined): Finding[] {
  const { power, unusable } = figures;
  const findings: Finding[] = [];
  const looked = power.length + unusable;
  if (unusable > 0) {
    findings.push({
      code: 'UNUSABLE_FRAMES',
      severity: 'doubt',
      message: `${unusable} of ${looked} patterns looked at cannot be used: ${figures.firstProblem}`,
    });
  }
  findings.push(...checkPower(scan, figures.indices, power));
  if (scan.N < SMALLEST_PATTERN_PX) return findings;
  const hot = hotPixels(figures.meanIntensity, scan.N);
  if (hot.length > 0) {
    const places = hot.slice(0, 5).map(({ row, column }) => `(${row}, ${column})`);
    findings.push({
      code: 'HOT_PIXELS',
      severity: 'wrong',
      message: `${scan.source}: ${hot.length} ${hot.length === 1 ? 'pixel is' : 'pixels are'} far brighter than all neighbours in the mean pattern, such as row and column ${places.join(', ')}; these are hot pixels.`,
      remedy: '--auto_mask leaves them out, --bad_pixels FILE[:key] those of a mask',
    });
  }
  const saturation = checkSaturation(scan, figures, hot.length);
  if (saturation) findings.push(saturation);
  const light = figures.meanIntensity.slice();
  for (const { row, column } of hot) light[row * scan.N + column] = 0;
  const pedestal = checkPedestal(scan, light);
  if (pedestal) findings.push(pedestal);
  const place = checkPlace(scan, light, field);
  if (place) findings.push(place);
  return findings;
}

/** Dark, dim and over-bright frames, by the light Σ d² of each. */
export function checkPower(
  { sampleIndices, source }: Pick<CheckedScan, 'sampleIndices' | 'source'>,
  indices: Int32Array,
  power: Float64Array,
): Finding[] {
  const findings: Finding[] = [];
  const typical = median(power.filter((v) => v > 0));
  const name = (which: number[]) => frameList(which.map((i) => sampleIndices[indices[i]]));
  const places = (test: (v: number) => boolean) => Array.from(power.keys()).filter((i) => test(power[i]));
  const dark = places((v) => v === 0);
  if (dark.length > 0) {
    findings.push({
      code: 'DARK_FRAMES',
      severity: 'doubt',
      message: `${dark.length} of ${power.length} patterns of ${source} ${dark.length === 1 ? 'is' : 'are'} dark (zero everywhere), ${dark.length === 1 ? 'frame' : 'frames'} ${name(dark)}: left out, because without light nothing is known about the object.`,
    });
  }
  const dim = places((v) => v > 0 && v < DIM * typical);
  const leap = leaps(power, typical);
  const dropped = places((v) => v > 0 && v <= leap.low);
  if (dropped.length > 0) {
    const least = dropped.reduce((some, i) => Math.min(some, power[i]), typical);
    findings.push({
      code: 'DIM_FRAMES',
      severity: 'doubt',
      message: `${dropped.length} of ${power.length} patterns looked at hold far less light than the others, down to ${shortNumber((100 * least) / typical)} % of the usual: frames ${name(dropped)}; where a shutter or a lost beam did that, and not the sample, the image is wrong there.`,
      remedy: skipping(dropped.map((i) => sampleIndices[indices[i]])),
    });
  } else if (dim.length > 0) {
    findings.push({
      code: 'DIM_FRAMES',
      severity: 'note',
      message: `${dim.length} of ${power.length} patterns looked at hold less than a tenth of the usual light, frames ${name(dim)}: a shutter, a lost beam, or an opaque part of the sample.`,
      remedy: '--min_counts leaves them out',
    });
  }
  const bright = places((v) => v > OVERBRIGHT * typical);
  const raised = places((v) => v >= leap.high);
  const most = Math.max(0, ...raised.map((i) => power[i]), ...bright.map((i) => power[i])) / typical;
  if (bright.length > 0 && (bright.length <= Math.max(2, FEW * power.length) || most > NO_LIGHT)) {
    findings.push({
      code: 'OVERBRIGHT_FRAMES',
      severity: 'wrong',
      message: `${source}: ${bright.length === 1 ? 'one frame holds' : `${bright.length} frames hold`} up to ${Number(most.toPrecision(2))} times the usual light, frames ${name(bright)}; no object does that.`,
      remedy: skipping(bright.map((i) => sampleIndices[indices[i]])),
    });
  } else if (raised.length > 0) {
    findings.push({
      code: 'OVERBRIGHT_FRAMES',
      severity: 'doubt',
      message: `${raised.length} of ${power.length} patterns looked at of ${source} hold up to ${Number(most.toPrecision(2))} times the usual light, frames ${name(raised)}; where it was not the sample, the image is wrong there.`,
      remedy: skipping(raised.map((i) => sampleIndices[indices[i]])),
    });
  }
  return findings;
}

/**
 * The light up to which frames are dim, and from which they are bright, by a leap: none of the others comes near. What a sample
 * does to the light fills the space between.
 */
function leaps(power: Float64Array, typical: number): { low: number; high: number } {
  const sorted = power.filter((v) => v > 0).sort();
  let [low, high] = [0, Number.POSITIVE_INFINITY];
  for (let i = 1; i < sorted.length; i++) {
    if (sorted[i] < LEAP.ratio * sorted[i - 1]) continue;
    if (sorted[i - 1] < LEAP.dim * typical) low = sorted[i - 1];
    if (sorted[i] > LEAP.bright * typical) high = Math.min(high, sorted[i]);
  }
  return { low, high };
}

/** The flag that leaves frames out. */
function skipping(frames: readonly number[]): string {
  const list = frames.join(',');
  return list.length <= 200 ? `--skip_frames ${list}` : '--skip_frames with a file of their numbers';
}

/** `3, 4, 9 … (12 in all)`. */
export function frameList(frames: readonly number[]): string {
  const named = frames.slice(0, MOST_NAMED).join(', ');
  return frames.length > MOST_NAMED ? `${named}, … (${frames.length} in all)` : named;
}

function checkSaturation(scan: CheckedScan, figures: PatternFigures, hot: number): Finding | undefined {
  const { maxAmplitude, atMaximum, power, unusable } = figures;
  if (scan.domain === 'normalized_amplitude' || hot > 0) return undefined;
  const clipped = maxAmplitude ** 2 >= SATURATION_FROM && atMaximum > Math.max(8, (power.length + unusable) / 10);
  if (!clipped) return undefined;
  const largest = scan.domain === 'count_intensity' ? maxAmplitude ** 2 : maxAmplitude;
  return {
    code: 'SATURATED',
    severity: 'doubt',
    message: `${atMaximum} pixels hold the largest value, ${shortNumber(largest)}; the detector may be saturated there.`,
    remedy: 'mask these pixels or shorten the exposure',
  };
}

/** The darkest pixels, from this part of them to that one, differ by less than this where they hold a pedestal. */
const DARKEST = { from: 0.01, to: 0.1, apart: 1.15 } as const;
/** It must hold this part of all light to matter, and the brightest pixels so many times more, or all is lit. */
const PEDESTAL = { light: 0.1, brightest: 5 } as const;

/** The reading of a detector without light, which nobody subtracted: the same in all dark pixels. */
function checkPedestal({ domain, source }: CheckedScan, light: Float64Array): Finding | undefined {
  const lit = light.filter((v) => v > 0).sort();
  if (domain === 'normalized_amplitude' || lit.length < light.length / 2) return undefined;
  const at = (part: number) => lit[Math.floor(part * (lit.length - 1))];
  const level = at(DARKEST.to);
  const share = (level * lit.length) / lit.reduce((sum, v) => sum + v, 0);
  if (level > DARKEST.apart * at(DARKEST.from) || share < PEDESTAL.light) return undefined;
  if (lit[lit.length - 1] < PEDESTAL.brightest * level) return undefined;
  return {
    code: 'PEDESTAL',
    severity: 'doubt',
    message: `The darkest pixels of ${source} all hold about ${shortNumber(level)} counts a pattern, together ${(100 * share).toFixed(0)} % of the light: rather a dark level that was not subtracted than light.`,
    remedy:
      domain === 'count_intensity'
        ? `--dark FILE[:key] subtracts a dark frame, --dark ${shortNumber(level)} that level`
        : 'subtract the dark frame before roots are taken',
  };
}

/** Where the light lies: zero frequency belongs at (N/2, N/2). */
function checkPlace(
  { N, source }: CheckedScan,
  light: Float64Array,
  field: Float64Array | undefined,
): Finding | undefined {
  if (lightInCorners(light, N, N, CORNERS)) {
    return {
      code: 'ZERO_FREQUENCY_IN_CORNERS',
      severity: 'wrong',
      message: `The light of ${source} is in the corners of the patterns, but zero frequency should be at (N/2, N/2).`,
      remedy: '--fftshift yes moves it',
    };
  }
  const limit = OFF_CENTRE * N;
  const shift = field && lightShift(light, field, N);
  const centred = (off: number) => `${off > 0 ? '+' : ''}${off.toFixed(1)}`;
  if (shift?.clear) {
    const away = Math.max(Math.abs(shift.rows), Math.abs(shift.columns));
    if (away < A_LITTLE_OFF * N) return undefined;
    return {
      code: 'OFF_CENTRE',
      // A little is what a strong object may do, too.
      severity: away < limit ? 'doubt' : 'wrong',
      message: `The light of ${source} lies ${centred(shift.rows)} rows and ${centred(shift.columns)} columns from where the probe sends it, so zero frequency is not at (N/2, N/2).`,
      remedy: '--crop_center_px auto puts it there',
    };
  }
  const centre = centreOfLight(light, N);
  if (centre === undefined) return undefined;
  const off = { rows: centre.row - N / 2, columns: centre.column - N / 2 };
  if (Math.max(Math.abs(off.rows), Math.abs(off.columns)) <= limit) return undefined;
  return {
    code: 'OFF_CENTRE',
    severity: 'doubt',
    message: `The middle of the light of ${source} is at row ${centre.row.toFixed(1)}, column ${centre.column.toFixed(1)}, not at ${N / 2}; if that is not the sample's doing, zero frequency is not where it should be.`,
    remedy: '--crop_center_px auto, or --crop_center_px ROW,COLUMN',
  };
}

/** `1.23e6`, `0.00123`, `123`. */
export function shortNumber(value: number): string {
  const short = Number(value.toPrecision(3));
  return short >= 1e6 || short < 1e-2 ? short.toExponential().replace('e+', 'e') : String(short);
}

/** What is wrong with a scan, or unusual enough to look at: one sentence each, with what to do. */

import { checkMetadata, nphotonsOf } from '../metadata.js';
import { positionNotes } from '../opening/positions.js';
import type { RawData } from '../rawData.js';
import type { PatternFigures } from './patterns.js';
import { centreOfLight, darkInTheMiddle, hotPixels } from './patterns.js';

/** Figures that findings are about, besides those of the patterns. */
export interface ScanFigures {
  /** Mean distance of a position to its nearest neighbour; NaN for one position. */
  readonly step_px: number;
  readonly probeDiameter_px?: number;
  /** 1 − step/diameter, not below 0. */
  readonly overlap?: number;
  /** Σ|P|² over all modes. */
  readonly probePower?: number;
}

export interface Findings {
  /** What keeps the scan from being used as it is, or makes results poor. */
  readonly problems: readonly string[];
  /** Worth knowing. */
  readonly notes: readonly string[];
}

const LEAST_OVERLAP = 0.5;
/** A scale of the probe within this factor of the counts is right for all purposes. */
const POWER_FACTOR = 3;
const PHOTON_FACTOR = 3;
/** The light's centre may be this part of N away from N/2. */
const OFF_CENTRE = 1 / 16;
/** Largest values of a detector that counts; smaller ones repeat by chance. */
const SATURATION_FROM = 50;

/** Everything that a look at the scan shows. */
export function findingsOf(raw: RawData, patterns: PatternFigures, figures: ScanFigures): Findings {
  const problems: string[] = [];
  const notes: string[] = [];
  patternFindings(raw, patterns, problems, notes);
  const aboutPositions = positionNotes({ x: raw.xcoords, y: raw.ycoords }, raw.source);
  problems.push(...aboutPositions);
  probeFindings(raw, patterns, figures, problems, notes);
  objectFindings(raw, problems);
  problems.push(...checkMetadata(raw.metadata, { N: raw.N }, raw.source).map((s) => `${s} The array is right.`));
  const counts = mean(patterns.power);
  const nphotons = nphotonsOf(raw.metadata);
  if (raw.domain !== 'normalized_amplitude' && nphotons !== undefined && apart(nphotons, counts, PHOTON_FACTOR)) {
    notes.push(
      `The metadata say ${number(nphotons)} photons a pattern, but the patterns hold ${number(counts)} on average; give the true number as nphotons.`,
    );
  }
  if (!/declares|was given/.test(raw.domainReason)) {
    notes.push(
      `The file does not declare what its numbers are; they are taken as ${raw.domain}. Write it down with \`ptychopinn convert\` (and --measurement_domain, if this is wrong).`,
    );
  }
  const known = new Set(aboutPositions);
  notes.push(...raw.notes.filter((note) => !known.has(note)));
  return { problems, notes };
}

function patternFindings(raw: RawData, patterns: PatternFigures, problems: string[], notes: string[]): void {
  const { N } = raw;
  const { power, unusable, meanIntensity } = patterns;
  const looked = power.length + unusable;
  if (unusable > 0)
    problems.push(`${unusable} of ${looked} patterns looked at cannot be used: ${patterns.firstProblem}`);
  const dark = power.filter((v) => v === 0).length;
  if (dark > 0) {
    problems.push(
      `${dark} of ${looked} patterns looked at are dark (zero everywhere); leave them out (x_bounds, y_bounds) or remove them from the file.`,
    );
  }
  const typical = median(power);
  const dim = power.filter((v) => v > 0 && v < 0.1 * typical).length;
  if (dim > 0) {
    notes.push(
      `${dim} of ${looked} patterns looked at hold less than a tenth of the usual light: a shutter, a lost beam, or an opaque part of the sample.`,
    );
  }
  const hot = hotPixels(meanIntensity, N);
  if (hot.length > 0) {
    const places = hot.slice(0, 5).map(({ row, column }) => `(${row}, ${column})`);
    problems.push(
      `${hot.length} ${hot.length === 1 ? 'pixel is' : 'pixels are'} far brighter than all neighbours, such as row and column ${places.join(', ')}: hot pixels; give their mask with --bad_pixels FILE[:key].`,
    );
  }
  const largest = raw.domain === 'count_intensity' ? patterns.maxAmplitude ** 2 : patterns.maxAmplitude;
  const clipped = patterns.maxAmplitude ** 2 >= SATURATION_FROM && patterns.atMaximum > Math.max(8, looked / 10);
  // A hot pixel holds the largest value often enough by itself.
  if (raw.domain !== 'normalized_amplitude' && clipped && hot.length === 0) {
    problems.push(
      `${patterns.atMaximum} pixels hold the largest value, ${number(largest)}: the detector may be saturated there; mask these pixels or shorten the exposure.`,
    );
  }
  const light = meanIntensity.slice();
  for (const { row, column } of hot) light[row * N + column] = 0;
  if (darkInTheMiddle(light, N)) {
    problems.push(
      'The light is in the corners of the patterns: zero frequency should be at (N/2, N/2), see numpy.fft.fftshift.',
    );
    return;
  }
  const centre = centreOfLight(light, N);
  if (centre === undefined) return;
  const off = Math.max(Math.abs(centre.row - N / 2), Math.abs(centre.column - N / 2));
  if (off > OFF_CENTRE * N) {
    notes.push(
      `The middle of the light is at row ${centre.row.toFixed(1)}, column ${centre.column.toFixed(1)}, not at ${N / 2}: if that is not the sample's doing, cut the patterns around the beam with --crop_px and --crop_center_px.`,
    );
  }
}

function probeFindings(
  raw: RawData,
  patterns: PatternFigures,
  figures: ScanFigures,
  problems: string[],
  notes: string[],
): void {
  if (raw.probeGuess === undefined) {
    problems.push(
      'The file has no probeGuess: training needs a probe (--probe FILE[:key], or --probe auto for a guess from the patterns).',
    );
    return;
  }
  const { overlap, probePower = 0 } = figures;
  if (overlap !== undefined && overlap < LEAST_OVERLAP) {
    problems.push(
      `Neighbouring positions overlap by ${(100 * overlap).toFixed(0)} % of the probe's diameter; below ${100 * LEAST_OVERLAP} % reconstructions are poor. Are the positions in object pixels?`,
    );
  }
  const counts = mean(patterns.power);
  if (raw.domain !== 'normalized_amplitude' && counts > 0 && apart(probePower, counts, POWER_FACTOR)) {
    notes.push(
      `The probe's power Σ|P|² is ${number(probePower)}, but a pattern holds ${number(counts)} photons on average; the network does not mind, iterative codes need the probe times ${number(Math.sqrt(counts / probePower))}.`,
    );
  }
}

/** Patches may reach this far beyond the object before it is said: rounding, and the last half step of a scan. */
const SLACK_PX = 1;

function objectFindings(raw: RawData, problems: string[]): void {
  if (raw.objectGuess === undefined) return;
  const [rows, columns] = raw.objectGuess.shape;
  const half = raw.N / 2;
  const beyond = (x: Float64Array, y: Float64Array) => {
    let count = 0;
    for (let i = 0; i < x.length; i++) {
      const inside = (v: number, length: number) => v - half >= -SLACK_PX && v + half <= length + SLACK_PX;
      if (!inside(x[i], columns) || !inside(y[i], rows)) count++;
    }
    return count;
  };
  const outside = beyond(raw.xcoords, raw.ycoords);
  if (outside === 0) return;
  const exchanged = rows !== columns && beyond(raw.ycoords, raw.xcoords) === 0;
  problems.push(
    `${outside} of ${raw.count} patches reach beyond objectGuess (${rows} rows, ${columns} columns)${
      exchanged
        ? ', while with x and y exchanged all would lie inside: see `ptychopinn orient`'
        : ': the positions are flipped, shifted or scaled against it, or it is a crop; do not compare with it before that is clear'
    }.`,
  );
}

const apart = (a: number, b: number, factor: number) => a > factor * b || b > factor * a;

const number = (value: number) => {
  const short = Number(value.toPrecision(3));
  return short >= 1e6 || short < 1e-2 ? short.toExponential().replace('e+', 'e') : String(short);
};

function mean(values: Float64Array): number {
  return values.length === 0 ? 0 : values.reduce((sum, v) => sum + v, 0) / values.length;
}

function median(values: Float64Array): number {
  return values.length === 0 ? 0 : values.slice().sort()[Math.floor(values.length / 2)];
}

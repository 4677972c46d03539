/**
 * Which way the positions of a scan lie relative to its patterns: tries the eight orientations of the axes and ranks them.
 *
 * @example
 * const found = await findOrientation(raw);
 * if (found.verdict !== 'undecided') console.log(found.flags); // '--flip_y --swap_xy'
 */

import { setImmediate as eventLoop } from 'node:timers/promises';
import { throwIfCancelled } from '../../core/cancel.js';
import { PtychoError } from '../../core/errors.js';
import type { ProgressSink } from '../../core/log.js';
import { extentOf, spanOf } from '../../core/numbers.js';
import { LegacyRng } from '../../core/rng.js';
import type { ComplexImage } from '../../core/tensor.js';
import { DetectorTransform } from '../../physics/fourier.js';
import { modeIntensity } from '../../physics/probe.js';
import { figure, imagePanel } from '../../report/figure.js';
import { renderPhase } from '../../report/image.js';
import type { Drawing } from '../../report/renderer.js';
import { requireFarField } from '../opening/nearField.js';
import { type AxisOrientation, ORIENTATIONS, orientationFlags, orientPositions } from '../opening/orientation.js';
import type { RawData } from '../rawData.js';
import {
  drawOrientationSample,
  type OrientationSample,
  SAMPLE_SIZE,
  type SampleField,
  type SampleSize,
} from './sample.js';

/** One orientation and how well it explains the patterns. */
export interface OrientationScore {
  readonly orientation: AxisOrientation;
  /** Ready to paste; empty for the orientation that changes nothing. */
  readonly flags: string;
  /** Amplitude R factor Σ|√I − |Ψ|| / Σ√I of a short reconstruction of the sample. */
  readonly rFactor: number;
  /** R of this orientation over the best one's, minus 1. */
  readonly behind: number;
  /** The mean misfit of a pattern minus that in the best orientation, in standard errors; 0 for the best one itself. */
  readonly standardErrors: number;
  /** What the reconstruction of the first neighbourhood looks like, for pictures. */
  readonly object: ComplexImage;
  readonly illumination: Float64Array;
}

/**
 * - `clear`: the best orientation is far ahead;
 * - `likely`: it is ahead by more than chance, but not by much: look at the pictures;
 * - `undecided`: the sample does not tell, `reasons` says why.
 */
export type OrientationVerdict = 'clear' | 'likely' | 'undecided';

/** See {@link findOrientation}. */
export interface OrientationSearch {
  readonly verdict: OrientationVerdict;
  /** The flags of the best orientation; `null` when undecided. */
  readonly flags: string | null;
  /** Whole sentences: why it is undecided, or what is odd although it is not. */
  readonly reasons: readonly string[];
  /** All eight, best first. */
  readonly ranking: readonly OrientationScore[];
  /** R of the object that the reconstructions started from, 1 everywhere. */
  readonly constantRFactor: number;
  readonly sample: Pick<OrientationSample, 'count' | 'side' | 'keptPower' | 'step_px' | 'probeDiameter_px'> & {
    readonly fields: number;
  };
}

/** Limits of the verdicts, measured with right and wrong probes; see `docs/data-tools.md`. */
const CLEAR = { behind: 0.05, standardErrors: 6 };
const LIKELY = { behind: 0.02, standardErrors: 4 };
const LEAST_PATTERNS = 6;
const LEAST_OVERLAP = 0.2;
/** R of an empty object beyond which patterns and probe have nothing to do with each other; noise alone stays below 1. */
const UNLIKE_THE_PROBE = 1.2;
const HARDLY_BETTER = 0.95;

/** Options of {@link findOrientation}. */
export interface FindOrientationOptions extends Partial<SampleSize> {
  /** Passes over the patterns of each short reconstruction. */
  readonly passes?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

/**
 * Tries the eight orientations on a few neighbourhoods (about 100 patterns) and ranks them. Deterministic.
 *
 * @param options `signal` is looked at between neighbourhoods.
 * @throws PtychoError DATASET_KEY_MISSING without a probe, DATASET_SHAPE for a scan too small, DATASET_UNITS for positions that
 * lie within one pixel, CANCELLED.
 */
export async function findOrientation(raw: RawData, options: FindOrientationOptions = {}): Promise<OrientationSearch> {
  requireFarField(raw, 'the orientation is found by');
  const probe = raw.probeGuess;
  if (probe === undefined) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${raw.source} has no probeGuess, and orientations are told apart by the probe: give one with --probe FILE[:key].`,
      { path: raw.source, key: 'probeGuess' },
    );
  }
  checkPositions(raw);
  const { fields = SAMPLE_SIZE.fields, patterns = SAMPLE_SIZE.patterns, passes = TRIAL_PASSES } = options;
  const sample = await drawOrientationSample(raw, probe, { fields, patterns });

  const work = [...ORIENTATIONS.entries()];
  const trials: OrientationTrial[][] = [];
  const total = work.length * sample.fields.length;
  for (const [i, orientation] of work) {
    trials.push([]);
    for (const field of sample.fields) {
      throwIfCancelled(options.signal, 'The search for the orientation');
      trials[i].push(tryOrientation(sample, field, orientation, passes));
      const done = trials.reduce((sum, of) => sum + of.length, 0);
      options.onProgress?.({ stage: 'orientations', done, total, unit: 'trials' });
      // A turn of the event loop, so that Ctrl-C is heard.
      await eventLoop();
    }
  }
  const constant = sample.fields.map((field) => tryOrientation(sample, field, ORIENTATIONS[0], 0));
  return judge(sample, trials, rFactorOf(constant));
}

function checkPositions(raw: RawData): void {
  if (raw.count < LEAST_PATTERNS) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${raw.source} has ${raw.count} patterns, but it takes at least ${LEAST_PATTERNS} overlapping ones to tell the orientation.`,
      { path: raw.source, found: raw.count, expected: LEAST_PATTERNS },
    );
  }
  const span = Math.max(spanOf(raw.xcoords), spanOf(raw.ycoords));
  if (span < 1) {
    throw new PtychoError(
      'DATASET_UNITS',
      `${raw.source}: all positions lie within ${Number(span.toPrecision(2))} px of each other; if they are metres, say so with --positions_unit m (and --object_pixel_m), or scale them with --coord_scale.`,
      { path: raw.source, found: span },
    );
  }
}

function judge(
  sample: OrientationSample,
  trials: readonly (readonly OrientationTrial[])[],
  constantRFactor: number,
): OrientationSearch {
  const rFactors = trials.map(rFactorOf);
  const order = ORIENTATIONS.map((_, i) => i).sort((a, b) => rFactors[a] - rFactors[b] || a - b);
  const best = order[0];
  const ranking = order.map((i): OrientationScore => {
    const orientation = ORIENTATIONS[i];
    return {
      orientation,
      flags: orientationFlags(orientation),
      rFactor: rFactors[i],
      behind: rFactors[i] / rFactors[best] - 1,
      standardErrors: i === best ? 0 : standardErrors(trials[best], trials[i]),
      object: trials[i][0].object,
      illumination: trials[i][0].illumination,
    };
  });
  const reaches = (score: OrientationScore, limit: typeof CLEAR) =>
    score.behind >= limit.behind && score.standardErrors >= limit.standardErrors;
  const rivals = ranking.slice(1).filter((score) => !reaches(score, LIKELY));
  const reasons = [...doubts(sample, ranking[0], constantRFactor)];
  if (rivals.length > 0) reasons.push(rivalSentence(ranking[0], rivals));
  const undecided = rivals.length > 0;
  const verdict = undecided ? 'undecided' : ranking.slice(1).every((s) => reaches(s, CLEAR)) ? 'clear' : 'likely';
  const { count, side, keptPower, step_px, probeDiameter_px, fields } = sample;
  return {
    verdict,
    flags: undecided ? null : ranking[0].flags,
    reasons,
    ranking,
    constantRFactor,
    sample: { count, fields: fields.length, side, keptPower, step_px, probeDiameter_px },
  };
}

function* doubts(sample: OrientationSample, best: OrientationScore, constant: number): Generator<string> {
  const overlap = 1 - sample.step_px / sample.probeDiameter_px;
  if (!(overlap >= LEAST_OVERLAP)) {
    yield `Neighbouring positions are ${sample.step_px.toPrecision(3)} px apart and the probe is ${sample.probeDiameter_px.toPrecision(3)} px across, so patches hardly overlap and cannot be compared; are the positions in object pixels (see --coord_scale)?`;
  }
  const figures = `R ${best.rFactor.toPrecision(3)} against ${constant.toPrecision(3)}`;
  if (constant > UNLIKE_THE_PROBE || sample.keptPower < 0.5) {
    yield `The patterns do not look like those of the probe (R ${constant.toPrecision(3)} for an empty object); check that zero frequency is at (N/2, N/2) and that the probe belongs to this scan.`;
  } else if (best.rFactor > HARDLY_BETTER * constant) {
    yield `No orientation explains the patterns much better than an empty object does (${figures}); the counts may be low, or the probe or the scale of the positions (--coord_scale) wrong.`;
  }
}

function rivalSentence(best: OrientationScore, rivals: readonly OrientationScore[]): string {
  const name = (score: OrientationScore) => score.flags || 'the orientation of the file';
  const reflected = rivals.length === 1 && isPointReflection(best.orientation, rivals[0].orientation);
  const all = [best, ...rivals];
  const names = all.length > 3 ? `${all.length} of the 8 orientations` : all.map(name).join(' and ');
  return `${names} explain the patterns equally well${
    reflected
      ? ': they are reflections of each other at a point, which only a probe with a curved phase or without symmetry tells apart. Look for a landmark of known orientation in the image.'
      : '; try a scan (or a part of one) with more contrast or overlap, or a better probe.'
  }`;
}

const isPointReflection = (a: AxisOrientation, b: AxisOrientation) =>
  a.flip_x !== b.flip_x && a.flip_y !== b.flip_y && a.swap_xy === b.swap_xy;

function rFactorOf(trials: readonly OrientationTrial[]): number {
  const sum = (of: (trial: OrientationTrial) => Float64Array) =>
    trials.reduce((all, trial) => all + of(trial).reduce((a, b) => a + b, 0), 0);
  return sum((trial) => trial.misfit) / sum((trial) => trial.measured);
}

/** Mean over patterns of (misfit − best's misfit), in standard errors of that mean. */
function standardErrors(best: readonly OrientationTrial[], other: readonly OrientationTrial[]): number {
  const differences = other.flatMap((trial, f) => Array.from(trial.misfit, (v, k) => v - best[f].misfit[k]));
  const n = differences.length;
  const mean = differences.reduce((a, b) => a + b, 0) / n;
  const variance = differences.reduce((sum, d) => sum + (d - mean) ** 2, 0) / (n - 1);
  return variance === 0 ? (mean === 0 ? 0 : Number.MAX_VALUE) : mean / Math.sqrt(variance / n);
}

/** What one neighbourhood in one orientation came to. */
export interface OrientationTrial {
  /** Σ|√I − |Ψ|| and Σ√I of each pattern. */
  readonly misfit: Float64Array;
  readonly measured: Float64Array;
  /** The object, and where the probe was (Σ|P|², relative to its largest value). */
  readonly object: ComplexImage;
  readonly illumination: Float64Array;
}

/** Passes over the patterns; the orientations are apart after the second, see `docs/data-tools.md`. */
export const TRIAL_PASSES = 5;
/** Regularisation of the update (rPIE): 1 would be ePIE, small values move the weakly lit parts as fast as the bright. */
const ALPHA = 0.1;

/**
 * Reconstructs a field from a constant object with the probe held fixed, by regularised PIE updates (A. Maiden, D. Johnson
 * and P. Li, Optica 4, 736, 2017), positions rounded to pixels, then measures the misfit in a last pass without updates.
 *
 * The probe is held fixed because a free one would follow the wrong orientation: positions reflected at a point with the
 * complex conjugate, reflected probe explain the patterns as well as the truth does.
 *
 * @param passes updates of each pattern; 0 measures the constant object.
 */
export function tryOrientation(
  sample: OrientationSample,
  field: SampleField,
  orientation: AxisOrientation,
  passes = TRIAL_PASSES,
): OrientationTrial {
  const { side, probe, badPixels } = sample;
  const { xs, ys } = orientPositions(orientation, field.xs, field.ys);
  const [left, top] = [xs, ys].map((values) => Math.round(extentOf(values)[0]));
  const columns = Int32Array.from(xs, (x) => Math.round(x) - left);
  const rows = Int32Array.from(ys, (y) => Math.round(y) - top);
  const width = extentOf(columns)[1] + side;
  const height = extentOf(rows)[1] + side;
  const re = new Float64Array(width * height).fill(1);
  const im = new Float64Array(width * height);

  const area = side * side;
  const modes = probe.re.length / area;
  const intensity = modeIntensity(probe, area);
  const [, brightest] = extentOf(intensity);
  const step = intensity.map((v) => 1 / ((1 - ALPHA) * v + ALPHA * brightest));

  const transform = new DetectorTransform(side);
  const before = { re: new Float64Array(probe.re.length), im: new Float64Array(probe.re.length) };
  const after = { re: new Float64Array(probe.re.length), im: new Float64Array(probe.re.length) };
  const misfit = new Float64Array(xs.length);
  const measured = new Float64Array(xs.length);

  /** Exit waves of pattern k and their detector fields. */
  const propagate = (k: number) => {
    for (let p = 0, i = 0; p < modes; p++) {
      for (let r = 0; r < side; r++) {
        for (let c = 0, at = (rows[k] + r) * width + columns[k]; c < side; c++, at++, i++) {
          after.re[i] = before.re[i] = probe.re[i] * re[at] - probe.im[i] * im[at];
          after.im[i] = before.im[i] = probe.re[i] * im[at] + probe.im[i] * re[at];
        }
      }
      const [from, to] = [p * area, (p + 1) * area];
      transform.forward(after.re.subarray(from, to), after.im.subarray(from, to));
    }
  };
  const amplitudeAt = (i: number) => {
    let sum = 0;
    for (let m = i; m < after.re.length; m += area) sum += after.re[m] ** 2 + after.im[m] ** 2;
    return Math.sqrt(sum);
  };
  const update = (k: number) => {
    for (let i = 0; i < area; i++) {
      if (badPixels?.[i]) continue;
      const amplitude = amplitudeAt(i);
      const factor = amplitude > 0 ? field.amplitudes[k * area + i] / amplitude : 0;
      for (let m = i; m < after.re.length; m += area) {
        after.re[m] *= factor;
        after.im[m] *= factor;
      }
    }
    for (let p = 0, i = 0; p < modes; p++) {
      const [from, to] = [p * area, (p + 1) * area];
      transform.inverse(after.re.subarray(from, to), after.im.subarray(from, to));
      for (let r = 0; r < side; r++) {
        for (let c = 0, at = (rows[k] + r) * width + columns[k]; c < side; c++, at++, i++) {
          const weight = step[i - from];
          const [dr, di] = [after.re[i] - before.re[i], after.im[i] - before.im[i]];
          re[at] += weight * (probe.re[i] * dr + probe.im[i] * di);
          im[at] += weight * (probe.re[i] * di - probe.im[i] * dr);
        }
      }
    }
  };

  const rng = new LegacyRng(0);
  for (let pass = 0; pass < passes; pass++) {
    for (const k of rng.permutation(xs.length)) {
      propagate(k);
      update(k);
    }
  }
  const illumination = new Float64Array(width * height);
  for (let k = 0; k < xs.length; k++) {
    propagate(k);
    for (let i = 0; i < area; i++) {
      if (!badPixels?.[i]) {
        misfit[k] += Math.abs(field.amplitudes[k * area + i] - amplitudeAt(i));
        measured[k] += field.amplitudes[k * area + i];
      }
      illumination[(rows[k] + Math.floor(i / side)) * width + columns[k] + (i % side)] += intensity[i];
    }
  }
  const [, most] = extentOf(illumination);
  return {
    misfit,
    measured,
    object: { re: Float32Array.from(re), im: Float32Array.from(im), shape: [height, width] },
    illumination: illumination.map((v) => v / most),
  };
}

/** Where less light than this part of the most fell, a reconstruction is noise. */
const LIT = 0.05;
const COLUMNS = 4;

/** The phase of the first neighbourhood in each orientation, best first, without the slope that nothing determines. */
export function orientationSheet(search: OrientationSearch): Drawing {
  const panels = search.ranking.map((score, i) =>
    imagePanel(
      renderPhase(score.object, { mask: score.illumination.map((v) => (v > LIT ? 1 : 0)), removePlane: true }),
      {
        title: `${i + 1}. ${score.flags.replaceAll('--', '') || 'as in the file'}`,
        note: `R ${score.rFactor.toFixed(3)}${i === 0 ? '' : `, ${(100 * score.behind).toFixed(0)} % more than the first`}`,
        quantity: 'phase / rad',
        side_px: 240,
      },
    ),
  );
  return figure(panels, {
    columns: COLUMNS,
    title: 'The scan in every orientation, best first',
    note: 'phase of the first neighbourhood, plane and offset removed for display; axes in pixels',
  });
}

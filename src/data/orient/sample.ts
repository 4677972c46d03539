/**
 * What the search for the orientation looks at: a few neighbourhoods of a scan, their patterns cut to the bright middle.
 *
 * Cutting a pattern to its central M×M pixels is the same experiment at a coarser pixel: the exit wave keeps its field of
 * view, its pixel grows by N/M, and so do the units of positions and probe. It makes the search fast and less noisy.
 */

import { PtychoError } from '../../core/errors.js';
import { meanOf, spreadIndices, valuesAt } from '../../core/numbers.js';
import type { ComplexTensor } from '../../core/tensor.js';
import { DetectorTransform } from '../../physics/fourier.js';
import { probeDiameter } from '../../physics/probe.js';
import { NeighbourGrid } from '../grouping/neighbourGrid.js';
import { forEachPattern } from '../normalise.js';
import type { RawData } from '../rawData.js';

/** Neighbouring positions that are reconstructed together. */
export interface SampleField {
  /** Which patterns of the scan. */
  readonly indices: Int32Array;
  /** Positions from the middle of the field, in pixels of the cut patterns' exit wave. */
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  /** (indices.length, side, side). */
  readonly amplitudes: Float32Array;
}

/** See {@link drawOrientationSample}. */
export interface OrientationSample {
  /** Side of the cut patterns. */
  readonly side: number;
  /** (P, side, side), its power that of the mean pattern. */
  readonly probe: ComplexTensor<Float64Array>;
  /** (side, side), 1 at pixels that are left out. */
  readonly badPixels?: Uint8Array;
  readonly fields: readonly SampleField[];
  /** Patterns in all fields. */
  readonly count: number;
  /** Part of the light that the cut patterns hold. */
  readonly keptPower: number;
  /** Mean distance of the sample's positions to their nearest neighbours, and the probe's diameter, in object pixels. */
  readonly step_px: number;
  readonly probeDiameter_px: number;
}

/** How much of a scan is looked at. */
export interface SampleSize {
  /** Neighbourhoods. */
  readonly fields: number;
  /** Patterns in each. */
  readonly patterns: number;
}

/** Enough for a clear answer on the star and on simulated scans, see `docs/data-tools.md`. */
export const SAMPLE_SIZE: SampleSize = { fields: 3, patterns: 32 };
/** Patterns that are looked at to find where the object has contrast. */
const LOOKED_AT = 160;
/** Cut sides: the first that holds enough of the light. */
const SIDES = [64, 128];
const ENOUGH_POWER = 0.9;
/** Positions nearer to each other than this part of the probe say the same; scans denser than that are thinned out. */
const LEAST_STEP = 0.1;
/** Weaker modes are left out: they cost as much as the strong ones. */
const MOST_MODES = 3;

/**
 * Chooses neighbourhoods where patterns differ most from the mean pattern (an empty part of the object tells nothing about
 * its orientation), apart from each other, and reads their patterns.
 * @param probe (N, N) or (P, N, N)
 * @throws PtychoError DATASET_VALUE for a scan or a probe without light, and reading errors.
 */
export async function drawOrientationSample(
  raw: RawData,
  probe: ComplexTensor,
  size: SampleSize = SAMPLE_SIZE,
): Promise<OrientationSample> {
  const { N } = raw;
  const looked = spreadIndices(raw.count, LOOKED_AT);
  const mean = new Float64Array(N * N);
  await forEachPattern(raw.patterns, looked, (amplitudes) => {
    for (let p = 0; p < amplitudes.length; p++) mean[p] += amplitudes[p] / looked.length;
  });
  const { side, keptPower } = chooseSide(mean, N);
  const badPixels = raw.badPixels && Uint8Array.from(cut(raw.badPixels, N, side));

  // How much each pattern that was looked at differs from their mean.
  const middle = cut(mean, N, side);
  const contrast = new Float64Array(looked.length);
  await forEachPattern(raw.patterns, looked, (amplitudes, i) => {
    cut(amplitudes, N, side).forEach((a, p) => {
      if (!badPixels?.[p]) contrast[i] += Math.abs(a - middle[p]);
    });
  });

  const diameter = probeDiameter(probe);
  const centres = chooseCentres(raw, looked, contrast, 2 * diameter, size);
  const chosen = centres.map((centre) => neighbourhood(raw, centre, LEAST_STEP * diameter, size.patterns));
  const fields: SampleField[] = [];
  let power = 0;
  let count = 0;
  for (const indices of chosen) {
    const amplitudes = new Float32Array(indices.length * side * side);
    await forEachPattern(raw.patterns, indices, (pattern, i) => {
      const part = cut(pattern, N, side);
      part.forEach((a, p) => {
        if (badPixels?.[p]) part[p] = 0;
        else power += a * a;
      });
      amplitudes.set(part, i * side * side);
    });
    count += indices.length;
    fields.push({ indices, ...centred(raw, indices, side / N), amplitudes });
  }
  if (power === 0) {
    throw new PtychoError(
      'DATASET_VALUE',
      `${raw.source}: the patterns looked at are dark (zero everywhere), so nothing can be said about the orientation; check the diffraction array.`,
      { path: raw.source },
    );
  }
  const reduced = reduceProbe(probe, side, badPixels);
  if (!(reduced.power > 0)) {
    throw new PtychoError(
      'DATASET_VALUE',
      `${raw.source}: the probe is zero everywhere; give another with --probe FILE[:key].`,
      { path: raw.source },
    );
  }
  const scale = Math.sqrt(power / count / reduced.power);
  return {
    side,
    probe: { ...reduced, re: reduced.re.map((v) => v * scale), im: reduced.im.map((v) => v * scale) },
    badPixels,
    fields,
    count,
    keptPower,
    step_px: meanStep(fields) * (N / side),
    probeDiameter_px: diameter,
  };
}

function chooseSide(mean: Float64Array, N: number): { side: number; keptPower: number } {
  const powerOf = (values: Float64Array) => values.reduce((sum, a) => sum + a * a, 0);
  const whole = powerOf(mean);
  const kept = (side: number) => (whole === 0 ? 1 : powerOf(cut(mean, N, side)) / whole);
  for (const side of SIDES) {
    if (side > N) break;
    const keptPower = kept(side);
    if (keptPower >= ENOUGH_POWER || side === SIDES[SIDES.length - 1]) return { side, keptPower };
  }
  // No larger than 128: an uncut pattern of any side is affordable.
  const side = Math.min(N, SIDES[SIDES.length - 1]);
  return { side, keptPower: kept(side) };
}

/** The middle of an N×N image, its pixel N/2 becoming pixel side/2. */
function cut(values: ArrayLike<number>, N: number, side: number): Float64Array {
  const from = Math.floor(N / 2) - Math.floor(side / 2);
  return Float64Array.from({ length: side * side }, (_, p) => {
    const row = Math.floor(p / side);
    return values[(from + row) * N + from + (p - row * side)];
  });
}

/** Positions of high contrast, each away from those before. */
function chooseCentres(
  raw: RawData,
  looked: Int32Array,
  contrast: Float64Array,
  apart: number,
  size: SampleSize,
): number[] {
  const centres: number[] = [];
  while (centres.length < Math.min(size.fields, Math.ceil(raw.count / size.patterns))) {
    let best = -1;
    let highest = -1;
    looked.forEach((index, i) => {
      let weight = contrast[i];
      for (const other of centres) {
        const distance = Math.hypot(raw.xcoords[index] - raw.xcoords[other], raw.ycoords[index] - raw.ycoords[other]);
        weight *= Math.min(1, distance / apart);
      }
      if (weight > highest) [best, highest] = [index, weight];
    });
    if (highest <= 0 && centres.length > 0) break;
    centres.push(best);
  }
  return centres;
}

/** The nearest positions around one, none nearer to another than `least`. */
function neighbourhood(raw: RawData, centre: number, least: number, most: number): Int32Array {
  const { xcoords, ycoords } = raw;
  const near = new Int32Array(Math.min(raw.count, 64 * most));
  new NeighbourGrid(xcoords, ycoords).nearest(centre, near.length, near);
  const taken: number[] = [];
  for (const i of near) {
    if (taken.some((j) => Math.hypot(xcoords[i] - xcoords[j], ycoords[i] - ycoords[j]) < least)) continue;
    taken.push(i);
    if (taken.length === most) break;
  }
  return Int32Array.from(taken).sort();
}

function centred(raw: RawData, indices: Int32Array, scale: number): { xs: Float64Array; ys: Float64Array } {
  const from = (values: Float64Array) => {
    const picked = valuesAt(values, indices);
    const mean = meanOf(picked);
    return picked.map((v) => (v - mean) * scale);
  };
  return { xs: from(raw.xcoords), ys: from(raw.ycoords) };
}

function meanStep(fields: readonly SampleField[]): number {
  let [sum, count] = [0, 0];
  for (const { xs, ys } of fields) {
    xs.forEach((x, i) => {
      let nearest = Number.POSITIVE_INFINITY;
      xs.forEach((other, j) => {
        if (j !== i) nearest = Math.min(nearest, Math.hypot(x - other, ys[i] - ys[j]));
      });
      if (!Number.isFinite(nearest)) return;
      sum += nearest;
      count++;
    });
  }
  return count === 0 ? Number.NaN : sum / count;
}

/** The probe on the coarser pixel, strongest modes first: the middle of its spectrum, transformed back. */
function reduceProbe(probe: ComplexTensor, side: number, badPixels: Uint8Array | undefined) {
  const N = probe.shape[probe.shape.length - 1];
  const area = N * N;
  const whole = new DetectorTransform(N);
  const part = new DetectorTransform(side);
  const modes = Array.from({ length: probe.re.length / area }, (_, p) => {
    const re = Float64Array.from(probe.re.subarray(p * area, (p + 1) * area));
    const im = Float64Array.from(probe.im.subarray(p * area, (p + 1) * area));
    whole.forward(re, im);
    const mode = { re: cut(re, N, side), im: cut(im, N, side), power: 0 };
    mode.re.forEach((v, i) => {
      if (!badPixels?.[i]) mode.power += v * v + mode.im[i] ** 2;
    });
    return mode;
  });
  const strongest = modes.sort((a, b) => b.power - a.power).slice(0, MOST_MODES);
  const re = new Float64Array(strongest.length * side * side);
  const im = new Float64Array(re.length);
  let power = 0;
  strongest.forEach((mode, p) => {
    part.inverse(mode.re, mode.im);
    re.set(mode.re, p * side * side);
    im.set(mode.im, p * side * side);
    power += mode.power;
  });
  return { re, im, shape: [strongest.length, side, side], power };
}

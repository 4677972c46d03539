/**
 * Overlap metrics of a scan: how much light neighbouring images, and neighbouring groups, share. They are reported; nothing is
 * ever refused because of them.
 *
 * @example
 * const { metric_2_image_based_avg } = computeOverlapMetrics(raw, { gridsize: 1, s_img: 0.5, n_groups: 512, N: raw.N });
 */

import path from 'node:path';
import { PtychoError } from '../core/errors.js';
import { integers, spanOf, valuesAt } from '../core/numbers.js';
import { LegacyRng } from '../core/rng.js';
import type { ComplexTensor } from '../core/tensor.js';
import { groupScan } from '../data/grouping/grouping.js';
import { NeighbourGrid } from '../data/grouping/neighbourGrid.js';
import { json, makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { probeFwhm } from '../physics/probe.js';

/** Version of the definitions, as the published tool writes it. */
export const OVERLAP_METRICS_VERSION = '1.0';
/** Published number of neighbours. */
export const OVERLAP_NEIGHBOURS = 6;
/** Diameter where nothing is known of the probe, in shares of N. */
const DIAMETER_SHARE = 0.6;
/** The geometry bound is never put higher, and the effective acceptance never lower. */
const [HIGHEST_BOUND, LOWEST_ACCEPTANCE] = [0.1, 1e-6];

/** Positions of a scan: names as in `RawData`. */
export interface ScanCoordinates {
  readonly xcoords: Float64Array;
  readonly ycoords: Float64Array;
}

/** Options of {@link computeOverlapMetrics}; names as in the configuration. */
export interface OverlapOptions {
  readonly gridsize: number;
  /** Share of the images that are kept, above 0, at most 1. */
  readonly s_img: number;
  /** Groups wanted. */
  readonly n_groups: number;
  /** K; 6 when left out. */
  readonly neighbor_count?: number;
  /** D, object pixels; when left out, the width of `probe`, else 0.6·N. */
  readonly probe_diameter_px?: number | null;
  /** Of the draws of images and groups, NumPy-compatible; 0 when left out. */
  readonly rng_seed_subsample?: number | null;
  /** (N, N) or (modes, N, N). */
  readonly probe?: ComplexTensor<Float32Array | Float64Array>;
  /** Side of the patterns. */
  readonly N?: number;
  /**
   * Measure these groups (indices of the images that are kept, the central image first) in place of drawing some: metric 1 then goes
   * from each central image to the other members.
   */
  readonly groups?: IndexGroups;
}

/** What is written for each split; keys as published. */
export interface OverlapMetrics {
  readonly metrics_version: string;
  readonly gridsize: number;
  readonly s_img: number;
  readonly n_groups: number;
  readonly neighbor_count: number;
  readonly probe_diameter_px: number;
  /** Where `probe_diameter_px` is from. */
  readonly probe_diameter_source: 'given' | 'probe' | 'pattern_side';
  readonly rng_seed_subsample: number | null;
  /** Missing for gridsize 1. */
  readonly metric_1_group_based_avg?: number;
  readonly metric_2_image_based_avg: number;
  readonly metric_3_group_to_group_avg: number;
  readonly n_images_total: number;
  readonly n_images_subsampled: number;
  readonly n_unique_images: number;
  readonly n_groups_actual: number;
  /** Positions farther apart than D that the area has room for, as a share of the images; at most 0.1. */
  readonly geometry_acceptance_bound: number;
  readonly effective_min_acceptance: number;
}

/**
 * The three overlap metrics of the images that a subset keeps.
 *
 * @throws PtychoError CONFIG_INVALID for a gridsize other than 1 and 2, s_img outside (0, 1], counts that are no positive integers,
 * K below gridsize², a diameter that is not positive or not known; DATASET_SHAPE for coordinates of different length,
 * DATASET_VALUE for coordinates that are no numbers and a subset without an image; GROUPING for fewer images than a group has
 * members. Nothing else: overlap is reported, never demanded.
 */
export function computeOverlapMetrics({ xcoords, ycoords }: ScanCoordinates, options: OverlapOptions): OverlapMetrics {
  const { gridsize, s_img, n_groups } = options;
  const K = options.neighbor_count ?? OVERLAP_NEIGHBOURS;
  checkOptions(options, K);
  checkCoordinates(xcoords, ycoords);
  const { diameter_px: D, source } = diameterOf(options);
  const seed = options.rng_seed_subsample ?? 0;
  const rows = overlapSubset(xcoords.length, s_img, seed);
  const kept: Positions = {
    x: valuesAt(xcoords, rows),
    y: valuesAt(ycoords, rows),
  };
  const groups = options.groups ?? drawGroups(kept, { gridsize, n_groups, K, seed });
  const unique = uniquePositions(kept);
  const bound = geometryBound(kept, D);
  return {
    metrics_version: OVERLAP_METRICS_VERSION,
    gridsize,
    s_img,
    n_groups,
    neighbor_count: K,
    probe_diameter_px: D,
    probe_diameter_source: source,
    rng_seed_subsample: options.rng_seed_subsample ?? null,
    ...(gridsize > 1 && {
      metric_1_group_based_avg: centralOverlap(
        kept,
        options.groups ?? nearestGroups(kept, samplesOf(rows.length, n_groups, seed), K),
        D,
      ),
    }),
    metric_2_image_based_avg: imageOverlap(unique, K, D),
    metric_3_group_to_group_avg: centreOverlap(groupCentres(kept, groups), D),
    n_images_total: xcoords.length,
    n_images_subsampled: rows.length,
    n_unique_images: unique.x.length,
    n_groups_actual: groups.members.length / groups.C,
    geometry_acceptance_bound: bound,
    effective_min_acceptance: Math.max(bound, LOWEST_ACCEPTANCE),
  };
}

/**
 * The images that a subset keeps, ascending: floor(s_img·n), drawn as `n_subsample` draws them.
 * @throws PtychoError DATASET_VALUE when none is left
 */
export function overlapSubset(n: number, s_img: number, seed: number): Int32Array {
  // Rounding must not lose the last image: 0.29·100 is 28.999999999999996.
  const count = Math.floor(s_img * n + 1e-9);
  if (count < 1) {
    throw new PtychoError(
      'DATASET_VALUE',
      `s_img ${s_img} keeps none of the ${n} images; give a larger share, at least ${n === 0 ? 'of a scan with images' : (1 / n).toPrecision(3)}.`,
      { key: 's_img', found: s_img },
    );
  }
  if (count >= n) return integers(n);
  return new LegacyRng(seed).choice(n, count, false).sort();
}

function diameterOf({ probe_diameter_px, probe, N }: OverlapOptions): {
  readonly diameter_px: number;
  readonly source: OverlapMetrics['probe_diameter_source'];
} {
  if (probe_diameter_px !== undefined && probe_diameter_px !== null) {
    requireDiameter(probe_diameter_px);
    return { diameter_px: probe_diameter_px, source: 'given' };
  }
  const width = probe ? probeFwhm(probe) : 0;
  if (width > 0) return { diameter_px: width, source: 'probe' };
  if (N !== undefined) return { diameter_px: DIAMETER_SHARE * N, source: 'pattern_side' };
  throw new PtychoError(
    'CONFIG_INVALID',
    'The probe diameter is not known: give probe_diameter_px, the probe, or the side N of the patterns.',
    { key: 'probe_diameter_px' },
  );
}

/** The groups that training on these images would have. */
function drawGroups(
  { x, y }: Positions,
  { gridsize, n_groups, K, seed }: { gridsize: number; n_groups: number; K: number; seed: number },
): IndexGroups {
  const { members, C } = groupScan(x, y, {
    gridsize,
    n_groups: gridsize === 1 ? Math.min(n_groups, x.length) : n_groups,
    neighbor_count: K,
    enable_oversampling: true,
    seed,
  });
  return { members, C };
}

/** Images around which the groups are drawn: `groupScan` draws them first of all. */
function samplesOf(n: number, n_groups: number, seed: number): Int32Array {
  if (n_groups >= n) return integers(n);
  return new LegacyRng(seed).choice(n, n_groups, false);
}

/** min(area of the bounding box / (n · area of a disc of diameter D), 0.1). */
function geometryBound({ x, y }: Positions, D: number): number {
  return Math.min((spanOf(x) * spanOf(y)) / (x.length * Math.PI * (D / 2) ** 2), HIGHEST_BOUND);
}

function checkOptions({ gridsize, s_img, n_groups }: OverlapOptions, K: number): void {
  const refuse = (key: string, found: unknown, message: string) => {
    throw new PtychoError('CONFIG_INVALID', message, { key, found });
  };
  if (gridsize !== 1 && gridsize !== 2) refuse('gridsize', gridsize, `gridsize must be 1 or 2, got ${gridsize}.`);
  if (!(s_img > 0 && s_img <= 1)) {
    refuse('s_img', s_img, `s_img must be a share of the images above 0 and at most 1, got ${s_img}.`);
  }
  for (const [key, value] of Object.entries({ n_groups, neighbor_count: K })) {
    if (!(Number.isInteger(value) && value > 0)) refuse(key, value, `${key} must be a positive integer, got ${value}.`);
  }
  if (K < gridsize * gridsize) {
    refuse(
      'neighbor_count',
      K,
      `neighbor_count is ${K}, but a group of gridsize ${gridsize} has ${gridsize * gridsize} members to choose from it; set it to ${gridsize * gridsize} or more.`,
    );
  }
}

function checkCoordinates(x: Float64Array, y: Float64Array): void {
  if (x.length !== y.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `There are ${x.length} xcoords but ${y.length} ycoords; give one of each for every image.`,
      { found: [x.length, y.length] },
    );
  }
  if (x.every(Number.isFinite) && y.every(Number.isFinite)) return;
  throw new PtychoError('DATASET_VALUE', 'Some scan positions are NaN or infinite; leave these images out.', {
    key: 'xcoords',
  });
}

/** Files of the metrics: of one scan, and of the two parts of a split one. */
export const OVERLAP_FILES = {
  one: ['metrics.json'],
  two: ['train_metrics.json', 'test_metrics.json', 'metrics_bundle.json'],
} as const;

/** Writes the metrics of each split and, of two, the bundle {train, test}; returns the names. */
export async function writeOverlap(folder: string, train: OverlapMetrics, test?: OverlapMetrics): Promise<string[]> {
  await makeOutputFolder(folder);
  const names = test ? OVERLAP_FILES.two : OVERLAP_FILES.one;
  const contents = test ? [train, test, { train, test }] : [train];
  for (const [i, name] of names.entries()) await writeAtomically(path.join(folder, name), json(contents[i]));
  return [...names];
}

/**
 * Share of a disc of diameter D that lies in an equal one at distance d: f = (2R² acos(d/2R) − (d/2)√(4R² − d²)) / (πR²), R = D/2;
 * 0 from d = D on.
 * @throws PtychoError CONFIG_INVALID for a diameter that is not positive, or a distance below 0
 *
 * @example
 * discOverlap(5, 10); // 0.391002…
 */
export function discOverlap(distance_px: number, diameter_px: number): number {
  requireDiameter(diameter_px);
  if (!(distance_px >= 0)) {
    throw new PtychoError('CONFIG_INVALID', `A distance must be a number of pixels from 0, got ${distance_px}.`, {
      key: 'distance_px',
      found: distance_px,
    });
  }
  return share(distance_px, diameter_px);
}

/** @throws PtychoError CONFIG_INVALID */
export function requireDiameter(diameter_px: number): void {
  if (diameter_px > 0 && Number.isFinite(diameter_px)) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `probe_diameter_px must be a positive number of object pixels, got ${diameter_px}.`,
    { key: 'probe_diameter_px', found: diameter_px },
  );
}

function share(d: number, D: number): number {
  if (d >= D) return 0;
  const R = D / 2;
  return (2 * R * R * Math.acos(d / D) - (d / 2) * Math.sqrt(4 * R * R - d * d)) / (Math.PI * R * R);
}

/** Positions, object pixels. */
export interface Positions {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/** Groups of equal size as indices of positions, (count, C). */
export interface IndexGroups {
  readonly members: Int32Array;
  readonly C: number;
}

/** Metric 1 on given groups, the central image of each first: mean of f from it to the others of its group, mean over groups. */
export function centralOverlap({ x, y }: Positions, { members, C }: IndexGroups, diameter_px: number): number {
  let sum = 0;
  const count = members.length / C;
  for (let g = 0; g < count; g++) {
    const centre = members[g * C];
    let own = 0;
    for (let c = 1; c < C; c++) {
      const other = members[g * C + c];
      own += share(Math.hypot(x[other] - x[centre], y[other] - y[centre]), diameter_px);
    }
    sum += own / (C - 1);
  }
  return sum / count;
}

/**
 * Each sample and its K nearest other images, the sample first: what {@link centralOverlap} takes. Fewer than K others: all.
 * @param samples indices of positions
 */
export function nearestGroups({ x, y }: Positions, samples: Int32Array, K: number): IndexGroups {
  const C = Math.min(K + 1, x.length);
  const grid = new NeighbourGrid(x, y);
  const members = new Int32Array(samples.length * C);
  samples.forEach((sample, k) => {
    grid.nearest(sample, C, members.subarray(k * C, (k + 1) * C));
  });
  return { members, C };
}

/** Positions without repetitions of exactly the same (x, y), in order of first occurrence. */
export function uniquePositions({ x, y }: Positions): Positions {
  const seen = new Set<string>();
  const first = Int32Array.from(x.keys()).filter((i) => {
    // Adding 0 makes −0 the same place as 0.
    const key = `${x[i] + 0},${y[i] + 0}`;
    return seen.has(key) ? false : seen.add(key);
  });
  return { x: Float64Array.from(first, (i) => x[i]), y: Float64Array.from(first, (i) => y[i]) };
}

/** Metric 2 on positions without repetitions: mean f of each to its K nearest others, mean over all; 0 for a single one. */
export function imageOverlap(unique: Positions, K: number, diameter_px: number): number {
  if (unique.x.length < 2) return 0;
  const all = Int32Array.from(unique.x.keys());
  return centralOverlap(unique, nearestGroups(unique, all, K), diameter_px);
}

/** Centres of groups: the mean position of their members. */
export function groupCentres({ x, y }: Positions, { members, C }: IndexGroups): Positions {
  const count = members.length / C;
  const mean = (values: Float64Array) =>
    Float64Array.from({ length: count }, (_, g) => {
      let sum = 0;
      for (let c = 0; c < C; c++) sum += values[members[g * C + c]];
      return sum / C;
    });
  return { x: mean(x), y: mean(y) };
}

/** Metric 3: mean f of each centre to all others nearer than D (0 where there are none), mean over centres. */
export function centreOverlap({ x, y }: Positions, diameter_px: number): number {
  const order = Int32Array.from(x.keys()).sort((a, b) => x[a] - x[b]);
  const sums = new Float64Array(x.length);
  const counts = new Int32Array(x.length);
  for (let i = 0; i < order.length; i++) {
    const a = order[i];
    // Sorted along x, so that only a strip of width D is looked at.
    for (let j = i + 1; j < order.length && x[order[j]] - x[a] < diameter_px; j++) {
      const b = order[j];
      const d = Math.hypot(x[b] - x[a], y[b] - y[a]);
      if (d >= diameter_px) continue;
      const f = share(d, diameter_px);
      for (const k of [a, b]) {
        sums[k] += f;
        counts[k]++;
      }
    }
  }
  return sums.reduce((sum, own, k) => sum + (counts[k] === 0 ? 0 : own / counts[k]), 0) / x.length;
}

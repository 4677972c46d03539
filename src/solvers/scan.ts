/** A scan as solvers take it: all patterns in memory, if they fit, positions in pixels of the object array. */
import { availableParallelism } from 'node:os';
import type { SolverOptions } from '../config/schemas/solver.js';
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { requireEpochMemory, requireMemory } from '../core/memoryBudget.js';
import { formatShape } from '../core/tensor.js';
import { counted, formatBytes, noun } from '../core/words.js';
import { countWithoutNeighbour } from '../data/grouping/neighbourGrid.js';
import type { RawData } from '../data/rawData.js';
import { type Frame, frameForScan, scanBounds } from '../reconstruction/frame.js';
import type { SimulatedScan } from '../simulation/simulateScan.js';
import { TRAITS } from './algorithms/algorithm.js';
import { LARGEST_AFFINE } from './corrections/affine.js';
import { probeRadius_px } from './probe.js';
import type { SolverScan } from './wavePasses.js';
import { litPlaces, type ScanPlaces, waysOf } from './ways.js';

/** What solving needs of a scan; every {@link RawData} has it. */
export type ScanToSolve = Pick<
  RawData,
  'source' | 'count' | 'N' | 'patterns' | 'xcoords' | 'ycoords' | 'badPixels' | 'probeGuess'
> &
  ScanPlaces &
  Partial<Pick<RawData, 'geometry'>>;

/** A scan in memory and where its object array lies. */
export interface LoadedScan {
  readonly scan: SolverScan;
  readonly frame: Frame;
  /** Mean counts of a pattern over its good pixels. */
  readonly meanCounts: number;
  /** Mean measured amplitude of a good pixel, root mean square. */
  readonly amplitude: number;
}

/** Patterns that are read in one go. */
const CHUNK_PIXELS = 1 << 22;

/**
 * Reads all patterns of a scan.
 * @throws PtychoError DATASET_VALUE for patterns without a single count or positions too far apart for one image, CONFIG_INVALID for a fly
 * scan without ways, and those of reading
 */
export async function loadScan(
  raw: ScanToSolve,
  options: SolverOptions,
  onPatterns?: (done: number) => void,
): Promise<LoadedScan> {
  const { N, count } = raw;
  const area = N * N;
  const { ways, ys, xs } = waysOf(raw, options);
  const lit = litPlaces({ ys, xs }, ways);
  const frame = frameForScan(scanBounds(lit.xs, lit.ys), N + 2 * positionMargin_px(options, raw));
  const amplitudes = new Float32Array(new SharedArrayBuffer(4 * count * area));
  const step = Math.max(1, Math.floor(CHUNK_PIXELS / area));
  const buffer = new Float32Array(Math.min(step, count) * area);
  let total = 0;
  for (let from = 0; from < count; from += step) {
    const rows = Int32Array.from({ length: Math.min(step, count - from) }, (_, i) => from + i);
    const values = buffer.subarray(0, rows.length * area);
    await raw.patterns.readAmplitudes(rows, values);
    for (let i = 0; i < rows.length; i++) {
      total += layPattern(
        values.subarray(i * area, (i + 1) * area),
        amplitudes.subarray((from + i) * area, (from + i + 1) * area),
        // Near fields are images: they stay as they are.
        { N, middle: raw.geometry?.nearField ? 0 : Math.floor(N / 2) },
        raw.badPixels,
      );
    }
    onPatterns?.(from + rows.length);
  }
  if (!(total > 0)) {
    throw new PtychoError(
      'DATASET_VALUE',
      `${raw.source}: none of the ${count} patterns has a single count, so there is nothing to reconstruct from; check the key and the dark correction of the file.`,
      { path: raw.source, patterns: count },
    );
  }
  const good = area - (raw.badPixels?.reduce((sum, bad) => sum + (bad ? 1 : 0), 0) ?? 0);
  const [top, left] = frame.originYxPx;
  return {
    scan: {
      N,
      count,
      amplitudes,
      ys: shared(ys, -top),
      xs: shared(xs, -left),
      ...(ways && { ways }),
    },
    frame,
    meanCounts: total / count,
    amplitude: Math.sqrt(total / count / good),
  };
}

/** Pixels around the patches that positions may need. */
function positionMargin_px(options: SolverOptions, { xcoords, ycoords }: Pick<RawData, 'xcoords' | 'ycoords'>): number {
  if (!correctsPositions(options)) return 1;
  const { xMin, xMax, yMin, yMax } = scanBounds(xcoords, ycoords);
  const affine = options.affine ? LARGEST_AFFINE * 0.5 * (xMax - xMin + yMax - yMin) : 0;
  return Math.ceil(options.position_limit_px + affine) + 2;
}

/** Positions are corrected in some epoch. */
export const correctsPositions = ({ position_start, affine }: SolverOptions): boolean =>
  position_start !== null || affine;

/** The same patterns, with positions that may be moved without moving those of another run, and ways as the options want them. */
export function withOwnPositions(
  { scan, ...others }: LoadedScan,
  raw: ScanToSolve,
  options: SolverOptions,
): LoadedScan {
  const { ways } = waysOf(raw, options);
  return { ...others, scan: { ...scan, ys: shared(scan.ys, 0), xs: shared(scan.xs, 0), ways } };
}

/** Moves zero frequency from `middle` to the corner and marks bad pixels; answers the counts. */
function layPattern(
  pattern: Float32Array,
  out: Float32Array,
  { N, middle: half }: { readonly N: number; readonly middle: number },
  badPixels: ArrayLike<number> | undefined,
): number {
  let counts = 0;
  for (let r = 0; r < N; r++) {
    const to = ((r - half + N) % N) * N;
    for (let c = 0; c < N; c++) {
      const from = r * N + c;
      const bad = badPixels !== undefined && badPixels[from] !== 0;
      out[to + ((c - half + N) % N)] = bad ? -1 : pattern[from];
      if (!bad) counts += pattern[from] ** 2;
    }
  }
  return counts;
}

function shared(values: Float64Array, offset: number): Float64Array<SharedArrayBuffer> {
  const out = new Float64Array(new SharedArrayBuffer(8 * values.length));
  for (let i = 0; i < values.length; i++) out[i] = values[i] + offset;
  return out;
}

/** Positions, as many as patterns. */
interface Places {
  readonly ys: Float64Array;
  readonly xs: Float64Array;
  readonly count: number;
}

/**
 * Patterns that share no light with another, where they are more than half of all: nothing ties such patches together.
 * @param radius_px within which the probe's light lies
 */
function withoutNeighbour({ ys, xs, count }: Places, radius_px: number): number | undefined {
  const lonely = countWithoutNeighbour(xs, ys, 2 * radius_px);
  return 2 * lonely > count ? lonely : undefined;
}

/** Says so where solvers would refuse a simulated scan for what {@link requireOverlap} asks. */
export function warnOfLonelyPatterns({ probeGuess, xcoords, ycoords }: SimulatedScan, logger?: Logger): void {
  const radius_px = probeRadius_px(probeGuess);
  const count = xcoords.data.length;
  const places = { xs: Float64Array.from(xcoords.data), ys: Float64Array.from(ycoords.data), count };
  const lonely = withoutNeighbour(places, radius_px);
  if (lonely === undefined) return;
  logger?.warn(
    `${lonely} of ${count} patterns share no light with another (the probe reaches ${radius_px.toFixed(0)} px, no other position is within twice that): solvers refuse such a scan; give more patterns, or a smaller step_px.`,
  );
}

/**
 * Solvers tie patterns together by the object that neighbours share.
 * @param radius_px how far from its position a pattern sees the object
 * @throws PtychoError DATASET_VALUE where most patterns have no neighbour within two radii
 */
export function requireOverlap(source: string, scan: Places, radius_px: number): void {
  const { count } = scan;
  const lonely = withoutNeighbour(scan, radius_px);
  if (lonely === undefined) return;
  throw new PtychoError(
    'DATASET_VALUE',
    `${source}: ${lonely} of ${count} patterns share no light with another (the probe reaches ${radius_px.toFixed(0)} px, no other position is within twice that), so that nothing ties the patches together; check the unit of the positions, or reconstruct single patterns with "infer".`,
    { path: source, patterns: count, without_neighbour: lonely, radius_px },
  );
}

/**
 * A mode has as many unknowns as a pattern has pixels: more modes than patterns are determined by nothing.
 * @throws PtychoError CONFIG_INVALID
 */
export function requireFewModes(
  { source, count }: ScanToSolve,
  options: { readonly probe_modes: number | null },
): void {
  const { probe_modes } = options;
  if (probe_modes === null || probe_modes <= count) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `probe_modes is ${probe_modes}, but ${source} has ${counted(count, 'pattern')}, which cannot determine more modes than that; a few modes are usual.`,
    { key: 'probe_modes', found: probe_modes, expected: count },
  );
}

/** @throws PtychoError PROBE_SHAPE, DATASET_VALUE for a probe that is no probe of these patterns */
export function requireProbe(source: string, probe: ScanToSolve['probeGuess'], N: number): void {
  if (!probe) return;
  const [rows, cols] = probe.shape.slice(-2);
  if (rows !== N || cols !== N) {
    throw new PtychoError(
      'PROBE_SHAPE',
      `${source}: the probe has shape ${formatShape(probe.shape)}, but the patterns are ${N}×${N}; both must have the same side (crop or pad one of them).`,
      { path: source, found: probe.shape, expected: [N, N] },
    );
  }
}

type ScanSize = Pick<RawData, 'count' | 'N' | 'probeGuess'>;

/**
 * Refuses a run whose patterns, probe modes and exit waves do not fit into memory, and tells of one that takes more than half of it.
 * @param available bytes, for tests
 * @throws PtychoError OUT_OF_MEMORY
 */
export function requireSolverMemory(
  { count, N, probeGuess, source }: ScanSize & Pick<RawData, 'source'>,
  options: SolverOptions,
  services: { readonly threads?: number | null; readonly logger?: Logger; readonly available?: number } = {},
): void {
  const { threads, logger, available } = services;
  requireEpochMemory(options.epochs, '--epochs');
  const patterns = 4 * count * N * N;
  const waves = waveBytes({ count, N, probeGuess }, options);
  const work = modeBytes({ count, N, probeGuess }, options, threads ?? availableParallelism());
  const modes = modesOf(options, probeGuess);
  const also = waves > 0 ? ` (${formatBytes(waves)} of it for exit waves)` : '';
  requireMemory(
    patterns + waves + work,
    `The ${counted(count, 'pattern')} of ${source} with ${modes} probe ${noun(modes, 'mode')}${also}`,
    { remedy: 'use fewer patterns (--n_subsample) or modes (--probe_modes), or crop or bin them', logger, available },
  );
}

function modesOf({ probe_modes }: SolverOptions, probe: RawData['probeGuess']): number {
  return probe_modes ?? (probe?.shape.length === 3 ? probe.shape[0] : 1);
}

/** Probe and its sums, and what each thread holds of a batch, in single precision. */
function modeBytes({ count, N, probeGuess }: ScanSize, options: SolverOptions, threads: number): number {
  const { keepsBatches, batchSize } = TRAITS[options.algorithm];
  const batch = Math.min(count, options.batch_size ?? batchSize(count));
  const kept =
    keepsBatches || correctsPositions(options) || options.opr_modes > 0
      ? Math.max(1, Math.ceil((1.5 * batch) / threads))
      : 1;
  const { opr_modes, fly_positions } = options;
  const waves = kept * fly_positions;
  const varying = opr_modes > 0 ? 8 * N * N * (2 * opr_modes + threads * (3 * opr_modes + 1 + waves)) : 0;
  return 8 * modesOf(options, probeGuess) * N * N * (2 + threads * (4 + 2 * fly_positions + 2 * waves)) + varying;
}

/** What the exit waves of all patterns take, where the algorithm keeps them. */
export function waveBytes({ count, N, probeGuess }: ScanSize, options: SolverOptions): number {
  const waves = options.fly_positions * modesOf(options, probeGuess);
  return TRAITS[options.algorithm].storesWaves ? 8 * count * waves * N * N : 0;
}

/** A scan as solvers take it: all patterns in memory, if they fit, positions in pixels of the object array. */
import type { SolverOptions } from '../config/schemas/solver.js';
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { availableMemory } from '../core/memoryBudget.js';
import { formatShape } from '../core/tensor.js';
import { counted } from '../core/words.js';
import { countWithoutNeighbour } from '../data/grouping/neighbourGrid.js';
import type { RawData } from '../data/rawData.js';
import { type Frame, frameForScan, scanBounds } from '../reconstruction/frame.js';
import type { SimulatedScan } from '../simulation/simulateScan.js';
import { LARGEST_AFFINE } from './corrections/affine.js';
import { PatternStream } from './patternStream.js';
import { probeRadius_px } from './probe.js';
import type { SolverScan } from './wavePasses.js';
import { litPlaces, type ScanPlaces, waysOf } from './ways.js';

/** What several scans have in common: one object, seen with a probe each, or one probe, with an object each. */
export type Share = 'object' | 'probe';

/** Scans that are solved as one; `joinScans` makes them. */
export interface ScansTogether {
  readonly share: Share;
  readonly scans: readonly ScanToSolve[];
  /** (scans + 1,) the first pattern of each among all, then how many these are. */
  readonly firsts: Int32Array;
  /** [y, x] that are added to the positions of each scan of one object; left out: they are found. */
  readonly offsets_yx_px?: readonly (readonly [number, number])[];
}

/** What solving needs of a scan; every {@link RawData} has it. */
export type ScanToSolve = Pick<
  RawData,
  'source' | 'count' | 'N' | 'patterns' | 'xcoords' | 'ycoords' | 'badPixels' | 'probeGuess'
> &
  ScanPlaces &
  Partial<Pick<RawData, 'geometry' | 'domain'>> & { readonly together?: ScansTogether };

/** A scan in memory and where its object array lies. */
export interface LoadedScan {
  readonly scan: SolverScan;
  readonly frame: Frame;
  /** Amplitudes are square roots of counts. */
  readonly counted: boolean;
  /** Mean counts of a pattern over its good pixels. */
  readonly meanCounts: number;
  /** Mean measured amplitude of a good pixel, root mean square. */
  readonly amplitude: number;
  /** Of several scans; see {@link ScansTogether}. */
  readonly together?: LoadedTogether;
}

/** Several scans in memory. */
export interface LoadedTogether {
  readonly share: Share;
  readonly firsts: Int32Array;
  readonly sources: readonly string[];
  /** How far each lies apart is followed. */
  readonly follows: boolean;
  /** [y, x] pixels that were added to the positions of each. */
  readonly shifts_yx_px?: readonly (readonly [number, number])[];
}

/** Which scan each of several patterns is of. */
export function scansOfPatterns({ firsts }: Pick<ScansTogether, 'firsts'>): Int32Array<SharedArrayBuffer> {
  const of = new Int32Array(new SharedArrayBuffer(4 * firsts[firsts.length - 1]));
  for (let s = 0; s + 1 < firsts.length; s++) of.fill(s, firsts[s], firsts[s + 1]);
  return of;
}

/** Patterns that are read in one go. */
const CHUNK_PIXELS = 1 << 22;

/**
 * Reads all patterns of a scan.
 * @param streamed the largest batch where patterns go to a temporary file, which the caller closes; undefined: they stay in memory, as they
 * do with `orHeld` where temporary files have no room for them but memory has
 * @throws PtychoError DATASET_VALUE for patterns without a single count or positions too far apart for one image, CONFIG_INVALID for a fly
 * scan without ways, and those of reading
 */
export async function loadScan(
  raw: ScanToSolve,
  options: SolverOptions,
  onPatterns?: (done: number) => void,
  streamed?: { readonly most: number; readonly orHeld?: boolean },
): Promise<LoadedScan> {
  const { N, count } = raw;
  const area = N * N;
  const { ways, ys, xs } = waysOf(raw, options);
  const lit = litPlaces({ ys, xs }, ways);
  const frame = frameForScan(scanBounds(lit.xs, lit.ys), N + 2 * positionMargin_px(options, raw));
  const stream = streamed && openStream(raw, streamed);
  const amplitudes = stream?.amplitudes ?? new Float32Array(new SharedArrayBuffer(4 * count * area));
  const step = Math.max(1, Math.floor(CHUNK_PIXELS / area));
  const buffer = new Float32Array(Math.min(step, count) * area);
  const turned = stream && new Float32Array(buffer.length);
  // Near fields are images: they stay as they are.
  const middle = raw.geometry?.nearField ? 0 : Math.floor(N / 2);
  const { together } = raw;
  const scanOf = together && scansOfPatterns(together);
  const masks = together?.scans.map(({ badPixels }) => badPixels) ?? [raw.badPixels];
  const lays = masks.map((badPixels) => layOut({ N, middle }, badPixels));
  let total = 0;
  try {
    for (let from = 0; from < count; from += step) {
      const rows = Int32Array.from({ length: Math.min(step, count - from) }, (_, i) => from + i);
      const values = buffer.subarray(0, rows.length * area);
      await raw.patterns.readAmplitudes(rows, values);
      const out = turned?.subarray(0, values.length) ?? amplitudes.subarray(from * area, from * area + values.length);
      for (let at = 0; at < values.length; at += area) {
        const lay = lays[scanOf?.[from + at / area] ?? 0];
        total += lay(values.subarray(at, at + area), out.subarray(at, at + area));
      }
      if (turned) stream.append(turned.subarray(0, values.length));
      onPatterns?.(from + rows.length);
    }
    if (!(total > 0)) {
      throw new PtychoError(
        'DATASET_VALUE',
        `${raw.source}: none of the ${count} patterns has a single count, so there is nothing to reconstruct from; check the key and the dark correction of the file.`,
        { path: raw.source, patterns: count },
      );
    }
  } catch (error) {
    await stream?.close();
    throw error;
  }
  const badOf = (badPixels: ScanToSolve['badPixels']) => badPixels?.reduce((sum, bad) => sum + (bad ? 1 : 0), 0) ?? 0;
  const good = area - Math.min(...masks.map(badOf));
  const [top, left] = frame.originYxPx;
  return {
    scan: {
      N,
      count,
      amplitudes,
      ...(stream && { stream, slots: stream.slots }),
      ys: shared(ys, -top),
      xs: shared(xs, -left),
      ...(ways && { ways }),
      ...(together?.share === 'object' && { probeOf: scanOf }),
    },
    frame,
    ...(together && {
      together: {
        ...{ share: together.share, firsts: together.firsts },
        sources: together.scans.map(({ source }) => source),
        follows: followsOffsets(together),
      },
    }),
    counted: raw.domain !== 'normalized_amplitude',
    meanCounts: total / count,
    amplitude: Math.sqrt(total / count / good),
  };
}

function openStream(
  { N, count, source }: ScanToSolve,
  { most, orHeld = false }: { readonly most: number; readonly orHeld?: boolean },
): PatternStream | undefined {
  try {
    return PatternStream.create({ N, count, most }, source);
  } catch (error) {
    if (orHeld && 4 * count * N * N < availableMemory()) return undefined;
    throw error;
  }
}

/** Pixels around the patches that positions may need. */
export function positionMargin_px(
  options: SolverOptions,
  { xcoords, ycoords, together }: Pick<ScanToSolve, 'xcoords' | 'ycoords' | 'together'>,
): number {
  const wander = together && followsOffsets(together) ? LARGEST_WANDER_PX : 0;
  if (!correctsPositions(options)) return 1 + wander;
  const { xMin, xMax, yMin, yMax } = scanBounds(xcoords, ycoords);
  const affine = options.affine ? LARGEST_AFFINE * 0.5 * (xMax - xMin + yMax - yMin) : 0;
  return Math.ceil(options.position_limit_px + affine) + 2 + wander;
}

/** Farthest that a scan may go from where it was found to lie, before the run began. */
export const LARGEST_WANDER_PX = 4;

/** How far scans of one object lie apart is found. */
export const followsOffsets = ({ share, offsets_yx_px }: ScansTogether): boolean =>
  share === 'object' && offsets_yx_px === undefined;

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

/** What moves zero frequency from `middle` to the corner and marks bad pixels, and answers the counts. */
function layOut(
  { N, middle: half }: { readonly N: number; readonly middle: number },
  badPixels: ArrayLike<number> = [],
): (pattern: Float32Array, out: Float32Array<ArrayBufferLike>) => number {
  const moved = (i: number) => (i - half + N) % N;
  const bad = Array.from(badPixels, (value, i) => (value === 0 ? -1 : i)).filter((i) => i >= 0);
  return (pattern, out) => {
    let counts = 0;
    for (let i = 0; i < pattern.length; i++) counts += pattern[i] * pattern[i];
    for (let r = 0; r < N; r++) {
      const to = moved(r) * N;
      out.set(pattern.subarray(r * N + half, (r + 1) * N), to);
      out.set(pattern.subarray(r * N, r * N + half), to + N - half);
    }
    for (const i of bad) {
      counts -= pattern[i] * pattern[i];
      out[moved(Math.floor(i / N)) * N + moved(i % N)] = -1;
    }
    return counts;
  };
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
 * More modes or slices than patterns can determine. A mode of the probe has as many unknowns as a pattern has pixels; n patterns differ in
 * n − 1 ways at most; a slice has an unknown (complex) for every pixel of the object.
 * @throws PtychoError CONFIG_INVALID
 */
export function requireDetermined(
  scan: Pick<ScanToSolve, 'source' | 'count' | 'N' | 'xcoords' | 'ycoords' | 'together'>,
  options: Pick<SolverOptions, 'probe_modes' | 'opr_modes' | 'slices'>,
): void {
  const { source, count, N } = scan;
  const { probe_modes, opr_modes, slices } = options;
  const refused = (key: string, found: number, most: number, why: string, usual: string) =>
    new PtychoError('CONFIG_INVALID', `${key} is ${found}, but ${source} has ${counted(count, 'pattern')}, which ${why}; ${usual}.`, { key, found, expected: most }); // biome-ignore format: one call
  if (probe_modes !== null && probe_modes > count) {
    throw refused('probe_modes', probe_modes, count, 'cannot determine more modes than that', 'a few modes are usual');
  }
  if (opr_modes > 0 && opr_modes >= count) {
    throw refused('opr_modes', opr_modes, count - 1, `differ in ${count - 1} ways at most`, '1 to 3 are usual');
  }
  if (slices === 1) return;
  const pixels = objectPixels(scan);
  const most = Math.max(1, Math.floor((count * N * N) / pixels));
  if (slices <= most) return;
  throw refused('slices', slices, most, `have ${count * N * N} pixels together: fewer than so many slices of ${pixels} pixels each, so that nothing determines them (${most} at most)`, '2 to 4 are usual'); // biome-ignore format: one call
}

/** Pixels of the object that patterns reach; of several scans that share it, those of the largest. */
function objectPixels({ N, together, ...scan }: Pick<ScanToSolve, 'N' | 'xcoords' | 'ycoords' | 'together'>): number {
  const areas = (together?.scans ?? [scan]).map(({ xcoords, ycoords }) => {
    const { xMin, xMax, yMin, yMax } = scanBounds(xcoords, ycoords);
    return Math.round((xMax - xMin + N) * (yMax - yMin + N));
  });
  return together?.share === 'probe' ? areas.reduce((sum, area) => sum + area, 0) : Math.max(...areas);
}

/** @throws PtychoError DATASET_UNITS */
export function requireCounted({ domain, source }: Pick<RawData, 'domain' | 'source'>): void {
  if (domain !== 'normalized_amplitude') return;
  throw new PtychoError(
    'DATASET_UNITS',
    `noise_model poisson needs counted photons, but ${source} holds normalised amplitudes: use noise_model gaussian, or say so with --measurement_domain if it is a scan of counts.`,
    { found: domain, expected: ['count_amplitude', 'count_intensity'] },
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

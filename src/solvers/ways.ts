/**
 * Fly scans: the ways over which the patterns of a scan were recorded.
 *
 * @example
 * const { ways, ys, xs } = waysOf(raw, { fly_positions: 6, fly_duty: null });
 */
import type { SolverOptions } from '../config/schemas/solver.js';
import { PtychoError } from '../core/errors.js';
import { median } from '../core/numbers.js';
import type { RawData } from '../data/rawData.js';
import type { ScanWays } from './wavePasses.js';

/** What of a scan says where its patterns were recorded. */
export type ScanPlaces = Pick<RawData, 'source' | 'count' | 'xcoords' | 'ycoords'> &
  Partial<Pick<RawData, 'xcoordsStart' | 'ycoordsStart' | 'xcoordsEnd' | 'ycoordsEnd'>>;

/** Middles of the ways, which stand for the positions, and the ways. */
export interface FlownPlaces {
  readonly ys: Float64Array;
  readonly xs: Float64Array;
  /** Undefined where patterns have one position each. */
  readonly ways: ScanWays | undefined;
}

/** A step as many times as long as the usual one is no way: the stage went back. */
const JUMP = 4;

/**
 * Where patterns were recorded: from their start and end positions, from start positions and middles, or, with `fly_duty`, from the path
 * through the positions.
 * @throws PtychoError CONFIG_INVALID where the scan says nothing of ways
 */
export function waysOf(raw: ScanPlaces, options: Pick<SolverOptions, 'fly_positions' | 'fly_duty'>): FlownPlaces {
  const { xcoords: xs, ycoords: ys } = raw;
  const { fly_positions: points, fly_duty: duty } = options;
  if (points === 1) return { ys, xs, ways: undefined };
  if (duty !== null) {
    const path = pathOf(ys, xs);
    return { ys, xs, ways: { points, ys: shared(path.ys, duty), xs: shared(path.xs, duty) } };
  }
  const start = pair(raw.ycoordsStart, raw.xcoordsStart);
  const end = pair(raw.ycoordsEnd, raw.xcoordsEnd);
  const axis = (a: 'ys' | 'xs', middle: Float64Array) => {
    if (start && end) return { way: minus(end[a], start[a]), middle: start[a].map((v, k) => 0.5 * (v + end[a][k])) };
    const way = start ? minus(middle, start[a]) : end && minus(end[a], middle);
    return { way: way ? shared(way, 2) : new Float64Array(0), middle };
  };
  const [y, x] = [axis('ys', ys), axis('xs', xs)];
  const longest = y.way.reduce((most, v, k) => Math.max(most, Math.hypot(v, x.way[k])), 0);
  if (!(longest > 0)) {
    const found = start || end ? 'start (end) where they are' : 'have no start';
    throw new PtychoError(
      'CONFIG_INVALID',
      `fly_positions needs to know the ways, but the exposures of ${raw.source} ${found}; give xcoords_start and ycoords_start (and the same with _end) in the file, or fly_duty, the share of the way to the next position during which it was exposed.`,
      { key: 'fly_positions', path: raw.source },
    );
  }
  return { ys: y.middle, xs: x.middle, ways: { points, ys: shared(y.way, 1), xs: shared(x.way, 1) } };
}

/** The file (or memory) says where exposures start or end, and not that it is where they are all the time. */
export function sayWays(raw: ScanPlaces): boolean {
  const apart = (a: Float64Array | undefined, b: Float64Array | undefined) =>
    a !== undefined && b !== undefined && a.some((v, k) => v !== b[k]);
  return [
    [raw.xcoordsStart, raw.xcoordsEnd ?? raw.xcoords],
    [raw.ycoordsStart, raw.ycoordsEnd ?? raw.ycoords],
    [raw.xcoordsEnd, raw.xcoordsStart ?? raw.xcoords],
    [raw.ycoordsEnd, raw.ycoordsStart ?? raw.ycoords],
  ].some(([a, b]) => apart(a, b));
}

/** The same with positions that were found since: ways are as long and point as before. */
export function movedPlaces<T extends ScanPlaces>(
  raw: T,
  to: { readonly xs: Float64Array; readonly ys: Float64Array },
): T {
  const along = (ends: Float64Array | undefined, from: Float64Array, now: Float64Array) =>
    ends?.map((v, k) => v + now[k] - from[k]);
  return {
    ...raw,
    xcoords: to.xs,
    ycoords: to.ys,
    xcoordsStart: along(raw.xcoordsStart, raw.xcoords, to.xs),
    ycoordsStart: along(raw.ycoordsStart, raw.ycoords, to.ys),
    xcoordsEnd: along(raw.xcoordsEnd, raw.xcoords, to.xs),
    ycoordsEnd: along(raw.ycoordsEnd, raw.ycoords, to.ys),
  };
}

/** All places that light fell on: the points of each pattern. */
export function litPlaces(
  { ys, xs }: { readonly ys: Float64Array; readonly xs: Float64Array },
  ways: ScanWays | undefined,
): { readonly ys: Float64Array; readonly xs: Float64Array } {
  if (!ways) return { ys, xs };
  const { points } = ways;
  const all = (middle: Float64Array, way: Float64Array) =>
    Float64Array.from({ length: middle.length * points }, (_, i) => {
      const k = Math.floor(i / points);
      return middle[k] + (((i % points) + 0.5) / points - 0.5) * way[k];
    });
  return { ys: all(ys, ways.ys), xs: all(xs, ways.xs) };
}

/** Steps of the path at each position: halfway from the one before to the next, or what goes on straight on one side where a line ends. */
function pathOf(ys: Float64Array, xs: Float64Array): { readonly ys: Float64Array; readonly xs: Float64Array } {
  const n = xs.length;
  const steps = Array.from({ length: Math.max(0, n - 1) }, (_, k) => [ys[k + 1] - ys[k], xs[k + 1] - xs[k]] as const);
  const usual = median(Float64Array.from(steps, ([y, x]) => Math.hypot(y, x)));
  const at = (k: number) => {
    const step = steps[k] as (typeof steps)[number] | undefined;
    return step && Math.hypot(...step) <= JUMP * usual ? step : undefined;
  };
  const straight = (a: readonly [number, number] | undefined, b: readonly [number, number] | undefined) =>
    a && b ? (a[0] * b[0] + a[1] * b[1]) / (Math.hypot(...a) * Math.hypot(...b) || 1) : -1;
  const out = Array.from({ length: n }, (_, k) => {
    const [before, after] = [at(k - 1), at(k)];
    if (!before || !after) return before ?? after ?? ([0, 0] as const);
    // Where the path turns, the way belongs to the line that the pattern lies in.
    if (straight(before, after) > Math.SQRT1_2) {
      return [0.5 * (before[0] + after[0]), 0.5 * (before[1] + after[1])] as const;
    }
    return straight(at(k - 2), before) >= straight(after, at(k + 1)) ? before : after;
  });
  return { ys: Float64Array.from(out, ([y]) => y), xs: Float64Array.from(out, ([, x]) => x) };
}

const pair = (ys: Float64Array | undefined, xs: Float64Array | undefined) => (ys && xs ? { ys, xs } : undefined);

const minus = (a: Float64Array, b: Float64Array): Float64Array => a.map((v, k) => v - b[k]);

function shared(values: Float64Array, factor: number): Float64Array<SharedArrayBuffer> {
  const out = new Float64Array(new SharedArrayBuffer(8 * values.length));
  for (let i = 0; i < values.length; i++) out[i] = factor * values[i];
  return out;
}

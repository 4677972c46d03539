/**
 * How an array of patterns is laid out. Files have (n, h, w), or (h, w, n) where older tools wrote them, with or without a last
 * axis of length 1; rasters (rows, columns, h, w); several thresholds or energies a frame (n, channels, h, w).
 *
 * @example
 * patternLayout([64, 64, 961], { positions: 961, lastAllowed: true }, { path: 'scan.npz', member: 'diff3d' });
 * // { count: 961, height: 64, width: 64, last: true, … }
 * patternLayout([7, 9, 64, 64], { positions: 63 }, { path: 'cube.npz' }); // { count: 63, rowAxes: 2, raster: [7, 9], … }
 */
import { invalidOption, PtychoError } from '../../core/errors.js';
import { formatShape, type Shape, sizeOf } from '../../core/tensor.js';
import { type NpyOrigin, npyError, placeOf } from '../../formats/npyHeader.js';
import type { ReaderOptions } from '../options.js';
import type { StoredPositions } from '../scanFile.js';
import { lengthUnit } from './units.js';

/** Axes of an array of patterns. */
export interface PatternLayout {
  readonly count: number;
  /** Rows and columns of a pattern. */
  readonly height: number;
  readonly width: number;
  /** The patterns are counted by the last axis, not by the first. */
  readonly last: boolean;
  /** Leading axes that count planes of height × width together. */
  readonly rowAxes: number;
  /** Pattern i is plane `i * stride + offset`. */
  readonly stride: number;
  readonly offset: number;
  /** Rows and columns of the scan, where the array has both. */
  readonly raster?: readonly [number, number];
}

/** What is known besides the shape. */
export interface LayoutHints extends Pick<ReaderOptions, 'scan_shape' | 'channel'> {
  /** Number of scan positions; undefined where there are none, or where x and y are not as many. */
  readonly positions?: number;
  /** Lengths of vectors x and y that differ, or may belong to the two axes of a raster. */
  readonly axes?: { readonly x: number; readonly y: number };
  /** The format has stacks with the patterns last. */
  readonly lastAllowed?: boolean;
}

/** Hints from positions that were read, and from options. */
export function layoutHints(
  { x, y }: Pick<StoredPositions, 'x' | 'y'>,
  { scan_shape, channel }: Pick<ReaderOptions, 'scan_shape' | 'channel'>,
): LayoutHints {
  return {
    positions: x.length === y.length ? x.length : undefined,
    axes: { x: x.length, y: y.length },
    scan_shape,
    channel,
  };
}

/** Numbers of patterns that an array of this shape may hold. */
export function possibleCounts(shape: Shape): number[] {
  const leading = shape.slice(0, Math.max(1, shape.length - 2));
  return [shape[0], shape.at(-1)!, sizeOf(leading)];
}

/**
 * The rule for three axes: the first counts the patterns where it is as long as the positions; else the two equal axes are the
 * pixels; else the axis as long as the positions counts; else one that is not longer; else a last axis longer than both others.
 * For four: what positions, scan_shape or channel say.
 * @throws PtychoError DATASET_SHAPE for a wrong rank, no patterns, or axes that may mean either; CONFIG_INVALID for a channel
 * that does not exist.
 */
export function patternLayout(shape: Shape, hints: LayoutHints, origin: NpyOrigin): PatternLayout {
  const fail = (what: string) =>
    npyError('DATASET_SHAPE', origin, `has shape ${formatShape(shape)}, ${what}.`, { found: shape });
  if (hints.scan_shape !== undefined) checkScanShape(hints.scan_shape);
  const axes = shape.length === 4 && shape[3] === 1 && shape[2] > 1 ? shape.slice(0, 3) : shape;
  if (axes.length < 3 || axes.length > 5) {
    throw fail('but diffraction must have three axes: (patterns, N, N), or four for a raster or several channels');
  }
  if (sizeOf(axes) === 0) throw fail('so it holds no patterns');
  if (axes.length === 3) {
    checkChannel(1, hints.channel, origin);
    const last = hints.lastAllowed === true && patternsComeLast(axes, hints.positions ?? 0);
    const [count, height, width] = last ? [axes[2], axes[0], axes[1]] : axes;
    return { count, height, width, last, rowAxes: 1, stride: 1, offset: 0 };
  }
  return severalAxes(axes, hints, origin, fail);
}

/** The planes of the array that hold patterns; the patterns themselves where they are the same. */
export function planesOf({ stride, offset }: PatternLayout, patterns: ArrayLike<number>): ArrayLike<number> {
  return stride === 1 ? patterns : Int32Array.from(patterns, (pattern) => pattern * stride + offset);
}

function severalAxes(
  axes: Shape,
  hints: LayoutHints,
  origin: NpyOrigin,
  fail: (what: string) => PtychoError,
): PatternLayout {
  const [height, width] = axes.slice(-2);
  const leading = axes.slice(0, -2);
  const base = { height, width, last: false, rowAxes: leading.length };
  const flat = (counting: Shape, stride: number, offset: number): PatternLayout => ({
    ...base,
    count: sizeOf(counting),
    stride,
    offset,
    raster: counting.length === 2 ? [counting[0], counting[1]] : undefined,
  });
  const channels = leading.at(-1)!;
  const before = leading.slice(0, -1);
  if (hints.channel !== undefined) {
    checkChannel(channels, hints.channel, origin);
    return flat(before, channels, hints.channel);
  }
  if (channels === 1) return flat(before, 1, 0);
  if (leading.length === 3) {
    throw fail(
      `so its frames hold ${channels} thresholds or energies each; say which is meant with --channel 0 … ${channels - 1}`,
    );
  }
  const [rows, columns] = leading;
  const cube = flat(leading, 1, 0);
  const { positions, axes: vectors, scan_shape } = hints;
  if (scan_shape !== undefined) {
    const asked = scan_shape[0] * scan_shape[1];
    if (asked === rows && asked !== cube.count) throw fail(whichChannel(rows, columns));
    return cube;
  }
  const crossed =
    vectors !== undefined &&
    ((vectors.x === columns && vectors.y === rows) || (vectors.x === rows && vectors.y === columns));
  if (positions === cube.count || rows === 1 || (crossed && rows !== columns)) return cube;
  if (positions === rows && !crossed) throw fail(whichChannel(rows, columns));
  throw fail(
    `which is either a raster of ${rows} × ${columns} patterns or ${rows} patterns with ${columns} thresholds or energies, ` +
      `and ${positions === undefined || positions === 0 ? 'nothing decides' : `there are ${positions} positions`}; ` +
      `say --scan_shape ${rows},${columns} (with --scan_step where there are no positions), or --channel 0 … ${columns - 1}`,
  );
}

const whichChannel = (rows: number, channels: number): string =>
  `so there are ${rows} patterns with ${channels} thresholds or energies each; say which is meant with --channel 0 … ${channels - 1}`;

function checkChannel(channels: number, channel: number | undefined, origin: NpyOrigin): void {
  if (channel === undefined || channel < channels) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `channel is ${channel}, but the frames of ${placeOf(origin)} have ${channels === 1 ? 'one channel, 0' : `channels 0 to ${channels - 1}`}.`,
    { key: 'channel', path: origin.path, found: channel, expected: channels },
  );
}

function patternsComeLast([s0, s1, s2]: Shape, n: number): boolean {
  if (s0 === n) return false;
  const canonical = s1 === s2;
  const legacy = s0 === s1;
  if (canonical !== legacy) return legacy;
  if (s2 === n) return true;
  if (s0 < n !== s2 < n) return s2 < n;
  return s2 > Math.max(s0, s1);
}

/** A step along rows (y) and columns (x), in object pixels or metres. */
export interface ScanStep {
  readonly y: number;
  readonly x: number;
  readonly unit: 'px' | 'm';
}

/**
 * Reads `5px`, `20nm`, `0.5A`, `1e-9m`, or two with a comma, y and x: `20nm,25nm`; `20,25nm` has one unit for both.
 * @throws PtychoError CONFIG_INVALID
 */
export function parseScanStep(text: string): ScanStep {
  const fail = (why: string) =>
    invalidOption(
      'scan_step',
      `scan_step is "${text.slice(0, 40)}", ${why}; write a length with its unit (px, m, mm, um, nm, A, pm), such as 20nm, or two, y and x: 20nm,25nm.`,
      text,
    );
  const parts = text.split(',').map((part) => /^\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*([^\d\s]*)\s*$/i.exec(part));
  if (parts.length > 2 || parts.includes(null)) throw fail('which is no length');
  const units = parts.map((part) => part![2]);
  const steps = parts.map((part, i) => {
    const value = Number(part![1]);
    const unit = units[i] || units.at(-1)!;
    if (unit === '') throw fail('which has no unit');
    const factor = lengthUnit(unit);
    if (factor === undefined) throw fail(`and "${unit}" is no unit of length`);
    if (!(value !== 0 && Number.isFinite(value))) throw fail('which is no step');
    return factor === 'px' ? { value, unit: 'px' as const } : { value: value * factor, unit: 'm' as const };
  });
  const [y, x = y] = steps;
  if (x.unit !== y.unit) throw fail('of which one is in pixels and the other is a length');
  return { y: y.value, x: x.value, unit: y.unit };
}

/**
 * Positions of a raster whose columns (x) move fastest, from (0, 0) on; as many as rows times columns, whatever the number of
 * frames: frames beyond them (fly-back) must have been taken out before the two are paired.
 * @throws PtychoError CONFIG_INVALID for a shape or step that is none.
 */
export function rasterPositions(shape: readonly [number, number], step: string | ScanStep): StoredPositions {
  const [rows, columns] = shape;
  checkScanShape(shape);
  const { x, y, unit } = typeof step === 'string' ? parseScanStep(step) : step;
  const count = rows * columns;
  return {
    x: Float64Array.from({ length: count }, (_, i) => (i % columns) * x),
    y: Float64Array.from({ length: count }, (_, i) => Math.floor(i / columns) * y),
    unit,
    origin: { path: `the raster of ${rows} × ${columns} (scan_shape)` },
  };
}

/** A million rows of a thousand columns and the like are no scans. */
const MOST_POSITIONS = 1e8;

/** @throws PtychoError CONFIG_INVALID */
export function checkScanShape([rows, columns]: readonly [number, number]): void {
  const whole = Number.isInteger(rows) && Number.isInteger(columns) && rows > 0 && columns > 0;
  if (whole && rows * columns <= MOST_POSITIONS) return;
  throw invalidOption(
    'scan_shape',
    `scan_shape must be two positive whole numbers, rows and columns of the raster such as 40,60, got ${rows},${columns}.`,
    [rows, columns],
  );
}

/**
 * Positions where a file has one vector for each axis of the raster: one x for each column, one y for each row, or the other
 * way round where only that fits. Others are handed back as they are.
 */
export function crossedAxes(
  positions: StoredPositions,
  raster: readonly [number, number] | undefined,
): StoredPositions {
  const { x, y } = positions;
  if (raster === undefined) return positions;
  const [rows, columns] = raster;
  const count = rows * columns;
  if (x.length === count && y.length === count) return positions;
  const fast = (values: Float64Array) => Float64Array.from({ length: count }, (_, i) => values[i % columns]);
  const slow = (values: Float64Array) =>
    Float64Array.from({ length: count }, (_, i) => values[Math.floor(i / columns)]);
  if (x.length === columns && y.length === rows) return { ...positions, x: fast(x), y: slow(y) };
  // Rasters whose first axis is x, as NXcxi_ptycho has them.
  if (x.length === rows && y.length === columns) return { ...positions, x: slow(x), y: fast(y) };
  return positions;
}

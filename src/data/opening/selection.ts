/**
 * Which patterns of a scan are used: first those inside the bounds, then a random draw among them, as NumPy's legacy generator
 * makes it; always in the file's order.
 *
 * @example
 * selectRows({ x, y }, { x_bounds: [0.1, 0.9], n_subsample: 512, subsample_seed: 7 }, 'scan.npz', silentLogger);
 */
import { PtychoError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import { LegacyRng } from '../../core/rng.js';
import type { Coordinates } from './orientation.js';

/** The options that select patterns. */
export interface SelectionOptions {
  readonly x_bounds?: readonly [number, number] | null;
  readonly y_bounds?: readonly [number, number] | null;
  readonly n_subsample?: number | null;
  readonly subsample_seed?: number | null;
}

/**
 * The patterns to use, ascending. Bounds are fractions of the coordinates' range as the file has it, ends included.
 * @throws PtychoError CONFIG_INVALID for bounds, counts or seeds that mean nothing, or bounds that leave nothing.
 */
export function selectRows(
  { x, y }: Coordinates,
  options: SelectionOptions,
  source: string,
  logger: Logger = silentLogger,
): Int32Array {
  const inX = boundsTest(x, options.x_bounds, 'x_bounds');
  const inY = boundsTest(y, options.y_bounds, 'y_bounds');
  const inside = Int32Array.from(x.keys()).filter((i) => inX(x[i]) && inY(y[i]));
  if (inside.length === 0) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `x_bounds and y_bounds leave none of the ${x.length} scan positions of ${source}; widen them.`,
      { key: options.x_bounds ? 'x_bounds' : 'y_bounds', path: source },
    );
  }
  if (inside.length < x.length) logger.info(`${inside.length} of ${x.length} scan positions lie inside the bounds.`);
  return drawRows(inside, options, logger);
}

function boundsTest(
  values: Float64Array,
  bounds: readonly [number, number] | null | undefined,
  key: string,
): (value: number) => boolean {
  if (!bounds) return () => true;
  const [from, to] = bounds;
  if (!(from >= 0 && to <= 1 && from < to)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `${key} must be two rising fractions from 0 to 1, such as 0.1,0.9, got ${from},${to}.`,
      { key, found: bounds },
    );
  }
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  // The ends of the range are inside whatever rounding does to them.
  const low = from === 0 ? min : min + (max - min) * from;
  const high = to === 1 ? max : min + (max - min) * to;
  return (value) => value >= low && value <= high;
}

function drawRows(rows: Int32Array, { n_subsample, subsample_seed }: SelectionOptions, logger: Logger): Int32Array {
  if (n_subsample === undefined || n_subsample === null) return rows;
  if (!(Number.isInteger(n_subsample) && n_subsample >= 1)) {
    throw new PtychoError('CONFIG_INVALID', `n_subsample must be a positive integer, got ${n_subsample}.`, {
      key: 'n_subsample',
      found: n_subsample,
    });
  }
  if (n_subsample >= rows.length) {
    if (n_subsample > rows.length) {
      logger.info(`n_subsample is ${n_subsample}, there are ${rows.length} patterns: all are used.`);
    }
    return rows;
  }
  const chosen = new LegacyRng(subsample_seed ?? 0).choice(rows.length, n_subsample, false).sort();
  return Int32Array.from(chosen, (i) => rows[i]);
}

/**
 * Which frames of a file and which patterns of a scan are used. Frames by number come first (`frames`, `skip_frames`): numbers count
 * from 0 as in the file; slices are those of Python (`FROM:TO:STEP`, TO excluded, negative numbers from the end), lists have commas,
 * and a text file may hold either. Then patterns inside the bounds, and a random draw among them, as NumPy's legacy generator makes
 * it; always in the file's order.
 *
 * @example
 * await chooseFrames(500, { frames: '0:500:2', skip_frames: '17,40:44' }); // Int32Array [0, 2, …, 498] without 40, 42
 * selectRows({ x, y }, { x_bounds: [0.1, 0.9], n_subsample: 512, subsample_seed: 7 }, 'scan.npz', silentLogger);
 */

import { stat } from 'node:fs/promises';
import { invalidOption, PtychoError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import { extentOf } from '../../core/numbers.js';
import { LegacyRng } from '../../core/rng.js';
import { readTextFile } from '../../formats/textTable.js';
import type { OpenDatasetOptions } from '../options.js';
import type { Coordinates } from './orientation.js';

/** The word of `skip_frames` that leaves out frames that cannot be decoded. */
const UNREADABLE = 'unreadable';
const SLICE = /^(-?\d*):(-?\d*)(?::(-?\d*))?$/;

/** True when frames that cannot be read are to be left out. */
export function skipsUnreadable({ skip_frames }: OpenDatasetOptions): boolean {
  return skip_frames ? words(skip_frames).includes(UNREADABLE) : false;
}

/**
 * The frames that the options leave of `count`, ascending; undefined when they leave all.
 * @throws PtychoError CONFIG_INVALID for what is neither a number, a slice nor a file, for a number that no frame has, and
 * when nothing is left; those of reading the file of numbers.
 */
export async function chooseFrames(count: number, options: OpenDatasetOptions): Promise<Int32Array | undefined> {
  const { frames, skip_frames } = options;
  if (!frames && !skip_frames) return undefined;
  const used = new Uint8Array(count);
  if (frames) for (const frame of await numbersOf(frames, 'frames', count)) used[frame] = 1;
  else used.fill(1);
  if (skip_frames) for (const frame of await numbersOf(skip_frames, 'skip_frames', count)) used[frame] = 0;
  const chosen = Int32Array.from(used.keys()).filter((frame) => used[frame] === 1);
  if (chosen.length === count) return undefined;
  if (chosen.length > 0) return chosen;
  throw invalidOption(
    frames ? 'frames' : 'skip_frames',
    `frames and skip_frames leave none of the ${count} frames; widen them.`,
    frames ?? skip_frames,
  );
}

const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '');

async function numbersOf(text: string, key: 'frames' | 'skip_frames', count: number): Promise<number[]> {
  const isNumbers = words(text).every((word) => isFrameWord(word, key));
  if (isNumbers) return words(text).flatMap((word) => expand(word, key, count));
  const found = await stat(text).catch(() => undefined);
  if (found === undefined) {
    throw invalidOption(
      key,
      `${key} is ${JSON.stringify(text)}, which is neither frames (FROM:TO:STEP, numbers with commas) nor a file of such.`,
      text,
    );
  }
  const content = await readTextFile(text);
  // Everything behind # is a comment.
  const listed = words(content.replace(/#.*$/gm, ''));
  const odd = listed.find((word) => !isFrameWord(word, key));
  if (odd !== undefined) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `${text}, given as ${key}, holds ${JSON.stringify(odd.slice(0, 40))}; expected are frame numbers and FROM:TO:STEP, with spaces, commas or line ends between them.`,
      { key, path: text, found: odd.slice(0, 40) },
    );
  }
  return listed.flatMap((word) => expand(word, key, count));
}

function isFrameWord(word: string, key: string): boolean {
  return /^-?\d+$/.test(word) || (SLICE.test(word) && word !== ':') || (key === 'skip_frames' && word === UNREADABLE);
}

function expand(word: string, key: string, count: number): number[] {
  if (word === UNREADABLE) return [];
  const slice = SLICE.exec(word);
  if (slice === null) {
    const written = Number(word);
    const frame = written < 0 ? count + written : written;
    if (frame >= 0 && frame < count) return [frame];
    throw invalidOption(
      key,
      `${key} names frame ${written}, but the file has ${count} frames, 0 … ${count - 1}.`,
      written,
      { expected: count },
    );
  }
  const [from, to, step] = slice.slice(1).map((part) => (part ? Number(part) : undefined));
  if (step !== undefined && step < 1) {
    throw invalidOption(key, `${key} has the step ${step} in ${word}; steps must be 1 or more.`, word);
  }
  const place = (value: number | undefined, otherwise: number) =>
    value === undefined ? otherwise : Math.min(count, Math.max(0, value < 0 ? count + value : value));
  const frames: number[] = [];
  for (let frame = place(from, 0); frame < place(to, count); frame += step ?? 1) frames.push(frame);
  return frames;
}

/**
 * The patterns to use, ascending. Bounds are fractions of the coordinates' range as the file has it, ends included.
 * @throws PtychoError CONFIG_INVALID for bounds, counts or seeds that mean nothing, or bounds that leave nothing.
 */
export function selectRows(
  { x, y }: Coordinates,
  options: OpenDatasetOptions,
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
    throw invalidOption(
      key,
      `${key} must be two rising fractions from 0 to 1, such as 0.1,0.9, got ${from},${to}.`,
      bounds,
    );
  }
  const [min, max] = extentOf(values);
  // The ends of the range are inside whatever rounding does to them.
  const low = from === 0 ? min : min + (max - min) * from;
  const high = to === 1 ? max : min + (max - min) * to;
  return (value) => value >= low && value <= high;
}

function drawRows(rows: Int32Array, { n_subsample, subsample_seed }: OpenDatasetOptions, logger: Logger): Int32Array {
  if (n_subsample === undefined || n_subsample === null) return rows;
  if (!(Number.isInteger(n_subsample) && n_subsample >= 1)) {
    throw invalidOption('n_subsample', `n_subsample must be a positive integer, got ${n_subsample}.`, n_subsample);
  }
  if (n_subsample >= rows.length) {
    if (n_subsample > rows.length) {
      logger.info(`n_subsample is ${n_subsample}, there are ${rows.length} patterns: all are used.`);
    }
    return rows;
  }
  if (n_subsample === 1) {
    logger.warn(
      `n_subsample is 1, so that one of ${rows.length} patterns is used: it is the number of patterns and no factor; leave it out to use all.`,
    );
  }
  const chosen = new LegacyRng(subsample_seed ?? 0).choice(rows.length, n_subsample, false).sort();
  return Int32Array.from(chosen, (i) => rows[i]);
}

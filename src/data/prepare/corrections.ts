/**
 * Dark frame, flat field and gain: detector readings become photon counts, (reading − dark)/flat/gain, while frames are read.
 *
 * @example
 * const correction = await readCorrection(file.patterns, { dark: 'dark.tif', gain: 2.4 });
 * const frames = prepareFrames(file.patterns, { correction }, () => {});
 */

import { invalidOption, PtychoError } from '../../core/errors.js';
import { notFiniteAt } from '../../core/numbers.js';
import { formatShape } from '../../core/tensor.js';
import { expectReal } from '../../formats/npy.js';
import { npyError } from '../../formats/npyHeader.js';
import { readArrayFile } from '../opening/arrayFile.js';
import type { OpenDatasetOptions } from '../options.js';
import type { StoredPatterns } from '../scanFile.js';

/** What is subtracted from each frame and what it is multiplied by, (height, width) each. */
export interface Correction {
  readonly dark: Float32Array | undefined;
  /** 1/(flat · gain); 0 where the flat field has no light. */
  readonly factor: Float32Array;
  /** (height, width): 1 where the flat field says nothing, so that the pixel cannot be used. */
  readonly unusable: Uint8Array | undefined;
}

const KEYS = {
  dark: ['dark', 'dark_frame', 'background', 'data', 'entry/data/data', 'exchange/data_dark'],
  flat: ['flat', 'flat_field', 'flatfield', 'gain', 'data', 'entry/data/data', 'exchange/data_white'],
} as const;

/**
 * Reads what the options name; undefined where they ask for nothing.
 * @throws PtychoError DATASET_SHAPE for another shape than the frames', DATASET_VALUE for NaN or a flat field without light,
 * CONFIG_INVALID for a gain that is no positive number, and those of reading.
 */
export async function readCorrection(
  frames: StoredPatterns,
  { dark, flat, gain }: OpenDatasetOptions,
): Promise<Correction | undefined> {
  const scale = gain ?? 1;
  if (!(scale > 0 && Number.isFinite(scale))) {
    throw invalidOption('gain', `gain must be a positive number, got ${gain}.`, gain);
  }
  if (!dark && !flat && scale === 1) return undefined;
  const factor = new Float32Array(frames.height * frames.width).fill(1 / scale);
  let unusable: Uint8Array | undefined;
  if (flat) {
    const field = await meanFrame(flat, 'flat', frames);
    const lit = field.filter((v) => v > 0);
    const mean = lit.reduce((sum, v) => sum + v, 0) / lit.length;
    if (!(mean > 0)) {
      throw new PtychoError('DATASET_VALUE', `The flat field ${flat} holds no light; give another with --flat.`, {
        key: 'flat',
        path: flat,
      });
    }
    for (let p = 0; p < factor.length; p++) {
      if (field[p] > 0) {
        factor[p] *= mean / field[p];
        continue;
      }
      factor[p] = 0;
      unusable ??= new Uint8Array(factor.length);
      unusable[p] = 1;
    }
  }
  return { dark: dark ? await meanFrame(dark, 'dark', frames) : undefined, factor, unusable };
}

/** One frame, or the mean of several; a dark level may be one number. */
async function meanFrame(spec: string, key: 'dark' | 'flat', { height, width }: StoredPatterns): Promise<Float32Array> {
  if (key === 'dark' && /^[+-]?\d+(\.\d*)?(e[+-]?\d+)?$/i.test(spec)) {
    return new Float32Array(height * width).fill(Number(spec));
  }
  const { array, origin } = await readArrayFile(spec, KEYS[key], `the ${key} frame`);
  const { data, shape } = expectReal(array, origin);
  const size = height * width;
  if (shape.at(-2) !== height || shape.at(-1) !== width || data.length < size) {
    throw npyError(
      'DATASET_SHAPE',
      origin,
      `has shape ${formatShape(shape)}, but a ${key} frame must have the ${height}×${width} pixels of the patterns (several are averaged).`,
      { found: shape, expected: [height, width] },
    );
  }
  const count = data.length / size;
  const mean = new Float64Array(size);
  for (let i = 0; i < data.length; i++) mean[i % size] += data[i];
  const bad = notFiniteAt(mean);
  if (bad >= 0) {
    throw npyError(
      'DATASET_VALUE',
      origin,
      `has the value ${mean[bad]} in row ${Math.floor(bad / width)}, column ${bad % width}, but a ${key} frame must be finite.`,
      { found: mean[bad] },
    );
  }
  return Float32Array.from(mean, (v) => v / count);
}

/** Makes values that were read counts, (n, height, width); noise around zero stays as it is. */
export function correctInPlace(values: Float32Array, { dark, factor }: Correction): void {
  const size = factor.length;
  for (let from = 0; from < values.length; from += size) {
    for (let p = 0; p < size; p++) values[from + p] = (values[from + p] - (dark ? dark[p] : 0)) * factor[p];
  }
}

/** Both ends are data. */
export interface ValidRange {
  readonly low: number;
  readonly high: number;
}

/** @throws PtychoError CONFIG_INVALID for anything but two rising numbers with a colon, either of which may be left out. */
export function parseValidRange(text: string): ValidRange {
  const parts = text.split(':').map((part) => part.trim());
  const end = (part: string, missing: number) => (part === '' ? missing : Number(part));
  const low = end(parts[0], Number.NEGATIVE_INFINITY);
  const high = end(parts[1] ?? 'NaN', Number.POSITIVE_INFINITY);
  if (parts.length === 2 && low < high && (parts[0] !== '' || parts[1] !== '')) return { low, high };
  throw invalidOption(
    'valid_range',
    `valid_range must be two rising numbers with a colon, LO:HI, of which one may be left out, such as 0: or 0:65534; got "${text}".`,
    text,
  );
}

/** Moves what lies outside into the range (NaN to 0, or what is nearest to it), and counts it. */
export function clipInto(values: Float32Array, { low, high }: ValidRange): number {
  const none = Math.min(Math.max(0, low), high);
  let clipped = 0;
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    if (v >= low && v <= high) continue;
    values[i] = v < low ? (Number.isFinite(low) ? low : none) : v > high ? high : none;
    clipped++;
  }
  return clipped;
}

/** Pixels outside in some frames are masked while they are no more than this part of all; else only those that are so in half of the frames. */
const MOST_MASKED = 0.05;

/**
 * Pixels to leave out because of values outside: those that are outside in any frame looked at or, where these would be many (noise
 * around the lower end), in at least half of them. (size,), 1 = out.
 * @param values (n, size) as stored
 */
export function outsideRange(values: Float32Array, size: number, { low, high }: ValidRange): Uint8Array {
  const n = Math.floor(values.length / size);
  const times = new Uint16Array(size);
  for (let q = 0, p = 0; q < n * size; q++, p = p + 1 === size ? 0 : p + 1) {
    if (!(values[q] >= low && values[q] <= high)) times[p]++;
  }
  const sometimes = times.reduce((sum, t) => sum + (t > 0 ? 1 : 0), 0);
  const least = sometimes <= MOST_MASKED * size ? 1 : Math.max(1, n / 2);
  return Uint8Array.from(times, (t) => (t >= least ? 1 : 0));
}

/**
 * The frames as they are used, prepared while they are read: what lies outside of the valid range is moved into it, then readings
 * become counts.
 * @param masked (height·width), 1 where it does not matter what is outside
 * @param onOutside hears of the first frame with such values in other pixels: its row in the file, and how many
 */
export function prepareFrames(
  frames: StoredPatterns,
  { correction, validRange, masked }: { correction?: Correction; validRange?: ValidRange; masked?: Uint8Array },
  onOutside: (row: number, values: number) => void,
): StoredPatterns {
  if (!correction && !validRange) return frames;
  const size = frames.height * frames.width;
  let told = false;
  const clip = (frame: Float32Array, row: number, range: ValidRange) => {
    let outside = 0;
    for (let p = 0; p < size && !told; p++)
      if (!masked?.[p] && !(frame[p] >= range.low && frame[p] <= range.high)) outside++;
    if (outside > 0) {
      told = true;
      onOutside(row, outside);
    }
    clipInto(frame, range);
  };
  return {
    ...frames,
    dtype: correction ? 'float32' : frames.dtype,
    async readRowsInto(rows, out) {
      await frames.readRowsInto(rows, out);
      for (let i = 0; i < rows.length; i++) {
        const frame = out.subarray(i * size, (i + 1) * size);
        if (validRange) clip(frame, rows[i], validRange);
        if (correction) correctInPlace(frame, correction);
      }
    },
  };
}

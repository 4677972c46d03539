/**
 * Stored values that are data: `valid_range LO:HI`.
 *
 * @example
 * parseValidRange('0:65534'); // { low: 0, high: 65534 }
 * parseValidRange('0:'); // { low: 0, high: Infinity }
 */
import { PtychoError } from '../../core/errors.js';
import type { StoredPatterns } from '../scanFile.js';

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
  throw new PtychoError(
    'CONFIG_INVALID',
    `valid_range must be two rising numbers with a colon, LO:HI, of which one may be left out, such as 0: or 0:65534; got "${text}".`,
    { key: 'valid_range', found: text },
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
 * Frames whose values all lie in the range: what does not is moved into it while they are read.
 * @param masked (height·width), 1 where it does not matter
 * @param onOutside hears of the first frame with such values in other pixels: its row in the file, and how many
 */
export function framesInRange(
  frames: StoredPatterns,
  range: ValidRange,
  masked: Uint8Array,
  onOutside: (row: number, values: number) => void,
): StoredPatterns {
  const size = frames.height * frames.width;
  let told = false;
  return {
    ...frames,
    async readRowsInto(rows, out) {
      await frames.readRowsInto(rows, out);
      for (let i = 0; i < rows.length; i++) {
        const frame = out.subarray(i * size, (i + 1) * size);
        if (!told) {
          let outside = 0;
          for (let p = 0; p < size; p++)
            if (!masked[p] && !(frame[p] >= range.low && frame[p] <= range.high)) outside++;
          if (outside > 0) {
            told = true;
            onOutside(rows[i], outside);
          }
        }
        clipInto(frame, range);
      }
    },
  };
}

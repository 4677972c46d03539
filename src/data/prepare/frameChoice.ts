/**
 * Frames by number: what `frames` and `skip_frames` mean. Numbers count from 0 as in the file; slices are those of Python
 * (`FROM:TO:STEP`, TO excluded, negative numbers from the end), lists have commas, and a text file may hold either.
 *
 * @example
 * await chooseFrames(500, { frames: '0:500:2', skip_frames: '17,40:44' }); // Int32Array [0, 2, …, 498] without 40, 42
 */
import { stat } from 'node:fs/promises';
import { PtychoError } from '../../core/errors.js';
import { readTextFile } from '../../formats/textTable.js';

/** The options that choose frames. */
export interface FrameOptions {
  readonly frames?: string | null;
  readonly skip_frames?: string | null;
}

/** The word of `skip_frames` that leaves out frames that cannot be decoded. */
const UNREADABLE = 'unreadable';
const SLICE = /^(-?\d*):(-?\d*)(?::(-?\d*))?$/;

/** True when frames that cannot be read are to be left out. */
export function skipsUnreadable({ skip_frames }: FrameOptions): boolean {
  return skip_frames ? words(skip_frames).includes(UNREADABLE) : false;
}

/**
 * The frames that the options leave of `count`, ascending; undefined when they leave all.
 * @throws PtychoError CONFIG_INVALID for what is neither a number, a slice nor a file, for a number that no frame has, and
 * when nothing is left; those of reading the file of numbers.
 */
export async function chooseFrames(count: number, options: FrameOptions): Promise<Int32Array | undefined> {
  const { frames, skip_frames } = options;
  if (!frames && !skip_frames) return undefined;
  const used = new Uint8Array(count);
  if (frames) for (const frame of await numbersOf(frames, 'frames', count)) used[frame] = 1;
  else used.fill(1);
  if (skip_frames) for (const frame of await numbersOf(skip_frames, 'skip_frames', count)) used[frame] = 0;
  const chosen = Int32Array.from(used.keys()).filter((frame) => used[frame] === 1);
  if (chosen.length === count) return undefined;
  if (chosen.length > 0) return chosen;
  throw new PtychoError('CONFIG_INVALID', `frames and skip_frames leave none of the ${count} frames; widen them.`, {
    key: frames ? 'frames' : 'skip_frames',
    found: frames ?? skip_frames,
  });
}

const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '');

async function numbersOf(text: string, key: 'frames' | 'skip_frames', count: number): Promise<number[]> {
  const isNumbers = words(text).every((word) => isFrameWord(word, key));
  if (isNumbers) return words(text).flatMap((word) => expand(word, key, count));
  const found = await stat(text).catch(() => undefined);
  if (found === undefined) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `${key} is ${JSON.stringify(text)}, which is neither frames (FROM:TO:STEP, numbers with commas) nor a file of such.`,
      { key, found: text },
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
    throw new PtychoError(
      'CONFIG_INVALID',
      `${key} names frame ${written}, but the file has ${count} frames, 0 … ${count - 1}.`,
      { key, found: written, expected: count },
    );
  }
  const [from, to, step] = slice.slice(1).map((part) => (part ? Number(part) : undefined));
  if (step !== undefined && step < 1) {
    throw new PtychoError('CONFIG_INVALID', `${key} has the step ${step} in ${word}; steps must be 1 or more.`, {
      key,
      found: word,
    });
  }
  const place = (value: number | undefined, otherwise: number) =>
    value === undefined ? otherwise : Math.min(count, Math.max(0, value < 0 ? count + value : value));
  const frames: number[] = [];
  for (let frame = place(from, 0); frame < place(to, count); frame += step ?? 1) frames.push(frame);
  return frames;
}

/**
 * Scans whose frames are in several datasets, `data_000001`, `data_000002` …, usually in files of their own: which are there, in
 * which order, and which numbers their frames have when some are missing.
 *
 * @example
 * const pieces = piecesIn(file, '/entry/data'); // in the order of their numbers
 */
import { isPtychoError, PtychoError } from '../../core/errors.js';
import type { Hdf5File } from '../../formats/hdf5/file.js';

/** A dataset that is one of several. */
export interface Piece {
  readonly path: string;
  readonly number: number;
}

/** What detectors of Dectris write beside each piece: the numbers of its first and last frame, counted from 1. */
const FIRST_FRAME = 'image_nr_low';
/** Why a piece may be missing where a measurement was stopped: no file, an empty one, half a file. */
const LOST = ['FILE_NOT_FOUND', 'FILE_TRUNCATED'] as const;
/** Names to list in a message. */
const MOST_LISTED = 6;

/**
 * The pieces in a group: datasets, and links to some, of one name and a number; the largest such family.
 */
export function piecesIn(file: Hdf5File, group: string, name = /^(.*?)(\d+)$/): Piece[] {
  if (file.kindOf(group) !== 'group') return [];
  const families = new Map<string, Piece[]>();
  for (const key of file.keys(group)) {
    const [, stem, digits] = name.exec(key) ?? [];
    if (digits === undefined) continue;
    const family = families.get(stem) ?? [];
    family.push({ path: `${group.replace(/\/$/, '')}/${key}`, number: Number(digits) });
    families.set(stem, family);
  }
  const [largest = []] = [...families.values()].sort((a, b) => b.length - a.length);
  return largest.sort((a, b) => a.number - b.number);
}

/** Pieces that exist, and what is known of the others. */
export interface FoundPieces {
  readonly pieces: readonly Piece[];
  /** The number of each frame, where some are missing; ascending. */
  readonly frameNumbers?: Int32Array;
}

/**
 * Leaves out the pieces that are missing, and numbers the frames of the others: by what the detector wrote beside them, or by the
 * size of a piece, which all have but the last.
 * @throws PtychoError of the first piece when none is there; FILE_NOT_FOUND when frames after a missing piece cannot be numbered.
 */
export function existingPieces(file: Hdf5File, all: readonly Piece[], notes: string[]): FoundPieces {
  const found: (Piece & { readonly count: number; readonly first?: number })[] = [];
  const lost: { readonly number: number; readonly name: string }[] = [];
  let firstError: unknown;
  let expected = all[0].number;
  for (const piece of all) {
    for (; expected < piece.number; expected++) lost.push({ number: expected, name: nameLike(piece, expected) });
    expected++;
    try {
      const { shape } = file.header(piece.path);
      const first = Number(file.attributes(piece.path)[FIRST_FRAME]);
      const count = shape.length === 2 ? 1 : (shape[0] ?? 1);
      found.push({ ...piece, count, first: first >= 0 ? first : undefined });
    } catch (error) {
      if (!LOST.some((code) => isPtychoError(error, code))) throw error;
      firstError ??= error;
      const { path } = (error as PtychoError).fields;
      lost.push({ number: piece.number, name: typeof path === 'string' && path !== file.path ? path : piece.path });
    }
  }
  if (found.length === 0) throw firstError;
  const numbered = found.every(({ first }) => first !== undefined);
  const starts = numbered ? found.map(({ first }) => first!) : startsBySize(found, all, lost);
  const frames = found.reduce((sum, { count }) => sum + count, 0);
  const listed = lost.map(({ name }) => name).slice(0, MOST_LISTED);
  const missing = `${listed.join(', ')}${lost.length > MOST_LISTED ? ` and ${lost.length - MOST_LISTED} more` : ''}`;
  if (starts === undefined) {
    throw new PtychoError(
      'FILE_NOT_FOUND',
      `${file.path} has lost ${missing}, and as its other pieces do not say how many frames those held, no frame after them can be paired with its position; copy the missing files to the same folder, or name one piece with diffraction_path.`,
      { path: lost[0]?.name ?? file.path, key: all[0].path, missing: lost.map(({ name }) => name) },
    );
  }
  let next = starts[0];
  const whole = starts.every((start, i) => {
    const follows = start === next;
    next = start + found[i].count;
    return follows;
  });
  // Dectris counts from 1.
  if (lost.length === 0 && whole && starts[0] <= 1) return { pieces: found };
  if (starts.some((start, i) => i > 0 && start < starts[i - 1] + found[i - 1].count)) {
    throw new PtychoError(
      'DATASET_VALUE',
      `${file.path} has pieces whose frames overlap: ${FIRST_FRAME} of ${found.map(({ path }) => path).join(', ')} is ${starts.join(', ')}; name the right one with diffraction_path.`,
      { path: file.path, key: found[0].path, found: starts },
    );
  }
  notes.push(
    lost.length > 0
      ? `${file.path} has lost ${missing}: the ${frames} frames that are there are used, each with the position of its number.`
      : `${file.path} has ${frames} frames that do not follow each other (${FIRST_FRAME} of its pieces is ${starts.slice(0, MOST_LISTED).join(', ')}): each is used with the position of its number.`,
  );
  const numbers = found.flatMap(({ count }, i) => Array.from({ length: count }, (_, k) => starts[i] + k));
  return { pieces: found, frameNumbers: Int32Array.from(numbers) };
}

/** The number of the first frame of each piece, from 0, when all pieces but the last are equally long; undefined otherwise. */
function startsBySize(
  found: readonly (Piece & { readonly count: number })[],
  all: readonly Piece[],
  lost: readonly { readonly number: number }[],
): number[] | undefined {
  const firstLost = Math.min(...lost.map(({ number }) => number));
  const last = all[all.length - 1].number;
  const whole = found.filter(({ number }) => number < last);
  const size = whole[0]?.count;
  const regular = whole.every(({ count }) => count === size) && found.every(({ count }) => count <= (size ?? count));
  let sum = 0;
  const starts: number[] = [];
  for (const { number, count } of found) {
    if (number < firstLost) {
      starts.push(sum);
      sum += count;
    } else {
      // A piece of one frame each is numbered by its name.
      if (size === undefined || !regular) return undefined;
      starts.push((number - all[0].number) * size);
    }
  }
  return starts;
}

/** The name of a piece that is not there. */
function nameLike({ path }: Piece, number: number): string {
  const [, stem, digits] = /^(.*?)(\d+)$/.exec(path)!;
  return stem + String(number).padStart(digits.length, '0');
}

/**
 * A scan cut into parts by position, for several processes: each part is a compact region, so that its piece of the image is small,
 * and parts have equally many members. The cut depends on the positions only, so that every process makes the same one.
 *
 * @example
 * const parts = cutByPosition(Float64Array.of(0, 1, 2, 3), Float64Array.of(0, 0, 0, 0), 2); // [0, 1] and [2, 3]
 */
import { PtychoError } from '../../core/errors.js';
import { integers, spanOf, valuesAt } from '../../core/numbers.js';
import { counted } from '../../core/words.js';

/**
 * Cuts across the longer side, again and again, in proportion to the parts that are wanted on either side.
 * @param xs,ys (n,) positions, of groups their centres
 * @returns indices of the members of each part, ascending; some are empty where there are more parts than positions
 */
export function cutByPosition(xs: ArrayLike<number>, ys: ArrayLike<number>, parts: number): Int32Array[] {
  const cut = (members: Int32Array, wanted: number): Int32Array[] => {
    if (wanted === 1) return [members.sort()];
    const axis = spanOf(valuesAt(ys, members)) > spanOf(valuesAt(xs, members)) ? ys : xs;
    // Positions in a line across the cut are told apart by their numbers.
    const sorted = Int32Array.from(members).sort((a, b) => axis[a] - axis[b] || a - b);
    const first = Math.floor(wanted / 2);
    const at = Math.round((sorted.length * first) / wanted);
    return [...cut(sorted.slice(0, at), first), ...cut(sorted.slice(at), wanted - first)];
  };
  return cut(integers(xs.length), parts);
}

/** A part of several, both counted from 1. */
export interface PartOfMany {
  readonly index: number;
  readonly of: number;
}

/** More parts than this are a mistake. */
const MOST_PARTS = 4096;

/**
 * Reads `2/5`.
 * @param name of the field, for the error
 * @throws PtychoError CONFIG_INVALID
 */
export function parsePart(text: string, name: string): PartOfMany {
  const [, index, of] = (/^(\d{1,5})\/(\d{1,5})$/.exec(text) ?? []).map(Number);
  if (index >= 1 && index <= of && of <= MOST_PARTS) return { index, of };
  throw new PtychoError(
    'CONFIG_INVALID',
    `${name} must be a part of several, such as 1/4, with at most ${MOST_PARTS} parts; got ${JSON.stringify(text)}.`,
    { key: name, found: text },
  );
}

/**
 * Checks that all parts are there.
 * @param what a part is called, for the error
 * @param found parts by their numbers, from 1
 * @throws PtychoError FILE_NOT_FOUND
 */
export function requireAllParts(what: string, of: number, found: ReadonlyMap<number, unknown>): void {
  const missing = Array.from({ length: of }, (_, i) => i + 1).filter((index) => !found.has(index));
  if (missing.length === 0) return;
  throw new PtychoError(
    'FILE_NOT_FOUND',
    `${counted(missing.length, what)} of ${of} ${missing.length === 1 ? 'is' : 'are'} missing (${missing.slice(0, 5).join(', ')}); an image needs all of them.`,
    { found: found.size, expected: of },
  );
}

/** Scan positions of a file: checked, one for each pattern, and turned into object pixels. */
import { PtychoError } from '../../core/errors.js';
import { type NpyOrigin, nameOf } from '../../formats/npyHeader.js';
import type { ScanFile, StoredPositions } from '../scanFile.js';
import type { Coordinates } from './orientation.js';

/** Positions that belong to the patterns of a file, in the file's unit. */
export interface AlignedPositions {
  readonly positions: Coordinates;
  readonly start?: Coordinates;
  /** Zeros where the file has none. */
  readonly scanIndex: Int32Array;
}

/**
 * Checks that positions are finite.
 * @throws PtychoError DATASET_VALUE naming the first that is NaN or infinite.
 */
export function checkFinite(values: Float64Array, origin: NpyOrigin, axis = ''): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new PtychoError(
    'DATASET_VALUE',
    `${nameOf(origin)} has the ${axis ? `${axis} ` : ''}value ${values[at]} at index ${at}, but scan positions must be finite; remove that pattern or correct it.`,
    { path: origin.path, key: origin.member, found: values[at], index: at },
  );
}

/**
 * Positions, start positions and scan numbers of the patterns. More of them than patterns are cut at the end, with a note.
 * @throws PtychoError DATASET_SHAPE when there are fewer, or x and y differ in length; DATASET_VALUE for NaN.
 */
export function alignPositions(
  file: Pick<ScanFile, 'path' | 'patterns' | 'positions' | 'startPositions' | 'scanIndex'>,
  note: (sentence: string) => void,
): AlignedPositions {
  const { patterns, positions, startPositions, scanIndex } = file;
  const { count } = patterns;
  const found = checkedPositions(positions, 'scan positions', count, patterns.origin);
  if (found > count) {
    note(
      `${nameOf(positions.origin)} has ${found} scan positions for ${count} patterns; the last ${found - count} are left out.`,
    );
  }
  const cut = (values: Float64Array) => (values.length > count ? values.slice(0, count) : values);
  let start: Coordinates | undefined;
  if (startPositions !== undefined) {
    const starts = checkedPositions(startPositions, 'start positions', count, patterns.origin);
    if (starts !== found) throw lengthError(startPositions.origin, 'start positions', starts, found, 'scan positions');
    start = { x: cut(startPositions.x), y: cut(startPositions.y) };
  }
  if (scanIndex !== undefined && scanIndex.length !== found && scanIndex.length !== count) {
    throw lengthError({ path: file.path, member: 'scan_index' }, 'scan numbers', scanIndex.length, found, 'positions');
  }
  return {
    positions: { x: cut(positions.x), y: cut(positions.y) },
    start,
    scanIndex: scanIndex?.subarray(0, count) ?? new Int32Array(count),
  };
}

/** Their number. */
function checkedPositions({ x, y, origin }: StoredPositions, what: string, patterns: number, of: NpyOrigin): number {
  if (x.length !== y.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${nameOf(origin)} has ${x.length} x and ${y.length} y coordinates of ${what}; there must be one of each for every pattern.`,
      { path: origin.path, key: origin.member, found: [x.length, y.length] },
    );
  }
  if (x.length < patterns) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${nameOf(of)} has ${patterns} patterns, but there are ${x.length} ${what} in ${nameOf(origin)}; there must be one for each pattern.`.replace(
        /,;/,
        ';',
      ),
      { path: origin.path, key: origin.member, found: x.length, expected: patterns },
    );
  }
  checkFinite(x, origin, 'x');
  checkFinite(y, origin, 'y');
  return x.length;
}

function lengthError(origin: NpyOrigin, what: string, found: number, expected: number, than: string): PtychoError {
  return new PtychoError(
    'DATASET_SHAPE',
    `${nameOf(origin)} has ${found} ${what}, but there are ${expected} ${than}; there must be one for each pattern.`,
    { path: origin.path, key: origin.member, found, expected },
  );
}

/** Scan positions of a file: checked, one for each pattern, and turned into object pixels. */
import { PtychoError } from '../../core/errors.js';
import { type NpyOrigin, nameOf } from '../../formats/npyHeader.js';
import type { Finding } from '../findings/finding.js';
import type { ScanFile, StoredPositions } from '../scanFile.js';
import type { Coordinates } from './orientation.js';
import { listed, type Pairs, pairFrames } from './pairFrames.js';

/** Frames that have a position, and those positions, in the file's unit. */
export interface AlignedPositions {
  /** Which frames of the file these are, ascending. */
  readonly frames: Int32Array;
  readonly positions: Coordinates;
  readonly start?: Coordinates;
  /** Zeros where the file has none. */
  readonly scanIndex: Int32Array;
}

/** How frames and positions are paired. */
export interface AlignOptions {
  /** Leave out frames without position, positions without frame, and those that are NaN. */
  readonly drop_unpaired?: boolean;
  /** Use these frames only, ascending; where there are as many positions as chosen frames, they are theirs. */
  readonly frames?: Int32Array;
}

/**
 * Checks that positions are finite.
 * @param places where these values are in the array, for messages; 0, 1, 2, … when left out
 * @throws PtychoError DATASET_VALUE naming the first that is NaN or infinite.
 */
export function checkFinite(values: Float64Array, origin: NpyOrigin, axis = '', places?: ArrayLike<number>): void {
  const found = values.findIndex((value) => !Number.isFinite(value));
  if (found < 0) return;
  const at = places?.[found] ?? found;
  throw new PtychoError(
    'DATASET_VALUE',
    `${nameOf(origin)} has the ${axis ? `${axis} ` : ''}value ${values[found]} at index ${at}, but scan positions must be finite; correct it, or leave that pattern out with --drop_unpaired.`,
    { path: origin.path, key: origin.member, found: values[found], index: at },
  );
}

/**
 * Positions, start positions and scan numbers of the frames: paired by their numbers, by an index column or by their order.
 * @param add told of what was left out
 * @throws PtychoError DATASET_SHAPE when nothing says which of too many frames or positions to leave out, or x and y differ in
 * length; DATASET_VALUE for NaN.
 */
export function alignPositions(
  file: Pick<ScanFile, 'path' | 'patterns' | 'positions' | 'startPositions' | 'scanIndex' | 'frameNumbers'>,
  { drop_unpaired = false, frames: chosen }: AlignOptions,
  add: (finding: Finding) => void,
): AlignedPositions {
  const { patterns, positions, startPositions, scanIndex, frameNumbers } = file;
  positions.findings?.forEach(add);
  const found = lengthOf(positions, 'scan positions');
  if (startPositions !== undefined) {
    const starts = lengthOf(startPositions, 'start positions');
    if (starts !== found) throw lengthError(startPositions.origin, 'start positions', starts, found, 'scan positions');
  }
  if (scanIndex !== undefined && scanIndex.length !== found && scanIndex.length !== patterns.count) {
    throw lengthError({ path: file.path, member: 'scan_index' }, 'scan numbers', scanIndex.length, found, 'positions');
  }
  const pairs = choosePairs(chosen, found === patterns.count || positions.indexes ? undefined : found, () =>
    pairFrames(
      {
        frames: patterns.count,
        frameNumbers,
        framesOrigin: patterns.origin,
        positions: found,
        indexes: positions.indexes,
        positionsOrigin: positions.origin,
        drop_unpaired,
      },
      add,
    ),
  );
  const kept = drop_unpaired ? finitePairs(pairs, positions, startPositions, add) : pairs;
  if (kept.frames.length === 0) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `No frame of ${nameOf(patterns.origin).replace(/,$/, '')} has a position in ${nameOf(positions.origin).replace(/,$/, '')}; the two are of different scans.`,
      { path: file.path },
    );
  }
  const pick = ({ x, y }: Coordinates) => ({
    x: Float64Array.from(kept.positions, (place) => x[place]),
    y: Float64Array.from(kept.positions, (place) => y[place]),
  });
  const [picked, start] = [pick(positions), startPositions && pick(startPositions)];
  if (!drop_unpaired) {
    for (const [coordinates, origin] of [
      [picked, positions.origin],
      [start, startPositions?.origin],
    ] as const) {
      if (coordinates === undefined || origin === undefined) continue;
      checkFinite(coordinates.x, origin, 'x', kept.positions);
      checkFinite(coordinates.y, origin, 'y', kept.positions);
    }
  }
  const byFrame = scanIndex?.length === patterns.count;
  return {
    frames: kept.frames,
    positions: picked,
    start,
    scanIndex: Int32Array.from(kept.frames, (frame, i) => scanIndex?.[byFrame ? frame : kept.positions[i]] ?? 0),
  };
}

/** All pairs, or those of the chosen frames; positions that were written for the chosen frames alone are theirs. */
function choosePairs(chosen: Int32Array | undefined, positions: number | undefined, pair: () => Pairs): Pairs {
  if (chosen === undefined) return pair();
  if (chosen.length === positions) return { frames: chosen, positions: chosen.map((_, i) => i) };
  const pairs = pair();
  const wanted = new Set(chosen);
  const kept = Int32Array.from(pairs.frames.keys()).filter((i) => wanted.has(pairs.frames[i]));
  return { frames: kept.map((i) => pairs.frames[i]), positions: kept.map((i) => pairs.positions[i]) };
}

/** Pairs whose positions are numbers. */
function finitePairs(
  pairs: Pairs,
  positions: StoredPositions,
  start: StoredPositions | undefined,
  add: (finding: Finding) => void,
): Pairs {
  const isMeasured = (place: number) =>
    [positions, start].every(
      (of) => of === undefined || (Number.isFinite(of.x[place]) && Number.isFinite(of.y[place])),
    );
  const kept = Int32Array.from(pairs.frames.keys()).filter((i) => isMeasured(pairs.positions[i]));
  const left = pairs.frames.length - kept.length;
  if (left === 0) return pairs;
  const lost = Array.from(pairs.frames).filter((_, i) => !isMeasured(pairs.positions[i]));
  add({
    code: 'POSITIONS_NOT_FINITE',
    severity: 'note',
    message: `Left out: ${left === 1 ? 'frame' : 'frames'} ${listed(lost)}, whose positions in ${nameOf(positions.origin).replace(/,$/, '')} are NaN or infinite.`,
  });
  return { frames: kept.map((i) => pairs.frames[i]), positions: kept.map((i) => pairs.positions[i]) };
}

/** The number of coordinates. */
function lengthOf({ x, y, origin }: StoredPositions, what: string): number {
  if (x.length === y.length) return x.length;
  throw new PtychoError(
    'DATASET_SHAPE',
    `${nameOf(origin)} has ${x.length} x and ${y.length} y coordinates of ${what}; there must be one of each for every pattern.`,
    { path: origin.path, key: origin.member, found: [x.length, y.length] },
  );
}

function lengthError(origin: NpyOrigin, what: string, found: number, expected: number, than: string): PtychoError {
  return new PtychoError(
    'DATASET_SHAPE',
    `${nameOf(origin)} has ${found} ${what}, but there are ${expected} ${than}; there must be one for each pattern.`,
    { path: origin.path, key: origin.member, found, expected },
  );
}

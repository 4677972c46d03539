/** Scan positions of a file: checked, one for each pattern, and turned into object pixels. */

import { PtychoError } from '../../core/errors.js';
import { integers, notFiniteAt, valuesAt } from '../../core/numbers.js';
import { type NpyOrigin, nameOf, npyError, placeOf } from '../../formats/npyHeader.js';
import type { Finding } from '../findings/finding.js';
import type { ScanFile, StoredPositions } from '../scanFile.js';
import type { Coordinates } from './orientation.js';

/** Frames that have a position, and those positions, in the file's unit. */
export interface AlignedPositions {
  /** Which frames of the file these are, ascending. */
  readonly frames: Int32Array;
  readonly positions: Coordinates;
  readonly start?: Coordinates;
  readonly end?: Coordinates;
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
  const found = notFiniteAt(values);
  if (found < 0) return;
  const at = places?.[found] ?? found;
  throw npyError(
    'DATASET_VALUE',
    origin,
    `has the ${axis ? `${axis} ` : ''}value ${values[found]} at index ${at}, but scan positions must be finite; correct it, or leave that pattern out with --drop_unpaired.`,
    { found: values[found], index: at },
  );
}

/**
 * Positions, those where exposures start and end, and scan numbers of the frames: paired by their numbers, by an index column or by their order.
 * @param add told of what was left out
 * @throws PtychoError DATASET_SHAPE when nothing says which of too many frames or positions to leave out, or x and y differ in
 * length; DATASET_VALUE for NaN.
 */
export function alignPositions(
  file: Pick<
    ScanFile,
    'path' | 'patterns' | 'positions' | 'startPositions' | 'endPositions' | 'scanIndex' | 'frameNumbers'
  >,
  { drop_unpaired = false, frames: chosen }: AlignOptions,
  add: (finding: Finding) => void,
): AlignedPositions {
  const { patterns, positions, startPositions, endPositions, scanIndex, frameNumbers } = file;
  positions.findings?.forEach(add);
  const found = lengthOf(positions, 'scan positions');
  for (const [ends, what] of [
    [startPositions, 'start positions'],
    [endPositions, 'end positions'],
  ] as const) {
    if (ends === undefined) continue;
    const length = lengthOf(ends, what);
    if (length !== found) throw lengthError(ends.origin, what, length, found, 'scan positions');
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
  const kept = drop_unpaired ? finitePairs(pairs, [positions, startPositions, endPositions], add) : pairs;
  if (kept.frames.length === 0) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `No frame of ${placeOf(patterns.origin)} has a position in ${placeOf(positions.origin)}; the two are of different scans.`,
      { path: file.path },
    );
  }
  const pick = ({ x, y }: Coordinates) => ({
    x: valuesAt(x, kept.positions),
    y: valuesAt(y, kept.positions),
  });
  const picked = pick(positions);
  const [start, end] = [startPositions && pick(startPositions), endPositions && pick(endPositions)];
  if (!drop_unpaired) {
    for (const [coordinates, origin] of [
      [picked, positions.origin],
      [start, startPositions?.origin],
      [end, endPositions?.origin],
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
    end,
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
  given: readonly [positions: StoredPositions, ...ends: (StoredPositions | undefined)[]],
  add: (finding: Finding) => void,
): Pairs {
  const [positions] = given;
  const isMeasured = (place: number) =>
    given.every((of) => of === undefined || (Number.isFinite(of.x[place]) && Number.isFinite(of.y[place])));
  const kept = Int32Array.from(pairs.frames.keys()).filter((i) => isMeasured(pairs.positions[i]));
  const left = pairs.frames.length - kept.length;
  if (left === 0) return pairs;
  const lost = Array.from(pairs.frames).filter((_, i) => !isMeasured(pairs.positions[i]));
  add({
    code: 'POSITIONS_NOT_FINITE',
    severity: 'note',
    message: `Left out: ${left === 1 ? 'frame' : 'frames'} ${listed(lost)}, whose positions in ${placeOf(positions.origin)} are NaN or infinite.`,
  });
  return { frames: kept.map((i) => pairs.frames[i]), positions: kept.map((i) => pairs.positions[i]) };
}

/** The number of coordinates. */
function lengthOf({ x, y, origin }: StoredPositions, what: string): number {
  if (x.length === y.length) return x.length;
  throw npyError(
    'DATASET_SHAPE',
    origin,
    `has ${x.length} x and ${y.length} y coordinates of ${what}; there must be one of each for every pattern.`,
    { found: [x.length, y.length] },
  );
}

function lengthError(origin: NpyOrigin, what: string, found: number, expected: number, than: string): PtychoError {
  return npyError(
    'DATASET_SHAPE',
    origin,
    `has ${found} ${what}, but there are ${expected} ${than}; there must be one for each pattern.`,
    { found, expected },
  );
}

/** What is known of frames and positions. */
export interface PairRequest {
  readonly frames: number;
  /** Numbers of the frames, ascending. */
  readonly frameNumbers?: ArrayLike<number>;
  readonly framesOrigin: NpyOrigin;
  readonly positions: number;
  /** Frame numbers of the positions. */
  readonly indexes?: ArrayLike<number>;
  readonly positionsOrigin: NpyOrigin;
  /** Leave out what has no partner, also where only the order tells. */
  readonly drop_unpaired: boolean;
}

/** Places of frames, ascending, and of the position of each. */
export interface Pairs {
  readonly frames: Int32Array;
  readonly positions: Int32Array;
}

/** Numbers that a message lists. */
const MOST_LISTED = 8;

/**
 * Pairs frames and positions.
 * @param add told what was left out, and why
 * @throws PtychoError DATASET_SHAPE where numbers do not say what belongs together; DATASET_VALUE for indexes that are none.
 */
export function pairFrames(request: PairRequest, add: (finding: Finding) => void): Pairs {
  const { frames, frameNumbers, positions, indexes } = request;
  if (indexes !== undefined) return pairByIndex(request, indexes, add);
  if (frameNumbers === undefined || frames === 0) return pairByOrder(request, add);
  const first = frameNumbers[0];
  const step = commonStep(frameNumbers);
  if (step > 1 && positions === (frameNumbers[frames - 1] - first) / step + 1) {
    // Every tenth number, say: counted in those steps there may be gaps, too.
    const counted = Int32Array.from({ length: frames }, (_, i) => first + (frameNumbers[i] - first) / step);
    return pairFrames({ ...request, frameNumbers: counted }, add);
  }
  const span = frameNumbers[frames - 1] - first + 1;
  const missing = missingNumbers(frameNumbers);
  const numbers = `The frames of ${request.framesOrigin.path} are numbered ${first} … ${first + span - 1}`;
  const gaps = missing.length === 0 ? '' : `, ${listed(missing)} ${missing.length === 1 ? 'is' : 'are'} missing`;
  if (positions === span) {
    if (missing.length > 0) {
      add({
        code: 'FRAMES_MISSING',
        severity: 'note',
        message: `${numbers}${gaps}: ${missing.length === 1 ? 'its position was' : 'their positions were'} left out.`,
      });
    }
    return byNumber(request, first);
  }
  if (positions === frames) {
    add({
      code: 'FRAMES_MISSING',
      severity: 'doubt',
      message: `${numbers}${gaps}, but there are as many positions as frames (${positions}): they were paired in their order.`,
    });
    return pairByOrder(request, add);
  }
  if (positions > span && first === 0) {
    add({
      code: 'POSITIONS_WITHOUT_FRAME',
      severity: 'doubt',
      message: `${numbers}${gaps}, and there are ${positions} positions: those without a frame, ${span === positions - 1 ? `also the last (${span})` : `also the last ${positions - span}`}, were left out.`,
    });
    return byNumber(request, first);
  }
  if (request.drop_unpaired) {
    add({
      code: 'PAIRED_FROM_THE_FIRST',
      severity: 'doubt',
      message: `${numbers}${gaps}, and there are ${positions} positions: they were counted from frame ${first} on, and what has no partner was left out.`,
    });
    return byNumber(request, first);
  }
  throw unequal(
    request,
    `${numbers.replace('The frames of ', 'the frames of ')}${gaps}, which does not say which positions have no frame; give the frame number of each position in a column "index", or count them from frame ${first} on with --drop_unpaired`,
  );
}

/** Positions are counted from frame `first` on. */
function byNumber({ frames, frameNumbers, positions }: PairRequest, first: number): Pairs {
  const kept = integers(frames).filter((i) => frameNumbers![i] - first < positions);
  return { frames: kept, positions: kept.map((i) => frameNumbers![i] - first) };
}

function pairByOrder(request: PairRequest, add: (finding: Finding) => void): Pairs {
  const { frames, positions } = request;
  const count = Math.min(frames, positions);
  const order = integers(count);
  if (frames === positions) return { frames: order, positions: order };
  if (!request.drop_unpaired) {
    const [more, what] = frames > positions ? [frames - positions, 'frame'] : [positions - frames, 'position'];
    throw unequal(
      request,
      `nothing says which ${more === 1 ? `${what} is` : `${more} ${what}s are`} too many: leave out those at the end with --drop_unpaired, or choose frames with --frames or --skip_frames`,
    );
  }
  const [left, kind] = frames > positions ? [frames - positions, 'frames'] : [positions - frames, 'positions'];
  add({
    code: 'UNPAIRED_LEFT_OUT',
    severity: 'doubt',
    message: `${frames} frames and ${positions} positions were paired in their order; the last ${left === 1 ? kind.slice(0, -1) : `${left} ${kind}`} of ${frames > positions ? request.framesOrigin.path : request.positionsOrigin.path} ${left === 1 ? 'was' : 'were'} left out.`,
  });
  return { frames: order, positions: order };
}

function pairByIndex(request: PairRequest, indexes: ArrayLike<number>, add: (finding: Finding) => void): Pairs {
  const { frames, frameNumbers, positions } = request;
  const places = new Map<number, number>();
  let smallest = Number.POSITIVE_INFINITY;
  let largest = Number.NEGATIVE_INFINITY;
  for (let place = 0; place < positions; place++) {
    const index = indexes[place];
    const bad = !Number.isSafeInteger(index)
      ? 'which is no frame number'
      : places.has(index)
        ? 'a second time'
        : undefined;
    if (bad !== undefined) {
      throw new PtychoError(
        'DATASET_VALUE',
        `${placeOf(request.positionsOrigin)} has the index ${index} in row ${place}, ${bad}; correct it, or take the column out.`,
        { path: request.positionsOrigin.path, found: index },
      );
    }
    places.set(index, place);
    smallest = Math.min(smallest, index);
    largest = Math.max(largest, index);
  }
  const numberOf = numbering(request, smallest, largest);
  if (numberOf === undefined) {
    // As many as there are, but counted from elsewhere: the n-th smallest index is the n-th frame.
    if (frames === positions) {
      const order = [...places.entries()].sort(([a], [b]) => a - b).map(([, place]) => place);
      return { frames: Int32Array.from(order.keys()), positions: Int32Array.from(order) };
    }
    const counted = frameNumbers === undefined ? countedFromTheFirst(request, places, smallest, largest) : undefined;
    if (counted && request.drop_unpaired) {
      add({
        code: 'PAIRED_FROM_THE_FIRST',
        severity: 'doubt',
        message: `${frames} frames of ${request.framesOrigin.path} and ${positions} positions of ${placeOf(request.positionsOrigin)} with the indexes ${smallest} … ${largest}: both were counted from the first, and what has no partner was left out.`,
      });
      return counted;
    }
    const remedy = counted ? '; if the scan was stopped early, count both from the first with --drop_unpaired' : '';
    throw unequal(
      request,
      `the indexes ${smallest} … ${largest} of the positions do not say which frames they belong to (${frameNumbers === undefined ? `0 … ${frames - 1}` : `${frameNumbers[0]} … ${frameNumbers[frames - 1]}`})${remedy}`,
    );
  }
  const kept = integers(frames).filter((i) => places.has(numberOf(i)));
  const lone = { frames: frames - kept.length, positions: positions - kept.length };
  if (lone.frames + lone.positions > 0) {
    const framesLeft = Array.from({ length: frames }, (_, i) => numberOf(i)).filter((number) => !places.has(number));
    const used = new Set(Array.from(kept, numberOf));
    const positionsLeft = [...places.keys()].filter((index) => !used.has(index)).sort((a, b) => a - b);
    const parts = [
      framesLeft.length > 0 && `frame${framesLeft.length === 1 ? '' : 's'} ${listed(framesLeft)} without position`,
      positionsLeft.length > 0 &&
        `position${positionsLeft.length === 1 ? '' : 's'} ${listed(positionsLeft)} without frame`,
    ].filter((part) => part !== false);
    add({
      code: 'UNPAIRED_LEFT_OUT',
      severity: 'note',
      message: `Left out by the indexes of ${placeOf(request.positionsOrigin)}: ${parts.join(', ')}.`,
    });
  }
  return { frames: kept, positions: kept.map((i) => places.get(numberOf(i))!) };
}

/**
 * Frames without numbers beside indexes of which some have no frame: a scan that goes on, or was stopped. Indexes that advance evenly are
 * those of the frames in their order; of others it is known only when they begin with 0, as frames do.
 */
function countedFromTheFirst(
  { frames, positions }: PairRequest,
  places: ReadonlyMap<number, number>,
  smallest: number,
  largest: number,
): Pairs | undefined {
  const sorted = [...places.keys()].sort((a, b) => a - b);
  const step = commonStep(sorted) || 1;
  const even = (largest - smallest) / step + 1 === positions;
  if (!(even && (step === 1 || frames < positions)) && smallest !== 0) return undefined;
  const number = (frame: number) => (even ? smallest + step * frame : frame);
  const kept = integers(frames).filter((frame) => places.has(number(frame)));
  return { frames: kept, positions: kept.map((frame) => places.get(number(frame))!) };
}

/** The number of each frame in the count of the indexes; undefined where the two have nothing to do with each other. */
function numbering(
  { frames, frameNumbers }: PairRequest,
  smallest: number,
  largest: number,
): ((frame: number) => number) | undefined {
  if (frameNumbers !== undefined) {
    const [first, last] = [frameNumbers[0], frameNumbers[frames - 1]];
    if (smallest <= last && largest >= first && smallest <= first && (largest >= last || smallest === first)) {
      return (frame) => frameNumbers[frame];
    }
    // A column from 0 on beside files from 1 on, or the other way round.
    return largest - smallest === last - first ? (frame) => frameNumbers[frame] - first + smallest : undefined;
  }
  if (smallest >= 0 && largest < frames) return smallest === 1 && largest === frames - 1 ? undefined : (frame) => frame;
  return smallest >= 1 && largest === frames ? (frame) => frame + 1 : undefined;
}

/** The largest number by which all frame numbers advance. */
function commonStep(numbers: ArrayLike<number>): number {
  let step = 0;
  for (let i = 1; i < numbers.length; i++) {
    for (let a = numbers[i] - numbers[i - 1], b = step; ; [a, b] = [b, a % b]) {
      if (b === 0) {
        step = a;
        break;
      }
    }
    if (step === 1) break;
  }
  return step;
}

/** Numbers between the first and the last that no frame has. */
function missingNumbers(numbers: ArrayLike<number>): number[] {
  const missing: number[] = [];
  for (let i = 1; i < numbers.length; i++) {
    for (let number = numbers[i - 1] + 1; number < numbers[i] && missing.length < MOST_MISSING; number++)
      missing.push(number);
  }
  return missing;
}

/** More numbers than this are no gap in a scan. */
const MOST_MISSING = 1e6;

/** `3, 5 and 7`, or the first of many. */
export function listed(numbers: readonly (number | string)[]): string {
  const rest = numbers.length - MOST_LISTED;
  const shown = numbers.slice(0, MOST_LISTED).join(', ');
  return rest > 0 ? `${shown} and ${rest} more` : shown.replace(/, (?=[^,]+$)/, ' and ');
}

function unequal({ frames, framesOrigin, positions, positionsOrigin }: PairRequest, why: string): PtychoError {
  return new PtychoError(
    'DATASET_SHAPE',
    `${nameOf(framesOrigin)} has ${frames} patterns, but there are ${positions} scan positions in ${placeOf(positionsOrigin)}; there must be one for each pattern, and ${why}.`,
    { path: positionsOrigin.path, key: positionsOrigin.member, found: positions, expected: frames },
  );
}

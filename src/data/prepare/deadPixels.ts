/**
 * Pixels that tell nothing about the sample, found by what they hold in every frame looked at: the number with which a detector
 * marks them, or no light amid light.
 *
 * @example
 * const { mask, found } = deadPixels(values, 64 * 64);
 * found; // [{ value: 65535, pixels: 376 }]
 */

/** Pixels that hold one number in all frames. */
export interface MarkedPixels {
  readonly value: number;
  readonly pixels: number;
}

/** Bits of the integer types, whole and partly used, in which detectors read out; their largest numbers mark pixels. */
const BITS = [8, 10, 12, 14, 15, 16, 18, 20, 24, 31, 32, 63, 64];
/** How far below the largest number marks go: 2³² − 1 is a gap and 2³² − 2 a bad pixel for some. */
const MARKS = [0, 1, 2, 3];
/** Below that, real counts may lie: then a mark must be the largest number there is. */
const NO_COUNT_FROM = 2 ** 15 - 4;
/** Frames from which a number that never changes is no chance. */
const ENOUGH_FRAMES = 4;
/** A large number that noise never moves in so many frames is no measurement, whatever it is. */
const FROZEN_FRAMES = 8;
/** Large is this many times the smallest number there is: counts by their thousands repeat, too, but not as often. */
const FROZEN_FROM = 64;
/** So many large pixels must move, or it is the scan that stands still. */
const ENOUGH_MOVING = 16;
/** With fewer frames, marks are one or two numbers. */
const FEW_MARKS = 2;

const ENDS: ReadonlySet<number> = new Set(
  BITS.flatMap((bits) => [...MARKS.map((below) => 2 ** bits - 1 - below), ...(bits > 24 ? [2 ** bits] : [])]).flatMap(
    // Numbers above 2²⁴ are read in single precision; of amplitudes the roots were taken.
    (value) => (value < 2 ** 15 - 4 ? [value] : [Math.fround(value), Math.fround(Math.sqrt(value))]),
  ),
);

/** True for a number with which detectors mark pixels or stop counting. */
export function isEndOfRange(value: number): boolean {
  return ENDS.has(value);
}

/**
 * Finds pixels that hold the same mark in every frame: NaN, an infinity, a negative number, or the end of an integer type's
 * range, whatever type the values have; and, where there are frames enough, any large number that never changes while others do. A pixel that always holds 0 is not one of them: it may lie in the dark.
 * @param values (n, size) as stored.
 */
export function deadPixels(values: Float32Array, size: number): { mask: Uint8Array; found: readonly MarkedPixels[] } {
  const n = Math.floor(values.length / size);
  const constant: number[] = [];
  const still: number[] = [];
  for (let p = 0; p < size; p++) {
    const first = values[p];
    const mark = !(first >= 0) || first === Number.POSITIVE_INFINITY || ENDS.has(first);
    let same = mark || (first > 0 && n >= FROZEN_FRAMES);
    for (let q = p + size; same && q < n * size; q += size) same = Object.is(values[q], first);
    if (!same) continue;
    if (mark) constant.push(p);
    if (first > 0 && n >= FROZEN_FRAMES && Number.isFinite(first)) still.push(p);
  }
  const frozen = new Set(frozenAmong(still, values, size));
  // Only small marks ask for it, and they are rare.
  const largestOther = constant.some((p) => values[p] >= 0 && values[p] < NO_COUNT_FROM)
    ? largestBesides(values, constant, size)
    : 0;
  const negatives = new Set(constant.map((p) => values[p]).filter((v) => v < 0 && Number.isFinite(v)));
  const negativeMarks = n >= ENOUGH_FRAMES || negatives.size <= FEW_MARKS;
  const mask = new Uint8Array(size);
  const counts = new Map<number, number>();
  const take = (p: number, value: number) => {
    mask[p] = 1;
    counts.set(value, (counts.get(value) ?? 0) + 1);
  };
  for (const p of constant) {
    const value = values[p];
    const marked =
      frozen.delete(p) ||
      (value < 0 && Number.isFinite(value)
        ? negativeMarks
        : !(Number.isFinite(value) && value < NO_COUNT_FROM && (value < largestOther || n < ENOUGH_FRAMES)));
    if (marked) take(p, value);
  }
  for (const p of frozen) take(p, values[p]);
  const found = [...counts].map(([value, pixels]) => ({ value, pixels })).sort((a, b) => b.pixels - a.pixels);
  return { mask, found };
}

/** Those of the pixels that never change that hold a large number, where others that do so change. */
function frozenAmong(still: readonly number[], values: Float32Array, size: number): readonly number[] {
  if (still.length === 0) return still;
  let smallest = Number.POSITIVE_INFINITY;
  for (const v of values) if (v > 0 && v < smallest) smallest = v;
  const large = (v: number) => v >= FROZEN_FROM * smallest && v < Number.POSITIVE_INFINITY;
  const frozen = still.filter((p) => large(values[p]));
  if (frozen.length === 0) return frozen;
  const known = new Set(still);
  let moving = 0;
  for (let p = 0; p < size && moving < ENOUGH_MOVING; p++) if (!known.has(p) && large(values[p])) moving++;
  return moving < ENOUGH_MOVING ? [] : frozen;
}

function largestBesides(values: Float32Array, pixels: readonly number[], size: number): number {
  const left = new Uint8Array(size);
  for (const p of pixels) left[p] = 1;
  let largest = 0;
  for (let q = 0, p = 0; q < values.length; q++, p = p + 1 === size ? 0 : p + 1) {
    if (!left[p] && values[q] > largest) largest = values[q];
  }
  return largest;
}

/** Light on both sides of a gap, in units of the smallest number there is, summed over the frames: then 0 is no chance. */
const LIGHT_BESIDE = 20;
/** Modules of detectors are not further apart. */
const WIDEST_GAP_PX = 64;

/**
 * Pixels that hold 0 in every pattern though there is light on both sides of them, in their row or in their column: gaps
 * between modules, dead lines and blocks. (side, side), 1 = dead.
 * @param values (n, side, side)
 */
export function darkAmidLight(values: Float32Array, side: number): Uint8Array {
  const size = side * side;
  const sums = new Float64Array(size);
  let smallest = Number.POSITIVE_INFINITY;
  for (let q = 0, p = 0; q < values.length; q++, p = p + 1 === size ? 0 : p + 1) {
    const v = values[q];
    if (v > 0 && v < smallest) smallest = v;
    sums[p] += Math.abs(v);
  }
  const enough = LIGHT_BESIDE * smallest;
  const dead = new Uint8Array(size);
  const along = (place: (line: number, i: number) => number) => {
    for (let line = 0; line < side; line++) {
      let from = 0;
      while (from < side) {
        if (sums[place(line, from)] !== 0) {
          from++;
          continue;
        }
        let to = from;
        while (to < side && sums[place(line, to)] === 0) to++;
        const inside = from > 0 && to < side && to - from <= WIDEST_GAP_PX;
        if (inside && sums[place(line, from - 1)] >= enough && sums[place(line, to)] >= enough) {
          for (let i = from; i < to; i++) dead[place(line, i)] = 1;
        }
        from = to;
      }
    }
  };
  along((row, column) => row * side + column);
  along((column, row) => row * side + column);
  return dead;
}

/**
 * Small things that are done to many numbers: even choices, ranges, medians, rows of an array, moduli of complex values.
 *
 * @example
 * spreadIndices(100, 4); // Int32Array [0, 25, 50, 75]
 * extentOf([3, 1, 2]); // [1, 3]
 */
import type { ComplexTensor, NumericArray } from './tensor.js';

/** Up to `most` indices below `count`, spread evenly: ⌊i·count/n⌋; all of them where there are no more. */
export function spreadIndices(count: number, most = count): Int32Array {
  const n = Math.min(most, count);
  return Int32Array.from({ length: n }, (_, i) => Math.floor((i * count) / n));
}

/** The integers from `from` on, `count` of them. */
export const integers = (count: number, from = 0): Int32Array => Int32Array.from({ length: count }, (_, i) => from + i);

/** The first index at which one of several arrays of one length holds no finite number; −1 where all are. */
export function notFiniteAt(...arrays: readonly ArrayLike<number>[]): number {
  for (let i = 0; i < arrays[0].length; i++) {
    for (const values of arrays) if (!Number.isFinite(values[i])) return i;
  }
  return -1;
}

/** The smallest and the largest value; NaN where there is a NaN, +∞ and −∞ of nothing. */
export function extentOf(values: ArrayLike<number>): [min: number, max: number] {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    min = Math.min(min, values[i]);
    max = Math.max(max, values[i]);
  }
  return [min, max];
}

/** Largest minus smallest; NaN where there is a NaN, 0 of nothing. */
export function spanOf(values: ArrayLike<number>): number {
  const [min, max] = extentOf(values);
  return values.length === 0 ? 0 : max - min;
}

/** Mean; NaN of nothing. */
export function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

/** Middle value; 0 of none. */
export function median(values: Float64Array): number {
  return values.length === 0 ? 0 : values.slice().sort()[Math.floor(values.length / 2)];
}

/** The values at some places, in their order. */
export const valuesAt = (values: ArrayLike<number>, places: ArrayLike<number>): Float64Array =>
  Float64Array.from(places, (place) => values[place]);

/** Rows of `size` values each, one after the other. */
export function rowsAt<T extends NumericArray>(data: T, size: number, rows: ArrayLike<number>): T {
  const out = new (data.constructor as new (length: number) => T)(rows.length * size);
  for (let i = 0; i < rows.length; i++) out.set(data.subarray(rows[i] * size, (rows[i] + 1) * size), i * size);
  return out;
}

/** |z| of every value, in double precision. */
export function moduliOf({ re, im }: Pick<ComplexTensor<Float32Array | Float64Array>, 're' | 'im'>): Float64Array {
  const out = new Float64Array(re.length);
  for (let i = 0; i < re.length; i++) out[i] = Math.hypot(re[i], im[i]);
  return out;
}

/** What is done to many numbers everywhere: choices, ranges, rows. */
import { describe, expect, it } from 'vitest';
import {
  extentOf,
  integers,
  median,
  moduliOf,
  rowsAt,
  spanOf,
  spreadIndices,
  valuesAt,
} from '../../src/core/numbers.js';

describe('numbers', () => {
  it('spread indices evenly, and take all where there are no more', () => {
    expect([...spreadIndices(10, 4)]).toEqual([0, 2, 5, 7]);
    expect([...spreadIndices(3, 64)]).toEqual([0, 1, 2]);
    expect([...integers(3, 4)]).toEqual([4, 5, 6]);
  });

  it('have a smallest and a largest value, NaN where one of them is none', () => {
    expect(extentOf([3, -1, 2])).toEqual([-1, 3]);
    expect(extentOf([])).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect([spanOf([3, -1, 2]), spanOf([]), spanOf([1, Number.NaN])]).toEqual([4, 0, Number.NaN]);
    expect([median(Float64Array.of(5, 1, 3)), median(new Float64Array(0))]).toEqual([3, 0]);
  });

  it('are picked one by one or in rows, in any order, with repeats', () => {
    expect([...valuesAt([10, 20, 30], [2, 0, 2])]).toEqual([30, 10, 30]);
    expect(rowsAt(Int16Array.of(1, 2, 3, 4), 2, [1, 1, 0])).toEqual(Int16Array.of(3, 4, 3, 4, 1, 2));
    expect([...moduliOf({ re: Float32Array.of(3, 0), im: Float32Array.of(4, -2) })]).toEqual([5, 2]);
  });
});

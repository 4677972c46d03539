import { describe, expect, it } from 'vitest';
import { cutByPosition, parsePart } from '../../src/data/grouping/cutByPosition.js';

const lists = (parts: readonly Int32Array[]) => parts.map((part) => Array.from(part));

describe('a cut by position', () => {
  it('gives every position to one part, as many to each, in compact regions', () => {
    const xs = Float64Array.from({ length: 240 }, (_, k) => (7 * k) % 24);
    const ys = Float64Array.from({ length: 240 }, (_, k) => Math.floor(k / 24));
    for (const of of [1, 2, 3, 5, 7]) {
      const parts = cutByPosition(xs, ys, of);
      expect(parts.map((part) => part.length).every((n) => Math.abs(n - 240 / of) <= 1)).toBe(true);
      expect(parts.flatMap((part) => Array.from(part)).sort((a, b) => a - b)).toEqual(Array.from(xs.keys()));
    }
    const [left, right] = cutByPosition(xs, ys, 2);
    expect(Math.max(...Array.from(left, (k) => xs[k]))).toBeLessThan(Math.min(...Array.from(right, (k) => xs[k])));
  });

  it('does not depend on luck where positions are equal, and leaves parts empty where there are too many', () => {
    expect(lists(cutByPosition(new Float64Array(5), new Float64Array(5), 2))).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
    expect(lists(cutByPosition([0, 5], [0, 0], 3)).flat()).toEqual([0, 1]);
    expect(lists(cutByPosition([], [], 2))).toEqual([[], []]);
  });

  it('reads parts', () => {
    expect(parsePart('2/5', 'shard')).toEqual({ index: 2, of: 5 });
    for (const wrong of ['', '0/2', '3/2', '1', '1/2/3', 'a/b', '1/99999', '-1/2']) {
      expect(() => parsePart(wrong, 'shard')).toThrow(/shard must be a part of several, such as 1\/4/);
    }
  });
});

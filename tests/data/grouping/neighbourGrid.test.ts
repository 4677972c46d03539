/** The grid against brute force, on scans of every shape. */

import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import { meanNearestDistance, NeighbourGrid } from '../../../src/data/grouping/neighbourGrid.js';
import fc from '../../support/fastCheck.js';

/** All positions by distance from position i, then index; i itself first. */
function bruteForce(x: Float64Array, y: Float64Array, i: number, k: number): number[] {
  const d = Array.from(x, (_, j) => (j === i ? -1 : (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2));
  return [...x.keys()].sort((a, b) => d[a] - d[b] || a - b).slice(0, k);
}

function expectSame(x: Float64Array, y: Float64Array, k: number, queries = [...x.keys()]) {
  const grid = new NeighbourGrid(x, y);
  const out = new Int32Array(k);
  for (const i of queries) {
    const count = grid.nearest(i, k, out);
    expect([i, ...out.subarray(0, count)]).toEqual([i, ...bruteForce(x, y, i, k)]);
  }
}

const scan = (n: number, at: (rng: LegacyRng, i: number) => readonly [number, number]) => {
  const rng = new LegacyRng(n);
  const points = Array.from({ length: n }, (_, i) => at(rng, i));
  return [Float64Array.from(points, (p) => p[0]), Float64Array.from(points, (p) => p[1])] as const;
};

describe('NeighbourGrid', () => {
  it('equals brute force for any few points, many of them coinciding', () => {
    const coordinate = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ min: -1e3, max: 1e3, noNaN: true }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(coordinate, coordinate), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        (points, k) => {
          expectSame(
            Float64Array.from(points, (p) => p[0]),
            Float64Array.from(points, (p) => p[1]),
            k,
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  const some = Array.from({ length: 60 }, (_, i) => i * 13);
  it('on a jittered raster', () => {
    expectSame(
      ...scan(800, (rng, i) => [(i % 40) * 8 + rng.uniform(-2, 2), Math.floor(i / 40) * 8 + rng.uniform(-2, 2)]),
      8,
      some,
    );
  });
  it('on an exact lattice, where ties are by index', () => {
    expectSame(...scan(800, (_, i) => [i % 40, Math.floor(i / 40)]), 9, some);
  });
  it('on a line', () => {
    expectSame(...scan(800, (rng) => [rng.uniform(0, 1000), 5]), 6, some);
    expectSame(...scan(800, (_, i) => [3, i * i]), 6, some);
  });
  it('on a spiral and in dense clusters', () => {
    expectSame(...scan(800, (_, i) => [Math.sqrt(i) * Math.cos(2.4 * i), Math.sqrt(i) * Math.sin(2.4 * i)]), 7, some);
    expectSame(...scan(800, (rng, i) => [(i % 5) * 1000 + rng.normal(), (i % 3) * 700 + rng.normal()]), 7, some);
  });
  it('with stragglers far outside, seen from inside and from them', () => {
    const [x, y] = scan(800, (rng, i) =>
      i % 211 === 7 ? [1e7 * (i - 300), -1e6] : [rng.uniform(0, 100), rng.uniform(0, 60)],
    );
    expectSame(x, y, 7, [...some, 7, 218, 429, 640]);
  });
  it('at least so far away: equals brute force without what is nearer', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 60, noNaN: true }), fc.integer({ min: 1, max: 9 }), (min, k) => {
        const [x, y] = scan(200, (rng) => [rng.uniform(0, 40), rng.uniform(0, 30)]);
        const grid = new NeighbourGrid(x, y);
        const out = new Int32Array(k);
        for (let i = 0; i < 200; i += 17) {
          const far = bruteForce(x, y, i, 200).filter((j) => (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2 >= min * min);
          expect([...out.subarray(0, grid.nearest(i, k, out, min))]).toEqual(far.slice(0, k));
        }
      }),
      { numRuns: 50 },
    );
  });
  it('one point and coinciding points', () => {
    expectSame(Float64Array.of(4), Float64Array.of(2), 3);
    expectSame(new Float64Array(20), new Float64Array(20), 4);
  });
});

describe('meanNearestDistance', () => {
  it('is the step of a raster', () => {
    const [x, y] = scan(400, (_, i) => [(i % 20) * 3, Math.floor(i / 20) * 5]);
    expect(meanNearestDistance(x, y)).toBeCloseTo(3, 12);
    expect(meanNearestDistance(Float64Array.of(1), Float64Array.of(1))).toBeNaN();
  });
});

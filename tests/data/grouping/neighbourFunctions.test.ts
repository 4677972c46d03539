/** Neighbour functions: what members they choose, what they skip, and that they are the same for the same seed. */

import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import { type GroupingOptions, groupScan } from '../../../src/data/grouping/grouping.js';
import fc from '../../support/fastCheck.js';

/** A jittered raster. */
function raster(n: number, step: number, jitter: number, seed = 1) {
  const rng = new LegacyRng(seed);
  const side = Math.ceil(Math.sqrt(n));
  const at = (place: (i: number) => number) =>
    Float64Array.from({ length: n }, (_, i) => step * place(i) + rng.uniform(-jitter, jitter));
  return [at((i) => i % side), at((i) => Math.floor(i / side))] as const;
}

const groupsOf = ({ members, count, C }: { members: Int32Array; count: number; C: number }) =>
  Array.from({ length: count }, (_, g) => [...members.subarray(g * C, (g + 1) * C)]);

const base: GroupingOptions = { gridsize: 2, n_groups: 30, neighbor_count: 6 };

const distance = (x: Float64Array, y: Float64Array, i: number, j: number) => Math.hypot(x[i] - x[j], y[i] - y[j]);

describe('min_distance', () => {
  it('of 0 is nearest, draw for draw', () => {
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 60 }), fc.nat(1000), fc.boolean(), (n, seed, sequential) => {
        const [x, y] = raster(n, 3, 1, seed);
        const options = { ...base, n_groups: Math.ceil(n / 2), neighbor_count: 5, seed, sequential };
        expect(groupScan(x, y, { ...options, neighbor_function: 'min_distance' })).toEqual(groupScan(x, y, options));
      }),
      { numRuns: 50 },
    );
  });

  it('members are among the K nearest at least that far from the seed position', () => {
    fc.assert(
      fc.property(fc.integer({ min: 49, max: 120 }), fc.double({ min: 0.5, max: 6, noNaN: true }), (n, min) => {
        const [x, y] = raster(n, 3, 1, n);
        const K = 5;
        const groups = groupScan(x, y, {
          ...base,
          n_groups: n,
          neighbor_count: K,
          neighbor_function: 'min_distance',
          min_neighbor_distance_px: min,
        });
        expect(groups.skipped).toBe(0);
        // All positions are seeds, in order.
        groupsOf(groups).forEach((group, seed) => {
          const far = [...x.keys()].filter((j) => distance(x, y, seed, j) >= min);
          far.sort((a, b) => distance(x, y, seed, a) - distance(x, y, seed, b) || a - b);
          const allowed = new Set(far.slice(0, K));
          expect(new Set(group).size).toBe(4);
          for (const member of group) expect(allowed.has(member)).toBe(true);
        });
      }),
      { numRuns: 15 },
    );
  });

  it('skips positions with too few others that far away, and says how many', () => {
    // Two clusters 100 px apart: every position sees four far ones; without the first, and a little further, not all do.
    const x = Float64Array.of(0, 1, 0, 1, 0.5, 100, 101, 100, 101);
    const y = Float64Array.of(0, 0, 1, 1, 0.5, 0, 0, 1, 1);
    const warnings: string[] = [];
    const groups = groupScan(x, y, {
      ...base,
      n_groups: 9,
      neighbor_count: 4,
      neighbor_function: 'min_distance',
      min_neighbor_distance_px: 50,
      logger: { info() {}, warn: (message) => warnings.push(message) },
    });
    expect([groups.count, groups.skipped]).toEqual([9, 0]);
    const fewer = groupScan(x.subarray(1, 9), y.subarray(1, 9), {
      ...base,
      n_groups: 8,
      neighbor_count: 4,
      neighbor_function: 'min_distance',
      min_neighbor_distance_px: 99.6,
      logger: { info() {}, warn: (message) => warnings.push(message) },
    });
    expect(fewer.count + fewer.skipped).toBe(8);
    expect(fewer.skipped).toBeGreaterThan(0);
    expect(fewer.members.length).toBe(4 * fewer.count);
    expect(fewer.coordsNn.length).toBe(8 * fewer.count);
    expect(warnings).toEqual([
      `${fewer.skipped} positions have no group by neighbor_function min_distance and were skipped: ${fewer.count} groups.`,
    ]);
  });

  it('combines neighbours when there are more groups than positions', () => {
    const [x, y] = raster(36, 3, 1);
    const groups = groupScan(x, y, {
      ...base,
      n_groups: 200,
      neighbor_pool_size: 8,
      enable_oversampling: true,
      neighbor_function: 'min_distance',
      min_neighbor_distance_px: 4,
    });
    expect(groups.count).toBe(200);
    expect(new Set(groupsOf(groups).map(String)).size).toBe(200);
  });

  it('refuses a distance that nothing is away', () => {
    const [x, y] = raster(36, 3, 0);
    expect(() =>
      groupScan(x, y, { ...base, neighbor_function: 'min_distance', min_neighbor_distance_px: 22 }),
    ).toThrowError(
      expect.objectContaining({
        code: 'GROUPING',
        message:
          "neighbor_function min_distance finds no group: no seed position has 4 others at least min_neighbor_distance_px = 22 away, the scan's diagonal is 21.21 px: use a smaller distance.",
      }),
    );
  });
});

describe('four_quadrants', () => {
  const quadrants: GroupingOptions = { ...base, neighbor_function: 'four_quadrants', max_neighbor_distance_px: 5 };

  it('on a lattice the members are the four neighbours, or the seed position in place of one', () => {
    const [x, y] = raster(49, 3, 0);
    const groups = groupScan(x, y, { ...quadrants, n_groups: 49, max_neighbor_distance_px: 3.1 });
    // The corners have two empty quadrants.
    expect([groups.count, groups.skipped]).toEqual([45, 4]);
    const seeds = [...x.keys()].filter((i) => ![0, 6, 42, 48].includes(i));
    groupsOf(groups).forEach((group, g) => {
      const seed = seeds[g];
      expect(new Set(group).size).toBe(4);
      const others = group.filter((member) => member !== seed);
      expect(others.length).toBeGreaterThanOrEqual(3);
      for (const member of others) expect(distance(x, y, seed, member)).toBe(3);
    });
    // Left to right in the order top left, top right, bottom left, bottom right; on the axes: left, top, bottom, right.
    const places = [-1, -7, 7, 1];
    const inner = groupsOf(groups)[seeds.indexOf(24)];
    inner.forEach((member, q) => {
      expect([24, 24 + places[q]]).toContain(member);
    });
  });

  it('of rows that lie far apart takes two members of the own row and two of a row before it', () => {
    // Rows 3 px apart, positions 1 px apart in them; no row behind a position is a partner.
    const side = 7;
    const x = Float64Array.from({ length: side * side }, (_, i) => i % side);
    const y = Float64Array.from({ length: side * side }, (_, i) => 3 * Math.floor(i / side));
    const options = { ...quadrants, scan_pattern: 'rectangular', n_groups: side * side } as const;
    const groups = groupScan(x, y, options);
    // The first row has nothing before it, the outer columns nothing on one side.
    expect([groups.count, groups.skipped]).toEqual([30, 19]);
    const seeds = [...x.keys()].filter((i) => y[i] > 0 && x[i] > 0 && x[i] < side - 1);
    groupsOf(groups).forEach((group, g) => {
      const seed = seeds[g];
      group.forEach((member, q) => {
        if (member === seed) return;
        expect(Math.sign(x[member] - x[seed])).toBe(q % 2 === 0 ? -1 : 1);
        expect(y[member] - y[seed]).toBe(q < 2 ? -3 : 0);
        expect(distance(x, y, seed, member)).toBeLessThan(5);
      });
      expect(group.filter((member) => member === seed).length).toBeLessThanOrEqual(1);
    });
    expect(() => groupScan(x, y, { ...options, max_neighbor_distance_px: 2 })).toThrow(
      /max_neighbor_distance_px \(2\) must be larger than 2 with scan_pattern rectangular/,
    );
    expect(() => groupScan(x, y, { ...options, neighbor_function: 'nearest' })).toThrow(
      /scan_pattern rectangular says where the quadrants .* lie; with nearest leave it out/,
    );
  });

  it('one member from each quadrant, within the distances, none twice; skipped where two quadrants are empty', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: 150 }),
        fc.double({ min: 0, max: 3, noNaN: true }),
        fc.double({ min: 3.5, max: 9, noNaN: true }),
        fc.nat(1000),
        (n, min, max, seed) => {
          const [x, y] = raster(n, 3, 1.4, seed);
          const options = { ...quadrants, n_groups: n, min_neighbor_distance_px: min, max_neighbor_distance_px: max };
          const candidates = n - 1;
          const inQuadrants = (i: number) => {
            const near = [...x.keys()].filter(
              (j) => j !== i && distance(x, y, i, j) >= min && distance(x, y, i, j) < max,
            );
            return [0, 1, 2, 3].map((q) => near.filter((j) => (x[j] > x[i] ? 1 : 0) + (y[j] > y[i] ? 2 : 0) === q));
          };
          const seeds = [...x.keys()].filter((i) => inQuadrants(i).filter((list) => list.length === 0).length < 2);
          const draw = () => groupScan(x, y, { ...options, quadrant_candidates: candidates, seed });
          if (seeds.length === 0) {
            expect(draw).toThrow(/four_quadrants finds no group/);
            return;
          }
          const groups = draw();
          expect(draw()).toEqual(groups);
          expect([groups.count, groups.skipped]).toEqual([seeds.length, n - seeds.length]);
          groupsOf(groups).forEach((group, g) => {
            const lists = inQuadrants(seeds[g]);
            expect(new Set(group).size).toBe(4);
            group.forEach((member, q) => {
              expect(member === seeds[g] || lists[q].includes(member)).toBe(true);
            });
            const empty = lists.findIndex((list) => list.length === 0);
            if (empty >= 0) expect(group[empty]).toBe(seeds[g]);
          });
        },
      ),
      { numRuns: 25 },
    );
  });

  it('looks at the nearest candidates only, and draws differently for another seed', () => {
    const [x, y] = raster(400, 3, 1);
    const wide = { ...quadrants, n_groups: 100, max_neighbor_distance_px: 40 };
    const few = groupScan(x, y, { ...wide, quadrant_candidates: 8 });
    // Eight neighbours on a raster of step 3 with jitter 1 are the ring around the seed position.
    expect(few.maxRelative_px).toBeLessThan(8);
    expect(groupScan(x, y, { ...wide, quadrant_candidates: 120 }).maxRelative_px).toBeGreaterThan(8);
    expect(groupScan(x, y, { ...wide, seed: 1 }).members).not.toEqual(groupScan(x, y, wide).members);
    expect(groupScan(x, y, { ...wide, seed: 1, sequential: true }).members).toEqual(
      groupScan(x, y, { ...wide, seed: 2, sequential: true }).members,
    );
  });

  it('more groups than positions: draws at every position again', () => {
    const [x, y] = raster(49, 3, 1);
    const options = { ...quadrants, n_groups: 150 };
    expect(() => groupScan(x, y, options)).toThrow(/OVERSAMPLING-001: 150 groups.*49 scan positions/);
    const groups = groupScan(x, y, { ...options, enable_oversampling: true });
    expect(groups.count).toBe(150);
    expect(new Set(groupsOf(groups).map(String)).size).toBeGreaterThan(49);
    // The first pass is the one that a single group per position makes.
    const once = groupScan(x, y, { ...options, n_groups: 49 });
    expect([...groups.members.subarray(0, once.members.length)]).toEqual([...once.members]);
  });

  it('says what to do where no position has a group', () => {
    const [x, y] = raster(36, 6, 0);
    expect(() => groupScan(x, y, { ...base, neighbor_function: 'four_quadrants' })).toThrowError(
      expect.objectContaining({
        code: 'GROUPING',
        message:
          'neighbor_function four_quadrants finds no group: every seed position has two or more quadrants without a neighbour from 0 to 3 px away (min_neighbor_distance_px, max_neighbor_distance_px), the mean distance to the nearest is 6 px: use a larger max_neighbor_distance_px.',
      }),
    );
  });
});

describe('neighbour options', () => {
  const [x, y] = raster(36, 3, 1);
  const refused: readonly (readonly [Partial<GroupingOptions>, RegExp])[] = [
    [
      { neighbor_function: 'far' as never },
      /neighbor_function is "far", but must be nearest, min_distance or four_quad/,
    ],
    [
      { neighbor_function: 'min_distance', min_neighbor_distance_px: -1 },
      /min_neighbor_distance_px must be .* ≥ 0, got -1/,
    ],
    [{ neighbor_function: 'four_quadrants', gridsize: 3, neighbor_count: 9 }, /needs gridsize 2, not 3/],
    [{ neighbor_function: 'four_quadrants', gridsize: 1 }, /needs gridsize 2, not 1/],
    [
      { neighbor_function: 'four_quadrants', min_neighbor_distance_px: 3 },
      /max_neighbor_distance_px \(3\) must be larger than min_neighbor_distance_px \(3\)/,
    ],
    [
      { neighbor_function: 'four_quadrants', quadrant_candidates: 3 },
      /quadrant_candidates must be an integer ≥ 4.*got 3/,
    ],
  ];
  for (const [options, message] of refused) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      expect(() => groupScan(x, y, { ...base, ...options })).toThrowError(
        expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
      );
    });
  }
});

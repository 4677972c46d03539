/** Groups: index for index what the Python tools make of the same seed, and the guards. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { PtychoErrorCode } from '../../../src/core/errors.js';
import { type GroupingOptions, groupScan } from '../../../src/data/grouping/grouping.js';
import { NeighbourGrid } from '../../../src/data/grouping/neighbourGrid.js';
import { type NpzFile, openNpz } from '../../../src/formats/npz.js';
import { describeShared, sharedFile } from '../../support/shared.js';

describeShared('golden groups (a_grouping.npz)', () => {
  let npz: NpzFile;
  let x: Float64Array;
  let y: Float64Array;
  const numbers = async (key: string) => Float64Array.from((await npz.readReal(key)).data);
  beforeAll(async () => {
    npz = await openNpz(sharedFile('golden', 'a_grouping.npz'));
    x = await numbers('xcoords');
    y = await numbers('ycoords');
    return () => npz.close();
  });

  it('neighbours: indices and distances', async () => {
    const [indices, distances] = [await numbers('knn8_indices'), await numbers('knn8_dist')];
    const grid = new NeighbourGrid(x, y);
    const out = new Int32Array(8);
    for (let i = 0; i < 300; i++) {
      expect(grid.nearest(i, 8, out)).toBe(8);
      expect([...out]).toEqual([...indices.subarray(i * 8, i * 8 + 8)]);
      out.forEach((j, k) => {
        expect(Math.hypot(x[j] - x[i], y[j] - y[i])).toBeCloseTo(distances[i * 8 + k], 12);
      });
    }
  });

  for (const gridsize of [1, 2]) {
    for (const neighbor_count of [4, 7]) {
      for (const mode of ['rand0', 'rand42', 'seq']) {
        const key = `gs${gridsize}_K${neighbor_count}_${mode}`;
        it(key, async () => {
          const groups = groupScan(x, y, {
            gridsize,
            n_groups: 50,
            neighbor_count,
            ...(mode === 'seq' ? { sequential: true } : { seed: Number(mode.slice(4)) }),
          });
          const C = gridsize ** 2;
          expect([groups.count, groups.C]).toEqual([50, C]);
          expect([...groups.members]).toEqual([...(await numbers(`${key}_nn_indices`))]);
          // The golden arrays have the members last, (B, 1, 2, C); ours have [x, y] last.
          const transposed = (a: Float64Array) =>
            Float64Array.from(a, (_, i) => a[Math.floor(i / (2 * C)) * 2 * C + (i % 2) * C + (Math.floor(i / 2) % C)]);
          const close = (ours: Float64Array, golden: Float64Array) => {
            expect(ours.length).toBe(golden.length);
            ours.forEach((value, i) => {
              expect(Math.abs(value - golden[i])).toBeLessThan(1e-12);
            });
          };
          close(groups.coordsNn, transposed(await numbers(`${key}_coords_nn`)));
          close(groups.coordsRelative, transposed(await numbers(`${key}_coords_relative`)));
          close(groups.coordsOffsets, await numbers(`${key}_coords_offsets`));
          expect(groups.maxRelative_px).toBe(Math.max(...groups.coordsRelative.map(Math.abs)));
        });
      }
    }
  }

  it('oversampled: more groups than positions', async () => {
    const golden = await numbers('over_gs2_K7_n1000_nn_indices');
    const groups = groupScan(x, y, {
      gridsize: 2,
      n_groups: 1000,
      neighbor_count: 7,
      enable_oversampling: true,
      seed: 1,
    });
    expect([...groups.members]).toEqual([...golden]);
  });
});

describe('groupScan', () => {
  const raster = (n: number) =>
    [
      Float64Array.from({ length: n }, (_, i) => (i % 6) * 3 + 0.01 * i),
      Float64Array.from({ length: n }, (_, i) => Math.floor(i / 6) * 3 - 0.02 * i),
    ] as const;
  const [x, y] = raster(36);
  const base: GroupingOptions = { gridsize: 2, n_groups: 20, neighbor_count: 6 };
  const refuses = (options: Partial<GroupingOptions>, code: PtychoErrorCode, message: RegExp, n = 36) => {
    expect(() => groupScan(...raster(n), { ...base, ...options })).toThrowError(
      expect.objectContaining({ name: 'PtychoError', code, message: expect.stringMatching(message) }),
    );
  };

  it('is the same for the same seed, and for no seed', () => {
    expect(groupScan(x, y, base)).toEqual(groupScan(x, y, { ...base, seed: 0 }));
    expect(groupScan(x, y, base).members).not.toEqual(groupScan(x, y, { ...base, seed: 1 }).members);
  });

  it('offsets: relative = centre − member, and they cancel in a group', () => {
    const { count, C, members, coordsNn, coordsOffsets, coordsRelative } = groupScan(x, y, {
      ...base,
      gridsize: 3,
      neighbor_count: 12,
    });
    expect([count, C]).toEqual([20, 9]);
    for (let g = 0; g < count; g++) {
      const group = [...members.subarray(g * 9, g * 9 + 9)];
      expect(new Set(group).size).toBe(9);
      for (const axis of [0, 1]) {
        const own = group.map((m) => [x, y][axis][m]);
        const centre = own.reduce((a, b) => a + b) / 9;
        expect(coordsOffsets[g * 2 + axis]).toBeCloseTo(centre, 12);
        own.forEach((value, c) => {
          expect(coordsNn[(g * 9 + c) * 2 + axis]).toBe(value);
          expect(coordsRelative[(g * 9 + c) * 2 + axis]).toBeCloseTo(centre - value, 12);
        });
      }
    }
  });

  it('gridsize 1: every position its own group, no offsets; more groups than positions are capped with a warning', () => {
    const warnings: string[] = [];
    const logger = { info() {}, warn: (message: string) => warnings.push(message) };
    const groups = groupScan(x, y, { gridsize: 1, n_groups: 40, neighbor_count: 1, logger });
    expect([...groups.members]).toEqual([...Array(36).keys()]);
    expect(groups.maxRelative_px).toBe(0);
    expect(Object.is(groups.coordsRelative[0], 0)).toBe(true);
    expect(warnings).toEqual([expect.stringMatching(/40 groups were asked for.*36 groups/)]);
  });

  it('takes the seed itself into a group when there are no other neighbours', () => {
    const groups = groupScan(...raster(4), { gridsize: 2, n_groups: 4, neighbor_count: 7 });
    for (let g = 0; g < 4; g++) expect([...groups.members.subarray(g * 4, g * 4 + 4)].sort()).toEqual([0, 1, 2, 3]);
  });

  it('oversamples from all combinations, and repeats groups with a warning when there are not enough', () => {
    const warnings: string[] = [];
    const logger = { info() {}, warn: (message: string) => warnings.push(message) };
    const options = { ...base, enable_oversampling: true, logger };
    const enough = groupScan(x, y, { ...options, n_groups: 100, neighbor_pool_size: 8 });
    const distinct = new Set(Array.from({ length: 100 }, (_, g) => enough.members.subarray(g * 4, g * 4 + 4).join()));
    expect([distinct.size, warnings.length]).toEqual([100, 0]);
    const few = groupScan(...raster(6), { ...options, n_groups: 100, neighbor_count: 4 });
    expect(few.count).toBe(100);
    expect(warnings).toEqual([expect.stringMatching(/combine in 6 ways/)]);
    expect(groupScan(x, y, { ...options, n_groups: 100, sequential: true, seed: 5 }).members).toEqual(
      groupScan(x, y, { ...options, n_groups: 100, sequential: true, seed: 6 }).members,
    );
  });

  it('refuses groups larger than the data, too few neighbours, and silent oversampling', () => {
    refuses({}, 'GROUPING', /gridsize 2 needs 4 scan positions, but the data hold 3/, 3);
    refuses({ gridsize: 1 }, 'GROUPING', /needs 1 scan positions, but the data hold 0/, 0);
    refuses({ neighbor_count: 3 }, 'GROUPING', /neighbor_count is 3, but a group of gridsize 2 has 4 members/);
    refuses(
      { n_groups: 37 },
      'GROUPING',
      /OVERSAMPLING-001: 37 groups.*36 scan positions.*enable_oversampling.*neighbor_pool_size/,
    );
    refuses(
      { n_groups: 37, enable_oversampling: true, neighbor_pool_size: 3 },
      'GROUPING',
      /OVERSAMPLING-001: neighbor_pool_size is 3/,
    );
    refuses(
      { n_groups: 37, enable_oversampling: true, neighbor_count: 3 },
      'GROUPING',
      /OVERSAMPLING-001: neighbor_count is 3/,
    );
    for (const key of ['gridsize', 'n_groups', 'neighbor_count', 'neighbor_pool_size']) {
      for (const value of [0, 1.5, -2, Number.NaN])
        refuses({ [key]: value }, 'CONFIG_INVALID', new RegExp(`${key} must be a positive integer`));
    }
    refuses({ seed: -1 }, 'CONFIG_INVALID', /seed/);
  });
});

/** Groups: index for index what the Python tools make of the same seed, and the guards. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { PtychoErrorCode } from '../../src/core/errors.js';
import { type GroupingOptions, groupScan } from '../../src/data/grouping.js';
import { NeighbourGrid } from '../../src/data/neighbours.js';
import { type NpzFile, openNpz } from '../../src/formats/npz.js';
import { describeShared, sharedFile } from '../support/shared.js';

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
    const options = { gridsize: 2, n_groups: 1000, neighbor_count: 7, enable_oversampling: true };
    const golden = [...(await numbers('over_gs2_K7_n1000_nn_indices'))];
    const matches = [0, 1, 7, 42, 123].filter((seed) =>
      groupScan(x, y, { ...options, seed }).members.every((m, i) => m === golden[i]),
    );
    console.log(matches);
    expect(matches.length).toBe(1);
  });
});

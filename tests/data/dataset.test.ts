/** Batches: equal to what is computed directly, from memory and from disk, with and without a cache. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { DiffractionDataset } from '../../src/data/dataset.js';
import { type Groups, groupScan } from '../../src/data/grouping/grouping.js';
import { openDataset } from '../../src/data/openDataset.js';
import type { RawData } from '../../src/data/rawData.js';
import { writeNpz } from '../../src/formats/npz.js';
import { scanArrays } from '../support/scanFiles.js';

const [n, N] = [40, 8];
const arrays = scanArrays(n, N);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-dataset-'));
  await writeNpz(path.join(folder, 'stored.npz'), arrays);
  await writeNpz(path.join(folder, 'deflated.npz'), arrays, { compress: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const group = (raw: RawData, gridsize: number): Groups =>
  groupScan(raw.xcoords, raw.ycoords, { gridsize, n_groups: 25, neighbor_count: 6, seed: 3 });

/** The batch as its definition says. */
function expected(groups: Groups, indices: readonly number[], scale: number) {
  const members = indices.flatMap((g) => [...groups.members.subarray(g * groups.C, (g + 1) * groups.C)]);
  const pixels = members.flatMap((m) => [...arrays.diffraction.data.subarray(m * N * N, (m + 1) * N * N)]);
  const offsets = indices.flatMap((g) => [...groups.coordsRelative.subarray(g * groups.C * 2, (g + 1) * groups.C * 2)]);
  return {
    diffraction: {
      data: Float32Array.from(pixels, (d) => d * Math.fround(scale)),
      shape: [indices.length, groups.C, N, N],
    },
    positions: { data: Float32Array.from(offsets), shape: [indices.length, groups.C, 1, 2] },
    members: Int32Array.from(members),
  };
}

describe('DiffractionDataset', () => {
  const sources: Record<string, () => Promise<RawData>> = {
    'from memory': async () =>
      rawDataFromArrays({
        diffraction: arrays.diffraction,
        xcoords: arrays.xcoords.data,
        ycoords: arrays.ycoords.data,
      }),
    'from an uncompressed file': () => openDataset(path.join(folder, 'stored.npz')),
    'from a compressed file': () => openDataset(path.join(folder, 'deflated.npz')),
  };
  for (const [name, open] of Object.entries(sources)) {
    for (const gridsize of [1, 2]) {
      for (const cacheBytes of [undefined, 0]) {
        it(`${name}, gridsize ${gridsize}${cacheBytes === 0 ? ', without cache' : ''}`, async () => {
          const raw = await open();
          try {
            const groups = group(raw, gridsize);
            const dataset = new DiffractionDataset(raw, groups, 0.37, { cacheBytes });
            expect([dataset.size, dataset.C, dataset.N]).toEqual([25, gridsize ** 2, N]);
            // Repeats, overlaps with what was read before, a last partial batch, all under way at once.
            const requests = [[0, 1, 2, 3], [3, 2, 7, 7], [24], [], [...Array(25).keys()]];
            const batches = await Promise.all(requests.map((indices) => dataset.batch(indices)));
            batches.forEach((batch, i) => {
              expect(batch).toEqual(expected(groups, requests[i], 0.37));
            });
            expect(await dataset.batch([5, 0])).toEqual(expected(groups, [5, 0], 0.37));
            expect(batches[0]).toEqual(expected(groups, requests[0], 0.37));
          } finally {
            await raw.close();
          }
        });
      }
    }
  }

  it('reads every pattern from disk once when the cache may hold them, every time when not', async () => {
    const raw = await openDataset(path.join(folder, 'stored.npz'));
    try {
      let read = 0;
      const patterns = {
        ...raw.patterns,
        resident: false,
        readAmplitudes: (indices: ArrayLike<number>, out: Float32Array) => {
          read += indices.length;
          return raw.patterns.readAmplitudes(indices, out);
        },
        close: async () => {},
      };
      const groups = group(raw, 2);
      const used = new Set(groups.members).size;
      const batches = Array.from({ length: 7 }, (_, b) => [0, 1, 2, 3].map((i) => 4 * b + i).filter((g) => g < 25));
      // A pattern that is in a batch more than once is read once for it.
      const perEpoch = batches.reduce((sum, [g]) => sum + new Set(groups.members.subarray(4 * g, 4 * g + 16)).size, 0);
      expect(perEpoch).toBeLessThan(100);
      for (const [cacheBytes, expectedReads] of [
        [used * N * N * 4, used],
        [used * N * N * 4 - 1, 3 * perEpoch],
      ]) {
        read = 0;
        const dataset = new DiffractionDataset({ ...raw, patterns }, groups, 1, { cacheBytes });
        for (let epoch = 0; epoch < 3; epoch++) {
          for (const indices of batches) await dataset.batch(indices);
        }
        expect(read).toBe(expectedReads);
      }
    } finally {
      await raw.close();
    }
  });

  it('the canvas holds every patch of a group and is never smaller than a pattern', async () => {
    const raw = await sources['from memory']();
    expect(new DiffractionDataset(raw, group(raw, 1), 1).canvasSide_px).toBe(N);
    const groups = group(raw, 2);
    const side = new DiffractionDataset(raw, groups, 1).canvasSide_px;
    expect(side).toBe(N + 2 * Math.ceil(groups.maxRelative_px));
    expect(side % 2).toBe(0);
    expect((side - N) / 2).toBeGreaterThanOrEqual(Math.max(...groups.coordsRelative.map(Math.abs)));
  });

  it('refuses groups that do not exist and scales that mean nothing', async () => {
    const raw = await sources['from memory']();
    const dataset = new DiffractionDataset(raw, group(raw, 1), 1);
    for (const g of [25, -1, 0.5]) {
      await expect(dataset.batch([g])).rejects.toMatchObject({
        message: expect.stringMatching(/no group .* among 25/),
      });
    }
    for (const scale of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => new DiffractionDataset(raw, group(raw, 1), scale)).toThrow(/input scale must be a positive number/);
    }
  });
});

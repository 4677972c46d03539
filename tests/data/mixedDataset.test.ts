/** Groups of several scans as one data set, and what of them stays in memory. */
import { describe, expect, it } from 'vitest';
import { dataConfigSchema } from '../../src/config/schemas/data.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { surveyScan } from '../../src/data/findings/survey.js';
import { hasPairs, MixedDataset } from '../../src/data/mixedDataset.js';
import type { PatternSource } from '../../src/data/patternSource.js';
import { prepareScan, type ScanRequest } from '../../src/data/preparedScan.js';
import type { RawData } from '../../src/data/rawData.js';

const N = 16;

/** Patterns that tell which they are: the pixel of the beam holds their number. */
function scan(first: number, count: number): RawData {
  const side = Math.ceil(Math.sqrt(count));
  const diffraction = new Float32Array(count * N * N).fill(1);
  for (let i = 0; i < count; i++) diffraction[i * N * N + (N / 2) * N + N / 2] = first + i;
  return rawDataFromArrays({
    diffraction: { data: diffraction, shape: [count, N, N] },
    xcoords: Float64Array.from({ length: count }, (_, i) => 4 * (i % side)),
    ycoords: Float64Array.from({ length: count }, (_, i) => 4 * Math.floor(i / side)),
  });
}

const request: ScanRequest = {
  ...{ n_groups: null, n_subsample: null, subsample_seed: null, sequential_sampling: false, neighbor_count: 4 },
  ...{ enable_oversampling: false, neighbor_pool_size: null, seed: 0, probe: null, measurement_domain: null },
  data: dataConfigSchema.parse({}),
};

/** The same scan from a source that is read every time, and how many patterns were. */
function streamed(raw: RawData): { raw: RawData; read: () => number } {
  let read = 0;
  const { patterns } = raw;
  const source: PatternSource = {
    ...{ count: patterns.count, N: patterns.N, domain: patterns.domain, storedDtype: patterns.storedDtype },
    resident: false,
    readAmplitudes: (indices, out, scale) => {
      read += indices.length;
      return patterns.readAmplitudes(indices, out, scale);
    },
    readStored: (indices, out) => patterns.readStored(indices, out),
    close: () => patterns.close(),
  };
  return { raw: { ...raw, patterns: source }, read: () => read };
}

describe('several scans as one data set', () => {
  it.each([1, 2])('has the groups of all, in any order, gridsize %d', async (gridsize) => {
    const scans = [
      await prepareScan(scan(100, 30), request, gridsize),
      await prepareScan(scan(500, 20), request, gridsize),
    ];
    const mixed = new MixedDataset(scans.map(({ dataset }) => dataset));
    const [first, second] = scans;
    expect(mixed.size).toBe(first.groups.count + second.groups.count);
    const places = [mixed.parts[1].firstGroup + 3, 2, mixed.parts[1].firstGroup];
    const batch = await mixed.batch(places);
    const alone = [await second.dataset.batch([3]), await first.dataset.batch([2]), await second.dataset.batch([0])];
    const [C, area] = [gridsize ** 2, gridsize ** 2 * N * N];
    alone.forEach((own, b) => {
      expect(batch.diffraction.data.subarray(b * area, (b + 1) * area)).toEqual(own.diffraction.data);
      expect(batch.positions.data.subarray(2 * b * C, 2 * (b + 1) * C)).toEqual(own.positions.data);
      // Members are counted through all scans, and none is of another scan than its group.
      const offset = b === 1 ? 0 : first.raw.count;
      const members = Array.from(batch.members.subarray(b * C, (b + 1) * C));
      expect(members).toEqual(Array.from(own.members, (m) => m + offset));
      expect(members.map((m) => mixed.raw.xcoords[m])).toEqual(
        Array.from(own.members, (m) => (b === 1 ? first : second).raw.xcoords[m]),
      );
    });
    expect(batch.scan).toEqual({ data: Float32Array.of(0, 1, 1, 0, 0, 1), shape: [3, 2] });
    expect(hasPairs(batch)).toBe(true);
    expect(hasPairs(await mixed.batch(places.slice(0, 2)))).toBe(false);
  });

  it('keeps apart the scans of one file, which scan_index tells', async () => {
    const raw = scan(1, 30);
    // Two scans at the same places.
    const twice = rawDataFromArrays({
      diffraction: { data: new Float32Array(60 * N * N).fill(1), shape: [60, N, N] },
      xcoords: [...raw.xcoords, ...raw.xcoords],
      ycoords: [...raw.ycoords, ...raw.ycoords],
      scanIndex: Array.from({ length: 60 }, (_, i) => (i < 30 ? 3 : 7)),
    });
    const { groups } = await prepareScan(twice, request, 2);
    expect(groups.count).toBe(60);
    for (let g = 0; g < groups.count; g++) {
      const own = Array.from(groups.members.subarray(4 * g, 4 * g + 4), (m) => twice.scanIndex[m]);
      expect(new Set(own).size).toBe(1);
    }
    expect(groups.coordsNn[0]).toBe(twice.xcoords[groups.members[0]]);
    const lonely = { ...twice, scanIndex: twice.scanIndex.map((_, i) => (i < 2 ? 3 : 7)) };
    await expect(prepareScan(lonely, request, 2)).rejects.toThrow(/holds 2 scans .* too few positions for groups of 4/);
  });

  it('refuses scans of two sizes, and groups that do not exist', async () => {
    const [one, two] = [await prepareScan(scan(1, 20), request, 1), await prepareScan(scan(1, 20), request, 2)];
    expect(() => new MixedDataset([one.dataset, two.dataset])).toThrow(/groups of 4 patterns.*one network takes/);
    const mixed = new MixedDataset([one.dataset, one.dataset]);
    await expect(mixed.batch([40])).rejects.toMatchObject({ code: 'DATASET_SHAPE' });
  });

  it('keeps no more patterns of a scan than its share, and reads the others when a batch needs them', async () => {
    const bytes = N * N * 4;
    for (const [keepBytes, again] of [
      [0, 40],
      [10 * bytes, 30],
      [40 * bytes, 0],
    ] as const) {
      const { raw, read } = streamed(scan(1, 40));
      const surveyed = await surveyScan(raw, { keepBytes });
      const prepared = await prepareScan(surveyed, request, 1, undefined, { keepBytes });
      const mixed = new MixedDataset([prepared.dataset]);
      const before = read();
      for (let g = 0; g < 40; g += 8) await mixed.batch([g, g + 1, g + 2, g + 3, g + 4, g + 5, g + 6, g + 7]);
      expect(read() - before).toBe(again);
    }
  });
});

/** Normalisation against the golden arrays, and its defining property. */
import { describe, expect, it } from 'vitest';
import { DiffractionDataset } from '../../src/data/dataset.js';
import { groupScan } from '../../src/data/grouping.js';
import { groupedStatistics, measureStatistics } from '../../src/data/normalise.js';
import { ArrayPatterns } from '../../src/data/patternSource.js';
import { rawDataFromArrays } from '../../src/data/rawData.js';
import { openNpz } from '../../src/formats/npz.js';
import { scanArrays } from '../support/scanFiles.js';
import { describeShared, sharedFile } from '../support/shared.js';

describeShared('golden normalisation (a_grouping.npz)', () => {
  for (const key of ['gs1_K4_seq', 'gs2_K4_seq', 'gs2_K7_seq', 'gs1_K7_seq']) {
    it(`${key}_X_full`, async () => {
      const npz = await openNpz(sharedFile('golden', 'a_grouping.npz'));
      try {
        const [gridsize, neighbor_count] = [Number(key[2]), Number(key[5])];
        const golden = await npz.readReal(`${key}_X_full`);
        const raw = rawDataFromArrays({
          diffraction: await npz.readReal('diff3d'),
          xcoords: (await npz.readReal('xcoords')).data,
          ycoords: (await npz.readReal('ycoords')).data,
        });
        const groups = groupScan(raw.xcoords, raw.ycoords, {
          gridsize,
          n_groups: 50,
          neighbor_count,
          sequential: true,
        });
        const { inputScale } = await groupedStatistics(raw.patterns, groups);
        const { diffraction } = await new DiffractionDataset(raw, groups, inputScale).batch([...Array(50).keys()]);
        // Golden: (B, N, N, C); ours: (B, C, N, N).
        const [C, N] = [groups.C, raw.N];
        expect(golden.shape).toEqual([50, N, N, C]);
        diffraction.data.forEach((value, i) => {
          const [b, c, pixel] = [Math.floor(i / (C * N * N)), Math.floor(i / (N * N)) % C, i % (N * N)];
          const expected = golden.data[(b * N * N + pixel) * C + c];
          expect(Math.abs(value - expected)).toBeLessThanOrEqual(1e-6 * Math.abs(expected));
        });
      } finally {
        await npz.close();
      }
    });
  }
});

describe('statistics', () => {
  it('mean power, largest amplitude, and the scale that makes the mean power (N/2)²', async () => {
    const patterns = new ArrayPatterns(Float32Array.of(1, 2, 0, 2, 3, 0, 0, 4), 2, 'count_amplitude', { path: 'p' });
    expect(await measureStatistics(patterns)).toEqual({
      count: 2,
      meanPower: 17,
      meanCountsPerPixel: 4.25,
      maxAmplitude: 4,
      inputScale: Math.sqrt(1 / 17),
      meanAmplitude: (Math.sqrt(1 / 17) * 12) / 8,
    });
    expect(await measureStatistics(patterns, [1])).toMatchObject({ count: 1, meanPower: 25 });
  });

  it('counts are squared amplitudes, whatever is stored', async () => {
    const { data } = scanArrays(30, 8).diffraction;
    const counts = Uint16Array.from(data, (d) => Math.round(d * d));
    const a = await measureStatistics(new ArrayPatterns(data, 8, 'count_amplitude', { path: 'a' }));
    const b = await measureStatistics(new ArrayPatterns(counts, 8, 'count_intensity', { path: 'b' }));
    expect(b.meanPower).toBeCloseTo(counts.reduce((sum, k) => sum + k, 0) / 30, 2);
    expect(b.inputScale).toBeCloseTo(a.inputScale, 9);
  });

  it('does not overflow where 16-bit arithmetic would', async () => {
    const counts = new Uint16Array(16).fill(65535);
    const bright = new ArrayPatterns(counts, 4, 'normalized_amplitude', { path: 'a' });
    expect((await measureStatistics(bright)).meanPower).toBe(16 * 65535 ** 2);
  });

  it('grouped patterns count as often as they occur in groups', async () => {
    const patterns = new ArrayPatterns(Float32Array.of(1, 2, 3), 1, 'normalized_amplitude', { path: 'p' });
    const groups = {
      ...groupScan(new Float64Array(3), new Float64Array(3), { gridsize: 1, n_groups: 3, neighbor_count: 1 }),
    };
    const some = { ...groups, members: Int32Array.of(2, 0, 2, 2) };
    expect(await groupedStatistics(patterns, some)).toMatchObject({
      count: 4,
      meanPower: (1 + 3 * 9) / 4,
      maxAmplitude: 3,
    });
  });

  it('reads in pieces: many large patterns', async () => {
    const N = 512;
    const data = new Float32Array(20 * N * N).fill(0.5);
    let largest = 0;
    const source = new ArrayPatterns(data, N, 'normalized_amplitude', { path: 'p' });
    const watched = {
      ...source,
      count: 20,
      readAmplitudes: (indices: ArrayLike<number>, out: Float32Array) => {
        largest = Math.max(largest, out.length);
        return source.readAmplitudes(indices, out);
      },
      close: () => source.close(),
    };
    expect((await measureStatistics(watched)).meanPower).toBe(N * N * 0.25);
    expect(largest).toBeLessThanOrEqual(1 << 21);
  });

  it('refuses patterns that are all dark', async () => {
    const dark = new ArrayPatterns(new Float32Array(32), 4, 'count_amplitude', { path: 'p' });
    await expect(measureStatistics(dark)).rejects.toMatchObject({
      code: 'DATASET_VALUE',
      message: expect.stringMatching(/All 2 patterns are dark/),
    });
  });
});

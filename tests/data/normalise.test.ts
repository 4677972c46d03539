/** Normalisation against the golden arrays, and its defining property. */
import { describe, expect, it } from 'vitest';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { DiffractionDataset } from '../../src/data/dataset.js';
import { groupScan } from '../../src/data/grouping/grouping.js';
import { groupedStatistics, measureStatistics } from '../../src/data/normalise.js';
import type { MeasurementDomain } from '../../src/data/opening/measurementDomain.js';
import { FramePatterns, framesInMemory } from '../../src/data/patternSource.js';
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

/** Patterns of N×N in memory. */
function patternsOf(data: Float32Array | Uint16Array, N: number, domain: MeasurementDomain) {
  const dtype = data instanceof Uint16Array ? 'uint16' : 'float32';
  const shape = [data.length / (N * N), N, N];
  return new FramePatterns(framesInMemory(data, shape, dtype, { path: 'p' }), domain);
}

describe('statistics', () => {
  it('mean power, largest amplitude, and the scale that makes the mean power (N/2)²', async () => {
    const patterns = patternsOf(Float32Array.of(1, 2, 0, 2, 3, 0, 0, 4), 2, 'count_amplitude');
    expect(await measureStatistics(patterns)).toEqual({
      count: 2,
      meanPower: 17,
      meanCountsPerPixel: 4.25,
      meanSquaredIntensity: 185,
      maxAmplitude: 4,
      // 3 + 4, of the second.
      maxAmplitudeSum: 7,
      inputScale: Math.sqrt(1 / 17),
      meanAmplitude: (Math.sqrt(1 / 17) * 12) / 8,
    });
    expect(await measureStatistics(patterns, [1])).toMatchObject({ count: 1, meanPower: 25 });
  });

  it('counts are squared amplitudes, whatever is stored', async () => {
    const { data } = scanArrays(30, 8).diffraction;
    const counts = Uint16Array.from(data, (d) => Math.round(d * d));
    const a = await measureStatistics(patternsOf(data, 8, 'count_amplitude'));
    const b = await measureStatistics(patternsOf(counts, 8, 'count_intensity'));
    expect(b.meanPower).toBeCloseTo(counts.reduce((sum, k) => sum + k, 0) / 30, 2);
    expect(b.inputScale).toBeCloseTo(a.inputScale, 9);
  });

  it('does not overflow where 16-bit arithmetic would', async () => {
    const counts = new Uint16Array(16).fill(65535);
    const bright = patternsOf(counts, 4, 'normalized_amplitude');
    expect((await measureStatistics(bright)).meanPower).toBe(16 * 65535 ** 2);
  });

  it('grouped patterns count as often as they occur in groups', async () => {
    const patterns = patternsOf(Float32Array.of(1, 2, 3), 1, 'normalized_amplitude');
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
    const source = patternsOf(data, N, 'normalized_amplitude');
    const watched = {
      count: 20,
      N,
      domain: source.domain,
      resident: true,
      storedDtype: source.storedDtype,
      readStored: source.readStored.bind(source),
      readAmplitudes: (indices: ArrayLike<number>, out: Float32Array) => {
        largest = Math.max(largest, out.length);
        return source.readAmplitudes(indices, out);
      },
      close: () => source.close(),
    };
    expect((await measureStatistics(watched)).meanPower).toBe(N * N * 0.25);
    expect(largest).toBeLessThanOrEqual(1 << 21);
  });

  it('leaves bad pixels out of every sum and mean', async () => {
    // Two patterns of 2×2 whose last pixel is bad and hot.
    const patterns = patternsOf(Float32Array.of(1, 2, 0, 90, 3, 0, 0, 80), 2, 'count_amplitude');
    const badPixels = Uint8Array.of(0, 0, 0, 1);
    const expected = {
      count: 2,
      meanPower: 7,
      meanCountsPerPixel: 7 / 3,
      // 1 + 16 and 81
      meanSquaredIntensity: 49,
      maxAmplitude: 3,
      maxAmplitudeSum: 3,
      inputScale: Math.sqrt(1 / 7),
      meanAmplitude: (Math.sqrt(1 / 7) * 6) / 6,
    };
    expect(await measureStatistics(patterns, undefined, { badPixels })).toEqual(expected);
    expect(await groupedStatistics(patterns, { members: Int32Array.of(0, 1) }, { badPixels })).toEqual(expected);
    const none = { badPixels: new Uint8Array(4) };
    expect(await measureStatistics(patterns, undefined, none)).toEqual(await measureStatistics(patterns));
    await expect(measureStatistics(patterns, undefined, { badPixels: new Uint8Array(9) })).rejects.toMatchObject({
      code: 'DATASET_SHAPE',
      message: 'The bad-pixel mask has 9 pixels, but the patterns have 2×2; it must have one value for each.',
    });
    await expect(measureStatistics(patterns, undefined, { badPixels: [1, 1, 1, 1] })).rejects.toMatchObject({
      code: 'DATASET_VALUE',
      message: expect.stringMatching(/marks every pixel/),
    });
  });

  it('refuses patterns that are all dark', async () => {
    const dark = patternsOf(new Float32Array(32), 4, 'count_amplitude');
    await expect(measureStatistics(dark)).rejects.toMatchObject({
      code: 'DATASET_VALUE',
      message: expect.stringMatching(/All 2 patterns are dark/),
    });
  });
});

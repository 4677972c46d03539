/** Kept patterns and reads in file order: the same pixels, fewer reads. */

import { describe, expect, it } from 'vitest';
import { groupedStatistics } from '../../src/data/normalise.js';
import { keepFirstPatterns, keepPatterns, readInFileOrder } from '../../src/data/patternCache.js';
import type { PatternSource } from '../../src/data/patternSource.js';
import fc from '../support/fastCheck.js';

/** n patterns of 2×2 whose pixels all are the pattern's number + 1, and the requests that reached them. */
function source(n: number, resident = false) {
  const requests: number[][] = [];
  const patterns: PatternSource = {
    count: n,
    N: 2,
    domain: 'normalized_amplitude',
    storedDtype: 'float32',
    resident,
    async readAmplitudes(indices, out, scale = 1) {
      requests.push(Array.from(indices));
      for (let i = 0; i < indices.length; i++) out.fill((indices[i] + 1) * scale, 4 * i, 4 * i + 4);
    },
    async readStored(indices, out) {
      await this.readAmplitudes(indices, out);
    },
    async close() {},
  };
  return { patterns, requests };
}
const read = async (from: PatternSource, indices: readonly number[]) => {
  const out = new Float32Array(indices.length * 4);
  await from.readAmplitudes(indices, out);
  return [...out];
};
const pixels = (indices: readonly number[]) => indices.flatMap((i) => [i + 1, i + 1, i + 1, i + 1]);

describe('readInFileOrder', () => {
  it('asks for ascending indices, each once, and delivers in the order asked for', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(20), { maxLength: 40 }), async (indices) => {
        const { patterns, requests } = source(21);
        const out = new Float32Array(indices.length * 4);
        await readInFileOrder(patterns, indices, out);
        expect([...out]).toEqual(pixels(indices));
        expect(requests).toEqual([[...new Set(indices)].sort((a, b) => a - b)]);
      }),
    );
  });

  it('passes a scale on, with kept patterns too', async () => {
    const { patterns } = source(9);
    const kept = keepPatterns(patterns, [1, 2, 7]);
    for (const from of [patterns, kept, kept]) {
      for (const indices of [
        [7, 2, 2],
        [1, 7],
        [8, 1],
      ]) {
        const out = new Float32Array(indices.length * 4);
        await readInFileOrder(from, indices, out, 0.5);
        expect([...out]).toEqual(pixels(indices).map((v) => v / 2));
      }
    }
  });

  it('leaves the order to a source that is in memory', async () => {
    const { patterns, requests } = source(9, true);
    await readInFileOrder(patterns, [7, 2, 2], new Float32Array(12));
    expect(requests).toEqual([[7, 2, 2]]);
  });
});

describe('keepPatterns', () => {
  it('reads each pattern once, whatever is asked for, in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.nat(20), { maxLength: 12 }), { maxLength: 8 }), async (batches) => {
        const { patterns, requests } = source(21);
        const kept = keepPatterns(patterns, batches.flat());
        expect(kept).toMatchObject({ count: 21, N: 2, domain: 'normalized_amplitude', storedDtype: 'float32' });
        for (const batch of batches) expect(await read(kept, batch)).toEqual(pixels(batch));
        const asked = requests.flat();
        expect(asked.length).toBe(new Set(batches.flat()).size);
        expect(new Set(asked)).toEqual(new Set(batches.flat()));
      }),
    );
  });

  it('is filled by the pass that measures the patterns', async () => {
    const { patterns, requests } = source(12);
    const members = Int32Array.of(3, 5, 5, 9, 0, 11);
    const kept = keepPatterns(patterns, members);
    await groupedStatistics(kept, { members });
    expect(requests).toEqual([[0, 3, 5, 9, 11]]);
    expect(await read(kept, [...members])).toEqual(pixels([...members]));
    expect(requests.length).toBe(1);
  });

  it('keeps nothing that is too large or in memory already, and reads others through', async () => {
    const { patterns, requests } = source(10);
    // Three distinct patterns of 16 bytes.
    expect(keepPatterns(patterns, [1, 2, 2, 3], 47)).toBe(patterns);
    const kept = keepPatterns(patterns, [1, 2, 2, 3], 48);
    expect(kept).not.toBe(patterns);
    expect(keepPatterns(kept, [1])).toBe(kept);
    expect(await read(kept, [8, 1, 1])).toEqual(pixels([8, 1, 1]));
    expect(await read(kept, [1])).toEqual(pixels([1]));
    expect(requests).toEqual([[1, 8], [1]]);
    const out = new Float32Array(4);
    await kept.readStored([4], out);
    expect([...out]).toEqual(pixels([4]));
  });
});

describe('keepFirstPatterns', () => {
  it('reads what fits once, and the rest every time', async () => {
    const { patterns, requests } = source(6);
    const kept = keepFirstPatterns(patterns, [5, 0, 1, 2, 3, 4], 3 * 16);
    expect(await read(kept, [0, 1, 2, 3, 4, 5])).toEqual(pixels([0, 1, 2, 3, 4, 5]));
    requests.length = 0;
    expect(await read(kept, [4, 1, 1, 5, 0])).toEqual(pixels([4, 1, 1, 5, 0]));
    expect(await read(kept, [2, 0])).toEqual(pixels([2, 0]));
    expect(requests).toEqual([[4, 5]]);
    expect(kept.resident).toBe(false);
  });

  it('keeps nothing where nothing fits, and all where all does', async () => {
    const { patterns } = source(4);
    expect(keepFirstPatterns(patterns, [0, 1], 15)).toBe(patterns);
    expect(keepFirstPatterns(patterns, [0, 1], 32).resident).toBe(true);
  });
});

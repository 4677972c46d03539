/** A damaged global heap is an error; the library alone would read it for ever. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHdf5 } from '../../../src/formats/hdf5/file.js';
import { globalHeapsAreSound } from '../../../src/formats/hdf5/globalHeap.js';
import { formatFixtures } from '../../support/formatFixtures.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-heap-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a global heap', () => {
  it('of sound files passes, whole or as far as it was read', async () => {
    const bytes = await readFile(path.join(formatFixtures, 'bundle.h5'));
    const at = bytes.indexOf('GCOL');
    expect(at).toBeGreaterThan(0);
    for (const length of [4, 16, 40, 100, 4096, bytes.length - at]) {
      expect(globalHeapsAreSound(bytes.subarray(at, at + length)), `${length} bytes`).toBe(true);
    }
    expect(globalHeapsAreSound(new Uint8Array(10))).toBe(true);
  });

  it('with an object of no size, or larger than the heap, is refused when an attribute in it is read', async () => {
    const sound = await readFile(path.join(formatFixtures, 'bundle.h5'));
    const heap = sound.indexOf('GCOL');
    const cases: ((b: Buffer) => void)[] = [
      // What is free says that it has no size.
      (b) => b.fill(0, heap + 120, heap + 136),
      // The second object reaches beyond the end.
      (b) => b.writeUInt32LE(5000, heap + 48),
      (b) => b.writeBigUInt64LE(0xfffffffffffffff0n, heap + 48),
    ];
    for (const damage of cases) {
      const bytes = Buffer.from(sound);
      damage(bytes);
      expect(globalHeapsAreSound(bytes)).toBe(false);
      const file = path.join(folder, 'damaged.h5');
      await writeFile(file, bytes);
      const h5 = await openHdf5(file);
      try {
        expect(() => h5.attributes('/')).toThrow(/damaged/);
      } finally {
        h5.close();
      }
    }
  });
});

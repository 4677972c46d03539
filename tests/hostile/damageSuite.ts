/** Damaged copies of scan files of every format are read or refused with a sentence; how many is for the caller to say. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAll, readDamaged, SCANS, scanFolder } from './mutate.js';

/** @param copies of each file. */
export function describeDamage(copies: number): void {
  let place: Awaited<ReturnType<typeof scanFolder>>;
  beforeAll(async () => {
    place = await scanFolder();
  });
  afterAll(() => place.remove());

  describe.each(SCANS)('%s', (name, options) => {
    it('is sound to begin with', () => readAll(path.join(place.folder, name), options));

    it('is read or refused when damaged', async () => {
      const { read, refused } = await readDamaged(path.join(place.folder, name), options, copies, 7);
      expect(read + refused).toBe(copies);
      expect(refused).toBeGreaterThan(0);
    });
  });
}

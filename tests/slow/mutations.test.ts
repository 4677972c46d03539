/** Damaged copies of scan files of every format are read or refused with a sentence, a thousand of each. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAll, readDamaged, SCANS, scanFolder } from '../hostile/mutate.js';

const COPIES = process.env.PTYCHOPINN_SLOW_SAMPLE === '1' ? 150 : 1000;
let place: Awaited<ReturnType<typeof scanFolder>>;
beforeAll(async () => {
  place = await scanFolder();
});
afterAll(() => place.remove());

describe.each(SCANS)('%s', (name, options) => {
  it('is sound to begin with', () => readAll(path.join(place.folder, name), options));

  it('is read or refused when damaged', async () => {
    const { read, refused } = await readDamaged(path.join(place.folder, name), options, COPIES, 7);
    expect(read + refused).toBe(COPIES);
    expect(refused).toBeGreaterThan(0);
  });
});

/** A thousand damaged copies of each scan file open or are refused with a sentence. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDamaged, scanFixtures } from '../hostile/mutate.js';

const COPIES = process.env.PTYCHOPINN_SLOW_SAMPLE === '1' ? 100 : 1000;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-damaged-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.each(await scanFixtures())('%s', async (file) => {
  const { opened, refused } = await openDamaged(file, folder, COPIES, 11);
  expect(opened + refused).toBe(COPIES);
});

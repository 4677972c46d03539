/** Damaged copies of scan files of every format open or are refused with a sentence; a sample, thousands in `test:slow`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDamaged, scanFixtures } from './mutate.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-damaged-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.each(await scanFixtures())('%s', async (file) => {
  const { opened, refused } = await openDamaged(file, folder, 25, 7);
  expect(opened + refused).toBe(25);
  expect(refused).toBeGreaterThan(0);
});

/**
 * Damaged copies of products: verifying refuses every one, opening every one whose content is another; nothing crashes, hangs or
 * takes memory. How many is for the caller to say.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import { writeProductFile } from '../../../src/persistence/product/writeProduct.js';
import { mutate } from '../../hostile/mutate.js';
import { sampleProduct, sampleRawData } from './sampleProduct.js';

interface Found {
  readonly opened: number;
  readonly refused: number;
  readonly changed: readonly string[];
  readonly verified: readonly string[];
  readonly odd: readonly string[];
  readonly grownBytes: number;
}

const script = fileURLToPath(new URL('./openDamaged.mjs', import.meta.url));
const PRODUCTS = [
  ['product.h5', sampleProduct(40)],
  ['raw.h5', { ...sampleProduct(), raw_data: sampleRawData() }],
  ['product.npz', sampleProduct(40)],
] as const;

/** @param copies of each product. */
export function describeProductDamage(copies: number): void {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-product-damage-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  describe.each(PRODUCTS)('damaged copies of %s', (name, product) => {
    const timeout = 60_000 + 2000 * copies;
    it('are refused, or have the same content and do not pass verification', { timeout }, async () => {
      const sound = path.join(folder, name);
      await writeProductFile(sound, product);
      const bytes = await readFile(sound);
      const damaged = path.join(folder, `${name}-damaged`);
      await mkdir(damaged);
      const rng = new LegacyRng(23);
      for (let i = 0; i < copies; i++) {
        let copy = mutate(bytes, rng);
        while (copy.equals(bytes)) copy = mutate(bytes, rng);
        await writeFile(path.join(damaged, `${String(i).padStart(4, '0')}${path.extname(name)}`), copy);
      }
      const words = ['--expose-gc', script, sound, damaged];
      const { stdout } = await promisify(execFile)(process.execPath, words, { timeout });
      const found = JSON.parse(stdout.trim().split('\n').at(-1)!) as Found;
      expect(found.odd).toEqual([]);
      expect(found.changed).toEqual([]);
      expect(found.verified).toEqual([]);
      expect(found.opened + found.refused).toBe(copies);
      expect(found.refused).toBeGreaterThan(copies / 3);
      expect(found.grownBytes).toBeLessThan((64 << 20) + bytes.length);
    });
  });
}

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decode } from 'tiff';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TiffFile } from '../../src/formats/tiff.js';
import { TiffWriter } from '../../src/formats/tiffWrite.js';

let folder = '';
const at = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-tiff-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const page = (rows: number, cols: number, k: number) =>
  Float32Array.from({ length: rows * cols }, (_, i) => (i === 2 ? Number.NaN : 1e-3 * i - k));

describe('TiffWriter', () => {
  it.each([false, true])('writes pages that our reader and the tiff package read; BigTIFF %s', async (big) => {
    const name = at(`stack-${big}.tif`);
    const file = await TiffWriter.create(name, { rows: 5, cols: 7, pages: 3, big, description: { unit: 'rad' } });
    const pages = [0, 1, 2].map((k) => page(5, 7, k));
    for (const one of pages) await file.append(one);
    await file.close();
    const opened = await TiffFile.open(name);
    try {
      expect(opened.pages.map(({ dtype, width, height }) => [dtype, width, height])).toEqual(
        pages.map(() => ['float32', 7, 5]),
      );
      for (const [k, one] of pages.entries()) expect((await opened.read(k)).data).toEqual(one);
    } finally {
      await opened.close();
    }
    if (!big) expect(decode(await readFile(name)).map(({ data }) => data)).toEqual(pages);
  });

  it('keeps the size of a pixel and what is told of the image', async () => {
    const pixel_m = { x: 7.7e-9, y: 3.2e-8 };
    const description = { unit: 'rad', sources: ['Schäfer/θ 1'] };
    const file = await TiffWriter.create(at('one.tif'), { rows: 3, cols: 4, pages: 1, description, pixel_m });
    await file.append(page(3, 4, 0));
    await file.close();
    const [image] = decode(await readFile(at('one.tif')));
    expect(image.resolutionUnit).toBe(3);
    expect(0.01 / image.xResolution / pixel_m.x).toBeCloseTo(1, 6);
    expect(0.01 / image.yResolution / pixel_m.y).toBeCloseTo(1, 6);
    expect(image.imageDescription).toMatch(/^[\x20-\x7e]*$/);
    expect(JSON.parse(image.imageDescription ?? '')).toEqual({ pages: 1, rows: 3, columns: 4, ...description });
  });

  it('leaves nothing of a file that was not finished, or got other pages than it was begun for', async () => {
    const file = await TiffWriter.create(at('cut.tif'), { rows: 2, cols: 2, pages: 2 });
    await file.append(new Float32Array(4));
    await expect(file.append(new Float32Array(6))).rejects.toMatchObject({ code: 'DATASET_SHAPE' });
    await expect(file.close()).rejects.toMatchObject({ code: 'DATASET_SHAPE' });
    await expect(TiffWriter.create(at('no/where.tif'), { rows: 1, cols: 1, pages: 1 })).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
    expect((await readdir(folder)).filter((name) => name.includes('cut'))).toEqual([]);
  });
});

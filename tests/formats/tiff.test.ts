/** TIFF: every pixel type, byte order and compression that is read, and files that lie. */
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPtychoError } from '../../src/core/errors.js';
import { TiffFile } from '../../src/formats/tiff.js';
import fc from '../support/fastCheck.js';
import { describeFixtures, formatFixtures, refuses, truthOf } from '../support/formatFixtures.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-tiff-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const scratch = (name: string) => path.join(folder, name);

async function using<T>(name: string, work: (file: TiffFile) => Promise<T>): Promise<T> {
  const file = await TiffFile.open(name);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

describeFixtures('TiffFile', (file) => {
  it('reads every pixel type in both byte orders', async () => {
    const counts = (await truthOf(file)).real('counts').data.subarray(0, 256);
    const expected = Array.from(counts, (v) => v % 200);
    const types = { u1: 'uint8', u2: 'uint16', u4: 'uint32', i2: 'int16', i4: 'int32', f4: 'float32', f8: 'float64' };
    for (const [code, dtype] of Object.entries(types)) {
      for (const order of ['le', 'be']) {
        await using(file(`pixels_${order}_${code}.tif`), async (tiff) => {
          expect(tiff.pages[0]).toMatchObject({ width: 16, height: 16, dtype, compression: 5 });
          const { data, shape } = await tiff.read(0);
          expect(data[Symbol.toStringTag].toLowerCase()).toBe(`${dtype}array`);
          expect({ data: Array.from(data), shape }).toEqual({ data: expected, shape: [16, 16] });
        });
      }
    }
  });

  it('reads pages of a stack in any order, strips, differences and BigTIFF', async () => {
    const counts = (await truthOf(file)).real('counts').data;
    const frame = (i: number) => Array.from(counts.subarray(256 * i, 256 * i + 256));
    await using(file('stack.tiff'), async (tiff) => {
      expect(tiff.pages).toHaveLength(12);
      expect(tiff.pages[0]).toMatchObject({ dtype: 'uint32', littleEndian: false, block: { rows: 5 }, compression: 8 });
      for (const i of [11, 0, 5]) expect(Array.from((await tiff.read(i)).data)).toEqual(frame(i));
      await refuses(() => tiff.read(12), 'DATASET_SHAPE', /no page 13/);
    });
    await using(file('big.tif'), async (tiff) => expect(Array.from((await tiff.read(1)).data)).toEqual(frame(1)));
    await using(file('tiled.tif'), async (tiff) => {
      expect(tiff.pages[0]).toMatchObject({ width: 40, height: 24, block: { tiled: true, rows: 16, columns: 16 } });
      const expected = Array.from(
        { length: 24 * 40 },
        (_, p) => counts[16 * (Math.floor(p / 40) % 16) + ((p % 40) % 16)],
      );
      expect(Array.from((await tiff.read(0)).data)).toEqual(expected);
    });
    for (const i of [0, 1, 2, 3, 4, 5]) {
      await using(file('series', `frame_${i + 1}.tif`), async (tiff) => {
        expect(tiff.pages[0].predictor).toBe(1 + (i % 2));
        expect(Array.from((await tiff.read(0)).data)).toEqual(frame(i));
      });
    }
  });
});

/** A little-endian file of one page whose entries are given; pixels follow behind the directory. */
function tiffOf(tags: Readonly<Record<number, number>>, pixels: Uint8Array): Buffer {
  const entries = Object.entries(tags).map(([tag, value]) => [Number(tag), value]);
  const head = Buffer.alloc(8 + 2 + 12 * entries.length + 4);
  head.write('II*\0', 'latin1');
  head.writeUInt32LE(8, 4);
  head.writeUInt16LE(entries.length, 8);
  entries.forEach(([tag, value], i) => {
    head.writeUInt16LE(tag, 10 + 12 * i);
    head.writeUInt16LE(4, 12 + 12 * i);
    head.writeUInt32LE(1, 14 + 12 * i);
    head.writeUInt32LE(value, 18 + 12 * i);
  });
  return Buffer.concat([head, pixels]);
}

describe('files that lie', () => {
  const place = 8 + 2 + 12 * 9 + 4;
  const plain = { 256: 4, 257: 4, 258: 8, 259: 1, 273: place, 277: 1, 278: 4, 279: 16, 339: 1 };
  const pixels = Uint8Array.from({ length: 16 }, (_, i) => i);
  const read = async (bytes: Uint8Array) => {
    writeFileSync(scratch('a.tif'), bytes);
    return using(scratch('a.tif'), (file) => file.read(0));
  };

  it('are told from one that does not', async () => {
    expect((await read(tiffOf(plain, pixels))).data).toEqual(pixels);
  });

  it.each([
    [{ 256: 100_000, 257: 100_000 }, pixels, 'FILE_FORMAT', /claims 100000 × 100000 pixels/],
    [{ 256: 0 }, pixels, 'FILE_FORMAT', /claims 0 × 4/],
    [{ 258: 12 }, pixels, 'FORMAT_UNSUPPORTED', /12 bits/],
    [{ 277: 3 }, pixels, 'FORMAT_UNSUPPORTED', /3 values a pixel/],
    [{ 259: 32773 }, pixels, 'FORMAT_UNSUPPORTED', /32773 \(PackBits\)/],
    [{ 273: 4000 }, pixels, 'FILE_TRUNCATED', /cut off/],
    [{ 279: 15 }, pixels, 'FILE_TRUNCATED', /15 of the 16 bytes/],
    [{ 278: 1 }, pixels, 'FILE_FORMAT', /1 pieces of pixels where 4/],
    [{ 259: 8 }, pixels, 'FILE_FORMAT', /cannot be inflated/],
    [{ 259: 5, 279: 4 }, Uint8Array.of(0x80, 0x40, 0x50, 0x50), 'FILE_FORMAT', /fewer than the 16 bytes/],
  ] as const)('%j', (changes, content, code, message) =>
    refuses(() => read(tiffOf({ ...plain, ...changes }, content)), code, message),
  );

  it('a bomb of deflate, and one of LZW, are not blown up', async () => {
    const bomb = deflateSync(Buffer.alloc(50 << 20));
    const before = process.memoryUsage().arrayBuffers;
    await refuses(
      () => read(tiffOf({ ...plain, 259: 8, 279: bomb.length }, bomb)),
      'FILE_FORMAT',
      /cannot be inflated to the 16 bytes/,
    );
    // Clear, 0, then the code that was just made, again and again: every one is a byte longer.
    let bits = '';
    let [size, width] = [258, 9];
    const emit = (code: number) => {
      bits += code.toString(2).padStart(width, '0');
    };
    emit(256);
    emit(0);
    for (let code = 258; code < 4000; code++) {
      emit(code);
      size++;
      if (size + 1 > 1 << width && width < 12) width++;
    }
    const lzw = Uint8Array.from(bits.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2));
    await refuses(
      () => read(tiffOf({ ...plain, 259: 5, 279: lzw.length }, lzw)),
      'FILE_FORMAT',
      /more than the 16 bytes/,
    );
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 << 20);
  });

  it('text, nothing, circles', async () => {
    await refuses(() => read(Buffer.from('no picture at all')), 'FILE_FORMAT', /is not a TIFF/);
    await refuses(() => read(Buffer.alloc(0)), 'FILE_TRUNCATED', /is empty/);
    const circle = tiffOf(plain, pixels);
    circle.writeUInt32LE(8, 8 + 2 + 12 * 9);
    await refuses(() => read(circle), 'FILE_FORMAT', /in a circle/);
    await refuses(() => TiffFile.open(scratch('none.tif')), 'FILE_NOT_FOUND', /no such file/);
  });

  it('BigTIFF, cut at any byte or leading far beyond its end', async () => {
    const big = readFileSync(path.join(formatFixtures, 'big.tif'));
    for (let length = 1; length < 40; length++) {
      await refuses(() => read(big.subarray(0, length)), length < 8 ? 'FILE_FORMAT' : 'FILE_TRUNCATED', /TIFF|cut off/);
    }
    const far = Buffer.from(big);
    far.writeBigUInt64LE(0xfffffffffffffff0n, 8);
    await refuses(() => read(far), 'FILE_TRUNCATED', /cut off/);
  });

  it('whichever bytes are wrong: pixels or a typed error', async () => {
    const original = readFileSync(path.join(formatFixtures, 'series', 'frame_3.tif'));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        async (changes) => {
          const bytes = Buffer.from(original);
          for (const [at, value] of changes) bytes[at] = value;
          try {
            expect((await read(bytes)).data.length).toBeGreaterThan(0);
          } catch (error) {
            if (!isPtychoError(error)) throw error;
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

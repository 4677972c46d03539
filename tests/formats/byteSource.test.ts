import { mkdtempSync, truncateSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type ByteSource, lettersOf, readInto } from '../../src/formats/byteSource.js';
import { openFileSource, withFileSource } from '../../src/formats/fileSource.js';

const folder = mkdtempSync(join(tmpdir(), 'ptychopinn-test-'));
afterAll(() => rm(folder, { recursive: true }));
const file = (name: string, content: string) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

describe('a file as a source of bytes', () => {
  it('gives bytes by position, fewer at its end and none behind it', async () => {
    const path = file('letters', 'abcdef');
    const source = await openFileSource(path);
    expect([source.name, source.size]).toEqual([path, 6]);
    expect(lettersOf(await source.read(1, 3))).toBe('bcd');
    expect(lettersOf(await source.read(4, 2 ** 40))).toBe('ef');
    expect(await source.read(6, 1)).toHaveLength(0);
    expect(await source.read(2 ** 40, 1)).toHaveLength(0);
    const target = new Uint8Array(4);
    expect(await readInto(source, 3, target)).toBe(3);
    expect(lettersOf(target)).toBe('def\0');
    await source.close();
    await expect(source.read(0, 1)).rejects.toThrow();
  });

  it('gives what is left of a file that became shorter', async () => {
    const path = file('shrinking', 'abcdef');
    const read = await withFileSource(path, async (source) => {
      truncateSync(path, 2);
      return lettersOf(await source.read(0, 6));
    });
    expect(read).toBe('ab');
  });

  it('is closed when its work fails, and opens nothing that is no file', async () => {
    let kept: ByteSource | undefined;
    const failing = withFileSource(file('kept', 'a'), async (source) => {
      kept = source;
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    await expect(kept?.read(0, 1)).rejects.toThrow();
    await expect(openFileSource(folder)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});

it('a source that only reads fills an array, too', async () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const source: ByteSource = {
    name: 'memory',
    size: bytes.length,
    read: async (offset, length) => bytes.slice(offset, offset + length),
    close: async () => {},
  };
  const target = new Uint8Array(4);
  expect(await readInto(source, 1, target)).toBe(2);
  expect([...target]).toEqual([2, 3, 0, 0]);
});

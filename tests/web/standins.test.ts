/** What stands in for modules of Node answers as they do. */
import { createHash, randomBytes } from 'node:crypto';
import path from 'node:path';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { files, PageFile, PageFiles } from '../../src/web/files.js';
import * as fs from '../../src/web/standins/fs.js';
import { sha256 } from '../../src/web/standins/hash.js';
import { crc32, inflated } from '../../src/web/standins/inflate.js';
import page from '../../src/web/standins/path.js';
import { zipChunks } from '../../src/web/standins/zipChunks.js';

const name = fc.constantFrom('a', 'b.npz', '..', '.', '', '/', 'c.d.e', ' ');
const paths = fc.array(name, { maxLength: 6 }).map((parts) => parts.join('/'));

it('takes paths apart as Node does', () => {
  fc.assert(
    fc.property(paths, paths, (a, b) => {
      const whole = (p: string) => path.posix.resolve('/page', p);
      expect(page.resolve(a, b)).toBe(path.posix.resolve('/page', a, b));
      expect(page.relative(a, b)).toBe(path.posix.relative(whole(a), whole(b)));
      expect(page.dirname(page.resolve(a))).toBe(path.posix.dirname(whole(a)));
      expect(page.basename(page.resolve(a))).toBe(path.posix.basename(whole(a)));
      expect(page.extname(page.resolve(a))).toBe(path.posix.extname(whole(a)));
      expect(page.join('x', a, b)).toBe(path.posix.join('x', a, b).replace(/(?<=.)\/$/, ''));
    }),
  );
  expect(page.basename('run/wts.zip', '.zip')).toBe('wts');
  expect(page.dirname('wts.zip')).toBe('.');
});

it('hashes and checks as Node does', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.string(), (bytes, text) => {
      expect(sha256(bytes, text)).toBe(createHash('sha256').update(bytes).update(text).digest('hex'));
      expect(crc32(bytes, crc32(text))).toBe(zlib.crc32(bytes, zlib.crc32(text)));
    }),
  );
});

describe('inflating', () => {
  async function inflate(raw: Uint8Array, piece: number): Promise<Buffer> {
    async function* pieces() {
      for (let at = 0; at < raw.length; at += piece) yield raw.subarray(at, at + piece);
    }
    const parts: Uint8Array[] = [];
    for await (const part of inflated(pieces(), 1000)) {
      expect(part.length).toBeLessThanOrEqual(1000);
      parts.push(part);
    }
    return Buffer.concat(parts);
  }
  const content = Buffer.concat([randomBytes(5000), Buffer.alloc(200_000), randomBytes(50)]);

  it('gives what was deflated, whatever the pieces', async () => {
    for (const level of [0, 1, 9]) {
      const raw = zlib.deflateRawSync(content, { level });
      for (const piece of [1 << 20, 4096, 97]) expect((await inflate(raw, piece)).equals(content)).toBe(true);
    }
    expect(await inflate(zlib.deflateRawSync(Buffer.alloc(0)), 10)).toHaveLength(0);
  });

  it('tells data that end too early from damaged ones, by the codes of zlib', async () => {
    const raw = zlib.deflateRawSync(content);
    await expect(inflate(raw.subarray(0, raw.length - 20), 4096)).rejects.toMatchObject({ code: 'Z_BUF_ERROR' });
    await expect(inflate(Buffer.from([0xff, 0xff, 0xff]), 4096)).rejects.toMatchObject({ code: 'Z_DATA_ERROR' });
  });
});

it('writes archives that other readers take, the same bytes for the same content', async () => {
  const entries = [
    { name: 'a/b.txt', data: Buffer.from('stored') },
    { name: 'ü.bin', data: Buffer.alloc(3_000_000, 7), compress: true },
    { name: 'empty', data: new Uint8Array(0) },
    { name: 'streamed', size: 6, chunks: () => [Buffer.from('abc'), Buffer.from('def')] },
  ];
  const write = async () => {
    const parts: Uint8Array[] = [];
    for await (const part of zipChunks(entries)) parts.push(part);
    return Buffer.concat(parts);
  };
  const bytes = await write();
  expect(bytes.equals(await write())).toBe(true);
  const yauzl = (await import('yauzl')).default;
  const zip = await yauzl.fromBufferPromise(bytes);
  const found: Record<string, Buffer> = {};
  for await (const entry of zip.eachEntry()) {
    expect(entry.getLastModDate({ timezone: 'local' })).toEqual(new Date(1980, 1, 1));
    const parts: Buffer[] = [];
    for await (const part of await zip.openReadStreamPromise(entry)) parts.push(part as Buffer);
    found[entry.fileName] = Buffer.concat(parts);
  }
  expect(Object.keys(found)).toEqual(['a/b.txt', 'ü.bin', 'empty', 'streamed']);
  expect(found['a/b.txt'].toString()).toBe('stored');
  expect(found['ü.bin'].equals(Buffer.alloc(3_000_000, 7))).toBe(true);
  expect(found.streamed.toString()).toBe('abcdef');
});

describe('the files of a page', () => {
  beforeEach(() => {
    for (const path of files.list()) files.remove(path);
  });

  it('are written, read, renamed and removed as those of a disk', async () => {
    await fs.mkdir('run');
    const handle = await fs.open('run/a', 'wx');
    await handle.writeFile('hello');
    await handle.write(Buffer.from('J'), 0, 1, 0);
    await handle.close();
    expect((await fs.stat('run/a')).size).toBe(5);
    await fs.rename('run/a', 'run/b');
    expect(await fs.readFile('run/b', 'utf8')).toBe('Jello');
    expect(fs.readdirSync('run')).toEqual(['b']);
    await expect(fs.open('run/b', 'wx')).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(fs.open('run/c')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(fs.open('nowhere/c', 'w')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(fs.mkdir('run')).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(fs.rm('run')).rejects.toMatchObject({ code: 'EISDIR' });
    await fs.rm('run', { recursive: true });
    expect(fs.existsSync('run/b')).toBe(false);
  });

  it('cannot be written to where they were dropped, but can be replaced', async () => {
    files.add(new Blob(['abc']), 'scan/x.bin');
    const handle = await fs.open('scan/x.bin', 'r+');
    await expect(handle.write(Buffer.from('d'), 0, 1, 0)).rejects.toMatchObject({ code: 'EROFS' });
    // Not in a thread of a page: a Blob cannot be read at once.
    expect(() => fs.readFileSync('scan/x.bin')).toThrow(/EAGAIN/);
    expect(Buffer.from(await files.read('scan/x.bin')).toString()).toBe('abc');
    fs.writeFileSync('scan/x.bin', 'new');
    expect(fs.readFileSync('scan/x.bin', 'utf8')).toBe('new');
  });

  it('live as long as somebody works with them, and give their memory back', async () => {
    const own = new PageFiles();
    const before = own.room;
    const file = own.create('/page/big');
    file.open();
    file.write(2 ** 20, new Uint8Array(1));
    expect(before - own.room).toBeGreaterThan(2 ** 20);
    own.remove('/page/big');
    const byte = new Uint8Array(1);
    expect(file.readNow(2 ** 20, byte)).toBe(1);
    file.close();
    expect(own.room).toBe(before);
    expect(own.find('/page/big')).toBeUndefined();
  });

  it('fill no more than half of the memory of the machine', () => {
    const own = new PageFiles();
    const file = own.create('/page/big');
    expect(() => file.write(own.room, new Uint8Array(1))).toThrow(/ENOSPC/);
    expect(file).toBeInstanceOf(PageFile);
  });

  it('are listed without temporary ones, and need a name', () => {
    files.addBytes('a/b', new Uint8Array(1));
    fs.mkdtempSync('/page/.tmp/x-');
    expect(files.list()).toEqual(['/page/a/b']);
    expect(() => files.add(new Blob([]))).toThrow(/needs a path/);
  });
});

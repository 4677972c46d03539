/** Zip archives: round trips, determinism, atomic writing, and archives that are cut, damaged or lie. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PtychoErrorCode } from '../../src/core/errors.js';
import { readZip, writeZip } from '../../src/formats/zip.js';
import { ZipArchive } from '../../src/formats/zipArchive.js';
import fc from '../support/fastCheck.js';

const text = (s: string) => new TextEncoder().encode(s);
const bounds = { maxMemberBytes: 1 << 24, maxTotalBytes: 1 << 25 };
let folder: string;
const file = (name: string) => path.join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-zip-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const refuses = async (work: Promise<unknown>, code: PtychoErrorCode, message: RegExp) => {
  await expect(work).rejects.toMatchObject({ name: 'PtychoError', code, message: expect.stringMatching(message) });
};

/** Finds where a record of a zip begins, by its signature. */
const find = (zip: Buffer, signature: number, from = 0) => {
  const s = Buffer.alloc(4);
  s.writeUInt32LE(signature);
  return zip.indexOf(s, from);
};
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;

describe('writeZip and readZip', () => {
  it('give back names, order and bytes, stored and deflated', async () => {
    const big = new Uint8Array(700_000).map((_, i) => (i * i) >>> 7);
    const entries = [
      { name: 'b.txt', data: text('second name first') },
      { name: 'folder/a.bin', data: big, compress: true },
      { name: 'plain.bin', data: big },
      { name: 'empty', data: new Uint8Array(0), compress: true },
    ];
    await writeZip(file('round.zip'), entries);
    const read = await readZip(file('round.zip'), bounds);
    expect([...read.keys()]).toEqual(entries.map((entry) => entry.name));
    for (const { name, data } of entries) expect(Buffer.compare(read.get(name)!, Buffer.from(data))).toBe(0);
  });

  it('write only the view of a larger buffer', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 60 }),
        fc.nat(20),
        fc.nat(20),
        fc.boolean(),
        async (bytes, a, b, compress) => {
          const view = bytes.subarray(Math.min(a, bytes.length), Math.max(bytes.length - b, Math.min(a, bytes.length)));
          await writeZip(file('view.zip'), [{ name: 'x', data: view, compress }]);
          expect([...(await readZip(file('view.zip'), bounds)).get('x')!]).toEqual([...view]);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('give equal bytes for equal input, whatever the time and its zone', async () => {
    const entries = [
      { name: 'a', data: text('aaaaaaaaaaaaaaaa'), compress: true },
      { name: 'b', data: text('b') },
    ];
    const zone = process.env.TZ;
    try {
      process.env.TZ = 'Asia/Tokyo';
      await writeZip(file('one.zip'), entries);
      process.env.TZ = 'America/Los_Angeles';
      await writeZip(file('two.zip'), entries);
    } finally {
      if (zone === undefined) delete process.env.TZ;
      else process.env.TZ = zone;
    }
    expect(Buffer.compare(await readFile(file('one.zip')), await readFile(file('two.zip')))).toBe(0);
  });

  it('write members that are produced piece by piece', async () => {
    const chunks = function* () {
      for (let i = 0; i < 100; i++) yield new Uint8Array(1000).fill(i);
    };
    await writeZip(file('streamed.zip'), [
      { name: 's', size: 100_000, chunks },
      { name: 'd', size: 100_000, chunks, compress: true },
    ]);
    const read = await readZip(file('streamed.zip'), bounds);
    expect(Buffer.compare(read.get('s')!, Buffer.concat([...chunks()]))).toBe(0);
    expect(Buffer.compare(read.get('d')!, read.get('s')!)).toBe(0);
  });

  it('leave the target as it was when writing fails', async () => {
    await writeFile(file('kept.zip'), 'before');
    const names = await readdir(folder);
    const chunks = function* () {
      yield new Uint8Array(10);
      throw new Error('the disk went away');
    };
    await refuses(writeZip(file('kept.zip'), [{ name: 's', size: 20, chunks }]), 'OUTPUT_UNWRITABLE', /disk went away/);
    await refuses(
      writeZip(file('kept.zip'), [{ name: 's', size: 20, chunks: () => [new Uint8Array(10)] }]),
      'OUTPUT_UNWRITABLE',
      /unexpected number of bytes/,
    );
    await refuses(
      writeZip(file('kept.zip'), [{ name: '/etc/x', data: text('x') }]),
      'OUTPUT_UNWRITABLE',
      /absolute path/,
    );
    await refuses(
      writeZip(file('kept.zip'), [
        { name: 'x', data: text('x') },
        { name: 'x', data: text('y') },
      ]),
      'OUTPUT_UNWRITABLE',
      /same name/,
    );
    expect(await readFile(file('kept.zip'), 'utf8')).toBe('before');
    expect(await readdir(folder)).toEqual(names);
    await refuses(writeZip(file('no/such/folder.zip'), []), 'OUTPUT_UNWRITABLE', /folder .* does not exist/);
  });

  it('keep to the bounds before using memory, and pass over members not wanted', async () => {
    await writeZip(file('bounds.zip'), [
      { name: 'small', data: text('small') },
      { name: 'large', data: new Uint8Array(100_000), compress: true },
    ]);
    await refuses(
      readZip(file('bounds.zip'), { ...bounds, maxMemberBytes: 1000 }),
      'FORMAT_UNSUPPORTED',
      /"large".*100000/,
    );
    await refuses(
      readZip(file('bounds.zip'), { ...bounds, maxTotalBytes: 1000 }),
      'FORMAT_UNSUPPORTED',
      /100005 bytes/,
    );
    const read = await readZip(file('bounds.zip'), {
      maxMemberBytes: 10,
      maxTotalBytes: 10,
      allow: (n) => n === 'small',
    });
    expect([...read.keys()]).toEqual(['small']);
  });
});

describe('archives that are not what they should be', () => {
  let sound: Buffer;
  const damaged = async (change: (zip: Buffer) => Buffer | undefined) => {
    const copy = Buffer.from(sound);
    await writeFile(file('damaged.zip'), change(copy) ?? copy);
    return readZip(file('damaged.zip'), bounds);
  };
  beforeAll(async () => {
    await writeZip(file('sound.zip'), [
      { name: 'stored', data: new Uint8Array(5000).fill(7) },
      { name: 'deflated', data: new Uint8Array(50_000).map((_, i) => i % 251), compress: true },
    ]);
    sound = await readFile(file('sound.zip'));
  });

  it('are refused with one sentence each', async () => {
    await refuses(readZip(file('absent.zip'), bounds), 'FILE_NOT_FOUND', /there is no such file/);
    await refuses(readZip(folder, bounds), 'FILE_NOT_FOUND', /it is a folder/);
    await refuses(
      damaged(() => Buffer.alloc(0)),
      'FILE_TRUNCATED',
      /is empty/,
    );
    await refuses(
      damaged(() => Buffer.from('x,y\n1,2\n'.repeat(10))),
      'FILE_FORMAT',
      /not a zip archive/,
    );
    await refuses(
      damaged(() => Buffer.from('\x93NUMPY\x01\x00', 'latin1')),
      'FILE_FORMAT',
      /single .npy array/,
    );
  });

  it('cut anywhere: always a typed error', async () => {
    for (let end = 1; end < sound.length; end += 97) {
      await expect(damaged((zip) => zip.subarray(0, end))).rejects.toMatchObject({ name: 'PtychoError' });
    }
    await refuses(
      damaged((zip) => zip.subarray(0, find(zip, CENTRAL))),
      'FILE_TRUNCATED',
      /cut off/,
    );
  });

  it('changed bytes are found by the CRC', async () => {
    await refuses(
      damaged((zip) => {
        zip[find(zip, LOCAL) + 30 + 'stored'.length + 1234] ^= 1;
      }),
      'FILE_FORMAT',
      /"stored", is damaged: its CRC-32/,
    );
    await refuses(
      damaged((zip) => {
        const at = find(zip, LOCAL, 100) + 30 + 'deflated'.length;
        zip.fill(0xff, at, at + 20);
      }),
      'FILE_FORMAT',
      /"deflated", is damaged/,
    );
  });

  it('sizes that lie cost no memory', async () => {
    // Central directory entry: sizes at 20 (compressed) and 24 (inflated); the second entry is the deflated one.
    const second = (zip: Buffer) => find(zip, CENTRAL, find(zip, CENTRAL) + 4);
    await refuses(
      damaged((zip) => {
        zip.writeUInt32LE(60_000, second(zip) + 24);
      }),
      'FILE_FORMAT',
      /holds fewer than the 60000 bytes/,
    );
    await refuses(
      damaged((zip) => {
        zip.writeUInt32LE(40_000, second(zip) + 24);
      }),
      'FILE_FORMAT',
      /holds more than the 40000 bytes/,
    );
    const wide = { maxMemberBytes: 2 ** 40, maxTotalBytes: 2 ** 41 };
    const huge = Buffer.from(sound);
    huge.writeUInt32LE(0xfffffff0, second(huge) + 24);
    await writeFile(file('huge.zip'), huge);
    await refuses(readZip(file('huge.zip'), wide), 'FILE_FORMAT', /cannot hold/);
    const stored = Buffer.from(sound);
    for (const field of [20, 24]) stored.writeUInt32LE(0xfffffff0, find(stored, CENTRAL) + field);
    await writeFile(file('huge.zip'), stored);
    await refuses(readZip(file('huge.zip'), wide), 'FILE_FORMAT', /"stored" and .* in the same bytes/);
    await refuses(
      damaged((zip) => {
        zip.writeUInt32LE(zip.readUInt32LE(second(zip) + 20) - 50, second(zip) + 20);
      }),
      'FILE_TRUNCATED',
      /ends after/,
    );
  });

  it('members that share bytes', async () => {
    const zip = Buffer.from(sound);
    const first = find(zip, CENTRAL);
    const second = find(zip, CENTRAL, first + 4);
    zip.writeUInt32LE(zip.readUInt32LE(first + 42) + 1, second + 42);
    await writeFile(file('shared.zip'), zip);
    await refuses(ZipArchive.open(file('shared.zip')), 'FILE_FORMAT', /in the same bytes/);
  });

  it('encrypted, unknown methods and doubled names are named', async () => {
    await refuses(
      damaged((zip) => {
        zip.writeUInt16LE(14, find(zip, CENTRAL) + 10);
      }),
      'FORMAT_UNSUPPORTED',
      /other than deflate/,
    );
    await refuses(
      damaged((zip) => {
        zip.writeUInt16LE(zip.readUInt16LE(find(zip, CENTRAL) + 8) | 1, find(zip, CENTRAL) + 8);
      }),
      'FILE_FORMAT',
      /damaged zip archive|encrypted/,
    );
    await writeZip(file('twice.zip'), [
      { name: 'aa', data: text('1') },
      { name: 'ab', data: text('2') },
    ]);
    const twice = await readFile(file('twice.zip'));
    const central = find(twice, CENTRAL, find(twice, CENTRAL) + 4);
    twice.write('aa', central + 46);
    await writeFile(file('twice.zip'), twice);
    await refuses(readZip(file('twice.zip'), bounds), 'FILE_FORMAT', /"aa" twice/);
  });

  it('far too many members', async () => {
    await writeZip(
      file('many.zip'),
      Array.from({ length: 10_001 }, (_, i) => ({ name: `${i}.npy`, data: new Uint8Array(0) })),
    );
    await refuses(ZipArchive.open(file('many.zip')), 'FORMAT_UNSUPPORTED', /holds 10001 members, more than the 10000/);
  });

  it('a directory that promises more entries than there are', async () => {
    await refuses(
      damaged((zip) => {
        zip.writeUInt16LE(9, find(zip, END) + 10);
      }),
      'FILE_FORMAT',
      /damaged zip archive/,
    );
  });
});

describe('ZipArchive', () => {
  it('reads ranges of stored members and the head of any', async () => {
    const data = new Uint8Array(600_000).map((_, i) => i % 253);
    await writeZip(file('ranges.zip'), [
      { name: 's', data },
      { name: 'd', data, compress: true },
    ]);
    const zip = await ZipArchive.open(file('ranges.zip'));
    try {
      const part = new Uint8Array(777);
      await zip.readAt('s', 300_001, part);
      expect([...part]).toEqual([...data.subarray(300_001, 300_778)]);
      expect([...(await zip.head('s', 100))]).toEqual([...data.subarray(0, 100)]);
      expect([...(await zip.head('d', 300_000))]).toEqual([...data.subarray(0, 300_000)]);
      await refuses(zip.readAt('s', 599_999, new Uint8Array(2)), 'FILE_TRUNCATED', /ends after/);
      await refuses(zip.readAt('d', 0, part), 'FORMAT_UNSUPPORTED', /ranges/);
      await refuses(zip.head('q', 1), 'FILE_FORMAT', /no member "q"/);
    } finally {
      await zip.close();
    }
  });

  it('reads what a zip64 writer wrote', async () => {
    const { ZipFile } = (await import('yazl')).default;
    const zip = new ZipFile();
    zip.addBuffer(Buffer.from('sixty-four'), 'a', { forceZip64Format: true, compress: false });
    zip.end({ forceZip64Format: true, comment: '' });
    const parts: Buffer[] = [];
    for await (const part of zip.outputStream) parts.push(part as Buffer);
    await writeFile(file('zip64.zip'), Buffer.concat(parts));
    expect((await readZip(file('zip64.zip'), bounds)).get('a')!.toString()).toBe('sixty-four');
  });
});

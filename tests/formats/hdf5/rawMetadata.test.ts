/** Files that a writer has open, or died with: read, and said. A damaged global heap is an error; the library alone would read it for ever. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hdf5Reader } from '../../../src/data/readers/hdf5.js';
import { openHdf5 } from '../../../src/formats/hdf5/file.js';
import { Hdf5Library } from '../../../src/formats/hdf5/library.js';
import { checksum, clearOpenFlags, globalHeapsAreSound, openFlagsOf } from '../../../src/formats/hdf5/rawMetadata.js';
import { formatFixtures, refuses } from '../../support/formatFixtures.js';
import { describeShared, sharedFile } from '../../support/shared.js';

let folder: string;
let closed: Buffer;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-superblock-'));
  const library = await Hdf5Library.current();
  const file = path.join(folder, 'closed.h5');
  const { causes } = library.run(file, { folders: [folder], write: true }, (m) => {
    // Version 3 of the superblock is that of HDF5 1.10 on.
    const id = m.open(file, m.H5F_ACC_TRUNC, false, 2, 2);
    m.create_group(id, '/entry', false);
    m.create_vlen_str_attribute(id, '/entry', 'title', ['a scan'], {
      type: 3,
      size: 4,
      vlen: true,
      littleEndian: true,
      signed: false,
      cset: 1,
      shape: [],
      maxshape: [],
      total_size: 1,
    });
    return m.close_file(id);
  });
  expect(causes).toEqual([]);
  closed = readFileSync(file);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The file as a writer leaves it that dies with these flags. */
function left(name: string, flags: number, userBlock = 0): string {
  const bytes = Buffer.from(closed);
  bytes[11] = flags;
  bytes.writeUInt32LE(checksum(bytes.subarray(0, 44)), 44);
  const file = path.join(folder, name);
  writeFileSync(file, Buffer.concat([Buffer.alloc(userBlock), bytes]));
  return file;
}

describe('the superblock', () => {
  it('has the check sum that HDF5 writes', () => {
    expect(closed[8]).toBe(3);
    expect(checksum(closed.subarray(0, 44))).toBe(closed.readUInt32LE(44));
    expect(checksum(new Uint8Array(0))).toBe(0xdeadbeef);
  });

  it('tells how a file was left', () => {
    expect(openFlagsOf(path.join(folder, 'closed.h5'))).toBeUndefined();
    expect(openFlagsOf(left('writing.h5', 1))).toBe('writing');
    expect(openFlagsOf(left('swmr.h5', 5))).toBe('swmr');
    expect(openFlagsOf(left('block.h5', 5, 512))).toBe('swmr');
    writeFileSync(path.join(folder, 'text.txt'), 'no HDF5');
    expect(openFlagsOf(path.join(folder, 'text.txt'))).toBeUndefined();
  });

  it('is cleared of flags as if the file had been closed, and data are left alone', () => {
    const bytes = new Uint8Array(readFileSync(left('once.h5', 5)).subarray(0, 48));
    clearOpenFlags(bytes);
    expect(Buffer.from(bytes)).toEqual(closed.subarray(0, 48));
    const long = new Uint8Array(readFileSync(left('once.h5', 5)).subarray(0, 200));
    const before = Buffer.from(long);
    clearOpenFlags(long);
    expect(Buffer.from(long)).toEqual(before);
  });

  it.each([
    ['writing', 1, 0],
    ['swmr', 5, 0],
    ['user block', 5, 512],
  ])('%s: the file is read with a warning and stays as it is', async (name, flags, block) => {
    const file = left(`${name}.h5`, flags, block);
    const before = readFileSync(file);
    const h5 = await openHdf5(file);
    try {
      expect(h5.attributes('/entry')).toEqual({ title: 'a scan' });
      expect(h5.warnings.join()).toMatch(/is still open for writing in another program, or was not closed/);
    } finally {
      h5.close();
    }
    expect(readFileSync(file)).toEqual(before);
  });

  it('a file that cannot be read, and is open: wait, or h5clear', async () => {
    const file = left('torn.h5', 1);
    const bytes = readFileSync(file);
    // Nothing but the superblock was ever flushed.
    bytes.fill(0, 48);
    writeFileSync(file, bytes);
    const read = async () => {
      const h5 = await openHdf5(file);
      try {
        return h5.keys('/entry');
      } finally {
        h5.close();
      }
    };
    await refuses(read, 'FILE_FORMAT', /still open for writing .* wait, or run h5clear -s\./);
  });
});

describeShared('a file of SWMR whose writer died', () => {
  it('opens whole, with a note', async () => {
    const name = sharedFile('cases', 'opening', '14-file-not-closed', 'swmr.h5');
    const size = statSync(name).size;
    const scan = await hdf5Reader.open(name, {});
    try {
      expect(scan.patterns).toMatchObject({ count: 49, height: 64, width: 64, dtype: 'uint16' });
      const frame = new Float32Array(64 * 64);
      await scan.patterns.readRowsInto([48], frame);
      expect(frame.reduce((sum, v) => sum + v)).toBe(122467);
      expect(scan.positions).toMatchObject({ unit: 'px' });
      expect(scan.notes.join()).toMatch(/swmr\.h5 is still open for writing/);
    } finally {
      await scan.close();
    }
    expect(statSync(name).size).toBe(size);
  });
});

describe('a global heap', () => {
  it('of sound files passes, whole or as far as it was read', async () => {
    const bytes = await readFile(path.join(formatFixtures, 'bundle.h5'));
    const at = bytes.indexOf('GCOL');
    expect(at).toBeGreaterThan(0);
    for (const length of [4, 16, 40, 100, 4096, bytes.length - at]) {
      expect(globalHeapsAreSound(bytes.subarray(at, at + length)), `${length} bytes`).toBe(true);
    }
    expect(globalHeapsAreSound(new Uint8Array(10))).toBe(true);
  });

  it('with an object of no size, or larger than the heap, is refused when an attribute in it is read', async () => {
    const sound = await readFile(path.join(formatFixtures, 'bundle.h5'));
    const heap = sound.indexOf('GCOL');
    const cases: ((b: Buffer) => void)[] = [
      // What is free says that it has no size.
      (b) => b.fill(0, heap + 120, heap + 136),
      // The second object reaches beyond the end.
      (b) => b.writeUInt32LE(5000, heap + 48),
      (b) => b.writeBigUInt64LE(0xfffffffffffffff0n, heap + 48),
    ];
    for (const damage of cases) {
      const bytes = Buffer.from(sound);
      damage(bytes);
      expect(globalHeapsAreSound(bytes)).toBe(false);
      const file = path.join(folder, 'damaged.h5');
      await writeFile(file, bytes);
      const h5 = await openHdf5(file);
      try {
        expect(() => h5.attributes('/')).toThrow(/damaged/);
      } finally {
        h5.close();
      }
    }
  });
});

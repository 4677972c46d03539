/** HDF5: what h5py writes is read equal to NumPy, nothing leaves its folder, nothing that lies costs memory. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPtychoError } from '../../../src/core/errors.js';
import { type Hdf5File, isHdf5File, openHdf5 } from '../../../src/formats/hdf5/file.js';
import { slabs } from '../../../src/formats/hdf5/header.js';
import { Hdf5Library } from '../../../src/formats/hdf5/library.js';
import { Hdf5Rows } from '../../../src/formats/hdf5/rows.js';
import fc from '../../support/fastCheck.js';
import { describeFixtures, formatFixtures, refuses, truthOf } from '../../support/formatFixtures.js';
import { writeHdf5 } from '../../support/writeHdf5.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-hdf5-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const scratch = (name: string) => path.join(folder, name);
const kept = (name: string) => path.join(formatFixtures, name);

async function using<T>(name: string, work: (file: Hdf5File) => T | Promise<T>): Promise<T> {
  const file = await openHdf5(name);
  try {
    return await work(file);
  } finally {
    file.close();
  }
}

describeFixtures('openHdf5', (file) => {
  it('reads every number type in both byte orders', () =>
    using(file('types.h5'), async (h5) => {
      const truth = await truthOf(file);
      const keys = truth.keys.filter((key) => key.startsWith('types_'));
      expect(keys.length).toBe(25);
      for (const key of keys) {
        const found = h5.read(key.slice('types_'.length));
        expect(found, key).toMatchObject({ ...truth.real(key) });
      }
    }));

  it('reads text, attributes, single values and empty datasets', () =>
    using(file('types.h5'), (h5) => {
      expect(h5.attributes()).toEqual({
        text: 'Straße',
        numbers: [1.5, 2.5],
        integer: -3,
        flag: true,
        words: ['a', 'b'],
        fixed: 'fixed',
      });
      expect(h5.read('words')).toMatchObject({ strings: ['eins', 'zwei', 'größer'], shape: [3] });
      expect(h5.read('/bytes')).toMatchObject({ strings: ['ab', 'c'] });
      expect(h5.readReal('scalar')).toMatchObject({ data: Float64Array.of(2.5), shape: [] });
      expect(h5.readReal('no_rows')).toMatchObject({ data: new Float32Array(0), shape: [0, 4, 4] });
      expect(h5.readReal('nothing').data).toHaveLength(0);
      expect(h5.readComplex64('be_c16')).toMatchObject({
        re: Float32Array.of(1, -0, 0.5),
        im: Float32Array.of(2, -3, 0),
      });
    }));

  it('follows soft and hard links, and says what is missing', () =>
    using(file('types.h5'), async (h5) => {
      for (const place of ['group/inner', '/alias/inner', 'group/relative', '/alias//relative', 'hard']) {
        expect(h5.readReal(place).data[23], place).toBe(23);
      }
      expect(h5.kindOf('alias')).toBe('group');
      expect(h5.keys('alias')).toEqual(['inner', 'relative']);
      expect(h5.has('broken')).toBe(false);
      expect(h5.kindOf('circle')).toBeUndefined();
      expect(h5.datasets()).toContain('/group/inner');
      await refuses(
        () => h5.header('/group/outer'),
        'DATASET_KEY_MISSING',
        /has nothing at "\/group\/outer"; the group \/group holds inner, relative\./,
      );
      await refuses(() => h5.header('/nowhere/else'), 'DATASET_KEY_MISSING', /the group \/ holds alias/);
      await refuses(() => h5.read('circle'), 'FILE_FORMAT', /circle/);
      await refuses(() => h5.read('group'), 'DATASET_KEY_MISSING', /a group at "group"/);
    }));

  it('refuses float16 and records in words', () =>
    using(file('types.h5'), async (h5) => {
      await refuses(
        () => h5.read('half'),
        'FORMAT_UNSUPPORTED',
        /"half", holds floating-point numbers of 16 bits \(float16\)/,
      );
      await refuses(() => h5.read('record'), 'FORMAT_UNSUPPORTED', /records of the fields a, b/);
      await refuses(() => new Hdf5Rows(h5, 'le_c8'), 'DATASET_VALUE', /complex64/);
      await refuses(() => h5.readReal('words'), 'DATASET_VALUE', /str/);
    }));

  it('reads every layout, whole and by rows in any order', () =>
    using(file('layouts.h5'), async (h5) => {
      const { data } = (await truthOf(file)).real('blocks');
      const blocks = Float32Array.from(data);
      expect(h5.datasets()).toHaveLength(6);
      expect(h5.header('gzip').filters.map(({ name }) => name)).toEqual(['shuffle', 'gzip', 'fletcher32']);
      expect(h5.header('lzf').filters.map(({ id }) => id)).toEqual([2, 32000]);
      for (const place of h5.datasets()) {
        expect(Float32Array.from(h5.readReal(place).data), place).toEqual(blocks);
        for (const cacheBytes of [0, 2000, 1 << 20]) {
          const rows = new Hdf5Rows(h5, place, cacheBytes);
          expect(rows.count).toBe(23);
          await fc.assert(
            fc.asyncProperty(fc.array(fc.nat(22), { maxLength: 40 }), async (wanted) => {
              const out = new Float32Array(60 * wanted.length);
              await rows.readInto(wanted, out);
              expect(out).toEqual(
                Float32Array.from(wanted.flatMap((row) => [...blocks.subarray(60 * row, 60 * row + 60)])),
              );
            }),
            { numRuns: 8 },
          );
        }
      }
      const rows = new Hdf5Rows(h5, 'gzip');
      await refuses(() => rows.readInto([23], new Float32Array(60)), 'DATASET_SHAPE', /23 rows, but row 23/);
      await refuses(() => rows.readInto([0, 1], new Float32Array(60)), 'DATASET_SHAPE', /room for 60/);
    }));

  it('follows external links and virtual datasets beside the file', async () => {
    const counts = Float32Array.from((await truthOf(file)).real('counts').data);
    await using(file('nexus_master.h5'), (h5) => {
      const first = h5.readReal('/entry/data/data_000001');
      expect(first).toMatchObject({ dtype: 'uint32', shape: [7, 16, 16] });
      expect(Float32Array.from(first.data)).toEqual(counts.subarray(0, 7 * 256));
      expect(h5.header('/entry/data/data_000002').file).toBe(file('nexus_data_000002.h5'));
      expect(h5.datasets()).toContain('/entry/data/data_000002');
    });
    await using(file('virtual.h5'), (h5) => {
      expect(h5.header('/exchange/data')).toMatchObject({ virtual: true, shape: [12, 16, 16] });
      expect(Float32Array.from(h5.readReal('/exchange/data').data)).toEqual(counts);
    });
  });

  it.each([
    ['absolute_link', 'FORMAT_UNSUPPORTED', /leads to \/etc\/outside\.h5, outside of the folder/],
    ['parent_link', 'FORMAT_UNSUPPORTED', /outside\.h5, outside of the folder/],
    ['hidden_parent_link', 'FORMAT_UNSUPPORTED', /outside of the folder/],
    ['missing_link', 'FILE_NOT_FOUND', /links "missing_link" to .*missing\.h5, which does not exist/],
    ['link_to_text', 'FILE_FORMAT', /positions\.txt is a damaged HDF5 file/],
    ['raw_escape', 'FORMAT_UNSUPPORTED', /leads to \/etc\/passwd, outside of the folder/],
    ['raw_parent', 'FORMAT_UNSUPPORTED', /outside\.h5, outside of the folder/],
    ['virtual_escape', 'FORMAT_UNSUPPORTED', /outside of the folder/],
    ['virtual_missing', 'FILE_NOT_FOUND', /missing\.h5 does not exist/],
    ['absurd', 'FILE_FORMAT', /\(1000000, 100000, 100000\).*impossible/],
    ['absurd_gzip', 'FILE_FORMAT', /\(1000000000, 64, 64\).*never written/],
    ['never_written', 'FILE_FORMAT', /800000 bytes, but .* has only/],
    ['huge_chunk', 'FORMAT_UNSUPPORTED', /chunks of \(64, 1024, 2048\)/],
    ['overflow', 'FILE_FORMAT', /impossible/],
    ['unknown_filter', 'FORMAT_UNSUPPORTED', /HDF5 filter 31999/],
  ] as const)('refuses %s in one sentence', (place, code, message) =>
    using(file('hostile.h5'), (h5) => refuses(() => h5.read(place), code, message)),
  );
});

describe('a file and its folder', () => {
  const data = { data: Float32Array.of(1, 2, 3), shape: [3] };

  it('keeps out of other folders even where the target exists', async () => {
    mkdirSync(scratch('inner'));
    await writeHdf5(scratch('outside.h5'), { datasets: { data } });
    copyFileSync(kept('hostile.h5'), scratch('inner/hostile.h5'));
    await using(scratch('inner/hostile.h5'), async (h5) => {
      for (const place of ['parent_link', 'hidden_parent_link', 'raw_parent', 'virtual_escape']) {
        await refuses(() => h5.read(place), 'FORMAT_UNSUPPORTED', /outside of the folder/);
      }
      expect(h5.has('parent_link')).toBe(false);
    });
  });

  it('follows links below the folder, and those of a file that is itself a symbolic link', async () => {
    mkdirSync(scratch('scan/raw'), { recursive: true });
    for (const name of ['nexus_master.h5', 'nexus_data_000001.h5', 'nexus_data_000002.h5']) {
      copyFileSync(kept(name), scratch(`scan/raw/${name}`));
    }
    symlinkSync(scratch('scan/raw/nexus_master.h5'), scratch('linked.h5'));
    await using(scratch('linked.h5'), (h5) =>
      expect(h5.readReal('/entry/data/data_000002').shape).toEqual([5, 16, 16]),
    );
  });
});

type Strlen = { _strlen(at: number): number };

describe('broken files', () => {
  it('are refused in one sentence each', async () => {
    writeFileSync(scratch('empty.h5'), '');
    writeFileSync(scratch('text.h5'), 'no HDF5 at all '.repeat(100));
    const bytes = readFileSync(kept('product.h5'));
    writeFileSync(scratch('cut.h5'), bytes.subarray(0, bytes.length / 2));
    writeFileSync(scratch('signature.h5'), bytes.subarray(0, 8));
    await refuses(() => openHdf5(scratch('nowhere.h5')), 'FILE_NOT_FOUND', /there is no such file/);
    await refuses(() => openHdf5(folder), 'FILE_NOT_FOUND', /folder/);
    await refuses(() => openHdf5(scratch('empty.h5')), 'FILE_TRUNCATED', /is empty/);
    await refuses(() => openHdf5(scratch('text.h5')), 'FILE_FORMAT', /is not an HDF5 file/);
    await refuses(() => openHdf5(scratch('cut.h5')), 'FILE_TRUNCATED', /cut off.*truncated file/);
    await refuses(() => openHdf5(scratch('signature.h5')), 'FILE_FORMAT', /damaged/);
    expect(await isHdf5File(scratch('text.h5'))).toBe(false);
  });

  it('are found behind a user block', async () => {
    writeFileSync(scratch('block.h5'), Buffer.concat([Buffer.alloc(512), readFileSync(kept('types.h5'))]));
    expect(await isHdf5File(scratch('block.h5'))).toBe(true);
  });

  it('never give anything but values or a typed error, whichever bytes are wrong', async () => {
    const before = process.eventNames().map((name) => [name, process.listenerCount(name)]);
    const originals = ['diffraction.h5', 'types.h5', 'layouts.h5'].map((name) => readFileSync(kept(name)));
    let damaged = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(originals.length - 1),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(255)), {
          minLength: 1,
          maxLength: 12,
        }),
        async (which, changes) => {
          const bytes = Buffer.from(originals[which]);
          // Most of what steers the library is at the beginning.
          for (const [place, value] of changes) bytes[Math.floor(place ** 2 * bytes.length)] = value;
          writeFileSync(scratch('fuzz.h5'), bytes);
          try {
            await using(scratch('fuzz.h5'), (h5) => {
              for (const name of h5.datasets(50)) {
                try {
                  h5.read(name, 1 << 24);
                } catch (error) {
                  if (!isPtychoError(error)) throw error;
                  damaged++;
                }
              }
            });
          } catch (error) {
            if (!isPtychoError(error)) throw error;
            damaged++;
          }
        },
      ),
      { numRuns: 60 },
    );
    expect(damaged).toBeGreaterThan(0);
    expect(process.eventNames().map((name) => [name, process.listenerCount(name)])).toEqual(before);
    expect(process.exitCode).toBeUndefined();
    await using(kept('types.h5'), (h5) => expect(h5.readReal('scalar').data[0]).toBe(2.5));
  });

  it('a crash of the library ends its open files and nothing else', async () => {
    const library = await Hdf5Library.current();
    const open = await openHdf5(kept('types.h5'));
    await refuses(
      () =>
        // Nothing is mapped at the end of the address space.
        library.run('bad.h5', { folders: [] }, (m) => (m as unknown as Strlen)._strlen(0xfffffff0)),
      'FILE_FORMAT',
      /bad\.h5 is damaged: the HDF5 library gave up/,
    );
    expect(library.alive).toBe(false);
    await refuses(() => open.read('scalar'), 'FILE_FORMAT', /types\.h5 was closed because/);
    open.close();
    expect(await Hdf5Library.current()).not.toBe(library);
    await using(kept('types.h5'), (h5) => expect(h5.readReal('scalar').data[0]).toBe(2.5));
  });
});

describe('the process around the library', () => {
  it('gets no listeners, no output and no exit code, even from broken files', async () => {
    const script = scratch('quiet.mjs');
    // Plain Node, as users run it; the compiled library is not there in tests, so the wasm module itself is loaded.
    writeFileSync(
      script,
      `const before = process.eventNames().map((e) => [e, process.listenerCount(e)]);
       const { default: factory } = await import(${JSON.stringify(new URL('./hdf5_util.js', import.meta.resolve('h5wasm/node')).href)});
       await factory({ noInitialRun: true });
       const after = process.eventNames().map((e) => [e, process.listenerCount(e)]);
       if (JSON.stringify(before) !== JSON.stringify(after)) process.exit(3);`,
    );
    const { status, stderr, stdout } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
    expect({ status, stderr, stdout }).toEqual({ status: 0, stderr: '', stdout: '' });
  });

  it('leaves no files open', async () => {
    for (let i = 0; i < 5; i++) {
      await using(kept('nexus_master.h5'), (h5) => h5.read('/entry/data/data_000001'));
      await using(kept('hostile.h5'), (h5) => refuses(() => h5.read('raw_escape'), 'FORMAT_UNSUPPORTED', /outside/));
      await refuses(() => openHdf5(scratch('cut.h5')), 'FILE_TRUNCATED', /cut off/);
    }
    // Linux only: elsewhere there is no such list.
    const open = await readdir('/proc/self/fd').catch(() => []);
    const { readlinkSync } = await import('node:fs');
    const targets = open.map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    });
    expect(targets.filter((target) => /\.h5|tmpfile/.test(target))).toEqual([]);
  });
});

describe('slabs', () => {
  it('cover an array once, in C order, none larger than allowed', () => {
    const megabyte = 2 ** 20;
    for (const [shape, itemSize] of [
      [[], 8],
      [[0, 5], 4],
      [[100_000, 64, 64], 2],
      [[3, 5000, 5000], 8],
      [[2, 3, 20 * megabyte], 4],
    ] as [number[], number][]) {
      let next = 0;
      for (const { start, count } of slabs(shape, itemSize)) {
        const size = count.reduce((a, b) => a * b, 1);
        expect(start.reduce((at, v, axis) => at * shape[axis] + v, 0)).toBe(next);
        expect(size * itemSize).toBeLessThanOrEqual(80 * megabyte);
        next += size;
      }
      expect(next).toBe(shape.reduce((a, b) => a * b, 1));
    }
  });
});

/** What Hdf5Writer writes, h5py reads; sub-array views, growing datasets, filters, and files that never appear half-written. */
import { realpathSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Hdf5File, openHdf5 } from '../../../src/formats/hdf5/file.js';
import { Hdf5Rows } from '../../../src/formats/hdf5/rows.js';
import { Hdf5Writer } from '../../../src/formats/hdf5/writer.js';
import fc from '../../support/fastCheck.js';
import { refuses } from '../../support/formatFixtures.js';
import { describePython, runPython } from '../../support/python.js';
import { FILTERS, writeHdf5 } from '../../support/writeHdf5.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-hdf5-write-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const file = (name: string) => path.join(folder, name);

async function using<T>(name: string, work: (h5: Hdf5File) => T | Promise<T>): Promise<T> {
  const h5 = await openHdf5(file(name));
  try {
    return await work(h5);
  } finally {
    h5.close();
  }
}

const ramp = (length: number) => Float32Array.from({ length }, (_, i) => i / 4);

/** A file with everything that can be written. */
async function writeEverything(name: string): Promise<void> {
  await writeHdf5(file(name), {
    datasets: {
      'deep/in/view': { data: ramp(100).subarray(10, 22), shape: [3, 4] },
      c8: { re: ramp(60).subarray(4, 8), im: ramp(60).subarray(50, 54), shape: [2, 2] },
      c16: { input: { re: Float64Array.of(1, 2), im: Float64Array.of(-3, 0.1), shape: [2] }, storage: { gzip: 3 } },
      i8: { data: Int32Array.of(-5, 2 ** 31 - 1), shape: [2], dtype: 'int64' },
      u2: {
        input: { data: Uint16Array.from({ length: 60 }, (_, i) => 1000 * i), shape: [5, 3, 4] },
        storage: { chunks: [2, 3, 2], gzip: 9 },
      },
      i1: { data: Int8Array.of(-128, 127), shape: [1, 2] },
      flags: { data: Uint8Array.of(1, 0, 1), shape: [3], dtype: 'bool' },
      scalar: { data: Float64Array.of(2.5), shape: [] },
      empty: { data: new Float64Array(0), shape: [0] },
      words: { strings: ['größer', ''], shape: [2] },
    },
    attributes: {
      '/': {
        name: 'Straße',
        distance: 2,
        list: [1.5, 2.5],
        words: ['x', 'yy'],
        whole: Int32Array.of(9, 7, 8).subarray(1, 2),
      },
      '/deep/in/view': { pixel_width_m: 4e-8, valid: true },
    },
    links: { '/other/name': '/deep/in/view' },
  });
}

describe('writeHdf5', () => {
  it('is read back', async () => {
    await writeEverything('all.h5');
    await using('all.h5', (h5) => {
      expect(h5.read('deep/in/view')).toMatchObject({ data: ramp(100).slice(10, 22), shape: [3, 4], dtype: 'float32' });
      expect(h5.read('other/name')).toMatchObject({ data: ramp(100).slice(10, 22) });
      expect(h5.read('c8')).toMatchObject({ dtype: 'complex64', re: ramp(60).slice(4, 8), im: ramp(60).slice(50, 54) });
      expect(h5.read('c16')).toMatchObject({ dtype: 'complex128', im: Float64Array.of(-3, 0.1) });
      expect(h5.header('u2')).toMatchObject({ chunks: [2, 3, 2], filters: [{ name: 'gzip' }] });
      expect(h5.read('words')).toMatchObject({ strings: ['größer', ''] });
      expect(h5.attributes()).toEqual({
        name: 'Straße',
        distance: 2,
        list: [1.5, 2.5],
        words: ['x', 'yy'],
        whole: [7],
      });
      expect(h5.attributes('/deep/in/view')).toEqual({ pixel_width_m: 4e-8, valid: 1 });
    });
  });

  it('writes any part of any array, in chunks and out of them', () =>
    fc.assert(
      fc.asyncProperty(
        fc.nat(40),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom({}, { gzip: 1 }, { chunks: [1, 1] }),
        async (skip, rows, columns, storage) => {
          const whole = Float64Array.from({ length: 120 }, (_, i) => Math.sin(i));
          const data = whole.subarray(skip, skip + rows * columns);
          await writeHdf5(file('part.h5'), { datasets: { x: { input: { data, shape: [rows, columns] }, storage } } });
          await using('part.h5', (h5) =>
            expect(h5.readReal('x')).toMatchObject({ data: data.slice(), shape: [rows, columns] }),
          );
        },
      ),
      { numRuns: 25 },
    ));

  it.each(['lz4', 'bitshuffle_lz4', 'zstd', 'blosc'] as const)(
    'compresses with %s, which is read by rows',
    async (filter) => {
      const data = Uint16Array.from({ length: 40 * 64 }, (_, i) => (i * i) % 1999);
      await writeHdf5(file(`${filter}.h5`), {
        datasets: {
          x: { input: { data, shape: [40, 8, 8] }, storage: { filter: FILTERS[filter], chunks: [16, 8, 8] } },
        },
      });
      await using(`${filter}.h5`, async (h5) => {
        expect(h5.header('x').filters[0].source).toBe('plugin');
        expect(h5.readReal('x').data).toEqual(data);
        const out = new Float32Array(2 * 64);
        await new Hdf5Rows(h5, 'x').readInto([39, 3], out);
        expect(out).toEqual(Float32Array.from([...data.subarray(39 * 64), ...data.subarray(3 * 64, 4 * 64)]));
      });
    },
  );

  it('puts nothing in place when something is wrong', async () => {
    await writeFile(file('kept.h5'), 'what was there before');
    const x = { data: ramp(4), shape: [4] };
    const wrong = { data: ramp(4), shape: [5] };
    await refuses(
      () => writeHdf5(file('kept.h5'), { datasets: { x, y: wrong } }),
      'DATASET_SHAPE',
      /4 values as an array of shape \(5,\)/,
    );
    await refuses(
      () => writeHdf5(file('kept.h5'), { datasets: { x, '/x/': x } }),
      'OUTPUT_UNWRITABLE',
      /\/x exists already/,
    );
    await refuses(
      () => writeHdf5(file('kept.h5'), { datasets: { x }, links: { z: '/nothing' } }),
      'OUTPUT_UNWRITABLE',
      /\/z: /,
    );
    await refuses(
      () => writeHdf5(file('no/such/folder.h5'), { datasets: {} }),
      'OUTPUT_UNWRITABLE',
      /the folder .*no\/such does not exist/,
    );
    await refuses(() => writeHdf5(folder, { datasets: {} }), 'OUTPUT_UNWRITABLE', /folder/);
    await refuses(() => openHdf5(file('kept.h5')), 'FILE_FORMAT', /is not an HDF5 file/);
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('Hdf5Writer', () => {
  it('appends rows of real and complex numbers', async () => {
    const h5 = await Hdf5Writer.create(file('grow.h5'));
    h5.growing('/scan/patterns', 'uint16', [3, 2], { gzip: 2, chunks: [4, 3, 2] });
    h5.growing('/scan/waves', 'complex64', [2]);
    const all = Uint16Array.from({ length: 6 * 10 }, (_, i) => i);
    for (const [from, to] of [
      [0, 3],
      [3, 4],
      [4, 4],
      [4, 10],
    ]) {
      h5.append('/scan/patterns', { data: all.subarray(6 * from, 6 * to), shape: [to - from, 3, 2] });
    }
    h5.append('scan/waves', { re: ramp(4), im: ramp(9).subarray(5), shape: [2, 2] });
    await refuses(
      () => h5.append('/scan/patterns', { data: ramp(6), shape: [1, 3, 2] }),
      'DATASET_SHAPE',
      /float32.*uint16/,
    );
    await refuses(
      () => h5.append('/scan/patterns', { data: new Uint16Array(6), shape: [1, 2, 3] }),
      'DATASET_SHAPE',
      /\(1, 2, 3\)/,
    );
    await refuses(() => h5.append('/other', { data: ramp(1), shape: [1] }), 'OUTPUT_UNWRITABLE', /no growing dataset/);
    h5.attributes('/scan/patterns', { measurement_domain: 'count_intensity' });
    expect(await readdir(folder)).not.toContain('grow.h5');
    await h5.close();
    await refuses(() => h5.group('/late'), 'OUTPUT_UNWRITABLE', /closed already/);
    await using('grow.h5', (read) => {
      expect(read.readReal('scan/patterns')).toMatchObject({ data: all, shape: [10, 3, 2] });
      expect(read.readComplex64('scan/waves')).toMatchObject({ re: ramp(4), im: ramp(9).slice(5) });
      expect(read.attributes('scan/patterns')).toEqual({ measurement_domain: 'count_intensity' });
    });
  });

  it('leaves nothing after abort', async () => {
    const h5 = await Hdf5Writer.create(file('never.h5'));
    h5.write('/x', { data: ramp(3), shape: [3] });
    await h5.abort();
    await h5.abort();
    expect((await readdir(folder)).filter((name) => name.includes('never'))).toEqual([]);
  });

  it('writes and reads more than one slab of 64 MB', async () => {
    const frame = 256 * 256;
    const h5 = await Hdf5Writer.create(file('large.h5'));
    h5.growing('/patterns', 'uint16', [256, 256], { chunks: [1, 256, 256] });
    const rows = new Uint16Array(600 * frame);
    for (let i = 0; i < 600; i++) rows[i * frame] = i;
    h5.append('/patterns', { data: rows, shape: [600, 256, 256] });
    await h5.close();
    await using('large.h5', async (read) => {
      const patterns = new Hdf5Rows(read, '/patterns');
      const out = new Float32Array(600 * frame);
      await patterns.readInto(
        Int32Array.from({ length: 600 }, (_, i) => i),
        out,
      );
      expect(Array.from({ length: 600 }, (_, i) => out[i * frame])).toEqual(Array.from({ length: 600 }, (_, i) => i));
      expect(out[frame - 1]).toBe(0);
    });
    await rm(file('large.h5'));
  });
});

describePython('h5py', ['numpy', 'h5py'], () => {
  it('reads what was written as the same arrays', async () => {
    await writeEverything('python.h5');
    const script = `
import sys, json, h5py, numpy as np
def plain(v):
    v = np.asarray(v)
    if v.dtype.kind == 'c': v = np.stack([v.real, v.imag])
    if v.dtype == object: v = v.astype(str)
    return v.tolist()
with h5py.File(sys.argv[1], 'r') as f:
    arrays = {}
    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            values = item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item[()]
            arrays[name] = [str(item.dtype), list(item.shape), item.compression, list(item.chunks or []), plain(values)]
    f.visititems(visit)
    attributes = {k: plain(v) for k, v in f.attrs.items()}
    same = f['other/name'] == f['deep/in/view']
    print(json.dumps([arrays, attributes, dict(f['deep/in/view'].attrs), bool(same)], default=float))
`;
    const [arrays, attributes, ofView, same] = JSON.parse(runPython(script, [file('python.h5')], ['numpy', 'h5py']));
    expect(arrays).toEqual({
      'deep/in/view': [
        'float32',
        [3, 4],
        null,
        [],
        [0, 1, 2].map((i) => Array.from(ramp(100).slice(10 + 4 * i, 14 + 4 * i))),
      ],
      c8: [
        'complex64',
        [2, 2],
        null,
        [],
        [
          [
            [1, 1.25],
            [1.5, 1.75],
          ],
          [
            [12.5, 12.75],
            [13, 13.25],
          ],
        ],
      ],
      c16: [
        'complex128',
        [2],
        'gzip',
        [2],
        [
          [1, 2],
          [-3, 0.1],
        ],
      ],
      i8: ['int64', [2], null, [], [-5, 2 ** 31 - 1]],
      u2: [
        'uint16',
        [5, 3, 4],
        'gzip',
        [2, 3, 2],
        expect.arrayContaining([
          [
            [48000, 49000, 50000, 51000],
            [52000, 53000, 54000, 55000],
            [56000, 57000, 58000, 59000],
          ],
        ]),
      ],
      i1: ['int8', [1, 2], null, [], [[-128, 127]]],
      flags: ['uint8', [3], null, [], [1, 0, 1]],
      scalar: ['float64', [], null, [], 2.5],
      empty: ['float64', [0], null, [], []],
      words: ['object', [2], null, [], ['größer', '']],
    });
    expect(attributes).toEqual({ name: 'Straße', distance: 2, list: [1.5, 2.5], words: ['x', 'yy'], whole: [7] });
    expect(ofView).toEqual({ pixel_width_m: 4e-8, valid: 1 });
    expect(same).toBe(true);
  });
});

describe('a full disk', () => {
  it.each([0, 2])('is said as such after %s writes, and leaves nothing behind', async (fitting) => {
    let left = fitting;
    // The library writes through the functions of this module, whichever copy of it is asked.
    const fs = createRequire(import.meta.url)('node:fs') as { writeSync: (...args: unknown[]) => number };
    const { writeSync } = fs;
    const folderOfIt = await mkdtemp(path.join(folder, 'full-'));
    fs.writeSync = (...args) => {
      if ((args[0] as number) > 2 && left-- <= 0)
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      return writeSync(...args);
    };
    try {
      await refuses(
        () =>
          writeHdf5(path.join(folderOfIt, 'full.h5'), {
            datasets: { '/dp': { input: { data: ramp(1 << 16), shape: [64, 32, 32] }, storage: { gzip: 1 } } },
          }),
        'OUTPUT_UNWRITABLE',
        /full\.h5: the disk is full \(\d+ MiB are free\)/,
      );
    } finally {
      fs.writeSync = writeSync;
    }
    expect(await readdir(folderOfIt)).toEqual([]);
  });
});

describePython('a virtual dataset over compressed sources', ['h5py', 'numpy'], () => {
  it.each(['lz4', 'bitshuffle_lz4', 'zstd', 'blosc', 'lzf'] as const)('%s', async (filter) => {
    const data = Uint16Array.from({ length: 6 * 64 }, (_, i) => i % 97);
    const source = `source_${filter}.h5`;
    if (filter !== 'lzf') {
      await writeHdf5(file(source), {
        datasets: { '/d': { input: { data, shape: [6, 8, 8] }, storage: { filter: FILTERS[filter] } } },
      });
    }
    runPython(
      `
import h5py, numpy, os, sys
os.chdir(sys.argv[1])
if sys.argv[3] == 'lzf':
    with h5py.File(sys.argv[2], 'w') as f:
        f.create_dataset('d', data=(numpy.arange(384) % 97).astype('u2').reshape(6, 8, 8), compression='lzf', chunks=(1, 8, 8))
layout = h5py.VirtualLayout(shape=(6, 8, 8), dtype='u2')
layout[:] = h5py.VirtualSource(sys.argv[2], 'd', shape=(6, 8, 8))
with h5py.File('virtual_' + sys.argv[2], 'w', libver='latest') as f:
    f.create_virtual_dataset('v', layout)
`,
      [folder, source, filter],
      ['h5py', 'numpy'],
    );
    // A new instance has no filters loaded yet: what matters is that the virtual dataset asks for them.
    await using(`virtual_${source}`, async (h5) => {
      const rows = new Hdf5Rows(h5, '/v');
      const out = new Float32Array(2 * 64);
      await rows.readInto([5, 1], out);
      expect(out).toEqual(Float32Array.from([...data.subarray(320), ...data.subarray(64, 128)]));
      expect(h5.placesOf('/v')).toContain(`${realpathSync(file(source))}:/d`);
    });
  });
});

/** `.npz`: rows by position, compressed arrays, transposition, bounds, and files made by NumPy itself where it is at hand. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { PtychoErrorCode } from '../../src/core/errors.js';
import type { ComplexNpyArray, RealNpyArray } from '../../src/formats/npy.js';
import { encodeNpy } from '../../src/formats/npyWrite.js';
import { type NpzFile, openNpz, writeNpz } from '../../src/formats/npz.js';
import { writeZip } from '../../src/formats/zip.js';
import fc from '../support/fastCheck.js';
import { dictionary, npyFile } from '../support/npyBytes.js';
import { askPython, describePython, runPython } from '../support/python.js';
import { describeShared, sharedFile } from '../support/shared.js';

let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-npz-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Like `toEqual`, which takes minutes on millions of numbers. */
const sameBytes = ({ data }: RealNpyArray, expected: Float32Array) =>
  data.length === expected.length && Buffer.compare(Buffer.from(data.buffer), Buffer.from(expected.buffer)) === 0;

/** Opens an archive for one piece of work. */
async function using<T>(name: string, work: (npz: NpzFile) => Promise<T>, maxResidentBytes?: number): Promise<T> {
  const npz = await openNpz(path.isAbsolute(name) ? name : file(name), { maxResidentBytes });
  try {
    return await work(npz);
  } finally {
    await npz.close();
  }
}
const refuses = (work: Promise<unknown>, code: PtychoErrorCode, message: RegExp) =>
  expect(work).rejects.toMatchObject({ name: 'PtychoError', code, message: expect.stringMatching(message) });

const cube = Float32Array.from({ length: 20 * 6 * 5 }, (_, i) => Math.sin(i));
const arrays = {
  diffraction: { data: cube, shape: [20, 6, 5] },
  counts: { data: Uint16Array.from({ length: 20 * 4 }, (_, i) => i * 700), shape: [20, 2, 2] },
  probeGuess: { re: Float32Array.of(1, 2, 3, 4), im: Float32Array.of(5, 6, 7, 8), shape: [2, 2] },
  note: { strings: ['first', 'second'], shape: [2] },
};

describe('openNpz', () => {
  for (const compress of [false, true]) {
    it(`reads what writeNpz wrote, ${compress ? 'deflated' : 'stored'}`, async () => {
      await writeNpz(file('a.npz'), arrays, { compress });
      await using('a.npz', async (npz) => {
        expect(npz.keys).toEqual(Object.keys(arrays));
        expect(await npz.header('diffraction')).toMatchObject({
          shape: [20, 6, 5],
          dtype: 'float32',
          fortranOrder: false,
        });
        expect(npz.isCompressed('note')).toBe(compress);
        expect(await npz.read('diffraction')).toMatchObject(arrays.diffraction);
        expect(await npz.read('probeGuess')).toMatchObject(arrays.probeGuess);
        expect(await npz.read('note')).toMatchObject(arrays.note);
        expect(await npz.rowAccess('diffraction')).toBe('positional');
        await fc.assert(
          fc.asyncProperty(fc.array(fc.nat(19), { maxLength: 30 }), async (rows) => {
            const wanted = Float32Array.from(rows.flatMap((r) => [...cube.subarray(r * 30, r * 30 + 30)]));
            const part = (await npz.readRows('diffraction', rows)) as RealNpyArray;
            expect(part.shape).toEqual([rows.length, 6, 5]);
            expect(part.data).toEqual(wanted);
            const into = new Float32Array(rows.length * 30 + 1).fill(-9);
            await npz.readRowsInto('diffraction', rows, into);
            expect(into.subarray(0, -1)).toEqual(wanted);
            expect(into.at(-1)).toBe(-9);
          }),
          { numRuns: 30 },
        );
        const run = (await npz.readRows('counts', { start: 3, count: 2 })) as RealNpyArray;
        expect(run).toMatchObject({ shape: [2, 2, 2], data: arrays.counts.data.slice(12, 20) });
        const asFloats = new Float32Array(4);
        await npz.readRowsInto('counts', [19], asFloats);
        expect([...asFloats]).toEqual([...arrays.counts.data.slice(76)]);
        expect(await npz.readRows('probeGuess', [1])).toMatchObject({
          re: Float32Array.of(3, 4),
          im: Float32Array.of(7, 8),
        });
        expect(await npz.readRows('note', [1, 0])).toMatchObject({ strings: ['second', 'first'] });
      });
    });
  }

  it('rows of big-endian, complex and Fortran-ordered arrays', async () => {
    const be = new DataView(new ArrayBuffer(24));
    for (let i = 0; i < 6; i++) be.setInt32(i * 4, i * 11, false);
    const c = Float64Array.of(0, 1, 2, 3, 4, 5, 6, 7);
    await writeZip(file('mixed.npz'), [
      { name: 'big.npy', data: npyFile(dictionary('>i4', '(3, 2)'), new Uint8Array(be.buffer)) },
      { name: 'fortran.npy', data: npyFile(dictionary('>i4', '(3, 2)', true), new Uint8Array(be.buffer)) },
      { name: 'complex.npy', data: npyFile(dictionary('<c16', '(2, 2)'), new Uint8Array(c.buffer)) },
    ]);
    await using('mixed.npz', async (npz) => {
      expect(await npz.readRows('big', [2, 0])).toMatchObject({ data: Int32Array.of(44, 55, 0, 11) });
      expect(await npz.rowAccess('fortran')).toBe('resident');
      expect(await npz.readRows('fortran', [2, 0])).toMatchObject({ data: Int32Array.of(22, 55, 0, 33) });
      expect(await npz.readRows('complex', [1])).toMatchObject({
        re: Float64Array.of(4, 6),
        im: Float64Array.of(5, 7),
      });
      expect(await npz.readComplex64('complex')).toMatchObject({ re: Float32Array.of(0, 2, 4, 6), shape: [2, 2] });
      expect(await npz.readComplex64('big')).toMatchObject({ im: new Float32Array(6) });
      await refuses(
        npz.readReal('complex'),
        'DATASET_VALUE',
        /"complex", holds complex128.*real numbers were expected/,
      );
    });
  });

  it('transposes while reading', async () => {
    await writeNpz(file('legacy.npz'), { diff3d: { data: cube, shape: [5, 6, 20] } });
    const moved = (await using('legacy.npz', (npz) => npz.read('diff3d', [2, 0, 1]))) as RealNpyArray;
    expect(moved.shape).toEqual([20, 5, 6]);
    expect(moved.data[(7 * 5 + 3) * 6 + 2]).toBe(cube[(3 * 6 + 2) * 20 + 7]);
  });

  it('streams arrays too large for one piece of memory on the side', async () => {
    const data = Float32Array.from({ length: 5_000_000 }, (_, i) => i % 1013);
    await writeNpz(file('large.npz'), { x: { data, shape: [5000, 1000] } });
    await using('large.npz', async (npz) => {
      expect(sameBytes((await npz.read('x')) as RealNpyArray, data)).toBe(true);
      const row = (await npz.readRows('x', [4321])) as RealNpyArray;
      expect(sameBytes(row, data.slice(4_321_000, 4_322_000))).toBe(true);
    });
  });

  it('equal arrays give equal bytes', async () => {
    await writeNpz(file('one.npz'), arrays, { compress: true });
    await writeNpz(file('two.npz'), arrays, { compress: true });
    expect(Buffer.compare(await readFile(file('one.npz')), await readFile(file('two.npz')))).toBe(0);
  });
});

describe('openNpz refuses', () => {
  it('files that are missing, cut off or something else', async () => {
    await refuses(openNpz(file('none.npz')), 'FILE_NOT_FOUND', /none.npz: there is no such file/);
    await writeFile(file('single.npz'), encodeNpy(arrays.diffraction));
    await refuses(openNpz(file('single.npz')), 'FILE_FORMAT', /single .npy array.*numpy.savez/);
    await writeNpz(file('whole.npz'), arrays);
    const whole = await readFile(file('whole.npz'));
    await writeFile(file('cut.npz'), whole.subarray(0, whole.length / 2));
    await refuses(openNpz(file('cut.npz')), 'FILE_TRUNCATED', /cut off/);
  });

  it('keys that are not there, naming those that are', async () => {
    await using('whole.npz', async (npz) => {
      await expect(npz.read('diffractions')).rejects.toMatchObject({
        code: 'DATASET_KEY_MISSING',
        message: expect.stringMatching(/no array "diffractions"; it holds diffraction, counts, probeGuess, note/),
      });
    });
  });

  it('rows that are not there', async () => {
    await using('whole.npz', async (npz) => {
      await refuses(npz.readRows('diffraction', [20]), 'DATASET_SHAPE', /shape \(20, 6, 5\) has no row 20/);
      await refuses(npz.readRows('diffraction', [-1]), 'DATASET_SHAPE', /no row -1/);
    });
  });

  it('object arrays by their header alone, while the others stay readable', async () => {
    await writeZip(file('object.npz'), [
      { name: '_metadata.npy', data: npyFile(dictionary('|O', '()'), Buffer.from('\x80\x04N.')), compress: true },
      { name: 'x.npy', data: encodeNpy({ data: Float64Array.of(4), shape: [1] }) },
    ]);
    await using('object.npz', async (npz) => {
      await refuses(npz.read('_metadata'), 'FORMAT_UNSUPPORTED', /object.npz, array "_metadata", has dtype object/);
      expect(await npz.readReal('x')).toMatchObject({ data: Float64Array.of(4) });
    });
  });

  it('headers that disagree with the archive, before reserving memory', async () => {
    await writeZip(file('lie.npz'), [
      { name: 'more.npy', data: npyFile(dictionary('<f8', '(100000000, 100)'), new Uint8Array(80)), compress: true },
      { name: 'fewer.npy', data: npyFile(dictionary('<f8', '(2,)'), new Uint8Array(80)) },
    ]);
    await using('lie.npz', async (npz) => {
      await refuses(npz.read('more'), 'FILE_TRUNCATED', /needs 80000000000 bytes of data, but there are 80/);
      await refuses(npz.readRows('more', [5]), 'FILE_TRUNCATED', /but there are 80/);
      await refuses(npz.read('fewer'), 'FILE_FORMAT', /needs 16 bytes of data, but there are 80/);
    });
  });

  it('whole arrays beyond the memory allowed, with the fix; rows are read row by row, also of compressed ones', async () => {
    await writeNpz(file('tight.npz'), arrays);
    await writeNpz(file('packed.npz'), arrays, { compress: true });
    const limit = 1000;
    for (const name of ['tight.npz', 'packed.npz']) {
      await using(
        name,
        async (npz) => {
          expect((await npz.readRows('diffraction', [3])).shape).toEqual([1, 6, 5]);
          await refuses(npz.read('diffraction'), 'FORMAT_UNSUPPORTED', /in memory.*numpy.ascontiguousarray/);
        },
        limit,
      );
    }
  });

  it('arrays that inflate out of all proportion', async () => {
    const zeros = { data: new Uint8Array(65 << 20), shape: [65, 1 << 20] };
    await writeNpz(file('bomb.npz'), { zeros }, { compress: true });
    await using('bomb.npz', async (npz) => {
      for (const work of [npz.read('zeros'), npz.readRows('zeros', [0])]) {
        await refuses(work, 'FILE_FORMAT', /"zeros.npy", inflates from \d+ to \d+ bytes.*save them uncompressed/);
      }
    });
  });

  it('leaves no temporary file behind', async () => {
    vi.stubEnv('TMPDIR', file('temporary'));
    await mkdir(file('temporary'));
    try {
      await using('packed.npz', (npz) => npz.readRows('counts', [1]));
      expect(await readdir(file('temporary'))).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('damage inside a compressed array', async () => {
    await writeNpz(file('hurt.npz'), { x: arrays.diffraction }, { compress: true });
    const hurt = await readFile(file('hurt.npz'));
    hurt.fill(0x55, hurt.length >> 1, (hurt.length >> 1) + 8);
    await writeFile(file('hurt.npz'), hurt);
    await using('hurt.npz', (npz) => refuses(npz.read('x'), 'FILE_FORMAT', /member "x.npy", (is damaged|holds)/));
  });
});

describePython('files that NumPy itself wrote and reads', ['numpy'], () => {
  it('every dtype and both orders', async () => {
    runPython(
      `import sys
import numpy as np
a = {}
for d in ['?','i1','i2','i4','i8','u1','u2','u4','u8','f2','f4','f8','c8','c16']:
  for o in '<>':
      for order in 'CF':
          a[f"{d if d != '?' else 'b1'}_{'le' if o == '<' else 'be'}_{order}"] = np.array(
              (np.arange(24).reshape(2, 3, 4) * (1 - 0.5j if d[0] == 'c' else 1)), dtype=o + d, order=order)
a['text'] = np.array(['ab', 'cde'])
a['zero'] = np.float64(3.5)
np.savez(sys.argv[1], **a)
np.savez_compressed(sys.argv[2], **a)
`,
      [file('np.npz'), file('npc.npz')],
    );
    for (const name of ['np.npz', 'npc.npz']) {
      await using(name, async (npz) => {
        expect(npz.keys).toHaveLength(14 * 4 + 2);
        for (const key of npz.keys) {
          const array = await npz.read(key);
          if (key === 'text') expect(array).toMatchObject({ strings: ['ab', 'cde'] });
          else if (key === 'zero') expect(array).toMatchObject({ shape: [], data: Float64Array.of(3.5) });
          else {
            const values = [...Array(24).keys()];
            const complex = array as ComplexNpyArray;
            const numbers = array.kind === 'complex' ? complex.re : (array as RealNpyArray).data;
            expect([key, array.shape]).toEqual([key, [2, 3, 4]]);
            expect([key, ...numbers]).toEqual([
              key,
              ...(key.startsWith('b1') ? values.map((v) => (v ? 1 : 0)) : values),
            ]);
            if (array.kind === 'complex')
              expect([...complex.im].map((v) => v || 0)).toEqual(values.map((v) => -v / 2 || 0));
          }
        }
      });
    }
  });

  it('reads what we write', async () => {
    await writeNpz(file('ours.npz'), {
      ...arrays,
      wide: { re: Float64Array.of(1), im: Float64Array.of(2), shape: [] },
      long: { data: Int32Array.of(-1, 5), shape: [2], dtype: 'int64' },
      flag: { data: Uint8Array.of(1, 0), shape: [2], dtype: 'bool' },
      large: { data: new Float32Array(5_000_000).fill(0.5), shape: [5_000_000] },
    });
    const script = `
import json, sys
import numpy as np
d = np.load(sys.argv[1])
pairs = lambda a: [[float(v.real), float(v.imag)] for v in a.ravel()]
print(json.dumps({
    'kinds': {k: [d[k].dtype.str, list(d[k].shape)] for k in d.files},
    'sums': [float(d['diffraction'].astype('f8').sum()), float(d['large'].astype('f8').sum())],
    'complex': [pairs(d['probeGuess']), pairs(d['wide'])],
    'plain': [d['note'].tolist(), d['long'].tolist(), d['flag'].tolist()],
}))`;
    const { kinds, sums, complex, plain } = askPython<Record<string, unknown>>(script, [file('ours.npz')]);
    expect(kinds).toEqual({
      diffraction: ['<f4', [20, 6, 5]],
      counts: ['<u2', [20, 2, 2]],
      probeGuess: ['<c8', [2, 2]],
      note: ['<U6', [2]],
      wide: ['<c16', []],
      long: ['<i8', [2]],
      flag: ['|b1', [2]],
      large: ['<f4', [5_000_000]],
    });
    const total = cube.reduce((a, b) => a + b, 0);
    expect(sums).toEqual([expect.closeTo(total, 9), 2_500_000]);
    expect(complex).toEqual([
      [
        [1, 5],
        [2, 6],
        [3, 7],
        [4, 8],
      ],
      [[1, 2]],
    ]);
    expect(plain).toEqual([
      ['first', 'second'],
      [-1, 5],
      [true, false],
    ]);
  });
});

describeShared('shared data', () => {
  it('the golden and measured archives', async () => {
    await using(sharedFile('golden', 'a_grouping.npz'), async (npz) => {
      expect(npz.keys).toContain('knn8_indices');
      expect((await npz.readReal('knn8_indices')).shape).toEqual([300, 8]);
    });
    await using(sharedFile('data', 'siemens_star_128.npz'), async (npz) => {
      expect(await npz.header('diffraction')).toMatchObject({ shape: [516, 128, 128], dtype: 'float32' });
      expect((await npz.read('objectMask')).dtype).toBe('bool');
      expect((await npz.readComplex64('objectGuess')).shape).toEqual([484, 481]);
    });
    await using(sharedFile('golden', 'd_net_gs1_nf1.npz'), async (npz) => {
      expect(await npz.read('gradnames_mae')).toMatchObject({ kind: 'text', shape: [59] });
    });
  });
});

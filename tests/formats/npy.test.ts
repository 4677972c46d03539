/** `.npy`: what is written is read back, what NumPy can write is read, what is wrong is refused in one sentence. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse as npyjsParse } from 'npyjs';
import { describe, expect, it } from 'vitest';
import { isPtychoError, type PtychoErrorCode } from '../../src/core/errors.js';
import type { NumericArray } from '../../src/core/tensor.js';
import {
  type ComplexNpyArray,
  NpyDecoder,
  parseNpy,
  type RealNpyArray,
  type TextNpyArray,
} from '../../src/formats/npy.js';
import { readNpyFile } from '../../src/formats/npyFile.js';
import { parseNpyHeader } from '../../src/formats/npyHeader.js';
import { encodeNpy, type NpyInput } from '../../src/formats/npyWrite.js';
import fc from '../support/fastCheck.js';
import { dictionary, npyFile } from '../support/npyBytes.js';

const origin = { path: 'a.npy' };
const real = (bytes: Uint8Array) => parseNpy(bytes, origin) as RealNpyArray;
const complex = (bytes: Uint8Array) => parseNpy(bytes, origin) as ComplexNpyArray;
const text = (bytes: Uint8Array) => parseNpy(bytes, origin) as TextNpyArray;

const refuses = (bytes: Uint8Array, code: PtychoErrorCode, message: RegExp) => {
  let caught: unknown;
  try {
    parseNpy(bytes, origin);
  } catch (error) {
    caught = error;
  }
  if (!isPtychoError(caught)) throw new Error(`expected ${code}, got ${String(caught)}`);
  expect(caught.code).toBe(code);
  expect(caught.message).toMatch(message);
  expect(caught.message).toMatch(/^a\.npy .*\.$/s);
};

/** Numbers as bytes in a given order. */
const bytesOf = (
  values: readonly number[],
  write: (view: DataView, at: number, value: number) => void,
  width: number,
) => {
  const view = new DataView(new ArrayBuffer(values.length * width));
  values.forEach((value, i) => {
    write(view, i * width, value);
  });
  return new Uint8Array(view.buffer);
};

describe('encodeNpy', () => {
  const arrays: Record<string, NumericArray> = {
    int8: Int8Array.of(-128, 0, 127, 3),
    uint8: Uint8Array.of(0, 255, 7, 1),
    int16: Int16Array.of(-32768, 1, 2, 32767),
    uint16: Uint16Array.of(65535, 0, 1, 2),
    int32: Int32Array.of(-(2 ** 31), 5, 6, 2 ** 31 - 1),
    uint32: Uint32Array.of(2 ** 32 - 1, 0, 1, 2),
    float32: Float32Array.of(1.5, -0, Number.NaN, Number.POSITIVE_INFINITY),
    float64: Float64Array.of(Math.PI, 5e-324, -1e300, 0),
  };
  for (const [dtype, data] of Object.entries(arrays)) {
    it(`${dtype}: read back, and npyjs agrees`, () => {
      const file = encodeNpy({ data, shape: [2, 2] });
      const back = real(file);
      expect(back).toEqual({ kind: 'real', dtype, shape: [2, 2], data });
      const oracle = npyjsParse(file.slice().buffer);
      expect([oracle.shape, oracle.data]).toEqual([[2, 2], data]);
    });
  }

  it('aligns the data to 64 bytes and writes the header that NumPy writes', () => {
    const file = encodeNpy({ data: Float64Array.of(1, 2, 3), shape: [3] });
    expect(file.length % 64).toBe(24);
    expect(Buffer.from(file.subarray(10, 70)).toString('latin1')).toBe(
      "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }   ",
    );
    expect(file[file.length - 25]).toBe(10);
  });

  it('int64, uint64 and bool from arrays that hold such values', () => {
    const data = Float64Array.of(-5, 2 ** 53 - 1, 0);
    const file = encodeNpy({ data, shape: [3], dtype: 'int64' });
    expect([...(npyjsParse(file.slice().buffer).data as unknown as BigInt64Array)]).toEqual([
      -5n,
      9007199254740991n,
      0n,
    ]);
    expect(real(file)).toEqual({ kind: 'real', dtype: 'int64', shape: [3], data });
    const flags = encodeNpy({ data: Uint8Array.of(0, 9, 1), shape: [3], dtype: 'bool' });
    expect(real(flags)).toEqual({ kind: 'real', dtype: 'bool', shape: [3], data: Uint8Array.of(0, 1, 1) });
    expect(() => encodeNpy({ data: Float64Array.of(0.5), shape: [1], dtype: 'int64' })).toThrow(/0.5 .*as int64/);
    expect(() => encodeNpy({ data: Int32Array.of(-1), shape: [1], dtype: 'uint64' })).toThrow(/-1 .*as uint64/);
  });

  it('complex numbers, parts apart in memory and interleaved on disk', () => {
    const re = Float32Array.of(1, 2, 3);
    const im = Float32Array.of(-1, 0.5, 9);
    const file = encodeNpy({ re, im, shape: [3] });
    expect([...(npyjsParse(file.slice().buffer).data as unknown as Float32Array)]).toEqual([1, -1, 2, 0.5, 3, 9]);
    expect(complex(file)).toEqual({ kind: 'complex', dtype: 'complex64', shape: [3], re, im });
    const wide = { re: Float64Array.from(re), im: Float64Array.from(im), shape: [1, 3] };
    expect(complex(encodeNpy(wide))).toEqual({ kind: 'complex', dtype: 'complex128', ...wide });
  });

  it('text, also beyond the basic plane', () => {
    const strings = ['count_amplitude', '', 'µ→😀'];
    expect(text(encodeNpy({ strings, shape: [3] }))).toEqual({ kind: 'text', dtype: 'str', shape: [3], strings });
    expect(text(encodeNpy({ strings: ['one'], shape: [] }))).toMatchObject({ shape: [], strings: ['one'] });
  });

  it('scalars and empty arrays', () => {
    expect(real(encodeNpy({ data: Float64Array.of(7), shape: [] }))).toMatchObject({
      shape: [],
      data: Float64Array.of(7),
    });
    expect(real(encodeNpy({ data: new Int16Array(0), shape: [0, 5] }))).toMatchObject({ shape: [0, 5] });
  });

  it('writes the elements of a view and nothing around them', () => {
    fc.assert(
      fc.property(fc.array(fc.float(), { maxLength: 40 }), fc.nat(10), fc.nat(10), (values, a, b) => {
        const whole = Float32Array.from(values);
        const view = whole.subarray(Math.min(a, whole.length), Math.max(Math.min(a, whole.length), whole.length - b));
        const inputs: NpyInput[] = [
          { data: view, shape: [view.length] },
          { re: view, im: view, shape: [view.length] },
        ];
        const [plain, pair] = inputs.map((input) => parseNpy(encodeNpy(input), origin));
        expect((plain as RealNpyArray).data).toEqual(view.slice());
        expect((pair as ComplexNpyArray).im).toEqual(view.slice());
      }),
    );
  });

  it('refuses a shape that does not fit', () => {
    expect(() => encodeNpy({ data: new Float32Array(6), shape: [2, 2] })).toThrow(
      /6 values as an array of shape \(2, 2\)/,
    );
    expect(() => encodeNpy({ re: new Float32Array(4), im: new Float32Array(3), shape: [4] })).toThrow(/shape \(4,\)/);
  });
});

describe('parseNpy reads', () => {
  it('big endian', () => {
    const values = [1, -2, 300];
    const file = (descr: string, data: Uint8Array) => npyFile(dictionary(descr, '(3,)'), data);
    const i2 = bytesOf(values, (v, at, x) => v.setInt16(at, x), 2);
    expect(real(file('>i2', i2)).data).toEqual(Int16Array.from(values));
    const f4 = bytesOf(values, (v, at, x) => v.setFloat32(at, x), 4);
    expect(real(file('>f4', f4)).data).toEqual(Float32Array.from(values));
    const f8 = bytesOf(values, (v, at, x) => v.setFloat64(at, x), 8);
    expect(real(file('>f8', f8)).data).toEqual(Float64Array.from(values));
    const i8 = bytesOf(values, (v, at, x) => v.setBigInt64(at, BigInt(x)), 8);
    expect(real(file('>i8', i8))).toMatchObject({ dtype: 'int64', data: Float64Array.from(values) });
    const u4 = bytesOf([7, 8, 2 ** 32 - 1], (v, at, x) => v.setUint32(at, x), 4);
    expect(real(file('>u4', u4)).data).toEqual(Uint32Array.of(7, 8, 2 ** 32 - 1));
    const c8 = bytesOf([1, 2, 3, 4, 5, 6], (v, at, x) => v.setFloat32(at, x), 4);
    expect(complex(file('>c8', c8))).toMatchObject({ re: Float32Array.of(1, 3, 5), im: Float32Array.of(2, 4, 6) });
    const points = bytesOf(
      [...'ab\0dé\0'].map((c) => c.codePointAt(0)!),
      (v, at, x) => v.setUint32(at, x),
      4,
    );
    expect(text(npyFile(dictionary('>U2', '(3,)'), points)).strings).toEqual(['ab', '\0d', 'é']);
  });

  it('Fortran order, of any rank, in pieces of any size', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 37 }),
        (shape, step) => {
          const size = shape.reduce((a, b) => a * b, 1);
          const c = Array.from({ length: size }, (_, i) => i + 0.25);
          // Column-major: element (i, j, …) at i + s0·(j + s1·(…)).
          const f = new Array<number>(size);
          for (let i = 0; i < size; i++) {
            let rest = i;
            const index = shape.map(() => 0);
            for (let axis = shape.length - 1; axis >= 0; axis--) {
              index[axis] = rest % shape[axis];
              rest = Math.floor(rest / shape[axis]);
            }
            f[index.reduceRight((at, k, axis) => at * shape[axis] + k, 0)] = c[i];
          }
          const tuple = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;
          const bytes = bytesOf(f, (v, at, x) => v.setFloat64(at, x, true), 8);
          const file = npyFile(dictionary('<f8', tuple, true), bytes);
          expect([...real(file).data]).toEqual(c);
          const decoder = new NpyDecoder(parseNpyHeader(file, origin), origin);
          for (let at = 0; at < bytes.length; at += step) decoder.push(bytes.subarray(at, at + step));
          expect([...(decoder.finish() as RealNpyArray).data]).toEqual(c);
        },
      ),
    );
  });

  it('an array transposed on the way in', () => {
    const file = encodeNpy({ data: Float32Array.from({ length: 24 }, (_, i) => i), shape: [2, 3, 4] });
    const header = parseNpyHeader(file, origin);
    const decoder = new NpyDecoder(header, origin, [2, 0, 1]);
    decoder.push(file.subarray(header.dataOffset));
    const moved = decoder.finish() as RealNpyArray;
    expect(moved.shape).toEqual([4, 2, 3]);
    for (let i = 0; i < 2; i++) {
      for (let j = 0; j < 3; j++) {
        for (let k = 0; k < 4; k++) expect(moved.data[(k * 2 + i) * 3 + j]).toBe((i * 3 + j) * 4 + k);
      }
    }
  });

  it('header versions 2 and 3, other quotes, key orders and spacing', () => {
    const data = Uint8Array.of(1, 2, 3);
    const headers = [
      `{"shape": (3,), "descr": "|u1", "fortran_order": False}`,
      `  {'fortran_order':True,'shape':(3L,),'descr':'|u1'}      `,
      dictionary('<u1', '(3,)'),
    ];
    for (const version of [1, 2, 3]) {
      for (const header of headers) expect([...real(npyFile(header, data, version)).data]).toEqual([1, 2, 3]);
    }
  });

  it('half precision, all 65536 values', () => {
    const all = bytesOf([...Array(65536).keys()], (v, at, x) => v.setUint16(at, x, true), 2);
    const swapped = bytesOf([...Array(65536).keys()], (v, at, x) => v.setUint16(at, x, false), 2);
    const ours = real(npyFile(dictionary('>f2', '(65536,)'), swapped)).data;
    // Little endian goes through npyjs: two decoders, one answer.
    expect(ours).toEqual(real(npyFile(dictionary('<f2', '(65536,)'), all)).data);
    expect([ours[0x3c00], ours[0xc000], ours[1], ours[0x7c00]]).toEqual([1, -2, 2 ** -24, Number.POSITIVE_INFINITY]);
  });

  it('at any byte offset of a larger buffer', () => {
    const file = encodeNpy({ data: Float64Array.of(1, 2, 3), shape: [3] });
    for (let shift = 0; shift < 9; shift++) {
      const larger = new Uint8Array(file.length + 20);
      larger.set(file, shift);
      expect([...real(larger.subarray(shift, shift + file.length)).data]).toEqual([1, 2, 3]);
    }
  });
});

describe('parseNpy refuses', () => {
  const none = new Uint8Array(0);

  it('pickled objects, with the fix, before looking at the data', () => {
    const pickle = Buffer.from('\x80\x03cposix\nsystem\n', 'latin1');
    refuses(
      npyFile(dictionary('|O', '()'), pickle),
      'FORMAT_UNSUPPORTED',
      /dtype object \(\|O\).*never loaded.*dtype=object/,
    );
  });

  it('structured, void, text-as-bytes and date types', () => {
    const fields = `{'descr': [('x', '<f8'), ('y', '<f8')], 'fortran_order': False, 'shape': (1,), }`;
    refuses(npyFile(fields, new Uint8Array(16)), 'FORMAT_UNSUPPORTED', /structured dtype.*array of its own/);
    refuses(npyFile(dictionary('|V16', '(1,)'), new Uint8Array(16)), 'FORMAT_UNSUPPORTED', /structured/);
    for (const descr of ['|S5', '<M8[ns]', '<f16', '<c32', '|f8', '|U4', '<i3', '=f8', 'f8', '<U0']) {
      refuses(npyFile(dictionary(descr, '(1,)'), new Uint8Array(16)), 'FORMAT_UNSUPPORTED', /which is not read/);
    }
  });

  it('data shorter or longer than the shape says', () => {
    const file = encodeNpy({ data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] });
    refuses(file.subarray(0, file.length - 1), 'FILE_TRUNCATED', /\(2, 3\) of float32 needs 24 bytes.*there are 23/);
    refuses(Buffer.concat([file, Buffer.alloc(4)]), 'FILE_FORMAT', /needs 24 bytes.*there are 28/);
  });

  it('a shape that promises more than there is, without reserving memory for it', () => {
    const before = process.memoryUsage().arrayBuffers;
    for (const shape of ['(1000000000, 1000)', '(9007199254740991,)']) {
      refuses(npyFile(dictionary('|u1', shape), none), 'FILE_TRUNCATED', /there are 0/);
    }
    for (const shape of ['(9007199254740991, 9007199254740991)', '(3000000000, 3000000000, 0)']) {
      const code = shape.endsWith('0)') ? undefined : 'FILE_FORMAT';
      if (code) refuses(npyFile(dictionary('<f8', shape), none), code, /impossible shape/);
      else expect(real(npyFile(dictionary('<f8', shape), none)).data).toHaveLength(0);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });

  it('headers that are no header', () => {
    const good = dictionary('<f8', '(1,)');
    const data = new Uint8Array(8);
    refuses(Buffer.from('PK\x03\x04 something else'), 'FILE_FORMAT', /not a NumPy/);
    refuses(none, 'FILE_TRUNCATED', /inside its header/);
    refuses(npyFile(good, data).subarray(0, 30), 'FILE_TRUNCATED', /inside its header/);
    refuses(npyFile(good, data, 4), 'FORMAT_UNSUPPORTED', /version 4.0/);
    const long = Buffer.from(npyFile(good, data, 2));
    long.writeUInt32LE(0xffffffff, 8);
    refuses(long, 'FILE_FORMAT', /header of 4294967307 bytes/);
    const malformed = [
      `{'descr': '<f8', 'fortran_order': False}`,
      `{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'extra': 1}`,
      `{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}`,
      `{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}`,
      `{'descr': '<f8', 'fortran_order': False, 'shape': (1)}`,
      `{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}`,
      `{'descr': '<f8', 'fortran_order': False, 'shape': (1.5,)}`,
      `{'descr': '<f8', 'fortran_order': False, 'shape': (1,,2)}`,
      `{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}`,
      `{'descr': '<f8', 'fortran_order': False, 'shape': (${'1,'.repeat(33)})}`,
      `{'descr': '<f8' 'fortran_order': False, 'shape': (1,)}`,
      `{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,)}`,
      `${good} trailing`,
      '',
    ];
    for (const header of malformed) refuses(npyFile(header, data), 'FILE_FORMAT', /malformed .npy header/);
  });

  it('64-bit integers that a double cannot hold, and impossible characters', () => {
    const huge = bytesOf([2 ** 53], (v, at, x) => v.setBigInt64(at, BigInt(x), true), 8);
    refuses(npyFile(dictionary('<i8', '(1,)'), huge), 'DATASET_VALUE', /beyond ±2\^53/);
    const point = bytesOf([0x110000], (v, at, x) => v.setUint32(at, x, true), 4);
    refuses(npyFile(dictionary('<U1', '(1,)'), point), 'DATASET_VALUE', /impossible character code 1114112/);
  });

  it('whatever bytes come: a typed error or an array, never anything else', () => {
    const sound = Buffer.from(npyFile(dictionary('<i4', '(3, 2)'), new Uint8Array(24)));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(sound.length),
        (changes, cut) => {
          const bytes = Buffer.from(sound.subarray(0, sound.length - (cut % 7 === 0 ? cut : 0)));
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          try {
            parseNpy(bytes, origin);
          } catch (error) {
            if (!isPtychoError(error)) throw error;
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('readNpyFile', () => {
  it('reads a file in pieces, and names what is wrong with one', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-npy-'));
    try {
      const data = Float32Array.from({ length: 100_000 }, (_, i) => i);
      const file = path.join(folder, 'x.npy');
      await writeFile(file, encodeNpy({ data, shape: [1000, 100] }));
      expect(await readNpyFile(file)).toEqual({ kind: 'real', dtype: 'float32', shape: [1000, 100], data });
      await writeFile(file, encodeNpy({ data, shape: [1000, 100] }).subarray(0, 300_000));
      await expect(readNpyFile(file)).rejects.toMatchObject({ code: 'FILE_TRUNCATED' });
      await expect(readNpyFile(path.join(folder, 'y.npy'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

import { describe, expect, it } from 'vitest';
import { isPtychoError, PtychoError, type PtychoErrorCode } from '../../src/core/errors.js';
import { sizeOf, type Tensor } from '../../src/core/tensor.js';
import { decodeSafetensors, encodeSafetensors } from '../../src/formats/safetensors.js';
import fc from '../support/fastCheck.js';

const tensorOf = (shape: number[], from = 0): Tensor => ({
  data: Float32Array.from({ length: sizeOf(shape) }, (_, i) => from + i),
  shape,
});

/** A file with any header and any number of data bytes. */
function fileOf(header: string, dataBytes: number): Uint8Array {
  const json = Buffer.from(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const entry = (begin: number, end: number, shape = [(end - begin) / 4], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

function refusal(bytes: Uint8Array): PtychoError {
  try {
    decodeSafetensors(bytes, 'w.safetensors');
  } catch (error) {
    if (isPtychoError(error)) return error;
    throw error;
  }
  throw new Error('the file was accepted');
}

function expectRefusal(bytes: Uint8Array, code: PtychoErrorCode, message: string | RegExp): void {
  const error = refusal(bytes);
  expect(error.message).toMatch(message);
  expect(error.code).toBe(code);
}

describe('encodeSafetensors', () => {
  it('writes the documented layout: length, padded header, data back to back in name order', () => {
    const { bytes, entries } = encodeSafetensors({ b: tensorOf([2, 3], 10), a: tensorOf([], 7), c: tensorOf([2], 20) });
    const view = new DataView(bytes.buffer);
    const headerLength = Number(view.getBigUint64(0, true));
    const start = 8 + headerLength;
    expect(start % 64).toBe(0);
    const header = Buffer.from(bytes.subarray(8, start)).toString('latin1');
    expect(header).toMatch(/^\{.*\} *$/);
    expect(JSON.parse(header)).toEqual({ a: entry(0, 4, []), b: entry(4, 28, [2, 3]), c: entry(28, 36, [2]) });
    const floats = Array.from({ length: 9 }, (_, i) => view.getFloat32(start + 4 * i, true));
    expect(floats).toEqual([7, 10, 11, 12, 13, 14, 15, 20, 21]);
    expect(bytes.length).toBe(start + 36);
    expect([...entries]).toEqual([
      ['a', { offset: start, length: 4 }],
      ['b', { offset: start + 4, length: 24 }],
      ['c', { offset: start + 28, length: 8 }],
    ]);
  });

  it('gives equal bytes whatever the order of the names', () => {
    const [x, y] = [tensorOf([3]), tensorOf([4], 5)];
    expect(encodeSafetensors({ x, y }).bytes).toEqual(encodeSafetensors({ y, x }).bytes);
  });

  it('writes only the part of a buffer that a view shows', () => {
    const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
    expect([...decodeSafetensors(encodeSafetensors({ v: { data, shape: [2] } }).bytes).tensors.v.data]).toEqual([2, 3]);
  });

  it('refuses reserved names and shapes that do not fit', () => {
    expect(() => encodeSafetensors({ __metadata__: tensorOf([1]) })).toThrow('cannot be called "__metadata__"');
    expect(() => encodeSafetensors({ '': tensorOf([1]) })).toThrow('cannot be called ""');
    expect(() => encodeSafetensors({ w: { data: new Float32Array(3), shape: [2, 2] } })).toThrow(
      'w: 3 values cannot have shape [2, 2] (4 values).',
    );
  });
});

describe('decodeSafetensors', () => {
  const anyTensor = fc
    .array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 })
    .chain((shape) =>
      fc
        .array(fc.float({ noNaN: true }), { minLength: sizeOf(shape), maxLength: sizeOf(shape) })
        .map((values): Tensor => ({ data: Float32Array.from(values), shape })),
    );
  const anyName = fc.string({ unit: 'grapheme', minLength: 1 }).filter((n) => n !== '__metadata__');

  it('gives back what was written, bit by bit, at any alignment of the bytes', () => {
    fc.assert(
      fc.property(fc.dictionary(anyName, anyTensor), fc.integer({ min: 0, max: 7 }), (tensors, skew) => {
        const encoded = encodeSafetensors(tensors);
        const shifted = Buffer.concat([Buffer.alloc(skew), encoded.bytes]).subarray(skew);
        const decoded = decodeSafetensors(shifted);
        expect(Object.keys(decoded.tensors).sort()).toEqual(Object.keys(tensors).sort());
        expect(new Map(decoded.entries)).toEqual(encoded.entries);
        for (const [name, { data, shape }] of Object.entries(tensors)) {
          expect(decoded.tensors[name].shape).toEqual(shape);
          expect(Buffer.from(new Uint8Array(decoded.tensors[name].data.slice().buffer))).toEqual(
            Buffer.from(new Uint8Array(data.slice().buffer)),
          );
        }
      }),
      { numRuns: 200 },
    );
  });

  it('does not copy where the bytes are aligned', () => {
    const { bytes } = encodeSafetensors({ w: tensorOf([4]) });
    expect(decodeSafetensors(bytes).tensors.w.data.buffer).toBe(bytes.buffer);
  });

  it('keeps NaN payloads, infinities and −0', () => {
    const bits = Uint32Array.of(0x7fc00001, 0xff800000, 0x80000000, 0x00000001);
    const { bytes } = encodeSafetensors({ w: { data: new Float32Array(bits.buffer), shape: [4] } });
    expect(new Uint32Array(decodeSafetensors(bytes).tensors.w.data.slice().buffer)).toEqual(bits);
  });

  it('reads files of other writers: any name order, no padding, text metadata', () => {
    const header = { __metadata__: { format: 'pt' }, z: entry(0, 8), a: entry(8, 12) };
    const bytes = fileOf(JSON.stringify(header), 12);
    const { tensors } = decodeSafetensors(bytes);
    expect(Object.keys(tensors)).toEqual(['z', 'a']);
    expect(tensors.z.shape).toEqual([2]);
  });

  it('refuses every file that is cut off', () => {
    const { bytes } = encodeSafetensors({ a: tensorOf([3]), b: tensorOf([2, 2]) });
    for (let n = 0; n < bytes.length; n++)
      expectRefusal(bytes.subarray(0, n), 'FILE_TRUNCATED', /the file ends too early/);
  });

  it('bounds the header by the file before it is looked at', () => {
    const bytes = fileOf('{}', 0);
    new DataView(bytes.buffer).setBigUint64(0, 3n, true);
    expectRefusal(bytes, 'FILE_TRUNCATED', 'its header claims 3 bytes, 2 are there');
    new DataView(bytes.buffer).setBigUint64(0, 2n ** 63n, true);
    expectRefusal(bytes, 'FILE_FORMAT', 'is no safetensors header');
  });

  it.each<[string, string, number, PtychoErrorCode, string]>([
    ['no JSON', '{"a":', 0, 'FILE_FORMAT', 'the safetensors header is not valid JSON'],
    ['an array', '[]', 0, 'FILE_FORMAT', 'the safetensors header is not a JSON object'],
    ['leading spaces', '  {}', 0, 'FILE_FORMAT', 'the safetensors header is not a JSON object'],
    ['an entry that is no object', '{"a":1}', 0, 'FILE_FORMAT', 'the entry "a" is not a JSON object'],
    ['metadata with numbers', '{"__metadata__":{"a":1}}', 0, 'FILE_FORMAT', '__metadata__ may hold text only'],
    [
      'another dtype',
      JSON.stringify({ a: entry(0, 8, [1], 'F64') }),
      8,
      'FORMAT_UNSUPPORTED',
      'tensor "a" has dtype "F64"; only F32',
    ],
    ['a negative axis', JSON.stringify({ a: entry(0, 4, [-1]) }), 4, 'FILE_FORMAT', 'tensor "a" has no valid shape'],
    [
      'a huge shape',
      JSON.stringify({ a: entry(0, 4, [2 ** 40, 2 ** 40]) }),
      4,
      'FILE_FORMAT',
      'tensor "a" has no valid shape',
    ],
    [
      'a fraction',
      JSON.stringify({ a: { ...entry(0, 4), shape: [0.5] } }),
      4,
      'FILE_FORMAT',
      'tensor "a" has no valid shape',
    ],
    [
      'reversed offsets',
      JSON.stringify({ a: entry(4, 0, [1]) }),
      4,
      'FILE_FORMAT',
      'tensor "a" has no valid data_offsets',
    ],
    [
      'three offsets',
      JSON.stringify({ a: { ...entry(0, 4), data_offsets: [0, 4, 4] } }),
      4,
      'FILE_FORMAT',
      'no valid data_offsets',
    ],
    ['offsets past the end', JSON.stringify({ a: entry(0, 8) }), 4, 'FILE_TRUNCATED', 'tensor "a" needs bytes up to'],
    [
      'a length that is not the shape’s',
      JSON.stringify({ a: entry(0, 8, [3]) }),
      8,
      'FILE_FORMAT',
      'of shape [3] needs 12 bytes, its data_offsets give 8',
    ],
    [
      'a hole',
      JSON.stringify({ a: entry(0, 4), b: entry(8, 12) }),
      12,
      'FILE_FORMAT',
      'tensor "b" begins at data byte 8, 4 was expected',
    ],
    [
      'an overlap',
      JSON.stringify({ a: entry(0, 8), b: entry(4, 12) }),
      12,
      'FILE_FORMAT',
      'tensor "b" begins at data byte 4, 8 was expected',
    ],
    ['bytes left over', JSON.stringify({ a: entry(0, 4) }), 9, 'FILE_FORMAT', '5 bytes at the end belong to no tensor'],
    [
      'a name twice',
      `{"a":${JSON.stringify(entry(0, 4))},"\\u0061":${JSON.stringify(entry(0, 4))}}`,
      4,
      'FILE_FORMAT',
      'names "a" twice',
    ],
    [
      'a key twice',
      '{"a":{"dtype":"F32","shape":[2],"shape":[1],"data_offsets":[0,4]}}',
      4,
      'FILE_FORMAT',
      'names "shape" twice',
    ],
  ])('refuses %s', (_, header, dataBytes, code, message) => {
    expectRefusal(fileOf(header, dataBytes), code, new RegExp(message.replace(/[[\]"().\\]/g, '\\$&')));
  });

  it('takes a tensor called __proto__ for a tensor', () => {
    const { bytes } = encodeSafetensors(Object.fromEntries([['__proto__', tensorOf([2])]]));
    const { tensors } = decodeSafetensors(bytes);
    expect(Object.keys(tensors)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(tensors)).toBe(Object.prototype);
  });

  it('either reads a file with a flipped byte as a file of the same size or refuses it with a sentence', () => {
    const { bytes } = encodeSafetensors({ a: tensorOf([3]), 'b.c': tensorOf([2, 2]) });
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const copy = bytes.slice();
        copy[at] ^= flip;
        try {
          const { tensors } = decodeSafetensors(copy);
          expect(Object.values(tensors).reduce((n, t) => n + t.data.length, 0)).toBe(7);
        } catch (error) {
          expect(error).toBeInstanceOf(PtychoError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

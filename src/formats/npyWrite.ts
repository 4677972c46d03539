/**
 * Typed arrays to NumPy `.npy` bytes (version 1.0, C order, data aligned to 64 bytes); what `numpy.load` gives back is the
 * same array.
 *
 * @example
 * await writeFile('x.npy', encodeNpy({ data: Float64Array.of(1, 2, 3), shape: [3] }));
 */
import { PtychoError } from '../core/errors.js';
import { type ComplexTensor, formatShape, type NumericArray, type Shape, sizeOf, type Tensor } from '../core/tensor.js';
import { itemSizeOf, type NpyDtype } from './npyHeader.js';

/** Numbers to write; `dtype` overrides the one that the typed array implies, for what JavaScript has no array for. */
export interface RealNpyInput extends Tensor<NumericArray> {
  readonly dtype?: 'bool' | 'int64' | 'uint64';
}

/** Text to write, as NumPy's fixed-width unicode. */
export interface TextNpyInput {
  readonly strings: readonly string[];
  readonly shape: Shape;
}

/** Anything that can be written: real, complex (Float32Arrays become complex64, Float64Arrays complex128) or text. */
export type NpyInput = RealNpyInput | ComplexTensor<Float32Array | Float64Array> | TextNpyInput;

/** An array whose data are produced while they are written, so that it is never whole in memory. */
export interface StreamedNpyInput {
  /** complex64 and complex128 come as pairs, real part first. */
  readonly dtype: Exclude<NpyDtype, 'str'>;
  readonly shape: Shape;
  /** The data in C order, in typed arrays of that dtype that are not touched again. */
  readonly pieces: () => AsyncIterable<NumericArray>;
}

const CHUNK_ELEMENTS = 1 << 18;

/** Magic, version and header of an array with elements of `itemSize` bytes in little endian, the order of every machine that our engines run on. */
export function npyPreamble(dtype: NpyDtype, itemSize: number, shape: Shape): Uint8Array {
  const order = itemSize === 1 ? '|' : '<';
  const descr = dtype === 'str' ? `${order}U${itemSize / 4}` : `${order}${dtype[0]}${itemSize}`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${formatShape(shape)}, }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64;
  const preamble = Buffer.alloc(length, ' ');
  preamble.write('\x93NUMPY\x01\x00', 'latin1');
  preamble.writeUInt16LE(length - 10, 8);
  preamble.write(text, 10, 'latin1');
  preamble.write('\n', length - 1);
  return preamble;
}

/** The bytes of a `.npy` file, as views of the input where possible; `size` of them in all. */
export interface NpyBytes {
  readonly size: number;
  readonly chunks: () => Iterable<Uint8Array>;
  /** The same without the header. */
  readonly values: () => Iterable<Uint8Array>;
}

/**
 * Prepares an array for writing piece by piece, so that large arrays are not copied whole.
 * @throws PtychoError DATASET_SHAPE when data and shape disagree, DATASET_VALUE for numbers that are no integers in an
 * integer `dtype` override.
 */
export function npyBytes(input: NpyInput): NpyBytes {
  const length = 'strings' in input ? input.strings.length : 're' in input ? input.re.length : input.data.length;
  if (length !== sizeOf(input.shape) || ('re' in input && input.im.length !== length)) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `Cannot write ${length} values as an array of shape ${formatShape(input.shape)}.`,
      { found: length, expected: sizeOf(input.shape) },
    );
  }
  if ('strings' in input) return textBytes(input);
  if ('re' in input) return complexBytes(input);
  return realBytes(input);
}

/** The bytes of a `.npy` file; only the elements of a sub-array view are written, whatever its buffer holds besides. */
export function encodeNpy(input: NpyInput): Uint8Array {
  const { size, chunks } = npyBytes(input);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks()) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Header and data of a streamed array; `size` bytes in all. */
export function streamedNpyBytes({ dtype, shape, pieces }: StreamedNpyInput): {
  readonly size: number;
  readonly chunks: () => AsyncIterable<Uint8Array>;
} {
  const itemSize = itemSizeOf(dtype);
  const preamble = npyPreamble(dtype, itemSize, shape);
  return {
    size: preamble.length + sizeOf(shape) * itemSize,
    async *chunks() {
      yield preamble;
      for await (const piece of pieces()) yield new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
    },
  };
}

function withPreamble(preamble: Uint8Array, dataBytes: number, data: () => Iterable<Uint8Array>): NpyBytes {
  return {
    size: preamble.length + dataBytes,
    values: data,
    *chunks() {
      yield preamble;
      yield* data();
    },
  };
}

function realBytes({ data, shape, dtype }: RealNpyInput): NpyBytes {
  if (dtype === 'int64' || dtype === 'uint64') return integerBytes(data, shape, dtype);
  if (dtype === 'bool') {
    const flags = Uint8Array.from(data, (value) => (value === 0 ? 0 : 1));
    return withPreamble(npyPreamble('bool', 1, shape), flags.length, () => pieces(flags));
  }
  return withPreamble(npyPreamble(dtypeOf(data), data.BYTES_PER_ELEMENT, shape), data.byteLength, () => pieces(data));
}

/** The dtype that a typed array implies. */
export function dtypeOf(data: NumericArray): NpyDtype {
  // "Float32Array" → "float32"; asked of the object, so that arrays from another realm (a worker, a test runner) count too.
  return data[Symbol.toStringTag].replace('Array', '').toLowerCase() as NpyDtype;
}

function* pieces(data: NumericArray): Generator<Uint8Array> {
  const step = CHUNK_ELEMENTS * 8;
  for (let at = 0; at < data.byteLength; at += step) {
    yield new Uint8Array(data.buffer, data.byteOffset + at, Math.min(step, data.byteLength - at));
  }
}

function integerBytes(data: NumericArray, shape: Shape, dtype: 'int64' | 'uint64'): NpyBytes {
  for (let i = 0; i < data.length; i++) {
    if (!Number.isSafeInteger(data[i]) || (dtype === 'uint64' && data[i] < 0)) {
      throw new PtychoError('DATASET_VALUE', `Cannot write the value ${data[i]} (element ${i}) as ${dtype}.`, {
        found: data[i],
      });
    }
  }
  return withPreamble(npyPreamble(dtype, 8, shape), data.length * 8, function* () {
    for (let at = 0; at < data.length; at += CHUNK_ELEMENTS) {
      const chunk = BigInt64Array.from(data.subarray(at, at + CHUNK_ELEMENTS), BigInt);
      yield new Uint8Array(chunk.buffer);
    }
  });
}

function complexBytes({ re, im, shape }: ComplexTensor<Float32Array | Float64Array>): NpyBytes {
  const width = re.BYTES_PER_ELEMENT;
  const preamble = npyPreamble(width === 4 ? 'complex64' : 'complex128', 2 * width, shape);
  return withPreamble(preamble, re.length * 2 * width, function* () {
    for (let at = 0; at < re.length; at += CHUNK_ELEMENTS) {
      const count = Math.min(CHUNK_ELEMENTS, re.length - at);
      const chunk = width === 4 ? new Float32Array(2 * count) : new Float64Array(2 * count);
      for (let i = 0; i < count; i++) {
        chunk[2 * i] = re[at + i];
        chunk[2 * i + 1] = im[at + i];
      }
      yield new Uint8Array(chunk.buffer);
    }
  });
}

function textBytes({ strings, shape }: TextNpyInput): NpyBytes {
  const points = strings.map((s) => Array.from(s, (character) => character.codePointAt(0)!));
  const width = points.reduce((most, p) => Math.max(most, p.length), 1);
  const data = new Uint32Array(points.length * width);
  points.forEach((p, i) => {
    data.set(p, i * width);
  });
  return withPreamble(npyPreamble('str', 4 * width, shape), data.byteLength, () => pieces(data));
}

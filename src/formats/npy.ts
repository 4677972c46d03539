/**
 * NumPy `.npy` arrays: bytes to typed arrays in C order, complex numbers with real and imaginary parts apart.
 *
 * @example
 * const array = parseNpy(await readFile('xcoords.npy'), { path: 'xcoords.npy' });
 * if (array.kind === 'real') console.log(array.shape, array.data[0]);
 */
import { parse as npyjsParse } from 'npyjs';
import { type ComplexTensor, type NumericArray, type Shape, sizeOf, stridesOf, type Tensor } from '../core/tensor.js';
import {
  checkDataBytes,
  type NpyDtype,
  type NpyHeader,
  type NpyOrigin,
  npyError,
  parseNpyHeader,
} from './npyHeader.js';
import { npyPreamble } from './npyWrite.js';
import { allocate } from './zipArchive.js';

/**
 * A numeric array. The typed array follows the dtype, except: bool → Uint8Array (0 or 1), float16 → Float32Array,
 * int64 and uint64 → Float64Array (exact: values beyond ±2⁵³ are refused).
 */
export interface RealNpyArray extends Tensor<NumericArray> {
  readonly kind: 'real';
  readonly dtype: NpyDtype;
}

/** A complex array: complex64 as two Float32Arrays, complex128 as two Float64Arrays. */
export interface ComplexNpyArray extends ComplexTensor<Float32Array | Float64Array> {
  readonly kind: 'complex';
  readonly dtype: NpyDtype;
}

/** An array of text. */
export interface TextNpyArray {
  readonly kind: 'text';
  readonly dtype: NpyDtype;
  readonly strings: readonly string[];
  readonly shape: Shape;
}

/** What a `.npy` array becomes. */
export type NpyArray = RealNpyArray | ComplexNpyArray | TextNpyArray;

/** How one number of each type is read, and what holds it. */
interface NumberType {
  readonly bytes: number;
  readonly make: new (buffer: ArrayBuffer) => NumericArray;
  readonly read: (view: DataView, at: number, littleEndian: boolean) => number;
  /** The typed array has the same bytes as a little-endian file. */
  readonly direct?: boolean;
  readonly outBytes?: number;
}

const float32: NumberType = { bytes: 4, make: Float32Array, read: (v, at, le) => v.getFloat32(at, le), direct: true };
const float64: NumberType = { bytes: 8, make: Float64Array, read: (v, at, le) => v.getFloat64(at, le), direct: true };
const NUMBERS: Readonly<Record<Exclude<NpyDtype, 'str'>, NumberType>> = {
  bool: { bytes: 1, make: Uint8Array, read: (v, at) => (v.getUint8(at) === 0 ? 0 : 1) },
  int8: { bytes: 1, make: Int8Array, read: (v, at) => v.getInt8(at), direct: true },
  int16: { bytes: 2, make: Int16Array, read: (v, at, le) => v.getInt16(at, le), direct: true },
  int32: { bytes: 4, make: Int32Array, read: (v, at, le) => v.getInt32(at, le), direct: true },
  int64: { bytes: 8, make: Float64Array, read: (v, at, le) => read64(v, at, le, true) },
  uint8: { bytes: 1, make: Uint8Array, read: (v, at) => v.getUint8(at), direct: true },
  uint16: { bytes: 2, make: Uint16Array, read: (v, at, le) => v.getUint16(at, le), direct: true },
  uint32: { bytes: 4, make: Uint32Array, read: (v, at, le) => v.getUint32(at, le), direct: true },
  uint64: { bytes: 8, make: Float64Array, read: (v, at, le) => read64(v, at, le, false) },
  float16: { bytes: 2, make: Float32Array, read: (v, at, le) => fromHalf(v.getUint16(at, le)), outBytes: 4 },
  float32,
  float64,
  complex64: float32,
  complex128: float64,
};

/** Types that npyjs decodes to what we want (it has no bool or 64-bit integers of our kind, and leaves complex interleaved). */
const NPYJS_DTYPE = /^(u?int(8|16|32)|float\d+)$/;

/** Up to here arrays pass through npyjs, which needs them in one piece; larger ones are decoded while they stream. */
const NPYJS_BYTES = 1 << 24;

/** Little-endian bytes as the array that their type is read into, with no copy; 64-bit integers must have become doubles. */
export const viewAs = (dtype: Exclude<NpyDtype, 'str'>, buffer: ArrayBuffer): NumericArray =>
  new NUMBERS[dtype].make(buffer);

/**
 * Parses the bytes of a whole `.npy` file.
 * @throws PtychoError FILE_FORMAT, FILE_TRUNCATED, FORMAT_UNSUPPORTED.
 */
export function parseNpy(bytes: Uint8Array, origin: NpyOrigin): NpyArray {
  const header = parseNpyHeader(bytes, origin);
  const data = bytes.subarray(header.dataOffset);
  // Before there is memory for it.
  checkDataBytes(header, data.length, origin);
  const decoder = decoderOf(header, origin);
  decoder.push(data);
  return decoder.finish();
}

/**
 * What decodes a whole array behind its checked header: npyjs where it is small and plain (little endian, in C order, of a type that
 * npyjs has), else {@link NpyDecoder}.
 * @param axes the result's axis a is the file's axis `axes[a]`; where it is given, the order may change
 */
export function decoderOf(
  header: NpyHeader,
  origin: NpyOrigin,
  axes?: readonly number[],
): Pick<NpyDecoder, 'push' | 'finish'> {
  const { dtype, dataBytes, fortranOrder, littleEndian } = header;
  const isPlain = littleEndian && !fortranOrder && NPYJS_DTYPE.test(dtype);
  const usesNpyjs = axes === undefined && isPlain && dataBytes <= NPYJS_BYTES;
  return usesNpyjs ? new PlainDecoder(header, origin) : new NpyDecoder(header, origin, axes);
}

/** Decodes by npyjs, which gets a header written anew: its own parser is lenient, and it compares no lengths. */
class PlainDecoder {
  private readonly file: Uint8Array<ArrayBuffer>;
  private at: number;

  constructor(
    private readonly header: NpyHeader,
    private readonly origin: NpyOrigin,
  ) {
    const preamble = npyPreamble(header.dtype, header.itemSize, header.shape);
    this.at = preamble.length;
    this.file = new Uint8Array(this.at + header.dataBytes);
    this.file.set(preamble);
  }

  push(bytes: Uint8Array): void {
    const received = this.at + bytes.length - (this.file.length - this.header.dataBytes);
    if (received > this.header.dataBytes) checkDataBytes(this.header, received, this.origin);
    this.file.set(bytes, this.at);
    this.at += bytes.length;
  }

  finish(): NpyArray {
    const { dtype, shape, dataBytes } = this.header;
    checkDataBytes(this.header, dataBytes - (this.file.length - this.at), this.origin);
    return { kind: 'real', dtype, shape, data: npyjsParse(this.file.buffer).data as NumericArray };
  }
}

/**
 * Turns the data of an array, given piece by piece, into C order in its typed array; a piece may end inside an element.
 * Memory: the result and nothing else.
 */
export class NpyDecoder {
  private readonly shape: Shape;
  private readonly parts: readonly NumericArray[];
  /** The result's own bytes, where the file has the same bytes in the same order. */
  private readonly rawBytes: Uint8Array | undefined;
  private readonly cursor: Cursor;
  private readonly carry: Uint8Array;
  private carried = 0;
  private received = 0;
  private readonly strings: string[] = [];

  /**
   * @param axes the result's axis a is the file's axis `axes[a]` (NumPy's `transpose`); by default the order stays.
   */
  constructor(
    private readonly header: NpyHeader,
    private readonly origin: NpyOrigin,
    axes: readonly number[] = header.shape.map((_, axis) => axis),
  ) {
    const { dtype, itemSize } = header;
    this.shape = axes.map((axis) => header.shape[axis]);
    this.cursor = new Cursor(header, axes);
    this.carry = new Uint8Array(itemSize);
    const count = sizeOf(this.shape);
    if (dtype === 'str') {
      this.parts = [];
      return;
    }
    const type = NUMBERS[dtype];
    const what = `${origin.path}${origin.member === undefined ? '' : `, array "${origin.member}"`}`;
    const complex = dtype.startsWith('complex');
    this.parts = Array.from(
      { length: complex ? 2 : 1 },
      () => new type.make(allocate(count * (type.outBytes ?? type.bytes), what)),
    );
    if (type.direct && !complex && this.cursor.inOrder && header.littleEndian) {
      const [{ buffer, byteLength }] = this.parts;
      this.rawBytes = new Uint8Array(buffer, 0, byteLength);
    }
  }

  /**
   * Where the file's bytes may be read to directly, instead of being pushed: the result's memory, when the two agree.
   * Tell {@link filled} when all of it has been.
   */
  get target(): Uint8Array | undefined {
    return this.rawBytes;
  }

  /** Says that {@link target} holds all the data. */
  filled(): void {
    this.received = this.header.dataBytes;
  }

  /** Takes the next bytes of the data. */
  push(bytes: Uint8Array): void {
    if (this.received + bytes.length > this.header.dataBytes) {
      checkDataBytes(this.header, this.received + bytes.length, this.origin);
    }
    if (this.rawBytes !== undefined) {
      this.rawBytes.set(bytes, this.received);
      this.received += bytes.length;
      return;
    }
    this.received += bytes.length;
    const { itemSize } = this.header;
    if (itemSize === 0) return;
    let from = 0;
    if (this.carried > 0) {
      from = Math.min(itemSize - this.carried, bytes.length);
      this.carry.set(bytes.subarray(0, from), this.carried);
      this.carried += from;
      if (this.carried < itemSize) return;
      this.decode(this.carry);
      this.carried = 0;
    }
    const whole = from + Math.floor((bytes.length - from) / itemSize) * itemSize;
    this.decode(bytes.subarray(from, whole));
    this.carry.set(bytes.subarray(whole));
    this.carried = bytes.length - whole;
  }

  /**
   * The array, after its last byte.
   * @throws PtychoError FILE_TRUNCATED when bytes are missing.
   */
  finish(): NpyArray {
    checkDataBytes(this.header, this.received, this.origin);
    const { dtype } = this.header;
    const { shape, parts } = this;
    if (dtype === 'str') {
      // `<U0` has elements without bytes.
      for (let i = this.strings.length; i < sizeOf(shape); i++) this.strings.push('');
      return { kind: 'text', dtype, shape, strings: this.strings };
    }
    if (parts.length === 2) {
      const [re, im] = parts as readonly (Float32Array | Float64Array)[];
      return { kind: 'complex', dtype, shape, re, im };
    }
    return { kind: 'real', dtype, shape, data: parts[0] };
  }

  private decode(bytes: Uint8Array): void {
    const { dtype, itemSize, littleEndian } = this.header;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const { cursor } = this;
    try {
      if (dtype === 'str') {
        for (let at = 0; at < bytes.length; at += itemSize) {
          this.strings[cursor.next()] = readText(view, at, itemSize, littleEndian);
        }
        return;
      }
      const { read, bytes: width } = NUMBERS[dtype];
      const [first, second] = this.parts;
      for (let at = 0; at < bytes.length; at += itemSize) {
        const index = cursor.next();
        first[index] = read(view, at, littleEndian);
        if (second !== undefined) second[index] = read(view, at + width, littleEndian);
      }
    } catch (error) {
      if (!(error instanceof UnreadableValue)) throw error;
      throw npyError('DATASET_VALUE', this.origin, error.message);
    }
  }
}

/** Walks through the elements in the file's order and tells where each belongs in the result. */
class Cursor {
  /** The file's order is the result's order. */
  readonly inOrder: boolean;
  /** Lengths and steps in the result of the file's axes, fastest first; axes of length 1 left out. */
  private readonly lengths: number[] = [];
  private readonly steps: number[] = [];
  private readonly counters: number[];
  private index = 0;

  constructor(header: NpyHeader, axes: readonly number[]) {
    const { shape, fortranOrder } = header;
    const strides = stridesOf(axes.map((axis) => shape[axis]));
    const order = shape.map((_, axis) => axis);
    if (!fortranOrder) order.reverse();
    for (const axis of order) {
      if (shape[axis] === 1) continue;
      this.lengths.push(shape[axis]);
      this.steps.push(strides[axes.indexOf(axis)]);
    }
    let step = 1;
    this.inOrder = this.lengths.every((length, k) => {
      const expected = step;
      step *= length;
      return this.steps[k] === expected;
    });
    this.counters = this.lengths.map(() => 0);
  }

  next(): number {
    const here = this.index;
    if (this.inOrder) {
      this.index++;
      return here;
    }
    for (let k = 0; k < this.lengths.length; k++) {
      this.index += this.steps[k];
      if (++this.counters[k] < this.lengths[k]) break;
      this.index -= this.counters[k] * this.steps[k];
      this.counters[k] = 0;
    }
    return here;
  }
}

/** A value that the target type cannot hold; becomes a PtychoError where the array's name is known. */
class UnreadableValue extends Error {}

function read64(view: DataView, at: number, littleEndian: boolean, signed: boolean): number {
  const high = at + (littleEndian ? 4 : 0);
  const upper = signed ? view.getInt32(high, littleEndian) : view.getUint32(high, littleEndian);
  const value = upper * 2 ** 32 + view.getUint32(at + (littleEndian ? 0 : 4), littleEndian);
  if (!Number.isSafeInteger(value)) {
    throw new UnreadableValue(
      'holds a 64-bit integer beyond ±2^53, which a double cannot hold exactly; save it as float64.',
    );
  }
  return value;
}

function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function readText(view: DataView, at: number, itemSize: number, littleEndian: boolean): string {
  let text = '';
  // NumPy pads with NULs at the end and drops them when reading.
  let end = itemSize;
  while (end > 0 && view.getUint32(at + end - 4, littleEndian) === 0) end -= 4;
  for (let k = 0; k < end; k += 4) {
    const point = view.getUint32(at + k, littleEndian);
    if (point > 0x10ffff) throw new UnreadableValue(`holds the impossible character code ${point}; it is damaged.`);
    text += String.fromCodePoint(point);
  }
  return text;
}

/**
 * A real array, or an error that says what was found instead.
 * @throws PtychoError DATASET_VALUE when it is complex or text.
 */
export function expectReal(array: NpyArray, origin: NpyOrigin): RealNpyArray {
  if (array.kind === 'real') return array;
  throw npyError('DATASET_VALUE', origin, `holds ${array.dtype} values, but real numbers were expected.`, {
    found: array.dtype,
  });
}

/**
 * A complex array in single precision; real arrays get a zero imaginary part.
 * @throws PtychoError DATASET_VALUE when it is text.
 */
export function expectComplex64(array: NpyArray, origin: NpyOrigin): ComplexTensor {
  if (array.kind === 'text') {
    throw npyError('DATASET_VALUE', origin, 'holds text, but complex numbers were expected.', { found: array.dtype });
  }
  const single = (data: NumericArray) => (data instanceof Float32Array ? data : Float32Array.from(data));
  const { shape } = array;
  if (array.kind === 'complex') return { re: single(array.re), im: single(array.im), shape };
  return { re: single(array.data), im: new Float32Array(array.data.length), shape };
}

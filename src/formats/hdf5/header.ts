/**
 * Headers of HDF5 datasets in our words: the types of their elements, for reading and for writing, their filters, and what they declare
 * and whether that can be true.
 */
import { formatShape, type Shape, sizeOf } from '../../core/tensor.js';
import { itemSizeOf, type NpyDtype, type NpyOrigin, npyError } from '../npyHeader.js';
import type { NpyInput } from '../npyWrite.js';
import type { Hdf5Module } from './library.js';
import type { Place } from './links.js';

/** What h5wasm says about a dataset or an attribute. */
export type Hdf5Metadata = ReturnType<Hdf5Module['get_dataset_metadata']>;

/** The type of an element. */
export type Hdf5Type =
  | { readonly kind: 'numbers'; readonly dtype: Exclude<NpyDtype, 'str'>; readonly itemSize: number }
  | { readonly kind: 'text'; readonly variable: boolean; readonly itemSize: number }
  /** Anything that is not read, in words. */
  | { readonly kind: 'other'; readonly description: string; readonly itemSize: number };

// H5T_class_t
const [INTEGER, FLOAT, STRING, BITFIELD, COMPOUND, ENUM] = [0, 1, 3, 4, 6, 8];
const OTHER_CLASSES: Readonly<Record<number, string>> = {
  2: 'times',
  5: 'opaque bytes',
  7: 'references',
  9: 'lists of varying length',
  10: 'arrays inside elements',
  11: 'HDF5 2.0 complex numbers',
};
const INTEGER_BYTES = new Set([1, 2, 4, 8]);

/** Tells the element type from h5wasm's description. Complex numbers are h5py's: two equal floats, real part first. */
export function typeOf(metadata: Hdf5Metadata): Hdf5Type {
  const { type, size: itemSize, signed } = metadata;
  const other = (description: string): Hdf5Type => ({ kind: 'other', description, itemSize });
  switch (type) {
    case INTEGER:
    case BITFIELD:
    case ENUM: {
      const members = Object.keys(metadata.enum_type?.members ?? {});
      const isBool = itemSize === 1 && members.length === 2 && members.includes('FALSE') && members.includes('TRUE');
      if (isBool) return { kind: 'numbers', dtype: 'bool', itemSize };
      if (!INTEGER_BYTES.has(itemSize)) return other(`integers of ${8 * itemSize} bits`);
      const sign = type !== BITFIELD && signed ? '' : 'u';
      return { kind: 'numbers', dtype: `${sign}int${8 * itemSize}` as 'uint8', itemSize };
    }
    case FLOAT:
      if (itemSize !== 4 && itemSize !== 8)
        return other(`floating-point numbers of ${8 * itemSize} bits (float${8 * itemSize})`);
      return { kind: 'numbers', dtype: itemSize === 4 ? 'float32' : 'float64', itemSize };
    case STRING:
      return { kind: 'text', variable: metadata.vlen, itemSize };
    case COMPOUND: {
      const members = metadata.compound_type?.members ?? [];
      const [re, im] = members;
      const isComplex =
        members.length === 2 &&
        members.every((member) => member.type === FLOAT && member.size === itemSize / 2) &&
        (itemSize === 8 || itemSize === 16) &&
        re.offset === 0 &&
        im.offset === itemSize / 2;
      if (isComplex) return { kind: 'numbers', dtype: itemSize === 8 ? 'complex64' : 'complex128', itemSize };
      return other(`records of the fields ${members.map((member) => member.name).join(', ')}`);
    }
    default:
      return other(OTHER_CLASSES[type] ?? `elements of class ${type}`);
  }
}

/** Types that are written. */
export type Hdf5WriteDtype = Exclude<NpyDtype, 'bool' | 'float16' | 'str'>;

const UTF8 = 1;

/** The type that an array is written as: its own, or its `dtype`; bool becomes uint8. */
export function writeDtypeOf(input: Exclude<NpyInput, { strings: unknown }>): Hdf5WriteDtype {
  if ('re' in input) return input.re.BYTES_PER_ELEMENT === 4 ? 'complex64' : 'complex128';
  if (input.dtype === 'bool') return 'uint8';
  return input.dtype ?? (input.data[Symbol.toStringTag].replace('Array', '').toLowerCase() as Hdf5WriteDtype);
}

const plain = { vlen: false, littleEndian: true, signed: false };

/** A numeric type; complex numbers as h5py's record of `r` and `i`. */
export function dtypeMetadata(dtype: Hdf5WriteDtype) {
  const size = itemSizeOf(dtype);
  if (!dtype.startsWith('complex')) {
    const type = dtype.startsWith('float') ? FLOAT : INTEGER;
    return { ...plain, type, size, signed: dtype.startsWith('int') };
  }
  const member = (name: string, offset: number) => ({ ...plain, name, offset, type: FLOAT, size: size / 2, shape: [] });
  const members = [member('r', 0), member('i', size / 2)];
  return { ...plain, type: COMPOUND, size, compound_type: { nmembers: 2, members: members as never } };
}

/** Text of any length. */
export const textMetadata = () => ({ ...plain, vlen: true, type: STRING, size: 4, cset: UTF8 });

/** Filters of the library itself. */
const BUILT_IN = new Map([
  [1, 'gzip'],
  [2, 'shuffle'],
  [3, 'fletcher32'],
  [4, 'szip'],
  [5, 'nbit'],
  [6, 'scale-offset'],
]);
/** Filters of h5wasm-plugins 0.2.1, by the numbers registered with the HDF Group. */
const PLUGINS = new Map([
  [307, 'bzip2'],
  [32000, 'LZF'],
  [32001, 'Blosc'],
  [32004, 'LZ4'],
  [32008, 'bitshuffle'],
  [32013, 'ZFP'],
  [32015, 'Zstandard'],
  [32019, 'JPEG'],
  [32022, 'BitGroom'],
  [32023, 'Granular BitRound'],
  [32026, 'Blosc2'],
]);

/** One stage of a dataset's compression. */
export interface Hdf5Filter {
  readonly id: number;
  readonly name: string;
  readonly source: 'library' | 'plugin' | 'unknown';
}

/** A filter's name and where its code comes from. */
export function filterOf(id: number, nameInFile: string): Hdf5Filter {
  const builtIn = BUILT_IN.get(id);
  if (builtIn !== undefined) return { id, name: builtIn, source: 'library' };
  const plugin = PLUGINS.get(id);
  if (plugin !== undefined) return { id, name: plugin, source: 'plugin' };
  return { id, name: nameInFile.slice(0, 60), source: 'unknown' };
}

/** What a dataset declares, checked as far as the file allows. */
export interface Hdf5Header {
  /** Where it was asked for. */
  readonly path: string;
  /** The file that holds it: another one behind an external link. */
  readonly file: string;
  readonly type: Hdf5Type;
  /** Empty for a single value. */
  readonly shape: Shape;
  /** Shape of the pieces it is stored in; undefined when stored in one. */
  readonly chunks: Shape | undefined;
  readonly filters: readonly Hdf5Filter[];
  /** Put together from other datasets. */
  readonly virtual: boolean;
  /** Written by MATLAB: the axes that MATLAB shows are those of `shape` from the last to the first. */
  readonly columnMajor: boolean;
  /** Bytes of all values. */
  readonly dataBytes: number;
  /** Bytes of `file`. */
  readonly fileBytes: number;
  /** @internal where it lies once links are followed */
  readonly place: Place;
}

/** The most bytes that pass through the library's memory at once. */
export const SLAB_BYTES = 64 * 2 ** 20;
/** Larger chunks would be inflated whole for a single frame. */
const MAX_CHUNK_BYTES = 256 * 2 ** 20;
/** How much larger than its file a dataset may be: partly written, deflated (1032 at most), or packed by stronger filters. */
const MAX_RATIO = { plain: 64, deflated: 1100, packed: 1 << 17 };
/** gzip, shuffle, fletcher32, LZF. */
const MILD_FILTERS = new Set([1, 2, 3, 32000]);
/** The numeric type of a dataset. @throws PtychoError FORMAT_UNSUPPORTED for text and everything that is not read. */
export function numbersOf(header: Hdf5Header, origin: NpyOrigin): Extract<Hdf5Type, { kind: 'numbers' }> {
  const { type } = header;
  if (type.kind === 'numbers') return type;
  const description = type.kind === 'text' ? 'text' : type.description;
  throw npyError(
    'FORMAT_UNSUPPORTED',
    origin,
    `holds ${description}, which are not read; save integers, float32, float64 or complex numbers.`,
    { found: description },
  );
}

/** Cuts an array into blocks of at most {@link SLAB_BYTES}, in C order. */
export function* slabs(
  shape: Shape,
  itemSize: number,
  from: readonly number[] = [],
): Generator<{ start: number[]; count: number[] }> {
  const axis = from.length;
  const inner = shape.slice(axis + 1);
  const bytes = sizeOf(inner) * itemSize;
  const block = (at: number, length: number) => ({
    start: [...from, at, ...inner.map(() => 0)].slice(0, shape.length),
    count: [...from.map(() => 1), length, ...inner].slice(0, shape.length),
  });
  if (axis >= shape.length) yield block(0, 1);
  else if (bytes <= SLAB_BYTES) {
    const step = Math.max(1, Math.floor(SLAB_BYTES / Math.max(1, bytes)));
    for (let at = 0; at < shape[axis]; at += step) yield block(at, Math.min(step, shape[axis] - at));
  } else {
    for (let at = 0; at < shape[axis]; at++) yield* slabs(shape, itemSize, [...from, at]);
  }
}

/** Compares a declared size with what can be stored. @throws PtychoError FILE_FORMAT, FORMAT_UNSUPPORTED */
export function checkSize(
  { shape, chunks, filters, type, dataBytes, fileBytes, virtual, file }: Hdf5Header,
  origin: NpyOrigin,
): void {
  const declares = `declares the shape ${formatShape(shape)}, ${dataBytes} bytes`;
  if (!shape.every((length) => Number.isSafeInteger(length) && length >= 0) || !Number.isSafeInteger(dataBytes)) {
    throw npyError('FILE_FORMAT', origin, `${declares}, which is impossible; the file is damaged.`, { found: shape });
  }
  const chunkBytes = sizeOf(chunks ?? []) * type.itemSize;
  if (chunks !== undefined && chunkBytes > MAX_CHUNK_BYTES) {
    throw npyError(
      'FORMAT_UNSUPPORTED',
      origin,
      `is stored in chunks of ${formatShape(chunks)}, ${chunkBytes} bytes, more than the ${MAX_CHUNK_BYTES} that are inflated at once; write it with chunks of a few frames (h5repack -l).`,
      { found: chunkBytes, expected: MAX_CHUNK_BYTES },
    );
  }
  const mild = filters.every(({ id }) => MILD_FILTERS.has(id)) ? MAX_RATIO.deflated : MAX_RATIO.packed;
  const ratio = chunks === undefined ? 1 : filters.length === 0 ? MAX_RATIO.plain : mild;
  if (!virtual && dataBytes > ratio * fileBytes) {
    throw npyError(
      'FILE_FORMAT',
      origin,
      `${declares}, but ${file} has only ${fileBytes}: most of it was never written, or the file is damaged; write it again.`,
      { found: dataBytes, expected: fileBytes },
    );
  }
}

/** @throws PtychoError FORMAT_UNSUPPORTED naming the first filter that is not there. */
export function checkFilters({ filters }: Hdf5Header, origin: NpyOrigin): void {
  const unknown = filters.find((filter) => filter.source === 'unknown');
  if (unknown === undefined) return;
  throw npyError(
    'FORMAT_UNSUPPORTED',
    origin,
    `is compressed with the HDF5 filter ${unknown.id}${unknown.name && ` (${unknown.name})`}, which is not available here; write it with gzip, LZF, bitshuffle/LZ4, LZ4, Zstandard or Blosc, or without compression (h5repack).`,
    { found: unknown.id },
  );
}

/** Headers of HDF5 datasets: what they declare, and whether that can be true. */
import { formatShape, type Shape, sizeOf } from '../../core/tensor.js';
import { type NpyOrigin, npyError } from '../npyHeader.js';
import type { Place } from './links.js';
import type { Hdf5Filter, Hdf5Type } from './types.js';

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

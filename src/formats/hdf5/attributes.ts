/** Attributes and text of HDF5 files. */

import { NpyDecoder, type RealNpyArray } from '../npy.js';
import { headerOfData } from '../npyHeader.js';
import { type Hdf5Metadata, typeOf } from './header.js';
import { type Hdf5Module, withMemory } from './library.js';

/** What an attribute holds: numbers of every type become doubles, integers beyond 2⁵³ are left out. */
export type Hdf5Value = string | number | boolean | readonly string[] | readonly number[];

/** An attribute is a note, not an array; larger ones are left out. */
const MAX_ATTRIBUTE_BYTES = 2 ** 24;
const MAX_STRINGS = 100_000;

/** An attribute's value; undefined for types that are not read, and for empty ones. */
export function valueOfAttribute(m: Hdf5Module, id: bigint, path: string, name: string): Hdf5Value | undefined {
  const metadata = metadataOf(m, id, path, name);
  if (metadata === undefined) return undefined;
  const type = typeOf(metadata);
  const read = (at: number) => m.get_attribute_data(id, path, name, BigInt(at));
  const single = metadata.shape.length === 0;
  if (type.kind === 'text') {
    const strings = stringsIn(m, metadata, read, (at) => m.reclaim_vlen_memory(id, path, name, BigInt(at)));
    return single ? strings[0] : strings;
  }
  const array = arrayOfAttribute(m, id, path, name);
  if (array === undefined) return undefined;
  if (!single) return Array.from(array.data);
  return array.dtype === 'bool' ? array.data[0] !== 0 : array.data[0];
}

/** What is said of an attribute; undefined for an empty one, and for one that is too large. */
function metadataOf(m: Hdf5Module, id: bigint, path: string, name: string) {
  const { shape, ...metadata } = m.get_attribute_metadata(id, path, name);
  const bytes = metadata.size * metadata.total_size;
  return shape !== null && bytes > 0 && bytes <= MAX_ATTRIBUTE_BYTES ? { ...metadata, shape, bytes } : undefined;
}

/** An attribute's real numbers with their shape; undefined for any other attribute, and for empty ones. */
export function arrayOfAttribute(m: Hdf5Module, id: bigint, path: string, name: string): RealNpyArray | undefined {
  const metadata = metadataOf(m, id, path, name);
  if (metadata === undefined) return undefined;
  const { bytes } = metadata;
  const type = typeOf(metadata);
  if (type.kind !== 'numbers' || type.dtype.startsWith('complex')) return undefined;
  const decoder = new NpyDecoder(headerOfData(type.dtype, type.itemSize, metadata.shape), { path, member: name });
  withMemory(m, bytes, (at) => {
    if (m.get_attribute_data(id, path, name, BigInt(at)) >= 0) decoder.push(m.HEAPU8.subarray(at, at + bytes));
  });
  const array = decoder.finish();
  return array.kind === 'real' ? array : undefined;
}

/** The strings of a dataset, fixed or variable in length. */
export function readStrings(m: Hdf5Module, id: bigint, path: string): string[] {
  const metadata = m.get_dataset_metadata(id, path);
  if (!(metadata.total_size <= MAX_STRINGS && metadata.size * metadata.total_size <= MAX_ATTRIBUTE_BYTES)) {
    throw new Error(`more than ${MAX_STRINGS} strings are not read`);
  }
  return stringsIn(
    m,
    metadata,
    (at) => m.get_dataset_data(id, path, null, null, null, BigInt(at)),
    (at) => m.reclaim_vlen_memory(id, path, '', BigInt(at)),
  );
}

function stringsIn(
  m: Hdf5Module,
  metadata: Hdf5Metadata,
  read: (at: number) => number,
  reclaim: (at: number) => number,
): string[] {
  const { size, total_size: count, vlen } = metadata;
  return withMemory(m, size * count, (at) => {
    // Where reading stops half-way, what is left must not look like pointers.
    m.HEAPU8.fill(0, at, at + size * count);
    if (read(at) < 0) return [];
    if (!vlen) {
      return Array.from({ length: count }, (_, i) => {
        const bytes = m.HEAPU8.slice(at + i * size, at + (i + 1) * size);
        const end = bytes.indexOf(0);
        return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end)).trimEnd();
      });
    }
    const pointers = new Uint32Array(m.HEAPU8.slice(at, at + 4 * count).buffer);
    const strings = Array.from(pointers, (pointer) => (pointer === 0 ? '' : m.UTF8ToString(pointer)));
    reclaim(at);
    return strings;
  });
}

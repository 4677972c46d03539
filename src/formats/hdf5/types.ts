/** What HDF5 calls types and filters, in our words. */

import type { NpyDtype } from '../npyHeader.js';
import type { Hdf5Module } from './engine.js';

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

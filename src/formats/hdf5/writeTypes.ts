/** Element types as h5wasm wants them described for writing. */
import type { NpyDtype } from '../npyHeader.js';
import type { NpyInput } from '../npyWrite.js';

/** Types that are written. */
export type Hdf5WriteDtype = Exclude<NpyDtype, 'bool' | 'float16' | 'str'>;

// H5T_class_t
const [INTEGER, FLOAT, STRING, COMPOUND] = [0, 1, 3, 6];
const UTF8 = 1;

/** Bytes of an element. */
export const itemSizeOf = (dtype: Hdf5WriteDtype): number => Number(/\d+$/.exec(dtype)![0]) / 8;

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

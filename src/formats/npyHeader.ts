/**
 * The header of a NumPy `.npy` array, parsed strictly: nothing is believed that the bytes do not bear out, and nothing is
 * evaluated. Format: numpy/lib/format.py, versions 1.0, 2.0 and 3.0.
 */
import { PtychoError, type PtychoErrorCode } from '../core/errors.js';
import { formatShape, type Shape, sizeOf } from '../core/tensor.js';

const NUMBER_DTYPES = [
  'bool',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'float16',
  'float32',
  'float64',
  'complex64',
  'complex128',
] as const;

/** The element types that are read; `str` is NumPy's fixed-width text (`<U8`). */
export type NpyDtype = (typeof NUMBER_DTYPES)[number] | 'str';

/** Bytes of one number. */
export const itemSizeOf = (dtype: Exclude<NpyDtype, 'str'>): number => Number(/\d+$/.exec(dtype)?.[0] ?? 8) / 8;

/** Where an array comes from, for messages. */
export interface NpyOrigin {
  readonly path: string;
  /** Its name inside an archive. */
  readonly member?: string;
}

/** What a `.npy` header says, checked. */
export interface NpyHeader {
  readonly dtype: NpyDtype;
  readonly littleEndian: boolean;
  readonly fortranOrder: boolean;
  readonly shape: Shape;
  /** Bytes of one element. */
  readonly itemSize: number;
  /** Where the data begin. */
  readonly dataOffset: number;
  /** Bytes of all elements. */
  readonly dataBytes: number;
}

const MAGIC = '\x93NUMPY';
/** The first bytes, enough to know how long the header is. */
export const PREFIX_BYTES = 12;
const MAX_HEADER_BYTES = 1 << 16;
const MAX_RANK = 32;

/** By kind and size, as headers have them: `f4`. */
const KINDS: Readonly<Record<string, NpyDtype>> = Object.fromEntries(
  NUMBER_DTYPES.map((dtype) => [`${dtype[0]}${itemSizeOf(dtype)}`, dtype]),
);

/** "scan.npz, array "xcoords"" or "probe.npy": the subject of a sentence about an array. */
export const nameOf = (origin: NpyOrigin): string =>
  origin.member === undefined ? origin.path : `${origin.path}, array "${origin.member}",`;

/** The same in the middle of a sentence, without its comma. */
export const placeOf = (origin: NpyOrigin): string => nameOf(origin).replace(/,$/, '');

/** An error about an array, with its origin as fields. */
export function npyError(
  code: PtychoErrorCode,
  origin: NpyOrigin,
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): PtychoError {
  return new PtychoError(code, `${nameOf(origin)} ${message}`, { path: origin.path, key: origin.member, ...fields });
}

/**
 * The length of the whole header (magic to the start of the data) from the first {@link PREFIX_BYTES} bytes.
 * @throws PtychoError FILE_TRUNCATED, FILE_FORMAT (no `.npy`, impossible length), FORMAT_UNSUPPORTED (later version).
 */
export function npyHeaderLength(prefix: Uint8Array, origin: NpyOrigin): number {
  const magic = String.fromCharCode(...prefix.subarray(0, 6));
  if (prefix.length < PREFIX_BYTES && MAGIC.startsWith(magic)) {
    throw npyError('FILE_TRUNCATED', origin, `ends after ${prefix.length} bytes, inside its header; make it again.`);
  }
  if (magic !== MAGIC) {
    throw npyError('FILE_FORMAT', origin, 'is not a NumPy .npy array; save it with numpy.save or numpy.savez.');
  }
  const [major, minor] = [prefix[6], prefix[7]];
  if (major < 1 || major > 3 || minor !== 0) {
    throw npyError(
      'FORMAT_UNSUPPORTED',
      origin,
      `has .npy version ${major}.${minor}; versions 1.0, 2.0 and 3.0 are read.`,
      { found: `${major}.${minor}` },
    );
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.length);
  const length = major === 1 ? 10 + view.getUint16(8, true) : 12 + view.getUint32(8, true);
  if (length > MAX_HEADER_BYTES) {
    throw npyError('FILE_FORMAT', origin, `claims a header of ${length} bytes, which no plain array has.`, {
      found: length,
    });
  }
  return length;
}

/**
 * Parses a header from bytes that hold all of it.
 * @throws PtychoError FILE_TRUNCATED, FILE_FORMAT, or FORMAT_UNSUPPORTED for object, structured and other dtypes that are
 * not read; pickled objects are never loaded.
 */
export function parseNpyHeader(head: Uint8Array, origin: NpyOrigin): NpyHeader {
  const dataOffset = npyHeaderLength(head.subarray(0, PREFIX_BYTES), origin);
  if (head.length < dataOffset) {
    throw npyError(
      'FILE_TRUNCATED',
      origin,
      `ends after ${head.length} bytes, inside its header of ${dataOffset}; make it again.`,
    );
  }
  const bytes = head.subarray(head[6] === 1 ? 10 : 12, dataOffset);
  const text = new TextDecoder(head[6] === 3 ? 'utf-8' : 'latin1').decode(bytes);
  const fields = parseDictionary(text, origin);
  const { dtype, itemSize, littleEndian } = parseDescr(fields.descr, origin);
  const dataBytes = sizeOf(fields.shape) * itemSize;
  if (!Number.isSafeInteger(dataBytes)) {
    throw npyError('FILE_FORMAT', origin, `claims the impossible shape ${formatShape(fields.shape)}.`, {
      found: fields.shape,
    });
  }
  const { shape, fortranOrder } = fields;
  return { dtype, littleEndian, fortranOrder, shape, itemSize, dataOffset, dataBytes };
}

/** The header of data that come without one, little endian. */
export function headerOfData(dtype: NpyDtype, itemSize: number, shape: Shape, fortranOrder = false): NpyHeader {
  return {
    dtype,
    itemSize,
    shape,
    fortranOrder,
    littleEndian: true,
    dataOffset: 0,
    dataBytes: sizeOf(shape) * itemSize,
  };
}

/**
 * Checks that as many bytes follow the header as its shape needs.
 * @throws PtychoError FILE_TRUNCATED for fewer, FILE_FORMAT for more.
 */
export function checkDataBytes(header: NpyHeader, found: number, origin: NpyOrigin): void {
  if (found === header.dataBytes) return;
  const need = `shape ${formatShape(header.shape)} of ${header.dtype} needs ${header.dataBytes} bytes of data, but there are ${found}`;
  throw npyError(
    found < header.dataBytes ? 'FILE_TRUNCATED' : 'FILE_FORMAT',
    origin,
    `is ${found < header.dataBytes ? 'cut off' : 'damaged'}: ${need}; make it again.`,
    { expected: header.dataBytes, found },
  );
}

/**
 * Checks that rows exist.
 * @param rowAxes leading axes that count rows together: with 2, row 5 of (4, 3, …) is [1, 2]
 * @throws PtychoError DATASET_SHAPE naming the first that does not
 */
export function checkRows(rows: ArrayLike<number>, { shape }: NpyHeader, origin: NpyOrigin, rowAxes: number): void {
  const total = shape.length === 0 ? 0 : sizeOf(shape.slice(0, rowAxes));
  for (let i = 0; i < rows.length; i++) {
    if (Number.isInteger(rows[i]) && rows[i] >= 0 && rows[i] < total) continue;
    throw npyError('DATASET_SHAPE', origin, `of shape ${formatShape(shape)} has no row ${rows[i]}.`, {
      found: rows[i],
      expected: total,
    });
  }
}

/** Parts of a list of rows that follow each other in the file, of at most `most` rows. */
export function* runsOf(
  rows: ArrayLike<number>,
  most = Number.POSITIVE_INFINITY,
): Generator<[from: number, to: number]> {
  for (let from = 0, to = 0; from < rows.length; from = to) {
    to = from + 1;
    while (to < rows.length && to - from < most && rows[to] === rows[to - 1] + 1) to++;
    yield [from, to];
  }
}

interface HeaderFields {
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: Shape;
}

/** Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`: these three keys, once each, in any order. */
function parseDictionary(text: string, origin: NpyOrigin): HeaderFields {
  const malformed = () =>
    npyError('FILE_FORMAT', origin, `has a malformed .npy header: ${JSON.stringify(text.slice(0, 120).trimEnd())}.`);
  let rest = text;
  const take = (pattern: RegExp): RegExpMatchArray | null => {
    const match = rest.match(pattern);
    if (match) rest = rest.slice(match[0].length);
    return match;
  };
  const found = new Map<string, unknown>();
  if (!take(/^\s*\{\s*/)) throw malformed();
  while (!take(/^\}\s*$/)) {
    const key = take(/^(['"])(\w+)\1\s*:\s*/)?.[2];
    if (key === undefined || found.has(key)) throw malformed();
    if (key === 'descr') {
      if (/^\[/.test(rest)) throw structured(origin);
      found.set(key, take(/^(['"])([^'"]*)\1\s*/)?.[2]);
    } else if (key === 'fortran_order') {
      found.set(key, { True: true, False: false }[take(/^(True|False)\s*/)?.[1] ?? '']);
    } else if (key === 'shape') {
      found.set(key, parseTuple(take(/^\(([\d\sL,]*)\)\s*/)?.[1]));
    }
    if (found.get(key) === undefined) throw malformed();
    if (!take(/^,\s*/) && !/^\}/.test(rest)) throw malformed();
  }
  if (found.size !== 3) throw malformed();
  return {
    descr: found.get('descr') as string,
    fortranOrder: found.get('fortran_order') as boolean,
    shape: found.get('shape') as Shape,
  };
}

/** `3, 4`, `5,` or nothing; Python 2 wrote `3L`. */
function parseTuple(inside: string | undefined): Shape | undefined {
  if (inside === undefined) return undefined;
  const parts = inside.split(',').map((part) => part.trim());
  // A one-element tuple needs its comma: `(5)` is a number in Python, and no writer makes it.
  if (parts.length === 1) return parts[0] === '' ? [] : undefined;
  if (parts.at(-1) === '') parts.pop();
  if (parts.length > MAX_RANK || !parts.every((part) => /^\d+L?$/.test(part))) return undefined;
  const shape = parts.map((part) => Number.parseInt(part, 10));
  return shape.every(Number.isSafeInteger) ? shape : undefined;
}

function structured(origin: NpyOrigin): PtychoError {
  return npyError(
    'FORMAT_UNSUPPORTED',
    origin,
    'has a structured dtype (named fields); save every field as an array of its own.',
    { found: 'structured' },
  );
}

function parseDescr(descr: string, origin: NpyOrigin) {
  const match = /^([<>|])([a-zA-Z])(\d*)$/.exec(descr);
  if (descr.includes('O')) {
    throw npyError(
      'FORMAT_UNSUPPORTED',
      origin,
      `has dtype object (${descr}), which holds pickled Python objects that are never loaded; save it again without dtype=object (text as a <U array).`,
      { found: descr },
    );
  }
  if (match?.[2] === 'V') throw structured(origin);
  const [, order, kind, digits] = match ?? [];
  if (kind === 'U' && order !== '|' && Number(digits) > 0 && Number(digits) < 1 << 24) {
    return { dtype: 'str' as const, itemSize: 4 * Number(digits), littleEndian: order === '<' };
  }
  const dtype = KINDS[`${kind}${digits}`];
  const itemSize = Number(digits);
  if (dtype === undefined || (order === '|' && itemSize > 1)) {
    throw npyError(
      'FORMAT_UNSUPPORTED',
      origin,
      `has dtype "${descr}", which is not read; convert it to one of ${[...Object.values(KINDS), 'str'].join(', ')}.`,
      { found: descr },
    );
  }
  return { dtype, itemSize, littleEndian: order !== '>' };
}

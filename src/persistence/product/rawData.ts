/** The measurement inside an HDF5 product: group `/raw_data`, an extension of PtychoPINN. */
import { PtychoError } from '../../core/errors.js';
import { Sha256 } from '../../core/hash.js';
import { type NumericArray, sizeOf } from '../../core/tensor.js';
import { RAW_GROUP } from '../../data/readers/keys.js';
import { type Hdf5File, openHdf5 } from '../../formats/hdf5/file.js';
import { type Hdf5Header, numbersOf } from '../../formats/hdf5/header.js';
import { NpyDecoder } from '../../formats/npy.js';
import { headerOfData, npyError } from '../../formats/npyHeader.js';
import { RAW_KEYS, SEAL_KEY } from './arrays.js';
import type { PatternDtype, ProductPatterns, ProductRawData } from './product.js';

const PATTERNS = `${RAW_GROUP}/${RAW_KEYS.diffraction}`;
/** Bytes of patterns that are in memory at a time. */
const PIECE_BYTES = 2 ** 22;
/** Types that have no typed array of their own. */
const IN_MEMORY: Readonly<Record<string, PatternDtype>> = { bool: 'uint8', int64: 'float64', uint64: 'float64' };

/** Raw data and the hash that their patterns must have. */
export interface StoredRawData {
  readonly data: ProductRawData;
  readonly patternsHash?: string;
}

/**
 * The raw data of a product; undefined where it has none.
 * @throws PtychoError DATASET_KEY_MISSING, DATASET_SHAPE, DATASET_VALUE, and those of reading.
 */
export function readRawData(file: Hdf5File): StoredRawData | undefined {
  if (!file.has(PATTERNS)) return undefined;
  const attributes = file.attributes(PATTERNS);
  const axes = attributes.axis_canonical;
  if (axes !== undefined && axes !== 'NHW') {
    throw npyError('DATASET_SHAPE', file.origin(PATTERNS), `has its axes in the order "${axes}", but NHW is expected.`);
  }
  const header = file.header(PATTERNS);
  const { dtype: stored } = numbersOf(header, file.origin(PATTERNS));
  if (stored.startsWith('complex') || stored === 'float16') {
    throw npyError('DATASET_VALUE', file.origin(PATTERNS), `holds ${stored} values, which are no patterns.`);
  }
  const list = (key: string) => Float64Array.from(file.readReal(`${RAW_GROUP}/${key}`).data);
  const scanIndex = `${RAW_GROUP}/${RAW_KEYS.scanIndex}`;
  const mask = `${RAW_GROUP}/${RAW_KEYS.badPixels}`;
  const domain = [attributes, file.attributes(RAW_GROUP), file.attributes()]
    .map((found) => found[RAW_KEYS.domain])
    .find((value) => typeof value === 'string');
  const patternsHash = attributes[SEAL_KEY];
  const flags = file.has(mask) ? file.readReal(mask) : undefined;
  return {
    data: {
      diffraction: {
        shape: header.shape,
        dtype: IN_MEMORY[stored] ?? (stored as PatternDtype),
        pieces: () => pieces(file.path, typeof patternsHash === 'string' ? patternsHash : undefined),
      } satisfies ProductPatterns,
      xcoords_px: list(RAW_KEYS.x),
      ycoords_px: list(RAW_KEYS.y),
      scan_index: file.has(scanIndex)
        ? Int32Array.from(file.readReal(scanIndex).data)
        : new Int32Array(header.shape[0] ?? 0),
      ...(typeof domain === 'string' && { measurement_domain: domain }),
      ...(flags && { bad_pixels: { data: Uint8Array.from(flags.data, (v) => (v === 0 ? 0 : 1)), shape: flags.shape } }),
    },
    ...(typeof patternsHash === 'string' && { patternsHash }),
  };
}

/** Reads the patterns anew each time; the file is open only meanwhile. */
async function* pieces(path: string, expected: string | undefined): AsyncGenerator<NumericArray> {
  const file = await openHdf5(path);
  try {
    const header = file.header(PATTERNS);
    const [count, ...rowShape] = header.shape;
    const rows = Math.max(1, Math.floor(PIECE_BYTES / Math.max(1, sizeOf(rowShape) * header.type.itemSize)));
    const hash = new Sha256();
    for (let from = 0; from < count; from += rows) {
      const piece = readRows(file, header, from, Math.min(rows, count - from));
      hash.add(piece);
      yield piece;
    }
    if (expected === undefined || hash.hex() === expected) return;
    throw new PtychoError(
      'FILE_FORMAT',
      `${path} is not as ptychopinn wrote it: its raw patterns do not have the SHA-256 that it holds; copy or write it again.`,
      { path, key: PATTERNS },
    );
  } finally {
    file.close();
  }
}

function readRows(file: Hdf5File, header: Hdf5Header, from: number, rows: number): NumericArray {
  const origin = file.origin(PATTERNS);
  const { dtype, itemSize } = numbersOf(header, origin);
  const rest = header.shape.slice(1);
  const shape = [rows, ...rest];
  const decoder = new NpyDecoder(headerOfData(dtype, itemSize, shape), origin);
  file.readBlock(header, [from, ...rest.map(() => 0)], shape, (bytes) => decoder.push(bytes));
  const array = decoder.finish();
  if (array.kind !== 'real') throw npyError('DATASET_VALUE', origin, 'holds no real numbers.');
  return array.data;
}

/**
 * Writes Ptychodus products: HDF5 as h5py reads it, NPZ as NumPy does. Files appear whole or not at all, equal products give
 * equal bytes, and each holds the hash of its content (`docs/ptychodus.md`).
 *
 * @example
 * await writeProductFile('product-out.h5', product);
 */
import { extname } from 'node:path';
import { cancelPoint } from '../../core/cancel.js';
import { PtychoError } from '../../core/errors.js';
import { Sha256 } from '../../core/hash.js';
import { attributeOf, PRODUCT_KEYS, RAW_GROUP } from '../../data/readers/keys.js';
import { Hdf5Writer } from '../../formats/hdf5/writer.js';
import type { NpyInput, RealNpyInput } from '../../formats/npyWrite.js';
import { writeNpz } from '../../formats/npz.js';
import {
  contentHash,
  FORMAT_ID,
  FORMAT_VERSION,
  patternsOf,
  productArrays,
  RAW_KEYS,
  rawArrays,
  SEAL_KEY,
} from './arrays.js';
import { checkProduct, type Product, type ProductRawData } from './product.js';

/** Options of {@link writeProductFile}. */
export interface WriteProductOptions {
  readonly signal?: AbortSignal;
  /** The kind of file, for a name that has another ending. */
  readonly format?: 'hdf5' | 'npz';
  /** Told the number of raw patterns written so far. */
  readonly onPatterns?: (written: number) => void;
}

/** Attributes of up to 64 KiB fit beside what they belong to; a header and others share that room. */
const MAX_ATTRIBUTE_BYTES = 2 ** 16 - 2 ** 10;

/** The kind of product that a name stands for. @throws PtychoError CONFIG_INVALID for other endings. */
export function productFormatOf(path: string): 'hdf5' | 'npz' {
  const ending = extname(path).toLowerCase();
  if (ending === '.npz') return 'npz';
  if (ending === '.h5' || ending === '.hdf5') return 'hdf5';
  throw new PtychoError('CONFIG_INVALID', `${path} must end in .h5, .hdf5 or .npz, the formats of products.`, {
    path,
    found: ending,
  });
}

/**
 * Writes a product, HDF5 for `.h5` and `.hdf5`, NPZ for `.npz`.
 * @throws PtychoError CONFIG_INVALID for other endings and for raw data in an NPZ; DATASET_SHAPE, DATASET_VALUE, PROBE_SHAPE
 * for what is no product; OUTPUT_UNWRITABLE; CANCELLED.
 */
export async function writeProductFile(
  path: string,
  product: Product,
  options: WriteProductOptions = {},
): Promise<void> {
  const format = options.format ?? productFormatOf(path);
  checkProduct(product, path);
  if (format === 'hdf5') return writeHdf5Product(path, product, options);
  if (product.raw_data !== undefined) {
    throw new PtychoError('CONFIG_INVALID', `${path}: only HDF5 products hold raw data; name the file .h5.`, { path });
  }
  await writeNpz(path, {
    ...Object.fromEntries(productArrays(product)),
    [SEAL_KEY]: { strings: [contentHash(product)], shape: [] },
  });
}

async function writeHdf5Product(path: string, product: Product, options: WriteProductOptions): Promise<void> {
  const file = await Hdf5Writer.create(path);
  try {
    const arrays = [...productArrays(product)];
    for (const [key, input] of arrays) if (!attributeOf(key)) file.write(`/${key}`, input);
    for (const [key, input] of arrays) {
      const attribute = attributeOf(key);
      if (attribute) writeAttribute(file, attribute.object, attribute.name, input);
    }
    const weights = product.probe.opr_weights;
    if (weights !== undefined && weights.data.byteLength <= MAX_ATTRIBUTE_BYTES) {
      // Ptychodus writes the dataset and reads the attribute.
      file.attributes(`/${PRODUCT_KEYS.probe}`, { [PRODUCT_KEYS.oprWeights]: weights });
    }
    const patternsHash = product.raw_data && (await writeRawData(file, product.raw_data, options));
    file.attributes('/', {
      format_id: FORMAT_ID,
      format_version: FORMAT_VERSION,
      [SEAL_KEY]: contentHash(product, patternsHash),
    });
  } catch (error) {
    await file.abort();
    throw error;
  }
  await file.close();
}

function writeAttribute(file: Hdf5Writer, object: string, name: string, input: NpyInput): void {
  file.attributes(object, { [name]: 'strings' in input ? input.strings[0] : (input as RealNpyInput) });
}

/** Writes the group of the measurement. @returns the hash of its patterns */
async function writeRawData(file: Hdf5Writer, raw: ProductRawData, options: WriteProductOptions): Promise<string> {
  const patterns = patternsOf(raw);
  const { shape, dtype } = patterns;
  const path = `${RAW_GROUP}/${RAW_KEYS.diffraction}`;
  const rowShape = shape.slice(1);
  const rowLength = rowShape[0] * rowShape[1];
  file.growing(path, dtype, rowShape, { gzip: 4 });
  const hash = new Sha256();
  let written = 0;
  const pause = cancelPoint(options.signal, 'Writing the product');
  for await (const piece of patterns.pieces()) {
    await pause();
    const rows = piece.length / rowLength;
    file.append(path, { data: piece, shape: [rows, ...rowShape] });
    hash.add(piece);
    written += rows;
    options.onPatterns?.(written);
  }
  if (written !== shape[0]) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${file.path}: ${written} raw patterns came, but the file was begun for ${shape[0]}.`,
      {
        path: file.path,
        found: written,
        expected: shape[0],
      },
    );
  }
  for (const [key, input] of rawArrays(raw)) {
    if ('strings' in input) writeAttribute(file, path, key, input);
    else file.write(`${RAW_GROUP}/${key}`, input);
  }
  file.link(`/${PRODUCT_KEYS.probe}`, `${RAW_GROUP}/${RAW_KEYS.probe}`);
  file.link(`/${PRODUCT_KEYS.object}`, `${RAW_GROUP}/${RAW_KEYS.object}`);
  const hex = hash.hex();
  file.attributes(path, { axis_canonical: 'NHW', original_axis_order: 'NHW', [SEAL_KEY]: hex });
  file.attributes('/', {
    bundle_version: '1.0',
    contains_raw_data: { data: Int32Array.of(1), shape: [], dtype: 'int64' },
  });
  return hex;
}

/**
 * A product as a list of named arrays, in one order: what the NPZ file holds, what the HDF5 file holds as datasets and
 * attributes, and what the content hash is made of.
 */
import { PtychoError } from '../../core/errors.js';
import { Sha256 } from '../../core/hash.js';
import { formatShape } from '../../core/tensor.js';
import { METADATA_KEYS, POSITION_KEYS, PRODUCT_KEYS } from '../../data/readers/keys.js';
import type { Hdf5Value } from '../../formats/hdf5/file.js';
import { dtypeOf, type NpyInput, npyBytes } from '../../formats/npyWrite.js';
import type { PatternDtype, Product, ProductPatterns, ProductRawData } from './product.js';

/** Where the hash of all content is: an attribute of the HDF5 file, a text of the NPZ file. */
export const SEAL_KEY = 'ptychopinn_sha256';

/** Names in the group `raw_data`. */
export const RAW_KEYS = {
  diffraction: 'diffraction',
  x: 'xcoords',
  y: 'ycoords',
  scanIndex: 'scan_index',
  badPixels: 'bad_pixels',
  domain: 'measurement_domain',
  probe: 'probeGuess',
  object: 'objectGuess',
} as const;

/** Everything but the raw data, by the names of the NPZ file. */
export function productArrays(product: Product): ReadonlyMap<string, NpyInput> {
  const { metadata, positions, probe, object, losses } = product;
  const arrays = new Map<string, NpyInput>();
  for (const key of METADATA_KEYS) {
    const value = metadata[key];
    arrays.set(key, typeof value === 'string' ? { strings: [value], shape: [] } : scalar(value));
  }
  arrays.set(POSITION_KEYS[0], integers(positions.indexes));
  arrays.set(POSITION_KEYS[1], list(positions.x_m));
  arrays.set(POSITION_KEYS[2], list(positions.y_m));
  arrays.set(PRODUCT_KEYS.probe, probe.array);
  arrays.set(PRODUCT_KEYS.probePixelWidth, scalar(probe.pixel.width_m));
  arrays.set(PRODUCT_KEYS.probePixelHeight, scalar(probe.pixel.height_m));
  if (probe.opr_weights !== undefined) arrays.set(PRODUCT_KEYS.oprWeights, probe.opr_weights);
  arrays.set(PRODUCT_KEYS.object, object.array);
  arrays.set(PRODUCT_KEYS.objectCenterX, scalar(object.center_x_m));
  arrays.set(PRODUCT_KEYS.objectCenterY, scalar(object.center_y_m));
  arrays.set(PRODUCT_KEYS.objectPixelWidth, scalar(object.pixel.width_m));
  arrays.set(PRODUCT_KEYS.objectPixelHeight, scalar(object.pixel.height_m));
  arrays.set(PRODUCT_KEYS.layerSpacing, list(object.layer_spacing_m));
  arrays.set(PRODUCT_KEYS.lossEpochs, integers(losses.epochs));
  arrays.set(PRODUCT_KEYS.lossValues, list(losses.values));
  return arrays;
}

/** Everything of the raw data but the patterns, by the names in their group; `measurement_domain` is text. */
export function rawArrays(raw: ProductRawData): ReadonlyMap<string, NpyInput> {
  const arrays = new Map<string, NpyInput>();
  arrays.set(RAW_KEYS.x, list(raw.xcoords_px));
  arrays.set(RAW_KEYS.y, list(raw.ycoords_px));
  arrays.set(RAW_KEYS.scanIndex, integers(raw.scan_index));
  if (raw.bad_pixels !== undefined) arrays.set(RAW_KEYS.badPixels, raw.bad_pixels);
  if (raw.measurement_domain !== undefined) {
    arrays.set(RAW_KEYS.domain, { strings: [raw.measurement_domain], shape: [] });
  }
  return arrays;
}

/** Patterns piece by piece, also where they are in memory. */
export function patternsOf({ diffraction }: Pick<ProductRawData, 'diffraction'>): ProductPatterns {
  if ('pieces' in diffraction) return diffraction;
  const { data, shape } = diffraction;
  return {
    shape,
    dtype: dtypeOf(data) as PatternDtype,
    async *pieces() {
      yield data;
    },
  };
}

/**
 * SHA-256 of all content, hexadecimal: for each array its line `NAME DTYPE (SHAPE)`, then its values, little endian in C
 * order; text as UTF-8. Raw data follow under `raw_data/NAME`, their patterns by their own hash.
 * @param patternsHash SHA-256 of the patterns, piece by piece, where there are raw data
 */
export function contentHash(product: Product, patternsHash?: string): string {
  const hash = new Sha256();
  const add = (key: string, input: NpyInput) => {
    if ('strings' in input) {
      const text = Buffer.from(input.strings[0], 'utf8');
      hash.add(`${key} str (${text.length},)\n`).add(text);
      return;
    }
    const dtype = 're' in input ? 'complex64' : (input.dtype ?? dtypeOf(input.data));
    hash.add(`${key} ${dtype} ${formatShape(input.shape)}\n`);
    for (const piece of npyBytes(input).values()) hash.add(piece);
  };
  for (const [key, input] of productArrays(product)) add(key, input);
  if (product.raw_data !== undefined) {
    const { shape, dtype } = patternsOf(product.raw_data);
    for (const [key, input] of rawArrays(product.raw_data)) add(`raw_data/${key}`, input);
    hash.add(`raw_data/${RAW_KEYS.diffraction} ${dtype} ${formatShape(shape)}\n${patternsHash ?? ''}`);
  }
  return hash.hex();
}

const scalar = (value: number): NpyInput => ({ data: Float64Array.of(value), shape: [] });
const list = (data: Float64Array): NpyInput => ({ data, shape: [data.length] });
/** An empty list is one of doubles, as NumPy makes it. */
const integers = (data: Int32Array): NpyInput =>
  data.length === 0 ? list(new Float64Array(0)) : { data, shape: [data.length], dtype: 'int64' };

/** What HDF5 products say of their format: written to, and accepted in, the attribute `format_id`. */
export const FORMAT_ID = 'ptychodus.product.hdf5';
/** The version that is written; later ones of the same first number are read. */
export const FORMAT_VERSION = '1.0';

/**
 * Checks what a file says of its format; it may say nothing.
 * @throws PtychoError FILE_FORMAT for another format, FORMAT_UNSUPPORTED for a later version.
 */
export function checkFormat(path: string, id: Hdf5Value | undefined, version: Hdf5Value | undefined): void {
  if (id !== undefined && id !== FORMAT_ID) {
    throw new PtychoError('FILE_FORMAT', `${path} says that it is "${id}" and no Ptychodus product (${FORMAT_ID}).`, {
      path,
      found: id,
      expected: FORMAT_ID,
    });
  }
  const major = Number.parseInt(String(version ?? FORMAT_VERSION), 10);
  if (major === 1) return;
  throw new PtychoError(
    'FORMAT_UNSUPPORTED',
    `${path} is a product of version ${version}, but only versions 1.x are read; update ptychopinn.`,
    { path, found: version, expected: FORMAT_VERSION },
  );
}

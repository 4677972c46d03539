/**
 * Where the parts of a product come from: HDF5 or NPZ, asked for by the names of the NPZ file.
 *
 * @example
 * const x = await usingProduct('product.h5', (source) => source.real('probe_position_x_m'));
 */
import { PtychoError } from '../../core/errors.js';
import type { ComplexTensor, NumericArray } from '../../core/tensor.js';
import { type Hdf5File, type Hdf5Value, isHdf5File, openHdf5 } from '../../formats/hdf5/file.js';
import type { RealNpyArray } from '../../formats/npy.js';
import { type NpyOrigin, npyError } from '../../formats/npyHeader.js';
import { type NpzFile, openNpz } from '../../formats/npz.js';
import { checkFinite } from '../opening/positions.js';
import { readText } from './npzText.js';
import { attributeOf, POSITION_KEYS, PRODUCT_KEYS, TEXT_KEYS } from './productKeys.js';

/** An opened product. */
export interface ProductSource {
  readonly path: string;
  /** The file itself, where it is HDF5. */
  readonly hdf5?: Hdf5File;
  /** True when there is an array of this name. */
  has(key: string): boolean;
  real(key: string): Promise<RealNpyArray>;
  complex(key: string): Promise<ComplexTensor>;
  /** A single value: an attribute, or an array of one; undefined where there is none. */
  value(key: string): Promise<Hdf5Value | undefined>;
  /** The weights that an HDF5 product keeps as an attribute of its probe. */
  probeAttributeWeights(): RealNpyArray | undefined;
  origin(key: string): NpyOrigin;
}

/** A hundred million positions are a lie. */
const MAX_BYTES = 2 ** 28;
const TEXTS: ReadonlySet<string> = new Set(TEXT_KEYS);

/**
 * Opens a product for as long as `work` takes.
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT, and what `work` throws.
 */
export async function usingProduct<T>(
  path: string,
  work: (source: ProductSource) => Promise<T>,
  allowLinks?: readonly string[],
): Promise<T> {
  if (await isHdf5File(path)) {
    const file = await openHdf5(path, allowLinks);
    try {
      return await work(hdf5Source(file));
    } finally {
      file.close();
    }
  }
  const npz = await openNpz(path);
  try {
    return await work(npzSource(npz));
  } finally {
    await npz.close();
  }
}

/** The product in an opened HDF5 file. */
export function hdf5Source(file: Hdf5File): ProductSource {
  const attributes = new Map<string, Record<string, Hdf5Value>>();
  const attributesOf = (object: string) => {
    let known = attributes.get(object);
    if (known === undefined) {
      known = object === '/' || file.has(object) ? file.attributes(object) : {};
      attributes.set(object, known);
    }
    return known;
  };
  const has = (key: string) => file.has(`/${key}`);
  return {
    path: file.path,
    hdf5: file,
    has,
    real: async (key) => file.readReal(`/${key}`, MAX_BYTES),
    complex: async (key) => file.readComplex64(`/${key}`),
    async value(key) {
      const attribute = attributeOf(key) ?? { object: '/', name: key };
      const value = attributesOf(attribute.object)[attribute.name];
      // Some writers make arrays of one.
      return Array.isArray(value) && value.length === 1 ? value[0] : value;
    },
    probeAttributeWeights: () =>
      has(PRODUCT_KEYS.probe) ? file.attributeArray(`/${PRODUCT_KEYS.probe}`, PRODUCT_KEYS.oprWeights) : undefined,
    origin: (key) => {
      const attribute = attributeOf(key);
      return file.origin(attribute ? `${attribute.object}@${attribute.name}` : `/${key}`);
    },
  };
}

function npzSource(npz: NpzFile): ProductSource {
  return {
    path: npz.path,
    has: (key) => npz.has(key),
    real: (key) => npz.readReal(key),
    complex: (key) => npz.readComplex64(key),
    async value(key) {
      if (!npz.has(key)) return undefined;
      if (TEXTS.has(key)) {
        const found = await readText(npz, key);
        return 'text' in found ? found.text : undefined;
      }
      const array = await npz.read(key);
      if (array.kind === 'text') return array.strings[0];
      return array.kind === 'real' && array.data.length === 1 ? array.data[0] : undefined;
    },
    probeAttributeWeights: () => undefined,
    origin: (key) => npz.origin(key),
  };
}

/** Scan positions of a product, metres, and which pattern each belongs to. */
export interface IndexedPositions {
  readonly indexes: NumericArray;
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/**
 * The positions, as many indexes as coordinates, all finite.
 * @throws PtychoError DATASET_KEY_MISSING when the file is no product, DATASET_SHAPE, DATASET_VALUE.
 */
export async function readIndexedPositions(source: ProductSource): Promise<IndexedPositions> {
  const { path } = source;
  const missing = POSITION_KEYS.filter((key) => !source.has(key));
  if (missing.length > 0) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${path} is no Ptychodus product: ${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing.`,
      { path, key: missing[0], expected: POSITION_KEYS },
    );
  }
  const { data: indexes } = await source.real(POSITION_KEYS[0]);
  const x = Float64Array.from((await source.real(POSITION_KEYS[1])).data);
  const y = Float64Array.from((await source.real(POSITION_KEYS[2])).data);
  if (x.length !== indexes.length || y.length !== indexes.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${path} has ${indexes.length} position indexes, but ${x.length} x and ${y.length} y coordinates; there must be one of each.`,
      { path, found: [indexes.length, x.length, y.length] },
    );
  }
  checkFinite(x, source.origin(POSITION_KEYS[1]));
  checkFinite(y, source.origin(POSITION_KEYS[2]));
  return { indexes, x, y };
}

/**
 * Which row has which index.
 * @throws PtychoError DATASET_VALUE for an index that occurs twice, or that is no whole number.
 */
export function rowsByIndex(indexes: NumericArray, origin: NpyOrigin): Map<number, number> {
  const rows = new Map<number, number>();
  indexes.forEach((index: number, row: number) => {
    const known = rows.get(index);
    if (known !== undefined) {
      throw npyError(
        'DATASET_VALUE',
        origin,
        `has the index ${index} twice (rows ${known} and ${row}), so it is unclear which pattern belongs to which position; remove one.`,
        { found: index },
      );
    }
    if (!Number.isSafeInteger(index)) {
      throw npyError('DATASET_VALUE', origin, `has the value ${index} at row ${row}, which is no index.`);
    }
    rows.set(index, row);
  });
  return rows;
}

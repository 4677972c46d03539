/**
 * Where the parts of a product come from: HDF5 or NPZ, asked for by the names of the NPZ file.
 *
 * @example
 * const x = await usingProduct('product.h5', (source) => source.real('probe_position_x_m'));
 */
import { PtychoError } from '../../core/errors.js';
import { type ComplexImage, type ComplexTensor, formatShape, type NumericArray, sizeOf } from '../../core/tensor.js';
import { type Hdf5File, type Hdf5Value, isHdf5File, usingHdf5 } from '../../formats/hdf5/file.js';
import type { RealNpyArray } from '../../formats/npy.js';
import { type NpyOrigin, npyError } from '../../formats/npyHeader.js';
import { type NpzFile, usingNpz } from '../../formats/npz.js';
import { type ObjectLayers, projection } from '../../physics/layers.js';
import { readText } from '../metadata.js';
import { checkFinite } from '../opening/positions.js';
import { incoherentModes } from '../opening/probe.js';
import type { ScanGeometry, StoredPositions } from '../scanFile.js';
import { attributeOf, METADATA_KEYS, POSITION_KEYS, PRODUCT_KEYS, TEXT_KEYS } from './keys.js';

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
    return usingHdf5(path, (file) => work(hdf5Source(file)), allowLinks);
  }
  return usingNpz(path, (npz) => work(npzSource(npz)));
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

/**
 * Indexes for patterns of a file that has none. Ptychodus' writers of such files leave the indexes out and keep the order: where there
 * are as many patterns as positions, the first pattern belongs to the lowest index, and so on. Otherwise they are 0, 1, 2 …, as
 * Ptychodus numbers what it reads from such a file.
 * @param notes told which of the two
 */
export function numberedFor(path: string, count: number, positions: ArrayLike<number>, notes: string[]): Int32Array {
  const sorted = Int32Array.from(positions).sort();
  const counted = sorted.every((index, i) => index === i);
  if (!counted && sorted.length === count) {
    notes.push(
      `${path} has no indexes; it has as many patterns as there are positions, so that they are paired in the order of the positions' indexes (${sorted[0]} … ${sorted[count - 1]}).`,
    );
    return sorted;
  }
  notes.push(
    `${path} has no indexes; its patterns are taken to be 0 … ${count - 1}, as Ptychodus takes them.${counted ? '' : ' Those of the positions have gaps: if patterns were left out when the file was written, they are paired wrongly; diffraction.h5 and the NPZ files of Ptychodus hold the indexes.'}`,
  );
  return Int32Array.from({ length: count }, (_, i) => i);
}

/** What a product holds for us. */
export interface ProductFacts {
  readonly positions: StoredPositions;
  /** Which pattern each position belongs to. */
  readonly indexes: NumericArray;
  /** (height, width), or modes first. */
  readonly probe?: ComplexTensor;
  readonly object?: ComplexImage;
  /** The layers whose product `object` is, where there are several. */
  readonly objectLayers?: ObjectLayers;
  readonly geometry: ScanGeometry;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly notes: readonly string[];
}

/** True when an HDF5 file has the positions of a product. */
export const isProduct = (file: Hdf5File): boolean => POSITION_KEYS.every((key) => file.has(`/${key}`));

/**
 * Reads a product file.
 * @param allowLinks folders that its links may lead to
 * @throws PtychoError DATASET_KEY_MISSING when it is none, DATASET_SHAPE, DATASET_VALUE, and those of reading the file.
 */
export function readProduct(path: string, allowLinks?: readonly string[]): Promise<ProductFacts> {
  const work = async (source: ProductSource): Promise<ProductFacts> => {
    const metadata: Record<string, unknown> = {};
    for (const key of METADATA_KEYS) {
      const value = await source.value(key);
      if (value !== undefined) metadata[key] = value;
    }
    return read(source, source.hdf5?.attributes() ?? metadata);
  };
  return usingProduct(path, work, allowLinks);
}

/** The product in an opened HDF5 file. @throws PtychoError as {@link readProduct} */
export function readProductOf(file: Hdf5File): Promise<ProductFacts> {
  return read(hdf5Source(file), file.attributes());
}

async function read(source: ProductSource, metadata: ProductFacts['metadata']): Promise<ProductFacts> {
  const { path } = source;
  const { indexes, x, y } = await readIndexedPositions(source);
  const { probe, object } = PRODUCT_KEYS;
  const notes: string[] = [];
  const layers = source.has(object) ? await source.complex(object) : undefined;
  return {
    positions: { x, y, unit: 'm', origin: { path } },
    indexes,
    probe: source.has(probe)
      ? incoherentModes(await source.complex(probe), source.origin(probe), (sentence) => notes.push(sentence))
      : undefined,
    object: layers && thinObject(layers, source.origin(object), notes),
    objectLayers: layers && (await layersOf(source, layers)),
    geometry: await geometry(source),
    metadata,
    notes,
  };
}

/** Layers with their distances; undefined for a thin object, or where the distances are not known. */
async function layersOf(source: ProductSource, array: ComplexTensor): Promise<ObjectLayers | undefined> {
  const { layerSpacing } = PRODUCT_KEYS;
  if (array.shape.length !== 3 || array.shape[0] < 2 || !source.has(layerSpacing)) return undefined;
  const spacing_m = Float64Array.from((await source.real(layerSpacing)).data);
  return spacing_m.length === array.shape[0] - 1 ? { array, spacing_m } : undefined;
}

/** An object (layers, height, width) as one image: the product of its layers. */
export function thinObject(object: ComplexTensor, origin: NpyOrigin, notes: string[]): ComplexImage {
  const { shape } = object;
  if (shape.length !== 2 && shape.length !== 3) {
    throw npyError('DATASET_SHAPE', origin, `has shape ${formatShape(shape)}, but an object has two or three axes.`, {
      found: shape,
    });
  }
  if (shape.length === 3 && shape[0] > 1) {
    notes.push(
      `${origin.path}: the object has ${shape[0]} layers, which are kept; where one image is needed, it is their product.`,
    );
    return projection(object);
  }
  const image = shape.slice(-2);
  return { re: object.re.subarray(0, sizeOf(image)), im: object.im.subarray(0, sizeOf(image)), shape: image };
}

async function geometry(source: ProductSource): Promise<ScanGeometry> {
  const number = async (key: string) => {
    const value = await source.value(key);
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
  };
  /** Zero stands for unknown. */
  const positive = async (key: string) => {
    const value = await number(key);
    return value !== undefined && value > 0 ? value : undefined;
  };
  // Probe and object have the same pixels.
  const width = (await positive(PRODUCT_KEYS.objectPixelWidth)) ?? (await positive(PRODUCT_KEYS.probePixelWidth));
  const height = (await positive(PRODUCT_KEYS.objectPixelHeight)) ?? (await positive(PRODUCT_KEYS.probePixelHeight));
  const [x, y] = [await number(PRODUCT_KEYS.objectCenterX), await number(PRODUCT_KEYS.objectCenterY)];
  return {
    energy_eV: await positive('probe_energy_eV'),
    detectorDistance_m: await positive('detector_object_distance_m'),
    objectPixel_m: width !== undefined && height !== undefined ? { x: width, y: height } : undefined,
    objectCentre_m: x !== undefined && y !== undefined ? { x, y } : undefined,
  };
}

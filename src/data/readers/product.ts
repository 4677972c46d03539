/**
 * What opening a scan needs of a Ptychodus product, HDF5 or NPZ: positions with their indexes, probe, object and geometry. All of
 * a product is read by `persistence/product`.
 */
import { type ComplexImage, type ComplexTensor, formatShape, type NumericArray, sizeOf } from '../../core/tensor.js';
import type { Hdf5File } from '../../formats/hdf5/file.js';
import { type NpyOrigin, npyError } from '../../formats/npyHeader.js';
import { incoherentModes } from '../opening/probeFile.js';
import type { ScanGeometry, StoredPositions } from '../scanFile.js';
import { METADATA_KEYS, POSITION_KEYS, PRODUCT_KEYS } from './productKeys.js';
import { hdf5Source, type ProductSource, readIndexedPositions, usingProduct } from './productSource.js';

/** What a product holds for us. */
export interface ProductFacts {
  readonly positions: StoredPositions;
  /** Which pattern each position belongs to. */
  readonly indexes: NumericArray;
  /** (height, width), or modes first. */
  readonly probe?: ComplexTensor;
  readonly object?: ComplexImage;
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
  return {
    positions: { x, y, unit: 'm', origin: { path } },
    indexes,
    probe: source.has(probe)
      ? incoherentModes(await source.complex(probe), source.origin(probe), (sentence) => notes.push(sentence))
      : undefined,
    object: source.has(object) ? firstLayer(await source.complex(object), source.origin(object), notes) : undefined,
    geometry: await geometry(source),
    metadata,
    notes,
  };
}

/** The first layer of an object (layers, height, width). */
export function firstLayer(object: ComplexTensor, origin: NpyOrigin, notes: string[]): ComplexImage {
  const { shape } = object;
  if (shape.length !== 2 && shape.length !== 3) {
    throw npyError('DATASET_SHAPE', origin, `has shape ${formatShape(shape)}, but an object has two or three axes.`, {
      found: shape,
    });
  }
  if (shape.length === 3 && shape[0] > 1)
    notes.push(`${origin.path}: the first of ${shape[0]} layers of the object is used.`);
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

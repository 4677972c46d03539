/**
 * Reads Ptychodus products whole, HDF5 and NPZ, in every form in which they are found (`docs/ptychodus.md`).
 *
 * @example
 * const product = await readProductFile('product-in.h5', { note: console.warn });
 * product.probe.array.shape; // [coherent modes, incoherent modes, height, width]
 */
import { PtychoError } from '../../core/errors.js';
import { type ComplexTensor, formatShape, type NumericArray, type Shape, type Tensor } from '../../core/tensor.js';
import { OPTIONAL_NUMBER_KEYS, PRODUCT_KEYS, REQUIRED_NUMBER_KEYS } from '../../data/readers/keys.js';
import { type ProductSource, readIndexedPositions, usingProduct } from '../../data/readers/product.js';
import type { RealNpyArray } from '../../formats/npy.js';
import { type NpyOrigin, npyError } from '../../formats/npyHeader.js';
import { checkFormat, contentHash, SEAL_KEY } from './arrays.js';
import {
  checkProduct,
  type PixelSize,
  type Product,
  type ProductLosses,
  type ProductMetadata,
  type ProductObject,
  type ProductProbe,
} from './product.js';
import { readRawData } from './rawData.js';

/** Options of {@link readProductFile}. */
export interface ReadProductOptions {
  /** Told what was assumed, each one sentence. */
  readonly note?: (sentence: string) => void;
  /** Read a product of ours that was changed after it was written; by default that is refused. */
  readonly acceptChanges?: boolean;
}

/** A product, and what its file says of itself. */
export interface StoredProduct {
  readonly product: Product;
  readonly format: 'hdf5' | 'npz';
  /** Whether the content is what ptychopinn wrote; `none` for files of others, which hold no hash. */
  readonly seal: 'intact' | 'broken' | 'none';
  /** False where the size of pixels is assumed. */
  readonly pixelsKnown: boolean;
}

/** Pixels where neither probe nor object has a size: what PtychoPINN assumes for the object; the probe has the same pixels. */
export const DEFAULT_OBJECT_PIXEL_M = 5e-8;

/**
 * Reads a product. Raw patterns stay in the file and are read, and checked, when their pieces are asked for.
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT (also for a product of ours whose content changed),
 * FORMAT_UNSUPPORTED, DATASET_KEY_MISSING, DATASET_SHAPE, DATASET_VALUE, PROBE_SHAPE: one sentence each.
 */
export async function readProductFile(path: string, options: ReadProductOptions = {}): Promise<Product> {
  const stored = await readStoredProduct(path, options);
  if (!options.acceptChanges) refuseChanges(path, stored);
  return stored.product;
}

/** @throws PtychoError FILE_FORMAT for a product of ours whose content is not what was written */
export function refuseChanges(path: string, { seal }: Pick<StoredProduct, 'seal'>): void {
  if (seal !== 'broken') return;
  throw new PtychoError(
    'FILE_FORMAT',
    `${path} is not as ptychopinn wrote it: its content does not have the SHA-256 that it holds; copy or write it again, or delete ${SEAL_KEY} from it if it was changed on purpose.`,
    { path, key: SEAL_KEY },
  );
}

/** Reads a product and says whether its content is as it was written. @throws PtychoError as {@link readProductFile} */
export function readStoredProduct(
  path: string,
  options: Omit<ReadProductOptions, 'acceptChanges'> = {},
): Promise<StoredProduct> {
  return usingProduct(path, async (source) => {
    const note = options.note ?? (() => {});
    const format = source.hdf5 === undefined ? 'npz' : 'hdf5';
    if (format === 'hdf5') checkFormat(path, await source.value('format_id'), await source.value('format_version'));
    const { indexes, x, y } = await readIndexedPositions(source);
    const metadata = await readMetadata(source);
    const pixels = await readPixels(source, note);
    const probe = await readProbe(source, pixels.probe, indexes.length);
    const object = await readObject(source, pixels.object, note);
    const raw = source.hdf5 && readRawData(source.hdf5);
    const product: Product = {
      metadata,
      positions: { indexes: int32(indexes, source.origin('probe_position_indexes')), x_m: x, y_m: y },
      probe,
      object,
      losses: await readLosses(source),
      ...(raw && { raw_data: raw.data }),
    };
    checkProduct(product, path, (key) => source.origin(key));
    return { product, format, pixelsKnown: pixels.known, seal: await sealOf(source, product, raw?.patternsHash) };
  });
}

async function sealOf(source: ProductSource, product: Product, patternsHash?: string): Promise<StoredProduct['seal']> {
  const found = await source.value(SEAL_KEY);
  // A seal that is there and cannot be read as one is broken.
  if (found === undefined) return source.has(SEAL_KEY) ? 'broken' : 'none';
  return found === contentHash(product, patternsHash) ? 'intact' : 'broken';
}

async function readMetadata(source: ProductSource): Promise<ProductMetadata> {
  const text = async (key: string) => {
    const value = await source.value(key);
    return value === undefined ? '' : String(value);
  };
  const number = async (key: string) => {
    const value = await source.value(key);
    if (value === undefined || typeof value === 'number') return value;
    throw npyError('DATASET_VALUE', source.origin(key), `is ${JSON.stringify(value)}, but a number was expected.`, {
      found: value,
    });
  };
  const required: Record<string, number> = {};
  for (const key of REQUIRED_NUMBER_KEYS) {
    const value = await number(key);
    if (value === undefined) {
      throw new PtychoError(
        'DATASET_KEY_MISSING',
        `${source.path} has no ${source.hdf5 ? 'attribute' : 'array'} ${key}, without which Ptychodus opens no product; add it (0 if it is unknown).`,
        { path: source.path, key, expected: REQUIRED_NUMBER_KEYS },
      );
    }
    required[key] = value;
  }
  const optional: Record<string, number> = {};
  for (const key of OPTIONAL_NUMBER_KEYS) optional[key] = (await number(key)) ?? 0;
  return {
    name: await text('name'),
    comments: await text('comments'),
    ...(required as Record<(typeof REQUIRED_NUMBER_KEYS)[number], number>),
    ...(optional as Record<(typeof OPTIONAL_NUMBER_KEYS)[number], number>),
  };
}

async function metresAt(source: ProductSource, key: string): Promise<number | undefined> {
  const value = await source.value(key);
  if (value === undefined || typeof value === 'number') return value;
  throw npyError('DATASET_VALUE', source.origin(key), `is ${JSON.stringify(value)}, but must be a number of metres.`);
}

/** The pixels of probe and object; each stands for the other where that has none. */
async function readPixels(source: ProductSource, note: (sentence: string) => void) {
  const sizeOf = async (width: string, height: string): Promise<PixelSize | undefined> => {
    const [w, h] = [await metresAt(source, width), await metresAt(source, height)];
    if (w === undefined && h === undefined) return undefined;
    return { width_m: (w ?? h) as number, height_m: (h ?? w) as number };
  };
  const probe = await sizeOf(PRODUCT_KEYS.probePixelWidth, PRODUCT_KEYS.probePixelHeight);
  const object = await sizeOf(PRODUCT_KEYS.objectPixelWidth, PRODUCT_KEYS.objectPixelHeight);
  if (probe && object) return { probe, object, known: true };
  if (probe || object) {
    const pixel = (probe ?? object) as PixelSize;
    note(
      `${source.path} gives no size of the ${probe ? "object's" : "probe's"} pixels; they are taken to be those of the ${probe ? 'probe' : 'object'}.`,
    );
    return { probe: pixel, object: pixel, known: true };
  }
  note(`${source.path} gives no size of pixels; ${DEFAULT_OBJECT_PIXEL_M} m is assumed.`);
  const assumed = { width_m: DEFAULT_OBJECT_PIXEL_M, height_m: DEFAULT_OBJECT_PIXEL_M };
  return { probe: assumed, object: assumed, known: false };
}

async function readProbe(source: ProductSource, pixel: PixelSize, positions: number): Promise<ProductProbe> {
  const key = PRODUCT_KEYS.probe;
  const array = withAxes(await source.complex(requireKey(source, key)), 4, source.origin(key), 'PROBE_SHAPE');
  const opr_weights = await readWeights(source, array.shape[0], positions);
  return { array, pixel, ...(opr_weights && { opr_weights }) };
}

/** Weights of the coherent modes: an attribute of the probe (which Ptychodus reads) or a dataset (which it writes). */
async function readWeights(
  source: ProductSource,
  modes: number,
  positions: number,
): Promise<Tensor<Float64Array> | undefined> {
  const key = PRODUCT_KEYS.oprWeights;
  const dataset = source.has(key) ? asWeights(await source.real(key), modes, positions) : undefined;
  const found = source.probeAttributeWeights();
  const attribute = found && asWeights(found, modes, positions);
  if (dataset === undefined || attribute === undefined) return dataset ?? attribute;
  const same = formatShape(dataset.shape) === formatShape(attribute.shape);
  if (same && dataset.data.every((value, i) => Object.is(value, attribute.data[i]))) return dataset;
  throw npyError(
    'DATASET_VALUE',
    source.origin(key),
    'differs from the attribute opr_weights of the probe, so it is unclear which weights hold; remove one of them.',
  );
}

/** A plain list is the column of the only mode, or one row that holds for every position. */
function asWeights({ data, shape }: RealNpyArray, modes: number, positions: number): Tensor<Float64Array> {
  const values = Float64Array.from(data);
  if (shape.length !== 1) return { data: values, shape };
  if (modes === 1 && values.length === positions) return { data: values, shape: [positions, 1] };
  if (values.length !== modes) return { data: values, shape };
  const length = positions * modes;
  return { data: Float64Array.from({ length }, (_, i) => values[i % modes]), shape: [positions, modes] };
}

async function readObject(
  source: ProductSource,
  pixel: PixelSize,
  note: (sentence: string) => void,
): Promise<ProductObject> {
  const key = PRODUCT_KEYS.object;
  const array = withAxes(await source.complex(requireKey(source, key)), 3, source.origin(key), 'DATASET_SHAPE');
  const centre = async (name: string) => {
    const value = await metresAt(source, name);
    if (value !== undefined) return value;
    note(`${source.path} does not say where the middle of its object lies; ${name} is taken to be 0.`);
    return 0;
  };
  const spacing = PRODUCT_KEYS.layerSpacing;
  return {
    array,
    pixel,
    center_x_m: await centre(PRODUCT_KEYS.objectCenterX),
    center_y_m: await centre(PRODUCT_KEYS.objectCenterY),
    layer_spacing_m: source.has(spacing) ? Float64Array.from((await source.real(spacing)).data) : new Float64Array(0),
  };
}

async function readLosses(source: ProductSource): Promise<ProductLosses> {
  const { lossValues, lossValuesFormerly, lossEpochs } = PRODUCT_KEYS;
  const key = [lossValues, lossValuesFormerly].find((name) => source.has(name));
  const values = key === undefined ? new Float64Array(0) : Float64Array.from((await source.real(key)).data);
  const epochs = source.has(lossEpochs)
    ? int32((await source.real(lossEpochs)).data, source.origin(lossEpochs))
    : Int32Array.from(values, (_, i) => i);
  return { epochs, values };
}

function requireKey(source: ProductSource, key: string): string {
  if (source.has(key)) return key;
  throw new PtychoError(
    'DATASET_KEY_MISSING',
    `${source.path} is a product without "${key}", which every product has.`,
    { path: source.path, key },
  );
}

/** Axes of length 1 in front where there are fewer than `axes`. */
function withAxes(
  array: ComplexTensor,
  axes: 3 | 4,
  origin: NpyOrigin,
  code: 'PROBE_SHAPE' | 'DATASET_SHAPE',
): ComplexTensor {
  const { shape } = array;
  if (shape.length >= 2 && shape.length <= axes) {
    const padded: Shape = [...Array.from({ length: axes - shape.length }, () => 1), ...shape];
    return { ...array, shape: padded };
  }
  const what = axes === 4 ? 'a probe has two to four axes' : 'an object has two or three axes';
  throw npyError(code, origin, `has shape ${formatShape(shape)}, but ${what}.`, { found: shape });
}

function int32(values: NumericArray, origin: NpyOrigin): Int32Array {
  const at = values.findIndex((value) => !Number.isInteger(value) || Math.abs(value) >= 2 ** 31);
  if (at < 0) return Int32Array.from(values);
  throw npyError('DATASET_VALUE', origin, `has the value ${values[at]} at row ${at}, which is no index.`, {
    found: values[at],
  });
}

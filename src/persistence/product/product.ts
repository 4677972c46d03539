/**
 * A Ptychodus product in memory: what was measured where, with which probe, and the object that came of it; and what must be true of one,
 * whoever made it. Fields have the names and units of the files (`docs/ptychodus.md`).
 */
import { PtychoError } from '../../core/errors.js';
import {
  type ComplexTensor,
  formatShape,
  type NumericArray,
  type Shape,
  sizeOf,
  type Tensor,
} from '../../core/tensor.js';
import { checkFinite } from '../../data/opening/positions.js';
import { METADATA_KEYS, POSITION_KEYS, PRODUCT_KEYS, TEXT_KEYS } from '../../data/readers/keys.js';
import { rowsByIndex } from '../../data/readers/product.js';
import { type NpyOrigin, npyError } from '../../formats/npyHeader.js';

/** What a product says of the experiment; zero stands for unknown. */
export interface ProductMetadata {
  readonly name: string;
  readonly comments: string;
  readonly detector_object_distance_m: number;
  readonly probe_energy_eV: number;
  readonly exposure_time_s: number;
  readonly probe_photon_count: number;
  readonly mass_attenuation_m2_kg: number;
  readonly tomography_angle_deg: number;
}

/** Scan positions, metres, (0, 0) at the origin of the object's centre coordinates; `indexes` say which pattern each belongs to. */
export interface ProductPositions {
  readonly indexes: Int32Array;
  readonly x_m: Float64Array;
  readonly y_m: Float64Array;
}

/** Size of a pixel of probe or object. */
export interface PixelSize {
  readonly width_m: number;
  readonly height_m: number;
}

/** The probe, (coherent modes, incoherent modes, height, width). */
export interface ProductProbe {
  readonly array: ComplexTensor;
  readonly pixel: PixelSize;
  /** (positions, coherent modes): how much of each coherent mode a position saw. */
  readonly opr_weights?: Tensor<Float64Array>;
}

/** The object, (layers, height, width). */
export interface ProductObject {
  readonly array: ComplexTensor;
  readonly pixel: PixelSize;
  readonly center_x_m: number;
  readonly center_y_m: number;
  /** Distances from each layer to the next: one fewer than layers. */
  readonly layer_spacing_m: Float64Array;
}

/** The loss of each epoch. */
export interface ProductLosses {
  readonly epochs: Int32Array;
  readonly values: Float64Array;
}

/** Patterns that are handed over piece by piece, so that they are never whole in memory. */
export interface ProductPatterns {
  /** (n, height, width). */
  readonly shape: Shape;
  readonly dtype: PatternDtype;
  /** Whole patterns in C order, in typed arrays of `dtype`. */
  pieces(): AsyncIterable<NumericArray>;
}

/** Types that patterns have in memory. */
export type PatternDtype = 'float32' | 'float64' | 'int8' | 'uint8' | 'int16' | 'uint16' | 'int32' | 'uint32';

/** The measurement that a product may carry with it (group `/raw_data` of HDF5). */
export interface ProductRawData {
  /** (n, height, width); what is read from a file comes piece by piece. */
  readonly diffraction: Tensor<NumericArray> | ProductPatterns;
  /** Positions in pixels of the object's array. */
  readonly xcoords_px: Float64Array;
  readonly ycoords_px: Float64Array;
  /** Number of the scan each pattern belongs to. */
  readonly scan_index: Int32Array;
  /** Counts or amplitudes; absent where the file does not say. */
  readonly measurement_domain?: string;
  /** (height, width): 1 where a pixel cannot be used. */
  readonly bad_pixels?: Tensor<Uint8Array>;
}

/** All of a product. */
export interface Product {
  readonly metadata: ProductMetadata;
  readonly positions: ProductPositions;
  readonly probe: ProductProbe;
  readonly object: ProductObject;
  readonly losses: ProductLosses;
  readonly raw_data?: ProductRawData;
}

/** The member of a product that an error is about. */
type OriginOf = (key: string) => NpyOrigin;

const TEXTS: ReadonlySet<string> = new Set(TEXT_KEYS);

/**
 * Checks a product: positions finite and with one index each, none twice; probe of four axes, object of three, with a distance
 * from each layer to the next; weights for every position and mode; losses with their epochs.
 * @param path of the file, for messages
 * @throws PtychoError DATASET_SHAPE, DATASET_VALUE, PROBE_SHAPE.
 */
export function checkProduct(
  product: Product,
  path: string,
  originOf: OriginOf = (member) => ({ path, member }),
): void {
  checkMetadata(product, originOf);
  const { indexes, x_m, y_m } = product.positions;
  if (x_m.length !== indexes.length || y_m.length !== indexes.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${path} has ${indexes.length} position indexes, but ${x_m.length} x and ${y_m.length} y coordinates; there must be one of each.`,
      { path, found: [indexes.length, x_m.length, y_m.length] },
    );
  }
  checkFinite(x_m, originOf(POSITION_KEYS[1]));
  checkFinite(y_m, originOf(POSITION_KEYS[2]));
  rowsByIndex(indexes, originOf(POSITION_KEYS[0]));
  checkProbe(product, originOf);
  checkObject(product, originOf);
  const { epochs, values } = product.losses;
  if (epochs.length !== values.length) {
    throw npyError(
      'DATASET_SHAPE',
      originOf(PRODUCT_KEYS.lossEpochs),
      `has ${epochs.length} epochs for ${values.length} losses; there must be one for each.`,
      { found: epochs.length, expected: values.length },
    );
  }
  if (product.raw_data !== undefined) checkRawData(product.raw_data, originOf);
}

function checkMetadata({ metadata }: Product, originOf: OriginOf): void {
  for (const key of METADATA_KEYS) {
    const value = metadata[key];
    const right = TEXTS.has(key) ? typeof value === 'string' : Number.isFinite(value);
    if (!right) {
      throw npyError(
        'DATASET_VALUE',
        originOf(key),
        `is ${JSON.stringify(value)}, but must be ${TEXTS.has(key) ? 'text' : 'a finite number'}.`,
        { found: value },
      );
    }
    if (typeof value === 'string' && value.includes('\0')) {
      throw npyError('DATASET_VALUE', originOf(key), 'holds a NUL character, which files cannot keep; remove it.');
    }
  }
}

function checkProbe({ probe, positions }: Product, originOf: OriginOf): void {
  const { array, pixel, opr_weights } = probe;
  checkImages(array.shape, 4, array.re.length, originOf(PRODUCT_KEYS.probe), 'PROBE_SHAPE');
  checkPixel(pixel.width_m, originOf(PRODUCT_KEYS.probePixelWidth));
  checkPixel(pixel.height_m, originOf(PRODUCT_KEYS.probePixelHeight));
  if (opr_weights === undefined) return;
  const expected: Shape = [positions.indexes.length, array.shape[0]];
  if (opr_weights.shape.length === 2 && expected.every((length, axis) => opr_weights.shape[axis] === length)) return;
  throw npyError(
    'DATASET_SHAPE',
    originOf(PRODUCT_KEYS.oprWeights),
    `has shape ${formatShape(opr_weights.shape)}, but ${expected[0]} positions and ${expected[1]} coherent modes of the probe need ${formatShape(expected)}.`,
    { found: opr_weights.shape, expected },
  );
}

function checkObject({ object }: Product, originOf: OriginOf): void {
  const { array, pixel, layer_spacing_m } = object;
  checkImages(array.shape, 3, array.re.length, originOf(PRODUCT_KEYS.object), 'DATASET_SHAPE');
  checkPixel(pixel.width_m, originOf(PRODUCT_KEYS.objectPixelWidth));
  checkPixel(pixel.height_m, originOf(PRODUCT_KEYS.objectPixelHeight));
  checkFiniteNumber(object.center_x_m, originOf(PRODUCT_KEYS.objectCenterX));
  checkFiniteNumber(object.center_y_m, originOf(PRODUCT_KEYS.objectCenterY));
  const [layers] = array.shape;
  if (layer_spacing_m.length !== layers - 1) {
    throw npyError(
      'DATASET_SHAPE',
      originOf(PRODUCT_KEYS.layerSpacing),
      `has ${layer_spacing_m.length} distances for an object of ${layers} ${layers === 1 ? 'layer' : 'layers'}; there must be one fewer than layers.`,
      { found: layer_spacing_m.length, expected: layers - 1 },
    );
  }
}

function checkImages(
  shape: Shape,
  axes: number,
  values: number,
  origin: NpyOrigin,
  code: 'PROBE_SHAPE' | 'DATASET_SHAPE',
) {
  if (shape.length === axes && shape.every((length) => length > 0) && sizeOf(shape) === values) return;
  const names = axes === 4 ? '(coherent modes, incoherent modes, height, width)' : '(layers, height, width)';
  throw npyError(code, origin, `has shape ${formatShape(shape)} and ${values} values, but must be ${names}.`, {
    found: shape,
  });
}

function checkPixel(value: number, origin: NpyOrigin): void {
  if (value > 0 && Number.isFinite(value)) return;
  throw npyError('DATASET_VALUE', origin, `is ${value}, but the size of a pixel must be a positive number of metres.`, {
    found: value,
  });
}

function checkFiniteNumber(value: number, origin: NpyOrigin): void {
  if (Number.isFinite(value)) return;
  throw npyError('DATASET_VALUE', origin, `is ${value}, but must be a finite number of metres.`, { found: value });
}

function checkRawData(raw: ProductRawData, originOf: OriginOf): void {
  const { shape } = raw.diffraction;
  const origin = originOf('raw_data/diffraction');
  if (shape.length !== 3 || shape.some((length) => length === 0)) {
    throw npyError('DATASET_SHAPE', origin, `has shape ${formatShape(shape)}, but must be (n, height, width).`, {
      found: shape,
    });
  }
  const lists: [string, NumericArray][] = [
    ['raw_data/xcoords', raw.xcoords_px],
    ['raw_data/ycoords', raw.ycoords_px],
    ['raw_data/scan_index', raw.scan_index],
  ];
  for (const [key, values] of lists) {
    if (values.length === shape[0]) continue;
    throw npyError(
      'DATASET_SHAPE',
      originOf(key),
      `has ${values.length} values for ${shape[0]} patterns; there must be one for each.`,
      { found: values.length, expected: shape[0] },
    );
  }
  checkFinite(raw.xcoords_px, originOf('raw_data/xcoords'));
  checkFinite(raw.ycoords_px, originOf('raw_data/ycoords'));
  const mask = raw.bad_pixels?.shape;
  if (mask !== undefined && formatShape(mask) !== formatShape(shape.slice(1))) {
    throw npyError(
      'DATASET_SHAPE',
      originOf('raw_data/bad_pixels'),
      `has shape ${formatShape(mask)}, but the patterns are ${formatShape(shape.slice(1))}.`,
      { found: mask, expected: shape.slice(1) },
    );
  }
}

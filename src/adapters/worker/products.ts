/** Products in frames: numbers and words in the header, arrays as arrays; all named as in the NPZ file. */
import { PtychoError } from '../../core/errors.js';
import { type ComplexTensor, formatShape, type NumericArray, type Tensor } from '../../core/tensor.js';
import type { Product } from '../../persistence/product/product.js';
import { type FrameArrays, type OutgoingArray, vector } from './arrays.js';
import type { ProductHeader } from './requests.js';

/** The arrays of a product. */
export const PRODUCT_ARRAYS = [
  'probe_position_indexes',
  'probe_position_x_m',
  'probe_position_y_m',
  'probe',
  'opr_weights',
  'object',
  'object_layer_spacing_m',
  'loss_epochs',
  'loss_values',
] as const;

/**
 * The product that a request brings along.
 * @throws PtychoError DATASET_KEY_MISSING, DATASET_SHAPE, DATASET_VALUE
 */
export async function productOf(header: ProductHeader, arrays: FrameArrays): Promise<Product> {
  const { probe_pixel_width_m, probe_pixel_height_m, object_pixel_width_m, object_pixel_height_m, ...rest } = header;
  const { object_center_x_m, object_center_y_m, ...metadata } = rest;
  const axis = async (name: string, fallback?: number) =>
    fallback !== undefined && !arrays.has(name)
      ? new Float64Array(fallback)
      : Float64Array.from((await arrays.real(name, [1])).data);
  const x_m = await axis('probe_position_x_m');
  const y_m = await axis('probe_position_y_m');
  const indexes = integers('probe_position_indexes', await axis('probe_position_indexes'));
  sameLength({ probe_position_x_m: x_m, probe_position_y_m: y_m, probe_position_indexes: indexes });
  const probe = withAxes(await arrays.complex('probe', [2, 3, 4]), 4);
  const object = withAxes(await arrays.complex('object', [2, 3]), 3);
  const spacing = await axis('object_layer_spacing_m', 0);
  if (spacing.length !== object.shape[0] - 1) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The object has ${object.shape[0]} layers and ${spacing.length} distances between them; one fewer than layers is expected.`,
      { key: 'object_layer_spacing_m', found: spacing.length, expected: object.shape[0] - 1 },
    );
  }
  const values = await axis('loss_values', 0);
  const epochs = arrays.has('loss_epochs')
    ? integers('loss_epochs', await axis('loss_epochs'))
    : Int32Array.from(values, (_, i) => i);
  sameLength({ loss_values: values, loss_epochs: epochs });
  return {
    metadata,
    positions: { indexes, x_m, y_m },
    probe: {
      array: probe,
      pixel: { width_m: probe_pixel_width_m, height_m: probe_pixel_height_m },
      ...(arrays.has('opr_weights') ? { opr_weights: await weights(arrays, [x_m.length, probe.shape[0]]) } : {}),
    },
    object: {
      array: object,
      pixel: { width_m: object_pixel_width_m, height_m: object_pixel_height_m },
      center_x_m: object_center_x_m,
      center_y_m: object_center_y_m,
      layer_spacing_m: spacing,
    },
    losses: { epochs, values },
  };
}

async function weights(arrays: FrameArrays, expected: readonly number[]): Promise<Tensor<Float64Array>> {
  const { data, shape } = await arrays.real('opr_weights', [2]);
  if (shape[0] !== expected[0] || shape[1] !== expected[1]) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The array "opr_weights" has shape ${formatShape(shape)}; positions × coherent modes of the probe are ${formatShape(expected)}.`,
      { key: 'opr_weights', found: shape, expected },
    );
  }
  return { data: Float64Array.from(data), shape };
}

/** Axes of length 1 in front until there are `count`. */
function withAxes({ re, im, shape }: ComplexTensor, count: number): ComplexTensor {
  return { re, im, shape: [...new Array<number>(count - shape.length).fill(1), ...shape] };
}

function integers(name: string, data: Float64Array): Int32Array {
  const whole = Int32Array.from(data);
  const wrong = data.findIndex((value, i) => value !== whole[i]);
  if (wrong < 0) return whole;
  throw new PtychoError(
    'DATASET_VALUE',
    `The array "${name}" holds ${data[wrong]} at place ${wrong}; whole numbers are expected.`,
    { key: name, found: data[wrong] },
  );
}

function sameLength(arrays: Readonly<Record<string, NumericArray>>): void {
  const lengths = Object.values(arrays).map((array) => array.length);
  if (new Set(lengths).size === 1) return;
  throw new PtychoError(
    'DATASET_SHAPE',
    `The arrays ${Object.keys(arrays).join(', ')} must have one length, but have ${lengths.join(', ')}.`,
    { found: lengths },
  );
}

/** Numbers and words of a product, for a header. */
export function productHeaderOf({ metadata, probe, object }: Product): ProductHeader {
  return {
    ...metadata,
    probe_pixel_width_m: probe.pixel.width_m,
    probe_pixel_height_m: probe.pixel.height_m,
    object_pixel_width_m: object.pixel.width_m,
    object_pixel_height_m: object.pixel.height_m,
    object_center_x_m: object.center_x_m,
    object_center_y_m: object.center_y_m,
  };
}

/** What changes while a reconstruction runs: object and losses, and with a solver the probe, and positions where it moves them. */
export function previewArrays(
  { object, losses, probe, positions }: Product,
  input: Product,
): Record<string, OutgoingArray> {
  const moved = positions !== input.positions;
  return {
    object: object.array,
    ...(probe === input.probe ? {} : { probe: probe.array }),
    ...(moved ? { probe_position_x_m: vector(positions.x_m), probe_position_y_m: vector(positions.y_m) } : {}),
    loss_epochs: vector(losses.epochs),
    loss_values: vector(losses.values),
  };
}

/** All arrays of a product. */
export function productArrays(product: Product): Record<string, OutgoingArray> {
  const { positions, probe, object, losses } = product;
  return {
    probe_position_indexes: vector(positions.indexes),
    probe_position_x_m: vector(positions.x_m),
    probe_position_y_m: vector(positions.y_m),
    probe: probe.array,
    ...(probe.opr_weights ? { opr_weights: probe.opr_weights } : {}),
    object: object.array,
    object_layer_spacing_m: vector(object.layer_spacing_m),
    loss_epochs: vector(losses.epochs),
    loss_values: vector(losses.values),
  };
}

/**
 * Views of the `ndarray` package at the library's edge: what comes in strided leaves as a C-ordered {@link Tensor}, and a
 * Tensor goes out as a view without copying.
 *
 * @example
 * const t = fromNdarray(ndarray(new Float32Array(6), [2, 3]).transpose(1, 0)); // shape [3, 2], copied into C order
 */
import ndarray from 'ndarray';
import { PtychoError } from '../core/errors.js';
import { type NumericArray, sameShape, sizeOf, stridesOf, type Tensor } from '../core/tensor.js';

/** An `ndarray` view of a numeric typed array. */
export type NumericNdarray<T extends NumericArray = NumericArray> = ndarray.NdArray<T>;

/** True for an `ndarray` view, as opposed to a {@link Tensor}. */
export function isNdarray(value: unknown): value is NumericNdarray {
  const candidate = value as Partial<NumericNdarray> | null;
  return typeof candidate === 'object' && candidate !== null && 'stride' in candidate && 'offset' in candidate;
}

/** A tensor as an `ndarray` view of the same memory. */
export function toNdarray<T extends NumericArray>({ data, shape }: Tensor<T>): NumericNdarray<T> {
  return ndarray(data, [...shape]) as NumericNdarray<T>;
}

/**
 * An `ndarray` view as a tensor: the same memory where it is already in C order, a copy otherwise.
 * @throws PtychoError DATASET_VALUE when its data are no numeric typed array (plain arrays, BigInt arrays).
 */
export function fromNdarray<T extends NumericArray>(view: NumericNdarray<T>): Tensor<T> {
  const { data, shape, stride } = view;
  if (!ArrayBuffer.isView(data) || data instanceof BigInt64Array || data instanceof BigUint64Array) {
    throw new PtychoError('DATASET_VALUE', 'An ndarray must view a numeric typed array such as a Float32Array.', {
      found: Object.prototype.toString.call(data),
    });
  }
  const size = sizeOf(shape);
  const inOrder = sameShape(
    stride.filter((_, axis) => shape[axis] !== 1),
    stridesOf(shape).filter((_, axis) => shape[axis] !== 1),
  );
  if (inOrder) return { data: data.subarray(view.offset, view.offset + size) as T, shape: [...shape] };
  const copy = new (data.constructor as new (length: number) => T)(size);
  const counters = shape.map(() => 0);
  let at = view.offset;
  for (let i = 0; i < size; i++) {
    copy[i] = data[at];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += stride[axis];
      if (++counters[axis] < shape[axis]) break;
      at -= counters[axis] * stride[axis];
      counters[axis] = 0;
    }
  }
  return { data: copy, shape: [...shape] };
}

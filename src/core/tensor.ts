/**
 * Plain arrays with a shape: C order (last axis fastest), no methods, no engine.
 *
 * @example
 * const t: Tensor = { data: new Float32Array(6), shape: [2, 3] };
 * const image: ComplexImage = { re: new Float32Array(6), im: new Float32Array(6), shape: [2, 3] };
 */

import { PtychoError } from './errors.js';

/** Axis lengths, slowest first. */
export type Shape = readonly number[];

/** The numeric typed arrays that tensors are made of. */
export type NumericArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** A real array: data in C order and its shape. */
export interface Tensor<T extends NumericArray = Float32Array> {
  readonly data: T;
  readonly shape: Shape;
}

/** A complex array, real and imaginary parts apart (as the engines want them). */
export interface ComplexTensor<T extends Float32Array | Float64Array = Float32Array> {
  readonly re: T;
  readonly im: T;
  readonly shape: Shape;
}

/** A two-dimensional complex array: shape (rows, columns). */
export type ComplexImage<T extends Float32Array | Float64Array = Float32Array> = ComplexTensor<T>;

/** The number of elements of a shape; 1 for a scalar `[]`. */
export function sizeOf(shape: Shape): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** Strides in elements, C order. */
export function stridesOf(shape: Shape): number[] {
  const s = new Array<number>(shape.length);
  let n = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    s[i] = n;
    n *= shape[i];
  }
  return s;
}

/** True when both shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** A shape as text: `(2, 3)`, `(5,)`, `()`. */
export function formatShape(shape: Shape): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
}

/**
 * Pairs data with its shape after checking that they agree.
 * @throws PtychoError DATASET_SHAPE when the length of `data` is not the product of `shape`.
 */
export function tensor<T extends NumericArray>(data: T, shape: Shape): Tensor<T> {
  if (data.length !== sizeOf(shape)) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `An array of ${data.length} values cannot have shape ${formatShape(shape)} (${sizeOf(shape)} values).`,
      { found: data.length, expected: sizeOf(shape) },
    );
  }
  return { data, shape };
}

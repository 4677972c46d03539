/**
 * Plain arrays with a shape: C order (last axis fastest), no methods, no engine.
 *
 * @example
 * const t: Tensor = { data: new Float32Array(6), shape: [2, 3] };
 * const image: ComplexImage = { re: new Float32Array(6), im: new Float32Array(6), shape: [2, 3] };
 */

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

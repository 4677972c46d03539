/**
 * Arrays whose data are produced when asked for, whole or in ranges of the first axis.
 *
 * @example
 * const first = await grouped.X_full.rows(0, 16); // 16 groups
 * const whole = await grouped.X_full();           // grouped.X_full.bytes of memory
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

/** An array on demand: call it for the whole, `rows` for a part; nothing is kept. */
export interface LazyArray<T extends Tensor<NumericArray> | ComplexTensor> {
  (): Promise<T>;
  /**
   * Rows `from` … `to` − 1 of the first axis.
   * @throws PtychoError DATASET_SHAPE for rows that do not exist, and those of reading.
   */
  rows(from: number, to: number): Promise<T>;
  readonly shape: Shape;
  /** What the whole array takes in memory. */
  readonly bytes: number;
}

/**
 * @param bytesPerElement 4 for float32, 8 for complex64.
 * @param read produces rows `from` … `to` − 1; called with a range that exists.
 */
export function lazyArray<T extends Tensor<NumericArray> | ComplexTensor>(
  shape: Shape,
  bytesPerElement: number,
  read: (from: number, to: number) => Promise<T>,
): LazyArray<T> {
  const rows = async (from: number, to: number) => {
    if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= shape[0])) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `An array of shape ${formatShape(shape)} has no rows ${from} to ${to}; give a range within 0 … ${shape[0]}.`,
        { found: [from, to], expected: shape[0] },
      );
    }
    return read(from, to);
  };
  return Object.assign(() => rows(0, shape[0]), { rows, shape, bytes: sizeOf(shape) * bytesPerElement });
}

/** Rows `from` … `to` − 1 of a lazy array as an array of their own. */
export function lazyRange<T extends Tensor<NumericArray> | ComplexTensor>(
  array: LazyArray<T>,
  from: number,
  to: number,
): LazyArray<T> {
  const shape = [to - from, ...array.shape.slice(1)];
  const bytesPerElement = array.bytes / Math.max(1, sizeOf(array.shape));
  return lazyArray(shape, bytesPerElement, (a, b) => array.rows(from + a, from + b));
}

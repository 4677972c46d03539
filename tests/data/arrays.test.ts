/** The `ndarray` edge: views in any stride become C order, tensors become views of the same memory. */
import ndarray from 'ndarray';
import { describe, expect, it } from 'vitest';
import { fromNdarray, isNdarray, type NumericNdarray, toNdarray } from '../../src/data/arrays.js';
import fc from '../support/fastCheck.js';

describe('ndarray views', () => {
  it('go out without copying', () => {
    const data = Float32Array.from({ length: 6 }, (_, i) => i);
    const view = toNdarray({ data, shape: [2, 3] });
    expect([view.get(1, 2), view.shape, view.data]).toEqual([5, [2, 3], data]);
    view.set(0, 0, 9);
    expect(data[0]).toBe(9);
    expect(isNdarray(view)).toBe(true);
    expect(isNdarray({ data, shape: [2, 3] })).toBe(false);
  });

  it('come in without copying when they are in C order, also with an offset', () => {
    const data = Float64Array.from({ length: 24 }, (_, i) => i);
    const whole = fromNdarray(ndarray(data, [4, 6]));
    expect(whole.data.buffer).toBe(data.buffer);
    const rows = fromNdarray(ndarray(data, [4, 6]).lo(2, 0) as NumericNdarray<Float64Array>);
    expect(rows.data.buffer).toBe(data.buffer);
    expect(rows).toEqual({ shape: [2, 6], data: data.subarray(12) });
  });

  it('come in as copies in C order whatever was cut, stepped, flipped or transposed', () => {
    const data = Int16Array.from({ length: 60 }, (_, i) => i);
    const any = fc.record({
      lo: fc.tuple(fc.nat(2), fc.nat(3), fc.nat(2)),
      step: fc.constantFrom(1, 2, -1),
      axes: fc.constantFrom([0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]),
    });
    fc.assert(
      fc.property(any, ({ lo, step, axes }) => {
        const view = ndarray(data, [3, 4, 5])
          .lo(...lo)
          .step(1, 1, step)
          .transpose(...axes) as NumericNdarray<Int16Array>;
        const { data: copied, shape } = fromNdarray(view);
        expect(shape).toEqual(view.shape);
        let i = 0;
        for (let a = 0; a < shape[0]; a++) {
          for (let b = 0; b < shape[1]; b++)
            for (let c = 0; c < shape[2]; c++) expect(copied[i++]).toBe(view.get(a, b, c));
        }
        expect(copied.length).toBe(i);
      }),
    );
  });

  it('of plain arrays and BigInts are refused', () => {
    expect(() => fromNdarray(ndarray([1, 2]) as never)).toThrow(/numeric typed array/);
    expect(() => fromNdarray(ndarray(new BigInt64Array(2)) as never)).toThrow(/numeric typed array/);
  });
});

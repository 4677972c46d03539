/** Stored values to amplitudes: the same by table and by computing, and nothing that is no intensity. */
import { describe, expect, it } from 'vitest';
import { amplitudeRule } from '../../src/data/patternSource.js';
import fc from '../support/fastCheck.js';

const never = (place: number, value: number): never => {
  throw new Error(`${value} at ${place}`);
};
const apply = (dtype: 'uint8' | 'uint16' | 'uint32' | 'float32', root: boolean, values: number[], scale: number) => {
  const array = Float32Array.from(values);
  amplitudeRule(dtype, root)(array, scale, never);
  return [...array];
};
const single = Math.fround;

describe('amplitudeRule', () => {
  it('roots of counts times the scale, in single precision, whatever the type', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 255 })),
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        (values, scale) => {
          const expected = values.map((v) => single(single(Math.sqrt(v)) * single(scale)));
          for (const dtype of ['uint8', 'uint16', 'uint32', 'float32'] as const) {
            expect(apply(dtype, true, values, scale)).toEqual(expected);
            expect(apply(dtype, false, values, scale)).toEqual(values.map((v) => single(v * single(scale))));
          }
        },
      ),
    );
    expect(apply('uint16', true, [0, 65535], 1)).toEqual([0, single(Math.sqrt(65535))]);
  });

  it('forgets the scale before', () => {
    const rule = amplitudeRule('uint8', true);
    for (const scale of [1, 3, 1, 0.5]) {
      const values = Float32Array.of(4, 9);
      rule(values, scale, never);
      expect([...values]).toEqual([2 * scale, 3 * scale]);
    }
  });

  it('refuses what is no intensity, naming the first', () => {
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, -1e-30]) {
      for (const root of [true, false]) {
        expect(() => apply('float32', root, [0, 1, bad, -5], 1)).toThrow(`${single(bad)} at 2`);
      }
    }
    expect(apply('float32', true, [0, -0], 1)).toEqual([0, -0]);
  });
});

/** Which patterns are used: bounds first, then NumPy's draw. */

import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import { selectRows } from '../../../src/data/opening/selection.js';
import fc from '../../support/fastCheck.js';

const x = Float64Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
const y = x.map((v) => 100 - v * v);
const rows = (options: Parameters<typeof selectRows>[1]) => [...selectRows({ x, y }, options, 'scan.npz')];

describe('selectRows', () => {
  it('takes all, or those inside fractions of the range, ends included', () => {
    expect(rows({})).toHaveLength(11);
    expect(rows({ x_bounds: [0.1, 0.5] })).toEqual([1, 2, 3, 4, 5]);
    expect(rows({ y_bounds: [0.5, 1] })).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(rows({ x_bounds: [0.3, 1], y_bounds: [0.5, 1] })).toEqual([3, 4, 5, 6, 7]);
    expect(rows({ x_bounds: null, y_bounds: null, n_subsample: null })).toHaveLength(11);
  });

  it('draws among those inside', () => {
    const chosen = [...new LegacyRng(5).choice(5, 3, false)].sort().map((i) => i + 1);
    expect(rows({ x_bounds: [0.1, 0.5], n_subsample: 3, subsample_seed: 5 })).toEqual(chosen);
    expect(rows({ x_bounds: [0.1, 0.5], n_subsample: 9 })).toEqual([1, 2, 3, 4, 5]);
  });

  it('loses nothing to rounding with the whole range, nor on a line', () => {
    fc.assert(
      fc.property(fc.float64Array({ minLength: 1, noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }), (v) => {
        const all = [...v.keys()];
        expect([...selectRows({ x: v, y: v }, { x_bounds: [0, 1], y_bounds: [0, 1] }, 's')]).toEqual(all);
        const flat = new Float64Array(v.length).fill(v[0]);
        expect([...selectRows({ x: flat, y: flat }, { x_bounds: [0.4, 0.6] }, 's')]).toEqual(all);
      }),
    );
  });

  it('refuses bounds that mean or leave nothing', () => {
    for (const x_bounds of [
      [0.5, 0.5],
      [0.9, 0.1],
      [-0.1, 1],
      [0, 1.1],
      [Number.NaN, 1],
    ] as [number, number][]) {
      expect(() => rows({ x_bounds })).toThrow(/x_bounds must be two rising fractions from 0 to 1/);
    }
    expect(() => rows({ x_bounds: [0.91, 0.99] })).toThrow(
      /leave none of the 11 scan positions of scan.npz; widen them/,
    );
  });
});

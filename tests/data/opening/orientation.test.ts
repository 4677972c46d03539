/** Orientation options: one order, invertible, said in words. */

import { describe, expect, it } from 'vitest';
import {
  type Coordinates,
  describeOrientation,
  keepsAxes,
  type Orientation,
  orientationOf,
  orientCoordinates,
  UPRIGHT,
} from '../../../src/data/opening/orientation.js';
import fc from '../../support/fastCheck.js';

const orientations = fc.record({
  flip_x: fc.boolean(),
  flip_y: fc.boolean(),
  swap_xy: fc.boolean(),
  coord_scale: fc.constantFrom(1, 0.5, 2, 8),
  transpose: fc.boolean(),
}) satisfies fc.Arbitrary<Orientation>;

describe('orientation', () => {
  it('flips, then exchanges, then scales', () => {
    const [x, y] = [Float64Array.of(1, 2, 0), Float64Array.of(10, 20, 0)];
    expect(orientCoordinates({ x, y }, UPRIGHT)).toEqual({ x, y });
    expect(orientCoordinates({ x, y }, { ...UPRIGHT, flip_x: true, swap_xy: true, coord_scale: 3 })).toEqual({
      x: Float64Array.of(30, 60, 0),
      y: Float64Array.of(-3, -6, 0),
    });
    expect([...x]).toEqual([1, 2, 0]);
  });

  it('keeps distances but for the scale, and undoes itself', () => {
    const points = fc.array(fc.tuple(fc.integer({ min: -999, max: 999 }), fc.integer({ min: -999, max: 999 })), {
      minLength: 2,
      maxLength: 20,
    });
    fc.assert(
      fc.property(points, orientations, (list, o) => {
        const before = { x: Float64Array.from(list, (p) => p[0]), y: Float64Array.from(list, (p) => p[1]) };
        const after = orientCoordinates(before, o);
        const distance = ({ x, y }: Coordinates) => Math.hypot(x[1] - x[0], y[1] - y[0]);
        expect(distance(after)).toBeCloseTo(distance(before) * o.coord_scale, 6);
        // Back: exchange first, then the flips, then the inverse scale.
        const exchanged = orientCoordinates(after, { ...UPRIGHT, swap_xy: o.swap_xy });
        const back = orientCoordinates(exchanged, { ...o, swap_xy: false, coord_scale: 1 / o.coord_scale });
        expect([...back.x, ...back.y]).toEqual([...before.x, ...before.y]);
      }),
    );
  });

  it('is filled in from options and put into words', () => {
    expect(orientationOf({})).toEqual(UPRIGHT);
    expect(orientationOf({ flip_x: null, coord_scale: null })).toEqual(UPRIGHT);
    const o = orientationOf({ flip_y: true, transpose: true, coord_scale: 2 });
    expect(describeOrientation(o)).toBe('flip_y coord_scale=2 transpose');
    expect(describeOrientation(UPRIGHT)).toBe('');
    expect([o, UPRIGHT, { ...UPRIGHT, coord_scale: 2 }].map(keepsAxes)).toEqual([false, true, true]);
  });
});

/** Which patterns are held out, and what they say. */
import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/tries/budget.js';
import { chooseHeldOut, compareMisfits, rOf } from '../../src/tries/heldOut.js';

/** A raster of `side` × `side` positions, 4 px apart. */
function raster(side: number) {
  const at = Array.from({ length: side * side }, (_, k) => [4 * (k % side), 4 * Math.floor(k / side)]);
  return { xcoords: Float64Array.from(at, ([x]) => x), ycoords: Float64Array.from(at, ([, y]) => y) };
}

describe('chooseHeldOut', () => {
  it('takes one pattern in twenty from the inside, far from each other, the same ones again', () => {
    const scan = raster(12);
    const held = chooseHeldOut(scan, 8, 3);
    expect(held).toHaveLength(7);
    expect([...held]).toEqual([...held].sort((a, b) => a - b));
    expect(chooseHeldOut(scan, 8, 3)).toEqual(held);
    expect(chooseHeldOut(scan, 8, 4)).not.toEqual(held);
    for (const k of held) {
      for (const v of [scan.xcoords[k], scan.ycoords[k]]) {
        expect(v).toBeGreaterThan(0);
        expect(v).toBeLessThan(44);
      }
      for (const other of held) {
        if (other !== k) {
          const apart = Math.hypot(scan.xcoords[k] - scan.xcoords[other], scan.ycoords[k] - scan.ycoords[other]);
          expect(apart).toBeGreaterThanOrEqual(8);
        }
      }
    }
  });

  it('takes four of a small scan, and none where all are needed', () => {
    expect(chooseHeldOut(raster(5), 6, 0)).toHaveLength(4);
    expect(chooseHeldOut(raster(3), 6, 0)).toHaveLength(0);
  });
});

describe('compareMisfits', () => {
  const of = (...misfit: number[]) => ({
    misfit: Float64Array.from(misfit),
    measured: new Float64Array(misfit.length).fill(10),
  });

  it('tells the fall of R and how sure it is', () => {
    expect(rOf(of(1, 2, 3))).toBeCloseTo(0.2, 12);
    // Falls of 0.1, 0.2 and 0.3: mean 0.2, standard error 0.1/√3.
    const { gain, standardErrors } = compareMisfits(of(1, 2, 3), of(0.9, 1.8, 2.7));
    expect(gain).toBeCloseTo(0.1, 12);
    expect(standardErrors).toBeCloseTo(0.2 / (0.1 / Math.sqrt(3)), 9);
    expect(compareMisfits(of(1, 2), of(1.1, 2.3)).gain).toBeLessThan(0);
  });

  it('is not sure of a fall that one pattern has alone, and is of one that all share', () => {
    expect(compareMisfits(of(1, 1, 1, 1), of(0.5, 1, 1, 1)).standardErrors).toBeCloseTo(1, 9);
    expect(compareMisfits(of(1, 1, 1), of(0.9, 0.9, 0.9)).standardErrors).toBeGreaterThan(1e6);
    expect(compareMisfits(of(1, 1), of(1, 1))).toEqual({ gain: 0, standardErrors: 0 });
  });
});

it('Budget: only whole pieces fit in what is left, none when it is used up', () => {
  let now = 100;
  const budget = new Budget(60, () => now, 20);
  expect([budget.pieces(7), budget.pieces(40), budget.pieces(41), budget.pieces(0)]).toEqual([
    5,
    1,
    0,
    Number.POSITIVE_INFINITY,
  ]);
  now = 200;
  expect(budget.pieces(7)).toBe(0);
});

it('Budget: what was used before counts, and work may overhang by half', () => {
  let now = 100;
  const budget = new Budget(60, () => now, 20);
  expect([budget.used, budget.left]).toEqual([20, 40]);
  now += 30;
  expect(budget.left).toBe(10);
  expect(budget.allows(20)).toBe(true);
  expect(budget.allows(21)).toBe(false);
  expect(budget.allows(2, 10)).toBe(false);
});

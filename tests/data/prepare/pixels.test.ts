/** Pixels that are no data: marks, gaps, hot pixels, noise below zero, ranges of valid values. */

import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import { framesInMemory } from '../../../src/data/patternSource.js';
import { clipInto, outsideRange, parseValidRange, prepareFrames } from '../../../src/data/prepare/corrections.js';
import { darkAmidLight, deadPixels } from '../../../src/data/prepare/deadPixels.js';
import { judgeFrames, judgePixels } from '../../../src/data/prepare/pixels.js';
import fc from '../../support/fastCheck.js';

const side = 16;
const size = side * side;
const n = 8;
/** Poisson counts of a spot with dark corners. */
const spot = (seed: number, peak = 300) => {
  const random = new LegacyRng(seed);
  return Float32Array.from({ length: n * size }, (_, q) => {
    const [y, x] = [Math.floor((q % size) / side) - 8, (q % side) - 8];
    return random.poisson(peak * Math.exp(-(x * x + y * y) / 20));
  });
};
const withMark = (values: Float32Array, pixel: number, mark: number) =>
  values.map((v, q) => (q % size === pixel ? mark : v));
const codes = (findings: readonly { code: string }[]) => findings.map(({ code }) => code);

describe('marked pixels', () => {
  it('are found whatever they hold, and nothing else is', () => {
    const marks = [65535, 65534, 2 ** 32 - 1, 2 ** 32 - 2, 2 ** 31 - 1, 2 ** 20 - 1, 4095, -1, -2];
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 999 }),
        fc.integer({ min: 0, max: size - 1 }),
        fc.constantFrom(...marks, Number.NaN, Number.POSITIVE_INFINITY),
        (seed, pixel, mark) => {
          const { mask, found } = deadPixels(withMark(spot(seed), pixel, mark), size);
          expect([...mask].flatMap((bad, p) => (bad ? [p] : []))).toEqual([pixel]);
          expect(found).toEqual([{ value: Math.fround(mark), pixels: 1 }]);
          expect(deadPixels(spot(seed), size).found).toEqual([]);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('of 8 bits are none where counts go higher, and a mark that comes and goes is saturation', () => {
    const few = 6 * size;
    expect(deadPixels(withMark(spot(1, 900), 5, 255).subarray(0, few), size).found).toEqual([]);
    const values = spot(2);
    for (const pattern of [0, 3, 4]) values[pattern * size + 120] = 65535;
    const { findings, mask } = judgePixels(values, side, { dtype: 'uint16' });
    expect([codes(findings), mask]).toEqual([['SATURATED'], undefined]);
  });
});

describe('frozen pixels', () => {
  it('hold a large number that noise never moves, whatever it is, and in no scan that stands still', () => {
    for (const value of [255, 72100.4, 1e10, 2 ** 64 - 1]) {
      const { mask, found } = deadPixels(withMark(spot(1, 900), 5, value), size);
      expect([mask[5], found]).toEqual([1, [{ value: Math.fround(value), pixels: 1 }]]);
    }
    const frame = spot(4, 900).subarray(0, size);
    const still = Float32Array.from({ length: n * size }, (_, q) => frame[q % size]);
    expect(deadPixels(still, size).found).toEqual([]);
  });
});

describe('gaps', () => {
  it('are zeros with light on both sides; dark corners are not', () => {
    const values = spot(3).map((v, q) => (q % side === 7 ? 0 : v));
    const dead = darkAmidLight(values, side);
    expect([dead[8 * side + 7], dead[6 * side + 7], dead[0], dead[15]]).toEqual([1, 1, 0, 0]);
    expect(darkAmidLight(spot(3), side).includes(1)).toBe(false);
    const hot = withMark(values, 0, 9000);
    const report = judgePixels(hot, side, { dtype: 'uint16', autoMask: true });
    expect([report.mask![0], report.mask![8 * side + 7]]).toEqual([1, 1]);
    expect(hot[0]).toBe(0);
  });
});

describe('a mask that was given', () => {
  it('is suspected to be inverted only where it hides the light', () => {
    const middle = Uint8Array.from({ length: size }, (_, p) =>
      Math.hypot(Math.floor(p / side) - 8, (p % side) - 8) < 7 ? 0 : 1,
    );
    expect(codes(judgePixels(spot(4), side, { dtype: 'uint16', given: middle }).findings)).toEqual([]);
    const hidden = Uint8Array.from({ length: size }, (_, p) => (p < 48 ? 0 : 1));
    expect(judgePixels(spot(4), side, { dtype: 'uint16', given: hidden }).findings).toMatchObject([
      { code: 'MASK_INVERTED', severity: 'wrong', remedy: '--invert_mask' },
    ]);
  });
});

describe('values below zero', () => {
  it('are noise where they are many or of many sizes, else marks', () => {
    const noisy = spot(5).map((v, q) => v + Math.sin(q * 12.9898));
    expect(judgePixels(noisy, side, { dtype: 'float32' }).negatives).toMatchObject({
      noise: true,
      finding: { severity: 'note' },
    });
    const marked = spot(5);
    marked[77] = -1;
    expect(judgePixels(marked, side, { dtype: 'int32' }).negatives).toMatchObject({
      noise: false,
      finding: { code: 'NEGATIVE_PIXELS', severity: 'wrong', remedy: '--valid_range 0:' },
    });
  });
});

describe('valid_range', () => {
  it('is two rising numbers, one of which may be left out', () => {
    expect(parseValidRange('0:65534')).toEqual({ low: 0, high: 65534 });
    expect(parseValidRange(' 0 : ')).toEqual({ low: 0, high: Number.POSITIVE_INFINITY });
    expect(parseValidRange(':1e4')).toEqual({ low: Number.NEGATIVE_INFINITY, high: 1e4 });
    for (const text of ['', ':', '5', '5:1', 'a:b', '1:2:3', '1:1']) {
      expect(() => parseValidRange(text)).toThrow(/^valid_range must be two rising numbers .* got ".*"\.$/);
    }
  });

  it('masks pixels outside in any pattern, or in half of them where many are, and moves the rest', () => {
    const values = spot(6);
    values[3 * size + 40] = 1e5;
    expect([...outsideRange(values, size, { low: 0, high: 5000 })].indexOf(1)).toBe(40);
    const noisy = spot(6).map((v, q) => (q % 3 === 0 ? -1 : v));
    const few = outsideRange(withMark(noisy, 9, -5), size, { low: 0, high: 5000 });
    expect([...few].reduce((a, b) => a + b)).toBe(1);
    const some = Float32Array.of(Number.NaN, -3, 4, 1e6, Number.POSITIVE_INFINITY);
    expect(clipInto(some, { low: 0, high: 100 })).toBe(4);
    expect([...some]).toEqual([0, 0, 4, 100, 100]);
  });

  it('moves values of frames that are read later into the range, and says so once', async () => {
    const values = spot(7);
    values[2 * size + 3] = -9;
    values[5 * size + 4] = 1e6;
    values[5 * size + 200] = Number.NaN;
    const { mask } = judgeFrames(values.subarray(0, 4 * size), size, { low: 0, high: 5000 });
    expect([...mask!].indexOf(1)).toBe(3);
    const told: number[][] = [];
    const frames = prepareFrames(
      framesInMemory(values, [n, side, side], 'float32', { path: 'x' }),
      { validRange: { low: 0, high: 5000 }, masked: mask },
      (row, count) => told.push([row, count]),
    );
    const out = new Float32Array(n * size);
    await frames.readRowsInto([...Array(n).keys()], out);
    await frames.readRowsInto([5, 5], out.subarray(0, 2 * size));
    expect(told).toEqual([[5, 2]]);
    expect([out[4], out[200], out[2 * size + 3]]).toEqual([5000, 0, 0]);
  });
});

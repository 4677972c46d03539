import { describe, expect, it } from 'vitest';
import { sideBySide, streamSeed } from '../../src/simulation/recipe.js';
import {
  concentricRings,
  makeScan,
  placeOnObject,
  randomPositions,
  stepForCount,
  withPositionErrors,
} from '../../src/simulation/scans.js';

const options = { rows: 150, cols: 200, side: 32, stepPx: 6, seed: 5 };

describe('scans', () => {
  it('rings are a step apart, with positions a step apart along them', () => {
    const { xs, ys } = concentricRings(options);
    expect([xs[0], ys[0]]).toEqual([100, 75]);
    const rings = new Map<number, number>();
    xs.forEach((x, i) => {
      const k = Math.hypot(x - 100, ys[i] - 75) / 6;
      expect(Math.abs(k - Math.round(k))).toBeLessThan(1e-9);
      rings.set(Math.round(k), (rings.get(Math.round(k)) ?? 0) + 1);
    });
    // Whole rings only up to the nearer edge.
    for (let k = 1; k * 6 < 58; k++) expect(rings.get(k)).toBe(Math.round(2 * Math.PI * k));
  });

  it('random positions are as many as asked for, within the margin, and follow their seed', () => {
    const stepPx = stepForCount(options, 123);
    const { xs, ys } = randomPositions({ ...options, stepPx });
    expect(xs.length).toBe(123);
    expect(randomPositions({ ...options, stepPx, seed: 6 }).xs).not.toEqual(xs);
    const close = makeScan('random', { ...options, stepPx, margin_px: 3 });
    expect(Math.min(...xs, ...ys)).toBeGreaterThanOrEqual(17);
    expect(Math.min(...close.xs)).toBeLessThan(17);
    expect(Math.min(...close.xs, ...close.ys)).toBeGreaterThanOrEqual(3);
    expect(() => makeScan('random', { ...options, margin_px: -1 })).toThrow(/margin of a scan/);
  });

  it('errors have the size asked for, are independent along x and y, and leave no patch outside', () => {
    const nominal = makeScan('jittered_raster', { ...options, stepPx: 2 });
    const actual = withPositionErrors(nominal, 0.8, { ...options, seed: 3 });
    const dx = Array.from(actual.xs, (x, i) => x - nominal.xs[i]);
    const dy = Array.from(actual.ys, (y, i) => y - nominal.ys[i]);
    const product = (a: number[], b: number[]) => a.reduce((s, v, i) => s + v * b[i], 0) / a.length;
    expect(Math.sqrt(product(dx, dx))).toBeCloseTo(0.8, 1);
    expect(Math.sqrt(product(dy, dy))).toBeCloseTo(0.8, 1);
    expect(Math.abs(product(dx, dy))).toBeLessThan(0.05);
    expect(Math.min(...actual.xs, ...actual.ys)).toBeGreaterThanOrEqual(16);
    expect(Math.max(...actual.xs)).toBeLessThanOrEqual(200 - 16);
  });

  it('positions from elsewhere stay where they fit, and are moved to the middle where they do not', () => {
    const fits = { xs: Float64Array.of(20, 60), ys: Float64Array.of(30, 40) };
    expect(placeOnObject(fits, options)).toBe(fits);
    const stage = placeOnObject({ xs: Float64Array.of(-500, -460), ys: Float64Array.of(3, 13) }, options);
    expect([...stage.xs, ...stage.ys]).toEqual([80, 120, 70, 80]);
    expect([...placeOnObject(fits, options, true).xs]).toEqual([80, 120]);
    expect(() => placeOnObject({ xs: Float64Array.of(0, 180), ys: fits.ys }, options)).toThrow(
      /span 180\.0 pixels along x/,
    );
  });
});

it('several experiments stand side by side, each with its own number', () => {
  const object = (value: number) => ({ re: new Float32Array(6).fill(value), im: new Float32Array(6), shape: [2, 3] });
  const at = (x: number) => ({ xs: Float64Array.of(x), ys: Float64Array.of(1) });
  const one = { object: object(1), nominal: at(1), actual: at(1.5) };
  const two = { object: object(2), nominal: at(2), actual: at(2.5) };
  const all = sideBySide([one, two]);
  expect([...all.object.re]).toEqual([1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]);
  expect([...all.nominal.xs, ...all.actual.xs]).toEqual([1, 5, 1.5, 5.5]);
  expect([...all.scanIndex!]).toEqual([0, 1]);
  expect(sideBySide([one]).object).toBe(one.object);
});

it('streams: no two seeds share one of a purpose, no purpose shares one of a neighbouring seed', () => {
  const purposes = ['object', 'probe', 'scan', 'detector', 'noise'];
  const all = new Set<number>();
  for (let seed = 0; seed < 2000; seed++) for (const purpose of purposes) all.add(streamSeed(seed, purpose));
  expect(all.size).toBe(10_000);
  expect(streamSeed(0xffffffff, 'scan')).toBeLessThan(2 ** 32);
});

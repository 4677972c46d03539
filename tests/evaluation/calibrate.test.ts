/** Intervals from spreads: they cover what they promise, on errors that they were not fitted to. */
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import {
  coverageOf,
  errorsOfImage,
  fitSpreadScale,
  leftOutScales,
  rankCorrelation,
  type SpreadErrors,
  UNCALIBRATED,
} from '../../src/evaluation/calibration/calibrate.js';
import { halfWidth, intervalsOf, LEVELS } from '../../src/reconstruction/ensemble/calibration.js';

/** Errors that are `truthful` times the spread, and `shared` besides, which no spread shows. */
function drawn(seed: number, { truthful = 1, shared = 0, count = 4000 } = {}): SpreadErrors {
  const rng = new LegacyRng(seed);
  const spread = Float64Array.from({ length: count }, () => 0.02 + 0.1 * rng.uniform(0, 1));
  return {
    spread,
    error: spread.map((s) => Math.abs(truthful * s * rng.normal() + shared * rng.normal())),
  };
}

describe('calibrated half-widths', () => {
  it.each([
    { truthful: 1, shared: 0 },
    { truthful: 3, shared: 0 },
    { truthful: 0.5, shared: 0.2 },
    { truthful: 0, shared: 0.1 },
  ])('cover what they promise on other scans: $truthful × spread, $shared besides', (kind) => {
    const scale = fitSpreadScale([1, 2].map((seed) => drawn(seed, kind)));
    for (const { level, coverage } of coverageOf(drawn(9, kind), scale)) {
      expect(Math.abs(coverage - level)).toBeLessThan(0.025);
    }
  });

  it('follow a spread that tells the truth, and not one that says nothing', () => {
    const follows = fitSpreadScale([drawn(1, { truthful: 2 })]);
    expect(follows.floor).not.toBeNull();
    expect(halfWidth(0.1, follows, 3) / halfWidth(0.03, follows, 3)).toBeGreaterThan(2.5);
    const ignores = fitSpreadScale([drawn(1, { truthful: 0, shared: 0.1 })]);
    expect(halfWidth(0.1, ignores, 3) / halfWidth(0.03, ignores, 3)).toBeLessThan(1.1);
  });

  it('are needed: a bare spread that is too small covers too little', () => {
    const errors = drawn(3, { truthful: 3 });
    const at90 = coverageOf(errors, UNCALIBRATED)[LEVELS.indexOf(0.9)];
    expect(at90.coverage).toBeLessThan(0.5);
    // And one of the right size covers what a normal distribution does.
    const right = coverageOf(drawn(3), UNCALIBRATED)[LEVELS.indexOf(0.9)];
    expect(Math.abs(right.coverage - 0.9)).toBeLessThan(0.02);
  });

  it('count every scan the same, however large', () => {
    const small = { ...drawn(1, { truthful: 1, count: 500 }) };
    const large = { ...drawn(2, { truthful: 4, count: 20_000 }) };
    const scale = fitSpreadScale([small, large]);
    const [ofSmall, ofLarge] = [small, large].map((errors) => coverageOf(errors, scale)[3].coverage);
    expect(Math.abs((ofSmall + ofLarge) / 2 - 0.9)).toBeLessThan(0.01);
  });

  it('are the smallest values that so many values do not exceed, every scan counted the same', () => {
    const rng = new LegacyRng(4);
    for (const counts of [[1], [3, 1], [40, 7, 300], [20, 20]]) {
      // Few different values, so that many are equal.
      const scans = counts.map((count) => ({
        error: Float64Array.from({ length: count }, () => Math.round(10 * rng.uniform(0, 1)) / 7),
        spread: new Float64Array(count).fill(1),
      }));
      const { floor, quantiles } = fitSpreadScale(scans);
      const ratio = (e: number) => e / (floor === null ? 1 : Math.sqrt(1 + floor * floor + 1e-20));
      const weighted = scans.flatMap(({ error }) =>
        Array.from(error, (e) => [ratio(e), 1 / (scans.length * error.length)]),
      );
      const share = (v: number) => weighted.reduce((sum, [e, w]) => sum + (e <= v ? w : 0), 0);
      for (const [l, level] of LEVELS.entries()) {
        const least = Math.min(...weighted.map(([e]) => e).filter((e) => share(e) >= level - 1e-9));
        expect([counts, level, quantiles[l]]).toEqual([counts, level, least]);
      }
    }
  });

  it('are those of the others for each scan that is left out', () => {
    const scans = [1, 2, 3].map((seed) => drawn(seed, { truthful: seed }));
    const scale = fitSpreadScale(scans);
    const left = leftOutScales(scans, scale);
    expect(left).toHaveLength(3);
    expect(leftOutScales([scans[0]], scale)).toEqual([]);
    const covered = left.map((one, i) => coverageOf(scans[i], one)[3].coverage);
    // The scan with the largest errors is covered least by what the others calibrate, and less than by what it calibrates, too.
    expect(covered[2]).toBeLessThan(covered[0]);
    expect(covered[2]).toBeLessThan(coverageOf(scans[2], scale)[3].coverage - 0.05);
    expect(covered[0]).toBeGreaterThan(coverageOf(scans[0], scale)[3].coverage);
  });

  it('are NaN where the spread is, and those of the ensemble where there is one', () => {
    const plane = (...data: number[]) => ({ data: Float32Array.from(data), shape: [1, data.length] });
    const scale = (width: number) => ({ floor: null, quantiles: LEVELS.map(() => width) });
    const calibration = {
      ...{ members: [], scans: [] },
      overlap: { amplitude: scale(1), phase: scale(2) },
      ensemble: { amplitude: scale(3), phase: scale(4) },
    };
    const maps = { amplitude: plane(0.1, Number.NaN), phase: plane(0.1, 0.1) };
    expect(intervalsOf({ overlap: maps }, calibration)?.from).toBe('overlap');
    const found = intervalsOf({ overlap: maps, ensemble: maps }, calibration);
    expect(found).toMatchObject({ from: 'ensemble', level: 0.9 });
    expect([...(found?.amplitude.data ?? [])]).toEqual([3, Number.NaN]);
    expect(intervalsOf({}, calibration)).toBeUndefined();
  });
});

describe('errors of an image', () => {
  const [rows, cols] = [40, 44];
  const truth = {
    re: Float32Array.from({ length: rows * cols }, (_, i) => 1 + 0.3 * Math.sin(i / 7)),
    im: Float32Array.from({ length: rows * cols }, (_, i) => 0.4 * Math.cos(i / 5)),
    shape: [rows, cols],
  };
  const frame = { originYxPx: [0, 0] as const, height: rows, width: cols };
  const plane = (value: number) => ({ data: new Float32Array(rows * cols).fill(value), shape: [rows, cols] });
  const positions = { xcoords: Float64Array.of(4, 39), ycoords: Float64Array.of(5, 35) };

  it('vanish for the truth in another gauge, and are in the units of the image', () => {
    // Twice the amplitude, another phase.
    const image = {
      re: truth.re.map((v, i) => 2 * (v * Math.cos(0.7) - truth.im[i] * Math.sin(0.7))),
      im: truth.re.map((v, i) => 2 * (v * Math.sin(0.7) + truth.im[i] * Math.cos(0.7))),
      shape: truth.shape,
    };
    const spread = { amplitude: plane(0.1), phase: plane(0.2) };
    const same = errorsOfImage({ image, frame, weight: plane(1) }, spread, truth, positions);
    expect(same.amplitude.error.length).toBe(31 * 36);
    expect(Math.max(...same.amplitude.error)).toBeLessThan(1e-4);
    expect(Math.max(...same.phase.error)).toBeLessThan(1e-4);
    const at = 20 * cols + 20;
    const wrong = { ...image, re: image.re.slice(), im: image.im.slice() };
    wrong.re[at] *= 1.5;
    wrong.im[at] *= 1.5;
    const { amplitude, phase } = errorsOfImage({ image: wrong, frame, weight: plane(1) }, spread, truth, positions);
    const off = Math.hypot(image.re[at], image.im[at]) / 2;
    expect(Math.max(...amplitude.error) / off).toBeCloseTo(1, 1);
    expect(Math.max(...phase.error)).toBeLessThan(0.01);
  });

  it('correlate in rank with a spread that knows of them', () => {
    expect(
      rankCorrelation({ error: Float64Array.of(1, 2, 5, 9), spread: Float64Array.of(0.1, 0.2, 0.3, 0.9) }),
    ).toBeCloseTo(1);
    expect(rankCorrelation({ error: Float64Array.of(1, 2, 3), spread: Float64Array.of(3, 2, 1) })).toBeCloseTo(-1);
    expect(rankCorrelation({ error: Float64Array.of(1, 2, 3), spread: Float64Array.of(1, 1, 1) })).toBe(0);
  });
});

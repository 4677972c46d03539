import { describe, expect, it } from 'vitest';
import type { ComplexImage } from '../../src/core/tensor.js';
import { extractPatches } from '../../src/physics/sampling.js';
import { frameForScan, intersectFrames, moveToFrame, scanBounds } from '../../src/reconstruction/frame.js';
import { PatchStitcher } from '../../src/reconstruction/patchStitcher.js';
import { extractFromCanvas, mergeGroup } from '../support/reference/group.js';

/** An object that is linear in x and y: bilinear interpolation then loses nothing. */
function linearObject(rows: number, cols: number): ComplexImage {
  const at = (f: (r: number, c: number) => number) =>
    Float32Array.from({ length: rows * cols }, (_, i) => f(Math.floor(i / cols), i % cols));
  return {
    re: at((r, c) => 0.5 + 0.01 * r - 0.02 * c),
    im: at((r, c) => -0.3 + 0.015 * r + 0.007 * c),
    shape: [rows, cols],
  };
}

/** An asymmetric, off-centre scan, different along x and y. */
function scan(count: number, centreX: number, centreY: number, whole: boolean) {
  const xs = Float64Array.from({ length: count }, (_, k) => centreX + 9 * Math.sin(2.4 * k) + 0.05 * k);
  const ys = Float64Array.from({ length: count }, (_, k) => centreY + 5 * Math.cos(1.7 * k) - 0.09 * k);
  return whole ? { xs: xs.map(Math.round), ys: ys.map(Math.round) } : { xs, ys };
}

function worstInside(
  stitched: ReturnType<PatchStitcher['finish']>,
  object: ComplexImage,
  minimumWeight: number,
): number {
  const { image, overlapCount, frame } = stitched;
  const truth = moveToFrame(object, { originYxPx: [0, 0], height: object.shape[0], width: object.shape[1] }, frame);
  let worst = 0;
  for (let i = 0; i < image.re.length; i++) {
    if (overlapCount.data[i] < minimumWeight) continue;
    worst = Math.max(worst, Math.abs(image.re[i] - truth.re[i]), Math.abs(image.im[i] - truth.im[i]));
  }
  return worst;
}

describe('truth in, truth out', () => {
  it.each([
    ['even object, whole positions', 96, 120, 16, 10, true],
    ['odd object, whole positions', 97, 111, 16, 10, true],
    ['even object, fractional positions', 96, 120, 16, 10, false],
    ['odd object, fractional positions, odd crop', 97, 111, 16, 9, false],
    ['whole patches', 97, 120, 16, 16, false],
    ['odd patches', 97, 120, 15, 15, false],
  ])('gridsize 1: %s', (_, rows, cols, side, crop, whole) => {
    const object = linearObject(rows, cols);
    const { xs, ys } = scan(40, 70.3, 38.8, whole);
    const patches = extractPatches(object, xs, ys, side);
    const stitcher = new PatchStitcher(scanBounds(xs, ys), crop);
    stitcher.add(patches.re, patches.im, 40, side, xs, ys);
    const stitched = stitcher.finish();
    // Between whole pixels a patch's rim is weighted from one side, so rim pixels lean along the object's slope (at most
    // 0.02 a pixel here) until others average it out. Half a pixel of misplacement would show as 0.0075 or more.
    expect(worstInside(stitched, object, whole ? 1e-3 : 8)).toBeLessThan(whole ? 1e-5 : 2e-3);
    expect(stitched.patches).toBe(40);
  });

  it('gridsize 1: every fractional patch is reproduced exactly where only interiors overlap', () => {
    const object = linearObject(60, 70);
    const stitcher = new PatchStitcher({ xMin: 30.3, xMax: 30.3, yMin: 25.6, yMax: 25.6 }, 12);
    const patch = extractPatches(object, [30.3], [25.6], 16);
    stitcher.add(patch.re, patch.im, 1, 16, [30.3], [25.6]);
    const stitched = stitcher.finish();
    expect(worstInside(stitched, object, 1 - 1e-6)).toBeLessThan(1e-5);
    expect(stitched.overlapCount.data.filter((w) => w > 1 - 1e-6).length).toBe(11 * 11);
  });

  it.each([
    ['even object', 96, 120],
    ['odd object', 97, 121],
  ])('gridsize 2 through merge and extraction: %s', (_, rows, cols) => {
    const object = linearObject(rows, cols);
    const side = 32;
    const { xs, ys } = scan(32, 66.4, 44.9, true);
    const bounds = scanBounds(xs, ys);
    const stitcher = new PatchStitcher(bounds, 8);
    for (let g = 0; g < 8; g++) {
      // Members 4g … 4g+3 of a group, offsets centre − member.
      const gx = xs.slice(4 * g, 4 * g + 4);
      const gy = ys.slice(4 * g, 4 * g + 4);
      const mean = (a: Float64Array) => a.reduce((s, v) => s + v, 0) / 4;
      const relative = Float64Array.from({ length: 8 }, (_, i) =>
        i % 2 === 0 ? mean(gx) - gx[i >> 1] : mean(gy) - gy[i >> 1],
      );
      const patches = extractPatches(
        { re: Float64Array.from(object.re), im: Float64Array.from(object.im), shape: object.shape },
        gx,
        gy,
        side,
      );
      const { canvas } = mergeGroup(patches, relative, 68);
      const back = extractFromCanvas(canvas, relative, side);
      stitcher.add(Float32Array.from(back.re), Float32Array.from(back.im), 4, side, gx, gy);
    }
    // The merge divides by (coverage + 0.001): a bias of at most 0.1 % where one patch covers.
    expect(worstInside(stitcher.finish(), object, 1e-3)).toBeLessThan(2e-3);
  });

  it('puts a bright pixel of the object where it belongs', () => {
    const object = linearObject(60, 80);
    object.re.fill(0);
    object.im.fill(0);
    object.re[33 * 80 + 47] = 1;
    const xs = [44, 50, 47, 41];
    const ys = [30, 31, 36, 33];
    const patches = extractPatches(object, xs, ys, 16);
    const stitcher = new PatchStitcher(scanBounds(xs, ys), 16);
    stitcher.add(patches.re, patches.im, 4, 16, xs, ys);
    const { image, frame } = stitcher.finish();
    const at = image.re.indexOf(Math.max(...image.re));
    expect([frame.originYxPx[0] + Math.floor(at / frame.width), frame.originYxPx[1] + (at % frame.width)]).toEqual([
      33, 47,
    ]);
    expect(image.re[at]).toBeCloseTo(1, 6);
  });
});

describe('PatchStitcher', () => {
  const random = (n: number, salt: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(7.3 * i + salt));

  it('equals the four-tap definition', () => {
    const { xs, ys } = scan(7, 12.2, -3.4, false);
    const re = random(7 * 64, 1);
    const im = random(7 * 64, 2);
    const stitcher = new PatchStitcher(scanBounds(xs, ys), 5);
    stitcher.add(re, im, 7, 8, xs, ys);
    const { image, overlapCount, frame } = stitcher.finish();
    const sum = new Float64Array(frame.width * frame.height);
    const weight = new Float64Array(frame.width * frame.height);
    for (let k = 0; k < 7; k++) {
      for (let i = 0; i < 5; i++) {
        for (let j = 0; j < 5; j++) {
          const y = ys[k] - 2 + i - frame.originYxPx[0];
          const x = xs[k] - 2 + j - frame.originYxPx[1];
          for (let r = 0; r < frame.height; r++) {
            for (let c = 0; c < frame.width; c++) {
              const w = Math.max(0, 1 - Math.abs(r - y)) * Math.max(0, 1 - Math.abs(c - x));
              weight[r * frame.width + c] += w;
              sum[r * frame.width + c] += w * re[k * 64 + (2 + i) * 8 + 2 + j];
            }
          }
        }
      }
    }
    for (let i = 0; i < sum.length; i++) {
      expect(overlapCount.data[i]).toBeCloseTo(weight[i], 5);
      if (weight[i] > 1e-3) expect(image.re[i]).toBeCloseTo(sum[i] / weight[i], 4);
      else if (weight[i] === 0) expect(image.re[i]).toBe(0);
    }
  });

  it('does not depend on how the patches are batched, and can be looked at in between', () => {
    const { xs, ys } = scan(9, 30, 40, false);
    const re = random(9 * 64, 3);
    const im = random(9 * 64, 4);
    const whole = new PatchStitcher(scanBounds(xs, ys), 6);
    whole.add(re, im, 9, 8, xs, ys);
    const parts = new PatchStitcher(scanBounds(xs, ys), 6);
    parts.add(re.subarray(0, 4 * 64), im.subarray(0, 4 * 64), 4, 8, xs.subarray(0, 4), ys.subarray(0, 4));
    expect(parts.finish().patches).toBe(4);
    parts.add(re.subarray(4 * 64), im.subarray(4 * 64), 5, 8, xs.subarray(4), ys.subarray(4));
    expect([...parts.finish().image.re]).toEqual([...whole.finish().image.re]);
    expect([...parts.finish().overlapCount.data]).toEqual([...whole.finish().overlapCount.data]);
  });

  it('sizes the frame so that every patch fits: the weights add up to M² a patch', () => {
    for (const crop of [1, 4, 7]) {
      const { xs, ys } = scan(13, -5.5, 300.25, false);
      const stitcher = new PatchStitcher(scanBounds(xs, ys), crop);
      stitcher.add(random(13 * 64, 5), random(13 * 64, 6), 13, 8, xs, ys);
      const { overlapCount } = stitcher.finish();
      expect(overlapCount.data.reduce((s, w) => s + w, 0)).toBeCloseTo(13 * crop * crop, 3);
    }
  });

  it('leaves pixels without patches zero and tells the coverage', () => {
    const stitcher = new PatchStitcher({ xMin: 0, xMax: 20, yMin: 0, yMax: 10 }, 2);
    stitcher.add(new Float32Array(16).fill(3), new Float32Array(16), 1, 4, [5], [5]);
    const { image, coverage, frame } = stitcher.finish();
    expect([frame.height, frame.width]).toEqual([12, 22]);
    expect(coverage).toBeCloseTo(4 / (12 * 22), 12);
    expect(image.re.filter((v) => v !== 0)).toHaveLength(4);
    expect(Math.max(...image.re)).toBeCloseTo(3, 6);
  });

  it('refuses crops that no patch has, and positions outside its bounds', () => {
    const bounds = { xMin: 0, xMax: 1, yMin: 0, yMax: 1 };
    for (const crop of [0, -2, 2.5, Number.NaN]) {
      expect(() => new PatchStitcher(bounds, crop)).toThrow(/0 < M ≤ N/);
    }
    const stitcher = new PatchStitcher(bounds, 10);
    expect(() => stitcher.add(new Float32Array(64), new Float32Array(64), 1, 8, [0], [0])).toThrow(/M = 10, N = 8/);
    const fitting = new PatchStitcher(bounds, 4);
    for (const x of [2, -0.1, Number.NaN]) {
      expect(() => fitting.add(new Float32Array(64), new Float32Array(64), 1, 8, [x], [0])).toThrow(
        /outside the bounds/,
      );
    }
    expect(fitting.finish().coverage).toBe(0);
    expect(() => fitting.add(new Float32Array(63), new Float32Array(64), 1, 8, [0], [0])).toThrow(/63 real and 64/);
  });

  it('refuses a scan that cannot be in pixels', () => {
    expect(() => frameForScan({ xMin: 0, xMax: 1e9, yMin: 0, yMax: 1e9 }, 20)).toThrow(/in object pixels/);
    expect(() => scanBounds([1, Number.NaN], [0, 0])).toThrow(/position 1/);
    expect(() => scanBounds([], [])).toThrow(/at least one/);
  });
});

describe('frames', () => {
  it('meet, and carry images from one to another', () => {
    const a = { originYxPx: [2, 3] as const, height: 4, width: 5 };
    const b = { originYxPx: [4, 1] as const, height: 9, width: 4 };
    expect(intersectFrames(a, b)).toEqual({ originYxPx: [4, 3], height: 2, width: 2 });
    expect(intersectFrames(a, { originYxPx: [6, 0], height: 1, width: 9 })).toBeUndefined();
    const image = { re: Float32Array.from({ length: 20 }, (_, i) => i), im: new Float32Array(20), shape: [4, 5] };
    const moved = moveToFrame(image, a, b, { re: -1, im: 0 });
    expect(moved.shape).toEqual([9, 4]);
    expect([...moved.re.subarray(0, 8)]).toEqual([-1, -1, 10, 11, -1, -1, 15, 16]);
  });
});

/** Errors that all positions share. */
import { describe, expect, it } from 'vitest';
import { lowest } from '../../src/solvers/affineSearch.js';
import {
  AffineCorrection,
  allowed,
  decompose,
  LARGEST_AFFINE,
  type Matrix2,
  stretchOf,
} from '../../src/solvers/corrections/affine.js';
import { MOMENTS } from '../../src/solvers/wavePasses.js';

/** A of the parameters, as the formula says it. */
function compose(scale: number, asymmetry: number, rotation_deg: number, shear_deg: number): Matrix2 {
  const [t, f] = [rotation_deg, shear_deg].map((v) => (v * Math.PI) / 180);
  const [p, q] = [scale * (1 + asymmetry / 2), scale * (1 - asymmetry / 2)];
  const [c, s, u] = [Math.cos(t), Math.sin(t), Math.tan(f)];
  return [p * (c + s * u), p * s, q * (-s + c * u), q * c];
}

const ys = Float64Array.from({ length: 49 }, (_, k) => 30 + 6 * Math.floor(k / 7) + Math.sin(k));
const xs = Float64Array.from({ length: 49 }, (_, k) => 40 + 6 * (k % 7) + Math.cos(3 * k));
const ALL = ['scale', 'rotation', 'asymmetry', 'shear'] as const;
const mean = (values: Float64Array) => values.reduce((sum, v) => sum + v, 0) / values.length;
const [cy, cx] = [mean(ys), mean(xs)];
const size = { height: 100, width: 110 };

/** A smooth field of the plane, about the centre. */
const fieldAt = (y: number, x: number) => Math.sin(0.21 * (y - cy) + 0.1 * (x - cx)) + 0.3 * Math.cos(0.17 * (x - cx));
const field = () => {
  const re = new Float32Array(size.height * size.width);
  for (let i = 0; i < re.length; i++) re[i] = fieldAt(Math.floor(i / size.width), i % size.width);
  return { re, im: re.map((v) => 2 * v) };
};

const open = (freedom: ConstructorParameters<typeof AffineCorrection>[1] = ALL, fits = () => true) =>
  new AffineCorrection({ ys, xs }, freedom, fits);

/** Every pattern asks for B·(r − centre), and for a move of its own that the others do not. */
function askFor(correction: AffineCorrection, [yy, yx, xy, xx]: Matrix2): void {
  ys.forEach((y, k) => {
    const x = xs[k];
    correction.ask(k, [yy * (y - cy) + yx * (x - cx) + 0.4, xy * (y - cy) + xx * (x - cx) - 0.1], [2 + (k % 3), 3]);
  });
}

describe('parameters', () => {
  it.each([
    [1.02, 0.01, 1, 0],
    [0.97, -0.02, -1.5, 0.7],
    [1, 0, 0, 0],
  ])('scale %f, asymmetry %f, rotation %f°, shear %f°', (scale, asymmetry, rotation, shear) => {
    const found = decompose(compose(scale, asymmetry, rotation, shear));
    expect(found.scale).toBeCloseTo(scale, 9);
    expect(found.asymmetry).toBeCloseTo(asymmetry, 9);
    expect(found.rotation_deg).toBeCloseTo(rotation, 7);
    expect(found.shear_deg).toBeCloseTo(shear, 7);
  });

  it('are followed as far as they are free', () => {
    const B: Matrix2 = [0.004, 0.003, -0.001, 0.002];
    allowed(B, ALL).forEach((v, i) => {
      expect(v).toBeCloseTo(B[i], 12);
    });
    const of = (freedom: Parameters<typeof allowed>[1]) => allowed(B, freedom).map((v) => Number(v.toFixed(6)) + 0);
    expect(of(['scale'])).toEqual([0.003, 0, 0, 0.003]);
    expect(of(['rotation'])).toEqual([0, 0.002, -0.002, 0]);
    expect(of(['asymmetry'])).toEqual([0.001, 0, 0, -0.001]);
  });
});

describe('a step', () => {
  it('moves positions and fields by the affine part, with gain and momentum', () => {
    const correction = open();
    const places = { ys: ys.slice(), xs: xs.slice() };
    const moved = field();
    const B: Matrix2 = [0.001, 0.0004, -0.0005, 0.0008];
    askFor(correction, B);
    correction.step(places, [moved], size);
    const M = [1 + 4 * B[0], 4 * B[1], 4 * B[2], 1 + 4 * B[3]];
    places.ys.forEach((y, k) => {
      expect(y).toBeCloseTo(M[0] * (ys[k] - cy) + M[1] * (xs[k] - cx) + cy, 9);
      expect(places.xs[k]).toBeCloseTo(M[2] * (ys[k] - cy) + M[3] * (xs[k] - cx) + cx, 9);
      expect(correction.place(k)[0]).toBeCloseTo(y, 9);
    });
    // What was at r is at M·r: a position sees what it saw.
    for (const [r, c] of [
      [30, 35],
      [55, 70],
      [62, 44],
    ]) {
      const det = M[0] * M[3] - M[1] * M[2];
      const [y, x] = [r - cy, c - cx];
      const [fromY, fromX] = [(M[3] * y - M[1] * x) / det + cy, (M[0] * x - M[2] * y) / det + cx];
      const i = r * size.width + c;
      expect(moved.re[i]).toBeCloseTo(fieldAt(fromY, fromX), 3);
      expect(moved.im[i]).toBeCloseTo(2 * moved.re[i], 5);
      expect(Math.abs(moved.re[i] - fieldAt(r, c))).toBeGreaterThan(2e-3);
    }
    // Nothing more is asked for: momentum goes on with 0.7 of the last step.
    askFor(correction, [0, 0, 0, 0]);
    const [before] = correction.found().matrix_yx;
    correction.step(places, [], size);
    expect(correction.found().matrix_yx[0]).toBeCloseTo((1 + 0.7 * 4 * B[0]) * before, 5);
  });

  it('is short, ends at a limit, and leaves no patch outside', () => {
    const correction = open();
    const places = { ys: ys.slice(), xs: xs.slice() };
    askFor(correction, [0.5, 0, 0, 0]);
    correction.step(places, [], size);
    expect(correction.found().matrix_yx[0]).toBeCloseTo(1.01, 9);
    for (let n = 0; n < 20; n++) correction.step(places, [], size);
    expect(correction.found().matrix_yx[0]).toBeLessThanOrEqual(1 + LARGEST_AFFINE);
    expect(correction.found().matrix_yx[0]).toBeGreaterThan(1 + LARGEST_AFFINE - 0.012);
    const tight = open(ALL, () => false);
    const still = { ys: ys.slice(), xs: xs.slice() };
    askFor(tight, [0.001, 0, 0, 0]);
    tight.step(still, [], size);
    expect(still.ys).toEqual(ys);
    expect(tight.found().matrix_yx).toEqual([1, 0, 0, 1]);
  });
});

/** Moments of a patch whose χ is that of a stretch B and a move t, Y and X being any fields. */
function momentsOf([yy, yx, xy, xx]: Matrix2, [ty, tx]: readonly [number, number]): Float64Array {
  const N = 8;
  const out = new Float64Array(MOMENTS);
  for (let r = 0; r < N; r++) {
    for (let c = 0; c < N; c++) {
      const [u, v, i] = [r - N / 2, c - N / 2, r * N + c];
      const Y = [Math.sin(1.7 * i), Math.cos(0.3 * i * i)];
      const X = [Math.cos(2.1 * i + 1), Math.sin(0.9 * i)];
      const chi = [0, 1].map((p) => (yy * u + yx * v + ty) * Y[p] + (xy * u + xx * v + tx) * X[p]);
      const real = (a: number[], b: number[]) => a[0] * b[0] + a[1] * b[1];
      [real(Y, Y), real(Y, X), real(X, X)].forEach((q, n) => {
        [1, u, v, u * u, u * v, v * v].forEach((w, k) => {
          out[6 * n + k] += w * q;
        });
      });
      [real(Y, chi), real(X, chi)].forEach((q, n) => {
        [1, u, v].forEach((w, k) => {
          out[18 + 3 * n + k] += w * q;
        });
      });
    }
  }
  return out;
}

describe('what patches show', () => {
  const B: Matrix2 = [0.004, -0.003, 0.002, 0.001];

  it('is the stretch, apart from a move', () => {
    stretchOf(momentsOf(B, [0.3, -0.2])).forEach((v, i) => {
      expect(v).toBeCloseTo(B[i], 9);
    });
    expect(stretchOf(new Float64Array(MOMENTS))).toEqual([0, 0, 0, 0]);
  });

  it('turns positions back, and nothing else', () => {
    const correction = open();
    const places = { ys: ys.slice(), xs: xs.slice() };
    correction.see(momentsOf(B, [0, 0]));
    correction.turn(places, [], size);
    const { scale, asymmetry, rotation_deg } = correction.found();
    expect(rotation_deg).toBeCloseTo((0.0025 * 180) / Math.PI, 5);
    expect(scale).toBeCloseTo(1, 5);
    expect(asymmetry).toBeCloseTo(0, 5);
    // One epoch at a time: what was seen is used up.
    correction.turn(places, [], size);
    expect(correction.found().rotation_deg).toBeCloseTo(rotation_deg, 9);
  });
});

it('the published rule draws positions to their common part, the more the farther they are', () => {
  const correction = open();
  const A: Matrix2 = [1.01, 0.004, -0.002, 1.006];
  const at = (k: number) => [
    A[0] * (ys[k] - cy) + A[1] * (xs[k] - cx) + cy,
    A[2] * (ys[k] - cy) + A[3] * (xs[k] - cx) + cx,
  ];
  const places = { ys: ys.map((_, k) => at(k)[0]), xs: xs.map((_, k) => at(k)[1]) };
  // Two patterns are far off; their weight is 0, so that the fit knows nothing of them.
  places.ys[10] += 1.4;
  places.xs[20] += 0.5;
  const weights = new Float64Array(2 * ys.length).fill(3);
  for (const k of [10, 20]) weights.fill(0, 2 * k, 2 * k + 2);
  const before = places.ys.slice();
  correction.relax(places, weights, (k, y, x) => {
    places.ys[k] = y;
    places.xs[k] = x;
  });
  correction.found().matrix_yx.forEach((v, i) => {
    expect(v).toBeCloseTo(A[i], 9);
  });
  const drawn = (distance: number) =>
    Math.min(1, 0.1 + Math.max(0, Math.abs(distance - distance / ys.length) - 1) ** 2);
  expect(places.ys[10] - at(10)[0]).toBeCloseTo(1.4 * (1 - drawn(1.4)), 9);
  expect(places.xs[20] - at(20)[1]).toBeCloseTo(0.5 * (1 - drawn(0.5)), 9);
  expect(places.ys[3]).toBeCloseTo(before[3], 9);
});

describe('a search along one value', () => {
  it.each([0, 0.004, -0.021, 0.031])('finds %f', async (least) => {
    const asked: number[] = [];
    const found = await lowest(async (value) => {
      asked.push(value);
      return 14 + (value - least) ** 2;
    });
    expect(found).toBeCloseTo(least, 9);
    expect(asked.length).toBeLessThan(7);
    expect(new Set(asked).size).toBe(asked.length);
  });

  it('ends where it may go no further', async () => {
    expect(await lowest(async (value) => -value)).toBeLessThanOrEqual(0.05);
    expect(await lowest(async (value) => value)).toBeGreaterThanOrEqual(-0.05);
  });
});

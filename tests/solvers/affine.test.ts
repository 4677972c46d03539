/** Errors that all positions share. */
import { describe, expect, it } from 'vitest';
import {
  AffineCorrection,
  allowed,
  decompose,
  LARGEST_AFFINE,
  type Matrix2,
} from '../../src/solvers/corrections/affine.js';

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

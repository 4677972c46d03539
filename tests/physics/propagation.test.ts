/** Light in empty space, against waves that are known behind any distance. */
import { describe, expect, it } from 'vitest';
import type { ComplexImage } from '../../src/core/tensor.js';
import { coneBeam, nearFieldReach_m, propagate, transferFunction } from '../../src/physics/propagation.js';

const N = 64;
const [wavelength_m, pixel] = [1e-10, 1e-7];
const space = (distance_m: number) => ({ wavelength_m, distance_m, pixel_m: { x: pixel, y: pixel } });

function image(value: (y: number, x: number) => readonly [re: number, im: number]): ComplexImage<Float64Array> {
  const [re, im] = [new Float64Array(N * N), new Float64Array(N * N)];
  for (let i = 0; i < N * N; i++) [re[i], im[i]] = value(Math.floor(i / N) - N / 2, (i % N) - N / 2);
  return { re, im, shape: [N, N] };
}

function distance(a: ComplexImage<Float64Array>, b: ComplexImage<Float64Array>): number {
  let [apart, power] = [0, 0];
  for (let i = 0; i < a.re.length; i++) {
    apart += (a.re[i] - b.re[i]) ** 2 + (a.im[i] - b.im[i]) ** 2;
    power += b.re[i] ** 2 + b.im[i] ** 2;
  }
  return Math.sqrt(apart / power);
}

describe('free space', () => {
  it('spreads a Gaussian beam as its formula says', () => {
    const w = 6;
    const z = 5e-3;
    const sent = image((y, x) => [Math.exp(-(y * y + x * x) / w ** 2), 0]);
    // q = 1 + i·z/z_R: exp(−r²/(w²·q))/q.
    const b = (z * wavelength_m) / (Math.PI * (w * pixel) ** 2);
    const expected = image((y, x) => {
      const s = (y * y + x * x) / (w ** 2 * (1 + b * b));
      const size = Math.exp(-s) / Math.hypot(1, b);
      const angle = s * b - Math.atan(b);
      return [size * Math.cos(angle), size * Math.sin(angle)];
    });
    expect(b).toBeGreaterThan(0.2);
    expect(distance(propagate(sent, transferFunction(N, space(z))), expected)).toBeLessThan(1e-4);
  });

  it('shows a grating again behind a Talbot distance, and half a period off in its middle', () => {
    const period = 16;
    const grating = (shift: number) => image((_, x) => [1 + 0.2 * Math.cos((2 * Math.PI * (x + shift)) / period), 0]);
    const talbot_m = (2 * (period * pixel) ** 2) / wavelength_m;
    expect(distance(propagate(grating(0), transferFunction(N, space(talbot_m))), grating(0))).toBeLessThan(1e-5);
    const half = propagate(grating(0), transferFunction(N, space(talbot_m / 2)));
    expect(distance(half, grating(period / 2))).toBeLessThan(1e-5);
  });

  it('goes back where it came from, with another pixel along each axis', () => {
    const sent = image((y, x) => [Math.exp(-(y * y + 2 * x * x) / 30), Math.sin(x)]);
    const transfer = transferFunction(N, { ...space(4e-4), pixel_m: { x: pixel, y: 1.3 * pixel } });
    const seen = propagate(sent, transfer);
    expect(distance(seen, sent)).toBeGreaterThan(0.1);
    expect(distance(propagate(seen, transfer, true), sent)).toBeLessThan(1e-12);
  });

  it('carries no waves that are finer than a wavelength', () => {
    const { re, im } = transferFunction(8, { wavelength_m: 1, distance_m: 3, pixel_m: { x: 0.25, y: 4 } });
    // λk = 1 at column 2.
    expect(Math.hypot(re[1], im[1])).toBeCloseTo(1, 12);
    expect([re[3], im[3]]).toEqual([0, 0]);
  });

  it('makes a parallel beam of a cone', () => {
    const { distance_m, magnification } = coneBeam({ source_m: 0.01, detector_m: 0.99 });
    expect(magnification).toBeCloseTo(100, 9);
    expect(distance_m).toBeCloseTo(0.0099, 9);
    expect(nearFieldReach_m(N, space(1))).toBeCloseTo(64e-4, 12);
  });
});

import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import { DetectorTransform } from '../../src/physics/fourier.js';
import { fourierCrop } from '../../src/physics/fourierCrop.js';
import { totalIntensity } from '../../src/physics/probe.js';

const rng = new LegacyRng(5);
const noise = (length: number) => Float32Array.from({ length }, () => rng.normal());

describe('fourierCrop', () => {
  it('leaves the middle of the detector field, mode by mode', () => {
    const probe = { re: noise(2 * 32 * 32), im: noise(2 * 32 * 32), shape: [2, 32, 32] };
    const small = fourierCrop(probe, 16);
    expect(small.shape).toEqual([2, 16, 16]);
    for (let p = 0; p < 2; p++) {
      const field = (v: Float32Array, area: number) => Float64Array.from(v.subarray(p * area, (p + 1) * area));
      const [re, im] = [field(probe.re, 1024), field(probe.im, 1024)];
      new DetectorTransform(32).forward(re, im);
      const [smallRe, smallIm] = [field(small.re, 256), field(small.im, 256)];
      new DetectorTransform(16).forward(smallRe, smallIm);
      for (let i = 0; i < 256; i++) {
        const at = ((i >> 4) + 8) * 32 + (i % 16) + 8;
        expect(smallRe[i]).toBeCloseTo(re[at], 4);
        expect(smallIm[i]).toBeCloseTo(im[at], 4);
      }
    }
  });

  it('changes nothing at its own size, and keeps the power of what fits, whatever the sides', () => {
    const probe = { re: noise(12 * 12), im: noise(12 * 12), shape: [12, 12] };
    const same = fourierCrop(probe, 12);
    same.re.forEach((v, i) => {
      expect(v).toBeCloseTo(probe.re[i], 5);
    });
    // A wave without detail, on a frame that is no square and no power of two.
    const [rows, columns] = [30, 21];
    const at = (i: number) => [Math.floor(i / columns) - 15, (i % columns) - 10];
    const flat = Float32Array.from({ length: rows * columns }, (_, i) => {
      const [y, x] = at(i);
      return Math.exp(-(y * y) / 60 - (x * x) / 30);
    });
    const wide = { re: flat, im: new Float32Array(flat.length), shape: [rows, columns] };
    const small = fourierCrop(wide, 14);
    expect(totalIntensity(small) / totalIntensity(wide)).toBeCloseTo(1, 3);
    const brightest = small.re.indexOf(Math.max(...small.re));
    expect([Math.floor(brightest / 14), brightest % 14]).toEqual([7, 7]);
    expect(Math.max(...small.im.map(Math.abs))).toBeLessThan(0.02);
  });
});

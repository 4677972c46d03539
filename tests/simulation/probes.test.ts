import { describe, expect, it } from 'vitest';
import type { ComplexImage } from '../../src/core/tensor.js';
import { DetectorTransform } from '../../src/physics/fourier.js';
import { totalIntensity } from '../../src/physics/probe.js';
import { drawAberrations, nollOrder, zernike } from '../../src/simulation/optics.js';
import {
  incoherentModes,
  makeProbe,
  structuredProbe,
  zernikeProbe,
  zonePlateProbe,
} from '../../src/simulation/probes.js';

/** Power farther than r from (N/2, N/2), as a share. */
function powerOutside({ re, im, shape }: ComplexImage<Float32Array | Float64Array>, radius: number): number {
  const side = shape[1];
  let [out, all] = [0, 0];
  for (let i = 0; i < re.length; i++) {
    const power = re[i] ** 2 + im[i] ** 2;
    all += power;
    if (Math.hypot(Math.floor(i / side) - side / 2, (i % side) - side / 2) > radius) out += power;
  }
  return out / all;
}

describe('Zernike polynomials', () => {
  it('are numbered as Noll does', () => {
    const first = Array.from({ length: 15 }, (_, i) => nollOrder(i + 1));
    expect(first).toEqual([
      [0, 0], [1, 1], [1, -1], [2, 0], [2, -2], [2, 2], [3, -1], [3, 1], [3, -3], [3, 3], [4, 0], [4, 2], [4, -2], [4, 4], [4, -4],
    ]); // biome-ignore format: a row of pairs
  });

  it('are orthonormal on the disc', () => {
    const points: [number, number][] = [];
    const side = 240;
    for (let r = 0; r < side; r++) {
      for (let c = 0; c < side; c++) {
        const [y, x] = [(2 * r + 1) / side - 1, (2 * c + 1) / side - 1];
        if (Math.hypot(y, x) < 1) points.push([x, y]);
      }
    }
    const values = Array.from({ length: 15 }, (_, j) => points.map(([x, y]) => zernike(j + 1, x, y)));
    for (let i = 0; i < 15; i++) {
      for (let j = 0; j <= i; j++) {
        const product = values[i].reduce((sum, v, k) => sum + v * values[j][k], 0) / points.length;
        expect(Math.abs(product - (i === j ? 1 : 0)), `${i + 1}, ${j + 1}`).toBeLessThan(0.02);
      }
    }
  });

  it('defocus, astigmatism and coma are what their names say', () => {
    expect(zernike(4, 0, 0)).toBeCloseTo(-Math.sqrt(3), 12);
    expect(zernike(4, 0.6, 0.8)).toBeCloseTo(Math.sqrt(3), 12);
    expect(zernike(6, 1, 0)).toBeCloseTo(Math.sqrt(6), 12);
    expect(zernike(6, 0, 1)).toBeCloseTo(-Math.sqrt(6), 12);
    expect(zernike(8, 1, 0)).toBeCloseTo(Math.sqrt(8), 12);
    expect(zernike(7, 0, 1)).toBeCloseTo(Math.sqrt(8), 12);
  });
});

describe('probes', () => {
  it('from optics have unit power, and the drawn wavefront the rms asked for', () => {
    for (const kind of ['zone_plate', 'zernike'] as const) {
      expect(totalIntensity(makeProbe(kind, { side: 64, seed: 3 })), kind).toBeCloseTo(1, 5);
    }
    expect(Math.hypot(...drawAberrations(5, 0.7))).toBeCloseTo(0.7, 12);
    expect(drawAberrations(5, 0.7)).not.toEqual(drawAberrations(6, 0.7));
  });

  it('zernike: the phase inside the disc is the wavefront', () => {
    const probe = zernikeProbe({ side: 64, diameter: 24, coefficientsRad: [0.2, 0, -0.3, 0.25] });
    const phase = (r: number, c: number) => Math.atan2(probe.im[r * 64 + c], probe.re[r * 64 + c]);
    for (const [r, c] of [[32, 32], [32, 38], [27, 32], [36, 29]]) {
      const [x, y] = [(c - 32) / 12, (r - 32) / 12];
      expect(phase(r, c)).toBeCloseTo(0.2 * zernike(4, x, y) - 0.3 * zernike(6, x, y) + 0.25 * zernike(7, x, y), 5);
    } // biome-ignore format: a row of pairs
  });

  it('zone plate: a ring on the detector, a focus of about the outermost zone, a lit disc by ray optics', () => {
    const plate = { side: 128, outerZone_px: 4, stopFraction: 0.4 };
    const focus = zonePlateProbe({ ...plate, defocus_px2: 0 });
    // Centred on N/2 and as narrow as 1.22 zones (the stop lifts the rings around it).
    const peak = focus.re.reduce((best, v, i) => (v * v > focus.re[best] ** 2 ? i : best), 0);
    expect(peak).toBe(64 * 128 + 64);
    expect(powerOutside(focus, 1.22 * 4)).toBeLessThan(0.4);
    for (const diameter of [20, 48]) {
      const probe = zonePlateProbe({ ...plate, diameter });
      expect(powerOutside(probe, diameter / 2 + 5)).toBeLessThan(0.15);
      expect(powerOutside(probe, diameter / 2 - 5)).toBeGreaterThan(0.2);
      expect(zonePlateProbe({ ...plate, defocus_px2: diameter * 4 }).re).toEqual(probe.re);
      const re = Float64Array.from(probe.re);
      const im = Float64Array.from(probe.im);
      new DetectorTransform(128).forward(re, im);
      const far = { re, im, shape: [128, 128] };
      expect(powerOutside(far, 128 / 8 + 1)).toBeLessThan(1e-6);
      expect(1 - powerOutside(far, 0.4 * (128 / 8) - 1.5)).toBeLessThan(1e-6);
    }
  });

  it('zone plate: from one side of the focus to the other the phase turns round', () => {
    const curvature = (defocus_px2: number) => {
      const { re, im } = zonePlateProbe({ side: 64, outerZone_px: 3, stopFraction: 0, defocus_px2 });
      const phase = (c: number) => Math.atan2(im[32 * 64 + c], re[32 * 64 + c]);
      return Math.sin(phase(36) - phase(32));
    };
    expect(Math.sign(curvature(60))).toBe(1);
    expect(Math.sign(curvature(-60))).toBe(-1);
  });

  it('modes are orthogonal, have the powers asked for, and begin with the probe', () => {
    for (const probe of [
      structuredProbe({ side: 64, diameter: 16, curvatureRad: 2, comaRad: 1 }),
      makeProbe('zone_plate', { side: 64 }),
    ]) {
      const powers = [5, 2, 1.5, 1, 0.5];
      const { re, im, shape } = incoherentModes(probe, powers);
      expect(shape).toEqual([5, 64, 64]);
      const product = (p: number, q: number) => {
        let [a, b] = [0, 0];
        for (let i = 0; i < 4096; i++) {
          const [x, y] = [p * 4096 + i, q * 4096 + i];
          a += re[x] * re[y] + im[x] * im[y];
          b += re[x] * im[y] - im[x] * re[y];
        }
        return Math.hypot(a, b) / totalIntensity(probe);
      };
      for (let p = 0; p < 5; p++) {
        for (let q = 0; q < 5; q++) expect(product(p, q)).toBeCloseTo(p === q ? powers[p] / 10 : 0, 5);
      }
      const scale = re[32 * 64 + 33] / probe.re[32 * 64 + 33];
      expect(scale).toBeCloseTo(Math.sqrt(0.5), 5);
    }
    expect(incoherentModes(structuredProbe({ side: 32 }), [1]).shape).toEqual([32, 32]);
  });

  it('refuse what cannot be', () => {
    const probe = structuredProbe({ side: 32 });
    expect(() => incoherentModes(probe, [1, 0])).toThrow(/positive numbers, one a mode/);
    const point = { re: new Float32Array(64), im: new Float32Array(64), shape: [8, 8] };
    point.re[36] = 1;
    expect(() => incoherentModes(point, [1, 1])).toThrow(/room for 1 orthogonal modes only, 2/);
    expect(() => zonePlateProbe({ side: 64, outerZone_px: 0.9 })).toThrow(/outermost zone of 1\.03 to 21\.3 pixels/);
    expect(() => zonePlateProbe({ side: 64, diameter: 60 })).toThrow(/below 0\.9 N/);
    expect(() => zernikeProbe({ side: 64, diameter: 70 })).toThrow(/between 0 and N pixels/);
  });
});

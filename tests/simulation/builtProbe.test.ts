/** Probes from the sizes of optics, in metres. */
import { describe, expect, it } from 'vitest';
import type { RawData } from '../../src/data/rawData.js';
import { totalIntensity } from '../../src/physics/probe.js';
import { wavelength_m } from '../../src/physics/radiation.js';
import { builtProbe } from '../../src/simulation/builtProbe.js';
import { zonePlateProbe } from '../../src/simulation/optics.js';

const N = 64;
const pixel = 10e-9;
const scan = { N, source: 'scan.h5', geometry: { energy_eV: 8000, objectPixel_m: { x: pixel, y: pixel } } } as RawData;
const intensity = ({ re, im }: { re: Float32Array; im: Float32Array }, x: number) => {
  const at = (N / 2) * N + N / 2 + x;
  return re[at] ** 2 + im[at] ** 2;
};

describe('builtProbe', () => {
  it('an aperture is a disc of its diameter, and spreads behind it without losing light', () => {
    const near = builtProbe('aperture', { diameter_m: 200e-9 }, scan);
    expect(near.im.every((v) => v === 0)).toBe(true);
    expect(intensity(near, 9)).toBeCloseTo(intensity(near, 0), 9);
    expect(intensity(near, 12)).toBe(0);
    const far = builtProbe('aperture', { diameter_m: 200e-9, defocus_m: 40e-6 }, scan);
    expect(totalIntensity(far)).toBeCloseTo(1, 5);
    expect(intensity(far, 12)).toBeGreaterThan(0);
    const before = builtProbe('aperture', { diameter_m: 200e-9, defocus_m: -40e-6 }, scan);
    expect(before.im[(N / 2) * N + N / 2]).toBeCloseTo(-far.im[(N / 2) * N + N / 2], 6);
  });

  it('a gaussian has its width at the waist, and the textbook one behind it', () => {
    const fwhm_px = 8;
    const half = (p: { re: Float32Array; im: Float32Array }) => intensity(p, fwhm_px / 2) / intensity(p, 0);
    expect(half(builtProbe('gaussian', { diameter_m: fwhm_px * pixel }, scan))).toBeCloseTo(0.5, 5);
    // w(z) = w₀√(1 + (z/z_R)²), z_R = πw₀²/λ, w₀ = FWHM/√(2 ln 2); at z_R the width is √2 times that of the waist.
    const w0 = (fwhm_px * pixel) / Math.sqrt(2 * Math.LN2);
    const rayleigh_m = (Math.PI * w0 ** 2) / wavelength_m(8000);
    const behind = builtProbe('gaussian', { diameter_m: fwhm_px * pixel, defocus_m: rayleigh_m }, scan);
    expect(half(behind)).toBeCloseTo(0.5 ** 0.5, 2);
  });

  it('a zone plate is that of simulations, in pixels', () => {
    const found = builtProbe('zone_plate', { outerZone_m: 30e-9, stopFraction: 0.3, defocus_m: 20e-6 }, scan);
    const defocus_px2 = (wavelength_m(8000) * 20e-6) / pixel ** 2;
    expect(found).toEqual(zonePlateProbe({ side: N, outerZone_px: 3, stopFraction: 0.3, defocus_px2 }));
  });

  it('refuses what means nothing', () => {
    const blind = { ...scan, geometry: {} };
    expect(() => builtProbe('gaussian', { diameter_m: 1e-7 }, blind)).toThrow('how large a pixel of the object is');
    const grey = { ...scan, geometry: { objectPixel_m: { x: pixel, y: pixel } } };
    expect(() => builtProbe('aperture', { diameter_m: 1e-7, defocus_m: 1e-3 }, grey)).toThrow('which wavelength');
    expect(builtProbe('aperture', { diameter_m: 1e-7 }, grey).shape).toEqual([N, N]);
    expect(() => builtProbe('aperture', { diameter_m: 1e-3 }, scan)).toThrow('it must be from 1 to 64');
  });
});

/**
 * Slices that differ only coarsely are hardly told apart by patterns: coarse structure goes the same way in all of them. What differs from
 * their mean is filtered in three dimensions, each frequency times
 *   1 − (2/π)·atan((w·k_z/√(k_x² + k_y² + 10⁻³))²),  k in cycles per slice and per pixel, w the weight
 * (`regularize_layers` of PtychoShelves). Logarithms are filtered, so that the product of the slices stays as it is.
 */
import { AnyFft2, signedFrequency } from '../../physics/fourier.js';
import type { ModePlanes } from './constraints.js';

/** Amplitudes below this are as dark as that. */
const DARK = 1e-3;

/** @param slices (height, width) each; `weight` from 0 to 1 */
export function drawTogether(
  slices: readonly ModePlanes[],
  { height, width }: { readonly height: number; readonly width: number },
  weight: number,
): void {
  const pixels = height * width;
  const count = slices.length;
  // Logarithm of the amplitude and phase, both less the mean over slices.
  const apart = slices.map(() => ({ re: new Float64Array(pixels), im: new Float64Array(pixels) }));
  for (let p = 0; p < pixels; p++) {
    let [x, y] = [0, 0];
    for (const { re, im } of slices) {
      const size = Math.hypot(re[p], im[p]) || 1;
      x += re[p] / size;
      y += im[p] / size;
    }
    const usual = Math.atan2(y, x);
    let [logs, phases] = [0, 0];
    slices.forEach(({ re, im }, s) => {
      const turn = Math.atan2(im[p], re[p]) - usual;
      apart[s].re[p] = Math.log(Math.max(DARK, Math.hypot(re[p], im[p])));
      apart[s].im[p] = turn - 2 * Math.PI * Math.round(turn / (2 * Math.PI));
      logs += apart[s].re[p] / count;
      phases += apart[s].im[p] / count;
    });
    for (const field of apart) {
      field.re[p] -= logs;
      field.im[p] -= phases;
    }
  }
  const before = apart.map(({ re, im }) => ({ re: re.slice(), im: im.slice() }));
  const fft = new AnyFft2(height, width);
  for (const { re, im } of apart) fft.forward(re, im);
  filterAcross(apart, { height, width }, weight);
  for (const { re, im } of apart) fft.inverse(re, im);
  slices.forEach(({ re, im }, s) => {
    for (let p = 0; p < pixels; p++) {
      const size = Math.exp(apart[s].re[p] - before[s].re[p]);
      const turn = apart[s].im[p] - before[s].im[p];
      const [cos, sin] = [size * Math.cos(turn), size * Math.sin(turn)];
      const [a, b] = [re[p], im[p]];
      re[p] = a * cos - b * sin;
      im[p] = a * sin + b * cos;
    }
  });
}

/** Spectra of all slices, by frequencies across them. */
function filterAcross(
  spectra: readonly { readonly re: Float64Array; readonly im: Float64Array }[],
  { height, width }: { readonly height: number; readonly width: number },
  weight: number,
): void {
  const count = spectra.length;
  const kz = Array.from({ length: count }, (_, j) => signedFrequency(j, count) / count);
  // The filter as a matrix over slices, which depends on their distance alone.
  const row = new Float64Array(count);
  const [re, im] = [new Float64Array(count), new Float64Array(count)];
  for (let r = 0, p = 0; r < height; r++) {
    for (let c = 0; c < width; c++, p++) {
      const k = Math.sqrt((signedFrequency(r, height) / height) ** 2 + (signedFrequency(c, width) / width) ** 2 + 1e-3);
      for (let d = 0; d < count; d++) {
        row[d] = kz.reduce((sum, z) => {
          const factor = 1 - (2 / Math.PI) * Math.atan(((weight * Math.abs(z)) / k) ** 2);
          return sum + (factor * Math.cos(2 * Math.PI * z * d)) / count;
        }, 0);
      }
      for (let s = 0; s < count; s++) {
        [re[s], im[s]] = [0, 0];
        for (let t = 0; t < count; t++) {
          const w = row[(s - t + count) % count];
          re[s] += w * spectra[t].re[p];
          im[s] += w * spectra[t].im[p];
        }
      }
      for (let s = 0; s < count; s++) [spectra[s].re[p], spectra[s].im[p]] = [re[s], im[s]];
    }
  }
}

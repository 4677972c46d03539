import { describe, expect, it } from 'vitest';
import { AnyFft2, signedFrequency } from '../../src/physics/fourier.js';

/** The definition, written out. */
function dft(re: Float64Array, im: Float64Array, rows: number, cols: number): [Float64Array, Float64Array] {
  const out: [Float64Array, Float64Array] = [new Float64Array(rows * cols), new Float64Array(rows * cols)];
  for (let k = 0; k < rows; k++) {
    for (let l = 0; l < cols; l++) {
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++) {
          const angle = -2 * Math.PI * ((k * r) / rows + (l * c) / cols);
          const [x, y] = [re[r * cols + c], im[r * cols + c]];
          out[0][k * cols + l] += x * Math.cos(angle) - y * Math.sin(angle);
          out[1][k * cols + l] += x * Math.sin(angle) + y * Math.cos(angle);
        }
      }
    }
  }
  return out;
}

describe('AnyFft2', () => {
  it.each([
    [7, 12],
    [16, 9],
    [1, 5],
    [8, 8],
  ])('transforms %i×%i as defined, and back', (rows, cols) => {
    const size = rows * cols;
    const re = Float64Array.from({ length: size }, (_, i) => Math.sin(3 * i + 1));
    const im = Float64Array.from({ length: size }, (_, i) => Math.cos(5 * i));
    const [expectedRe, expectedIm] = dft(re, im, rows, cols);
    const fft = new AnyFft2(rows, cols);
    const [a, b] = [re.slice(), im.slice()];
    fft.forward(a, b);
    a.forEach((v, i) => {
      expect(v).toBeCloseTo(expectedRe[i], 9);
      expect(b[i]).toBeCloseTo(expectedIm[i], 9);
    });
    fft.inverse(a, b);
    a.forEach((v, i) => {
      expect(v).toBeCloseTo(re[i], 12);
      expect(b[i]).toBeCloseTo(im[i], 12);
    });
  });

  it.each([
    [7, 12],
    [16, 9],
    [8, 8],
  ])('has the first half of the transform of a real image of %i×%i, and knows rows of padding', (rows, cols) => {
    const fft = new AnyFft2(rows, cols);
    const image = Float64Array.from({ length: rows * cols }, (_, i) =>
      i < (rows - 2) * cols ? Math.sin(3 * i + 1) : 0,
    );
    const [re, im] = [image.slice(), new Float64Array(image.length)];
    fft.forward(re, im);
    const half = fft.forwardReal(image);
    expect(half.cols).toBe(Math.floor(cols / 2) + 1);
    half.re.forEach((v, i) => {
      const at = Math.floor(i / half.cols) * cols + (i % half.cols);
      expect(v).toBeCloseTo(re[at], 12);
      expect(half.im[i]).toBeCloseTo(im[at], 12);
    });
    const [a, b] = [image.slice(), new Float64Array(image.length)];
    fft.forward(a, b, rows - 2);
    expect(Math.max(...a.map((v, i) => Math.abs(v - re[i])), ...b.map((v, i) => Math.abs(v - im[i])))).toBe(0);
  });

  it('knows frequencies as NumPy does', () => {
    expect([0, 1, 2, 3].map((k) => signedFrequency(k, 4))).toEqual([0, 1, -2, -1]);
    expect([0, 1, 2, 3, 4].map((k) => signedFrequency(k, 5))).toEqual([0, 1, 2, -2, -1]);
  });
});

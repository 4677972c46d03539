/**
 * Two-dimensional Fourier transforms on the host, in float64 and in place.
 *
 * @example
 * const detector = new DetectorTransform(64);
 * detector.forward(re, im); // exit wave → detector field, zero frequency at index 32
 */
import FFT from 'fft.js';
import { PtychoError } from '../core/errors.js';

/** True for 2, 4, 8, … */
export const isPowerOfTwo = (n: number): boolean => Number.isInteger(n) && n > 1 && (n & (n - 1)) === 0;

/** The smallest power of two that is at least `n` (and at least 2). */
export function nextPowerOfTwo(n: number): number {
  let p = 2;
  while (p < n) p *= 2;
  return p;
}

/**
 * A plan for transforms of one size: owns its scratch, so use one per thread of work and not from two places at once.
 * Forward: F[k,l] = Σ f[r,c] e^{−2πi(kr/rows + lc/cols)}, no normalisation; inverse divides by rows·cols.
 */
export class Fft2 {
  private readonly alongRow: FFT;
  private readonly alongColumn: FFT;
  private readonly input: Float64Array;
  private readonly output: Float64Array;

  /** @throws PtychoError CONFIG_INVALID when a side is not a power of two. */
  constructor(
    readonly rows: number,
    readonly cols: number,
  ) {
    if (!isPowerOfTwo(rows) || !isPowerOfTwo(cols)) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `A fast Fourier transform needs sides that are powers of two, got ${rows}×${cols}; pad the image.`,
        { rows, cols },
      );
    }
    this.alongRow = new FFT(cols);
    this.alongColumn = rows === cols ? this.alongRow : new FFT(rows);
    const longest = 2 * Math.max(rows, cols);
    this.input = new Float64Array(longest);
    this.output = new Float64Array(longest);
  }

  /** Transforms (rows, cols) arrays in place. */
  forward(re: Float64Array, im: Float64Array): void {
    for (let r = 0; r < this.rows; r++) this.line(this.alongRow, re, im, r * this.cols, 1, this.cols);
    for (let c = 0; c < this.cols; c++) this.line(this.alongColumn, re, im, c, this.cols, this.rows);
  }

  /** The inverse of {@link forward}, in place. */
  inverse(re: Float64Array, im: Float64Array): void {
    // ifft(z) = swap(fft(swap(z)))/n, where swap exchanges real and imaginary part.
    this.forward(im, re);
    const n = this.rows * this.cols;
    for (let i = 0; i < n; i++) {
      re[i] /= n;
      im[i] /= n;
    }
  }

  private line(plan: FFT, re: Float64Array, im: Float64Array, start: number, stride: number, length: number): void {
    const { input, output } = this;
    for (let i = 0, p = start; i < length; i++, p += stride) {
      input[2 * i] = re[p];
      input[2 * i + 1] = im[p];
    }
    plan.transform(output, input);
    for (let i = 0, p = start; i < length; i++, p += stride) {
      re[p] = output[2 * i];
      im[p] = output[2 * i + 1];
    }
  }
}

/**
 * Exit wave ↔ detector field for N×N arrays: Ψ = F ψ Fᵀ with F[k,n] = e^{−2πi(k−⌊N/2⌋)n/N}/√N. Unitary
 * (Σ|Ψ|² = Σ|ψ|²), zero frequency at index ⌊N/2⌋. Powers of two go through fft.js, other N through a plain product.
 */
export class DetectorTransform {
  private readonly plan: Fft2 | undefined;
  private readonly matrix: { readonly re: Float64Array; readonly im: Float64Array } | undefined;

  constructor(readonly side: number) {
    if (isPowerOfTwo(side)) this.plan = new Fft2(side, side);
    else this.matrix = dftMatrix(side);
  }

  /** ψ → Ψ in place. */
  forward(re: Float64Array, im: Float64Array): void {
    if (!this.plan) {
      sandwich(this.matrix!, this.side, re, im);
      return;
    }
    // e^{−2πi(k−N/2)n/N} = (−1)ⁿ e^{−2πikn/N}: a checkerboard before the transform moves zero frequency to N/2.
    checkerboard(re, im, this.side, 1 / this.side);
    this.plan.forward(re, im);
  }

  /** Ψ → ψ in place. */
  inverse(re: Float64Array, im: Float64Array): void {
    if (!this.plan) {
      // F is symmetric up to its shift only, so the adjoint is written out: ψ = conj(Fᵀ conj(Ψ) F).
      negate(im);
      sandwich(transposed(this.matrix!, this.side), this.side, re, im);
      negate(im);
      return;
    }
    this.plan.inverse(re, im);
    checkerboard(re, im, this.side, this.side);
  }
}

function checkerboard(re: Float64Array, im: Float64Array, n: number, scale: number): void {
  for (let r = 0; r < n; r++) {
    for (let c = 0, i = r * n; c < n; c++, i++) {
      const s = (r + c) & 1 ? -scale : scale;
      re[i] *= s;
      im[i] *= s;
    }
  }
}

function negate(a: Float64Array): void {
  for (let i = 0; i < a.length; i++) a[i] = -a[i];
}

interface SquareMatrix {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

function dftMatrix(n: number): SquareMatrix {
  const re = new Float64Array(n * n);
  const im = new Float64Array(n * n);
  const centre = Math.floor(n / 2);
  for (let k = 0; k < n; k++) {
    for (let j = 0; j < n; j++) {
      const angle = (-2 * Math.PI * (((k - centre) * j) % n)) / n;
      re[k * n + j] = Math.cos(angle) / Math.sqrt(n);
      im[k * n + j] = Math.sin(angle) / Math.sqrt(n);
    }
  }
  return { re, im };
}

function transposed(m: SquareMatrix, n: number): SquareMatrix {
  const t = { re: new Float64Array(n * n), im: new Float64Array(n * n) };
  for (let r = 0; r < n; r++) {
    for (let c = 0; c < n; c++) {
      t.re[c * n + r] = m.re[r * n + c];
      t.im[c * n + r] = m.im[r * n + c];
    }
  }
  return t;
}

/** a ← m a mᵀ. */
function sandwich(m: SquareMatrix, n: number, re: Float64Array, im: Float64Array): void {
  const halfRe = new Float64Array(n * n);
  const halfIm = new Float64Array(n * n);
  // half = a mᵀ, then a = m half: both as dot products over the last axis of m.
  for (let r = 0; r < n; r++) {
    for (let k = 0; k < n; k++) {
      let sr = 0;
      let si = 0;
      for (let j = 0; j < n; j++) {
        const mr = m.re[k * n + j];
        const mi = m.im[k * n + j];
        sr += re[r * n + j] * mr - im[r * n + j] * mi;
        si += re[r * n + j] * mi + im[r * n + j] * mr;
      }
      halfRe[k * n + r] = sr; // kept transposed, so the second pass reads rows
      halfIm[k * n + r] = si;
    }
  }
  for (let k = 0; k < n; k++) {
    for (let l = 0; l < n; l++) {
      let sr = 0;
      let si = 0;
      for (let j = 0; j < n; j++) {
        const mr = m.re[k * n + j];
        const mi = m.im[k * n + j];
        sr += halfRe[l * n + j] * mr - halfIm[l * n + j] * mi;
        si += halfRe[l * n + j] * mi + halfIm[l * n + j] * mr;
      }
      re[k * n + l] = sr;
      im[k * n + l] = si;
    }
  }
}

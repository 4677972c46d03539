/**
 * Two-dimensional Fourier transforms on the host, in float64 and in place.
 *
 * @example
 * const detector = new DetectorTransform(64);
 * detector.forward(re, im); // exit wave → detector field, zero frequency at index 32
 */
import { PtychoError } from '../core/errors.js';
import { AnyFft2, isPowerOfTwo } from './anyFourier.js';

/**
 * {@link AnyFft2} for sides that are powers of two, as pupils and padded images have them.
 * Forward: F[k,l] = Σ f[r,c] e^{−2πi(kr/rows + lc/cols)}, no normalisation; inverse divides by rows·cols.
 */
export class Fft2 extends AnyFft2 {
  /** @throws PtychoError CONFIG_INVALID when a side is not a power of two. */
  constructor(rows: number, cols: number) {
    if (!isPowerOfTwo(rows) || !isPowerOfTwo(cols)) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `A fast Fourier transform needs sides that are powers of two, got ${rows}×${cols}; pad the image.`,
        { rows, cols },
      );
    }
    super(rows, cols);
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

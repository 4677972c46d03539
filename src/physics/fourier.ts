/**
 * Two-dimensional Fourier transforms on the host, in float64 and in place. Sides that are no powers of two go through Bluestein's
 * chirp, so that a prime side costs a few times what its neighbour does and not its square.
 *
 * @example
 * const fft = new AnyFft2(96, 131);
 * fft.forward(re, im); // F[k,l] = Σ f[r,c] e^{−2πi(kr/96 + lc/131)}
 * new DetectorTransform(64).forward(re, im); // exit wave → detector field, zero frequency at index 32
 */
import FFT from 'fft.js';
import { PtychoError } from '../core/errors.js';

/** True for 2, 4, 8, … */
const isPowerOfTwo = (n: number): boolean => Number.isInteger(n) && n > 1 && (n & (n - 1)) === 0;

/** The smallest power of two that is at least `n` (and at least 2). */
export function nextPowerOfTwo(n: number): number {
  let p = 2;
  while (p < n) p *= 2;
  return p;
}

/** The transform of lines of `length` points, real and imaginary parts in turn; owns its scratch. */
class AnyFft {
  private readonly plan: FFT;
  private readonly input: Float64Array;
  private readonly output: Float64Array;
  /** e^{−πi·k²/n}, and the transform of its padded inverse; undefined where the length needs neither. */
  private readonly chirp:
    | { readonly re: Float64Array; readonly im: Float64Array; readonly filter: Float64Array }
    | undefined;

  constructor(readonly length: number) {
    const direct = isPowerOfTwo(length);
    const size = direct ? length : nextPowerOfTwo(2 * length);
    this.plan = new FFT(size);
    this.input = new Float64Array(2 * size);
    this.output = new Float64Array(2 * size);
    if (direct) return;
    const re = new Float64Array(length);
    const im = new Float64Array(length);
    const filter = new Float64Array(2 * size);
    const padded = new Float64Array(2 * size);
    for (let k = 0; k < length; k++) {
      // k² modulo 2n keeps the angle exact for long lines.
      const angle = (-Math.PI * ((k * k) % (2 * length))) / length;
      re[k] = Math.cos(angle);
      im[k] = Math.sin(angle);
      for (const at of k === 0 ? [0] : [k, size - k]) {
        padded[2 * at] = re[k];
        padded[2 * at + 1] = -im[k];
      }
    }
    this.plan.transform(filter, padded);
    this.chirp = { re, im, filter };
  }

  /** Transforms the first `length` points of `line` in place. */
  transform(line: Float64Array): void {
    const { input, output, length, chirp, plan } = this;
    if (!chirp) {
      plan.transform(output, line);
      line.set(output);
      return;
    }
    const { re, im, filter } = chirp;
    const size = input.length / 2;
    for (let i = 0; i < length; i++) {
      const a = line[2 * i];
      const b = line[2 * i + 1];
      input[2 * i] = a * re[i] - b * im[i];
      input[2 * i + 1] = a * im[i] + b * re[i];
    }
    input.fill(0, 2 * length);
    plan.transform(output, input);
    // The product is conjugated, so that the forward plan also goes back.
    for (let k = 0; k < 2 * size; k += 2) {
      const a = output[k];
      const b = output[k + 1];
      const c = filter[k];
      const d = filter[k + 1];
      input[k] = a * c - b * d;
      input[k + 1] = -(a * d + b * c);
    }
    plan.transform(output, input);
    for (let i = 0; i < length; i++) {
      const a = output[2 * i] / size;
      const b = -output[2 * i + 1] / size;
      line[2 * i] = a * re[i] - b * im[i];
      line[2 * i + 1] = a * im[i] + b * re[i];
    }
  }
}

/** Columns that are read together: as many as share a line of the processor's cache. */
const BLOCK = 8;

/**
 * A plan for images (rows, cols) of any size: owns its scratch, so use one per thread of work and not from two places at once.
 */
export class AnyFft2 {
  private readonly alongRow: AnyFft;
  private readonly alongColumn: AnyFft;
  private readonly rowLine: Float64Array;
  private readonly columnLines: readonly Float64Array[];

  constructor(
    readonly rows: number,
    readonly cols: number,
  ) {
    this.alongRow = new AnyFft(cols);
    this.alongColumn = rows === cols ? this.alongRow : new AnyFft(rows);
    this.rowLine = new Float64Array(2 * cols);
    this.columnLines = Array.from({ length: BLOCK }, () => new Float64Array(2 * rows));
  }

  /**
   * Transforms (rows, cols) arrays in place, no normalisation.
   * @param filled rows that hold anything; the others, at the end, are known to be zero (padding)
   */
  forward(re: Float64Array, im: Float64Array, filled = this.rows): void {
    for (let r = 0; r < filled; r++) this.row(re, im, r * this.cols);
    for (let c = 0; c < this.cols; c += BLOCK) this.columns(re, im, c, Math.min(BLOCK, this.cols - c));
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

  /**
   * The transform of a real image: its columns 0 … ⌊cols/2⌋, which say all, as (rows, ⌊cols/2⌋ + 1) arrays. Half the work of
   * {@link forward}: two rows go through one complex line.
   */
  forwardReal(image: Float64Array): { readonly re: Float64Array; readonly im: Float64Array; readonly cols: number } {
    const { rows, cols, rowLine: line } = this;
    const half = Math.floor(cols / 2) + 1;
    const [re, im] = [new Float64Array(rows * half), new Float64Array(rows * half)];
    for (let r = 0; r < rows; r += 2) {
      const second = r + 1 < rows;
      for (let c = 0; c < cols; c++) {
        line[2 * c] = image[r * cols + c];
        line[2 * c + 1] = second ? image[(r + 1) * cols + c] : 0;
      }
      this.alongRow.transform(line);
      for (let c = 0, at = r * half; c < half; c++, at++) {
        const mirror = c === 0 ? 0 : cols - c;
        const [a, b] = [line[2 * c], line[2 * c + 1]];
        const [x, y] = [line[2 * mirror], line[2 * mirror + 1]];
        re[at] = (a + x) / 2;
        im[at] = (b - y) / 2;
        if (!second) continue;
        re[at + half] = (b + y) / 2;
        im[at + half] = (x - a) / 2;
      }
    }
    for (let c = 0; c < half; c += BLOCK) this.columns(re, im, c, Math.min(BLOCK, half - c), half);
    return { re, im, cols: half };
  }

  private row(re: Float64Array, im: Float64Array, start: number): void {
    const { rowLine: line, cols } = this;
    for (let c = 0; c < cols; c++) {
      line[2 * c] = re[start + c];
      line[2 * c + 1] = im[start + c];
    }
    this.alongRow.transform(line);
    for (let c = 0; c < cols; c++) {
      re[start + c] = line[2 * c];
      im[start + c] = line[2 * c + 1];
    }
  }

  private columns(re: Float64Array, im: Float64Array, first: number, count: number, cols = this.cols): void {
    const { columnLines: lines, rows } = this;
    for (let r = 0, at = first; r < rows; r++, at += cols) {
      for (let k = 0; k < count; k++) {
        const line = lines[k];
        line[2 * r] = re[at + k];
        line[2 * r + 1] = im[at + k];
      }
    }
    for (let k = 0; k < count; k++) this.alongColumn.transform(lines[k]);
    for (let r = 0, at = first; r < rows; r++, at += cols) {
      for (let k = 0; k < count; k++) {
        const line = lines[k];
        re[at + k] = line[2 * r];
        im[at + k] = line[2 * r + 1];
      }
    }
  }
}

/** Frequency of an index of a transform of `n` points, in periods per line: 0 … ⌈n/2⌉−1, −⌊n/2⌋ … −1. */
export const signedFrequency = (k: number, n: number): number => (k < n - Math.floor(n / 2) ? k : k - n);

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

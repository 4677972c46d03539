/**
 * Fourier transforms of images of any size, in float64 and in place: sides that are no powers of two go through Bluestein's
 * chirp, so that a prime side costs a few times what its neighbour does and not its square.
 *
 * @example
 * const fft = new AnyFft2(96, 131);
 * fft.forward(re, im); // F[k,l] = Σ f[r,c] e^{−2πi(kr/96 + lc/131)}
 */
import FFT from 'fft.js';

/** True for 2, 4, 8, … */
export const isPowerOfTwo = (n: number): boolean => Number.isInteger(n) && n > 1 && (n & (n - 1)) === 0;

/** The smallest power of two that is at least `n` (and at least 2). */
export function nextPowerOfTwo(n: number): number {
  let p = 2;
  while (p < n) p *= 2;
  return p;
}

/** The transform of one line of `length` points; owns its scratch. */
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

  /** Transforms `length` points of `re`, `im` from `start`, `stride` apart. */
  line(re: Float64Array, im: Float64Array, start: number, stride: number): void {
    const { input, output, length, chirp, plan } = this;
    if (!chirp) {
      for (let i = 0, p = start; i < length; i++, p += stride) {
        input[2 * i] = re[p];
        input[2 * i + 1] = im[p];
      }
      plan.transform(output, input);
      for (let i = 0, p = start; i < length; i++, p += stride) {
        re[p] = output[2 * i];
        im[p] = output[2 * i + 1];
      }
      return;
    }
    const size = input.length / 2;
    input.fill(0);
    for (let i = 0, p = start; i < length; i++, p += stride) {
      input[2 * i] = re[p] * chirp.re[i] - im[p] * chirp.im[i];
      input[2 * i + 1] = re[p] * chirp.im[i] + im[p] * chirp.re[i];
    }
    plan.transform(output, input);
    // The product is conjugated, so that the forward plan also goes back.
    for (let k = 0; k < 2 * size; k += 2) {
      const [a, b, c, d] = [output[k], output[k + 1], chirp.filter[k], chirp.filter[k + 1]];
      input[k] = a * c - b * d;
      input[k + 1] = -(a * d + b * c);
    }
    plan.transform(output, input);
    for (let i = 0, p = start; i < length; i++, p += stride) {
      const [a, b] = [output[2 * i] / size, -output[2 * i + 1] / size];
      re[p] = a * chirp.re[i] - b * chirp.im[i];
      im[p] = a * chirp.im[i] + b * chirp.re[i];
    }
  }
}

/**
 * A plan for images (rows, cols) of any size: owns its scratch, so use one per thread of work and not from two places at once.
 */
export class AnyFft2 {
  private readonly alongRow: AnyFft;
  private readonly alongColumn: AnyFft;

  constructor(
    readonly rows: number,
    readonly cols: number,
  ) {
    this.alongRow = new AnyFft(cols);
    this.alongColumn = rows === cols ? this.alongRow : new AnyFft(rows);
  }

  /** Transforms (rows, cols) arrays in place, no normalisation. */
  forward(re: Float64Array, im: Float64Array): void {
    for (let r = 0; r < this.rows; r++) this.alongRow.line(re, im, r * this.cols, 1);
    for (let c = 0; c < this.cols; c++) this.alongColumn.line(re, im, c, this.cols);
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
}

/** Frequency of an index of a transform of `n` points, in periods per line: 0 … ⌈n/2⌉−1, −⌊n/2⌋ … −1. */
export const signedFrequency = (k: number, n: number): number => (k < n - Math.floor(n / 2) ? k : k - n);

/**
 * The slow part of each patch, fitted to its own pattern.
 *
 * What varies slowly across a patch moves light by little on the detector, so that a network learns it last, and paints it too weak where
 * it is not sure: of all patches alike, and no mean over patches makes good for that. But the pattern says what it is. So amplitude and
 * phase of every patch are multiplied by polynomials in x and y of low degree, by one step of least squares (Gauss–Newton) between measured and
 * predicted amplitudes. Coefficients are held to nothing by what is left unexplained: the more noise, and the worse the patch, the
 * less is changed. Each patch is fitted by itself; neighbours, the image and the probe have no part in it.
 *
 * @example
 * const fit = new PatchFit(probe, 4);
 * fit.improve(patches, diffraction); // [B, C, N, N] each; patches in place
 */
import { solvePositive } from '../../core/cholesky.js';
import type { ComplexTensor, Tensor } from '../../core/tensor.js';
import { DetectorTransform } from '../../physics/fourier.js';
import { probeIntensity } from '../../physics/probe.js';

/** What else decides a pattern. */
export interface PatchFitOptions {
  /** (N, N), what the network's probe is multiplied by. */
  readonly probeMask?: ArrayLike<number>;
  /** (N, N): other than 0 at detector pixels that say nothing. */
  readonly badPixels?: ArrayLike<number>;
}

/** How large coefficients are expected to be: relative change at twice the deviation of the light from its middle. */
const USUAL = 0.2;
/** Where the light is a smaller share of the brightest than this, patches stay more and more as they were painted. */
const DIM = 0.01;
/** The most that a step may change an amplitude by. */
const MOST = 0.5;

/** Fits the slow part of patches; holds scratch, so use one from one place at a time. */
export class PatchFit {
  readonly #side: number;
  /** The modes of the probe, masked. */
  readonly #beams: readonly { readonly re: Float64Array; readonly im: Float64Array }[];
  readonly #transform: DetectorTransform;
  readonly #valid: Uint8Array;
  /** What amplitude and phase are made of. */
  readonly #terms: readonly Float64Array[];

  /**
   * @param probe (N, N) or (P, N, N), at whatever power
   * @param degree of the polynomials, 1 or more: 1 are slopes, 2 are curvatures besides
   */
  constructor(probe: ComplexTensor, degree: number, { probeMask: mask, badPixels }: PatchFitOptions = {}) {
    const side = probe.shape[probe.shape.length - 1];
    const area = side ** 2;
    this.#side = side;
    this.#transform = new DetectorTransform(side);
    const masked = (part: Float32Array) => (mask ? part.map((v, i) => v * mask[i % area]) : part);
    const [re, im] = [masked(probe.re), masked(probe.im)];
    this.#beams = Array.from({ length: re.length / area }, (_, p) => ({
      re: Float64Array.from(re.subarray(p * area, (p + 1) * area)),
      im: Float64Array.from(im.subarray(p * area, (p + 1) * area)),
    }));
    this.#valid = Uint8Array.from({ length: area }, (_, i) => (badPixels?.[i] ? 0 : 1));
    this.#terms = termsFor(probeIntensity({ re, im, shape: probe.shape }), side, degree);
  }

  /** Fits patches [B, C, N, N] in place to the patterns `diffraction` [B, C, N, N], amplitudes at whatever exposure. */
  improve({ re, im }: ComplexTensor, { data }: Tensor): void {
    const area = this.#side ** 2;
    for (let at = 0; at < re.length; at += area) {
      this.#one(re.subarray(at, at + area), im.subarray(at, at + area), data.subarray(at, at + area));
    }
  }

  #one(re: Float32Array, im: Float32Array, measured: ArrayLike<number>): void {
    const waves = this.#beams.map((beam) => product(beam, re, im));
    const fields = waves.map((wave) => this.#field(wave));
    const area = re.length;
    const amplitude = new Float64Array(area);
    for (const field of fields) {
      for (let i = 0; i < area; i++) amplitude[i] += field.re[i] ** 2 + field.im[i] ** 2;
    }
    let [painted, seen] = [0, 0];
    for (let i = 0; i < area; i++) {
      if (this.#valid[i]) {
        painted += amplitude[i];
        seen += measured[i] ** 2;
      }
      amplitude[i] = Math.sqrt(amplitude[i]);
    }
    if (!(painted > 0 && seen > 0)) return;
    // How bright a patch is stays as it was painted.
    const exposure = Math.sqrt(painted / seen);
    const misfit = new Float64Array(area);
    let [left, pixels] = [0, 0];
    for (let i = 0; i < area; i++) {
      if (!this.#valid[i]) continue;
      misfit[i] = exposure * measured[i] - amplitude[i];
      left += misfit[i] ** 2;
      pixels++;
    }
    const hold = left / pixels / USUAL ** 2;
    const found = leastSquares(this.#slopes(waves, fields, amplitude), misfit, hold);
    if (found) this.#multiply(re, im, found);
  }

  /** How the amplitudes change with what each term changes in the amplitude of the patch (first half), and in its phase. */
  #slopes(waves: readonly Field[], fields: readonly Field[], amplitude: Float64Array): Float64Array[] {
    const tiny = 1e-6 * amplitude.reduce((a, b) => Math.max(a, b), 0);
    const [ofAmplitude, ofPhase]: [Float64Array[], Float64Array[]] = [[], []];
    for (const term of this.#terms) {
      const [a, p] = [new Float64Array(term.length), new Float64Array(term.length)];
      waves.forEach((wave, k) => {
        const changed = this.#field({ re: wave.re.map((v, i) => v * term[i]), im: wave.im.map((v, i) => v * term[i]) });
        const field = fields[k];
        for (let i = 0; i < term.length; i++) {
          if (!this.#valid[i]) continue;
          const size = amplitude[i] + tiny;
          a[i] += (field.re[i] * changed.re[i] + field.im[i] * changed.im[i]) / size;
          p[i] += (field.im[i] * changed.re[i] - field.re[i] * changed.im[i]) / size;
        }
      });
      ofAmplitude.push(a);
      ofPhase.push(p);
    }
    return [...ofAmplitude, ...ofPhase];
  }

  #multiply(re: Float32Array, im: Float32Array, found: Float64Array): void {
    const terms = this.#terms;
    for (let i = 0; i < re.length; i++) {
      let [gain, angle] = [0, 0];
      for (let j = 0; j < terms.length; j++) {
        gain += found[j] * terms[j][i];
        angle += found[terms.length + j] * terms[j][i];
      }
      const size = 1 + Math.max(-MOST, Math.min(MOST, gain));
      const [c, s] = [size * Math.cos(angle), size * Math.sin(angle)];
      const [a, b] = [re[i], im[i]];
      re[i] = a * c - b * s;
      im[i] = a * s + b * c;
    }
  }

  #field({ re, im }: Field): Field {
    const field = { re: Float64Array.from(re), im: Float64Array.from(im) };
    this.#transform.forward(field.re, field.im);
    return field;
  }
}

interface Field {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** The exit wave of a beam through a patch. */
function product({ re: a, im: b }: Field, re: Float32Array, im: Float32Array): Field {
  const wave = { re: new Float64Array(re.length), im: new Float64Array(re.length) };
  for (let i = 0; i < re.length; i++) {
    wave.re[i] = a[i] * re[i] - b[i] * im[i];
    wave.im[i] = a[i] * im[i] + b[i] * re[i];
  }
  return wave;
}

/** xᵃyᵇ, 1 ≤ a + b ≤ degree, about the middle of the light and in units of twice its deviation; less and less where there is none. */
function termsFor(light: ArrayLike<number>, side: number, degree: number): Float64Array[] {
  let [sum, x, y, brightest] = [0, 0, 0, 0];
  for (let i = 0; i < side ** 2; i++) {
    sum += light[i];
    x += light[i] * (i % side);
    y += light[i] * Math.floor(i / side);
    brightest = Math.max(brightest, light[i]);
  }
  const [cx, cy] = [x / sum, y / sum];
  let square = 0;
  for (let i = 0; i < side ** 2; i++) square += light[i] * (((i % side) - cx) ** 2 + (Math.floor(i / side) - cy) ** 2);
  const unit = 2 * Math.sqrt(square / sum / 2);
  const terms: Float64Array[] = [];
  for (let a = 0; a <= degree; a++) {
    for (let b = a === 0 ? 1 : 0; a + b <= degree; b++) {
      terms.push(
        Float64Array.from({ length: side ** 2 }, (_, i) => {
          const lit = light[i] / (light[i] + DIM * brightest);
          return lit * (((i % side) - cx) / unit) ** a * ((Math.floor(i / side) - cy) / unit) ** b;
        }),
      );
    }
  }
  return terms;
}

/** The x that makes Σ (right − Σ xⱼ·columnⱼ)² + hold·Σ xⱼ² least; undefined where nothing decides it. */
function leastSquares(columns: readonly Float64Array[], right: Float64Array, hold: number): Float64Array | undefined {
  const dot = (a: Float64Array, b: Float64Array) => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  };
  const lower = columns.map((a, j) => columns.slice(0, j + 1).map((b, k) => dot(a, b) + (j === k ? hold : 0)));
  return solvePositive(
    lower,
    columns.map((a) => dot(a, right)),
  );
}

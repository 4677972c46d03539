/**
 * What the detector sees: exit wave ψ = P·O, field Ψ = F ψ Fᵀ (unitary, centred), expected counts λ = Σ_modes |Ψ|²; and the
 * factors between stored amplitudes, what networks are fed, and photon counts.
 */
import { PtychoError } from '../core/errors.js';
import { type ComplexImage, type ComplexTensor, formatShape } from '../core/tensor.js';
import { AnyFft2, DetectorTransform } from './fourier.js';
import type { FloatArray } from './sampling.js';

/** The detector field of one exit wave (N, N): orthonormal DFT with zero frequency at N/2, in float64. */
export function detectorField(
  wave: ComplexImage<FloatArray>,
  transform = new DetectorTransform(wave.shape[0]),
): ComplexImage<Float64Array> {
  const re = Float64Array.from(wave.re);
  const im = Float64Array.from(wave.im);
  transform.forward(re, im);
  return { re, im, shape: wave.shape };
}

/**
 * Computes expected counts of object patches under one probe; holds the plan and scratch, so one pattern costs no
 * allocation.
 *
 * @example
 * const model = new DiffractionModel(probe);
 * model.intensity(patch.re, patch.im, 0, lambda); // lambda: Float64Array(N·N)
 */
export class DiffractionModel {
  readonly side: number;
  readonly modes: number;
  private readonly toDetector: (re: Float64Array, im: Float64Array) => void;
  private readonly toNext: readonly ((re: Float64Array, im: Float64Array) => void)[];
  private readonly waveRe: Float64Array;
  private readonly waveIm: Float64Array;

  /**
   * @param probe (N, N), or (P, N, N) for P incoherent modes, whose intensities add up
   * @param near transfer function to a near detector, frequency 0 in the corner; of a larger side, light may leave the patterns
   * @param between from each slice of a thick object to the next; patches are then those of all slices, one after the other
   * @throws PtychoError PROBE_SHAPE for any other shape
   */
  constructor(
    private readonly probe: ComplexTensor<FloatArray>,
    near?: ComplexImage<Float64Array>,
    between: readonly ComplexImage<Float64Array>[] = [],
  ) {
    const shape = probe.shape;
    const [modes, rows, cols] = shape.length === 2 ? [1, shape[0], shape[1]] : shape;
    if ((shape.length !== 2 && shape.length !== 3) || rows !== cols) {
      throw new PtychoError(
        'PROBE_SHAPE',
        `A probe must have shape (N, N) or (P, N, N), found ${formatShape(shape)}.`,
        {
          expected: '(N, N) or (P, N, N)',
          found: shape,
        },
      );
    }
    this.side = rows;
    this.modes = modes;
    const far = near ? undefined : new DetectorTransform(rows);
    this.toNext = between.map((transfer) => throughSpace(transfer, rows));
    this.toDetector = near ? throughSpace(near, rows) : (re, im) => far!.forward(re, im);
    this.waveRe = new Float64Array(rows * rows);
    this.waveIm = new Float64Array(rows * rows);
  }

  /** λ of the patch that starts at `offset` in (re, im), into `out` (N·N values, overwritten). */
  intensity(re: FloatArray, im: FloatArray, offset: number, out: Float64Array): void {
    const area = this.side * this.side;
    const { probe, waveRe, waveIm } = this;
    out.fill(0, 0, area);
    for (let p = 0; p < this.modes; p++) {
      const from = p * area;
      for (let i = 0; i < area; i++) {
        const a = re[offset + i];
        const b = im[offset + i];
        const c = probe.re[from + i];
        const d = probe.im[from + i];
        waveRe[i] = a * c - b * d;
        waveIm[i] = a * d + b * c;
      }
      this.toNext.forEach((through, s) => {
        through(waveRe, waveIm);
        const slice = offset + (s + 1) * area;
        for (let i = 0; i < area; i++) {
          const [a, b, c, d] = [re[slice + i], im[slice + i], waveRe[i], waveIm[i]];
          waveRe[i] = a * c - b * d;
          waveIm[i] = a * d + b * c;
        }
      });
      this.toDetector(waveRe, waveIm);
      for (let i = 0; i < area; i++) out[i] += waveRe[i] * waveRe[i] + waveIm[i] * waveIm[i];
    }
  }
}

/** What becomes of a wave of `side` pixels behind empty space, in place; the plan is made once. */
function throughSpace(near: ComplexImage<Float64Array>, side: number): (re: Float64Array, im: Float64Array) => void {
  const [padded] = near.shape;
  const fft = new AnyFft2(padded, padded);
  const [re, im] = [new Float64Array(padded * padded), new Float64Array(padded * padded)];
  const first = Math.floor(padded / 2) - Math.floor(side / 2);
  const rows = (visit: (inner: number, outer: number) => void) => {
    for (let r = 0; r < side; r++) visit(r * side, (first + r) * padded + first);
  };
  return (waveRe, waveIm) => {
    re.fill(0);
    im.fill(0);
    rows((inner, outer) => {
      re.set(waveRe.subarray(inner, inner + side), outer);
      im.set(waveIm.subarray(inner, inner + side), outer);
    });
    fft.forward(re, im);
    for (let i = 0; i < re.length; i++) {
      const [a, b] = [re[i], im[i]];
      re[i] = a * near.re[i] - b * near.im[i];
      im[i] = a * near.im[i] + b * near.re[i];
    }
    fft.inverse(re, im);
    rows((inner, outer) => {
      waveRe.set(re.subarray(outer, outer + side), inner);
      waveIm.set(im.subarray(outer, outer + side), inner);
    });
  };
}

/** The published closed form for normalised data: s = √nphotons / (N/2). N = 64: 1e9 photons → 988.2118. */
export function intensityScale(nphotons: number, side: number): number {
  return Math.sqrt(nphotons) / (side / 2);
}

/**
 * The statistical input scale: amplitudes times this have mean total power (N/2)² a pattern.
 * @param meanTotalPower mean over patterns of Σ amplitude², summed in float64
 */
export function inputNormalisation(meanTotalPower: number, side: number): number {
  return Math.sqrt((side / 2) ** 2 / meanTotalPower);
}

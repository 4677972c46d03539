/**
 * What the detector sees: exit wave ψ = P·O, field Ψ = F ψ Fᵀ (unitary, centred), expected counts λ = Σ_modes |Ψ|²; and the
 * factors between stored amplitudes, what networks are fed, and photon counts.
 */
import { PtychoError } from '../core/errors.js';
import { type ComplexImage, type ComplexTensor, formatShape } from '../core/tensor.js';
import { DetectorTransform } from './fourier.js';
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
  private readonly transform: DetectorTransform;
  private readonly waveRe: Float64Array;
  private readonly waveIm: Float64Array;

  /**
   * @param probe (N, N), or (P, N, N) for P incoherent modes, whose intensities add up
   * @throws PtychoError PROBE_SHAPE for any other shape
   */
  constructor(private readonly probe: ComplexTensor<FloatArray>) {
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
    this.transform = new DetectorTransform(rows);
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
      this.transform.forward(waveRe, waveIm);
      for (let i = 0; i < area; i++) out[i] += waveRe[i] * waveRe[i] + waveIm[i] * waveIm[i];
    }
  }
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

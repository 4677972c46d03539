/**
 * What the detector sees: exit wave ψ = P·O, field Ψ = F ψ Fᵀ (unitary, centred), expected counts λ = Σ_modes |Ψ|².
 */
import { PtychoError } from '../core/errors.js';
import { type ComplexImage, type ComplexTensor, formatShape, type Tensor } from '../core/tensor.js';
import { DetectorTransform } from './fourier.js';
import { batchShape, extractFromCanvas, type MergeOptions, memberSlice, mergeGroup, offsetsOf } from './group.js';
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

/** The detector amplitude |F ψ Fᵀ| of one exit wave (N, N); Σ|amplitude|² = Σ|ψ|². */
export function detectorAmplitude(
  wave: ComplexImage<FloatArray>,
  transform = new DetectorTransform(wave.shape[0]),
): Tensor<Float64Array> {
  const { re, im } = detectorField(wave, transform);
  for (let i = 0; i < re.length; i++) re[i] = Math.hypot(re[i], im[i]);
  return { data: re, shape: wave.shape };
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

/** What {@link forwardAmplitude} takes. */
export interface ForwardInput extends MergeOptions {
  /** Complex object patches (B, C, N, N). */
  readonly patches: ComplexTensor<FloatArray>;
  /** Offsets group centre − member, B·C·2 numbers, [x, y] pixels. */
  readonly relativeXy: ArrayLike<number>;
  /** The probe as it multiplies the object, (N, N) or (P, N, N). */
  readonly probe: ComplexTensor<FloatArray>;
  /** Canvas side M of the group merge; not used for C = 1. */
  readonly canvasSide: number;
}

/**
 * The forward model on the host: detector amplitude (B, C, N, N) of object patches. Groups of more than one patch are
 * merged and cut out again first; a single patch goes straight to the probe (no merge, no mask).
 */
export function forwardAmplitude(input: ForwardInput): Tensor<Float64Array> {
  const [batch, members, side] = batchShape(input.patches);
  const model = new DiffractionModel(input.probe);
  if (model.side !== side) {
    throw new PtychoError(
      'PROBE_SHAPE',
      `The probe is ${model.side} pixels wide, the patches ${side}; they must agree.`,
      {
        expected: side,
        found: model.side,
      },
    );
  }
  const area = side * side;
  const out = new Float64Array(batch * members * area);
  for (let b = 0; b < batch; b++) {
    const offsets = offsetsOf(input.relativeXy, b, members);
    let patches = memberSlice(input.patches, b, members, side);
    if (members > 1) {
      const { canvas } = mergeGroup(patches, offsets, input.canvasSide, input);
      patches = extractFromCanvas(canvas, offsets, side);
    }
    for (let j = 0; j < members; j++) {
      const at = (b * members + j) * area;
      model.intensity(patches.re, patches.im, j * area, out.subarray(at, at + area));
    }
  }
  for (let i = 0; i < out.length; i++) out[i] = Math.sqrt(out[i]);
  return { data: out, shape: input.patches.shape };
}

/** The forward model on the host, and the power of patterns: the oracle for the same step of the tensor program. */
import { PtychoError } from '../../../src/core/errors.js';
import type { ComplexImage, ComplexTensor, Tensor } from '../../../src/core/tensor.js';
import { DiffractionModel, detectorField } from '../../../src/physics/detector.js';
import { DetectorTransform } from '../../../src/physics/fourier.js';
import type { FloatArray } from '../../../src/physics/sampling.js';
import { batchShape, extractFromCanvas, type MergeOptions, memberSlice, mergeGroup, offsetsOf } from './group.js';

/** The detector amplitude |F ψ Fᵀ| of one exit wave (N, N); Σ|amplitude|² = Σ|ψ|². */
export function detectorAmplitude(
  wave: ComplexImage<FloatArray>,
  transform = new DetectorTransform(wave.shape[0]),
): Tensor<Float64Array> {
  const { re, im } = detectorField(wave, transform);
  for (let i = 0; i < re.length; i++) re[i] = Math.hypot(re[i], im[i]);
  return { data: re, shape: wave.shape };
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

/** Amplitude factor that gives patterns of mean total intensity `meanTotalIntensity` a mean of `nphotons` counts. */
export function photonScale(nphotons: number, meanTotalIntensity: number): number {
  return Math.sqrt(nphotons / meanTotalIntensity);
}

/** Mean over the first axis of Σ of squares, in float64: `count` patterns of equal length, one after the other. */
export function meanTotalPower(amplitude: ArrayLike<number>, count: number): number {
  let sum = 0;
  for (let i = 0; i < amplitude.length; i++) sum += amplitude[i] * amplitude[i];
  return sum / count;
}

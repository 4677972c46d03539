/**
 * The physics: patches → (merge → extract) → illumination → detector. All in units of normalised amplitude.
 * Source of the formulas: coherent diffraction in the far field, λ = |F(P·O)Fᵀ|².
 */
import type { ModelConfig } from '../config/schema.js';
import type { ComplexImage, ComplexTensor } from '../core/tensor.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import { extractPatches, type MergeMask, mergeGroup, mergeGroupByProbe, shiftMatrices } from './canvas.js';
import { type ComplexNode, intensity, multiply } from './complex.js';
import { detectorField, smoothWave } from './detector.js';

/** Added under the root of the amplitude: its derivative stays finite where no light falls. */
export const AMPLITUDE_EPSILON = 1e-9;

export interface ObjectOptions {
  /** Side of the group canvas; N when groups have one member. */
  readonly canvasSide_px: number;
  readonly mergeMask?: MergeMask;
  /** The probe, for `training_patch_weighting: probe`. */
  readonly probe?: ComplexTensor;
}

/**
 * What each member's pattern sees of the object, [B, C, N, N]: with one member per group the patch itself; with several,
 * the merged canvas cut out at the member's offset (`object_big`), or one shared patch cut out at each offset.
 * No mask and no merge with one member: masking would kill the border branch.
 */
export function memberPatches(
  config: ModelConfig,
  patches: ComplexNode,
  positions: GraphNode,
  options: ObjectOptions,
): ComplexNode {
  if (config.gridsize === 1) return patches;
  const shifts = shiftMatrices(positions, config.N, options.canvasSide_px);
  if (config.object_big) {
    const byProbe = config.training_patch_weighting === 'probe' && options.probe;
    const canvas = byProbe
      ? mergeGroupByProbe(patches, shifts, totalIntensity(byProbe))
      : mergeGroup(patches, shifts, options.mergeMask);
    return extractPatches(canvas, shifts);
  }
  const clip = (options.canvasSide_px - config.N) / 2;
  const onCanvas = (x: GraphNode) => op.pad(x, [0, 0, clip, clip], [0, 0, clip, clip]);
  return extractPatches({ re: onCanvas(patches.re), im: onCanvas(patches.im) }, shifts);
}

/** Σ_p |P_p|² of modes (P, N, N), or |P|² of one (N, N). */
function totalIntensity({ re, im, shape }: ComplexTensor): Float32Array {
  const area = shape[shape.length - 2] * shape[shape.length - 1];
  const total = new Float32Array(area);
  for (let i = 0; i < re.length; i++) total[i % area] += re[i] * re[i] + im[i] * im[i];
  return total;
}

/** The probe as a graph constant, times `factor`, with an optional mask (N, N). */
export function probeConstant(probe: ComplexImage, factor: number, mask?: ArrayLike<number>): ComplexNode {
  const part = (v: Float32Array, label: string) =>
    op.constant(
      Float32Array.from(v, (x, i) => x * factor * (mask ? mask[i] : 1)),
      probe.shape,
      label,
    );
  return { re: part(probe.re, 'probe.re'), im: part(probe.im, 'probe.im') };
}

/** The modes of a probe (N, N) or (P, N, N) as graph constants, see {@link probeConstant}. */
export function probeModes(probe: ComplexTensor, factor: number, mask?: ArrayLike<number>): ComplexNode[] {
  const shape = probe.shape.slice(-2);
  const area = shape[0] * shape[1];
  return Array.from({ length: probe.re.length / area }, (_, p) => {
    const part = (v: Float32Array) => v.subarray(p * area, (p + 1) * area);
    return probeConstant({ re: part(probe.re), im: part(probe.im), shape }, factor, mask);
  });
}

/**
 * Σ_p |F(P_p·O)Fᵀ|² of patches [B, C, N, N] under a probe [N, N], or several incoherent modes of one: intensities add, fields
 * do not (Thibault & Menzel, Nature 494, 68, 2013).
 */
export function detectorIntensity(
  patches: ComplexNode,
  probe: ComplexNode | readonly ComplexNode[],
  smoothingSigma = 0,
): GraphNode {
  const modes = 're' in probe ? [probe] : probe;
  return modes
    .map((mode) => intensity(detectorField(smoothWave(multiply(patches, mode), smoothingSigma))))
    .reduce((a, b) => op.add(a, b));
}

/** √(I + ε). */
export function amplitudeOf(detector: GraphNode, epsilon = AMPLITUDE_EPSILON): GraphNode {
  return op.sqrt(op.add(detector, epsilon));
}

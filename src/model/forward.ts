/**
 * The physics: patches → (merge → extract) → illumination → detector. All in units of normalised amplitude.
 * Source of the formulas: coherent diffraction in the far field, λ = |F(P·O)Fᵀ|².
 *
 * The probe is a constant, or parameters `probe.re`, `probe.im` that start at it. A trained probe is kept in units of its first rms
 * value, so that a step of the optimiser is a step relative to it.
 */
import type { ModelConfig } from '../config/schema.js';
import type { ComplexImage, ComplexTensor, Tensor } from '../core/tensor.js';
import { type ComplexNode, intensity, multiply } from '../graph/complex.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { probeIntensity, scaleComplex } from '../physics/probe.js';
import { extractPatches, type MergeMask, mergeGroup, mergeGroupByProbe, shiftMatrices } from './canvas.js';
import { detectorField, smoothWave } from './detector.js';
import { gaugeFactor, type PhysicsScale } from './scale.js';

/** Added under the root of the amplitude: its derivative stays finite where no light falls. */
const AMPLITUDE_EPSILON = 1e-9;

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
      ? mergeGroupByProbe(patches, shifts, probeIntensity(byProbe))
      : mergeGroup(patches, shifts, options.mergeMask);
    return extractPatches(canvas, shifts);
  }
  const clip = (options.canvasSide_px - config.N) / 2;
  const onCanvas = (x: GraphNode) => op.pad(x, [0, 0, clip, clip], [0, 0, clip, clip]);
  return extractPatches({ re: onCanvas(patches.re), im: onCanvas(patches.im) }, shifts);
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

/** The parameters of a trained probe. */
export const PROBE_PARAMETERS = ['probe.re', 'probe.im'] as const;

/** √counts per unit of the parameters: √(mean over pixels of Σ_p |P_p|²) of the probe that training began with. */
function probeUnit(config: ModelConfig, scale: PhysicsScale): number {
  // By the scale's rules, gauge = f·√(counts/power) and s = √counts/(N/2), hence √power/N = f·s/(2·gauge). Unlike the rms of
  // `scale.probe`, this is the same when a bundle with the trained probe is opened.
  return (gaugeFactor(config) * scale.intensityScale) / (2 * scale.amplitudeGauge);
}

/** The modes [N, N] of the probe, in the network's gauge (the field of the network's object under it is in units of X). */
export function forwardProbe(
  config: ModelConfig,
  scale: PhysicsScale,
  { trainable, mask, scope }: { trainable: boolean; mask?: ArrayLike<number>; scope: ParameterScope },
): ComplexNode[] {
  const gauge = scale.amplitudeGauge / scale.intensityScale;
  if (!trainable) return probeModes(scale.probe, gauge, mask);
  const unit = probeUnit(config, scale);
  const { shape } = scale.probe;
  const initial = scaleComplex(scale.probe, 1 / unit);
  const re = scope.parameter(PROBE_PARAMETERS[0], shape, Float32Array.from(initial.re));
  const im = scope.parameter(PROBE_PARAMETERS[1], shape, Float32Array.from(initial.im));
  const sides = shape.slice(-2);
  const factor = mask
    ? op.constant(
        Float32Array.from(mask, (m) => m * unit * gauge),
        sides,
        'probe mask',
      )
    : op.scalar(unit * gauge);
  if (shape.length === 2) return [{ re: op.mul(re, factor), im: op.mul(im, factor) }];
  const mode = (x: ReturnType<typeof op.state>, p: number) =>
    op.mul(op.reshape(op.sliceAxis(x, 0, p, 1), sides), factor);
  return Array.from({ length: shape[0] }, (_, p) => ({ re: mode(re, p), im: mode(im, p) }));
}

/** The probe that weights hold, √count units, not masked; that of the scale where it is not trained. */
export function trainedProbe(
  config: ModelConfig,
  scale: PhysicsScale,
  weights: Readonly<Record<string, Tensor>>,
): ComplexTensor {
  const [re, im] = PROBE_PARAMETERS.map((name) => weights[name]);
  if (!re || !im) return scale.probe;
  return scaleComplex({ re: re.data, im: im.data, shape: re.shape }, probeUnit(config, scale));
}

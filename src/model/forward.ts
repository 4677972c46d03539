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
import {
  extractPatches,
  type MergeMask,
  mergeGroup,
  mergeGroupByProbe,
  relativeWeight,
  shiftMatrices,
} from './canvas.js';
import { detectorField, smoothWave } from './detector.js';
import { shares, turnedTo } from './members.js';
import { gaugeFactor, type PhysicsScale } from './scale.js';
import type { ScanRows } from './scanRows.js';

/** Added under the root of the amplitude: its derivative stays finite where no light falls. */
const AMPLITUDE_EPSILON = 1e-9;

export interface ObjectOptions {
  /** Side of the group canvas; N when groups have one member. */
  readonly canvasSide_px: number;
  readonly mergeMask?: MergeMask;
  /** The probe, for `training_patch_weighting: probe`. */
  readonly probe?: ComplexTensor;
  /** The scans of the groups, where there are several: their probes take the place of `probe`. */
  readonly rows?: ScanRows;
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
  return mergedMembers(config, patches, positions, options).members;
}

/** {@link memberPatches}, with the patches that were merged (`align_members`: turned to one phase) and what their pixels count. */
export function mergedMembers(
  config: ModelConfig,
  patches: ComplexNode,
  positions: GraphNode,
  options: ObjectOptions,
): { readonly members: ComplexNode; readonly own?: ComplexNode; readonly share?: GraphNode } {
  if (config.gridsize === 1) return { members: patches };
  const { N } = config;
  const shifts = shiftMatrices(positions, N, options.canvasSide_px);
  if (config.object_big) {
    const weight = mergeWeight(config, options);
    const merge = (of: ComplexNode) =>
      extractPatches(
        weight ? mergeGroupByProbe(of, shifts, weight) : mergeGroup(of, shifts, options.mergeMask),
        shifts,
      );
    const share = shares(weight ?? centralBox(N), N);
    const own = config.align_members ? turnedTo(patches, merge(patches), share) : patches;
    return { members: merge(own), own, share };
  }
  const clip = (options.canvasSide_px - N) / 2;
  const onCanvas = (x: GraphNode) => op.pad(x, [0, 0, clip, clip], [0, 0, clip, clip]);
  return { members: extractPatches({ re: onCanvas(patches.re), im: onCanvas(patches.im) }, shifts) };
}

/** 1 in the central N/2 square. */
function centralBox(N: number): Float32Array {
  const inside = (i: number) => i >= N / 4 && i < N - N / 4;
  return Float32Array.from({ length: N * N }, (_, i) => (inside(Math.floor(i / N)) && inside(i % N) ? 1 : 0));
}

/** How much each pixel of a patch counts: by the light of the probe, or all of the central half the same (`uniform`); undefined: `mergeGroup` has its own rule. */
function mergeWeight(
  { N: side, training_patch_weighting: weighting }: ModelConfig,
  { probe, rows }: ObjectOptions,
): Float32Array | GraphNode | undefined {
  if (weighting === 'central_mask') return undefined;
  if (weighting === 'uniform') return centralBox(side);
  const of = (lit: ComplexTensor) => relativeWeight(probeIntensity(lit));
  if (rows) return rows.images(side, '|P|²', ({ scale }) => of(scale.probe));
  return probe && of(probe);
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

interface ForwardProbeOptions {
  readonly trainable: boolean;
  readonly mask?: ArrayLike<number>;
  readonly scope: ParameterScope;
  /** The scans of the groups, where there are several: each has a probe of its own, and modes are [B, 1, N, N]. */
  readonly rows?: ScanRows;
}

/** The parameters that stand for a probe which no training has moved. */
export function probeParameters(config: ModelConfig, scale: PhysicsScale): Record<string, Tensor> {
  const { re, im, shape } = scaleComplex(scale.probe, 1 / probeUnit(config, scale));
  const [first, second] = PROBE_PARAMETERS;
  return { [first]: { data: Float32Array.from(re), shape }, [second]: { data: Float32Array.from(im), shape } };
}

/** The modes [N, N] of the probe, in the network's gauge (the field of the network's object under it is in units of X). */
export function forwardProbe(
  config: ModelConfig,
  scale: PhysicsScale,
  { trainable, mask, scope, rows }: ForwardProbeOptions,
): ComplexNode[] {
  if (rows) return probesOfScans(config, rows, { trainable, mask, scope });
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

/** The modes [B, 1, N, N] of the probes of the groups' scans; who has fewer modes than others has dark ones besides. */
function probesOfScans(
  config: ModelConfig,
  rows: ScanRows,
  { trainable, mask, scope }: ForwardProbeOptions,
): ComplexNode[] {
  const { scans } = rows;
  const side = config.N;
  const area = side * side;
  const most = Math.max(...scans.map(({ scale }) => scale.probe.re.length / area));
  const table = (part: 're' | 'im', factor: (scale: PhysicsScale, pixel: number) => number) => {
    const values = new Float32Array(scans.length * most * area);
    scans.forEach(({ scale }, s) => {
      scale.probe[part].forEach((v, i) => {
        values[s * most * area + i] = v * factor(scale, i % area);
      });
    });
    return values;
  };
  const shape = [scans.length, most, side, side];
  const modes = (re: GraphNode, im: GraphNode, of: (x: GraphNode) => GraphNode): ComplexNode[] =>
    Array.from({ length: most }, (_, p) => ({
      re: of(rows.of(op.sliceAxis(re, 1, p, 1))),
      im: of(rows.of(op.sliceAxis(im, 1, p, 1))),
    }));
  if (!trainable) {
    const gauge = (scale: PhysicsScale, i: number) =>
      (scale.amplitudeGauge / scale.intensityScale) * (mask ? mask[i] : 1);
    const [re, im] = (['re', 'im'] as const).map((part) => op.constant(table(part, gauge), shape, `probe.${part}`));
    return modes(re, im, (x) => x);
  }
  const unit = (scale: PhysicsScale) => 1 / probeUnit(config, scale);
  const re = scope.parameter(PROBE_PARAMETERS[0], shape, table('re', unit));
  const im = scope.parameter(PROBE_PARAMETERS[1], shape, table('im', unit));
  // probeUnit · gauge / intensity scale is the same for every scan.
  const half = gaugeFactor(config) / 2;
  const factor = mask
    ? op.constant(
        Float32Array.from(mask, (m) => m * half),
        [side, side],
        'probe mask',
      )
    : op.scalar(half);
  return modes(re, im, (x) => op.mul(x, factor));
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

/**
 * The probe of the forward model: a constant, or parameters `probe.re`, `probe.im` that start at it.
 *
 * A trained probe is kept in units of its first rms value, so that a step of the optimiser is a step relative to it.
 */
import type { ModelConfig } from '../config/schema.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import * as op from '../graph/ops.js';
import { scaleComplex } from '../physics/probe.js';
import type { ComplexNode } from './complex.js';
import { probeModes } from './forward.js';
import type { ParameterScope } from './parameters.js';
import { gaugeFactor, type PhysicsScale } from './scale.js';

/** The parameters of a trained probe. */
export const PROBE_PARAMETERS = ['probe.re', 'probe.im'] as const;

/** √counts per unit of the parameters: √(mean over pixels of Σ_p |P_p|²) of the probe that training began with. */
export function probeUnit(config: ModelConfig, scale: PhysicsScale): number {
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

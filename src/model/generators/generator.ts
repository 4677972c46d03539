/** What every network offers: normalised diffraction in, complex patches out. */
import type { ModelConfig } from '../../config/schema.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import { type ComplexNode, fromPolar, intensity } from '../complex.js';
import type { ParameterScope } from '../parameters.js';

/** Values between which a head can paint; null: no bound. */
export interface HeadLimits {
  readonly low: number;
  readonly high: number | null;
}

/** Patches of a batch, all [B, K, N, N], K = gridsize² when patches are merged on a canvas, else 1. */
export interface GeneratorOutput {
  readonly object: ComplexNode;
  /** Amplitude of the object: what the head puts out, or √(re² + im²). */
  readonly amplitude: GraphNode;
  /** exp(iφ) of the object's phase φ. */
  readonly phasor: ComplexNode;
  /** What to look at for saturation: the amplitude head, or the head of the real part. */
  readonly head: { readonly values: GraphNode; readonly limits: HeadLimits };
  /** The two heads and intermediate activations by name, for tests and inspection; nodes not used are dropped from programs. */
  readonly taps: Readonly<Record<string, GraphNode>>;
}

/** Builds a network on `x` [B, C, N, N] with parameters from `scope`. */
export type Generator = (config: ModelConfig, x: GraphNode, scope: ParameterScope) => GeneratorOutput;

type Taps = Readonly<Record<string, GraphNode>>;

/** A network that paints amplitude and phase (taps `amplitude`, `phase`). */
export function polarOutput(amplitude: GraphNode, phase: GraphNode, limits: HeadLimits, taps: Taps): GeneratorOutput {
  return {
    object: fromPolar(amplitude, phase),
    amplitude,
    phasor: { re: op.cos(phase), im: op.sin(phase) },
    head: { values: amplitude, limits },
    taps: { ...taps, amplitude, phase },
  };
}

/** Under the root of the amplitude of a network that paints real and imaginary parts: dark pixels keep a finite derivative. */
const DARK = 1e-12;

/** A network that paints real and imaginary part (taps `real`, `imaginary`). */
export function cartesianOutput(re: GraphNode, im: GraphNode, limits: HeadLimits, taps: Taps): GeneratorOutput {
  const amplitude = op.sqrt(op.add(intensity({ re, im }), DARK));
  return {
    object: { re, im },
    amplitude,
    phasor: { re: op.div(re, amplitude), im: op.div(im, amplitude) },
    head: { values: re, limits },
    taps: { ...taps, real: re, imaginary: im },
  };
}

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

/** A convolution of an image [B, Ci, H, W] to `cout` channels, its kernel and bias called `name`. */
export type Convolution = (x: GraphNode, name: string, cout: number) => GraphNode;

/**
 * The convolutions of a network whose parameters live in `scope`: 3×3, stride 1, same padding, with bias. An up-sampling followed by a
 * convolution is one op of the graph ({@link op.upConv2d}): "ConvUp" blocks are therefore written with their up-sampling moved into the
 * next convolution, which computes the same numbers.
 */
export function convolutions(scope: ParameterScope): { readonly conv: Convolution; readonly upConv: Convolution } {
  const kernel = (name: string, cin: number, cout: number) => ({
    w: scope.parameter(`${name}.weight`, [cout, cin, 3, 3], 'glorot_uniform'),
    b: scope.parameter(`${name}.bias`, [cout], 0),
  });
  return {
    conv: (x, name, cout) => {
      const { w, b } = kernel(name, x.shape[1], cout);
      return op.conv2d(x, w, b, name);
    },
    upConv: (x, name, cout) => {
      const { w, b } = kernel(name, x.shape[1], cout);
      return op.upConv2d(x, w, b, name);
    },
  };
}

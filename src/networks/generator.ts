/** What every network offers: normalised diffraction in, complex patches out. */
import type { z } from 'zod';
import type { FieldShape } from '../core/field.js';
import { type ComplexNode, fromPolar, intensity } from '../graph/complex.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';

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

/** What every generator knows of the network that it is part of. */
export interface NetworkShape {
  readonly architecture: string;
  /** Side of patterns and patches. */
  readonly N: number;
  readonly gridsize: number;
  readonly object_big: boolean;
}

/** Changes features [B, C, H, W] by something that the network is told besides its input. */
export type Modulate = (features: GraphNode, name: string) => GraphNode;

type Values<F extends FieldShape> = { readonly [K in keyof F]: z.output<F[K]> };

/**
 * A network by its configured name: its fields with their defaults, and its layers. The list in `architectures.ts` makes it known, and
 * schema, flags, documentation and checks follow from its fields; those that several networks have are declared once, beside these files.
 */
export interface Generator<Name extends string = string, F extends FieldShape = FieldShape> {
  readonly name: Name;
  /** What it is, as half a sentence. */
  readonly summary: string;
  readonly fields: F;
  /** How the names of the parameters of its encoder begin, where it has one; `epochs_fine_tune` leaves these as they are. */
  readonly encoder?: readonly string[];
  /** Whether {@link layers} lets the features of its encoder blocks be modulated. */
  readonly modulated?: boolean;
  /** Builds it on `x` [B, C, N, N] with parameters from `scope`. */
  layers(config: NetworkShape & Values<F>, x: GraphNode, scope: ParameterScope, modulate?: Modulate): GeneratorOutput;
  /**
   * Amplitude of the constant object of the measured energy in the units of the head, upside down: a head in the middle of a sigmoid
   * paints ½ (2), one without bounds has no scale of its own and paints 1.
   */
  gaugeFactor(config: Values<F>): number;
  /** Whether the head paints real and imaginary parts. */
  paintsParts(config: Values<F>): boolean;
  /** What of its fields does not go together: field and sentence. */
  complaints?(config: Omit<NetworkShape, 'N'> & Values<F>): readonly (readonly [field: string, message: string])[];
}

/** Declares a generator, its fields typed. */
export function generator<const Name extends string, F extends FieldShape>(of: Generator<Name, F>): Generator<Name, F> {
  return of;
}

/** Patches that a network of this shape paints for a group. */
export function paintedPatches({ object_big, gridsize }: NetworkShape): number {
  return object_big ? gridsize ** 2 : 1;
}

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

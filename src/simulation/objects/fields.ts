/** What the kinds of objects share: options, ranges, and the step from two real fields, drawn or pictures, to a complex transmission. */

import { PtychoError } from '../../core/errors.js';
import { extentOf } from '../../core/numbers.js';
import { LegacyRng } from '../../core/rng.js';
import { type ComplexImage, formatShape, sameShape, type Tensor } from '../../core/tensor.js';

/**
 * Where the phase comes from. `independent`: from the object itself (a second draw, or its own features), so that in drawn objects
 * nothing can be learned of the phase from the amplitude. `from_amplitude`: {@link phaseFromAmplitude}; `phaseSpanRad` is not used
 * then. `none`: a real object.
 */
export type PhaseRule = 'independent' | 'from_amplitude' | 'none';

/** What objects have in common. */
export interface ObjectOptions {
  readonly rows: number;
  readonly cols: number;
  /** Equal seeds give equal objects. */
  readonly seed: number;
  /** Smallest and largest amplitude. */
  readonly amplitudeRange?: readonly [number, number];
  /** Difference of largest and smallest phase, radians; the phases lie around zero. */
  readonly phaseSpanRad?: number;
  /** Default `independent`. */
  readonly phase?: PhaseRule;
}

/** Ranges of a kind of object where nothing else is asked for. */
export interface ObjectDefaults {
  readonly amplitudeRange: readonly [number, number];
  readonly phaseSpanRad: number;
}

/** The published rule φ = π·tanh((A − max/2)/(3·mean)), radians, of amplitudes A. */
export function phaseFromAmplitude(amplitude: Float64Array): Float64Array {
  const largest = amplitude.reduce((m, a) => Math.max(m, a), 0);
  const mean = amplitude.reduce((s, a) => s + a, 0) / amplitude.length;
  return amplitude.map((a) => Math.PI * Math.tanh((a - largest / 2) / (3 * mean)));
}

/**
 * An object whose amplitude is a drawn field, scaled to its range, and whose phase is a second one from the same generator.
 * @param draw fields of rows·cols values, any range
 */
export function drawnObject(
  options: ObjectOptions,
  defaults: ObjectDefaults,
  draw: (rng: LegacyRng) => Float64Array,
): ComplexImage {
  const rng = new LegacyRng(options.seed);
  const share = unitRange(draw(rng));
  return objectOf(options, defaults, share, () => unitRange(draw(rng)));
}

/** An object from the shares (0 … 1) of its amplitude's range and of its phase's span. */
export function objectOf(
  options: ObjectOptions,
  defaults: ObjectDefaults,
  amplitudeShare: Float64Array,
  phaseShare: () => Float64Array,
): ComplexImage {
  const { rows, cols, phase = 'independent' } = options;
  const [low, high] = options.amplitudeRange ?? defaults.amplitudeRange;
  const span = options.phaseSpanRad ?? defaults.phaseSpanRad;
  const amplitude = amplitudeShare.map((share) => low + (high - low) * share);
  const angle =
    phase === 'independent'
      ? phaseShare().map((share) => span * (share - 0.5))
      : phase === 'from_amplitude'
        ? phaseFromAmplitude(amplitude)
        : new Float64Array(amplitude.length);
  return fromPolar(amplitude, angle, rows, cols);
}

/** Values moved and stretched to 0 … 1; a constant field becomes 0. */
export function unitRange(field: Float64Array): Float64Array {
  const [low, high] = extentOf(field);
  const span = high - low || 1;
  return field.map((v) => (v - low) / span);
}

/** amplitude·e^{i·angle}. */
export function fromPolar(amplitude: Float64Array, angle: Float64Array, rows: number, cols: number): ComplexImage {
  const re = new Float32Array(rows * cols);
  const im = new Float32Array(rows * cols);
  for (let i = 0; i < re.length; i++) {
    re[i] = amplitude[i] * Math.cos(angle[i]);
    im[i] = amplitude[i] * Math.sin(angle[i]);
  }
  return { re, im, shape: [rows, cols] };
}

/** Pictures (rows, columns) for amplitude and phase, any range; at least one of them. */
export interface ImagePair {
  readonly amplitude?: Tensor<Float64Array>;
  readonly phase?: Tensor<Float64Array>;
}

/**
 * An object from one or two pictures, each stretched to its range (amplitude 0.2 to 1, phase over 2 rad by default). Without a picture
 * the amplitude is the largest everywhere; without one for the phase it is zero, or follows the amplitude where `phase` says so.
 * @throws PtychoError DATASET_SHAPE for no picture, or two of different sizes
 */
export function imageObject(
  { amplitude, phase }: ImagePair,
  options: Omit<ObjectOptions, 'rows' | 'cols' | 'seed'> = {},
): ComplexImage {
  const shape = (amplitude ?? phase)?.shape;
  if (shape === undefined || shape.length !== 2 || (amplitude && phase && !sameShape(amplitude.shape, phase.shape))) {
    const found = [amplitude, phase].map((image) => (image ? formatShape(image.shape) : 'none')).join(' and ');
    throw new PtychoError(
      'DATASET_SHAPE',
      `An object from pictures needs one for amplitude or phase, or two of the same rows and columns; found ${found}.`,
      { found: [amplitude?.shape, phase?.shape] },
    );
  }
  const [rows, cols] = shape;
  const share = amplitude ? unitRange(amplitude.data) : new Float64Array(rows * cols).fill(1);
  const rule = options.phase ?? (phase ? 'independent' : 'none');
  if (rule === 'independent' && phase === undefined) {
    throw new PtychoError(
      'CONFIG_INVALID',
      'The phase of this object is to come from a picture, but there is none; give phase_image, or object_phase none or from_amplitude.',
      { key: 'object_phase' },
    );
  }
  const full = { ...options, rows, cols, seed: 0, phase: rule };
  return objectOf(full, { amplitudeRange: [0.2, 1], phaseSpanRad: 2 }, share, () => unitRange(phase!.data));
}

/** Objects from pictures. */
import { PtychoError } from '../../core/errors.js';
import { type ComplexImage, formatShape, sameShape, type Tensor } from '../../core/tensor.js';
import { type ObjectOptions, objectOf, unitRange } from './fields.js';

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

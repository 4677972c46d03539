/** Objects without a design: clouds of a given spectrum, specks, and nothing at all. */
import type { LegacyRng } from '../../core/rng.js';
import type { ComplexImage } from '../../core/tensor.js';
import { Fft2, nextPowerOfTwo } from '../../physics/fourier.js';

import { gaussianBlur } from '../../physics/gaussian.js';
import { drawnObject, type ObjectOptions, objectOf } from './fields.js';

/** Options of {@link randomField}. */
export interface RandomFieldOptions extends ObjectOptions {
  /** Amplitudes of the spectrum fall as k^−exponent; default 0.4 (published, fine-grained), 1.5 gives clouds. */
  readonly exponent?: number;
}

/** Options of {@link pointsObject}. */
export interface PointsOptions extends ObjectOptions {
  /** Share of the pixels that are set; default 0.1. */
  readonly density?: number;
}

/**
 * A Gaussian random field: white noise whose spectrum is multiplied by k^−exponent (k in cycles a side, the constant left out), on the
 * next power of two and cut, so that it does not repeat itself at the edges; amplitude 0.3 to 1, phase over 2 rad by default.
 */
export function randomField(options: RandomFieldOptions): ComplexImage {
  const { rows, cols, exponent = 0.4 } = options;
  return drawnObject(options, { amplitudeRange: [0.3, 1], phaseSpanRad: 2 }, (rng) =>
    filteredNoise(rng, rows, cols, exponent),
  );
}

function filteredNoise(rng: LegacyRng, rows: number, cols: number, exponent: number): Float64Array {
  const side = nextPowerOfTwo(Math.max(rows, cols) + 1);
  const re = Float64Array.from({ length: side * side }, () => rng.normal());
  const im = new Float64Array(side * side);
  const plan = new Fft2(side, side);
  plan.forward(re, im);
  const frequency = (i: number) => (i < side / 2 ? i : i - side);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      const k = Math.hypot(frequency(r), frequency(c));
      const gain = k === 0 ? 0 : k ** -exponent;
      re[r * side + c] *= gain;
      im[r * side + c] *= gain;
    }
  }
  plan.inverse(re, im);
  return Float64Array.from({ length: rows * cols }, (_, i) => re[Math.floor(i / cols) * side + (i % cols)]);
}

/** Specks: a tenth of the pixels set to random brightness and blurred by σ = 0.75 px; amplitude 0.3 to 1, phase over 1.5 rad. */
export function pointsObject(options: PointsOptions): ComplexImage {
  const { rows, cols, density = 0.1 } = options;
  return drawnObject(options, { amplitudeRange: [0.3, 1], phaseSpanRad: 1.5 }, (rng) => {
    const data = new Float64Array(rows * cols);
    for (const i of rng.choice(rows * cols, Math.round(density * rows * cols), false)) data[i] = rng.uniform(0.3, 1);
    return gaussianBlur({ data, shape: [rows, cols] }, 0.75).data;
  });
}

/** Nothing: the largest amplitude (1 by default) everywhere, phase zero. All that a pattern shows is the probe. */
export function blankObject(options: ObjectOptions): ComplexImage {
  const full = new Float64Array(options.rows * options.cols).fill(1);
  return objectOf({ ...options, phase: 'none' }, { amplitudeRange: [1, 1], phaseSpanRad: 0 }, full, () => full);
}

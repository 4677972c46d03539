/** What the numbers of a diffraction pattern are: the unit that every scan declares, or that is inferred with a reason. */
import { PtychoError } from '../core/errors.js';
import type { NpyDtype } from '../formats/npyHeader.js';

/**
 * - `normalized_amplitude`: amplitudes in arbitrary units;
 * - `count_amplitude`: √(photon counts);
 * - `count_intensity`: photon counts as the detector gave them.
 */
export type MeasurementDomain = 'normalized_amplitude' | 'count_amplitude' | 'count_intensity';

/** All domains, for messages and schemas. */
export const MEASUREMENT_DOMAINS: readonly MeasurementDomain[] = [
  'normalized_amplitude',
  'count_amplitude',
  'count_intensity',
];

/**
 * Checks a declared domain.
 * @param where the file and key, or the option, that declared it.
 * @throws PtychoError DATASET_UNITS for any other text.
 */
export function parseMeasurementDomain(text: string, where: string): MeasurementDomain {
  const domain = MEASUREMENT_DOMAINS.find((known) => known === text);
  if (domain !== undefined) return domain;
  throw new PtychoError(
    'DATASET_UNITS',
    `${where} declares the measurement domain "${text}", which is none of ${MEASUREMENT_DOMAINS.join(', ')}.`,
    { found: text, expected: MEASUREMENT_DOMAINS },
  );
}

/** A domain and why it was taken. */
export interface InferredDomain {
  readonly domain: MeasurementDomain;
  readonly reason: string;
}

/** Amplitudes in arbitrary units stay below this by the data contract; √counts of any useful exposure exceed it. */
const LARGEST_NORMALISED = 10;
/** Beyond it the squares of float32 amplitudes are too coarse to tell integers from other numbers. */
const LARGEST_SQUARE = 2e5;

/**
 * Tells the domain of patterns from some of their values, in this order: integer types and whole numbers are counts;
 * amplitudes whose squares are whole numbers are √counts, and so are any that reach 10; the rest is normalised.
 *
 * @param values pixels as stored, finite and not negative.
 */
export function inferMeasurementDomain(values: Float32Array, dtype: NpyDtype): InferredDomain {
  if (/^u?int/.test(dtype))
    return { domain: 'count_intensity', reason: `its type is ${dtype}, so the values are counts` };
  let largest = 0;
  let whole = true;
  let wholeSquares = true;
  for (const v of values) {
    largest = Math.max(largest, v);
    whole &&= Math.abs(v - Math.round(v)) <= 1e-6 * (1 + v);
    const square = v * v;
    wholeSquares &&= square > LARGEST_SQUARE || Math.abs(square - Math.round(square)) <= 1e-6 * (1 + square);
  }
  const max = Number(largest.toPrecision(4));
  // Zeros and ones alone are their own squares: then √counts and counts agree, and the next rule names them.
  if (whole && largest > 1.5) {
    return {
      domain: 'count_intensity',
      reason: `all values looked at are whole numbers (up to ${max}), so they are counts`,
    };
  }
  if (wholeSquares && largest > 0.5) {
    return {
      domain: 'count_amplitude',
      reason: `the squares of all values looked at are whole numbers (amplitudes up to ${max})`,
    };
  }
  if (largest >= LARGEST_NORMALISED) {
    return {
      domain: 'count_amplitude',
      reason: `values reach ${max}, too large for normalised amplitudes (below ${LARGEST_NORMALISED})`,
    };
  }
  return {
    domain: 'normalized_amplitude',
    reason: `values stay below ${LARGEST_NORMALISED} (up to ${max}) and their squares are no whole numbers`,
  };
}

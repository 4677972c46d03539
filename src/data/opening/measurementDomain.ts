/**
 * What the numbers of a diffraction pattern are: the unit that every scan declares, or that is inferred with a reason; and
 * refused where declaration and numbers cannot both be true.
 */
import { PtychoError } from '../../core/errors.js';
import type { NpyDtype } from '../../formats/npyHeader.js';

/**
 * - `normalized_amplitude`: amplitudes in arbitrary units, below 10;
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

/** Spellings of older documents; they are named in the error and not accepted, so that one word means one thing. */
const OLD_SPELLINGS: Readonly<Record<string, MeasurementDomain>> = {
  amplitude_normalized: 'normalized_amplitude',
  amplitude_counts: 'count_amplitude',
  intensity_counts: 'count_intensity',
};

/**
 * Checks a declared domain.
 * @param where the file and key, or the option, that declared it.
 * @throws PtychoError DATASET_UNITS for any other text, older spellings included.
 */
export function parseMeasurementDomain(text: string, where: string): MeasurementDomain {
  const domain = MEASUREMENT_DOMAINS.find((known) => known === text);
  if (domain !== undefined) return domain;
  const meant = Object.hasOwn(OLD_SPELLINGS, text) ? OLD_SPELLINGS[text] : undefined;
  throw new PtychoError(
    'DATASET_UNITS',
    meant
      ? `${where} declares the measurement domain in an older spelling, "${text}"; write "${meant}".`
      : `${where} declares the measurement domain "${text}", which is none of ${MEASUREMENT_DOMAINS.join(', ')}.`,
    { found: text, expected: meant ?? MEASUREMENT_DOMAINS },
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
/** So many irrational values with whole squares are no accident. */
const ENOUGH_ROOTS = 8;

/** What some of the values show. */
interface Evidence {
  readonly integerType: boolean;
  readonly largest: number;
  /** All are whole numbers. */
  readonly whole: boolean;
  /** The squares of all are whole numbers. */
  readonly wholeSquares: boolean;
  /** Values that are not whole while their squares are: √2, √3, … */
  readonly roots: number;
}

function evidenceOf(values: Float32Array, dtype: NpyDtype): Evidence {
  let largest = 0;
  let whole = true;
  let wholeSquares = true;
  let roots = 0;
  for (const v of values) {
    if (v > largest) largest = v;
    const isWhole = Math.abs(v - Math.round(v)) <= 1e-6 * (1 + v);
    whole &&= isWhole;
    const square = v * v;
    const isRoot = square <= LARGEST_SQUARE && Math.abs(square - Math.round(square)) <= 1e-6 * (1 + square);
    wholeSquares &&= isRoot || square > LARGEST_SQUARE;
    if (isRoot && !isWhole && square > 0.5) roots++;
  }
  return { integerType: /^u?int/.test(dtype), largest, whole, wholeSquares, roots };
}

const rounded = (value: number): number => Number(value.toPrecision(4));

/**
 * Tells the domain of patterns from some of their values, in this order: integer types and whole numbers are counts;
 * amplitudes whose squares are whole numbers are √counts, and so are any that reach 10; the rest is normalised.
 *
 * @param values pixels as stored, finite and not negative.
 */
export function inferMeasurementDomain(values: Float32Array, dtype: NpyDtype): InferredDomain {
  const { integerType, largest, whole, wholeSquares } = evidenceOf(values, dtype);
  if (integerType) return { domain: 'count_intensity', reason: `its type is ${dtype}, so the values are counts` };
  const max = rounded(largest);
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

/**
 * Why values cannot be what they are declared to be, and what they are instead; undefined when they can.
 *
 * Only what no measurement in that unit looks like counts: whole numbers above 1 are counts and no amplitudes; irrational
 * numbers with whole squares are √counts and no counts; amplitudes of 10 and more are not normalised. Fractional counts and
 * fractional squares are no contradiction (expected values, dead-time or flat-field corrections), nor are small numbers.
 */
export function contradiction(
  domain: MeasurementDomain,
  values: Float32Array,
  dtype: NpyDtype,
): { readonly reason: string; readonly rather: MeasurementDomain } | undefined {
  const { integerType, largest, whole, wholeSquares, roots } = evidenceOf(values, dtype);
  const max = rounded(largest);
  if (domain !== 'count_intensity' && whole && largest > 1.5) {
    const reason = integerType
      ? `the array is of type ${dtype} (values up to ${max})`
      : `all values looked at are whole numbers (up to ${max})`;
    return { reason: `${reason}, as only counts are`, rather: 'count_intensity' };
  }
  if (domain !== 'count_amplitude' && wholeSquares && !whole && roots >= ENOUGH_ROOTS) {
    return {
      reason: 'the squares of all values looked at are whole numbers, so they are square roots of counts',
      rather: 'count_amplitude',
    };
  }
  if (domain === 'normalized_amplitude' && largest >= LARGEST_NORMALISED) {
    return {
      reason: `values reach ${max}, and normalised amplitudes stay below ${LARGEST_NORMALISED}`,
      rather: 'count_amplitude',
    };
  }
  return undefined;
}

/** Who says what the numbers are. */
export interface DomainClaims {
  /** The option `measurement_domain`. */
  readonly option?: string | null;
  /** The option replaces what the file declares, instead of having to agree with it. */
  readonly redeclare?: boolean;
  /** What the file declares, and where. */
  readonly declared?: { readonly text: string; readonly where: string };
}

/**
 * The domain of a scan from option, file and values.
 * @param values some pixels as stored, finite and not negative.
 * @throws PtychoError DATASET_UNITS for unknown words, for option and file that disagree, and for values that cannot be what
 * is declared.
 */
export function settleMeasurementDomain(
  { option, redeclare, declared }: DomainClaims,
  values: Float32Array,
  dtype: NpyDtype,
  path: string,
): InferredDomain {
  const asked = option ? parseMeasurementDomain(option, 'The option measurement_domain') : undefined;
  if (asked === undefined && declared === undefined) return inferMeasurementDomain(values, dtype);
  const replaced = redeclare && asked !== undefined;
  const said = declared && !replaced ? parseMeasurementDomain(declared.text, declared.where) : undefined;
  if (asked !== undefined && said !== undefined && asked !== said) {
    throw new PtychoError(
      'DATASET_UNITS',
      `${declared!.where} declares ${said}, but the option measurement_domain says ${asked}; leave the option out, or, if the file is wrong, write a corrected one with convert and measurement_domain ${asked}.`,
      { path, found: asked, expected: said },
    );
  }
  const domain = (asked ?? said)!;
  const against = contradiction(domain, values, dtype);
  if (against !== undefined) {
    const where = said === undefined ? 'The option measurement_domain' : declared!.where;
    const cure =
      said === undefined
        ? `leave the option out, or give ${against.rather}`
        : `if they are ${against.rather}, write a corrected file with convert and measurement_domain ${against.rather}`;
    throw new PtychoError(
      'DATASET_UNITS',
      `${where} declares ${domain}, but in the patterns of ${path} ${against.reason}; ${cure}.`,
      { path, found: domain, expected: against.rather },
    );
  }
  return { domain, reason: said === undefined ? 'it was given' : 'the file declares it' };
}

/**
 * What the numbers of a diffraction pattern are: the unit that every scan declares, or that is inferred with a reason; and
 * refused where declaration and numbers cannot both be true.
 */

import { PtychoError } from '../../core/errors.js';
import { rowsAt, spreadIndices } from '../../core/numbers.js';
import type { NpyDtype } from '../../formats/npyHeader.js';
import { type Look, spreadOf, stepsOf } from '../../physics/countStatistics.js';
import type { Finding } from '../findings/finding.js';

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
  /** Where the numbers could be something else: DOMAIN_INFERRED (doubt) or DOMAIN_UNKNOWN (wrong). */
  readonly finding?: Finding;
}

/** What is known of the numbers besides themselves. */
export interface DomainEvidence {
  /** Side of a pattern: the values are (n, side, side). */
  readonly side: number;
  /** What arrays of this name in this kind of file are, where nothing is declared. */
  readonly tradition: Tradition;
  /** Σ|P|² of the probe, over all modes. */
  readonly probePower?: number;
}

/**
 * Detectors write intensities; `diffraction` and `diff3d` of an NPZ file, and arrays in memory, are amplitudes by the contract of
 * PtychoPINN, which says so less often than it should.
 */
export type Tradition = 'intensities' | 'amplitudes';

/** The tradition of an array in a scan file of this format. */
export function traditionOf(format: string, key: string | undefined): Tradition {
  const name = key?.split('/').at(-1) ?? '';
  if (/amp(litude)?s?$/i.test(name)) return 'amplitudes';
  return format === 'memory' || (format === 'npz' && /^(diffraction|diff3d)$/.test(name))
    ? 'amplitudes'
    : 'intensities';
}

/** Amplitudes in arbitrary units stay below this by the data contract; √counts of any useful exposure exceed it. */
const LARGEST_NORMALISED = 10;
/** Beyond it the squares of float32 amplitudes are too coarse to tell integers from other numbers. */
const LARGEST_SQUARE = 2e5;
/** So many irrational values with whole squares, or so many whole ones and no other, are no accident. */
const ENOUGH_VALUES = 8;
/** This part of the pixels below zero is noise around zero, which amplitudes have not. */
const ENOUGH_NEGATIVE = 0.01;
/** Counts per Σ|P|²: what an object may let through, and what it cannot. */
const [LEAST_PASSED, MOST_PASSED] = [0.25, 1.6];
const [TOO_LITTLE, TOO_MUCH] = [0.12, 3.5];
/** Numbers so near to each other are the same image either way. */
const NEARLY_EQUAL = 1.6;

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
  if (/^u?int/.test(dtype)) {
    for (let i = 0; i < values.length; i++) if (values[i] > largest) largest = values[i];
    return { integerType: true, largest, whole, wholeSquares: false, roots };
  }
  for (const v of values) {
    if (v > largest) largest = v;
    const isWhole = Math.abs(v - Math.round(v)) <= 1e-6 * (1 + Math.abs(v));
    whole &&= isWhole;
    const square = v * v;
    const isRoot = square <= LARGEST_SQUARE && Math.abs(square - Math.round(square)) <= 1e-6 * (1 + square);
    wholeSquares &&= isRoot || square > LARGEST_SQUARE;
    if (isRoot && !isWhole && square > 0.5) roots++;
  }
  return { integerType: false, largest, whole, wholeSquares, roots };
}

const rounded = (value: number): number => Number(value.toPrecision(4));

/**
 * Tells the domain of patterns from some of their values.
 *
 * Integers and whole numbers are counts, and so is what lies on both sides of zero; irrational numbers with whole squares are
 * √counts. Of all others the steps of their sizes ({@link stepsOf}), their spread ({@link spreadOf}) and the power of the probe
 * speak, in this order; where none of these does, the tradition of the file. What goes against the tradition, or rests on it
 * alone, is a doubt; values of 10 and more of which nothing tells whether they are amplitudes or corrected counts are wrong.
 *
 * @param values pixels as stored, finite; those of no use are 0.
 */
export function inferMeasurementDomain(
  values: Float32Array,
  dtype: NpyDtype,
  evidence: DomainEvidence,
): InferredDomain {
  const { integerType, largest, whole, wholeSquares, roots } = evidenceOf(values, dtype);
  const max = rounded(largest);
  // Zeros and ones alone are their own squares: then √counts and counts agree, and the next rule names them.
  if (integerType || (whole && largest > 1.5)) {
    const reason = integerType
      ? `its type is ${dtype}, so the values are counts`
      : `all values looked at are whole numbers (up to ${max}), so they are counts`;
    return { domain: 'count_intensity', reason };
  }
  if (wholeSquares && largest > 0.5 && (roots > 0 || largest <= 1.5)) {
    return {
      domain: 'count_amplitude',
      reason: `the squares of all values looked at are whole numbers (amplitudes up to ${max})`,
    };
  }
  const negative = values.reduce((sum, v) => sum + (v < 0 ? 1 : 0), 0);
  if (negative > ENOUGH_NEGATIVE * values.length) {
    return {
      domain: 'count_intensity',
      reason: `${((100 * negative) / values.length).toFixed(0)} % of the values are negative, as noise around zero is, so they are counts`,
    };
  }
  return inferFromNoise(values, max, evidence);
}

/** The domain of fractional numbers, any of which can be both. */
function inferFromNoise(values: Float32Array, max: number, evidence: DomainEvidence): InferredDomain {
  const { side, tradition, probePower } = evidence;
  const amplitudes: MeasurementDomain = max < LARGEST_NORMALISED ? 'normalized_amplitude' : 'count_amplitude';
  const traditional = tradition === 'intensities' ? 'count_intensity' : amplitudes;
  const verdict = verdictOf(values, side, probePower);
  if (verdict !== undefined) {
    const domain = verdict.look === 'counts' ? 'count_intensity' : amplitudes;
    const size = domain === 'normalized_amplitude' ? `, below ${LARGEST_NORMALISED}` : '';
    const reason = `${verdict.reason} (values up to ${max}${size})`;
    return domain === traditional ? { domain, reason } : { domain, reason, finding: inferred(domain, reason) };
  }
  if (nearlyEqual(values)) {
    return { domain: traditional, reason: `values up to ${max} that hardly differ look the same in any unit` };
  }
  const nothing = 'neither steps nor spread of the values nor the probe tell amplitudes from counts';
  if (tradition === 'intensities') {
    const reason = `${nothing}, and what detectors write is intensities (values up to ${max})`;
    return { domain: traditional, reason, finding: inferred(traditional, reason) };
  }
  if (max < LARGEST_NORMALISED) {
    const reason = `${nothing}, and by the contract of such arrays values below ${LARGEST_NORMALISED} (up to ${max}) are normalised amplitudes`;
    return { domain: traditional, reason, finding: inferred(traditional, reason) };
  }
  return {
    domain: traditional,
    reason: `values reach ${max}, too large for normalised amplitudes (below ${LARGEST_NORMALISED})`,
    finding: {
      code: 'DOMAIN_UNKNOWN',
      severity: 'wrong',
      message: `Nothing declares what the numbers of the patterns are (not whole, up to ${max}), and ${nothing}.`,
      remedy: '--measurement_domain count_intensity for corrected counts, count_amplitude for their square roots',
    },
  };
}

function inferred(domain: MeasurementDomain, reason: string): Finding {
  const rather = domain === 'count_intensity' ? 'count_amplitude or normalized_amplitude' : 'count_intensity';
  return {
    code: 'DOMAIN_INFERRED',
    severity: 'doubt',
    message: `Nothing declares what the numbers of the patterns are; they are taken as ${domain}: ${reason}.`,
    remedy: `--measurement_domain ${domain} where that is right, else ${rather}`,
  };
}

/** What the numbers themselves and the probe say. */
function verdictOf(
  values: Float32Array,
  side: number,
  probePower: number | undefined,
): { readonly look: Look; readonly reason: string } | undefined {
  const steps = stepsOf(values, side);
  if (steps !== undefined) {
    const what = steps === 'counts' ? 'multiples of one, as counts' : 'square roots of such multiples, as amplitudes';
    return { look: steps, reason: `the values of a pattern or of a pixel are ${what} are` };
  }
  const spread = spreadOf(values, side);
  if (spread !== undefined) {
    const what = spread === 'counts' ? 'more where they are larger, as counts' : 'equally, as square roots of counts';
    return { look: spread, reason: `the values spread ${what} do` };
  }
  const probe = probePower === undefined ? undefined : powerLook(values, side, probePower);
  const what = probe === 'counts' ? 'their sum' : 'the sum of their squares';
  return probe && { look: probe, reason: `the power of the probe, ${rounded(probePower!)}, fits ${what} alone` };
}

/** Which reading of the values the probe can have given: it says something only where one fits and the other does not. */
function powerLook(values: Float32Array, side: number, power: number): Look | undefined {
  const patterns = values.length / side ** 2;
  let [counts, squares] = [0, 0];
  for (const v of values) {
    counts += v;
    squares += v * v;
  }
  if (!(power > 0 && counts > 0)) return undefined;
  const passed = { counts: counts / patterns / power, roots: squares / patterns / power };
  const fits = (ratio: number) => ratio >= LEAST_PASSED && ratio <= MOST_PASSED;
  const cannotBe = (ratio: number) => ratio < TOO_LITTLE || ratio > TOO_MUCH;
  if (fits(passed.counts) && cannotBe(passed.roots)) return 'counts';
  return fits(passed.roots) && cannotBe(passed.counts) ? 'roots' : undefined;
}

/** True when all but a few of the values that are not zero are nearly the same: then it does not matter what they are. */
function nearlyEqual(values: Float32Array): boolean {
  const light = values.filter((v) => v > 0).sort();
  if (light.length === 0) return true;
  const few = Math.floor(0.03 * light.length);
  return light[light.length - 1 - few] < NEARLY_EQUAL * light[few];
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
  const enough = () => integerType || values.reduce((n, v) => n + (v > 0 ? 1 : 0), 0) >= ENOUGH_VALUES;
  if (domain !== 'count_intensity' && whole && largest > 1.5 && enough()) {
    const reason = integerType
      ? `the array is of type ${dtype} (values up to ${max})`
      : `all values looked at are whole numbers (up to ${max})`;
    return { reason: `${reason}, as only counts are`, rather: 'count_intensity' };
  }
  if (domain !== 'count_amplitude' && wholeSquares && !whole && roots >= ENOUGH_VALUES) {
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
 * @param looked (n, side, side) some patterns as stored, finite; pixels of no use are 0.
 * @throws PtychoError DATASET_UNITS for unknown words, for option and file that disagree, and for values that cannot be what
 * is declared.
 */
export function settleMeasurementDomain(
  { option, redeclare, declared }: DomainClaims,
  looked: Float32Array,
  dtype: NpyDtype,
  path: string,
  evidence: DomainEvidence,
): InferredDomain {
  const values = thinned(looked, evidence.side);
  const asked = option ? parseMeasurementDomain(option, 'The option measurement_domain') : undefined;
  if (asked === undefined && declared === undefined) {
    const inferred = inferMeasurementDomain(values, dtype, evidence);
    const { finding } = inferred;
    return finding ? { ...inferred, finding: { ...finding, message: `${path}: ${finding.message}` } } : inferred;
  }
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
  if (said === undefined) return { domain, reason: 'it was given' };
  return {
    domain,
    reason: 'the file declares it',
    finding: declaredOtherwise(said, declared!.where, values, dtype, evidence),
  };
}

/** Patterns that are enough to tell what numbers are. */
const ENOUGH_PATTERNS = 16;

/** Some of the patterns, spread evenly. */
function thinned(values: Float32Array, side: number): Float32Array {
  const size = side * side;
  const n = Math.floor(values.length / size);
  if (n <= ENOUGH_PATTERNS) return values;
  return rowsAt(values, size, spreadIndices(n, ENOUGH_PATTERNS));
}

/** A doubt where the steps of fractional values, which are no accident, are those of the other kind of numbers. */
function declaredOtherwise(
  domain: MeasurementDomain,
  where: string,
  values: Float32Array,
  dtype: NpyDtype,
  { side }: DomainEvidence,
): Finding | undefined {
  const { integerType, whole, wholeSquares } = evidenceOf(values, dtype);
  if (integerType || whole || wholeSquares) return undefined;
  const look = stepsOf(values, side);
  if (look === undefined || (look === 'counts') === (domain === 'count_intensity')) return undefined;
  const rather = look === 'counts' ? 'count_intensity' : 'count_amplitude';
  return {
    code: 'DOMAIN_INFERRED',
    severity: 'doubt',
    message: `${where} declares ${domain}, but the values come in the steps of ${look === 'counts' ? 'counts' : 'square roots of counts'}.`,
    remedy: `if that is what they are, write a corrected file with convert --measurement_domain ${rather}`,
  };
}

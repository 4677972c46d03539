/**
 * The scale contract: the one place where units of diffraction, probe and object meet.
 *
 * - `X`, the network's input, is the measured amplitude d divided so that mean Σ X² = (N/2)².
 * - `intensityScale` s turns it into √counts: s·X = √counts, so s = √(mean counts)/(N/2).
 * - The probe is in √count units: λ = |F(P·O)Fᵀ|² is in counts per pixel, for the object O as it is reported.
 * - The network paints O/gauge, so that an amplitude head that starts in the middle of its range starts as the constant
 *   object that explains the mean counts.
 */
import type { ModelConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import type { ComplexTensor } from '../core/tensor.js';
import { generatorOf } from '../networks/architectures.js';
import { intensityScale } from '../physics/detector.js';
import { scaleComplex, totalIntensity } from '../physics/probe.js';

/** The names of the contracts: what the network is fed, what a probe may be, where λ is cut off. */
export type ScaleContract = 'counts_v1' | 'ci_intensity_v2';

/** Units of the patterns; see `specs/data.md`. */
export type ScaleDomain = 'normalized_amplitude' | 'count_amplitude' | 'count_intensity';

/** The scales between data, probe and network; see specs/data.md. */
export interface PhysicsScale {
  /** √counts per unit of normalised amplitude X. */
  readonly intensityScale: number;
  /** Mean photons per pattern that the scale stands for. */
  readonly meanCounts: number;
  /** (N, N), or incoherent modes (P, N, N); √count units. */
  readonly probe: ComplexTensor;
  /** The probe of the file was multiplied by this to become `probe`. */
  readonly probeFactor: number;
  /** Object amplitude per unit of network output. */
  readonly amplitudeGauge: number;
  /** Added to predicted amplitudes, in units of X; only of imported models that learned one. */
  readonly amplitudeOffset?: number;
  /** Only with the contract `ci_intensity_v2`. */
  readonly countIntensity?: CountIntensity;
}

/** What the contract `ci_intensity_v2` fixes from the training patterns; counts I per pixel. */
export interface CountIntensity {
  /** The network is fed I times this: (N/2)/√(mean over patterns of Σ I²). */
  readonly rmsInputScale: number;
  /** Mean I over the usable pixels: the scale of the Poisson loss. */
  readonly meanMeasuredIntensity: number;
}

/** How patterns, probe and object are scaled against each other, as files keep it: without the probe itself. */
export interface ScaleRecord {
  readonly version: ScaleContract;
  /** What the numbers of the training file were. */
  readonly domain: ScaleDomain;
  /** √counts per unit of normalised amplitude, from the data set's statistics (the trained factor is among the weights). */
  readonly intensityScale: number;
  /** Object amplitude per unit of network output. */
  readonly amplitudeGauge: number;
  /** Added to predicted amplitudes, in units of X; only of imported models that learned one. */
  readonly amplitudeOffset?: number;
  /** The probe of the file was multiplied by this to become the model's probe (and then trained, where it is trainable). */
  readonly probeFactor: number;
  /** With `ci_intensity_v2`, and only then. */
  readonly countIntensity?: CountIntensity;
}

/** What files keep of a scale. */
export function recordOfScale(
  { intensityScale, amplitudeGauge, amplitudeOffset, probeFactor, countIntensity }: PhysicsScale,
  version: ScaleContract,
  domain: ScaleDomain,
): ScaleRecord {
  return {
    version,
    domain,
    intensityScale,
    amplitudeGauge,
    probeFactor,
    ...(amplitudeOffset ? { amplitudeOffset } : {}),
    ...(countIntensity ? { countIntensity } : {}),
  };
}

/** The scale that a record, with what files keep beside it, stands for. */
export function scaleOfRecord(
  { intensityScale, amplitudeGauge, amplitudeOffset, probeFactor, countIntensity }: ScaleRecord,
  { meanCounts, probe }: Pick<PhysicsScale, 'meanCounts' | 'probe'>,
): PhysicsScale {
  return {
    intensityScale,
    amplitudeGauge,
    ...(amplitudeOffset ? { amplitudeOffset } : {}),
    probeFactor,
    countIntensity,
    meanCounts,
    probe,
  };
}

/** Predicted counts are kept above this by the contract `ci_intensity_v2`. */
export const COUNT_FLOOR = 1e-8;

/** Where a head starts: a fresh network's amplitude, or that of its unit object, is 1/{@link gaugeFactor}. */
export function gaugeFactor(config: ModelConfig): number {
  return generatorOf(config.architecture).gaugeFactor(config);
}

/** A probe whose power lies in this range, relative to the mean counts, is taken to be in √count units already. */
const PHYSICAL_POWER = { low: 0.5, high: 25 } as const;

export interface ScaleSource {
  /** (N, N), or incoherent modes (P, N, N). */
  readonly probe: ComplexTensor;
  /** Mean over patterns of Σ d², in the file's units, before any normalisation. */
  readonly meanPower: number;
  readonly domain: ScaleDomain;
  /** Photons per pattern of a `normalized_amplitude` scan. */
  readonly nphotons: number;
  /**
   * Mean of Σ|P·O|² over known patches O, P being `probe`: where the object is known, it tells exactly what the probe must be
   * multiplied by.
   */
  readonly illuminatedPower?: number;
  /** Whether a probe whose power does not fit the counts is scaled to them (`probe_normalize`); it is where not given. */
  readonly probeNormalize?: boolean;
  /** `counts_v1` when left out; `ci_intensity_v2` needs counts and never changes the probe. */
  readonly contract?: ScaleContract;
  /** With `ci_intensity_v2`: mean over patterns of Σ I², I = d² in counts, and mean I over usable pixels. */
  readonly intensity?: { readonly meanSquaredSum: number; readonly mean: number };
}

/**
 * Fixes every scale from the data set's statistics and the probe.
 * @throws PtychoError DATASET_VALUE when the patterns or the probe are all dark; DATASET_UNITS when a contract that needs counts
 * is given normalised amplitudes.
 */
export function physicsScale(config: ModelConfig, source: ScaleSource): PhysicsScale {
  if (!(source.meanPower > 0)) {
    throw new PtychoError(
      'DATASET_VALUE',
      'The diffraction patterns are all zero: there is nothing to learn from; check the file or the subset.',
      {
        found: source.meanPower,
      },
    );
  }
  const power = totalIntensity(source.probe);
  if (!(power > 0)) {
    throw new PtychoError(
      'DATASET_VALUE',
      'The probe is all zero: give a probe guess in the file (probeGuess) or with --probe FILE[:key].',
      {
        found: power,
      },
    );
  }
  const meanCounts = source.domain === 'normalized_amplitude' ? source.nphotons : source.meanPower;
  const counting = source.contract === 'ci_intensity_v2';
  if (counting) requireCounts(source.domain, 'this scan');
  const probeFactor =
    counting || source.probeNormalize === false ? 1 : factorOfProbe(power, meanCounts, source.illuminatedPower);
  const rmsObject = Math.sqrt(meanCounts / (power * probeFactor ** 2));
  return {
    intensityScale: intensityScale(meanCounts, config.N),
    meanCounts,
    probe: probeFactor === 1 ? source.probe : scaleComplex(source.probe, probeFactor),
    probeFactor,
    amplitudeGauge: gaugeFactor(config) * rmsObject,
    ...(counting && source.intensity
      ? {
          countIntensity: {
            rmsInputScale: config.N / 2 / Math.sqrt(source.intensity.meanSquaredSum),
            meanMeasuredIntensity: source.intensity.mean,
          },
        }
      : {}),
  };
}

function factorOfProbe(power: number, meanCounts: number, illuminatedPower: number | undefined): number {
  if (illuminatedPower !== undefined && illuminatedPower > 0) return Math.sqrt(meanCounts / illuminatedPower);
  const ratio = power / meanCounts;
  return ratio >= PHYSICAL_POWER.low && ratio <= PHYSICAL_POWER.high ? 1 : Math.sqrt(1 / ratio);
}

/**
 * The contract `ci_intensity_v2` compares with counts; normalised amplitudes have none.
 * @throws PtychoError DATASET_UNITS
 */
export function requireCounts(domain: ScaleDomain, source: string): void {
  if (domain !== 'normalized_amplitude') return;
  throw new PtychoError(
    'DATASET_UNITS',
    `The scale contract ci_intensity_v2 needs counted photons, but ${source} holds normalised amplitudes: use a scan of counts, say so with --measurement_domain if it is one, or use --scale_contract_version counts_v1.`,
    { found: domain, expected: ['count_amplitude', 'count_intensity'] },
  );
}

/**
 * The factor that makes a scan's amplitudes the input of a model. With `counts_v1` it is the scan's own, so that exposure does not
 * matter; with `ci_intensity_v2` the training scan's, because that network is fed counts.
 * @param own - `statistics.inputScale` of the scan
 * @throws PtychoError DATASET_UNITS for normalised amplitudes where the model needs counts.
 */
export function inputScaleFor(
  { scale }: { readonly scale: Pick<ScaleRecord, 'countIntensity' | 'intensityScale'> },
  raw: { readonly domain: ScaleDomain; readonly source: string },
  own: number,
): number {
  if (!scale.countIntensity) return own;
  requireCounts(raw.domain, raw.source);
  return 1 / scale.intensityScale;
}

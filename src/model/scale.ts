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
import { scaleComplex, totalIntensity } from '../physics/probe.js';
import { intensityScale } from '../physics/scale.js';

export const SCALE_CONTRACT_VERSION = 'counts_v1';

/** Units of the patterns; see `specs/data.md`. */
export type ScaleDomain = 'normalized_amplitude' | 'count_amplitude' | 'count_intensity';

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
}

/**
 * Fixes every scale from the data set's statistics and the probe.
 * @throws PtychoError DATASET_VALUE when the patterns or the probe are all dark.
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
  const ratio = power / meanCounts;
  const isPhysical = ratio >= PHYSICAL_POWER.low && ratio <= PHYSICAL_POWER.high;
  const probeFactor = isPhysical ? 1 : Math.sqrt(1 / ratio);
  const rmsObject = isPhysical ? Math.sqrt(1 / ratio) : 1;
  return {
    intensityScale: intensityScale(meanCounts, config.N),
    meanCounts,
    probe: probeFactor === 1 ? source.probe : scaleComplex(source.probe, probeFactor),
    probeFactor,
    // sigmoid(0) = ½: a fresh network then starts at the rms amplitude.
    amplitudeGauge: config.amp_activation === 'sigmoid' ? 2 * rmsObject : rmsObject,
  };
}

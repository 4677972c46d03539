/** The scale contract between training and what comes after: what a bundle keeps of it, and what it demands of a scan. */
import type { TrainingConfig } from '../config/schema.js';
import { sideRemedy } from '../config/sides.js';
import { PtychoError } from '../core/errors.js';
import type { ComplexTensor } from '../core/tensor.js';
import { DiffractionDataset } from '../data/dataset.js';
import type { PreparedScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { type PhysicsScale, requireCounts } from '../model/scale.js';
import type { BundleContent } from '../persistence/bundle.js';
import type { BundleScale } from '../persistence/content.js';
import { scaleComplex } from '../physics/probe.js';

/**
 * @param model what the error calls the model
 * @throws PtychoError DATASET_SHAPE where patterns have another size than those the model was trained on
 */
export function requireSide(raw: Pick<RawData, 'N' | 'source'>, N: number, model: string): void {
  if (raw.N === N) return;
  throw new PtychoError(
    'DATASET_SHAPE',
    `${raw.source} has patterns of ${raw.N}×${raw.N} pixels, but ${model} was trained on ${N}×${N}: use a model of that size, or ${sideRemedy(raw.N, N)}.`,
    { path: raw.source, found: raw.N, expected: N },
  );
}

/** The scale of a network as its bundle records it. */
export function bundleScale(
  config: Pick<TrainingConfig, 'scale_contract_version'>,
  scale: PhysicsScale,
  domain: RawData['domain'],
): BundleScale {
  const { intensityScale, amplitudeGauge, probeFactor, countIntensity } = scale;
  return {
    version: config.scale_contract_version,
    domain,
    intensityScale,
    amplitudeGauge,
    probeFactor,
    ...(countIntensity ? { countIntensity } : {}),
  };
}

/**
 * The factor that makes a scan's amplitudes the input of a model. With `counts_v1` it is the scan's own, so that exposure does not
 * matter; with `ci_intensity_v2` the training scan's, because that network is fed counts.
 * @param own - `statistics.inputScale` of the scan
 * @throws PtychoError DATASET_UNITS for normalised amplitudes where the model needs counts.
 */
export function inputScaleFor(
  { scale }: Pick<BundleContent, 'scale'>,
  raw: Pick<RawData, 'domain' | 'source'>,
  own: number,
): number {
  if (!scale.countIntensity) return own;
  requireCounts(raw.domain, raw.source);
  return 1 / scale.intensityScale;
}

/**
 * A scan normalised as a model wants it, see {@link inputScaleFor}.
 * @throws PtychoError DATASET_UNITS
 */
export function scanForModel(scan: PreparedScan, bundle: Pick<BundleContent, 'scale'>): PreparedScan {
  const { raw, groups, dataset } = scan;
  const factor = inputScaleFor(bundle, raw, dataset.inputScale);
  if (factor === dataset.inputScale) return scan;
  const { patterns, labels } = dataset;
  return { ...scan, dataset: new DiffractionDataset(raw, groups, factor, { patterns, labels, cacheBytes: 0 }) };
}

/**
 * The probe to reconstruct a scan with, and what it must be multiplied by to be in √counts: the scan's own (scans differ in their
 * probes); with a model whose probe was trained, that one.
 */
export function probeFor(
  { config, scale, probe }: Pick<BundleContent, 'config' | 'scale' | 'probe'>,
  raw: Pick<RawData, 'probeGuess'>,
): { readonly probe: ComplexTensor | undefined; readonly factor: number } {
  return config.probe_trainable ? { probe, factor: 1 } : { probe: raw.probeGuess, factor: scale.probeFactor };
}

/** The probe in √counts that a solver begins with: that of {@link probeFor}, or the model's own where the scan has none. */
export function probeInCounts(
  bundle: Pick<BundleContent, 'config' | 'scale' | 'probe'>,
  raw: Pick<RawData, 'probeGuess'>,
): ComplexTensor {
  const { probe, factor } = probeFor(bundle, raw);
  return probe ? scaleComplex(probe, factor) : bundle.probe;
}

/** How a scan and a model fit each other: the scale contract between training and what comes after, and what is doubtful. */
import { SOLVE_PROBE } from '../config/schemas/trainingFields.js';
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import { DiffractionDataset } from '../data/dataset.js';
import { type PreparedScan, prepareScan, type ScanRequest } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { constantPattern, followedReference, INPUT_REFERENCE } from '../model/inputReference.js';
import { INPUT_FACTOR, type ScanFigures, withFactorOf } from '../model/inputScaling.js';
import { CONDITIONING_PROBE, conditioningWeights } from '../model/probeConditioning.js';
import { inputScaleFor } from '../model/scale.js';
import { sideRemedy } from '../networks/sides.js';
import type { Bundle } from '../persistence/bundle.js';
import { hasOwnProbe } from '../persistence/bundleConfig.js';
import { configuredProbeMask, scaleComplex } from '../physics/probe.js';
import { SAME_PROBE, similarity } from './matching/probeFit.js';
import type { StitchedImage } from './patchStitcher.js';
import { type ImageRFactor, type ScoringOptions, scoreR } from './rFactor.js';

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

/**
 * Groups a scan as a model takes it, and normalises it as {@link scanForModel}.
 * @param logger hears {@link exposureDoubts}
 * @param options `once`: the patterns will be read once more only, so that no more than a bounded part is kept
 * @throws PtychoError GROUPING, DATASET_UNITS, and those of reading
 */
export async function groupForModel(
  raw: RawData,
  bundle: Bundle,
  request: ScanRequest,
  logger?: Logger,
  options: { readonly once?: boolean } = {},
): Promise<PreparedScan> {
  const scan = await prepareScan(raw, request, bundle.config.model.gridsize, logger, options);
  for (const doubt of exposureDoubts(bundle, raw, scan.statistics.meanPower)) logger?.warn(doubt);
  return scanForModel(scan, bundle);
}

/**
 * A scan normalised as a model wants it, see {@link inputScaleFor}.
 * @throws PtychoError DATASET_UNITS
 */
export function scanForModel(scan: PreparedScan, bundle: Pick<Bundle, 'scale'>): PreparedScan {
  const { raw, groups, dataset } = scan;
  const factor = inputScaleFor(bundle, raw, dataset.inputScale);
  if (factor === dataset.inputScale) return scan;
  const { patterns, labels } = dataset;
  return { ...scan, dataset: new DiffractionDataset(raw, groups, factor, { patterns, labels, cacheBytes: 0 }) };
}

/**
 * The probe to reconstruct a scan with, and what it must be multiplied by to be in √counts: the scan's own (scans differ in their
 * probes); with a model that has a probe of its own, that one.
 */
export function probeFor(
  { config, scale, probe }: Pick<Bundle, 'config' | 'scale' | 'probe'>,
  raw: Pick<RawData, 'probeGuess'>,
): { readonly probe: ComplexTensor | undefined; readonly factor: number } {
  return hasOwnProbe(config) ? { probe, factor: 1 } : { probe: raw.probeGuess, factor: scale.probeFactor };
}

/** The probe in √counts that a solver begins with: that of {@link probeFor}, or the model's own where the scan has none. */
export function probeInCounts(
  bundle: Pick<Bundle, 'config' | 'scale' | 'probe'>,
  raw: Pick<RawData, 'probeGuess'>,
): ComplexTensor {
  const { probe, factor } = probeFor(bundle, raw);
  return probe ? scaleComplex(probe, factor) : bundle.probe;
}

/**
 * The weights for a scan: those of the model, but a reference of `input_reference: constant`, and what a network with `probe_conditioning`
 * is told of the probe, follow the probe of the scan. A probe
 * of the model's own stays, and with it the reference.
 * @param statistics of the scan, by which it is scaled for the network where that has a factor of the scan
 */
export function weightsFor(
  { config, weights }: Pick<Bundle, 'config' | 'weights'>,
  raw: Pick<RawData, 'probeGuess' | 'badPixels'>,
  statistics?: ScanFigures,
): Bundle['weights'] {
  if (statistics && weights[INPUT_FACTOR]) {
    const scaled = withFactorOf(weights, config, statistics);
    return weightsFor({ config, weights: scaled }, raw);
  }
  if (hasOwnProbe(config)) return weights;
  const kept = weights[INPUT_REFERENCE];
  const followed = kept && referenceFor(config, kept, raw);
  const told = weights[CONDITIONING_PROBE] && raw.probeGuess ? conditioningWeights(raw.probeGuess) : undefined;
  if (followed === kept && !told) return weights;
  return { ...weights, ...(kept && { [INPUT_REFERENCE]: followed }), ...told };
}

/** A reference of `input_reference: constant` for the probe of a scan; the kept one where nothing is to follow. */
export function referenceFor(
  config: Bundle['config'],
  kept: Tensor,
  { probeGuess, badPixels }: Pick<RawData, 'probeGuess' | 'badPixels'>,
): Tensor {
  if (config.input_reference !== 'constant' || !probeGuess) return kept;
  const counts = config.scale_contract_version === 'ci_intensity_v2';
  const mask = configuredProbeMask(config.model);
  const { gaussian_smoothing_sigma: smoothingSigma } = config.model;
  const pattern = (bad?: ArrayLike<number>) =>
    constantPattern(probeGuess, { probeMask: mask, badPixels: bad, counts, smoothingSigma });
  return followedReference(kept, pattern(badPixels), pattern());
}

/** Patterns of so many times more or less light than those of the training hold another noise. */
export const SAME_EXPOSURE = 5;

/** What makes a model a doubtful choice for a scan, each one sentence; empty where nothing does. */
export function doubts(
  bundle: Pick<Bundle, 'scale' | 'probe'> & Partial<Pick<Bundle, 'config'>>,
  raw: RawData,
): string[] {
  const found: string[] = [];
  const counted = (domain: RawData['domain']) => domain !== 'normalized_amplitude';
  if (counted(bundle.scale.domain) !== counted(raw.domain)) {
    found.push(
      `The model was trained on ${bundle.scale.domain}, but ${raw.source} holds ${raw.domain}: amplitudes of the image are right up to a factor only.`,
    );
  }
  // One that was solved for is another on purpose.
  if (raw.probeGuess && bundle.config?.probe !== SOLVE_PROBE) {
    const alike = similarity(raw.probeGuess, bundle.probe);
    if (alike < SAME_PROBE) {
      found.push(
        `The probe of ${raw.source} is not the one that the model was trained with (their intensities correlate to ${alike.toFixed(2)}): expect artefacts, or train with this probe.`,
      );
    }
  }
  return found;
}

/**
 * A doubt where the patterns of a scan hold far more or far fewer counts than those that the model was trained with. Every scan is
 * normalised by its own mean power, so that the scale is right; but noise does not scale.
 * @param meanPower of the scan's patterns: `statistics.meanPower`
 * @returns one sentence, or none; none also where the counts of one of the two are unknown
 */
export function exposureDoubts({ scale, statistics, imported }: Bundle, raw: RawData, meanPower: number): string[] {
  const counted = [scale.domain, raw.domain].every((domain) => domain !== 'normalized_amplitude');
  if (!counted || imported) return [];
  const ratio = meanPower / statistics.meanCounts;
  if (ratio <= SAME_EXPOSURE && ratio >= 1 / SAME_EXPOSURE) return [];
  const [counts, trained] = [meanPower, statistics.meanCounts].map((v) =>
    Number(v.toPrecision(2)).toLocaleString('en'),
  );
  const times = Number((ratio > 1 ? ratio : 1 / ratio).toPrecision(2));
  return [
    `The patterns of ${raw.source} hold ${counts} counts each, ${times} times ${ratio > 1 ? 'more' : 'fewer'} than those that the model was trained with (${trained}): it has not seen such noise, so expect a worse image, or train with patterns of this exposure.`,
  ];
}

/** {@link scoreR} of an image that a model made, with the probe of {@link probeFor}. */
export function scoreImage(
  limit: number,
  bundle: Pick<Bundle, 'config' | 'scale' | 'probe'>,
  raw: RawData,
  stitched: StitchedImage,
  positions?: ScoringOptions['positions'],
): Promise<ImageRFactor | undefined> {
  const { probe, factor } = probeFor(bundle, raw);
  const of = hasOwnProbe(bundle.config) ? 'model' : 'scan';
  return scoreR(raw, stitched, { limit, probe: probe && scaleComplex(probe, factor), of, positions });
}

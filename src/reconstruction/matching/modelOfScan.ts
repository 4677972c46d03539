/**
 * What a model that was trained on several scans is for one of them, and for a scan that it never saw: the network is the same, probe
 * and scale are those of the scan.
 *
 * @example
 * const own = await modelOfScan(model, raw, logger); // then as any model of one scan
 */
import { PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import type { ComplexTensor, Tensor } from '../../core/tensor.js';
import { counted } from '../../core/words.js';
import { measureStatistics, type PatternStatistics } from '../../data/normalise.js';
import type { RawData } from '../../data/rawData.js';
import { probeParameters } from '../../model/forward.js';
import { INPUT_REFERENCE } from '../../model/inputReference.js';
import { LOG_INTENSITY_SCALE } from '../../model/network.js';
import { CONDITIONING_PROBE, conditioningWeights } from '../../model/probeConditioning.js';
import { physicsScale, recordOfScale } from '../../model/scale.js';
import type { Bundle } from '../../persistence/bundle.js';
import type { BundleScan } from '../../persistence/content.js';
import { probeHash } from '../../persistence/runState.js';
import type { PtychoModel } from '../ptychoModel.js';
import { referenceFor, SAME_EXPOSURE } from '../scanForModel.js';
import { SAME_PROBE, similarity } from './probeFit.js';

/** What of a scan the choice depends on. */
type ChosenBy = Pick<RawData, 'source' | 'probeGuess' | 'domain' | 'badPixels' | 'patterns' | 'count'>;

/**
 * The model for a scan, on the same engine: with what training made of its probe, where it is one of the training; with the scan's own
 * else. A model of one scan is returned as it is.
 * @param raw of the side of the model
 * @param logger hears which it is, and a doubt where the network has seen nothing like it
 * @param experiment which of the scans of the training it is, counted from 0; null: the one with the same probe
 * @throws PtychoError CONFIG_INVALID for an `experiment` that there is not; those of reading patterns and of `physicsScale`
 */
export async function modelOfScan<B extends Bundle>(
  model: PtychoModel<B>,
  raw: ChosenBy,
  logger?: Logger,
  experiment: number | null = null,
): Promise<PtychoModel<B>> {
  const { scans } = model.bundle;
  if (experiment !== null && experiment >= (scans?.length ?? 1)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `experiment_number is ${experiment}, but the model was trained on ${counted(scans?.length ?? 1, 'scan')}, counted from 0; leave it out, and the scan with the same probe is found.`,
      { key: 'experiment_number', found: experiment, expected: (scans?.length ?? 1) - 1 },
    );
  }
  if (!scans) return model;
  const statistics = await measureStatistics(raw.patterns, undefined, { badPixels: raw.badPixels });
  if (experiment !== null) {
    logger?.info(
      `${raw.source} is taken for ${scans[experiment].name}, number ${experiment} of the scans of the model.`,
    );
    return model.as(viewOf(model.bundle, atExposure(scans[experiment], raw, statistics)));
  }
  const known = nearest(
    scans.filter(({ probeSha256 }) => probeSha256 === probeHash(raw)),
    statistics.meanPower,
  );
  const of = `the ${scans.length} scans that the model was trained on`;
  if (known) {
    logger?.info(`${raw.source} has the probe of ${known.name}, one of ${of}.`);
    return model.as(viewOf(model.bundle, atExposure(known, raw, statistics)));
  }
  if (!raw.probeGuess) {
    const [first] = scans;
    logger?.warn(
      `${raw.source} holds no probe, and the model knows ${scans.length}: that of ${first.name} is taken; give the right one with --probe FILE[:key].`,
    );
    return model.as(viewOf(model.bundle, first));
  }
  sayHowNew(scans, raw, of, logger);
  for (const doubt of exposureDoubt(scans, raw, statistics.meanPower)) logger?.warn(doubt);
  return model.as(viewOf(model.bundle, ofNewScan(model.bundle, scans, raw, statistics)));
}

/** {@link modelOfScan} of each network of an ensemble, which were trained on the same scans. */
export async function modelsOfScan<B extends Bundle>(
  models: readonly PtychoModel<B>[],
  raw: ChosenBy,
  logger?: Logger,
  experiment: number | null = null,
): Promise<PtychoModel<B>[]> {
  const own: PtychoModel<B>[] = [];
  // What the first says of the scan, the others would say again.
  for (const [i, model] of models.entries()) own.push(await modelOfScan(model, raw, i === 0 ? logger : undefined, experiment)); // biome-ignore format: one call
  return own;
}

/** The probe that a model has of its own for a scan: of several scans that of this one, or none where it was not trained on. */
export function trainedProbeFor({ scans, probe }: Bundle, raw: Pick<RawData, 'probeGuess'>): ComplexTensor | undefined {
  if (!scans) return probe;
  const sum = probeHash(raw);
  return scans.find(({ probeSha256 }) => probeSha256 === sum)?.probe;
}

/** The scan whose patterns hold most nearly as much. */
function nearest(scans: readonly BundleScan[], meanPower: number): BundleScan | undefined {
  const distance = ({ statistics }: BundleScan) => Math.abs(Math.log(meanPower / statistics.meanPower));
  return scans.reduce<BundleScan | undefined>(
    (best, scan) => (best === undefined || distance(scan) < distance(best) ? scan : best),
    undefined,
  );
}

function sayHowNew(scans: readonly BundleScan[], raw: ChosenBy, of: string, logger: Logger | undefined): void {
  const { probeGuess } = raw;
  if (!probeGuess) return;
  const alike = scans.map((scan) => similarity(probeGuess, scan.probe));
  const best = alike.indexOf(Math.max(...alike));
  const facts = `The probe of ${raw.source} is none of those of ${of}; the likest is that of ${scans[best].name} (their intensities correlate to ${alike[best].toFixed(2)})`;
  if (alike[best] < SAME_PROBE) logger?.warn(`${facts}: expect artefacts, or train with this probe.`);
  else logger?.info(`${facts}.`);
}

/** A doubt where no scan of the training held a similar number of counts. */
function exposureDoubt(scans: readonly BundleScan[], raw: ChosenBy, meanPower: number): string[] {
  const counts = scans
    .filter(({ scale }) => scale.domain !== 'normalized_amplitude')
    .map((s) => s.statistics.meanCounts);
  if (raw.domain === 'normalized_amplitude' || counts.length === 0) return [];
  const [low, high] = [Math.min(...counts), Math.max(...counts)];
  if (meanPower >= low / SAME_EXPOSURE && meanPower <= high * SAME_EXPOSURE) return [];
  const [here, least, most] = [meanPower, low, high].map((v) => Number(v.toPrecision(2)).toLocaleString('en'));
  return [
    `The patterns of ${raw.source} hold ${here} counts each, those that the model was trained with ${least} to ${most}: it has not seen such noise, so expect a worse image, or train with patterns of this exposure.`,
  ];
}

/** The bundle as that of one of its scans. */
function viewOf<B extends Bundle>(bundle: B, { scale, statistics, probe, weights }: BundleScan): B {
  return { ...bundle, scale, statistics, probe, weights: { ...bundle.weights, ...weights }, scans: undefined };
}

/** A scan of the training, or another with its probe, as bright as its patterns are. */
function atExposure(
  known: BundleScan,
  { domain }: ChosenBy,
  { meanPower, meanAmplitude, count }: PatternStatistics,
): BundleScan {
  const { scale, weights } = known;
  // Where there are no counts, or where they are absolute, the scale of the training stays.
  if (domain === 'normalized_amplitude' || scale.countIntensity) return known;
  const factor = Math.sqrt(meanPower / known.statistics.meanCounts);
  const trained = weights[LOG_INTENSITY_SCALE];
  return {
    ...known,
    scale: {
      ...scale,
      intensityScale: scale.intensityScale * factor,
      amplitudeGauge: scale.amplitudeGauge * factor,
    },
    statistics: { meanPower, meanCounts: meanPower, meanAmplitude, nPatterns: count },
    weights: trained
      ? { ...weights, [LOG_INTENSITY_SCALE]: { ...trained, data: trained.data.map((v) => v + Math.log(factor)) } }
      : weights,
  };
}

/**
 * What a scan has of its own that the model was not trained on: its scale by the rule of training, the factors that training found for
 * the other scans by their mean, the reference of its own probe.
 */
function ofNewScan(
  { config, scale: { version } }: Bundle,
  scans: readonly BundleScan[],
  raw: ChosenBy,
  statistics: PatternStatistics,
): BundleScan {
  const scale = physicsScale(config.model, {
    probe: raw.probeGuess as NonNullable<ChosenBy['probeGuess']>,
    meanPower: statistics.meanPower,
    domain: raw.domain,
    nphotons: config.nphotons,
    probeNormalize: config.probe_normalize,
    contract: version,
    intensity: { meanSquaredSum: statistics.meanSquaredIntensity, mean: statistics.meanCountsPerPixel },
  });
  const [{ weights: first }] = scans;
  const weights: Record<string, Tensor> = {};
  for (const [name, { data, shape }] of Object.entries(first)) {
    weights[name] = { data: data.map((_, i) => meanOf(scans, ({ weights: own }) => own[name].data[i])), shape };
  }
  if (first[LOG_INTENSITY_SCALE]) {
    const trained = (scan: BundleScan) =>
      scan.weights[LOG_INTENSITY_SCALE].data[0] - Math.log(scan.scale.intensityScale);
    const log = Math.log(scale.intensityScale) + meanOf(scans, trained);
    weights[LOG_INTENSITY_SCALE] = { data: Float32Array.of(log), shape: [] };
  }
  const kept = first[INPUT_REFERENCE];
  if (kept) weights[INPUT_REFERENCE] = referenceFor(config, kept, raw);
  if (config.probe_trainable) Object.assign(weights, probeParameters(config.model, scale));
  if (first[CONDITIONING_PROBE]) Object.assign(weights, conditioningWeights(scale.probe));
  return {
    name: raw.source,
    role: 'validation',
    probeSha256: probeHash(raw),
    scale: recordOfScale(scale, version, raw.domain),
    statistics: {
      meanPower: statistics.meanPower,
      meanCounts: scale.meanCounts,
      meanAmplitude: statistics.meanAmplitude,
      nPatterns: raw.count,
    },
    probe: scale.probe,
    weights,
  };
}

function meanOf(scans: readonly BundleScan[], of: (scan: BundleScan) => number): number {
  return scans.reduce((sum, scan) => sum + of(scan), 0) / scans.length;
}

/**
 * From configurations and bundles to networks: the one place where a knob of the configuration becomes a property of the network,
 * for training and for what is opened later alike.
 *
 * @example
 * const network = networkOfScan(config, scan, test, logger); // before training
 * const again = networkOfBundle(bundle, bundle.canvasSide_px); // the same network, from its bundle
 */
import type { TrainingConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { findLabels, type LabelSource } from '../data/labels.js';
import type { PreparedScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { PROBE_PARAMETERS } from '../model/forward.js';
import { LOG_INTENSITY_SCALE, type NetworkSpec, needsLabels, PtychoNetwork } from '../model/network.js';
import { optimiserOptions } from '../model/optimisers/kinds.js';
import { RECTANGULAR_PARAMETERS } from '../model/rectangular.js';
import { type PhysicsScale, physicsScale, requireCounts, scaleOfRecord } from '../model/scale.js';
import type { Bundle } from '../persistence/bundle.js';
import type { BundleConfig } from '../persistence/bundleConfig.js';
import { probeMask } from '../physics/probe.js';

/** What of a network comes from data and not from the configuration. */
type FromData = Pick<NetworkSpec, 'scale' | 'canvasSide_px' | 'meanAmplitude' | 'badPixels' | 'labelShare'>;

/** Every knob of a training configuration that shapes the network and its programs, with what the data say. */
export function networkSpec(config: BundleConfig | TrainingConfig, data: FromData): NetworkSpec {
  const { model, probe_trainable, probe_learning_rate: probeRate, learning_rate } = config;
  return {
    ...data,
    config: model,
    nll_weight: config.nll_weight,
    mae_weight: config.mae_weight,
    realspace_weight: config.realspace_weight,
    realspace_mae_weight: config.realspace_mae_weight,
    tv_weight: config.tv_weight,
    matchPredictedNorm: config.torch_mae_pred_l2_match_target,
    staged: config.stage_1_epochs + config.stage_2_epochs > 0,
    // Labels know nothing of counts: supervised training has no intensity scale to train.
    intensity_scale_trainable: config.intensity_scale_trainable && model.model_type !== 'supervised',
    probe_trainable,
    position_trainable: config.position_trainable,
    probeMask: model.probe_mask ? probeMask(model.N).data : undefined,
    optimiser: optimiserOptions(
      { ...config, execution: { accum_steps: config.execution?.accum_steps ?? 1 } },
      {
        rateFactors:
          probe_trainable && probeRate !== null
            ? Object.fromEntries(PROBE_PARAMETERS.map((name) => [name, probeRate / learning_rate]))
            : undefined,
        // Scales and the probe are physical values: decay would make them wrong, not small.
        undecayed: [...PROBE_PARAMETERS, ...RECTANGULAR_PARAMETERS, LOG_INTENSITY_SCALE],
      },
    ),
  };
}

/**
 * The labels that a configuration needs of a scan; undefined when it needs none.
 * @throws PtychoError DATASET_KEY_MISSING (guard DATA-SUP-001) where it needs them and the scan has none.
 */
export async function labelsFor(
  config: Pick<TrainingConfig, 'realspace_weight' | 'realspace_mae_weight' | 'model'>,
  raw: RawData,
  logger?: Logger,
): Promise<LabelSource | undefined> {
  if (!needsLabels({ ...config, config: config.model })) return undefined;
  const labels = await findLabels(raw);
  logger?.info(
    `Known patches: ${labels.origin}; their mean phase of ${labels.meanPhase.toPrecision(3)} rad is left out${labels.knownShare < 1 ? `; ${(100 * labels.knownShare).toFixed(1)} % of their pixels are known, and only those count` : ''}.`,
  );
  return labels;
}

/** A scan whose batches have known patches. */
export function withLabels(scan: PreparedScan, labels: LabelSource | undefined): PreparedScan {
  return labels ? { ...scan, dataset: scan.dataset.withLabels(labels) } : scan;
}

/**
 * The network for training on a scan.
 * @throws PtychoError DATASET_KEY_MISSING without a probe, DATASET_UNITS where the scale contract needs counts and a scan has
 * none, and those of {@link physicsScale}.
 */
export function networkOfScan(
  config: TrainingConfig,
  { raw, statistics, dataset }: PreparedScan,
  test: PreparedScan | undefined,
  logger: Logger,
): PtychoNetwork {
  if (!raw.probeGuess) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${raw.source} holds no probeGuess: add it to the file, give one with --probe FILE[:key], or have one guessed from the patterns with --probe auto.`,
      {
        key: 'probeGuess',
        path: raw.source,
      },
    );
  }
  if (config.scale_contract_version === 'ci_intensity_v2') {
    for (const part of [raw, ...(test ? [test.raw] : [])]) requireCounts(part.domain, part.source);
  }
  const scale = physicsScale(config.model, {
    probe: raw.probeGuess,
    meanPower: statistics.meanPower,
    domain: raw.domain,
    nphotons: config.nphotons,
    illuminatedPower: dataset.labels?.illuminatedPower,
    contract: config.scale_contract_version,
    intensity: { meanSquaredSum: statistics.meanSquaredIntensity, mean: statistics.meanCountsPerPixel },
  });
  describeProbe(scale, dataset.labels !== undefined, logger);
  return new PtychoNetwork(
    networkSpec(config, {
      scale,
      canvasSide_px: Math.max(dataset.canvasSide_px, test?.dataset.canvasSide_px ?? 0),
      meanAmplitude: statistics.meanAmplitude,
      badPixels: eitherBad(raw.badPixels, test?.raw.badPixels),
      labelShare: labelShareOf(dataset.labels, test?.dataset.labels),
    }),
  );
}

/** One program serves both scans, so that it looks for unknown pixels where either has such. */
function labelShareOf(train: LabelSource | undefined, test: LabelSource | undefined): number | undefined {
  return train && Math.min(train.knownShare, test?.knownShare ?? 1) < 1 ? train.knownShare : undefined;
}

function describeProbe({ probeFactor, meanCounts }: PhysicsScale, labelled: boolean, logger: Logger): void {
  if (probeFactor === 1) return;
  const [factor, photons] = [probeFactor.toPrecision(4), meanCounts.toPrecision(4)];
  logger.info(
    labelled
      ? `The probe was scaled by ${factor}, so that the known patches explain the mean of ${photons} photons per pattern.`
      : `The probe's power does not fit the counts, so it was scaled by ${factor} to the mean of ${photons} photons per pattern; the object's amplitude is then about 1.`,
  );
}

/** The network that a bundle's weights belong to, for groups within `canvasSide_px`. */
export function networkOfBundle(
  bundle: Pick<Bundle, 'config' | 'scale' | 'statistics' | 'probe'>,
  canvasSide_px: number,
): PtychoNetwork {
  const { config, statistics, probe } = bundle;
  const { meanCounts, meanAmplitude } = statistics;
  const scale = scaleOfRecord(bundle.scale, { meanCounts, probe });
  return new PtychoNetwork(networkSpec(config, { scale, canvasSide_px, meanAmplitude }));
}

/** A pixel that one of the scans cannot use is used for neither. */
function eitherBad(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.map((bad, i) => bad | b[i]);
}

/** From grouped scans to the network that learns from them. */

import type { TrainingConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { requireEpochMemory, requireMemory } from '../core/memoryBudget.js';
import { sizeOf } from '../core/tensor.js';
import type { LabelSource } from '../data/labels.js';
import type { PreparedScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { inputFactor } from '../model/inputScaling.js';
import { type NetworkSpec, PtychoNetwork } from '../model/network.js';
import { type PhysicsScale, physicsScale, requireCounts } from '../model/scale.js';
import type { ScanTerms } from '../model/scanRows.js';
import { architecturesWith } from '../networks/architectures.js';
import { networkSpec } from '../reconstruction/networkSpec.js';

/** What a network is built from besides the scans that it learns from. */
interface BuildOptions {
  readonly test: PreparedScan | undefined;
  /** Every scan, the test scan included, has scales and a probe of its own. */
  readonly several: boolean;
  /** Photons per pattern of a scan that holds normalised amplitudes. */
  readonly photons: (raw: RawData) => number;
  readonly logger: Logger;
}

/**
 * The network for training on scans.
 * @throws PtychoError DATASET_KEY_MISSING without a probe, DATASET_UNITS where the scale contract needs counts and a scan has
 * none, and those of {@link physicsScale}.
 */
export function networkOfScans(
  config: TrainingConfig,
  scans: readonly PreparedScan[],
  options: BuildOptions,
): PtychoNetwork {
  const { test, several, logger } = options;
  const all = [...scans, ...(test ? [test] : [])];
  const [{ dataset }] = scans;
  if (config.scale_contract_version === 'ci_intensity_v2') {
    for (const { raw } of all) requireCounts(raw.domain, raw.source);
  }
  const terms = (several ? all : scans.slice(0, 1)).map((scan) => termsOf(config, scan, options));
  terms.forEach(({ scale }, i) => {
    describeProbe(scale, all[i].dataset.labels !== undefined, several ? all[i].raw.source : undefined, logger);
  });
  const [first] = terms;
  const spec: NetworkSpec = networkSpec(config, {
    ...first,
    canvasSide_px: Math.max(...all.map((scan) => scan.dataset.canvasSide_px)),
    badPixels: several ? first.badPixels : eitherBad(scans[0].raw.badPixels, test?.raw.badPixels),
    labelShare: labelShareOf(dataset.labels, ...all.slice(1).map((scan) => scan.dataset.labels)),
  });
  const network = withRoom(new PtychoNetwork(several ? { ...spec, scans: terms } : spec), config);
  requireRoom(config, network, logger);
  return network;
}

/** Scale and dead pixels of a scan. */
function termsOf(
  config: TrainingConfig,
  { raw, statistics, dataset }: PreparedScan,
  { photons }: BuildOptions,
): ScanTerms {
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
  const scale = physicsScale(config.model, {
    probe: raw.probeGuess,
    meanPower: statistics.meanPower,
    domain: raw.domain,
    nphotons: photons(raw),
    illuminatedPower: dataset.labels?.illuminatedPower,
    probeNormalize: config.probe_normalize,
    contract: config.scale_contract_version,
    intensity: { meanSquaredSum: statistics.meanSquaredIntensity, mean: statistics.meanCountsPerPixel },
  });
  const { meanAmplitude } = statistics;
  return { scale, meanAmplitude, badPixels: raw.badPixels, inputFactor: inputFactor(config, statistics) };
}

/** One program serves all scans, so that it looks for unknown pixels where any has such. */
function labelShareOf(
  train: LabelSource | undefined,
  ...others: readonly (LabelSource | undefined)[]
): number | undefined {
  const least = Math.min(train?.knownShare ?? 1, ...others.map((labels) => labels?.knownShare ?? 1));
  return train && least < 1 ? train.knownShare : undefined;
}

/** @param source where several scans must be told apart */
function describeProbe(
  { probeFactor, meanCounts }: PhysicsScale,
  labelled: boolean,
  source: string | undefined,
  logger: Logger,
): void {
  if (probeFactor === 1) return;
  const of = source === undefined ? '' : ` of ${source}`;
  const [factor, photons] = [probeFactor.toPrecision(4), meanCounts.toPrecision(4)];
  logger.info(
    labelled
      ? `The probe${of} was scaled by ${factor}, so that the known patches explain the mean of ${photons} photons per pattern.`
      : `The probe's power${of} does not fit the counts, so it was scaled by ${factor} to the mean of ${photons} photons per pattern; the object's amplitude is then about 1.`,
  );
}

/** A pixel that one of the scans cannot use is used for neither. */
function eitherBad(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.map((bad, i) => bad | b[i]);
}

/**
 * Refuses networks whose weights do not fit into memory: each goes with its gradient and two moments of the optimiser; and more
 * epochs than figures can be kept of.
 * @throws PtychoError OUT_OF_MEMORY
 */
function requireRoom(config: TrainingConfig, network: PtychoNetwork, logger: Logger): void {
  const weights = network.parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const { architecture } = config.model;
  const width = architecturesWith('fno_width').includes(architecture) ? 'fno_width' : 'n_filters_scale';
  requireMemory(
    16 * weights,
    `The ${weights} weights of a network of ${width} ${config.model[width]}, with what trains them,`,
    {
      remedy: `take a smaller one (--${width})`,
      logger,
    },
  );
  requireEpochMemory(config.nepochs + config.epochs_fine_tune, '--nepochs');
}

/** The same network on a canvas with room for positions that move. */
function withRoom(network: PtychoNetwork, config: TrainingConfig): PtychoNetwork {
  const margin = positionMargin(config);
  if (margin === 0) return network;
  return new PtychoNetwork({ ...network.spec, canvasSide_px: network.spec.canvasSide_px + 2 * margin });
}

/** How far positions may go, in pixels, where no limit is given; beyond, the corner of a patch leaves the canvas. */
const USUAL_POSITION_ERROR_PX = 3;

/** Room on each side of the canvas for positions that move: a member against the mean of its group. */
function positionMargin({ position_trainable, position_step_limit_px, model }: TrainingConfig): number {
  if (!position_trainable || model.gridsize === 1) return 0;
  return Math.ceil(2 * (position_step_limit_px ?? USUAL_POSITION_ERROR_PX));
}

/**
 * From configurations and bundles to networks: the one place where a knob of the configuration becomes a property of the network,
 * for training and for what is opened later alike.
 */
import type { TrainingConfig } from '../config/schema.js';
import { PROBE_PARAMETERS } from '../model/forward.js';
import { LOG_INTENSITY_SCALE, type NetworkSpec, PtychoNetwork } from '../model/network.js';
import { optimiserOptions } from '../model/optimisers/kinds.js';
import { RECTANGULAR_PARAMETERS } from '../model/rectangular.js';
import { scaleOfRecord } from '../model/scale.js';
import type { Bundle } from '../persistence/bundle.js';
import type { BundleConfig } from '../persistence/bundleConfig.js';
import { configuredProbeMask } from '../physics/probe.js';

/** What of a network comes from data and not from the configuration. */
type FromData = Pick<
  NetworkSpec,
  'scale' | 'canvasSide_px' | 'meanAmplitude' | 'badPixels' | 'labelShare' | 'inputFactor'
>;

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
    overlap_weight: config.overlap_weight,
    amplitudeLoss: partLossOf(config.amp_loss, config.amp_loss_coeff),
    phaseLoss: partLossOf(config.phase_loss, config.phase_loss_coeff),
    matchPredictedNorm: config.torch_mae_pred_l2_match_target,
    staged: config.stage_1_epochs + config.stage_2_epochs > 0,
    // Labels know nothing of counts: supervised training has no intensity scale to train.
    intensity_scale_trainable: config.intensity_scale_trainable && model.model_type !== 'supervised',
    probe_trainable,
    position_trainable: config.position_trainable,
    inputScaling: config.normalize === 'Batch' && config.data_scaling === 'Parseval' ? undefined : config,
    inputReference: config.input_reference === 'none' ? undefined : config.input_reference,
    probeConditioning: config.probe_conditioning === 'film',
    patternSpread: config.auto_restart === true,
    probeMask: configuredProbeMask(model),
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

const partLossOf = (kind: TrainingConfig['amp_loss'], weight: number) => (kind ? { kind, weight } : undefined);

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

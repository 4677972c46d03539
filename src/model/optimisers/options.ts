/** From the configuration of a run to the options of its optimiser. */
import type { TrainingConfig } from '../../config/schema.js';
import { type OptimiserOptions, optimiserDefaults } from './optimiser.js';

/** What the optimiser takes from the configuration. */
export type OptimiserConfig = Pick<
  TrainingConfig,
  | 'optimizer'
  | 'adam_beta1'
  | 'adam_beta2'
  | 'momentum'
  | 'weight_decay'
  | 'gradient_clip_val'
  | 'gradient_clip_algorithm'
  | 'weight_averaging'
> & { readonly execution: Pick<TrainingConfig['execution'], 'accum_steps'> };

/**
 * The optimiser that a configuration asks for.
 *
 * @param special - What only the network knows: parameters that have a rate of their own or do not decay.
 */
export function optimiserOptions(
  config: OptimiserConfig,
  special: Pick<OptimiserOptions, 'rateFactors' | 'undecayed'> = {},
): OptimiserOptions {
  return {
    kind: config.optimizer,
    beta1: config.adam_beta1,
    beta2: config.adam_beta2,
    epsilon: optimiserDefaults.epsilon,
    momentum: config.momentum,
    weightDecay: config.weight_decay,
    clip:
      config.gradient_clip_val === null
        ? null
        : { algorithm: config.gradient_clip_algorithm, limit: config.gradient_clip_val },
    averaging: config.weight_averaging,
    accumulates: config.execution.accum_steps > 1,
    ...special,
  };
}

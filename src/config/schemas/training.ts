/**
 * A training run.
 *
 * `N` has no default on purpose: it is the side of the patterns in the data file, so a run is described by a
 * {@link TrainingRequest} (N may be missing) until `finaliseTrainingConfig` has seen the data.
 *
 * @example
 * const config = trainingConfigSchema.parse({ model: { N: 64, gridsize: 2 }, nepochs: 20 });
 * config.model.n_filters_scale; // 2
 */

import { z } from 'zod';
import { field } from '../field.js';
import {
  belowOne,
  flag,
  nonNegativeNumber,
  oneOf,
  openUnitInterval,
  optional,
  path,
  positiveInteger,
  positiveNumber,
  powerOfTwo,
  seedNumber,
  unitInterval,
  wholeNumber,
} from '../kinds.js';
import { type DataConfig, dataConfigSchema } from './data.js';
import { checkEngine, type ExecutionConfig, executionConfigSchema } from './execution.js';
import { type ModelConfig, type ModelRequest, modelConfigSchema, modelRequestSchema } from './model.js';
import { groupCount, samplingFields, sequentialSampling, sourceFields } from './sampling.js';

/** Groups that a training run has where nothing is said; `finaliseTrainingConfig` caps it at the number of patterns. */
export const DEFAULT_GROUPS = 512;

const trainingFields = {
  train_data_file: field(optional(path), null, 'Scan to train on.', { legacyKey: 'train_data_file_path' }),
  test_data_file: field(optional(path), null, 'Scan to validate on; null: val_fraction of the training groups.', {
    legacyKey: 'test_data_file_path',
    aliases: ['test_data'],
  }),
  output_dir: field(path, 'training_outputs', 'Folder of the trained bundle and its reports; made if missing.', {
    legacyKey: 'output_prefix',
  }),
  nepochs: field(positiveInteger, 50, 'Passes over the training groups.', { unit: 'epochs', formerly: ['max_epochs'] }),
  batch_size: field(powerOfTwo, 16, 'Groups in one training step.', { unit: 'groups' }),
  learning_rate: field(positiveNumber, 1e-3, 'Step size of Adam at the start.', {
    legacyKey: null,
    alsoIn: 'execution',
    formerly: ['torch_learning_rate'],
  }),
  scheduler: field(
    oneOf('Default', 'Exponential', 'WarmupCosine', 'ReduceLROnPlateau'),
    'Default',
    'Learning rate over the epochs: Default is constant, Exponential multiplies by 0.95 an epoch.',
    { alsoIn: 'execution', formerly: ['torch_scheduler'] },
  ),
  lr_warmup_epochs: field(wholeNumber, 0, 'WarmupCosine: epochs of linear rise from a tenth of the rate.', {
    unit: 'epochs',
  }),
  lr_min_ratio: field(unitInterval, 0.1, 'WarmupCosine: the last rate as a fraction of learning_rate.'),
  plateau_factor: field(openUnitInterval, 0.5, 'ReduceLROnPlateau: factor on the rate when the loss stands still.', {
    formerly: ['torch_plateau_factor'],
  }),
  plateau_patience: field(wholeNumber, 2, 'ReduceLROnPlateau: epochs without improvement before the rate falls.', {
    unit: 'epochs',
    formerly: ['torch_plateau_patience'],
  }),
  plateau_min_lr: field(nonNegativeNumber, 5e-5, 'ReduceLROnPlateau: the rate never falls below this.', {
    formerly: ['torch_plateau_min_lr'],
  }),
  plateau_threshold: field(nonNegativeNumber, 0, 'ReduceLROnPlateau: relative improvement that counts.', {
    formerly: ['torch_plateau_threshold'],
  }),
  optimizer: field(oneOf('adam'), 'adam', 'Who takes the steps.', { unavailable: ['adamw', 'sgd'] }),
  adam_beta1: field(belowOne, 0.9, 'Decay of the first moment of Adam.'),
  adam_beta2: field(belowOne, 0.999, 'Decay of the second moment of Adam.'),
  momentum: field(belowOne, 0.9, 'Momentum of stochastic gradient descent; Adam has none.', { fixed: true }),
  weight_decay: field(nonNegativeNumber, 0, 'Decay of the weights in each step.', { fixed: true }),
  gradient_clip_val: field(optional(positiveNumber), null, 'Limit of the gradients; null: none.', {
    fixed: true,
    alsoIn: 'execution',
  }),
  gradient_clip_algorithm: field(oneOf('norm'), 'norm', 'How gradients are limited where gradient_clip_val says so.', {
    unavailable: ['value', 'agc'],
    alsoIn: 'execution',
  }),
  nll_weight: field(unitInterval, 1, 'Weight of the Poisson negative log-likelihood of the diffraction.'),
  mae_weight: field(unitInterval, 0, 'Weight of the mean absolute error of the diffraction amplitude.'),
  realspace_mae_weight: field(nonNegativeNumber, 0, 'Weight of the mean absolute error of the object.', {
    fixed: true,
  }),
  realspace_weight: field(nonNegativeNumber, 0, 'Weight of the losses of the object as a whole.', { fixed: true }),
  torch_loss_mode: field(oneOf('poisson'), 'poisson', 'Loss of the PyTorch family.', {
    unavailable: ['mae'],
    instead: 'nll_weight and mae_weight choose the loss: --nll_weight 0 --mae_weight 1',
  }),
  torch_mae_pred_l2_match_target: field(
    flag,
    false,
    'Scale each prediction to the norm of its target before the mean absolute error.',
    { fixed: true },
  ),
  nphotons: field(positiveNumber, 1e9, 'Expected photons per pattern; sets the scale of the Poisson loss.', {
    unit: 'photons',
  }),
  intensity_scale_trainable: field(flag, true, 'Train the factor between normalised amplitudes and counts.', {
    legacyKey: 'intensity_scale.trainable',
  }),
  probe_trainable: field(flag, false, 'Train the probe.', { legacyKey: 'probe.trainable', fixed: true }),
  position_trainable: field(flag, false, 'Train the scan positions.', { legacyKey: null, fixed: true }),
  position_learning_rate: field(
    optional(positiveNumber),
    null,
    'Step size of the positions; null: that of learning_rate.',
    { unit: 'px', legacyKey: null, fixed: true },
  ),
  position_step_limit_px: field(
    optional(positiveNumber),
    null,
    'A position moves at most this far from its measured place; null: no limit.',
    { unit: 'px', legacyKey: null, fixed: true },
  ),
  positions_provided: field(flag, true, 'The scan positions are measured, not nominal ones.', {
    legacyKey: 'positions.provided',
    fixed: true,
  }),
  n_groups: field(
    groupCount,
    null,
    `Groups to train on; null: ${DEFAULT_GROUPS}, or one for each pattern where there are fewer; all: one for each pattern.`,
    { unit: 'groups', formerly: ['n_images'] },
  ),
  ...samplingFields,
  sequential_sampling: field(flag, false, sequentialSampling),
  val_fraction: field(
    belowOne,
    0.05,
    'Share of the groups kept for validation where no test_data_file is given; 0: none.',
    { legacyKey: null },
  ),
  seed: field(seedNumber, 0, 'Seed of the initial weights, of the shuffling and of the grouping.', {
    legacyKey: null,
  }),
  ...sourceFields,
};

const blocks = { data: dataConfigSchema.prefault({}), execution: executionConfigSchema.prefault({}) };

/** A training run, complete. */
export const trainingConfigSchema = z
  .strictObject({ model: modelConfigSchema, ...trainingFields, ...blocks })
  .superRefine(checkTraining);

/** A training run before its data was opened: `model.N` may be missing. */
export const trainingRequestSchema = z
  .strictObject({ model: modelRequestSchema.prefault({}), ...trainingFields, ...blocks })
  .superRefine(checkTraining);

/** See {@link trainingConfigSchema}. */
export type TrainingConfig = Readonly<
  Omit<z.output<typeof trainingConfigSchema>, 'model' | 'data' | 'execution'> & {
    model: ModelConfig;
    data: DataConfig;
    execution: ExecutionConfig;
  }
>;
/** See {@link trainingRequestSchema}; every {@link TrainingConfig} is one. */
export type TrainingRequest = Readonly<Omit<TrainingConfig, 'model'> & { model: ModelRequest }>;

interface Checked {
  readonly model: { readonly gridsize: number };
  readonly neighbor_count: number;
  readonly neighbor_pool_size: number | null;
  readonly enable_oversampling: boolean;
  readonly mae_weight: number;
  readonly nll_weight: number;
  readonly backend: string;
  readonly execution: { readonly engine: string | null };
}

function checkTraining(config: Checked, context: z.RefinementCtx): void {
  const members = config.model.gridsize ** 2;
  const refuse = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
  if (members > 1 && config.neighbor_count < members) {
    refuse(
      'neighbor_count',
      `neighbor_count (${config.neighbor_count}) must be at least gridsize² (${members}), the patterns of one group.`,
    );
  }
  const pool = config.neighbor_pool_size;
  if (config.enable_oversampling && pool !== null && pool < members) {
    refuse(
      'neighbor_pool_size',
      `OVERSAMPLING-001: neighbor_pool_size (${pool}) must be at least gridsize² (${members}), the patterns of one group.`,
    );
  }
  if (config.mae_weight === 0 && config.nll_weight === 0) {
    refuse(
      'nll_weight',
      'mae_weight and nll_weight are both 0, so there is nothing to train on; give one of them a weight.',
    );
  }
  checkEngine(config, context);
}

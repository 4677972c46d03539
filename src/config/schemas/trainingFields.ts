/** The fields of a training run. */

import {
  belowOne,
  field,
  flag,
  maybe,
  nonNegativeNumber,
  offByDefault,
  oneOf,
  openUnitInterval,
  optional,
  path,
  positiveInteger,
  positiveNumber,
  powerOfTwo,
  published,
  seedNumber,
  text,
  textList,
  unitInterval,
  wholeNumber,
} from '../../core/field.js';
import { groupCount, overwriteFields, samplingFields, sequentialSampling, sourceFields } from './shared.js';

/** Groups of a training run where n_groups is null, as published; `finaliseTrainingConfig` caps it at the number of patterns. */
export const PUBLISHED_GROUPS = 512;

/** Groups that a training of N = 64 sees where nobody says how many epochs: see {@link usualEpochs}. */
const GROUPS_SEEN = 12_000;
/** At least and at most so many epochs. */
const [LEAST_EPOCHS, MOST_EPOCHS] = [4, 50];

/**
 * Epochs where nobody says how many: about 12,000·√(64/N) groups are seen in them (larger patterns cost more), 4 to 50 epochs. It
 * follows from the scan alone, so that it is the same on every machine.
 */
export function usualEpochs(groups: number, N: number): number {
  return Math.min(MOST_EPOCHS, Math.max(LEAST_EPOCHS, Math.round((GROUPS_SEEN * Math.sqrt(64 / N)) / groups)));
}

const epochs = { unit: 'epochs', aliases: ['max_epochs'] };

/** `nepochs` once the scan is known. */
export const settledEpochs = published(positiveInteger, MOST_EPOCHS, 'Passes over the training groups.', epochs);

/** Share of the reference that is taken off the patterns by default; see docs/training.md. */
export const INPUT_REFERENCE_SHARE = 0.75;

/** The value of `probe` that has a solver find it first. */
export const SOLVE_PROBE = 'solve';

export const trainingFields = {
  train_data_file: maybe(path, 'Scan to train on.', { legacyKey: 'train_data_file_path' }),
  train_data_files: field(
    textList,
    [],
    'Further scans to train the same network on, each with its own probe, exposure and pixel size; may be repeated.',
  ),
  num_datasets: maybe(
    positiveInteger,
    'How many scans the network learns from, as published configurations say it; null: as many as are given.',
  ),
  test_data_file: maybe(path, 'Scan to validate on; null: val_fraction of the training groups.', {
    legacyKey: 'test_data_file_path',
    aliases: ['test_data'],
  }),
  output_dir: field(path, 'training_outputs', 'Folder for the trained bundle and its reports; created if missing.', {
    legacyKey: 'output_prefix',
  }),
  ...overwriteFields,
  preset: field(
    oneOf('measured', 'published'),
    'measured',
    'What the other fields are where they are not given: the values listed here, which were chosen by measurement, or those of the published tools (a table in docs/configuration.md).',
    { legacyKey: true },
  ),
  nepochs: published(
    optional(positiveInteger),
    null,
    `Passes over the training groups; null: as many as show the network about 12,000·√(64/N) groups, ${LEAST_EPOCHS} to ${MOST_EPOCHS}.`,
    epochs,
  ),
  batch_size: published(powerOfTwo, 4, 'Groups per training step.', { unit: 'groups' }),
  learning_rate: field(positiveNumber, 1e-3, 'Initial step size of the optimiser.', {
    alsoIn: 'execution',
    aliases: ['torch_learning_rate'],
  }),
  scheduler: published(
    oneOf('Default', 'Exponential', 'WarmupCosine', 'ReduceLROnPlateau'),
    'WarmupCosine',
    'Learning rate over the epochs: WarmupCosine raises it and lets it fall along a cosine, Default keeps it constant, Exponential multiplies it by 0.95 every epoch.',
    {
      alsoIn: 'execution',
      aliases: ['torch_scheduler'],
      valueAliases: {
        Adaptive: {
          value: 'Default',
          note: 'scheduler Adaptive is Default here: the published code passes it by and keeps the rate constant; ReduceLROnPlateau adapts it to the loss.',
        },
        CosineAnnealing: {
          value: 'WarmupCosine',
          note: 'scheduler CosineAnnealing is called WarmupCosine here; lr_warmup_epochs 0 is no warm-up, lr_min_ratio the end.',
        },
        MultiStage: {
          value: 'Default',
          note: 'scheduler MultiStage is Default here: the stages are set by stage_1_epochs and stage_2_epochs, their rate by stage_3_lr_factor.',
        },
      },
    },
  ),
  lr_warmup_epochs: published(
    wholeNumber,
    1,
    'WarmupCosine: epochs in which the rate rises linearly from a tenth of its value.',
    {
      unit: 'epochs',
    },
  ),
  lr_min_ratio: published(unitInterval, 0.01, 'WarmupCosine: the final rate as a fraction of learning_rate.'),
  plateau_factor: published(
    openUnitInterval,
    0.5,
    'ReduceLROnPlateau: factor on the rate when the loss stops improving.',
    { aliases: ['torch_plateau_factor'] },
  ),
  plateau_patience: published(
    wholeNumber,
    2,
    'ReduceLROnPlateau: epochs without improvement before the rate is reduced.',
    {
      unit: 'epochs',
      aliases: ['torch_plateau_patience'],
    },
  ),
  plateau_min_lr: published(nonNegativeNumber, 5e-5, 'ReduceLROnPlateau: the rate never falls below this.', {
    aliases: ['torch_plateau_min_lr'],
  }),
  plateau_threshold: published(nonNegativeNumber, 0, 'ReduceLROnPlateau: smallest relative improvement that counts.', {
    aliases: ['torch_plateau_threshold'],
  }),
  optimizer: published(oneOf('adam', 'adamw', 'sgd'), 'adam', 'The optimiser.'),
  adam_beta1: published(belowOne, 0.9, 'Decay of the first moment of adam and adamw.'),
  adam_beta2: published(belowOne, 0.999, 'Decay of the second moment of adam and adamw.'),
  momentum: published(belowOne, 0.9, 'Nesterov momentum of sgd; 0: none.'),
  weight_decay: published(
    nonNegativeNumber,
    0,
    'Decay of the weights in each step: of their values with adamw, as part of the gradient with adam and sgd.',
  ),
  gradient_clip_val: published(optional(positiveNumber), null, 'Limit on the gradients; null: none.', {
    alsoIn: 'execution',
  }),
  gradient_clip_algorithm: published(
    oneOf('norm', 'value', 'agc'),
    'norm',
    'How gradients are limited: by the norm of all of them together, value by value, or by the norm of each tensor relative to its weights (agc).',
    { alsoIn: 'execution' },
  ),
  weight_averaging: field(
    belowOne,
    0,
    'Keep an exponential moving average of the weights with this decay per step, and validate and save the average; 0: none.',
  ),
  input_reference: field(
    oneOf('none', 'mean', 'constant'),
    'constant',
    'What is subtracted from each pattern before the network sees it, so that it does not stay at a constant object: none; mean, the mean of up to 1,024 training patterns; or constant, the pattern of a constant object under the probe.',
  ),
  input_reference_share: field(
    unitInterval,
    INPUT_REFERENCE_SHARE,
    'Share of the reference that is subtracted; the rest is scaled back to the rms of the patterns.',
  ),
  probe_conditioning: field(
    oneOf('none', 'film'),
    'none',
    'What the network is told of the probe besides the patterns: nothing, or factors and offsets of its features that a small network makes of the probe (film); for one network over several probes.',
  ),
  auto_restart: field(
    flag,
    true,
    'Start again from fresh weights at half the learning rate, at most three times, while the predicted patterns are still all alike after 300 steps and do not come to differ.',
  ),
  nll_weight: published(unitInterval, 0, 'Weight of the Poisson negative log-likelihood of the diffraction.'),
  mae_weight: published(unitInterval, 1, 'Weight of the mean absolute error of the diffraction amplitude.'),
  realspace_weight: published(nonNegativeNumber, 0, 'Overall weight of the losses on the object.'),
  realspace_mae_weight: published(
    nonNegativeNumber,
    0,
    'Within the losses on the object: weight of the complex mean absolute error against the known object.',
  ),
  phase_subtraction: field(
    flag,
    true,
    'Subtract the mean phase of the central third of the object from known patches before a network learns from them: patterns do not know it.',
  ),
  tv_weight: published(nonNegativeNumber, 0, 'Within the losses on the object: weight of its total variation.'),
  amp_loss: maybe(
    oneOf('Total_Variation', 'Mean_Deviation'),
    'A loss of the painted amplitude, relative to that of the constant object: absolute differences of neighbouring pixels, or absolute deviations from the mean of the patch; a mean over pixels; null: none.',
  ),
  amp_loss_coeff: field(nonNegativeNumber, 1, 'Weight of amp_loss.'),
  phase_loss: maybe(
    oneOf('Total_Variation', 'Mean_Deviation'),
    'The same of the painted phase, in radians; null: none.',
  ),
  phase_loss_coeff: field(nonNegativeNumber, 1, 'Weight of phase_loss.'),
  overlap_weight: field(
    nonNegativeNumber,
    0,
    'With gridsize above 1: weight of how far the overlapping patches of a group disagree, where their pixels count.',
  ),
  member_permutations: offByDefault(
    'With gridsize above 1: feed the members of every group in another random order in every epoch, so that a network does not learn from their order.',
  ),
  stage_1_epochs: field(
    wholeNumber,
    0,
    'Initial epochs that learn from the amplitude loss alone, before the configured losses fade in.',
    { unit: 'epochs' },
  ),
  stage_2_epochs: field(
    wholeNumber,
    0,
    'Epochs after stage 1 in which the weight of the configured losses rises from 0 to 1.',
    { unit: 'epochs' },
  ),
  epochs_fine_tune: field(
    wholeNumber,
    0,
    'Epochs after all others in which the encoder of the network stays as it is, at a constant learning rate.',
    { unit: 'epochs' },
  ),
  fine_tune_gamma: field(positiveNumber, 0.1, 'Factor on learning_rate in these epochs.'),
  physics_weight_schedule: field(
    oneOf('linear', 'cosine', 'exponential'),
    'cosine',
    'How the weight rises in stage 2.',
  ),
  stage_3_lr_factor: field(
    positiveNumber,
    0.1,
    'Factor on the learning rate once stage 1 is over; no effect without stages.',
  ),
  torch_loss_mode: maybe(
    oneOf('poisson', 'mae'),
    'The loss by its published name: mae means nll_weight 0 and mae_weight 1, poisson the opposite where the weights are not given.',
    { legacyKey: true },
  ),
  torch_mae_pred_l2_match_target: published(
    flag,
    false,
    'Scale each predicted pattern to the norm of the measured one before taking the mean absolute error.',
  ),
  nphotons: published(positiveNumber, 1e9, 'Expected photons per pattern; sets the scale of the Poisson loss.', {
    unit: 'photons',
  }),
  normalize: field(
    oneOf('Batch', 'Group', 'None'),
    'Batch',
    'What the network sees its patterns scaled by: one factor of the scan, one of every group of patterns (with gridsize above 1), or none, so that it sees the numbers of the file.',
  ),
  data_scaling: field(
    oneOf('Parseval', 'Max'),
    'Parseval',
    'What that factor brings to a fixed value: the mean power of the patterns, or the largest sum of amplitudes over one of them (to 1).',
  ),
  probe_normalize: field(
    flag,
    true,
    'Scale a probe whose power does not fit the counts of the scan to them; false: every probe is taken as it is, in roots of counts.',
  ),
  intensity_scale_trainable: field(flag, true, 'Train the factor between normalised amplitudes and counts.', {
    legacyKey: 'intensity_scale.trainable',
  }),
  scale_contract_version: field(
    oneOf('counts_v1', 'ci_intensity_v2'),
    'counts_v1',
    'How data and model agree on scale: counts_v1, or the count-intensity contract of the PyTorch family.',
    {
      valueAliases: {
        legacy_v1: {
          value: 'counts_v1',
          note: 'scale_contract_version legacy_v1 is called counts_v1 here: normalised amplitudes are taken to the photons of nphotons by one factor from the data.',
        },
      },
    },
  ),
  profile: maybe(
    oneOf('ci'),
    'A published set of values: ci stands for scale_contract_version ci_intensity_v2 with measurement_domain count_intensity, physics_forward_mode rectangular_scaled, cnn_output_mode real_imag and rect_s1s2_init data.',
  ),
  probe_trainable: offByDefault('Train the probe.', { legacyKey: 'probe.trainable' }),
  probe_learning_rate: maybe(positiveNumber, 'Step size of the probe, relative to its rms value; null: learning_rate.'),
  position_trainable: offByDefault(
    'Train the scan positions; needs a gridsize above 1, so that the members of a group overlap.',
  ),
  position_learning_rate: maybe(positiveNumber, 'Step size of the positions; null: twenty times learning_rate.', {
    unit: 'px',
  }),
  position_step_limit_px: maybe(
    positiveNumber,
    'Farthest that a position may move from where it was measured; null: no limit.',
    { unit: 'px' },
  ),
  position_start_epoch: field(
    wholeNumber,
    3,
    'Epochs before the positions start to move, so that the network knows the object a little first.',
    { unit: 'epochs' },
  ),
  positions_provided: field(flag, true, 'The scan positions are measured, not nominal ones.', {
    legacyKey: 'positions.provided',
    fixed: true,
  }),
  n_groups: published(
    groupCount,
    'all',
    `Groups to train on, of each scan; all: one for each pattern; null: ${PUBLISHED_GROUPS}, or one for each pattern where there are fewer.`,
    { unit: 'groups', formerly: ['n_images'] },
  ),
  ...samplingFields,
  sequential_sampling: published(flag, false, sequentialSampling),
  val_fraction: field(
    belowOne,
    0.05,
    'Share of the groups held back for validation when no test_data_file is given; 0: none.',
  ),
  init: maybe(path, 'Start from the weights of this bundle (wts.zip or its folder) instead of fresh ones.'),
  resume: maybe(
    path,
    'Continue the interrupted run in this folder; the result is the same as without the interruption. Without a folder: output_dir.',
    { bare: '' },
  ),
  do_stitching: offByDefault('After training, reconstruct test_data_file and write its pictures.'),
  log_patch_stats: offByDefault('Write statistics of the predicted patches of each epoch to logs/patch_stats.csv.'),
  patch_stats_limit: maybe(positiveInteger, 'Most batches per epoch that log_patch_stats writes; null: all.', {
    unit: 'batches',
  }),
  seed: field(seedNumber, 0, 'Seed for the initial weights, the shuffling and the grouping.'),
  ensemble: field(
    positiveInteger,
    1,
    'Train so many networks that differ in their seeds, each in a folder of its own (member-1, …); infer with the folder of all gives their mean and their spread. At most 99.',
    { unit: 'networks' },
  ),
  ensemble_from: field(
    oneOf('seeds', 'snapshots'),
    'seeds',
    'How the networks of an ensemble come about: each trained from its own seed, or (snapshots) the first trained as usual and each other gone on from the one before it for a quarter of its epochs, the learning rate at its height again at first. That costs a quarter of a training for each.',
  ),
  ...sourceFields,
  probe: maybe(
    text,
    'Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none; solve: let a solver find it first, beginning with what auto gives.',
  ),
};

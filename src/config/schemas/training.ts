/**
 * A training run: its schema, what its fields must be together, and words that stand for several fields (`profile: ci`,
 * `torch_loss_mode`, `preset: published`). These are written out before a configuration is checked, so that nothing behind it has to know them.
 *
 * `N` has no default on purpose: it is the side of the patterns in the data file, so a run is described by a
 * {@link TrainingRequest} (N and the number of epochs may be missing) until `finaliseTrainingConfig` has seen the data.
 *
 * @example
 * const config = trainingConfigSchema.parse({ model: { N: 64, gridsize: 2 }, nepochs: 20 });
 * config.model.n_filters_scale; // 1
 */

import { z } from 'zod';
import { PtychoError } from '../../core/errors.js';
import { show } from '../../core/field.js';
import type { ProvenanceEntry } from '../../core/services.js';
import { architecturesWith, generatorFields, generatorOf, networkComplaints } from '../../networks/architectures.js';
import { type Collection, IN_MEMORY } from '../definition.js';
import type { TrainingConfig } from '../interfaces.js';
import { architectureIn, expandPreset, hasPlace, PUBLISHED_TRAINING } from '../trainingPresets.js';
import { checkEngine, networkBlocks } from './execution.js';
import { type ModelRequest, modelConfigSchema, modelRequestSchema } from './model.js';
import { INPUT_REFERENCE_SHARE, settledEpochs, trainingFields } from './trainingFields.js';

const request = z.strictObject({ model: modelRequestSchema.prefault({}), ...trainingFields, ...networkBlocks });
type CheckedTraining = Readonly<z.output<typeof request>>;

/** A training run, complete. */
export const trainingConfigSchema = z
  .strictObject({ model: modelConfigSchema, ...trainingFields, nepochs: settledEpochs, ...networkBlocks })
  .superRefine(checkTraining);

/** A training run before its data was opened: `model.N` may be missing, `nepochs` null. */
export const trainingRequestSchema = request.superRefine(checkTraining);

export type { TrainingConfig };
/** See {@link trainingRequestSchema}; every {@link TrainingConfig} is one. */
export interface TrainingRequest extends Omit<TrainingConfig, 'model' | 'nepochs'> {
  readonly model: ModelRequest;
  /** Passes over the training groups; null: as many as suit the scan. Unit: epochs. */
  readonly nepochs: number | null;
}

type Refuse = (field: string, message: string) => void;

/** Refuses combinations that cannot work, or in which a field that was given would do nothing. */
function checkTraining(config: CheckedTraining, context: z.RefinementCtx): void {
  const refuse: Refuse = (field, message) => context.addIssue({ code: 'custom', path: [field], message });
  checkGroups(config, refuse);
  if (config.model.model_type === 'supervised') checkSupervised(config, refuse);
  else checkLosses(config, refuse);
  checkForwardModel(config, refuse);
  checkFineTuning(config, refuse);
  for (const part of ['amp', 'phase'] as const) {
    if (config[`${part}_loss`] !== null || config[`${part}_loss_coeff`] === 1) continue;
    refuse(
      `${part}_loss_coeff`,
      `${part}_loss_coeff is the weight of ${part}_loss, which is not given; give that, too, or leave it out.`,
    );
  }
  checkScales(config, refuse);
  checkPreset(config, refuse);
  if (config.input_reference === 'none' && config.input_reference_share !== INPUT_REFERENCE_SHARE) {
    refuse(
      'input_reference_share',
      'input_reference_share is the share of a reference, but input_reference is none; set that to mean or constant, or leave the share out.',
    );
  }
  const staged = config.stage_1_epochs + config.stage_2_epochs;
  if (config.nepochs !== null && staged > config.nepochs) {
    refuse(
      'stage_1_epochs',
      `stage_1_epochs and stage_2_epochs are ${staged} epochs together, but nepochs is ${config.nepochs}; the stages must fit into the run.`,
    );
  }
  if (config.probe_conditioning !== 'none' && !generatorOf(config.model.architecture).modulated) {
    refuse(
      'probe_conditioning',
      `probe_conditioning ${config.probe_conditioning} changes the features of an encoder, which architecture ${config.model.architecture} does not let it; take cnn, cnn_cbam or hybrid_resnet, or leave it out.`,
    );
  }
  const { devices } = config.execution;
  if (devices !== 'auto' && devices > 1 && config.model.batch_norm) {
    refuse(
      'batch_norm',
      'batch_norm normalises over a batch, of which each of several workers (devices) sees a share only; leave one of them out.',
    );
  }
  if (devices !== 'auto' && devices > config.batch_size) {
    refuse(
      'devices',
      `There are ${devices} workers (devices), but a batch has ${config.batch_size} groups to share out; give a larger batch_size, or ${config.batch_size} workers at most.`,
    );
  }
  if (config.ensemble === 1 && config.ensemble_from !== 'seeds') {
    refuse(
      'ensemble_from',
      `ensemble_from ${config.ensemble_from} says how the networks of an ensemble come about; give ensemble, how many, with it.`,
    );
  }
  if (config.ensemble > 99) {
    refuse('ensemble', `ensemble is ${config.ensemble}, but an ensemble has at most 99 networks; 5 are usual.`);
  }
  if (config.do_stitching && config.test_data_file === null) {
    refuse('do_stitching', 'do_stitching reconstructs test_data_file, which is not given; add --test_data_file FILE.');
  }
  checkEngine(config, context);
}

/** A word is written out before its values are checked; where it was not, they are not what it says. */
function checkPreset(config: CheckedTraining, refuse: Refuse): void {
  const values: Readonly<Record<string, unknown>> = config;
  if (config.preset !== 'published') return;
  if (Object.entries(PUBLISHED_TRAINING).some(([name, value]) => values[name] === value)) return;
  refuse(
    'preset',
    'preset published is a word for other values, which are not here: schemas do not write it out; hand the parts of a configuration to train or completeConfig.',
  );
}

function checkGroups(config: CheckedTraining, refuse: Refuse): void {
  const members = config.model.gridsize ** 2;
  if (members > 1 && config.neighbor_count < members) {
    refuse(
      'neighbor_count',
      `neighbor_count (${config.neighbor_count}) must be at least gridsize² (${members}), the patterns of one group; give --neighbor_count ${members} or more, or --gridsize 1.`,
    );
  }
  const grouped = [
    ['member_networks', config.model.member_networks === 'shared'],
    ['align_members', config.model.align_members],
    ['overlap_weight', config.overlap_weight > 0],
    ['member_permutations', config.member_permutations],
  ] as const;
  for (const [field, given] of grouped) {
    if (!given || (members > 1 && config.model.object_big)) continue;
    refuse(
      field,
      `${field} is about the patches of a group that are merged, so it needs gridsize above 1 and object_big.`,
    );
  }
  if (members > 1 && config.model.training_patch_weighting === 'probe' && config.probe_trainable) {
    refuse(
      'training_patch_weighting',
      'training_patch_weighting probe weighs patches by a probe that stays as it is, but probe_trainable changes it; set training_patch_weighting to central_mask, or probe_trainable to false.',
    );
  }
  const pool = config.neighbor_pool_size;
  if (config.enable_oversampling && pool !== null && pool < members) {
    refuse(
      'neighbor_pool_size',
      `OVERSAMPLING-001: neighbor_pool_size (${pool}) must be at least gridsize² (${members}), the patterns of one group.`,
    );
  }
  if (config.position_trainable && !(members > 1 && config.model.object_big)) {
    refuse(
      'position_trainable',
      'position_trainable needs gridsize above 1 and object_big: without members of a group that overlap nothing tells where a pattern lies; infer can fit positions to the image (--refine_positions).',
    );
  }
}

function checkLosses(config: CheckedTraining, refuse: Refuse): void {
  const { realspace_weight, realspace_mae_weight, tv_weight } = config;
  if (config.torch_loss_mode === 'mae' && (config.nll_weight !== 0 || config.mae_weight === 0)) {
    refuse('torch_loss_mode', 'torch_loss_mode mae means nll_weight 0 and mae_weight 1; give these weights with it.');
  }
  if (config.mae_weight === 0 && config.nll_weight === 0 && realspace_weight * realspace_mae_weight === 0) {
    refuse(
      'nll_weight',
      'mae_weight and nll_weight are both 0, so there is nothing to train on; give one of them a weight.',
    );
  }
  const inner = realspace_mae_weight > 0 ? 'realspace_mae_weight' : tv_weight > 0 ? 'tv_weight' : null;
  if (inner !== null && realspace_weight === 0) {
    refuse(
      'realspace_weight',
      `${inner} is a share of the losses of the object, whose weight realspace_weight is 0; give that a weight, too.`,
    );
  }
  if (inner === null && realspace_weight > 0) {
    refuse(
      'realspace_weight',
      'realspace_weight weighs nothing: choose losses of the object with realspace_mae_weight or tv_weight.',
    );
  }
  if (config.torch_mae_pred_l2_match_target && config.mae_weight === 0 && !isStaged(config)) {
    refuse(
      'torch_mae_pred_l2_match_target',
      'torch_mae_pred_l2_match_target changes the mean absolute error, whose weight mae_weight is 0; give that a weight, too.',
    );
  }
  if (config.model.architecture === 'baseline') {
    refuse('architecture', 'architecture baseline learns from labels only; set model_type to supervised with it.');
  }
}

/** Supervised training has labels in place of the physics: what belongs to the physics would do nothing. */
function checkSupervised(config: CheckedTraining, refuse: Refuse): void {
  const idle = [
    config.probe_trainable && 'probe_trainable',
    config.position_trainable && 'position_trainable',
    // 1 is what `torch_loss_mode: mae` means, which published configurations of supervised trainings have.
    config.mae_weight > 0 && config.mae_weight < 1 && 'mae_weight',
    config.torch_mae_pred_l2_match_target && 'torch_mae_pred_l2_match_target',
    config.realspace_weight > 0 && 'realspace_weight',
    config.realspace_mae_weight > 0 && 'realspace_mae_weight',
    config.tv_weight > 0 && 'tv_weight',
    config.overlap_weight > 0 && 'overlap_weight',
    config.model.align_members && 'align_members',
    config.stage_1_epochs > 0 && 'stage_1_epochs',
    config.stage_2_epochs > 0 && 'stage_2_epochs',
  ].find((name) => name !== false);
  if (idle !== undefined) {
    refuse(idle, `${idle} has no part in supervised training, which compares patches with labels; leave it out.`);
  }
  const { architecture, gridsize, object_big } = config.model;
  if (gridsize > 1 && !object_big && architecture !== 'baseline') {
    refuse(
      'object_big',
      'supervised training compares one patch per member of a group with its label, which needs object_big; leave object_big true, or set gridsize to 1.',
    );
  }
}

function checkFineTuning({ model, epochs_fine_tune, fine_tune_gamma }: CheckedTraining, refuse: Refuse): void {
  if (epochs_fine_tune > 0 && !generatorOf(model.architecture).encoder) {
    refuse(
      'epochs_fine_tune',
      `epochs_fine_tune leaves the encoder of a network as it is, but architecture ${model.architecture} has none; leave it out.`,
    );
  }
  if (epochs_fine_tune === 0 && fine_tune_gamma !== 0.1) {
    refuse('fine_tune_gamma', 'fine_tune_gamma is for the epochs of epochs_fine_tune, of which there are none; give both or neither.'); // biome-ignore format: one call
  }
}

function isStaged(config: CheckedTraining): boolean {
  return config.stage_1_epochs + config.stage_2_epochs > 0;
}

/** Scales of the data, and the probe. */
function checkScales(config: CheckedTraining, refuse: Refuse): void {
  if (config.probe_learning_rate !== null && !config.probe_trainable) {
    refuse('probe_learning_rate', 'probe_learning_rate is the step size of a trained probe; set probe_trainable, too.');
  }
  const { probe_mask, probe_mask_edge, probe_mask_sigma, probe_mask_diameter } = config.model;
  const idle = !probe_mask && probe_mask_edge === 'soft' ? 'probe_mask_edge' : undefined;
  if (idle)
    refuse(
      idle,
      'probe_mask_edge soft is the edge of a mask, which probe_mask switches on; set that, too, or leave it out.',
    );
  if (probe_mask_edge === 'hard' && (probe_mask_sigma !== 1 || probe_mask_diameter !== null)) {
    refuse(
      probe_mask_diameter === null ? 'probe_mask_sigma' : 'probe_mask_diameter',
      'probe_mask_sigma and probe_mask_diameter shape a soft mask; set probe_mask_edge to soft, and probe_mask to true.',
    );
  }
  const scaled =
    config.normalize !== 'Batch' ? 'normalize' : config.data_scaling !== 'Parseval' ? 'data_scaling' : undefined;
  if (scaled && config.scale_contract_version === 'ci_intensity_v2') {
    refuse(scaled, `${scaled} has no part in scale_contract_version ci_intensity_v2, whose network sees counts; leave it out.`); // biome-ignore format: one call
  }
  if (config.normalize === 'None' && config.data_scaling === 'Max') {
    refuse('data_scaling', 'data_scaling says how factors are found, but with normalize None there are none; leave one of them out.'); // biome-ignore format: one call
  }
  if (scaled && config.model.architecture === 'baseline') {
    refuse(scaled, `${scaled} scales the groups of a network that baseline takes apart; leave it out.`);
  }
  if (config.scale_contract_version === 'ci_intensity_v2' && config.measurement_domain === 'normalized_amplitude') {
    refuse(
      'measurement_domain',
      'scale_contract_version ci_intensity_v2 needs counted photons; with normalized_amplitude use counts_v1.',
    );
  }
}

function checkForwardModel({ model }: CheckedTraining, refuse: Refuse): void {
  for (const [field, message] of networkComplaints(model)) refuse(field, message);
  if (model.cnn_output_mode === 'real_imag' && model.amp_activation !== 'sigmoid') {
    refuse(
      'amp_activation',
      `amp_activation ${model.amp_activation} belongs to an amplitude head, which cnn_output_mode real_imag has not; leave one of them out.`,
    );
  }
  if (model.physics_forward_mode !== 'rectangular_scaled' && !model.rect_s1s2_trainable) {
    refuse(
      'rect_s1s2_trainable',
      'rect_s1s2_trainable belongs to physics_forward_mode rectangular_scaled; leave it out.',
    );
  }
  if (model.physics_forward_mode === 'rectangular_scaled') {
    if (model.model_type === 'supervised') {
      refuse(
        'physics_forward_mode',
        'physics_forward_mode rectangular_scaled has no part in supervised training; leave it out, or train with model_type pinn.',
      );
    } else if (!generatorOf(model.architecture).paintsParts(model)) {
      const mode = architecturesWith('generator_output_mode').includes(model.architecture)
        ? 'generator_output_mode'
        : 'cnn_output_mode';
      refuse(
        mode,
        `physics_forward_mode rectangular_scaled scales real and imaginary parts and needs ${mode} real_imag.`,
      );
    }
  } else if (model.rect_s1s2_init === 'data') {
    refuse('rect_s1s2_init', 'rect_s1s2_init data needs physics_forward_mode rectangular_scaled; leave it out.');
  }
}

/** What the profile `ci` demands; another value beside it is a contradiction. */
export const CI_CONTRACT: Readonly<Record<string, unknown>> = {
  scale_contract_version: 'ci_intensity_v2',
  measurement_domain: 'count_intensity',
  physics_forward_mode: 'rectangular_scaled',
  torch_loss_mode: 'poisson',
};

/** What the profile `ci` proposes; a value that is given stays. */
export const CI_DEFAULTS: Readonly<Record<string, unknown>> = {
  rect_s1s2_trainable: true,
  rect_s1s2_init: 'data',
  cnn_output_mode: 'real_imag',
};

/**
 * Writes out what `profile`, `torch_loss_mode` and `preset` stand for.
 * @throws PtychoError CONFIG_INVALID where a field that is given says otherwise.
 */
export function expandWords(collection: Collection): void {
  expandProfile(collection);
  expandLossMode(collection);
  expandPreset(collection);
  expandSupervised(collection);
  leaveOutIdle(collection);
}

/**
 * Files of the published tools hold the fields of every network, and defaults of theirs stand for fields that were left out: what the
 * network of this run has no use for is left out. What somebody typed is not: it would be refused.
 */
function leaveOutIdle({ given, notes }: Collection): void {
  const architecture = architectureIn(given);
  for (const name of Object.keys(generatorFields)) {
    const entry = given.get(name);
    const typed = entry?.source === 'flag' || entry?.source === 'caller';
    if (entry === undefined || typed || architecturesWith(name).includes(architecture)) continue;
    given.delete(name);
    if (entry.source !== 'file' || entry.origin === IN_MEMORY) continue;
    const fallback: unknown = generatorFields[name as keyof typeof generatorFields].parse(undefined);
    if (show(entry.value) !== show(fallback))
      notes.push(`${entry.origin}: ${name} plays no part in architecture ${architecture} and was left out.`);
  }
}

/** A value that somebody chose; a default, or null for "not given", is none. */
function chosen(given: Collection['given'], name: string): ProvenanceEntry | undefined {
  const entry = given.get(name);
  return entry === undefined || entry.source === 'default' || entry.value === null ? undefined : entry;
}

function expandProfile({ given }: Collection): void {
  const profile = chosen(given, 'profile');
  if (profile?.value !== 'ci') return;
  const put = (name: string, value: unknown) =>
    given.set(name, { value, source: profile.source, origin: profile.origin ?? 'profile ci' });
  for (const [name, value] of Object.entries(CI_CONTRACT)) {
    const other = chosen(given, name);
    if (other !== undefined && other.value !== value) throw contradiction(name, value, other.value);
    put(name, value);
  }
  for (const [name, value] of Object.entries(CI_DEFAULTS)) {
    if (chosen(given, name) === undefined && hasPlace(given, name)) put(name, value);
  }
}

/** The sentence for a value that the profile `ci` does not go with. */
export function contradiction(name: string, demanded: unknown, found: unknown): PtychoError {
  return new PtychoError(
    'CONFIG_INVALID',
    `profile ci demands ${name} ${show(demanded)}, but ${name} is given as ${show(found)}; leave one of them out.`,
    { field: name, found, expected: demanded },
  );
}

/**
 * In the published tools one word chooses the loss, here every loss has a weight. `poisson` is what every written-out
 * configuration of theirs holds, so it only contradicts where somebody wrote it on this command line.
 */
function expandLossMode({ given, notes }: Collection): void {
  const mode = chosen(given, 'torch_loss_mode');
  if (mode === undefined) return;
  if (given.get('model_type')?.value === 'supervised') {
    if (mode.value === 'poisson' && mode.source === 'flag') throw needsMae();
    return;
  }
  const mae = mode.value === 'mae';
  const [on, off] = mae ? ['mae_weight', 'nll_weight'] : ['nll_weight', 'mae_weight'];
  const wanted = chosen(given, on);
  const unwanted = chosen(given, off);
  const against = mae && unwanted !== undefined && unwanted.value !== 0 ? off : wanted?.value === 0 ? on : null;
  if (against !== null && (mae || mode.source === 'flag')) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `torch_loss_mode ${String(mode.value)} contradicts ${against} ${show(given.get(against)?.value)}; leave one of them out.`,
      { field: 'torch_loss_mode', found: mode.value },
    );
  }
  if (wanted === undefined) given.set(on, { ...mode, value: 1 });
  if (unwanted === undefined) given.set(off, { ...mode, value: 0 });
  if (mae && (wanted === undefined || unwanted === undefined)) {
    notes.push('torch_loss_mode mae is nll_weight 0 and mae_weight 1 here.');
  }
}

/**
 * Labels hold a network away from the constant object; whether it learns from them does not show in how its patterns differ (0.17 to
 * 0.31 of the measured spread in steps 200 to 300, where stuck networks have up to 0.14).
 */
function expandSupervised({ given }: Collection): void {
  if (given.get('model_type')?.value !== 'supervised') return;
  const restart = chosen(given, 'auto_restart');
  // A program may hand over every field of the schema, this one at its default.
  if (restart?.value === true && restart.source !== 'caller' && restart.origin !== IN_MEMORY) {
    throw new PtychoError(
      'CONFIG_INVALID',
      'auto_restart has no part in supervised training, which compares patches with labels; leave it out.',
      { field: 'auto_restart' },
    );
  }
  given.set('auto_restart', { value: false, source: 'default' });
}

/** The rule of the published tools for labels. */
export function needsMae(): PtychoError {
  return new PtychoError(
    'CONFIG_INVALID',
    'model_type supervised compares patches with labels by their absolute error and needs torch_loss_mode mae, got poisson.',
    { field: 'torch_loss_mode', found: 'poisson', expected: 'mae' },
  );
}

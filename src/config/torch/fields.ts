/**
 * The fields of PyTorch-style configurations (`DataConfig`, `ModelConfig`, `TrainingConfig`, `InferenceConfig` of that
 * family), their defaults there, and what becomes of each here.
 */

/** What a field of that family becomes. */
export interface TorchField {
  /** Its default in that family; `undefined` where it claims nothing unless it is given. */
  readonly fallback: unknown;
  /** The field here, by name. */
  readonly to?: string;
  /** Its value here; `undefined` says nothing. */
  readonly convert?: (value: unknown, written: string) => unknown;
  /** Values that are accepted where the field has no counterpart; its default always is. */
  readonly also?: readonly unknown[];
  /** What to do in place of another value. */
  readonly instead?: string;
  /** Judged together with other fields in `blocks.ts`. */
  readonly special?: boolean;
  /** Why it does nothing, whatever its value. */
  readonly idle?: string;
}

const to = (name: string, fallback: unknown, convert?: TorchField['convert']): TorchField => ({
  fallback,
  to: name,
  convert,
});
const fixed = (fallback: unknown, instead?: string, also: readonly unknown[] = []): TorchField => ({
  fallback,
  instead,
  also,
});
const idle = (fallback: unknown, why: string): TorchField => ({ fallback, idle: why });
const special = (fallback: unknown): TorchField => ({ fallback, special: true });

/** Words that are spelt differently here; others pass and are judged by the field. */
const words = (table: Readonly<Record<string, unknown>>) => (value: unknown) =>
  typeof value === 'string' && Object.hasOwn(table, value) ? table[value] : value;

/** Fields of each block, by their name there. */
export const TORCH_FIELDS = {
  data: {
    nphotons: to('nphotons', 1e5),
    scale_contract_version: special('ci_intensity_v2'),
    measurement_domain: special('count_intensity'),
    N: to('N', undefined),
    C: special(undefined),
    K: to('neighbor_count', 6),
    neighbor_count: to('neighbor_count', undefined),
    K_quadrant: to('quadrant_candidates', 30),
    n_subsample: fixed(
      7,
      'there it is the number of groups that begin at each position: give n_groups, that many times the patterns, and enable_oversampling, or with grid_size 1 that many times the epochs; n_subsample beside the blocks is the number of patterns that are kept',
      [1],
    ),
    subsample_seed: to('subsample_seed', null),
    grid_size: special([2, 2]),
    neighbor_function: to(
      'neighbor_function',
      'Nearest',
      words({ Nearest: 'nearest', Min_dist: 'min_distance', '4_quadrant': 'four_quadrants' }),
    ),
    min_neighbor_distance: to('min_neighbor_distance_px', 0),
    max_neighbor_distance: to('max_neighbor_distance_px', 3),
    scan_pattern: to('scan_pattern', 'Isotropic', words({ Isotropic: 'isotropic', Rectangular: 'rectangular' })),
    normalize: to('normalize', 'Batch'),
    probe_scale: to('probe_scale', 4),
    probe_normalize: to('probe_normalize', true),
    data_scaling: to('data_scaling', 'Parseval'),
    phase_subtraction: to('phase_subtraction', true),
    x_bounds: to('x_bounds', [0.1, 0.9]),
    y_bounds: to('y_bounds', [0.1, 0.9]),
  },
  model: {
    mode: to('model_type', 'Unsupervised', words({ Unsupervised: 'pinn', Supervised: 'supervised' })),
    model_type: to('model_type', undefined, words({ Unsupervised: 'pinn', Supervised: 'supervised' })),
    architecture: to('architecture', 'cnn', words({ cnn: 'cnn_cbam' })),
    cnn_output_mode: to('cnn_output_mode', 'amp_phase'),
    use_shared_decoder: to('use_shared_decoder', false),
    intensity_scale_trainable: to('intensity_scale_trainable', false),
    intensity_scale: fixed(
      1e4,
      'there intensity_scale_trainable multiplies the input of the network by it; here the scale that is trained begins at that of the data: leave it out',
    ),
    num_datasets: to('num_datasets', undefined),
    C_model: special(undefined),
    C_forward: special(undefined),
    n_filters_scale: to('n_filters_scale', 2),
    amp_activation: to('amp_activation', 'silu', words({ silu: 'swish', SiLU: 'swish' })),
    batch_norm: to('batch_norm', false),
    probe_mask: special(false),
    probe_mask_tensor: special(null),
    probe_mask_sigma: to('probe_mask_sigma', 1),
    probe_mask_diameter: to('probe_mask_diameter', null),
    decoder_last_c_outer_fraction: to('decoder_last_c_outer_fraction', 0.125),
    use_legacy_decoder_channel_override: to('use_legacy_decoder_channel_override', false),
    eca_encoder: to('eca_encoder', false),
    cbam_encoder: to('cbam_encoder', true),
    cbam_bottleneck: to('cbam_bottleneck', false),
    cbam_decoder: to('cbam_decoder', false),
    eca_decoder: to('eca_decoder', false),
    spatial_decoder: to('spatial_decoder', false),
    decoder_spatial_kernel: to('decoder_spatial_kernel', 7),
    object_big: to('object_big', true),
    probe_big: to('probe_big', true),
    offset: idle(6, 'in that family either'),
    training_patch_weighting: to('training_patch_weighting', 'central_mask'),
    physics_forward_mode: to('physics_forward_mode', 'amplitude'),
    rect_s1s2_trainable: to('rect_s1s2_trainable', true),
    rect_s1s2_init: to('rect_s1s2_init', 'ones'),
    amplitude_physics_gain: special(1),
    pad_object: to('pad_object', true),
    gaussian_smoothing_sigma: to('gaussian_smoothing_sigma', 0),
    loss_function: special('Poisson'),
    amp_loss: to('amp_loss', null),
    phase_loss: to('phase_loss', null),
    amp_loss_coeff: to('amp_loss_coeff', 1),
    phase_loss_coeff: to('phase_loss_coeff', 1),
    edge_pad: idle(10, 'in that family either'),
    max_position_jitter: idle(10, 'in that family either'),
  },
  training: {
    nll: special(true),
    device: to('accelerator', 'cuda', words({ cuda: 'auto' })),
    strategy: to('strategy', 'ddp'),
    n_devices: to('devices', 1),
    learning_rate: to('learning_rate', 1e-3),
    epochs: to('nepochs', 50),
    max_epochs: to('nepochs', undefined),
    batch_size: to('batch_size', 16),
    epochs_fine_tune: to('epochs_fine_tune', 0),
    fine_tune_gamma: to('fine_tune_gamma', 0.1),
    scheduler: to('scheduler', 'Default'),
    num_workers: idle(4, 'here: prefetch_factor says how many batches are read ahead'),
    accum_steps: to('accum_steps', 1),
    stage_1_epochs: to('stage_1_epochs', 0),
    stage_2_epochs: to('stage_2_epochs', 0),
    stage_3_epochs: special(0),
    physics_weight_schedule: to('physics_weight_schedule', 'cosine'),
    stage_3_lr_factor: to('stage_3_lr_factor', 0.1),
    torch_loss_mode: special('poisson'),
    log_grad_norm: idle(false, 'here: gradient_norm is a column of history.csv in any case'),
  },
  inference: {
    middle_trim: to('stitch_crop_px', 32),
    batch_size: to('batch_size', 1000),
    experiment_number: to('experiment_number', undefined),
    pad_eval: idle(true, 'in that family either'),
    window: to('window', 20),
    patch_weighting: to('patch_weighting', 'probe'),
    varpro_scaling: to('varpro_scaling', true),
    log_patch_stats: to('log_patch_stats', false),
    patch_stats_limit: to('patch_stats_limit', null),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, TorchField>>>>;

/** The blocks of a PyTorch-style configuration. */
export type TorchBlock = keyof typeof TORCH_FIELDS;

/** The fields of a block. */
export function torchFieldsOf(block: TorchBlock): Readonly<Record<string, TorchField>> {
  return TORCH_FIELDS[block];
}

/** Where a PyTorch-style name belongs, for advice on unknown keys. */
export function torchHome(name: string): { readonly block: TorchBlock; readonly to: string | undefined } | undefined {
  for (const block of Object.keys(TORCH_FIELDS) as TorchBlock[]) {
    const fields = torchFieldsOf(block);
    if (Object.hasOwn(fields, name)) return { block, to: fields[name].to };
  }
  return undefined;
}

/** The supported pairs of scale contract and measurement domain. */
export const SCALE_CONTRACTS: Readonly<Record<string, string>> = {
  ci_intensity_v2: 'count_intensity',
  legacy_v1: 'normalized_amplitude',
};

/** The published configuration, field by field: names, defaults, legacy keys, and what is refused by name. */
import { describe, expect, it } from 'vitest';
import { inferenceDefinition, trainingDefinition } from '../../src/config/commands.js';
import { allFields, type ConfigDefinition, type Section } from '../../src/config/definition.js';
import { resolveConfig } from '../../src/config/resolve.js';
import { PUBLISHED_MODEL, PUBLISHED_TRAINING } from '../../src/config/trainingPresets.js';
import { isPtychoError } from '../../src/core/errors.js';
import type { FieldInfo } from '../../src/core/field.js';

const MODEL = {
  gridsize: 1,
  n_filters_scale: 2,
  model_type: 'pinn',
  architecture: 'cnn',
  fno_modes: 12,
  fno_width: 32,
  fno_blocks: 4,
  fno_cnn_blocks: 2,
  learned_input_channels: 1,
  max_hidden_channels: null,
  resnet_width: null,
  fno_input_transform: 'none',
  generator_output_mode: 'real_imag',
  amp_activation: 'sigmoid',
  object_big: true,
  probe_big: true,
  probe_mask: false,
  probe_mask_sigma: 1,
  probe_mask_diameter: null,
  pad_object: true,
  probe_scale: 4,
  gaussian_smoothing_sigma: 0,
  // Written in the block of the machine there.
  ffno_encoder_share_weights: true,
  ffno_encoder_gate_init: 0.1,
  ffno_encoder_norm: 'instance',
  ffno_encoder_mlp_ratio: 2,
  spectral_bottleneck_blocks: 6,
  spectral_bottleneck_modes: 12,
  spectral_bottleneck_share_weights: true,
  spectral_bottleneck_gate_init: 0.1,
  spectral_bottleneck_gate_mode: 'shared',
  hybrid_skip_connections: false,
  hybrid_skip_style: 'add',
  hybrid_downsample_steps: 2,
  hybrid_downsample_op: 'stride_conv',
  hybrid_encoder_conv_hidden_scale: 2,
  hybrid_encoder_spectral_hidden_scale: 1,
  hybrid_encoder_conv_hidden_channels: null,
  hybrid_encoder_spectral_hidden_channels: null,
  hybrid_encoder_branch_select: 'both',
  hybrid_encoder_fusion_mode: 'baseline',
  hybrid_encoder_layerscale_init: 0.1,
  hybrid_encoder_branch_gate_init: 0.1,
  hybrid_resnet_blocks: 6,
  hybrid_resnet_bottleneck_layerscale_mode: 'learned',
  hybrid_resnet_bottleneck_layerscale_value: null,
};
const TRAINING = {
  train_data_file: null,
  test_data_file: null,
  batch_size: 16,
  nepochs: 50,
  mae_weight: 0,
  nll_weight: 1,
  realspace_mae_weight: 0,
  realspace_weight: 0,
  nphotons: 1e9,
  n_groups: null,
  n_subsample: null,
  subsample_seed: null,
  neighbor_count: 4,
  enable_oversampling: false,
  neighbor_pool_size: null,
  positions_provided: true,
  probe_trainable: false,
  intensity_scale_trainable: true,
  output_dir: 'training_outputs',
  sequential_sampling: false,
  torch_loss_mode: 'poisson',
  torch_mae_pred_l2_match_target: false,
  gradient_clip_val: null,
  gradient_clip_algorithm: 'norm',
  optimizer: 'adam',
  momentum: 0.9,
  weight_decay: 0,
  adam_beta1: 0.9,
  adam_beta2: 0.999,
  scheduler: 'Default',
  lr_warmup_epochs: 0,
  lr_min_ratio: 0.1,
  plateau_factor: 0.5,
  plateau_patience: 2,
  plateau_min_lr: 5e-5,
  plateau_threshold: 0,
};
const INFERENCE = {
  n_groups: null,
  n_subsample: null,
  subsample_seed: null,
  neighbor_count: 4,
  enable_oversampling: false,
  neighbor_pool_size: null,
  debug: false,
  output_dir: 'inference_outputs',
};
const EXECUTION = {
  accelerator: 'auto',
  devices: 1,
  strategy: 'auto',
  deterministic: true,
  precision: '32-true',
  accum_steps: 1,
  num_workers: 0,
  pin_memory: false,
  persistent_workers: false,
  prefetch_factor: null,
  enable_progress_bar: false,
  enable_checkpointing: true,
  checkpoint_save_top_k: 1,
  checkpoint_monitor_metric: 'val_loss',
  checkpoint_mode: 'min',
  early_stop_patience: 100,
  logger_backend: 'csv',
  recon_log_every_n_epochs: null,
  recon_log_num_patches: 4,
  recon_log_fixed_indices: null,
  recon_log_stitch: false,
  recon_log_max_stitch_samples: null,
  inference_batch_size: null,
  middle_trim: 0,
  pad_eval: false,
};

const section = (definition: ConfigDefinition<unknown>, key: Section['key']): readonly FieldInfo[] =>
  definition.sections.find((candidate) => candidate.key === key)!.fields;
const own = {
  'the model': [
    'N',
    'cbam_encoder',
    'border_activation',
    'member_networks',
    'probe_mask_edge',
    'align_members',
    // Published in the PyTorch family only.
    'cnn_output_mode',
    'physics_forward_mode',
    'rect_s1s2_trainable',
    'rect_s1s2_init',
    'training_patch_weighting',
    'ffno_encoder_blocks',
    'ffno_encoder_modes',
    'eca_encoder',
    'cbam_bottleneck',
    'cbam_decoder',
    'eca_decoder',
    'spatial_decoder',
    'decoder_spatial_kernel',
    'batch_norm',
    'use_shared_decoder',
    'use_legacy_decoder_channel_override',
    'decoder_last_c_outer_fraction',
    'uno_resized_waves',
  ],
  execution: ['engine', 'threads', 'mlflow_allow_file', 'mlflow_tracking_uri', 'mlflow_experiment'],
};

describe('the published fields', () => {
  it.each([
    ['the model', section(trainingDefinition, 'model'), MODEL, own['the model']],
    ['training', section(trainingDefinition, null), TRAINING, null],
    ['inference', section(inferenceDefinition, null), INFERENCE, null],
    ['execution', section(trainingDefinition, 'execution'), EXECUTION, own.execution],
  ] as const)(
    'of %s are all there, with their defaults where the preset is published',
    (_name, fields, published, additional) => {
      const others: Readonly<Record<string, unknown>> = { ...PUBLISHED_TRAINING, ...PUBLISHED_MODEL };
      const preset = (field: FieldInfo) => (_name === 'inference' ? field.fallback : others[field.name]);
      const found = Object.fromEntries(
        fields.map((field) => [field.name, Object.hasOwn(others, field.name) ? preset(field) : field.fallback]),
      );
      expect(found).toMatchObject(published);
      if (additional === null) return;
      expect(
        fields
          .map((field) => field.name)
          .filter((name) => !Object.hasOwn(published, name))
          .sort(),
      ).toEqual([...additional].sort());
    },
  );

  it('have the one deliberate departure, backend, and the additions', () => {
    const fields = new Map(allFields(trainingDefinition).map((field) => [field.name, field]));
    expect(fields.get('backend')?.fallback).toBe('onnx');
    for (const name of ['seed', 'threads', 'engine', 'learning_rate', 'position_trainable', 'position_learning_rate']) {
      expect(fields.has(name), name).toBe(true);
    }
    expect(fields.get('learning_rate')?.fallback).toBe(1e-3);
    expect(fields.get('position_step_limit_px')?.unit).toBe('px');
  });
});

/** A value that the field's type takes and that is not the default. */
function other(field: FieldInfo): unknown {
  if (field.unavailable.length > 0) return field.unavailable[0];
  switch (field.kind) {
    case 'boolean':
      return !field.fallback;
    case 'integer':
    case 'number':
      // Within every range that fixed fields have.
      return field.fallback === 0.5 ? 0.25 : field.kind === 'number' ? 0.5 : Number(field.fallback ?? 0) + 1;
    case 'list':
      return [1];
    case 'texts':
      return ['another'];
    case 'pair':
      return [0.1, 0.2];
    case 'choice':
    case 'text':
      return 'another';
  }
}

describe('what this version does not have', () => {
  const refused = allFields(trainingDefinition).filter((field) => field.fixed || field.unavailable.length > 0);

  it('is most of the published machine settings', () => {
    const names = refused.map((field) => field.name);
    expect(names).toEqual(expect.arrayContaining(['strategy', 'num_workers', 'precision']));
  });

  it.each(refused.map((field) => [field.name, field] as const))('%s is refused by name', (name, field) => {
    const value = other(field);
    const attempt = () => resolveConfig(trainingDefinition, { flags: { [name]: value } });
    expect(attempt).toThrow(new RegExp(`^${name}: .* is not available in this version; only .* (is|are)[ .]`));
    try {
      attempt();
    } catch (error) {
      expect(isPtychoError(error, 'CONFIG_INVALID') && error.fields.field).toBe(name);
    }
    // The default is always welcome.
    expect(() => resolveConfig(trainingDefinition, { flags: { [name]: field.fallback } })).not.toThrow();
  });

  it.each([
    [
      { strategy: 'fsdp' },
      'strategy: fsdp is not available in this version; only auto and ddp are (devices says how many engines share the work, each with all weights).',
    ],
    [
      { devices: 32 },
      'There are 32 workers (devices), but a batch has 4 groups to share out; give a larger batch_size, or 4 workers at most.',
    ],
    [
      { fno_modes: 8 },
      'architecture cnn has no use for fno_modes, a field of hybrid_resnet, hybrid_resnet_convnext_bottleneck, hybrid_resnet_ffno_bottleneck and 10 other networks; leave it out.',
    ],
    [
      { accelerator: 'tpu' },
      'accelerator: tpu is not available in this version; only auto, cuda, webgpu, coreml, directml and cpu are (no engine of this package runs on one).',
    ],
    [{ accum_steps: 0 }, 'accum_steps must be a positive whole number, got 0 (--accum_steps).'],
    [{ precision: 'half' }, 'precision must be 32-true, tf32 or 16-mixed, got "half" (--precision).'],
    [
      { precision: 'bf16' },
      'precision: bf16-mixed is not available in this version; only 32-true, tf32 and 16-mixed are (no engine of this package has it; use 16-mixed or tf32).',
    ],
    [
      { checkpoint_save_top_k: -1 },
      'checkpoint_save_top_k must be a whole number of at least 0, got -1 (--checkpoint_save_top_k).',
    ],
    [{ probe_scale: 0 }, 'probe_scale must be a positive number, got 0 (--probe_scale).'],
    [
      { enable_oversampling: true, neighbor_pool_size: 3, gridsize: 2 },
      'OVERSAMPLING-001: neighbor_pool_size (3) must be at least gridsize² (4), the patterns of one group.',
    ],
  ])('%j is one sentence', (flags, message) => {
    expect(() => resolveConfig(trainingDefinition, { flags })).toThrow(message);
  });
});

describe('keys of published files that play no part', () => {
  const origin = 'comparison_config.yaml';
  const resolved = (values: Record<string, unknown>) => resolveConfig(trainingDefinition, { file: { origin, values } });

  it('are left out, with one note each', () => {
    const { config, notes } = resolved({ stitch_crop_size: 20, experiment_name: 'a', nepochs: 7 });
    expect(config.nepochs).toBe(7);
    expect(notes.filter((note) => note.includes('plays no part and was left out'))).toEqual([
      `${origin}: stitch_crop_size plays no part and was left out (stitch_crop_px of infer says how much of a patch is stitched).`,
      `${origin}: experiment_name plays no part and was left out (it is a label of an experiment).`,
    ]);
  });

  it('are no flags, and unknown keys are refused', () => {
    expect(() => resolved({ experiment_nam: 'a' })).toThrow(/unknown key experiment_nam/);
    expect(() => resolveConfig(trainingDefinition, { flags: { experiment_name: 'a' } } as never)).toThrow(
      /experiment_name/,
    );
  });

  it('are known in blocks of the PyTorch family, too', () => {
    const values = {
      data_config: { n_subsample: 1, N: 64 },
      model_config: { decoder_last_amp_channels: 4, amp_loss: null, amp_loss_coeff: 2 },
      training_config: { epochs: 3, experiment_name: 'PtychoPINN synthetic' },
      n_groups: 8,
      nphotons: 1e9,
      train_data_file: 'scan.npz',
    };
    const { config, notes } = resolved(values);
    expect(config.nepochs).toBe(3);
    expect(config.n_subsample).toBeNull();
    for (const key of ['decoder_last_amp_channels', 'experiment_name', 'amp_loss_coeff']) {
      expect(notes.filter((note) => note.includes(`${key} plays no part`))).toHaveLength(1);
    }
  });

  it('leave the remedy where a group lacks neighbours', () => {
    expect(() => resolved({ gridsize: 2, neighbor_count: 2, train_data_file: 'scan.npz' })).toThrow(
      /neighbor_count \(2\) must be at least gridsize² \(4\).* give --neighbor_count 4 or more, or --gridsize 1/,
    );
  });
});

describe('fields that not every network has', () => {
  const given = { architecture: 'hybrid_resnet', n_filters_scale: 2, amp_activation: 'sigmoid', fno_width: 16 };

  it('are left out of files, which hold those of every network, with a note where they say something', () => {
    const { config, notes } = resolveConfig(trainingDefinition, { file: { origin: 'run.yaml', values: given } });
    expect(config.model).toMatchObject({ architecture: 'hybrid_resnet', fno_width: 16, n_filters_scale: 1 });
    expect(notes.filter((note) => note.includes('plays no part'))).toEqual([
      'run.yaml: n_filters_scale plays no part in architecture hybrid_resnet and was left out.',
    ]);
  });

  it('are refused where somebody typed them, and not brought by presets', () => {
    expect(() => resolveConfig(trainingDefinition, { flags: given })).toThrow(
      /^architecture hybrid_resnet has no use for n_filters_scale/,
    );
    const { config } = resolveConfig(trainingDefinition, {
      flags: { architecture: 'hybrid_resnet', preset: 'published', profile: 'ci' },
    });
    expect(config.model).toMatchObject({ n_filters_scale: 1, cnn_output_mode: 'amp_phase' });
  });

  it('may be in the block of the machine, where published files have them', () => {
    const values = { architecture: 'hybrid_resnet', execution: { hybrid_resnet_blocks: 2, threads: 1 } };
    const { config } = resolveConfig(trainingDefinition, { file: { origin: 'run.yaml', values } });
    expect(config.model.hybrid_resnet_blocks).toBe(2);
  });

  it.each([
    [{ hybrid_downsample_steps: 3 }, 'hybrid_downsample_steps must be 1 or 2, got 3.'],
    [{ fno_blocks: 1 }, 'fno_blocks (1) must be at least hybrid_downsample_steps (2)'],
    [{ resnet_width: 6 }, 'resnet_width must be a multiple of 4, got 6; the decoder halves it.'],
    [{ hybrid_resnet_bottleneck_layerscale_value: 1 }, 'give both or neither'],
    [{ hybrid_resnet_bottleneck_layerscale_mode: 'fixed' }, 'give both or neither'],
    [{ physics_forward_mode: 'rectangular_scaled', generator_output_mode: 'amp_phase' }, 'needs generator_output_mode'],
  ])('%j is refused', (flags, message) => {
    expect(() => resolveConfig(trainingDefinition, { flags: { architecture: 'hybrid_resnet', ...flags } })).toThrow(
      message,
    );
  });
});

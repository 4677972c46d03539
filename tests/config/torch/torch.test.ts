import { describe, expect, it } from 'vitest';
import { inferenceDefinition, trainingDefinition } from '../../../src/config/commands.js';
import { finaliseTrainingConfig } from '../../../src/config/finalise.js';
import { resolveConfig } from '../../../src/config/resolve.js';
import { TORCH_FIELDS, type TorchBlock } from '../../../src/config/torch/fields.js';
import { fromTorchConfigs, type TorchBlocks } from '../../../src/config/torch/fromTorchConfigs.js';

const overrides = { train_data_file: 'scan.npz', test_data_file: 'test.npz', n_groups: 512, nphotons: 1e9 };
const train = (blocks: TorchBlocks, more: Record<string, unknown> = {}) => {
  const { training, ...rest } = fromTorchConfigs({ training: {}, ...blocks }, { ...overrides, ...more });
  return { ...rest, ...training! };
};

describe('fromTorchConfigs', () => {
  it('translates names, words and shapes', () => {
    const { config, notes } = train({
      data: {
        grid_size: [2, 2],
        C: 4,
        K: 7,
        K_quadrant: 20,
        neighbor_function: '4_quadrant',
        min_neighbor_distance: 1,
        max_neighbor_distance: 9,
        x_bounds: [0.2, 0.8],
        subsample_seed: 5,
        probe_scale: 2,
        N: 128,
      },
      model: {
        mode: 'Unsupervised',
        architecture: 'cnn',
        amp_activation: 'silu',
        probe_mask: [[true]],
        cbam_encoder: false,
        C_model: 4,
        C_forward: 4,
        object_big: false,
        intensity_scale_trainable: true,
      },
      training: { epochs: 20, batch_size: 8, nll: true, device: 'cpu', learning_rate: 0.01, scheduler: 'Exponential' },
    });
    expect(config.model).toMatchObject({
      N: 128,
      gridsize: 2,
      model_type: 'pinn',
      architecture: 'cnn_cbam',
      cbam_encoder: false,
      amp_activation: 'swish',
      probe_mask: true,
      object_big: false,
      probe_scale: 2,
    });
    expect(config).toMatchObject({
      nepochs: 20,
      batch_size: 8,
      nll_weight: 1,
      mae_weight: 0,
      neighbor_count: 7,
      subsample_seed: 5,
      learning_rate: 0.01,
      scheduler: 'Exponential',
      intensity_scale_trainable: true,
      n_groups: 512,
      nphotons: 1e9,
    });
    expect(config.data).toMatchObject({
      neighbor_function: 'four_quadrants',
      quadrant_candidates: 20,
      min_neighbor_distance_px: 1,
      max_neighbor_distance_px: 9,
      x_bounds: [0.2, 0.8],
      y_bounds: [0.1, 0.9],
    });
    expect(config.execution.accelerator).toBe('cpu');
    expect(notes).toContain('architecture cnn of PyTorch-style configurations is called cnn_cbam here.');
  });

  it('has the defaults of that family for what is left out, and says so', () => {
    const { config, provenance } = train({});
    expect(config.model).toMatchObject({ gridsize: 2, architecture: 'cnn_cbam', amp_activation: 'swish' });
    expect(config).toMatchObject({ neighbor_count: 6, nepochs: 50, intensity_scale_trainable: false });
    expect(config.execution.accelerator).toBe('auto');
    expect(provenance.neighbor_count).toEqual({
      value: 6,
      source: 'default',
      origin: 'default of PyTorch-style configurations',
    });
    expect(provenance.nphotons).toEqual({ value: 1e9, source: 'caller', origin: 'overrides' });
  });

  it('never assumes N: it comes from the file, and a given N is compared with it', () => {
    const open = train({});
    expect('N' in open.config.model).toBe(false);
    const scan = { N: 128, count: 600, origin: 'scan.npz' };
    expect(finaliseTrainingConfig(open.config, scan, open.provenance).config.model.N).toBe(128);
    const claimed = train({ data: { N: 64 } });
    expect(() => finaliseTrainingConfig(claimed.config, scan, claimed.provenance)).toThrow(/^N is given as 64, but /);
  });

  it('lets overrides win, under either name', () => {
    const blocks = { data: { K: 7, grid_size: [1, 1] }, training: { epochs: 20 } };
    expect(train(blocks, { max_epochs: 3, grid_size: [2, 2] }).config).toMatchObject({
      nepochs: 3,
      model: { gridsize: 2 },
    });
    expect(train(blocks, { neighbor_count: 9, nepochs: 4 }).config).toMatchObject({ neighbor_count: 9, nepochs: 4 });
    expect(train({ training: { max_epochs: 6 } }).config.nepochs).toBe(6);
  });

  it('takes n_images for n_groups, with one warning', () => {
    const { config, warnings } = train({ data: { n_images: 77 } }, { n_groups: undefined });
    expect(config.n_groups).toBe(77);
    expect(warnings).toEqual(['n_images is the former name of n_groups; write n_groups.']);
  });

  it('translates the loss', () => {
    expect(train({ training: { torch_loss_mode: 'mae' } }).config).toMatchObject({ nll_weight: 0, mae_weight: 1 });
    expect(() => train({ training: { nll: false } })).toThrow(/both 0, so there is nothing to train on/);
    expect(() => train({ training: { nll: 1 } })).toThrow('nll must be true or false, got 1.');
    expect(train({ model: { probe_mask: null } }).config.model.probe_mask).toBe(false);
  });

  it('learns from labels where both words say so', () => {
    const { config, notes } = train({ model: { mode: 'Supervised' }, training: { torch_loss_mode: 'mae' } });
    expect(config.model.model_type).toBe('supervised');
    expect(config.torch_loss_mode).toBe('mae');
    expect(notes.join()).not.toContain('nll_weight');
    const beside = train({ model: { mode: 'Supervised' } }, { torch_loss_mode: 'mae' });
    expect(beside.config.model.model_type).toBe('supervised');
  });

  it('has what trains in that family', () => {
    const { config, notes } = train({
      model: { cnn_output_mode: 'real_imag' },
      training: {
        optimizer: 'sgd',
        momentum: 0.5,
        gradient_clip_val: 2,
        gradient_clip_algorithm: 'agc',
        accum_steps: 4,
        scheduler: 'MultiStage',
        stage_1_epochs: 2,
        stage_2_epochs: 3,
        stage_3_epochs: 4,
        physics_weight_schedule: 'linear',
        stage_3_lr_factor: 0.5,
        log_grad_norm: true,
      },
    });
    expect(config).toMatchObject({
      optimizer: 'sgd',
      momentum: 0.5,
      gradient_clip_val: 2,
      gradient_clip_algorithm: 'agc',
      scheduler: 'Default',
      nepochs: 9,
      stage_1_epochs: 2,
      stage_2_epochs: 3,
      physics_weight_schedule: 'linear',
      stage_3_lr_factor: 0.5,
      model: { cnn_output_mode: 'real_imag' },
      execution: { accum_steps: 4 },
    });
    expect(notes.join('\n')).toMatch(/^scheduler MultiStage is Default here: the stages are set by stage_1_epochs/m);
  });

  it('has the attention, the losses and the fine tuning of that family', () => {
    const { config, notes } = train({
      model: {
        cbam_bottleneck: true,
        cbam_decoder: true,
        batch_norm: true,
        use_shared_decoder: true,
        amp_loss: 'Total_Variation',
        amp_loss_coeff: 0.5,
        phase_loss_coeff: 3,
        eca_encoder: true,
        decoder_last_c_outer_fraction: 0.3,
      },
      data: { probe_normalize: false, normalize: 'None', data_scaling: 'Max' },
      training: { epochs_fine_tune: 3, fine_tune_gamma: 0.2 },
    });
    expect(config).toMatchObject({
      amp_loss: 'Total_Variation',
      amp_loss_coeff: 0.5,
      phase_loss: null,
      probe_normalize: false,
      normalize: 'None',
      data_scaling: 'Parseval',
      epochs_fine_tune: 3,
      fine_tune_gamma: 0.2,
      model: { cbam_bottleneck: true, cbam_decoder: true, batch_norm: true, use_shared_decoder: true },
    });
    // What did nothing there is left out, with a note.
    expect(config.model).toMatchObject({ eca_encoder: false, decoder_last_c_outer_fraction: 0.125 });
    expect(notes.join('\n')).toMatch(/model_config.phase_loss_coeff plays no part without phase_loss\.$/m);
    expect(notes.join('\n')).toMatch(/model_config.eca_encoder plays no part beside cbam_encoder\.$/m);
    const eca = { cbam_encoder: false, eca_encoder: true };
    expect(train({ model: eca }).config.model.eca_encoder).toBe(true);
    const share = { use_legacy_decoder_channel_override: true, decoder_last_c_outer_fraction: 0.3 };
    expect(train({ model: share }).config.model).toMatchObject(share);
  });

  it('groups by rows, keeps the phases of labels, and tells what does nothing there either', () => {
    const { config, notes } = train({
      data: { neighbor_function: '4_quadrant', scan_pattern: 'Rectangular', phase_subtraction: false },
      model: { offset: 4, edge_pad: 8, max_position_jitter: 3, intensity_scale: 300, eca_decoder: true },
      training: { num_workers: 8, scheduler: 'Adaptive' },
    });
    expect(config).toMatchObject({
      phase_subtraction: false,
      scheduler: 'Default',
      data: { neighbor_function: 'four_quadrants', scan_pattern: 'rectangular' },
      model: { eca_decoder: true },
    });
    for (const key of ['offset', 'edge_pad', 'max_position_jitter']) {
      expect(notes).toContain(`model_config.${key} plays no part in that family either.`);
    }
    expect(notes).toContain('model_config.intensity_scale plays no part without intensity_scale_trainable.');
    expect(notes.join('\n')).toMatch(/training_config.num_workers plays no part here: prefetch_factor says/);
    expect(notes.join('\n')).toMatch(/^scheduler Adaptive is Default here/m);
    const idle = train({ data: { scan_pattern: 'Rectangular' } });
    expect(idle.config.data.scan_pattern).toBe('isotropic');
    expect(idle.notes).toContain('data_config.scan_pattern plays no part without neighbor_function 4_quadrant.');
    // Those who say what is the case say nothing.
    expect(train({ model: { offset: 6, edge_pad: 10 } }).notes).toEqual(train({}).notes);
  });

  it('writes the profile ci out, for the model and for the run', () => {
    const { config, model, provenance } = train({}, { profile: 'ci' });
    const forward = {
      physics_forward_mode: 'rectangular_scaled',
      cnn_output_mode: 'real_imag',
      rect_s1s2_trainable: true,
      rect_s1s2_init: 'data',
    };
    expect(model).toMatchObject(forward);
    expect(config).toMatchObject({
      profile: 'ci',
      scale_contract_version: 'ci_intensity_v2',
      measurement_domain: 'count_intensity',
      model: forward,
    });
    expect(provenance.rect_s1s2_init.source).toBe('file');
    expect(train({ model: { rect_s1s2_init: 'ones' } }, { profile: 'ci' }).config.model.rect_s1s2_init).toBe('ones');
  });

  it('knows the contract of counts where it acts', () => {
    const pair = { scale_contract_version: 'ci_intensity_v2', measurement_domain: 'count_intensity' };
    const rectangular = { physics_forward_mode: 'rectangular_scaled', cnn_output_mode: 'real_imag' };
    expect(train({ data: pair, model: rectangular }).config.scale_contract_version).toBe('ci_intensity_v2');
    expect(train({ data: pair }).config).toMatchObject({
      scale_contract_version: 'counts_v1',
      measurement_domain: 'count_intensity',
    });
    // Normalised amplitudes have the counts of nphotons, in the rectangular forward model as in the other.
    const legacy = { scale_contract_version: 'legacy_v1', measurement_domain: 'normalized_amplitude' };
    const { config, notes } = train({ data: legacy, model: rectangular });
    expect(config).toMatchObject({
      scale_contract_version: 'counts_v1',
      measurement_domain: 'normalized_amplitude',
      model: { physics_forward_mode: 'rectangular_scaled' },
    });
    expect(notes.join('\n')).toMatch(/legacy_v1 is called counts_v1 here/);
    expect(() => train({ data: legacy, model: rectangular }, { profile: 'ci' })).toThrow(
      /^profile ci demands scale_contract_version "ci_intensity_v2"/,
    );
  });

  it('makes an inference configuration', () => {
    const blocks = {
      data: { K: 7, grid_size: [2, 2] },
      inference: {
        ...{ patch_weighting: 'uniform', log_patch_stats: true },
        ...{ middle_trim: 24, experiment_number: 1, window: 7, pad_eval: false },
      },
    };
    const result = fromTorchConfigs(blocks, { model_path: 'run', test_data_file: 'scan.npz' });
    expect(result.training).toBeUndefined();
    expect(result.inference?.config).toMatchObject({
      neighbor_count: 7,
      batch_size: 1000,
      patch_weighting: 'uniform',
      log_patch_stats: true,
      varpro_scaling: true,
      stitch_crop_px: 24,
      experiment_number: 1,
      window: 7,
      n_groups: null,
      model: { gridsize: 2 },
    });
    const left = fromTorchConfigs({ inference: {} }, { model_path: 'run', test_data_file: 'scan.npz' });
    expect(left.inference?.config).toMatchObject({ stitch_crop_px: 32, experiment_number: null, window: 20 });
    // What nobody gave claims nothing about the bundle's model.
    expect(Object.keys(result.inference?.config.model ?? {})).toEqual(['gridsize']);
    expect(result.model).toMatchObject({ gridsize: 2, architecture: 'cnn_cbam' });
    expect(() => fromTorchConfigs(blocks, { test_data_file: 'scan.npz' })).toThrow(/^model_path is needed/);
    expect(() => fromTorchConfigs(blocks, { model_path: 'run' })).toThrow(/^test_data_file is needed/);
  });

  it('takes a full dump of the defaults, all four blocks', () => {
    const dump: Partial<Record<TorchBlock, Record<string, unknown>>> = {};
    for (const block of Object.keys(TORCH_FIELDS) as TorchBlock[]) {
      dump[block] = Object.fromEntries(
        Object.entries(TORCH_FIELDS[block]).map(([name, field]) => [name, field.fallback]),
      );
    }
    Object.assign(dump.data!, { N: 64, C: 4 });
    Object.assign(dump.model!, { C_model: 4, C_forward: 4 });
    const { config } = train(dump);
    expect(config).toMatchObject({ measurement_domain: 'count_intensity', nepochs: 50, model: { N: 64, gridsize: 2 } });
  });
});

describe('guards of the bridge', () => {
  it.each<[string, TorchBlocks, Record<string, unknown>, string | RegExp]>([
    [
      'non-square',
      { data: { grid_size: [2, 3] } },
      {},
      'grid_size must be square, two equal positive whole numbers, got [2,3].',
    ],
    ['C', { data: { C: 9 } }, {}, 'C is 9, but a group of grid_size 2 × 2 has 4 patterns; leave C out.'],
    ['mode', { model: { mode: 'Semi' } }, {}, /^model_type must be pinn or supervised, got "Semi"/],
    [
      'supervised',
      { model: { mode: 'Supervised' } },
      {},
      'model_type supervised compares patches with labels by their absolute error and needs torch_loss_mode mae, got poisson.',
    ],
    [
      'activation',
      { model: { amp_activation: 'tanh' } },
      {},
      /^amp_activation must be sigmoid, swish, softplus or relu, got "tanh"/,
    ],
    [
      'nphotons default',
      {},
      { nphotons: undefined },
      /^nphotons is 1e5, the default of PyTorch-style configurations, where others have 1e9;/,
    ],
    ['nphotons 1e5', { data: { nphotons: 1e5 } }, { nphotons: undefined }, /^nphotons is 1e5/],
    ['n_groups', {}, { n_groups: undefined }, /^n_groups is needed: /],
    ['train_data_file', {}, { train_data_file: undefined }, /^train_data_file is needed: /],
    [
      'architecture',
      { model: { architecture: 'hybrids' } },
      {},
      /^architecture must be cnn, cnn_cbam, .*, got "hybrids"/,
    ],
    [
      'one of a pair',
      { data: { scale_contract_version: 'legacy_v1' } },
      {},
      'scale_contract_version is given without measurement_domain; give both or neither.',
    ],
    [
      'the other',
      { data: { measurement_domain: 'count_intensity' } },
      {},
      'measurement_domain is given without scale_contract_version; give both or neither.',
    ],
    [
      'wrong pair',
      { data: { scale_contract_version: 'legacy_v1', measurement_domain: 'count_intensity' } },
      {},
      'scale_contract_version "legacy_v1" does not go with measurement_domain "count_intensity"; the pairs are ci_intensity_v2 with count_intensity and legacy_v1 with normalized_amplitude.',
    ],
    [
      'pair of overrides',
      {},
      { scale_contract_version: 'legacy_v1', measurement_domain: 'count_amplitude' },
      /does not go with/,
    ],
    ['profile', {}, { profile: 'cj' }, 'profile must be ci or null, got "cj".'],
    [
      'ci against loss',
      { training: { torch_loss_mode: 'mae' } },
      { profile: 'ci' },
      'profile ci demands torch_loss_mode "poisson", but torch_loss_mode is given as "mae"; leave one of them out.',
    ],
    [
      'ci against forward',
      { model: { physics_forward_mode: 'amplitude' } },
      { profile: 'ci' },
      /^profile ci demands physics_forward_mode "rectangular_scaled"/,
    ],
    [
      'ci against an override',
      {},
      { profile: 'ci', physics_forward_mode: 'amplitude' },
      /^profile ci demands physics_forward_mode "rectangular_scaled", but physics_forward_mode is given as "amplitude"/,
    ],
    [
      'rectangular without real parts',
      { model: { physics_forward_mode: 'rectangular_scaled' } },
      {},
      /needs cnn_output_mode real_imag\.$/,
    ],
    [
      'half ci',
      { model: { rect_s1s2_init: 'data' } },
      {},
      'rect_s1s2_init data needs physics_forward_mode rectangular_scaled; leave it out.',
    ],
    [
      'ci supervised',
      { model: { physics_forward_mode: 'rectangular_scaled', mode: 'Supervised' } },
      {},
      /needs mode Unsupervised, got "Supervised"\.$/,
    ],
    [
      'ci mae',
      { model: { physics_forward_mode: 'rectangular_scaled' }, training: { torch_loss_mode: 'mae' } },
      {},
      /needs torch_loss_mode poisson, got "mae"\.$/,
    ],
    [
      'gain',
      { model: { amplitude_physics_gain: Number.NaN } },
      {},
      'amplitude_physics_gain must be a positive number, got NaN.',
    ],
    [
      'other gain',
      { model: { amplitude_physics_gain: 2 } },
      {},
      'amplitude_physics_gain: 2 is not available in this version; only 1 is.',
    ],
    [
      'a scale of its own',
      { model: { intensity_scale: 300, intensity_scale_trainable: true } },
      {},
      /^intensity_scale: 300 is not available .* begins at that of the data: leave it out/,
    ],
    [
      'repeats',
      { data: { n_subsample: 3 } },
      {},
      /^n_subsample: 3 is not available .*groups that begin at each position: give n_groups/,
    ],
    [
      'stages and epochs',
      { training: { stage_1_epochs: 2, stage_2_epochs: 3, stage_3_epochs: 4, epochs: 50 } },
      {},
      'epochs is 50, but the three stages have 9 epochs together; leave epochs or stage_3_epochs out.',
    ],
    [
      'third stage',
      { training: { stage_3_epochs: -1 } },
      {},
      'stage_3_epochs must be a whole number of at least 0, got -1.',
    ],
    [
      'twice',
      { training: { epochs: 3, max_epochs: 4 } },
      {},
      /gives nepochs twice, as 3 and, at training_config.max_epochs, as 4/,
    ],
    [
      'unknown key',
      { data: { grid_siz: 2 } },
      {},
      'PyTorch-style configuration: unknown key data_config.grid_siz; did you mean grid_size?',
    ],
    [
      'unknown block',
      { dat: {} } as TorchBlocks,
      {},
      'PyTorch-style configuration: unknown key dat; did you mean data?',
    ],
    ['unknown override', {}, { n_group: 3 }, 'overrides: unknown key n_group; did you mean n_groups?'],
  ])('%s', (_name, blocks, more, message) => {
    expect(() => train(blocks, more)).toThrow(message);
  });

  it('warns where no scan validates', () => {
    expect(train({}, { test_data_file: undefined }).warnings).toEqual([
      'test_data_file is not given, so a share of the training groups (val_fraction) validates.',
    ]);
    expect(train({}).warnings).toEqual([]);
  });
});

describe('files of the PyTorch style', () => {
  const values = {
    data_config: { grid_size: [1, 1], K: 7 },
    training_config: { epochs: 9 },
    datagen_config: { objects_per_probe: 4 },
    n_groups: 64,
  };
  const file = { origin: 'torch.yaml', values };

  it('are understood beside fields of this package and flags', () => {
    const flags = { train_data_file: 'a.npz', nphotons: 1e5, nepochs: 2 };
    const { config, provenance, notes } = resolveConfig(trainingDefinition, { file, flags });
    expect(config).toMatchObject({
      n_groups: 64,
      nepochs: 2,
      neighbor_count: 7,
      nphotons: 1e5,
      model: { gridsize: 1 },
    });
    expect(provenance.neighbor_count).toEqual({ value: 7, source: 'file', origin: 'torch.yaml' });
    expect(notes).toContain('torch.yaml: datagen_config shapes simulated data and was left out.');
  });

  it('keep their guards', () => {
    expect(() => resolveConfig(trainingDefinition, { file, flags: { train_data_file: 'a.npz' } })).toThrow(/^nphotons/);
    expect(() => resolveConfig(trainingDefinition, { file, flags: { nphotons: 1e9 } })).toThrow(/^train_data_file/);
    const both = { origin: 'f.yaml', values: { training: {}, training_config: {} } };
    expect(() => resolveConfig(trainingDefinition, { file: both })).toThrow(
      'f.yaml gives both training_config and training; keep one of them.',
    );
  });

  it('let what the scan says win over defaults of that family', () => {
    const { config, provenance } = resolveConfig(trainingDefinition, {
      file,
      flags: { train_data_file: 'a.npz' },
      metadata: { origin: 'a.npz', values: { nphotons: 1e6 } },
    });
    expect(config.nphotons).toBe(1e6);
    expect(provenance.nphotons.source).toBe('metadata');
  });

  it('serve a reconstruction', () => {
    const flags = { model_path: 'run', test_data_file: 'a.npz' };
    const { config } = resolveConfig(inferenceDefinition, {
      file: { origin: 'torch.yaml', values: { ...values, inference_config: { batch_size: 64 } } },
      flags,
    });
    expect(config).toMatchObject({ batch_size: 64, neighbor_count: 7, n_groups: 64 });
  });

  it('are told by their blocks: alone, data and model are blocks of this package', () => {
    const own = { origin: 'own.yaml', values: { data: { flip_x: true }, model: { gridsize: 2 } } };
    expect(resolveConfig(trainingDefinition, { file: own }).config).toMatchObject({
      data: { flip_x: true },
      nepochs: null,
    });
    expect(() => resolveConfig(trainingDefinition, { file: { origin: 'own.yaml', values: { K: 7 } } })).toThrow(
      'own.yaml: unknown key K; did you mean neighbor_count?',
    );
    const mixed = { origin: 'own.yaml', values: { model: { edge_pad: 10 } } };
    expect(() => resolveConfig(trainingDefinition, { file: mixed })).toThrow(
      'own.yaml: unknown key model.edge_pad; it is a PyTorch-style name: put it into a block model_config.',
    );
  });
});

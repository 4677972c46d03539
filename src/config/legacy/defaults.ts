/**
 * The `params` dictionary of the Python tools before any configuration is applied, and those of its keys that no field
 * stands for. Facts only; `legacy.ts` holds the bridge.
 */

/** Every key that the dictionary starts with. */
export const LEGACY_DEFAULTS: Readonly<Record<string, unknown>> = Object.freeze({
  N: 128,
  offset: 4,
  gridsize: 2,
  outer_offset_train: null,
  outer_offset_test: null,
  batch_size: 16,
  nepochs: 60,
  n_filters_scale: 2,
  output_prefix: 'outputs',
  big_gridsize: 10,
  max_position_jitter: 10,
  sim_jitter_scale: 0,
  default_probe_scale: 0.7,
  mae_weight: 0,
  nll_weight: 1,
  tv_weight: 0,
  realspace_mae_weight: 0,
  realspace_weight: 0,
  nphotons: 1e9,
  nimgs_train: 9,
  nimgs_test: 3,
  data_source: 'generic',
  'probe.trainable': false,
  'intensity_scale.trainable': false,
  'positions.provided': false,
  'object.big': true,
  'probe.big': false,
  probe_scale: 10,
  set_phi: false,
  'probe.mask': true,
  pad_object: true,
  model_type: 'pinn',
  label: '',
  size: 392,
  amp_activation: 'sigmoid',
  h5_path: 'wts.h5',
  npseed: 42,
  debug: true,
  gaussian_smoothing_sigma: 0,
  use_xla_translate: true,
});

/**
 * Keys of the dictionary that shape simulated data, name files, or hold state that a run computes: they change nothing
 * about a configuration, so files that hold them are accepted without them.
 */
export const LEGACY_WITHOUT_PART: readonly string[] = [
  'offset',
  'outer_offset_train',
  'outer_offset_test',
  'big_gridsize',
  'max_position_jitter',
  'sim_jitter_scale',
  'default_probe_scale',
  'nimgs_train',
  'nimgs_test',
  'data_source',
  'set_phi',
  'label',
  'size',
  'h5_path',
  'npseed',
  'debug',
  'use_xla_translate',
  'intensity_scale',
  'probe',
  'timestamp',
  'bigN',
  'padding_size',
  'padded_size',
];

/**
 * Options of other programs by the names that they have there, and what they are here: Pty-Chi (blocks of its options as it saves them),
 * PtychoShelves (fields of `eng`) and PtyPy (parameters of an engine).
 */

/** Values of fields here; an empty object where an option says what is so anyway, text where it cannot be told in a field. */
type Meaning = Readonly<Record<string, unknown>> | string;

/** What an option means, from its value and those beside it (by their whole names). @param several whether several scans are named beside it */
type Translate = (value: unknown, all: Readonly<Record<string, unknown>>, several?: boolean) => Meaning;

/** Options of one program. */
export interface Program {
  readonly name: string;
  readonly options: Readonly<Record<string, Translate>>;
  /** Tells its files by the names in them. */
  readonly tells: (name: string) => boolean;
}

/** The same value under another name. */
const as =
  (field: string): Translate =>
  (value) => ({ [field]: value });

/** Epochs are counted from 0 there, from 1 here. */
const fromOne =
  (field: string): Translate =>
  (value) =>
    typeof value === 'number' && Number.isFinite(value) ? { [field]: value + 1 } : {};

/** The epoch before which it ends there is the last one here. */
const untilBefore =
  (field: string): Translate =>
  (value) =>
    typeof value === 'number' && Number.isFinite(value) && value > 0 ? { [field]: value } : {};

const word = (value: unknown): string => String(value).toLowerCase().split('.').pop() ?? '';

const words =
  (field: string, known: Readonly<Record<string, unknown>>): Translate =>
  (value) =>
    Object.hasOwn(known, word(value))
      ? { [field]: known[word(value)] }
      : `${JSON.stringify(value)} is not here; ${field} knows ${Object.keys(known).join(', ')}`;

/** A switch that sets fields where it is on. */
const when =
  (fields: Readonly<Record<string, unknown>>): Translate =>
  (value) =>
    value === true || value === 1 ? fields : {};

/** Never in a run: no run is as long. */
const NEVER = 1_000_000;

const limits =
  (low: string, high: string): Translate =>
  (value) => {
    if (value === null || value === undefined) return {};
    if (!Array.isArray(value) || value.length !== 2) return `two numbers are needed`;
    const [least, most] = value as unknown[];
    const set = (field: string, v: unknown) => (typeof v === 'number' && Number.isFinite(v) ? { [field]: v } : {});
    return { ...set(low, least), ...set(high, most) };
  };

const otherwise =
  (field: string): Translate =>
  (value) =>
    value === 0 || value === null || value === false ? {} : `it is measured otherwise here; choose ${field}`;

/** Only where the feature is on. */
const enabled =
  (block: string, translate: Translate): Translate =>
  (value, all) =>
    all[`${block}.enabled`] === true ? translate(value, all) : {};

/** Only where the parameter changes. */
const optimised =
  (block: string, translate: Translate): Translate =>
  (value, all) =>
    all[`${block}.optimizable`] === true ? translate(value, all) : {};

const ALGORITHMS = {
  ...{ lsqml: 'lsqml', rpie: 'rpie', epie: 'epie', pie: 'pie', dm: 'dm', raar: 'dm' },
  ...{ bh: 'ml', mls: 'lsqml', mlc: 'lsqml', ml: 'ml' },
};

const plan = (block: string, field: string): Record<string, Translate> => ({
  [`${block}.optimization_plan.start`]: fromOne(`${field}_start`),
  [`${block}.optimization_plan.stop`]: untilBefore(`${field}_stop`),
  [`${block}.optimization_plan.stride`]: as(`${field}_stride`),
});

const POSITIONS = 'probe_position_options';
const AFFINE = `${POSITIONS}.affine_transform_constraint`;
const OPR = 'opr_mode_weight_options';
const SUPPORT = 'probe_options.support_constraint';
const GRID = 'object_options.remove_grid_artifacts';
const LIMITS = 'object_options.hard_limits_magnitude_phase';
const POWER = 'probe_options.power_constraint';
const ORTHOGONAL = 'probe_options.orthogonalize_incoherent_modes';

const FREEDOMS = ['scale', 'rotation', 'asymmetry', 'shear'];

const freedoms: Translate = (value) => {
  const found = (Array.isArray(value) ? value : [value]).map(word).filter((name) => FREEDOMS.includes(name));
  return found.length > 0 ? { affine_freedom: FREEDOMS.filter((name) => found.includes(name)).join(',') } : {};
};

const gridPeriod: Translate = (value, all) => {
  const pixel = all['object_options.pixel_size_m'];
  const [x, y] = [all[`${GRID}.period_x_m`], all[`${GRID}.period_y_m`]];
  if (x !== undefined && y !== undefined && x !== y) return 'both axes have one pitch here; choose grid_period_px';
  return typeof pixel === 'number' && typeof value === 'number'
    ? { grid_period_px: value / pixel }
    : 'it is in metres, and the pixel is not said; choose grid_period_px';
};

const PTY_CHI: Program = {
  name: 'Pty-Chi',
  tells: (name) =>
    /^(reconstructor_options|object_options|probe_options|probe_position_options|opr_mode_weight_options|data_options)\./.test(
      name,
    ),
  options: {
    reconstructor: words('algorithm', ALGORITHMS),
    'reconstructor_options.num_epochs': as('epochs'),
    'reconstructor_options.batch_size': as('batch_size'),
    'reconstructor_options.batching_mode': words('batching', {
      random: 'random',
      uniform: 'uniform',
      compact: 'compact',
    }),
    'reconstructor_options.random_seed': (value) => (value === null ? {} : { seed: value }),
    'reconstructor_options.noise_model': words('noise_model', { gaussian: 'gaussian', poisson: 'poisson' }),
    'reconstructor_options.preconditioning_damping_factor': as('object_regularisation'),
    'reconstructor_options.rescale_probe_intensity_in_first_epoch': as('rescale_probe'),
    'reconstructor_options.exit_wave_update_relaxation': as('relaxation'),
    'reconstructor_options.beta': (value) => ({ algorithm: 'dm', relaxation: value }),
    'reconstructor_options.method': words('ml_method', { cg: 'cg' }),
    'reconstructor_options.momentum_acceleration_gain': (value) =>
      value === 0 ? {} : 'acceleration is what stands for it here, and is on',
    'data_options.free_space_propagation_distance_m': (value) =>
      typeof value === 'number' && Number.isFinite(value) ? { propagation_distance_m: value } : {},
    'object_options.optimizable': (value) => (value === false ? { object_start: NEVER } : {}),
    ...plan('object_options', 'object'),
    'object_options.step_size': as('object_step'),
    'object_options.optimal_step_size_scaler': as('object_step'),
    'object_options.alpha': as('object_regularisation'),
    'object_options.l1_norm_constraint.weight': otherwise('object_l1'),
    'object_options.l2_norm_constraint.weight': otherwise('object_l2'),
    'object_options.total_variation.weight': otherwise('tv_weight'),
    [`${LIMITS}.abs_lim`]: enabled(LIMITS, limits('object_amplitude_min', 'object_amplitude_max')),
    [`${LIMITS}.phase_lim`]: enabled(LIMITS, limits('object_phase_min_rad', 'object_phase_max_rad')),
    [`${GRID}.period_x_m`]: enabled(GRID, gridPeriod),
    [`${GRID}.period_y_m`]: enabled(GRID, gridPeriod),
    [`${GRID}.window_size`]: enabled(GRID, as('grid_window')),
    'probe_options.optimizable': (value) => (value === false ? { probe_start: NEVER } : {}),
    ...plan('probe_options', 'probe'),
    'probe_options.step_size': as('probe_step'),
    'probe_options.optimal_step_size_scaler': as('probe_step'),
    'probe_options.alpha': as('probe_regularisation'),
    [`${POWER}.probe_power`]: enabled(POWER, as('probe_power_counts')),
    [`${ORTHOGONAL}.enabled`]: (value) => (value === false ? { orthogonalise_stride: null } : {}),
    [`${ORTHOGONAL}.optimization_plan.stride`]: enabled(ORTHOGONAL, as('orthogonalise_stride')),
    [`${SUPPORT}.threshold`]: enabled(SUPPORT, as('probe_support')),
    'probe_options.center_constraint.enabled': when({ centre_probe: true }),
    [`${POSITIONS}.optimizable`]: (value, all) =>
      value === true && all[`${POSITIONS}.optimization_plan.start`] === undefined ? { position_start: 1 } : {},
    [`${POSITIONS}.optimization_plan.start`]: optimised(POSITIONS, fromOne('position_start')),
    [`${POSITIONS}.optimization_plan.stop`]: optimised(POSITIONS, untilBefore('position_stop')),
    [`${POSITIONS}.optimization_plan.stride`]: optimised(POSITIONS, as('position_stride')),
    [`${POSITIONS}.step_size`]: optimised(POSITIONS, as('position_step')),
    [`${POSITIONS}.correction_options.update_magnitude_limit`]: optimised(POSITIONS, (value) =>
      typeof value === 'number' ? 'it limits a batch there, an epoch here: position_update_limit_px' : {},
    ),
    [`${AFFINE}.enabled`]: when({ affine: true }),
    [`${AFFINE}.optimization_plan.start`]: enabled(AFFINE, fromOne('affine_start')),
    [`${AFFINE}.degrees_of_freedom`]: enabled(AFFINE, freedoms),
    [`${OPR}.optimize_intensity_variation`]: optimised(OPR, when({ flux: true })),
    [`${OPR}.optimize_eigenmode_weights`]: optimised(OPR, (value) =>
      value === true ? 'modes are counted by the probe there; choose opr_modes' : {},
    ),
    [`${OPR}.optimization_plan.start`]: optimised(OPR, fromOne('opr_start')),
    [`${OPR}.smoothing.polynomial_degree`]: enabled(`${OPR}.smoothing`, as('opr_smooth')),
  },
};

/** `inf` as MATLAB and YAML write it. */
const finite = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

const startOf =
  (field: string): Translate =>
  (value) =>
    finite(value) ? { [field]: Math.max(1, value) } : { [field]: NEVER };

const isOn = (value: unknown): boolean => value === true || value === 1;

/** What scans have in common there; off unless it is asked for. */
const shareObject: Translate = (value) => (isOn(value) ? { share: 'object' } : {});

/** On in every file there, also where there is one scan. */
const shareProbe: Translate = (value, all, several = false) => {
  if (!isOn(value)) return {};
  if (isOn(all.share_object) || isOn(all['p.share_object'])) {
    return 'where scans have one object, each has a probe of its own here';
  }
  return several ? { share: 'probe' } : 'it is of account for several scans only; choose share: probe for them';
};

const PTYCHO_SHELVES: Program = {
  name: 'PtychoShelves',
  tells: (name) => /^(p\.)?eng\./.test(name) || /^p\.share_(object|probe)$/.test(name),
  options: {
    number_iterations: as('epochs'),
    method: (value, all) => {
      const found = words('algorithm', ALGORITHMS)(value, all);
      return word(value) === 'mlc' && typeof found !== 'string' ? { ...found, batching: 'compact' } : found;
    },
    grouping: (value) => (finite(value) ? { batch_size: value } : {}),
    likelihood: words('noise_model', { l1: 'gaussian', poisson: 'poisson' }),
    beta_object: as('object_step'),
    beta_probe: as('probe_step'),
    delta_p: as('object_regularisation'),
    object_change_start: startOf('object_start'),
    probe_change_start: startOf('probe_start'),
    probe_modes: as('probe_modes'),
    probe_position_search: (value) => (finite(value) ? { position_start: Math.max(1, value) } : {}),
    probe_geometry_model: (value) => {
      const list = Array.isArray(value) ? value : [];
      return list.length === 0 ? {} : { affine: true, ...(freedoms(list, {}) as Record<string, unknown>) };
    },
    variable_probe: (value, all) => (value === true || value === 1 ? { opr_modes: all.variable_probe_modes ?? 1 } : {}),
    variable_probe_modes: (value, all) =>
      all.variable_probe === true || all.variable_probe === 1 ? { opr_modes: value } : {},
    variable_probe_smooth: as('opr_smooth'),
    variable_intensity: when({ flux: true }),
    ...{
      share_object: shareObject,
      'p.share_object': shareObject,
      share_probe: shareProbe,
      'p.share_probe': shareProbe,
    },
    accelerated_gradients_start: (value) => (finite(value) ? {} : { acceleration: 0 }),
    momentum: (value) => (value === 0 || value === false ? {} : 'acceleration is what stands for it here, and is on'),
    probe_support_radius: (value) => (finite(value) ? 'it is a share of the frame there; choose probe_radius_px' : {}),
    probe_support_fft: (value) =>
      value === true || value === 1 ? 'choose detector_support, a share of the brightest light' : {},
    TV_lambda: otherwise('tv_weight'),
    pfft_relaxation: as('relaxation'),
  },
};

const PTYPY: Program = {
  name: 'PtyPy',
  tells: (name) => /^(p\.)?engines\.[^.]+\./.test(name),
  options: {
    name: words('algorithm', { dm: 'dm', raar: 'dm', epie: 'epie', ml: 'ml', ml_pycuda: 'ml', dm_pycuda: 'dm' }),
    numiter: as('epochs'),
    probe_update_start: fromOne('probe_start'),
    object_update_start: fromOne('object_start'),
    position_refinement: (value, all) =>
      value === true && all['position_refinement.start'] === undefined ? { position_start: 1 } : {},
    'position_refinement.start': fromOne('position_start'),
    'position_refinement.stop': untilBefore('position_stop'),
    'position_refinement.interval': as('position_stride'),
    floating_intensities: when({ flux: true }),
    ML_type: words('noise_model', { gaussian: 'gaussian', euclid: 'gaussian', poisson: 'poisson' }),
    clip_object: limits('object_amplitude_min', 'object_amplitude_max'),
    probe_center_tol: (value) => (value === null ? {} : { centre_probe: true }),
    probe_support: (value) => (value === null ? {} : 'it is a share of the frame there; choose probe_radius_px'),
    subspace_dim: as('opr_modes'),
    subspace_start: fromOne('opr_start'),
  },
};

export const PROGRAMS: readonly Program[] = [PTY_CHI, PTYCHO_SHELVES, PTYPY];

/**
 * Iterative solvers: the options that every use of one has in common.
 *
 * @example
 * solverOptionsSchema.parse({ algorithm: 'lsqml' }).epochs; // 50
 * parseRefinement('lsqml:20'); // { algorithm: 'lsqml', epochs: 20 }
 */

import { z } from 'zod';
import {
  anyNumber,
  belowOne,
  field,
  flag,
  type Kind,
  maybe,
  nonNegativeNumber,
  oneOf,
  openUnitInterval,
  optional,
  positiveInteger,
  positiveNumber,
  seedNumber,
  unitInterval,
  wholeNumber,
  wordList,
} from '../../core/field.js';
import { affineFields, backgroundFields, beamFields, flyFields, positionFields } from './solverCorrections.js';

/** The algorithms by name; `docs/solvers.md` says what each is good for. */
export const SOLVER_ALGORITHMS = ['rpie', 'epie', 'pie', 'lsqml', 'dm', 'ml'] as const;

/** One of {@link SOLVER_ALGORITHMS}. */
export type SolverAlgorithm = (typeof SOLVER_ALGORITHMS)[number];

/** How patterns are shared out among batches; `docs/solvers.md` says when each is worth it. */
export const BATCHINGS = ['random', 'uniform', 'compact'] as const;

/** One of {@link BATCHINGS}. */
export type Batching = (typeof BATCHINGS)[number];

/** Names people write, as papers and result files do. */
export const ALGORITHM_TITLES: Readonly<Record<SolverAlgorithm, string>> = {
  rpie: 'rPIE',
  epie: 'ePIE',
  pie: 'PIE',
  lsqml: 'LSQML',
  dm: 'DM',
  ml: 'ML',
};

/** Other words for algorithms, in lower case. */
const ALGORITHM_NAMES: Readonly<Record<string, { readonly value: SolverAlgorithm; readonly note: string }>> = {
  raar: { value: 'dm', note: 'raar is dm with relaxation: the same map.' },
  lsq_ml: { value: 'lsqml', note: 'lsq_ml is lsqml.' },
  lbfgs: { value: 'ml', note: 'lbfgs is ml with ml_method lbfgs, its default.' },
};

/** Which algorithm, how long. */
export const algorithmFields = {
  algorithm: field(
    oneOf(...SOLVER_ALGORITHMS),
    'rpie',
    'rpie and epie: one gradient step per batch, robust; pie: the same with the weights of 2004; lsqml: the best joint step of object and probe in every batch; dm: the difference map, all patterns at once; ml: maximum likelihood of all patterns at once, a finish (see ml_start).',
    { valueAliases: ALGORITHM_NAMES },
  ),
  epochs: field(positiveInteger, 50, 'Passes over all patterns.', { unit: 'epochs', aliases: ['nepochs'] }),
};

/** How the steps of the algorithm are taken. */
export const stepFields = {
  batch_size: maybe(
    positiveInteger,
    'Patterns per step; null: chosen for the algorithm and the scan (dm and ml take all).',
    {
      unit: 'patterns',
    },
  ),
  batching: maybe(
    oneOf(...BATCHINGS),
    'rpie, epie, pie, lsqml: which patterns share a step: random draws, batches spread over the whole scan (uniform, in the first ten epochs), or neighbours (compact); null: uniform.',
  ),
  object_step: maybe(positiveNumber, 'Factor on every step of the object; null: the default of the algorithm.'),
  probe_step: maybe(positiveNumber, 'Factor on every step of the probe; null: the default of the algorithm.'),
  object_regularisation: maybe(
    unitInterval,
    'How much weakly lit pixels are held back, α, δ or ε of the formulas (0: not at all); null: the default of the algorithm.',
    { aliases: ['alpha'] },
  ),
  probe_regularisation: maybe(
    unitInterval,
    'rpie, epie, pie, dm: the same for the probe where the object transmits little; null: the default of the algorithm.',
    { aliases: ['beta'] },
  ),
  momentum: field(belowOne, 0, 'rpie, epie, pie: share of the last step that is carried over.'),
  acceleration: maybe(
    belowOne,
    'rpie, epie, pie, lsqml: between epochs, carry object and probe on by up to this share of what the last one changed (Nesterov), from the fifth epoch on; 0: not at all; null: 0.7 (near fields: 0.95), or 0 where momentum is given.',
  ),
  noise_model: field(
    oneOf('gaussian', 'poisson'),
    'gaussian',
    'What detector fields are fitted to: the measured amplitudes, or the likelihood of the counts under Poisson statistics (for few counts).',
  ),
  relaxation: maybe(
    unitInterval,
    'dm: β of the relaxed map (RAAR); 1 is the difference map of 2009, which wanders with noise; null: 0.75 (near fields: 0.9).',
  ),
  ml_start: maybe(
    positiveInteger,
    'First epoch of a finish by maximum likelihood, all patterns at once, with positions and beams as they are by then, but for flux, which lbfgs goes on with; null: none, or all epochs with algorithm ml.',
    { unit: 'epochs' },
  ),
  ml_method: field(
    oneOf('lbfgs', 'cg'),
    'lbfgs',
    'ml: how directions are made, by pairs of earlier steps (L-BFGS) or by conjugate gradients in the second derivatives.',
  ),
};

/** The middle of the detector first. */
export const progressiveFields = {
  progressive_levels: field(
    positiveInteger,
    1,
    'Resolutions, each twice as fine as the one before: the first ones take the middle of the detector alone; 1: the full one only.',
  ),
  progressive_epochs: field(positiveInteger, 10, 'Epochs of each coarse resolution, before those of the full one.', {
    unit: 'epochs',
  }),
};

export const seedFields = {
  seed: field(seedNumber, 0, 'Seed for the order of the patterns.'),
};

/** The object over the epochs. */
export const objectFields = {
  object_start: field(positiveInteger, 1, 'First epoch in which the object changes.', { unit: 'epochs' }),
  object_stop: maybe(positiveInteger, 'Last epoch in which the object changes; null: the last one.', {
    unit: 'epochs',
  }),
  object_stride: field(positiveInteger, 1, 'Change the object only every so many epochs.', { unit: 'epochs' }),
};

/** The probe over the epochs, its modes and its power. */
export const probeFields = {
  probe_start: field(positiveInteger, 2, 'First epoch in which the probe changes.', { unit: 'epochs' }),
  probe_stop: maybe(positiveInteger, 'Last epoch in which the probe changes; null: the last one.', {
    unit: 'epochs',
  }),
  probe_stride: field(positiveInteger, 1, 'Change the probe only every so many epochs.', { unit: 'epochs' }),

  probe_modes: maybe(
    positiveInteger,
    'Incoherent modes of the probe; null: as many as the scan has. Missing ones start as the first one times powers of x and y.',
    { unit: 'modes' },
  ),
  probe_mode_share: field(openUnitInterval, 0.05, 'Share of the power that each added mode starts with.'),
  orthogonalise_stride: field(
    optional(positiveInteger),
    1,
    'Orthogonalise the modes every so many epochs, the strongest first; null: never.',
    { unit: 'epochs' },
  ),
  rescale_probe: field(
    flag,
    true,
    'At the start, scale the probe to the power that explains the counts of the patterns.',
  ),
  hold_probe_power: field(
    flag,
    true,
    'Keep the power of the probe and scale the object instead: their product leaves the factor between them open.',
  ),
  probe_power_counts: maybe(
    positiveNumber,
    'Give the probe this power, Σ|P|²; null: the power that it has at the start.',
    { unit: 'counts' },
  ),
  probe_support: maybe(
    openUnitInterval,
    'Set the probe to zero where its smoothed intensity, that of all modes together, is below this share of its maximum; null: nowhere.',
  ),
  probe_radius_px: maybe(
    positiveNumber,
    'Set the probe to zero beyond this distance from the middle of its frame; null: nowhere.',
    { unit: 'px' },
  ),
  detector_support: maybe(
    openUnitInterval,
    'The same as probe_support for the far field of the probe: what the optics let through; null: nowhere.',
  ),
  centre_probe: field(
    flag,
    false,
    'After each epoch, move probe and object together by whole pixels so that the light of the probe is in the middle of its frame.',
  ),
};

/** What the object is drawn to and held within after each epoch. */
export const smoothingFields = {
  object_l1: field(
    belowOne,
    0,
    'After each epoch, draw every pixel of the object towards 0 by this share of its usual amplitude (L1 norm); 0: not at all.',
  ),
  object_l2: field(
    belowOne,
    0,
    'After each epoch, take this share of every pixel of the object away (L2 norm); 0: nothing.',
  ),
  object_amplitude_min: maybe(nonNegativeNumber, 'Least amplitude of the object; null: 0.'),
  object_amplitude_max: maybe(positiveNumber, 'Largest amplitude of the object; null: any.'),
  object_phase_min_rad: maybe(anyNumber, 'Least phase of the object; null: any.', { unit: 'rad' }),
  object_phase_max_rad: maybe(anyNumber, 'Largest phase of the object; null: any.', { unit: 'rad' }),
  grid_period_px: maybe(
    positiveNumber,
    'Pitch of a regular scan: after each epoch, what repeats with it is taken out of the phase of the object; null: nothing.',
    { unit: 'px' },
  ),
  grid_window: field(
    wholeNumber,
    1,
    'How far from the frequencies of that pitch, in pixels of the transform of the object.',
  ),
  tv_weight: field(
    nonNegativeNumber,
    0,
    'Total variation removed from the object after each epoch, as a share of its usual amplitude; 0: none.',
  ),
};

/** What is known of objects before anything was measured. */
export const priorFields = {
  prior: field(
    oneOf('none', 'network'),
    'none',
    'network: from epoch prior_start on, the object is what a small convolutional network paints, whose weights are the unknowns, joint with the probe (deep image prior; for few counts); none: every pixel is an unknown.',
  ),
  prior_start: field(
    positiveInteger,
    31,
    'First epoch of that network, which begins with the image that the algorithm has made until then.',
    { unit: 'epochs' },
  ),
  prior_width: field(positiveInteger, 32, 'Channels of the layers of this network.', { unit: 'channels' }),
  prior_learning_rate: field(
    positiveNumber,
    0.003,
    'Initial step size of the weights of this network; it falls along a cosine over its epochs.',
  ),
};

/** An object that is thick. */
export const sliceFields = {
  slices: field(
    positiveInteger,
    1,
    'Slices of a thick object, which light goes through one after the other; 1: a thin object.',
    { unit: 'slices' },
  ),
  slice_distance_m: maybe(positiveNumber, "Distance from each slice to the next; null: the file's.", { unit: 'm' }),
  slice_regularisation: field(
    unitInterval,
    0,
    'After each epoch, draw slices together where they differ only coarsely, which patterns hardly tell apart; 0: not at all.',
  ),
};

/** What computes. */
export const passesFields = {
  passes: field(
    oneOf('auto', 'host', 'program'),
    'auto',
    'What computes the passes over the patterns: host is SIMD on the processor, program a tensor program on the backend (CUDA where there is one); auto chooses.',
    { formerly: ['engine'] },
  ),
  stream: maybe(
    flag,
    'Keep the patterns in a temporary file (in TMPDIR, 4·n·N² bytes) and read them batch by batch, instead of in memory; the result is the same. null: where they would take more than half of the memory that is free.',
  ),
};

/** How an iterative solver works; the order is that of the options in a saved state. */
export const solverFields = {
  ...algorithmFields,
  ...stepFields,
  ...progressiveFields,
  ...seedFields,
  ...objectFields,
  ...sliceFields,
  ...probeFields,
  ...beamFields,
  ...smoothingFields,
  ...priorFields,
  ...positionFields,
  ...affineFields,
  ...flyFields,
  ...backgroundFields,
  ...passesFields,
};

/** The options of a solver: what `solve`, the refinement of a network's image and an arm of a study have in common. */
export const solverOptionsSchema = z.strictObject(solverFields);

const WRITTEN = new RegExp(
  `^(${[...SOLVER_ALGORITHMS, ...Object.keys(ALGORITHM_NAMES)].join('|')}):([1-9]\\d{0,5})((?:,[a-z_]+(?:=[^,\\s]+)?)*)$`,
  'i',
);

/** `algorithm:epochs`, and options of the solver after it. */
export const refinement: Kind<z.ZodString> = {
  schema: z.string().regex(WRITTEN),
  expected: `algorithm:epochs, such as lsqml:20 (${wordList(SOLVER_ALGORITHMS, 'or')}), with options such as lsqml:20,opr_modes=2,flux`,
};

/**
 * The parts of such a text, which the schema has let through: algorithm and epochs, and options as they are written, `true` where no
 * value stands.
 */
export function parseRefinement(
  written: string,
): { readonly algorithm: SolverAlgorithm; readonly epochs: number } & Readonly<Record<string, unknown>> {
  const [, algorithm, epochs, more] = WRITTEN.exec(written) ?? [];
  const options = more
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [name, value = 'true'] = part.split('=');
      const known = { true: true, false: false, null: null }[value];
      const number = Number(value);
      return [name, known === undefined ? (Number.isFinite(number) ? number : value) : known] as const;
    });
  return {
    ...Object.fromEntries(options),
    algorithm: ALGORITHM_NAMES[algorithm.toLowerCase()]?.value ?? (algorithm.toLowerCase() as SolverAlgorithm),
    epochs: Number(epochs),
  };
}

export type { SolverOptions } from '../interfaces.js';

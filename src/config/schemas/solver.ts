/**
 * Iterative solvers: the options that every use of one has in common, and `solve`, a scan reconstructed without a network.
 *
 * @example
 * solverOptionsSchema.parse({ algorithm: 'lsqml' }).epochs; // 50
 * solveConfigSchema.parse({ test_data_file: 'scan.npz', algorithm: 'lsqml' }).output_dir; // 'solver_outputs'
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
  path,
  positiveInteger,
  positiveNumber,
  required,
  seedNumber,
  text,
  textList,
  unitInterval,
  wholeNumber,
  wordList,
} from '../../core/field.js';
import { dataConfigSchema } from './data.js';
import { deviceConfigSchema } from './execution.js';
import {
  checkShare,
  moreScansFields,
  overwriteFields,
  pictureFields,
  shareFields,
  sourceFields,
  strictFields,
} from './shared.js';

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
  raar: { value: 'dm', note: 'raar is dm with relaxation (0.75): the same map.' },
  lsq_ml: { value: 'lsqml', note: 'lsq_ml is lsqml.' },
  lbfgs: { value: 'ml', note: 'lbfgs is ml with ml_method lbfgs, its default.' },
};

/** Which algorithm, how long. */
const algorithmFields = {
  algorithm: field(
    oneOf(...SOLVER_ALGORITHMS),
    'rpie',
    'rpie and epie: one gradient step per batch, robust; pie: the same with the weights of 2004; lsqml: the best joint step of object and probe in every batch; dm: the difference map, all patterns at once; ml: maximum likelihood of all patterns at once, a finish (see ml_start).',
    { valueAliases: ALGORITHM_NAMES },
  ),
  epochs: field(positiveInteger, 50, 'Passes over all patterns.', { unit: 'epochs', aliases: ['nepochs'] }),
};

/** How the steps of the algorithm are taken. */
const stepFields = {
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
    'rpie, epie, pie, lsqml: between epochs, carry object and probe on by up to this share of what the last one changed (Nesterov), from the fifth epoch on; 0: not at all; null: 0.7, or 0 where momentum is given.',
  ),
  noise_model: field(
    oneOf('gaussian', 'poisson'),
    'gaussian',
    'What detector fields are fitted to: the measured amplitudes, or the likelihood of the counts under Poisson statistics (for few counts).',
  ),
  relaxation: maybe(
    unitInterval,
    'dm: β of the relaxed map (RAAR); 1 is the difference map of 2009, which wanders with noise; null: 0.75.',
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
const progressiveFields = {
  progressive_levels: field(
    positiveInteger,
    1,
    'Resolutions, each twice as fine as the one before: the first ones take the middle of the detector alone; 1: the full one only.',
  ),
  progressive_epochs: field(positiveInteger, 10, 'Epochs of each coarse resolution, before those of the full one.', {
    unit: 'epochs',
  }),
};

const seedFields = {
  seed: field(seedNumber, 0, 'Seed for the order of the patterns.'),
};

/** The object over the epochs. */
const objectFields = {
  object_start: field(positiveInteger, 1, 'First epoch in which the object changes.', { unit: 'epochs' }),
  object_stop: maybe(positiveInteger, 'Last epoch in which the object changes; null: the last one.', {
    unit: 'epochs',
  }),
  object_stride: field(positiveInteger, 1, 'Change the object only every so many epochs.', { unit: 'epochs' }),
};

/** The probe over the epochs, its modes and its power. */
const probeFields = {
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

/** A beam that is another one for every pattern. */
const beamFields = {
  opr_modes: field(
    wholeNumber,
    0,
    'Coherent modes by which the probe differs from pattern to pattern (orthogonal probe relaxation), for beams that drift; 0: none, 1 to 3 are usual.',
    { unit: 'modes' },
  ),
  opr_start: field(positiveInteger, 3, 'First epoch in which beams are told apart (opr_modes, flux).', {
    unit: 'epochs',
  }),
  opr_smooth: field(
    wholeNumber,
    0,
    'After each epoch, draw the weights of these modes halfway to a polynomial of this degree in the order of acquisition; 0: not at all.',
  ),
  flux: field(flag, false, 'Fit the intensity of the beam to every pattern, for beams that flicker.'),
};

/** What detectors see beside the sample. */
const backgroundFields = {
  background: field(
    oneOf('none', 'pixel', 'pattern'),
    'none',
    'Fit what the detector sees beside the sample, as scatter and stray light, and add it to the model: one value for every pixel (pixel), or also a smooth one for every pattern (pattern), none of them below 0.',
  ),
  background_start: field(positiveInteger, 5, 'First epoch in which the background is fitted.', { unit: 'epochs' }),
};

/** Patterns that were recorded while the sample moved. */
const flyFields = {
  fly_positions: field(
    positiveInteger,
    1,
    'Points of the way over which each pattern was recorded while the sample moved (fly scan); one for every 3 pixels of the way is enough; 1: it stood still. The ways are those between the start and end positions of the file (xcoords_start, ycoords_start, xcoords_end, ycoords_end), or twice those from the start to the positions.',
    { unit: 'points' },
  ),
  fly_duty: maybe(
    unitInterval,
    'Share of the way to the next position during which a pattern was exposed: the ways are then those of the path through the positions; null: those that the file gives.',
  ),
};

/** What the object is drawn to and held within after each epoch. */
const smoothingFields = {
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
const priorFields = {
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

/** Corrections of the scan positions. */
const positionFields = {
  position_start: maybe(positiveInteger, 'First epoch in which scan positions are corrected; null: never.', {
    unit: 'epochs',
  }),
  position_stop: maybe(positiveInteger, 'Last epoch in which they are corrected; null: the last one.', {
    unit: 'epochs',
  }),
  position_stride: field(positiveInteger, 1, 'Correct them only every so many epochs.', { unit: 'epochs' }),
  position_method: field(
    oneOf('gradient', 'correlation'),
    'gradient',
    'What patterns move by: the derivatives of their exit waves, or the peak of the cross-correlation of patches before and after their step.',
  ),
  position_step: field(positiveNumber, 1, 'Factor on every correction.'),
  position_momentum: field(
    belowOne,
    0.8,
    'Share of the last move that is carried over, because errors that neighbours share are corrected slowly.',
  ),
  position_update_limit_px: field(positiveNumber, 0.5, 'A position moves at most this far in one epoch.', {
    unit: 'px',
  }),
  position_limit_px: field(positiveNumber, 5, 'Farthest that a position may move from where it was measured.', {
    unit: 'px',
  }),
};

const FREEDOMS = ['scale', 'rotation', 'asymmetry', 'shear'] as const;

const freedoms: Kind<z.ZodString> = {
  schema: z.string().regex(new RegExp(`^(${FREEDOMS.join('|')})(,(${FREEDOMS.join('|')}))*$`)),
  expected: `${wordList(FREEDOMS, 'and')}, or some of them, with commas`,
};

/** An object that is thick. */
const sliceFields = {
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

/** Errors that all positions share. */
const affineFields = {
  affine: field(
    flag,
    false,
    'Correct scale, rotation, asymmetry and shear of the scan; afterwards every position moves by itself.',
  ),
  affine_rule: field(
    oneOf('gain', 'search', 'published'),
    'search',
    'How: scale, asymmetry and shear by trial runs that are judged by held-out patterns (some 200 epochs more); object and positions follow what all patterns ask for together, with a gain (cheap, finds rotations, and scales that are too small); or every position moves, and is drawn to the affine part (published, as PtychoShelves and Pty-Chi do).',
  ),
  affine_freedom: field(freedoms, FREEDOMS.join(','), 'Which of these may be wrong.'),
  affine_start: field(positiveInteger, 5, 'First epoch in which the positions are corrected together.', {
    unit: 'epochs',
  }),
  affine_stop: field(
    positiveInteger,
    30,
    'gain, published: last epoch in which they are; positions move by themselves from the next epoch on (search: eight epochs after the first), or from position_start if that is later.',
    { unit: 'epochs' },
  ),
};

const passesFields = {
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

const scanFields = {
  test_data_file: required(path, 'Scan to reconstruct.', { aliases: ['test_data'] }),
  ...moreScansFields,
  ...shareFields,
  output_dir: field(path, 'solver_outputs', 'Folder for the reconstruction and its pictures; created if missing.'),
  ...overwriteFields,
  n_subsample: maybe(positiveInteger, 'Number of patterns to use, drawn at random; null: all.', {
    unit: 'patterns',
  }),
  subsample_seed: maybe(seedNumber, 'Seed for that draw, NumPy-compatible; null: the value of seed.'),
};

const beginningFields = {
  init: maybe(
    text,
    'Start from an image: a trained bundle (which reconstructs the scan first), reconstruction.npz or the folder of infer or solve, or a Ptychodus product; null: an empty object and the probe of the scan.',
  ),
  resume: maybe(
    path,
    'Continue the run in this folder from its last state; the result is the same as without the interruption. More epochs extend a finished run.',
  ),
};

/** One scan on several processes. */
const tileFields = {
  tile: maybe(
    text,
    'Solve only one of several parts of the scan, such as 2/4, with the patterns around it: for several processes, each with the same other flags; 1/1 is the whole scan as one part; null: the whole scan.',
  ),
  tile_margin_px: maybe(
    nonNegativeNumber,
    'How far around a tile patterns are taken, too; null: the radius of the probe.',
    { unit: 'px' },
  ),
  from_tiles: field(
    textList,
    [],
    'Make the image of the parts that --tile solved: their folders, or a folder that holds these; may be repeated.',
  ),
};

const outputFields = {
  save_every: field(
    optional(positiveInteger),
    10,
    'Save the state from which the run can be resumed every so many epochs; null: only at the end.',
    { unit: 'epochs' },
  ),
  preview_seconds: maybe(positiveNumber, 'Update the pictures this often while it works; null: only at the end.', {
    unit: 's',
  }),
  ...pictureFields,
  product_file: maybe(path, 'Also write the result as a Ptychodus product, HDF5 (.h5) or NPZ (.npz); null: none.'),
  ...strictFields,
};

/** The fields under the titles of the help. */
export const SOLVE_GROUPS = {
  Solving: { ...scanFields, ...algorithmFields, ...passesFields, ...seedFields, ...beginningFields },
  Steps: { ...stepFields, ...progressiveFields },
  Object: { ...objectFields, ...sliceFields, ...smoothingFields, ...priorFields },
  Probe: probeFields,
  Beam: { ...beamFields, ...backgroundFields },
  Positions: { ...positionFields, ...affineFields, ...flyFields },
  Tiles: tileFields,
  Output: outputFields,
  Source: sourceFields,
};

/** A scan and how it is solved. */
export const solveConfigSchema = z
  .strictObject({
    ...scanFields,
    ...solverFields,
    ...beginningFields,
    ...tileFields,
    ...outputFields,
    ...sourceFields,
    data: dataConfigSchema.prefault({}),
    execution: deviceConfigSchema.prefault({}),
  })
  .superRefine(checkShare)
  .superRefine(({ passes, execution }, context) => {
    const { accelerator } = execution;
    if (passes !== 'host' || accelerator === 'auto' || accelerator === 'cpu') return;
    context.addIssue({
      code: 'custom',
      path: ['passes'],
      message: `passes: host computes on the processor, but accelerator is ${accelerator}; leave one of them out.`,
    });
  });

export type { SolveConfig, SolverOptions } from '../interfaces.js';

/**
 * How an iterative solver works: what every use of one has in common, whether it is called by `solve`, refines the image of a
 * network, or is an arm of a study.
 *
 * @example
 * solverOptionsSchema.parse({ algorithm: 'lsqml' }).epochs; // 50
 */

import { z } from 'zod';
import { field as declare, type FieldMeta } from '../field.js';
import {
  belowOne,
  flag,
  type Kind,
  nonNegativeNumber,
  oneOf,
  openUnitInterval,
  optional,
  positiveInteger,
  positiveNumber,
  seedNumber,
  unitInterval,
} from '../kinds.js';

const field = <S extends z.ZodType>(of: Kind<S>, fallback: z.output<S>, description: string, meta: FieldMeta = {}) =>
  declare(of, fallback, description, { ...meta, legacyKey: null });

/** The algorithms by name; `docs/solvers.md` says what each is good for. */
export const SOLVER_ALGORITHMS = ['rpie', 'epie', 'pie', 'lsqml', 'dm'] as const;

/** One of {@link SOLVER_ALGORITHMS}. */
export type SolverAlgorithm = (typeof SOLVER_ALGORITHMS)[number];

/** Names people write, as papers and result files do. */
export const ALGORITHM_TITLES: Readonly<Record<SolverAlgorithm, string>> = {
  rpie: 'rPIE',
  epie: 'ePIE',
  pie: 'PIE',
  lsqml: 'LSQML',
  dm: 'DM',
};

export const solverFields = {
  algorithm: field(
    oneOf(...SOLVER_ALGORITHMS),
    'rpie',
    'rpie and epie: one gradient step a batch, robust; pie: the same with the weights of 2004; lsqml: the best step of object and probe together in every batch; dm: the difference map, all patterns at once.',
  ),
  epochs: field(positiveInteger, 50, 'Passes over all patterns.', { unit: 'epochs', aliases: ['nepochs'] }),
  batch_size: field(
    optional(positiveInteger),
    null,
    'Patterns in one step; null: chosen for the algorithm and the scan (dm takes all).',
    { unit: 'patterns' },
  ),
  object_step: field(
    optional(positiveNumber),
    null,
    'Factor of every step of the object; null: that of the algorithm.',
  ),
  probe_step: field(optional(positiveNumber), null, 'Factor of every step of the probe; null: that of the algorithm.'),
  object_regularisation: field(
    optional(unitInterval),
    null,
    'How much weakly lit pixels are held back, α, δ or ε of the formulas (0: not at all); null: that of the algorithm.',
    { aliases: ['alpha'] },
  ),
  probe_regularisation: field(
    optional(unitInterval),
    null,
    'rpie, epie, pie, dm: the same for the probe where the object transmits little; null: that of the algorithm.',
    { aliases: ['beta'] },
  ),
  momentum: field(belowOne, 0, 'rpie, epie, pie: share of the last step that is carried on.'),
  noise_model: field(
    oneOf('gaussian', 'poisson'),
    'gaussian',
    'What detector fields are fitted to: the measured amplitudes, or what is likely for the counts by Poisson statistics (few counts).',
  ),
  relaxation: field(
    optional(unitInterval),
    null,
    'dm: β of the relaxed map; 1 is the difference map of 2009, which wanders with noise; null: 0.75.',
  ),
  seed: field(seedNumber, 0, 'Seed of the order of the patterns.'),

  object_start: field(positiveInteger, 1, 'First epoch in which the object changes.', { unit: 'epochs' }),
  object_stop: field(optional(positiveInteger), null, 'Last epoch in which it changes; null: the last.', {
    unit: 'epochs',
  }),
  object_stride: field(positiveInteger, 1, 'It changes in every so many epochs.', { unit: 'epochs' }),
  probe_start: field(positiveInteger, 2, 'First epoch in which the probe changes.', { unit: 'epochs' }),
  probe_stop: field(optional(positiveInteger), null, 'Last epoch in which it changes; null: the last.', {
    unit: 'epochs',
  }),
  probe_stride: field(positiveInteger, 1, 'It changes in every so many epochs.', { unit: 'epochs' }),

  probe_modes: field(
    optional(positiveInteger),
    null,
    'Incoherent modes of the probe; null: as many as the scan has. Missing ones begin as the first times powers of x and y.',
    { unit: 'modes' },
  ),
  probe_mode_share: field(openUnitInterval, 0.05, 'Share of the power that each mode begins with that had to be made.'),
  orthogonalise_stride: field(
    optional(positiveInteger),
    1,
    'Modes are made orthogonal in every so many epochs, the strongest first; null: never.',
    { unit: 'epochs' },
  ),
  rescale_probe: field(
    flag,
    true,
    'Before the start, give the probe the power that explains the counts of the patterns.',
  ),
  hold_probe_power: field(
    flag,
    true,
    'Keep the power of the probe (and scale the object instead): the product leaves the factor between them open.',
  ),
  probe_power_counts: field(
    optional(positiveNumber),
    null,
    'Give the probe this power, Σ|P|²; null: what it has at the start.',
    { unit: 'counts' },
  ),
  probe_support: field(
    optional(openUnitInterval),
    null,
    'Blank the probe where its smoothed intensity is below this share of the largest; null: nowhere.',
  ),
  tv_weight: field(
    nonNegativeNumber,
    0,
    'Total variation of the object that is taken away after each epoch, as a share of its usual amplitude; 0: none.',
  ),

  position_start: field(
    optional(positiveInteger),
    null,
    'First epoch in which scan positions are corrected; null: they stay.',
    { unit: 'epochs' },
  ),
  position_stop: field(optional(positiveInteger), null, 'Last epoch in which they are; null: the last.', {
    unit: 'epochs',
  }),
  position_stride: field(positiveInteger, 1, 'They are corrected in every so many epochs.', { unit: 'epochs' }),
  position_step: field(positiveNumber, 1, 'Factor of every correction.'),
  position_momentum: field(
    belowOne,
    0.8,
    'Share of the last move that is carried on: errors that neighbours have in common are corrected slowly.',
  ),
  position_update_limit_px: field(positiveNumber, 0.5, 'A position moves at most this far in one epoch.', {
    unit: 'px',
  }),
  position_limit_px: field(positiveNumber, 5, 'And at most this far from its measured place.', { unit: 'px' }),

  engine: field(
    oneOf('auto', 'host', 'program'),
    'auto',
    'Who computes: host is SIMD on the processor, program a tensor program on the backend (CUDA where there is one); auto chooses.',
  ),
};

/** See the module. */
export const solverOptionsSchema = z.strictObject(solverFields);

/** See {@link solverOptionsSchema}. */
export type SolverOptions = Readonly<z.output<typeof solverOptionsSchema>>;

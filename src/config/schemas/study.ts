/**
 * The dose/overlap study: one file describes simulation, views, trainings and comparison. Nested blocks hold the fields of the
 * commands of the same name; docs/study.md shows a whole file.
 *
 * @example
 * parseStudy({ doses: [1e4], gridsizes: [1, 2] }, 'study.yaml').split.axis; // 'y'
 */

import { z } from 'zod';
import { PtychoError } from '../../core/errors.js';
import { maybe, offByDefault, path, required, seedNumber, text } from '../../core/field.js';
import { imageShare } from './evaluation.js';
import { overwriteFields } from './shared.js';
import { ALGORITHM_TITLES } from './solver.js';

/** Names become parts of file names. */
const PLAIN = /^[a-z][a-z0-9_]{0,30}$/;
const plainName = z.string().regex(PLAIN, 'must be small letters, digits and _, beginning with a letter');
const block = z.record(z.string(), z.unknown());
const unique = <T>(values: readonly T[]) => new Set(values).size === values.length;

const viewSchema = z.strictObject({
  /** Share of the images of each split. */
  s_img: imageShare.schema.default(1),
  /** Groups to train on; null: one for each image. */
  n_groups: z.int().positive().nullable().default(null),
});

/** What an iterative arm is called where nobody says. */
function usualName({
  source,
  options,
}: {
  readonly source: string;
  readonly options: Readonly<Record<string, unknown>>;
}) {
  const { algorithm = 'rpie' } = options;
  const titles: Readonly<Record<string, string>> = ALGORITHM_TITLES;
  return (source === 'solve' && titles[String(algorithm)]) || 'PtyChi';
}

/** The study as a file describes it. */
export const studyConfigSchema = z.strictObject({
  /** Photons per pattern. */
  doses: z.array(z.number().positive()).min(1).refine(unique, 'names a dose twice').default([1e3, 1e4, 1e5]),
  /** Of the physics-informed networks; the largest is called PtychoPINN in tables. */
  gridsizes: z
    .array(z.union([z.literal(1), z.literal(2)]))
    .min(1)
    .refine(unique, 'names a gridsize twice')
    .default([1, 2]),
  views: z
    .record(plainName, viewSchema)
    .refine((views) => Object.keys(views).length > 0, 'needs one view at least')
    .refine((views) => !('baseline' in views), 'no view can be called baseline')
    .default({ dense: { s_img: 1, n_groups: null }, sparse: { s_img: 0.25, n_groups: null } }),
  /** Splits that are compared. */
  splits: z
    .array(z.enum(['train', 'test']))
    .min(1)
    .refine(unique, 'names a split twice')
    .default(['train', 'test']),
  neighbor_count: z.int().positive().default(7),
  probe_diameter_px: z.number().positive().nullable().default(null),
  split: z
    .strictObject({
      axis: z.enum(['x', 'y']).default('y'),
      fraction: z.number().gt(0).lt(1).default(0.5),
      gap_px: z.number().nonnegative().default(0),
    })
    .prefault({}),
  seeds: z
    .strictObject({
      simulation: seedNumber.schema.default(42),
      subsample: seedNumber.schema.default(123),
      training: seedNumber.schema.default(456),
    })
    .prefault({}),
  /** Fields of `simulate`. */
  simulation: block.default({}),
  /** Fields of `train`, for all networks. */
  training: block.default({}),
  /** The same for the physics-informed networks alone. */
  pinn: block.default({}),
  /** The same for the supervised baseline alone. */
  baseline: block.default({}),
  /** Fields of `compare`. */
  comparison: block.default({}),
  /** Where the iterative arm comes from; null: there is none, which is recorded. */
  iterative: z
    .strictObject({
      /** Its name in tables; that of the algorithm, or PtyChi for a file, where nothing is said. */
      name: z.string().min(1).optional(),
      /** `file`; `solve`, the solvers of this package; or one that a program registered. */
      source: z.string().min(1).default('file'),
      /** For `file`: the NPZ, with {dose}, {view} and {split} in its path. */
      file: z.string().min(1).nullable().default(null),
      /** For solvers: their own options; of `solve` those of the command that shape the result. */
      options: block.default({}),
    })
    .transform((arm) => ({ ...arm, name: arm.name ?? usualName(arm) }))
    .nullable()
    .default(null),
  /** Engine of trainings and comparisons. */
  backend: z.enum(['onnx', 'tensorflow']).default('onnx'),
  /** The block `execution` of trainings and comparisons; nothing in it repeats a step. */
  execution: block.default({}),
});

/** The file of a study. */
export type StudyConfig = Readonly<z.output<typeof studyConfigSchema>>;

/** What the command takes besides the file of the study. */
export const studyRunSchema = z.strictObject({
  output_dir: required(path, 'Folder for the study; created if missing.'),
  ...overwriteFields,
  plan: offByDefault('Write a plan of jobs, one for each step (docs/cluster.md), and run nothing.'),
  post_verify_only: offByDefault('Run the ten checks on a finished study, nothing else.'),
});

export type StudyRunConfig = Readonly<z.output<typeof studyRunSchema>>;

/** A job of a study as a plan: one step, or what comes after all others. */
export const studyJobSchema = z.strictObject({
  study_dir: required(path, 'Folder of the study.'),
  step: maybe(text, 'The step; null: analysis, logs and verification.'),
  result: required(path, 'The file by which it is known whether the step is done.'),
  output_dir: required(path, 'Folder for the log of the job.'),
});

export type StudyJobConfig = Readonly<z.output<typeof studyJobSchema>>;

/** What the study itself decides: not to be given in the blocks. */
const DECIDED: Readonly<Record<string, readonly string[]>> = {
  simulation: [
    'output_file',
    'overwrite',
    'visualize',
    'photons',
    'n_photons',
    'nphotons',
    'seed',
    'labels',
    'n_objects',
  ],
  training: ['train_data_file', 'train_data_files', 'num_datasets', 'test_data_file', 'output_dir', 'overwrite', 'seed', 'gridsize', 'model_type', 'resume', 'init', 'neighbor_count', 'backend', 'do_stitching'], // biome-ignore format: one line a block
  comparison: ['test_data_file', 'output_dir', 'overwrite', 'pinn_dir', 'baseline_dir', 'models', 'arms', 'tike_recon_path', 'forward', 'neighbor_count', 'backend'], // biome-ignore format: one line a block
};

/**
 * Checks the values of a study file.
 * @param origin the file, for messages
 * @throws PtychoError CONFIG_INVALID naming the first key that does not fit; keys inside the blocks are checked when the study begins
 */
export function parseStudy(values: unknown, origin: string): StudyConfig {
  const parsed = studyConfigSchema.safeParse(values);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue.path.join('.') || 'the top level';
    const keys = issue.code === 'unrecognized_keys' ? `unknown key ${issue.keys.join(', ')}` : issue.message;
    throw new PtychoError('CONFIG_INVALID', `${origin}, ${where}: ${keys.replace(/\.$/, '')}; docs/study.md lists the keys.`, {
      path: origin,
      key: where,
    }); // biome-ignore format: one sentence
  }
  const config = parsed.data;
  const blocks = { ...config, pinn: config.pinn, baseline: config.baseline };
  for (const [name, decided] of Object.entries({ ...DECIDED, pinn: DECIDED.training, baseline: DECIDED.training })) {
    const given = blocks[name as 'simulation'];
    const taken = decided.find((key) => key in given || key in ((given.model as object | undefined) ?? {}));
    if (taken === undefined) continue;
    throw new PtychoError(
      'CONFIG_INVALID',
      `${origin}, ${name}.${taken}: the study itself sets ${taken} (by doses, gridsizes, seeds, neighbor_count, backend or the step that it is at); leave it out.`,
      { path: origin, key: `${name}.${taken}` },
    );
  }
  if (config.iterative?.source === 'file' && config.iterative.file === null) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `${origin}, iterative.file: source file needs the path of the NPZ, such as arms/{dose}_{view}_{split}.npz.`,
      { path: origin, key: 'iterative.file' },
    );
  }
  return config;
}

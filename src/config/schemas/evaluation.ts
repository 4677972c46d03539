/**
 * `evaluate`: a reconstruction against the truth, or two halves of a scan against each other.
 *
 * @example
 * evaluationConfigSchema.parse({ reconstruction: 'reconstruction.npz', truth: 'scan.npz' }).register; // true
 */

import { z } from 'zod';
import { field } from '../field.js';
import { flag, optional, path, positiveInteger, seedNumber, text, wholeNumber } from '../kinds.js';
import { type DataConfig, dataConfigSchema } from './data.js';
import { checkEngine, type ExecutionConfig, executionConfigSchema } from './execution.js';
import { referenceFields } from './metrics.js';
import { overwriteFields } from './output.js';
import { sourceFields } from './sampling.js';

const local = { legacyKey: null } as const;

const imageFields = {
  reconstruction: field(
    optional(text),
    null,
    'Image to score: reconstruction.npz, a product of Ptychodus, or FILE:key of an NPZ, NPY or HDF5 file.',
    local,
  ),
  truth: field(
    optional(text),
    null,
    'What it should be, a file of the same kinds or a simulated scan; null: the objectGuess of the test data.',
    local,
  ),
  test_data_file: field(
    optional(path),
    null,
    'Scan that the image was made of: its positions bound the pixels that count, its counts give the scan image as a floor and the R-factor.',
    { ...local, aliases: ['test_data'] },
  ),
  output_dir: field(
    optional(path),
    null,
    'Folder for metrics.json, metrics.csv and frc.png; made if missing; null: nothing is written.',
    local,
  ),
  ...overwriteFields,
};

const methodFields = {
  register: field(flag, true, 'Look for a shift between image and truth and take it out.', local),
  stitch_crop_size: field(
    positiveInteger,
    20,
    'For images that do not say where they lie and cannot be registered: the margin around the scan is half of this, as published.',
    { ...local, unit: 'px' },
  ),
  ...referenceFields,
  r_factor_patterns: field(
    wholeNumber,
    64,
    'The amplitude R-factor is measured on up to this many patterns of the test data; 0: not at all.',
    { ...local, unit: 'patterns' },
  ),
};

const halfFields = {
  halves: field(
    flag,
    false,
    'Without a truth: reconstruct every other pattern and the rest apart, and correlate the two images.',
    local,
  ),
  model_path: field(optional(path), null, 'Trained bundle that reconstructs the halves.', local),
  neighbor_count: field(positiveInteger, 4, 'Nearest neighbours among which the members of a group are drawn.', local),
  seed: field(seedNumber, 0, 'Seed of the grouping.', local),
};

/** The fields under the titles of the help. */
export const EVALUATION_GROUPS = {
  Evaluation: imageFields,
  Method: methodFields,
  'Half sets': halfFields,
  Source: sourceFields,
} as const;

/** A reconstruction to be scored. */
export const evaluationConfigSchema = z
  .strictObject({
    ...imageFields,
    ...methodFields,
    ...halfFields,
    ...sourceFields,
    data: dataConfigSchema.prefault({}),
    execution: executionConfigSchema.prefault({}),
  })
  .superRefine(checkEngine)
  .superRefine((config, context) => {
    const missing = (key: 'reconstruction' | 'truth' | 'model_path' | 'test_data_file', why: string) => {
      if (config[key] === null) context.addIssue({ code: 'custom', path: [key], message: why });
    };
    if (config.halves) {
      missing('model_path', 'halves needs the bundle that reconstructs them.');
      missing('test_data_file', 'halves needs the scan that is halved.');
      return;
    }
    missing(
      'reconstruction',
      'reconstruction must name the image to score (or give halves, model_path and test_data_file).',
    );
    if (config.test_data_file === null) missing('truth', 'truth must be given, or test_data_file with an objectGuess.');
  });

/** See {@link evaluationConfigSchema}. */
export type EvaluationConfig = Readonly<
  Omit<z.output<typeof evaluationConfigSchema>, 'data' | 'execution'> & {
    data: DataConfig;
    execution: ExecutionConfig;
  }
>;

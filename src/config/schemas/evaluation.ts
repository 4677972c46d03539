/**
 * What measures: `evaluate`, a reconstruction against the truth or two halves of a scan against each other, and `overlap`, how
 * much neighbouring patterns of a scan share.
 *
 * @example
 * evaluationConfigSchema.parse({ reconstruction: 'reconstruction.npz', truth: 'scan.npz' }).register; // true
 * overlapConfigSchema.parse({ gridsize: 2, s_img: 0.5, n_groups: 512 }).neighbor_count; // 6
 */

import { z } from 'zod';
import {
  field,
  flag,
  maybe,
  offByDefault,
  path,
  positiveInteger,
  positiveNumber,
  required,
  seedNumber,
  text,
  wholeNumber,
} from '../../core/field.js';
import { dataConfigSchema } from './data.js';
import { checkEngine, networkBlocks } from './execution.js';
import { neighbourCount, overwriteFields, referenceFields, sourceFields, strictFields } from './shared.js';

const imageFields = {
  reconstruction: maybe(
    text,
    'Image to score: reconstruction.npz, a product of Ptychodus, or FILE:key of an NPZ, NPY or HDF5 file.',
  ),
  truth: maybe(
    text,
    'The true image: a file of the same kinds, or a simulated scan; null: the objectGuess of the test data.',
  ),
  test_data_file: maybe(
    path,
    'Scan from which the image was made: its positions bound the pixels that count, its counts give the scan image as a floor and the R-factor.',
    { aliases: ['test_data'] },
  ),
  output_dir: maybe(
    path,
    'Folder for metrics.json, metrics.csv, frc.png and index.html; created if missing; null: nothing is written.',
  ),
  ...overwriteFields,
};

const methodFields = {
  register: field(flag, true, 'Find a shift between image and truth and remove it.'),
  stitch_crop_size: field(
    positiveInteger,
    20,
    'For images that do not say where they lie and cannot be registered: the margin around the scan is half of this, as published.',
    { unit: 'px' },
  ),
  ...referenceFields,
  r_factor_patterns: field(
    wholeNumber,
    64,
    'Measure the amplitude R-factor on up to this many patterns of the test data; 0: do not measure it.',
    { unit: 'patterns' },
  ),
  ...strictFields,
};

const halfFields = {
  halves: offByDefault(
    'Without a truth: reconstruct two halves of the patterns separately, and correlate the two images.',
  ),
  model_path: maybe(path, 'Trained bundle that reconstructs the halves.'),
  neighbor_count: field(positiveInteger, 4, neighbourCount),
  seed: field(seedNumber, 0, 'Seed for the grouping.'),
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
    ...networkBlocks,
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

const { probe, measurement_domain } = sourceFields;

/** A share of the images of a scan. */
export const imageShare = { schema: z.number().gt(0).max(1), expected: 'a number above 0, at most 1' } as const;

/** Which images, which groups, how wide the probe is. */
export const overlapConfigSchema = z.strictObject({
  gridsize: required(positiveInteger, 'Groups are gridsize × gridsize patterns: 1 or 2.'),
  s_img: required(imageShare, 'Share of the images to keep, drawn at random.', { aliases: ['simg'] }),
  n_groups: required(positiveInteger, 'Number of groups drawn from them.', {
    unit: 'groups',
    aliases: ['ngroups'],
  }),
  neighbor_count: field(positiveInteger, 6, 'Number of nearest neighbours with which an image is compared.'),
  probe_diameter_px: maybe(
    positiveNumber,
    "Diameter of the lit disc; null: the full width at half maximum of the scan's probe, 0.6 N without one.",
    { unit: 'px' },
  ),
  rng_seed_subsample: maybe(seedNumber, 'Seed for drawing images and groups, NumPy-compatible; null: 0.', {
    aliases: ['subsample_seed'],
  }),
  output_dir: maybe(
    path,
    'Folder for train_metrics.json, test_metrics.json and metrics_bundle.json (metrics.json for a single scan); null: printed only.',
  ),
  ...overwriteFields,
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
});

export type { EvaluationConfig, OverlapConfig } from '../interfaces.js';

/**
 * A reconstruction with a trained bundle. The bundle decides what the model is; a block `model` only states what it is
 * expected to be.
 *
 * @example
 * inferenceConfigSchema.parse({ model_path: 'run', test_data_file: 'scan.npz' }).batch_size; // 32
 */

import { z } from 'zod';
import { PtychoError } from '../../core/errors.js';
import {
  field,
  flag,
  maybe,
  offByDefault,
  oneOf,
  path,
  positiveInteger,
  positiveNumber,
  published,
  required,
  seedNumber,
  show,
  text,
  textList,
  wholeNumber,
} from '../../core/field.js';
import type { Collection } from '../definition.js';
import type { InferenceConfig } from '../interfaces.js';
import { checkEngine, networkBlocks } from './execution.js';
import { modelClaimSchema } from './model.js';
import {
  groupCount,
  overwriteFields,
  pictureFields,
  samplingFields,
  sequentialSampling,
  sourceFields,
  strictFields,
} from './shared.js';
import { refinement } from './solver.js';

const pathFields = {
  model_path: required(
    path,
    'Trained bundle: wts.zip, the folder that holds it (or an ensemble), or runs:/RUN_ID/wts.zip on an MLflow server.',
    { legacyKey: true },
  ),
  test_data_file: required(path, 'Scan to reconstruct.', {
    legacyKey: 'test_data_file_path',
    aliases: ['test_data'],
  }),
  adapt: field(
    wholeNumber,
    0,
    'Let the network go on for so many epochs on the scan itself, without labels, and keep that where it explains held-out patterns better; the bundle stays as it is; 0: take it as it is.',
    { unit: 'epochs' },
  ),
  adapt_learning_rate: field(positiveNumber, 5e-4, 'With adapt: initial step size, which falls along a cosine.'),
  save_adapted: offByDefault('With adapt: also write the network that the image was made with, wts.zip in output_dir.'),
  shard: maybe(
    text,
    'Predict only one of several parts of the scan, such as 2/8, and write it as shard.npz: for several processes, each with the same other flags; 1/1 is the whole scan as one part; null: the whole scan.',
  ),
  from_shards: field(
    textList,
    [],
    'Make the image of the parts that --shard wrote: their folders, or a folder that holds these; may be repeated.',
  ),
  calibration: maybe(
    path,
    'File calibration.json of "ptychopinn calibrate", by which 90 % intervals are written; null: the one beside the model, if it is there.',
  ),
};

const imageFields = {
  output_dir: field(path, 'inference_outputs', 'Folder for the reconstruction and its pictures; created if missing.', {
    legacyKey: 'output_prefix',
  }),
  ...overwriteFields,
  n_groups: published(groupCount, null, 'Groups to reconstruct from; null or all: one for each pattern.', {
    unit: 'groups',
    formerly: ['n_images'],
  }),
  ...samplingFields,
  sequential_sampling: offByDefault(sequentialSampling),
  batch_size: field(positiveInteger, 32, 'Groups per prediction.', { unit: 'groups' }),
  stitch_crop_px: maybe(
    positiveInteger,
    'Side of the central square of each patch that is stitched (M, at most N); null: chosen from the scan.',
    { unit: 'px' },
  ),
  experiment_number: maybe(
    wholeNumber,
    'With a model of several scans: which of them, counted from 0 in the order of the training, has the trained probe and scale of this scan; null: the one with the same probe.',
  ),
  patch_weighting: field(
    oneOf('probe', 'uniform'),
    'probe',
    'How overlapping patches share a pixel: by the intensity of the probe there, or evenly.',
  ),
  stitching: field(
    oneOf('shift-and-sum', 'barycentric'),
    'shift-and-sum',
    'How patches are placed: shifted by interpolation into the frame of the image, or spread over the four nearest pixels; both are published.',
  ),
  align_phases: field(
    flag,
    true,
    'Before stitching, rotate the phase of every patch to agree with its neighbours: a pattern does not determine the global phase of its patch.',
  ),
  varpro_scaling: offByDefault(
    'Before stitching, fit the scales of the real and of the imaginary part of the patches to the counts of the whole scan; the network goes over the scan twice.',
  ),
  patch_fit: field(
    { schema: z.int().min(0).max(6), expected: 'a whole number from 0 to 6' },
    0,
    'Fit the slow part of every patch to its own pattern: amplitude and phase are multiplied by polynomials of this degree, by one step of least squares, for networks that have learned little (4); 0: patches stay as the network painted them.',
  ),
  stitching_rounds: field(
    { schema: z.int().min(1).max(20), expected: 'a whole number from 1 to 20' },
    1,
    'How often patches are laid down: from the second round on, what they differ by from the image so far, which interpolation has blurred. Two or three are enough.',
    { unit: 'rounds' },
  ),
  uncertainty: field(
    flag,
    true,
    'Also write how far overlapping patches disagree: the uncertainty of amplitude and phase (not with refine).',
  ),
  refine_positions: field(
    wholeNumber,
    0,
    'Rounds of fitting the scan positions to the image, after which the patches are stitched again; 0: positions stay as they are.',
    { unit: 'rounds' },
  ),
  position_step_limit_px: maybe(
    positiveNumber,
    'With refine_positions: the farthest that a position may move from where it was measured; null: no limit.',
    { unit: 'px' },
  ),
  refine: maybe(
    refinement,
    "Let a solver refine image and probe afterwards, such as lsqml:20 (algorithm:epochs); null: keep the network's image.",
  ),
  preview_seconds: maybe(
    positiveNumber,
    'Update the pictures this often while patches come in; null: only at the end.',
    { unit: 's' },
  ),
  comparison_plot: offByDefault('Also draw the image beside the known object of the scan file.'),
  window: field(
    wholeNumber,
    0,
    'Pixels along each edge that comparison_plot leaves out; some of the middle always stays.',
    {
      unit: 'px',
    },
  ),
  ...pictureFields,
  log_patch_stats: offByDefault('Write statistics of the predicted patches to logs/patch_stats.csv.'),
  patch_stats_limit: maybe(positiveInteger, 'Most batches that log_patch_stats writes; null: all.', {
    unit: 'batches',
  }),
  debug_dump: maybe(
    path,
    'Also write intermediate results (groups, offsets, patches, canvases) to this folder; without a folder: debug_dump in output_dir.',
    { bare: 'debug_dump' },
  ),
  r_factor_patterns: field(
    wholeNumber,
    64,
    'Measure the amplitude R-factor of the image on up to this many patterns; 0: do not measure it.',
    { unit: 'patterns' },
  ),
  debug: published(flag, false, 'Print more about the run to the terminal.'),
  seed: field(seedNumber, 0, 'Seed for the grouping.'),
  ...sourceFields,
};

/** A reconstruction with a trained bundle; the model comes from the bundle. */
export const inferenceConfigSchema = z
  .strictObject({
    model: modelClaimSchema.optional(),
    ...pathFields,
    ...imageFields,
    ...strictFields,
    ...networkBlocks,
  })
  .superRefine(checkEngine);

/** The same where a program brings model and scan along. */
export const imageConfigSchema = z
  .strictObject({ model: modelClaimSchema.optional(), ...imageFields, ...networkBlocks })
  .superRefine(checkEngine);

export type { InferenceConfig };
/** See {@link imageConfigSchema}; every {@link InferenceConfig} is one. */
export interface ImageConfig extends Omit<InferenceConfig, keyof typeof pathFields | keyof typeof strictFields> {}

/** Two fields for the same thing, of the groups of one prediction and of the pixels that are stitched: both may be there only when they agree. */
export function checkTwins({ given }: Collection): void {
  const [side, trim] = [given.get('stitch_crop_px'), given.get('middle_trim')];
  if (trim?.value && typeof trim.value === 'number') {
    if (side?.value != null && side.source !== 'default' && side.value !== trim.value) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `stitch_crop_px is ${show(side.value)}, but middle_trim, which means the same, is ${show(trim.value)}; keep one of them.`,
        { field: 'middle_trim' },
      );
    }
    given.set('stitch_crop_px', { ...trim });
  }

  const [own, other] = [given.get('batch_size'), given.get('inference_batch_size')];
  if (!own || other?.value == null || own.source === 'default' || own.value === other.value) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `batch_size is ${show(own.value)}, but inference_batch_size, which means the same, is ${show(other.value)}; keep one of them.`,
    { field: 'inference_batch_size' },
  );
}

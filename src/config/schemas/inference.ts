/**
 * A reconstruction with a trained bundle. The bundle decides what the model is; a block `model` only states what it is
 * expected to be.
 *
 * @example
 * inferenceConfigSchema.parse({ model_path: 'run', test_data_file: 'scan.npz' }).batch_size; // 32
 */

import { z } from 'zod';
import { field, required } from '../field.js';
import { flag, oneOf, optional, path, positiveInteger, seedNumber, wholeNumber } from '../kinds.js';
import { type DataConfig, dataConfigSchema } from './data.js';
import { checkEngine, type ExecutionConfig, executionConfigSchema } from './execution.js';
import { type ModelClaim, modelClaimSchema } from './model.js';
import { groupCount, samplingFields, sequentialSampling, sourceFields } from './sampling.js';

const inferenceFields = {
  model_path: required(path, 'Trained bundle: wts.zip or the folder that holds it.'),
  test_data_file: required(path, 'Scan to reconstruct.', {
    legacyKey: 'test_data_file_path',
    aliases: ['test_data'],
  }),
  output_dir: field(path, 'inference_outputs', 'Folder of the reconstruction and its pictures; made if missing.', {
    legacyKey: 'output_prefix',
  }),
  n_groups: field(groupCount, null, 'Groups to reconstruct from; null or all: one for each pattern.', {
    unit: 'groups',
    formerly: ['n_images'],
  }),
  ...samplingFields,
  sequential_sampling: field(flag, false, sequentialSampling, { legacyKey: null }),
  batch_size: field(positiveInteger, 32, 'Groups in one prediction.', { unit: 'groups', legacyKey: null }),
  stitch_crop_px: field(
    optional(positiveInteger),
    null,
    'Side of the central square of each patch that is stitched (M, at most N); null: chosen from the scan.',
    { unit: 'px', legacyKey: null },
  ),
  patch_weighting: field(
    oneOf('probe', 'uniform'),
    'probe',
    'How overlapping patches share a pixel: by the intensity of the probe there, or evenly.',
    { legacyKey: null },
  ),
  r_factor_patterns: field(
    wholeNumber,
    64,
    'The amplitude R-factor of the image is measured on up to this many patterns; 0: not at all.',
    { unit: 'patterns', legacyKey: null },
  ),
  debug: field(flag, false, 'Write more about the run to the terminal.'),
  seed: field(seedNumber, 0, 'Seed of the grouping.', { legacyKey: null }),
  ...sourceFields,
};

/** A reconstruction with a trained bundle; the model comes from the bundle. */
export const inferenceConfigSchema = z
  .strictObject({
    model: modelClaimSchema.optional(),
    ...inferenceFields,
    data: dataConfigSchema.prefault({}),
    execution: executionConfigSchema.prefault({}),
  })
  .superRefine(checkEngine);

/** See {@link inferenceConfigSchema}. */
export type InferenceConfig = Readonly<
  Omit<z.output<typeof inferenceConfigSchema>, 'model' | 'data' | 'execution'> & {
    /** What the model is expected to be; compared with the bundle. */
    model?: ModelClaim;
    data: DataConfig;
    execution: ExecutionConfig;
  }
>;

/**
 * `calibrate`: how far the images of a model lie from the truth, against how far its networks or patches disagree.
 *
 * @example
 * calibrationConfigSchema.parse({ model_path: 'run', calibration_data: ['a.npz', 'b.npz'] }).test_data; // []
 */

import { z } from 'zod';
import { field, maybe, path, required, seedNumber, textList } from '../../core/field.js';
import { checkEngine, networkBlocks } from './execution.js';
import { inferenceConfigSchema } from './inference.js';
import { overwriteFields, samplingFields, sourceFields } from './shared.js';

const { batch_size, stitch_crop_px, patch_weighting, stitching, align_phases, patch_fit, stitching_rounds } =
  inferenceConfigSchema.shape;

/** The fields under the title of the help. */
export const calibrationFields = {
  model_path: required(path, 'Trained bundle or ensemble: wts.zip, or the output folder of train.'),
  calibration_data: field(
    textList,
    [],
    'A scan with a known object (objectGuess) to calibrate on, which the model was not trained on; may be repeated, and further ones may be named without the flag.',
  ),
  test_data: field(
    textList,
    [],
    'Another scan with a known object, on which the coverage of the calibrated intervals is measured; may be repeated.',
  ),
  output_dir: maybe(
    path,
    'Folder for calibration.json and coverage.csv; null: the folder of the model, where infer finds it.',
  ),
  ...overwriteFields,
  batch_size,
  stitch_crop_px,
  patch_weighting,
  stitching,
  align_phases,
  patch_fit,
  stitching_rounds,
  neighbor_count: samplingFields.neighbor_count,
  seed: field(seedNumber, 0, 'Seed for the grouping.'),
  ...sourceFields,
};

/** Scans with known objects, some to calibrate on and others to test with. */
export const calibrationConfigSchema = z
  .strictObject({ ...calibrationFields, ...networkBlocks })
  .superRefine(checkEngine);

export type { CalibrationConfig } from '../interfaces.js';

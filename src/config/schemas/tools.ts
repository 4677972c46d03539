/**
 * The data tools, `inspect`, `convert`, `split`, `orient` and `label`, and the demonstration. The scan itself is the command's
 * argument; how it is opened is the block `data`, as for training.
 *
 * @example
 * splitConfigSchema.parse({ output_dir: 'parts' }).fraction; // 0.8
 */

import { z } from 'zod';
import {
  field,
  flag,
  nonNegativeNumber,
  oneOf,
  openUnitInterval,
  optional,
  path,
  positiveInteger,
  required,
  seedNumber,
} from '../field.js';
import { dataConfigSchema, type WithData } from './data.js';
import { deviceConfigSchema } from './execution.js';
import { modelFields } from './model.js';
import { overwriteFields, sourceFields } from './shared.js';

const { probe, measurement_domain } = sourceFields;

/** What is drawn besides the text. */
export const inspectConfigSchema = z.strictObject({
  map: field(
    optional(path),
    null,
    'PNG file for a map of the scan: positions coloured by counts, with the outlines of probe and object; null: none.',
  ),
  ...overwriteFields,
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
});

/** A scan in any readable format, written as a contract NPZ. */
export const convertConfigSchema = z.strictObject({
  output_file: required(path, 'NPZ file to write.'),
  ...overwriteFields,
  compress: field(flag, false, 'Compress the arrays: the file is smaller, but its patterns cannot be read one by one.'),
  n_subsample: field(optional(positiveInteger), null, 'Number of patterns to keep, drawn at random; null: all.', {
    unit: 'patterns',
  }),
  subsample_seed: field(optional(seedNumber), null, 'Seed for that draw, NumPy-compatible; null: 0.'),
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
});

/** A scan cut in two along an axis: one part to train on, one to test with. */
export const splitConfigSchema = z.strictObject({
  output_dir: required(path, 'Folder for the two NPZ files, NAME_train.npz and NAME_test.npz; created if missing.'),
  ...overwriteFields,
  fraction: field(
    openUnitInterval,
    0.8,
    'Where the cut is, as a fraction of the range of the coordinates; positions before it are for training.',
  ),
  axis: field(oneOf('x', 'y'), 'y', 'Coordinate along which the scan is cut.'),
  gap_px: field(
    nonNegativeNumber,
    0,
    'Leave out positions closer to the cut than half of this, so that no place is illuminated in both parts.',
    { unit: 'px' },
  ),
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
});

/** The search for the orientation of the positions. */
export const orientConfigSchema = z.strictObject({
  picture: field(
    optional(path),
    null,
    'PNG file for the reconstructions in all eight orientations, best first; null: none.',
  ),
  ...overwriteFields,
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
});

/** Labels for supervised training, cut from a reconstruction of the same scan. */
export const labelConfigSchema = z.strictObject({
  reconstruction: required(
    path,
    'NPZ with the reconstruction of this scan: reconstructed_object, and frame_origin_yx_px where it has one.',
  ),
  output_file: required(path, 'NPZ file to write: the scan with "label".'),
  ...overwriteFields,
});

/** The demonstration: everything else about it is fixed. */
export const demoConfigSchema = z.strictObject({
  output_dir: field(
    path,
    'demo-output',
    'Folder for the pictures, the report and the trained bundle; created if missing.',
  ),
  ...overwriteFields,
  nepochs: field(optional(positiveInteger), null, 'Passes over the training groups; null: as many as the demo needs.', {
    unit: 'epochs',
  }),
  gridsize: modelFields.gridsize,
  seed: field(seedNumber, 0, 'Seed for the scan, the object and the training.'),
  execution: deviceConfigSchema.prefault({}),
});

/** See {@link inspectConfigSchema}. */
export type InspectConfig = WithData<typeof inspectConfigSchema>;
/** See {@link convertConfigSchema}. */
export type ConvertConfig = WithData<typeof convertConfigSchema>;
/** See {@link splitConfigSchema}. */
export type SplitConfig = WithData<typeof splitConfigSchema>;
/** See {@link orientConfigSchema}. */
export type OrientConfig = WithData<typeof orientConfigSchema>;
/** See {@link labelConfigSchema}. */
export type LabelConfig = Readonly<z.output<typeof labelConfigSchema>>;
/** See {@link demoConfigSchema}. */
export type DemoConfig = Readonly<z.output<typeof demoConfigSchema>>;

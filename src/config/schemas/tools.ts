/**
 * The data tools: `inspect`, `convert`, `split` and `orient`. The scan itself is the command's argument; how it is opened is the
 * block `data`, as for training.
 *
 * @example
 * splitConfigSchema.parse({ output_dir: 'parts' }).fraction; // 0.8
 */

import { z } from 'zod';
import { field, required } from '../field.js';
import {
  flag,
  nonNegativeNumber,
  oneOf,
  openUnitInterval,
  optional,
  path,
  positiveInteger,
  seedNumber,
} from '../kinds.js';
import { dataConfigSchema, type WithData } from './data.js';
import { overwriteFields } from './output.js';
import { sourceFields } from './sampling.js';

const local = { legacyKey: null } as const;
const { probe, measurement_domain } = sourceFields;

/** What is drawn besides the text. */
export const inspectConfigSchema = z.strictObject({
  map: field(
    optional(path),
    null,
    'PNG file for a map of the scan: positions coloured by counts, with the outlines of probe and object; null: none.',
    local,
  ),
  ...overwriteFields,
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
});

/** A scan in any readable format, written as a contract NPZ. */
export const convertConfigSchema = z.strictObject({
  output_file: required(path, 'NPZ file to write.', local),
  ...overwriteFields,
  compress: field(
    flag,
    false,
    'Deflate the arrays: a smaller file, but one whose patterns cannot be read one by one.',
    local,
  ),
  n_subsample: field(optional(positiveInteger), null, 'Patterns that are taken over, drawn at random; null: all.', {
    ...local,
    unit: 'patterns',
  }),
  subsample_seed: field(optional(seedNumber), null, 'Seed of that draw, NumPy-compatible; null: 0.', local),
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
});

/** A scan cut in two along an axis: one part to train on, one to test with. */
export const splitConfigSchema = z.strictObject({
  output_dir: required(path, 'Folder for the two NPZ files, NAME_train.npz and NAME_test.npz; made if missing.', local),
  ...overwriteFields,
  fraction: field(
    openUnitInterval,
    0.8,
    'Where the cut is, as a fraction of the range of the coordinates; positions before it are for training.',
    local,
  ),
  axis: field(oneOf('x', 'y'), 'y', 'Coordinate that is cut.', local),
  gap_px: field(
    nonNegativeNumber,
    0,
    'Leave out positions nearer to the cut than half of this, so that no place is lit in both parts.',
    { ...local, unit: 'px' },
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
    local,
  ),
  ...overwriteFields,
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
});

/** See {@link inspectConfigSchema}. */
export type InspectConfig = WithData<typeof inspectConfigSchema>;
/** See {@link convertConfigSchema}. */
export type ConvertConfig = WithData<typeof convertConfigSchema>;
/** See {@link splitConfigSchema}. */
export type SplitConfig = WithData<typeof splitConfigSchema>;
/** See {@link orientConfigSchema}. */
export type OrientConfig = WithData<typeof orientConfigSchema>;

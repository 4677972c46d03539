/**
 * `overlap`: how much neighbouring patterns of a scan share. The scan itself is the command's argument.
 *
 * @example
 * overlapConfigSchema.parse({ gridsize: 2, s_img: 0.5, n_groups: 512 }).neighbor_count; // 6
 */

import { z } from 'zod';
import { field, required } from '../field.js';
import { optional, path, positiveInteger, positiveNumber, seedNumber } from '../kinds.js';
import { dataConfigSchema, type WithData } from './data.js';
import { overwriteFields } from './output.js';
import { sourceFields } from './sampling.js';

const local = { legacyKey: null } as const;
const { probe, measurement_domain } = sourceFields;

/** A share of the images of a scan. */
export const imageShare = { schema: z.number().gt(0).max(1), expected: 'a number above 0, at most 1' } as const;

/** Which images, which groups, how wide the probe is. */
export const overlapConfigSchema = z.strictObject({
  gridsize: required(positiveInteger, 'Groups are gridsize × gridsize patterns: 1 or 2.', local),
  s_img: required(imageShare, 'Share of the images that are kept, drawn at random.', { ...local, aliases: ['simg'] }),
  n_groups: required(positiveInteger, 'Groups that are drawn from them.', {
    ...local,
    unit: 'groups',
    aliases: ['ngroups'],
  }),
  neighbor_count: field(positiveInteger, 6, 'Nearest neighbours that an image is compared with.', local),
  probe_diameter_px: field(
    optional(positiveNumber),
    null,
    "Diameter of the lit disc; null: the full width at half maximum of the scan's probe, 0.6 N without one.",
    { ...local, unit: 'px' },
  ),
  rng_seed_subsample: field(
    optional(seedNumber),
    null,
    'Seed of the drawing of images and groups, NumPy-compatible; null: 0.',
    { ...local, aliases: ['subsample_seed'] },
  ),
  output_dir: field(
    optional(path),
    null,
    'Folder for train_metrics.json, test_metrics.json and metrics_bundle.json (with one scan metrics.json); null: printed only.',
    local,
  ),
  ...overwriteFields,
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
});

/** See {@link overlapConfigSchema}. */
export type OverlapConfig = WithData<typeof overlapConfigSchema>;

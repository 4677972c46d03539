/**
 * `compare`: several models and finished reconstructions on the same patterns of one scan. Names and defaults are those of the
 * published tool.
 *
 * @example
 * comparisonConfigSchema.parse({ test_data_file: 'test.npz', output_dir: 'compared', pinn_dir: 'run' }).stitch_crop_size; // 20
 */

import { z } from 'zod';
import {
  anyNumber,
  field,
  flag,
  maybe,
  offByDefault,
  path,
  positiveInteger,
  required,
  seedNumber,
  text,
  textList,
  wholeNumber,
} from '../../core/field.js';
import { checkEngine, networkBlocks } from './execution.js';
import { inferenceConfigSchema } from './inference.js';
import {
  groupCount,
  neighbourCount,
  overwriteFields,
  referenceFields,
  samplingFields,
  sourceFields,
} from './shared.js';

const { patch_weighting, stitching, align_phases } = inferenceConfigSchema.shape;
const { enable_oversampling, neighbor_pool_size } = samplingFields;
const percentage = { schema: z.number().min(0).max(100), expected: 'a number from 0 to 100' };

/** What is compared. */
const armFields = {
  pinn_dir: maybe(path, 'Bundle of the model PtychoPINN: wts.zip, or the folder that holds it.'),
  baseline_dir: maybe(path, 'Bundle of the model Baseline (usually a supervised one).'),
  models: field(textList, [], 'Another bundle, NAME=PATH; may be repeated.', { aliases: ['model'] }),
  arms: field(
    textList,
    [],
    'A finished reconstruction, FILE or NAME=FILE: an NPZ with a complex reconstructed_object; may be repeated.',
    { aliases: ['arm'] },
  ),
  tike_recon_path: maybe(
    path,
    'One more finished reconstruction, named after the algorithm that its file states: Tike or PtyChi.',
  ),
  test_data_file: required(path, 'Scan on which all are compared.', { aliases: ['test_data'] }),
  truth: maybe(
    text,
    'The true image: FILE or FILE:key, of the kinds that evaluate takes; null: the objectGuess of the test data.',
  ),
  output_dir: required(path, 'Folder for the comparison; created if missing.'),
  ...overwriteFields,
  forward: offByDefault('Instead of images, compare what two bundles predict for the same patterns, patch by patch.'),
};

/** Which patterns. */
const subsetFields = {
  n_test_groups: field(groupCount, null, 'Groups to reconstruct from; null or all: one for each pattern.', {
    unit: 'groups',
    formerly: ['n_test_images'],
  }),
  n_test_subsample: maybe(
    positiveInteger,
    'Patterns kept before grouping, drawn at random, the same for all; null: all.',
    { unit: 'patterns', formerly: ['n_subsample'] },
  ),
  test_subsample_seed: maybe(seedNumber, 'Seed for drawing patterns and groups, NumPy-compatible; null: 0.', {
    formerly: ['subsample_seed'],
  }),
  neighbor_count: field(positiveInteger, 7, neighbourCount),
  enable_oversampling,
  neighbor_pool_size,
};

/** From patches to images. */
const imageFields = {
  stitch_crop_size: field(
    positiveInteger,
    20,
    'Side M of the central square of each patch that is stitched, at most N; the margin compared around the scan is half of it.',
    { unit: 'px', aliases: ['stitch_crop_px'] },
  ),
  patch_weighting,
  stitching,
  align_phases,
  fixed_canvas: offByDefault('Compare on the rectangle of all scan positions in the file, not only of the drawn ones.'),
  batch_size: field(positiveInteger, 32, 'Groups per prediction.', { unit: 'groups' }),
  pinn_predict_batch_size: maybe(positiveInteger, 'The same for PtychoPINN; null: batch_size.', {
    unit: 'groups',
  }),
  baseline_predict_batch_size: maybe(positiveInteger, 'The same for Baseline; null: batch_size.', {
    unit: 'groups',
  }),
  pinn_chunk_size: maybe(
    positiveInteger,
    'At most this many groups of PtychoPINN in memory; null: two batches. Groups always stream, so this only makes batches smaller.',
    { unit: 'groups' },
  ),
  baseline_chunk_size: maybe(positiveInteger, 'The same for Baseline; null: two batches.', {
    unit: 'groups',
  }),
  baseline_debug_dir: maybe(
    path,
    'Also write groups, first patches and canvas of Baseline to this folder; null: nowhere.',
  ),
  baseline_debug_limit: maybe(
    positiveInteger,
    'Reconstruct Baseline from this many groups only, for debugging (the comparison says so); null: from all.',
    { unit: 'groups' },
  ),
};

/** How images are compared. */
const evaluationFields = {
  skip_registration: offByDefault('Compare images where they lie, without looking for shifts.'),
  register_ptychi_only: offByDefault(
    'Look for shifts of finished reconstructions only; images made from bundles are stitched in the pixels of the truth anyway.',
  ),
  ...referenceFields,
  r_factor_patterns: field(
    wholeNumber,
    64,
    'Measure the amplitude R-factor of images on up to this many patterns; 0: do not measure it.',
    { unit: 'patterns' },
  ),
};

/** What is written and drawn. */
const outputFields = {
  save_npz: field(flag, true, 'Write reconstructions.npz: the images as they are.'),
  save_npz_aligned: field(flag, true, 'Write reconstructions_aligned.npz: the images as they are compared.'),
  save_debug_images: offByDefault('Write pictures from before and after registration to debug_images.'),
  p_min: field(percentage, 10, 'Percentile at the low end of the colour scale.'),
  p_max: field(percentage, 90, 'Percentile at the high end of the colour scale.'),
  pinn_phase_vmin: maybe(anyNumber, 'Phase of PtychoPINN at the low end; null: by p_min.', {
    unit: 'rad',
  }),
  pinn_phase_vmax: maybe(anyNumber, 'Phase of PtychoPINN at the high end; null: by p_max.', {
    unit: 'rad',
  }),
  baseline_phase_vmin: maybe(anyNumber, 'Phase of Baseline at the low end; null: by p_min.', {
    unit: 'rad',
  }),
  baseline_phase_vmax: maybe(anyNumber, 'Phase of Baseline at the high end; null: by p_max.', {
    unit: 'rad',
  }),
  debug: offByDefault('Print more about the run to the terminal.'),
};

/** The fields under the titles of the help. */
export const COMPARISON_GROUPS = {
  Comparison: armFields,
  Patterns: subsetFields,
  Images: imageFields,
  Evaluation: evaluationFields,
  Output: outputFields,
  Source: sourceFields,
} as const;

/** Models and reconstructions on the same patterns. */
export const comparisonConfigSchema = z
  .strictObject({
    ...armFields,
    ...subsetFields,
    ...imageFields,
    ...evaluationFields,
    ...outputFields,
    ...sourceFields,
    ...networkBlocks,
  })
  .superRefine(checkEngine)
  .superRefine((config, context) => {
    const refuse = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
    const bundles = (config.pinn_dir === null ? 0 : 1) + (config.baseline_dir === null ? 0 : 1) + config.models.length;
    const finished = config.arms.length + (config.tike_recon_path === null ? 0 : 1);
    if (bundles + finished === 0) {
      refuse('pinn_dir', 'There is nothing to compare: give pinn_dir, baseline_dir, model NAME=PATH or arm FILE.');
    }
    if (config.forward && (bundles !== 2 || finished > 0)) {
      refuse(
        'forward',
        `forward compares two bundles, but there are ${bundles}${finished > 0 ? ` and ${finished} finished reconstructions, which predict nothing` : ''}.`,
      );
    }
    if (!(config.p_min < config.p_max)) {
      refuse(
        'p_min',
        `p_min is ${config.p_min} and p_max ${config.p_max}, but the colours must begin below where they end.`,
      );
    }
    if (config.skip_registration && config.register_ptychi_only) {
      refuse(
        'skip_registration',
        'skip_registration and register_ptychi_only contradict each other; keep one of them.',
      );
    }
    for (const field of ['baseline_debug_limit', 'baseline_debug_dir'] as const) {
      if (config[field] !== null && config.baseline_dir === null) {
        refuse(field, `${field} needs a Baseline: give baseline_dir.`);
      }
    }
  });

export type { ComparisonConfig } from '../interfaces.js';

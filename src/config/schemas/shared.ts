/** Fields that several commands share: what is drawn from a scan, which backend computes, how images are measured. */

import type { z } from 'zod';
import {
  anyNumber,
  field,
  flag,
  maybe,
  nonNegativeNumber,
  offByDefault,
  oneOf,
  optional,
  orWord,
  positiveInteger,
  published,
  seedNumber,
  text,
  textList,
} from '../../core/field.js';

/**
 * The one rule of every command that writes: a file that is there already, and that the same run did not make, stays.
 * Beside `output_dir` or `output_file` in every schema that has one.
 */
export const overwriteFields = {
  overwrite: offByDefault(
    'Replace existing files; without it the command refuses to start where one of its files exists.',
  ),
};

/** Scans beside the first. */
export const moreScansFields = {
  test_data_files: field(textList, [], 'Further scans to solve together with the first (see share); may be repeated.'),
};

/** What several scans have in common that are solved together. */
export const shareFields = {
  share: maybe(
    oneOf('object', 'probe'),
    'What several scans have in common: object, seen with a probe by each scan, or probe, with an object for each; null: there is one scan.',
  ),
  align_scans: field(
    flag,
    true,
    'share object: find how far the scans lie apart, by images of each alone and while they are solved together; false: their positions are on one object as they are.',
  ),
};

interface SeveralScans {
  readonly test_data_files: readonly string[];
  readonly share: string | null;
}

/** Several scans, and nothing that they share; or the other way round. */
export function checkShare({ test_data_files, share }: SeveralScans, context: z.RefinementCtx): void {
  const scans = 1 + test_data_files.length;
  const wrong =
    scans > 1 && share === null
      ? `There are ${scans} scans, but nothing says what they have in common: give --share object (one object, a probe for each scan) or --share probe (one probe, an object for each), or solve them one by one.`
      : scans === 1 && share !== null
        ? `share ${share} is for several scans, but there is one; name the others, too, or leave share out.`
        : undefined;
  if (wrong !== undefined) context.addIssue({ code: 'custom', path: ['share'], message: wrong });
}

/** The one rule for an image that is worth nothing. */
export const strictFields = {
  strict: field(
    flag,
    false,
    'Exit with code 3 if the image explains the patterns no better than a constant object (by the R-factor, where it is measured).',
  ),
};

/** A number of groups; the word `all` stands for one for each pattern. */
export const groupCount = optional(orWord(positiveInteger, 'all'));

/** What `neighbor_count` says, whatever its default. */
export const neighbourCount = 'Number of nearest neighbours from which the members of a group are drawn.';

/** Which patterns, and which of them make a group. */
export const samplingFields = {
  n_subsample: published(
    optional(positiveInteger),
    null,
    'Patterns kept before grouping, drawn at random; null: all.',
    { unit: 'patterns' },
  ),
  subsample_seed: published(
    optional(seedNumber),
    null,
    'Seed for drawing patterns and groups, NumPy-compatible; null: the value of seed.',
  ),
  neighbor_count: published(positiveInteger, 4, neighbourCount),
  enable_oversampling: published(
    flag,
    false,
    'Allow more groups than patterns, made from combinations of neighbours (gridsize above 1).',
  ),
  neighbor_pool_size: published(
    optional(positiveInteger),
    null,
    'Number of neighbours to combine when oversampling, at least gridsize²; null: neighbor_count.',
  ),
};

/** Options of pictures of an image. */
export const pictureFields = {
  phase_vmin: maybe(anyNumber, 'Phase at the low end of the colour scale; null: from the image.', { unit: 'rad' }),
  phase_vmax: maybe(anyNumber, 'Phase at the high end of the colour scale; null: from the image.', { unit: 'rad' }),
  vector_pictures: offByDefault('Also write every picture as SVG and PDF, for papers.'),
};

export const sequentialSampling = 'Take the first patterns instead of a random draw.';

/** Where numbers come from and who computes. */
export const sourceFields = {
  probe: maybe(
    text,
    'Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: guess one from the patterns if the file has none.',
  ),
  measurement_domain: maybe(
    oneOf('normalized_amplitude', 'count_amplitude', 'count_intensity'),
    'What the values in the data file represent; null: what the file declares, or what its values suggest (the reason is printed).',
  ),
  backend: published(
    oneOf('onnx', 'tensorflow'),
    'onnx',
    'What runs the network: onnx (ONNX Runtime) or tensorflow (TensorFlow.js).',
    {
      valueAliases: {
        tf: { value: 'tensorflow', note: 'backend tf is short for tensorflow.' },
        pytorch: {
          value: 'onnx',
          note: 'backend pytorch means onnx here: ONNX Runtime takes the place of PyTorch in the published tools.',
        },
      },
    },
  ),
};

/** Options of the published metrics, in every command that measures images. */
export const referenceFields = {
  phase_align_method: field(
    oneOf('plane', 'mean'),
    'plane',
    'What the reference metrics remove from the phases: a least-squares plane, or the mean.',
  ),
  frc_sigma: field(nonNegativeNumber, 0, 'Smoothing of the reference FRC curves.', { unit: 'rings' }),
  ms_ssim_sigma: field(nonNegativeNumber, 1, 'Smoothing of amplitudes before the reference MS-SSIM.', { unit: 'px' }),
};

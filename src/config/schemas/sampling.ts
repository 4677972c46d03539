/** Fields that training and inference share: what is drawn from a scan, and which backend computes. */

import { field } from '../field.js';
import { flag, oneOf, optional, orWord, positiveInteger, seedNumber, text } from '../kinds.js';

/** A number of groups; the word `all` stands for one for each pattern. */
export const groupCount = optional(orWord(positiveInteger, 'all'));

/** Which patterns, and which of them make a group. */
export const samplingFields = {
  n_subsample: field(optional(positiveInteger), null, 'Patterns kept before grouping, drawn at random; null: all.', {
    unit: 'patterns',
  }),
  subsample_seed: field(
    optional(seedNumber),
    null,
    'Seed of the drawing of patterns and groups, NumPy-compatible; null: the value of seed.',
  ),
  neighbor_count: field(positiveInteger, 4, 'Nearest neighbours among which the members of a group are drawn.'),
  enable_oversampling: field(
    flag,
    false,
    'Allow more groups than patterns, from the combinations of neighbours (gridsize above 1).',
  ),
  neighbor_pool_size: field(
    optional(positiveInteger),
    null,
    'Oversampling: neighbours that are combined, at least gridsize²; null: neighbor_count.',
  ),
};

export const sequentialSampling = 'Take the first patterns instead of a random draw.';

/** Where numbers come from and who computes. */
export const sourceFields = {
  probe: field(
    optional(text),
    null,
    'Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ; auto: a guess from the patterns where the file has none.',
    { legacyKey: null },
  ),
  measurement_domain: field(
    optional(oneOf('normalized_amplitude', 'count_amplitude', 'count_intensity')),
    null,
    'What the numbers in the data file are; null: as the file declares or as its values show, with the reason printed.',
    { legacyKey: null },
  ),
  backend: field(
    oneOf('onnx', 'tensorflow'),
    'onnx',
    'Who runs the network: onnx is ONNX Runtime, tensorflow is TensorFlow.js.',
    {
      valueAliases: {
        tf: { value: 'tensorflow', note: 'backend tf is short for tensorflow.' },
        pytorch: {
          value: 'onnx',
          note: 'backend pytorch means onnx here: ONNX Runtime takes the part that PyTorch has in the published tools.',
        },
      },
    },
  ),
};

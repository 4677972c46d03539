/**
 * The bundle tools: `bundle extract` and `bundle import`. The bundle or the file to import is the command's argument.
 *
 * @example
 * importConfigSchema.parse({ output_dir: 'imported' }).probe_normalization; // 'published'
 */

import { z } from 'zod';
import { field, required } from '../field.js';
import { flag, nonNegativeNumber, oneOf, optional, path, positiveNumber, text } from '../kinds.js';
import { overwriteFields } from './output.js';

const local = { legacyKey: null } as const;

/** The members of a bundle as files. */
export const extractConfigSchema = z.strictObject({
  output_dir: required(path, 'Folder for the members; made if missing.', local),
  ...overwriteFields,
});

/** A model that another program trained, as a bundle. Fields that are null follow the file, then the published defaults. */
export const importConfigSchema = z.strictObject({
  output_dir: required(path, 'Folder for wts.zip; made if missing.', local),
  ...overwriteFields,
  probe: field(
    optional(text),
    null,
    'Probe of the forward model, FILE or FILE:key; null: the one among the weights. Prediction of the object does not use it.',
    local,
  ),
  probe_normalization: field(
    oneOf('published', 'none'),
    'published',
    'What --probe holds: a probe as scan files have it, to be divided by probe_scale · mean|P| as the published tools do, or (none) one that already is.',
    local,
  ),
  probe_scale: field(optional(positiveNumber), null, 'That factor; null: as the file says, else 4.', local),
  intensity_scale: field(
    optional(positiveNumber),
    null,
    '√counts per unit of normalised amplitude; null: as the file says, else √nphotons/(N/2).',
    local,
  ),
  nphotons: field(optional(positiveNumber), null, 'Photons per pattern; null: as the file says, else 1e9.', {
    ...local,
    unit: 'photons',
  }),
  measurement_domain: field(
    oneOf('normalized_amplitude', 'count_amplitude', 'count_intensity'),
    'normalized_amplitude',
    'What the numbers in the training file were.',
    local,
  ),
  model_type: field(
    optional(oneOf('pinn', 'supervised')),
    null,
    'How it was trained; null: as the file says, else pinn.',
    local,
  ),
  amp_activation: field(
    optional(oneOf('sigmoid', 'swish', 'softplus', 'relu')),
    null,
    'Activation of the amplitude head; null: as the file says, else that of the published tool (PyTorch swish, TensorFlow sigmoid).',
    local,
  ),
  border_activation: field(
    oneOf('same', 'swish'),
    'swish',
    'Activation of the border branch; the published networks have swish.',
    local,
  ),
  cnn_output_mode: field(
    optional(oneOf('amp_phase', 'real_imag')),
    null,
    'What the two decoders put out; null: as the file says, else amp_phase.',
    local,
  ),
  physics_forward_mode: field(
    optional(oneOf('amplitude', 'rectangular_scaled')),
    null,
    'How patches meet the probe; null: as the file says, else amplitude.',
    local,
  ),
  probe_big: field(
    optional(flag),
    null,
    'Whether the border branch is used; null: as the file says, else where it is there.',
    local,
  ),
  pad_object: field(optional(flag), null, 'Whether the centre is padded; null: as the shapes say.', local),
  probe_mask: field(
    optional(flag),
    null,
    'Whether the probe is cut to a disk; null: as the file says, else false.',
    local,
  ),
  gaussian_smoothing_sigma: field(
    optional(nonNegativeNumber),
    null,
    'Blur of the illuminated field; null: as the file says, else 0.',
    { ...local, unit: 'px' },
  ),
  ignore_unmapped: field(
    flag,
    false,
    'Leave out weights that have no place in the network; they are listed. Without it they are an error.',
    local,
  ),
});

/** See {@link extractConfigSchema}. */
export type ExtractConfig = Readonly<z.output<typeof extractConfigSchema>>;
/** See {@link importConfigSchema}. */
export type ImportConfig = Readonly<z.output<typeof importConfigSchema>>;

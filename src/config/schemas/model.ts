/**
 * The network and its physics: the block `model`.
 *
 * @example
 * modelConfigSchema.parse({ N: 64, gridsize: 2 }).n_filters_scale; // 1
 */

import { z } from 'zod';
import { PtychoError } from '../../core/errors.js';
import {
  field,
  flag,
  type Kind,
  nonNegativeNumber,
  offByDefault,
  oneOf,
  optional,
  positiveInteger,
  positiveNumber,
  published,
  required,
  show,
} from '../../core/field.js';
import { ARCHITECTURES, architecturesInWords, generatorFields } from '../../networks/architectures.js';
import { LARGEST_NETWORK_SIDE, LEAST_NETWORK_SIDE, NETWORK_SIDES } from '../../networks/sides.js';
import type { ModelConfig } from '../interfaces.js';

const networkSide: Kind<z.ZodInt> = {
  schema: z.int().min(LEAST_NETWORK_SIDE).max(LARGEST_NETWORK_SIDE).multipleOf(16),
  expected: `${NETWORK_SIDES} (crop_px and pad_to change that of a scan)`,
};

/** Fields of {@link modelConfigSchema}. */
export const modelFields = {
  N: required(networkSide, 'Side of the square diffraction patterns and of the patches; taken from the data file.', {
    unit: 'px',
    legacyKey: true,
  }),
  gridsize: published(
    positiveInteger,
    1,
    'A group is gridsize × gridsize neighbouring patterns, the channels of the network.',
  ),
  model_type: published(
    oneOf('pinn', 'supervised'),
    'pinn',
    'How the network learns: pinn from the physics of diffraction, without labels; supervised from known patches.',
    {
      valueAliases: {
        Unsupervised: { value: 'pinn', note: 'model_type Unsupervised is called pinn here.' },
        Supervised: { value: 'supervised', note: 'model_type Supervised is called supervised here.' },
      },
    },
  ),
  architecture: published(oneOf(...ARCHITECTURES), 'cnn', `Generator network: ${architecturesInWords}.`),
  ...generatorFields,
  object_big: field(
    flag,
    true,
    'Predict one patch per member of a group and merge them on a canvas; false: one patch for the whole group.',
    { legacyKey: 'object.big' },
  ),
  training_patch_weighting: published(
    oneOf('central_mask', 'probe', 'uniform'),
    'central_mask',
    'How the patches of a group are merged on its canvas: each counts in its central N/2 square, according to the light of its probe (|P|²), or in that square with exact means (uniform), which central_mask draws towards 0 by a thousandth.',
  ),
  member_networks: field(
    oneOf('joint', 'shared'),
    'joint',
    'With gridsize above 1: joint reads the patterns of a group together, as the channels of one network; shared is the network of gridsize 1 on each of them, whose weights it also takes (init), so that their order plays no part.',
  ),
  align_members: offByDefault(
    'With gridsize above 1: turn the patches of a group to one phase before they are merged; a pattern does not determine the phase of its patch.',
  ),
  probe_mask: offByDefault('Cut the probe to a disk; probe_mask_edge says how.', { legacyKey: 'probe.mask' }),
  probe_mask_edge: field(
    oneOf('hard', 'soft'),
    'hard',
    'The edge of that disk: hard, of radius N/4, as in the TensorFlow family; or soft, as in the PyTorch family.',
    { legacyKey: true },
  ),
  physics_forward_mode: field(
    oneOf('amplitude', 'rectangular_scaled'),
    'amplitude',
    'How patches are multiplied by the probe: as they are, or with real and imaginary parts scaled by s1 and s2 (needs a network that puts these out: cnn_output_mode real_imag).',
  ),
  rect_s1s2_trainable: field(flag, true, 'With rectangular_scaled: train s1 and s2.'),
  rect_s1s2_init: field(
    oneOf('ones', 'data'),
    'ones',
    'With rectangular_scaled: initial values of s1 and s2: one, or fitted to the data.',
  ),
  gaussian_smoothing_sigma: published(
    nonNegativeNumber,
    0,
    'Width of the 3 × 3 Gaussian blur of the illuminated field; 0 switches it off.',
    { unit: 'px' },
  ),
  probe_scale: published(
    positiveNumber,
    4,
    'Published normalisation constant of the probe; accepted, but without effect: the scale contract counts_v1 takes every factor from the data.',
  ),
  probe_mask_sigma: published(nonNegativeNumber, 1, 'Blur of the edge of a soft probe mask.', {
    unit: 'px',
  }),
  probe_mask_diameter: published(optional(positiveNumber), null, 'Diameter of a soft probe mask; null: N/2.', {
    unit: 'px',
  }),
  learned_input_channels: published(positiveInteger, 1, 'Input channels of a generator for each pattern of a group.', {
    fixed: true,
  }),
};

/** The network and its physics. */
export const modelConfigSchema = z.strictObject(modelFields);

/** The same before the data were opened: `N` may be missing. */
export const modelRequestSchema = z.strictObject({ ...modelFields, N: modelFields.N.optional() });

export type { ModelConfig };
/** A model before the data were opened: `N` may be missing. */
export interface ModelRequest extends Omit<ModelConfig, 'N'> {
  readonly N?: ModelConfig['N'];
}
/** Some fields of a model. */
export type ModelClaim = Readonly<Partial<ModelConfig>>;

/** Fields of a model that somebody states: no defaults, so that what was left out claims nothing. */
export const modelClaimSchema = z.strictObject(
  Object.fromEntries(
    Object.entries(modelFields).map(([name, member]): [string, z.ZodType] => {
      const value: z.ZodType = member instanceof z.ZodDefault ? (member.def.innerType as z.ZodType) : member;
      // Description and legacy key stay with the field.
      return [name, value.optional().meta(member.meta() ?? {})];
    }),
  ),
) as unknown as z.ZodType<ModelClaim>;

/**
 * Compares the fields of a claim with a model; the bundle decides.
 * @param path of the bundle, for the message.
 * @throws PtychoError CONFIG_INVALID for the first field that differs.
 */
export function checkModelClaim(claim: ModelClaim | undefined, model: ModelConfig, path: string): void {
  for (const [name, value] of Object.entries(claim ?? {})) {
    const trained: unknown = Reflect.get(model, name);
    if (value === undefined || show(value) === show(trained)) continue;
    throw new PtychoError(
      'CONFIG_INVALID',
      `${name} is given as ${show(value)}, but the model in ${path} was trained with ${show(trained)}; leave ${name} out, the bundle decides.`,
      { field: name, found: value, expected: trained, path },
    );
  }
}

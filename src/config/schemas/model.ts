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
} from '../field.js';
import type { ModelConfig } from '../interfaces.js';
import { LARGEST_NETWORK_SIDE, LEAST_NETWORK_SIDE, NETWORK_SIDES } from '../sides.js';

const networkSide: Kind<z.ZodInt> = {
  schema: z.int().min(LEAST_NETWORK_SIDE).max(LARGEST_NETWORK_SIDE).multipleOf(16),
  expected: `${NETWORK_SIDES} (crop_px and pad_to change that of a scan)`,
};

const spectral = { fixed: true, instead: 'it shapes a spectral generator' } as const;

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
  architecture: published(
    oneOf('cnn', 'cnn_cbam', 'baseline'),
    'cnn',
    'Generator network: cnn is the published encoder with two decoders, cnn_cbam the variant with attention, baseline the single-channel network that is trained with labels only.',
    { unavailable: ['ffno', 'fno', 'fno_vanilla', 'neuralop_uno'] },
  ),
  cbam_encoder: field(flag, true, 'Attention blocks in the encoder; only cnn_cbam has them.'),
  n_filters_scale: published(positiveInteger, 1, 'Multiplies the width of every convolution.'),
  amp_activation: published(
    oneOf('sigmoid', 'swish', 'softplus', 'relu'),
    'sigmoid',
    'Activation of the amplitude head; sigmoid keeps the amplitude positive and bounded.',
    {
      valueAliases: {
        silu: { value: 'swish', note: 'amp_activation silu is called swish here.' },
        SiLU: { value: 'swish', note: 'amp_activation SiLU is called swish here.' },
      },
    },
  ),
  object_big: field(
    flag,
    true,
    'Predict one patch per member of a group and merge them on a canvas; false: one patch for the whole group.',
    { legacyKey: 'object.big' },
  ),
  training_patch_weighting: published(
    oneOf('central_mask', 'probe'),
    'central_mask',
    'How the patches of a group are merged on its canvas: each counts in its central N/2 square, or according to the light of its probe (|P|²).',
    { unavailable: ['uniform'] },
  ),
  probe_big: field(flag, true, 'Add the low-resolution head that fills the outer N/4 border of the patch.', {
    legacyKey: 'probe.big',
  }),
  probe_mask: offByDefault('Cut the probe to a disk of radius N/4.', { legacyKey: 'probe.mask' }),
  pad_object: published(flag, true, 'Predict the central N/2 square and pad it; false: a full N × N head.'),
  cnn_output_mode: field(
    oneOf('amp_phase', 'real_imag'),
    'amp_phase',
    'What cnn and cnn_cbam output: amplitude and phase, or real and imaginary parts.',
  ),
  physics_forward_mode: field(
    oneOf('amplitude', 'rectangular_scaled'),
    'amplitude',
    'How patches are multiplied by the probe: as they are, or with real and imaginary parts scaled by s1 and s2 (needs cnn_output_mode real_imag).',
  ),
  rect_s1s2_trainable: field(flag, true, 'With rectangular_scaled: train s1 and s2.'),
  rect_s1s2_init: field(
    oneOf('ones', 'data'),
    'ones',
    'With rectangular_scaled: initial values of s1 and s2: one, or fitted to the data.',
  ),
  border_activation: field(
    oneOf('same', 'swish'),
    'same',
    "Activation of the border branch: the head's own, or the published swish, which is unbounded.",
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
    fixed: true,
    instead: 'probe_mask cuts a hard disk',
  }),
  probe_mask_diameter: published(optional(positiveNumber), null, 'Diameter of a soft probe mask; null: N/2.', {
    unit: 'px',
    fixed: true,
    instead: 'probe_mask cuts a hard disk of radius N/4',
  }),
  generator_output_mode: published(
    oneOf('real_imag'),
    'real_imag',
    'What generators other than cnn and cnn_cbam output; these two always give amplitude and phase.',
    { unavailable: ['amp_phase_logits', 'amp_phase'] },
  ),
  learned_input_channels: published(positiveInteger, 1, 'Input channels of a generator.', { fixed: true }),
  max_hidden_channels: published(
    optional(positiveInteger),
    null,
    'Largest number of channels in a hidden layer; null: no limit.',
    {
      fixed: true,
      instead: 'n_filters_scale sets the width of the network',
    },
  ),
  resnet_width: published(
    optional(positiveInteger),
    null,
    'Width of a residual bottleneck; null: the generator decides.',
    {
      fixed: true,
      instead: 'n_filters_scale sets the width of the network',
    },
  ),
  fno_modes: published(positiveInteger, 12, 'Modes that a spectral layer keeps.', spectral),
  fno_width: published(positiveInteger, 32, 'Channels of a spectral generator.', spectral),
  fno_blocks: published(positiveInteger, 4, 'Spectral blocks.', spectral),
  fno_cnn_blocks: published(positiveInteger, 2, 'Convolution blocks after the spectral ones.', spectral),
  fno_input_transform: published(oneOf('none'), 'none', 'How a spectral generator transforms its input.', {
    unavailable: ['sqrt', 'log1p', 'instancenorm'],
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

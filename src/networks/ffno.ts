/** Architecture `ffno`. */
import { field, flag, oneOf, positiveNumber } from '../core/field.js';
import * as op from '../graph/ops.js';
import { generator } from './generator.js';
import { conv, gate, instanceNorm, lifted, paintedByPoints, spectralTraits } from './layers.js';
import { factorisedConv, factorisedWeights } from './spectralConv.js';
import { refinerField, spectralFields } from './spectralFields.js';

const alsoIn = { alsoIn: 'execution' } as const;

/**
 * Blocks x + g·W₂ GELU(W₁ norm(S x)) at full size, S spectral along rows and columns apart; then `fno_cnn_blocks` residual blocks of two
 * convolutions.
 */
export const ffno = generator({
  name: 'ffno',
  summary: 'a stack of blocks that are spectral along rows and columns apart',
  fields: {
    ...spectralFields,
    ...refinerField,
    ffno_encoder_share_weights: field(
      flag,
      true,
      'Whether the blocks of ffno share their spectral weights and the factor of what they add.',
      alsoIn,
    ),
    ffno_encoder_gate_init: field(
      positiveNumber,
      0.1,
      'First value of the factor of what a block of ffno adds.',
      alsoIn,
    ),
    ffno_encoder_norm: field(oneOf('instance', 'none'), 'instance', 'Normalisation in the blocks of ffno.', alsoIn),
    ffno_encoder_mlp_ratio: field(
      positiveNumber,
      2,
      'How many times wider the blocks of ffno are between their two 1 × 1 convolutions.',
      alsoIn,
    ),
  },
  ...spectralTraits,
  layers: (config, x, scope) => {
    const { fno_width: width, fno_modes: modes, ffno_encoder_share_weights: shared } = config;
    const hidden = Math.max(1, Math.round(width * config.ffno_encoder_mlp_ratio));
    const spectral = (name: string) => ({
      weights: factorisedWeights(`${name}.spectral`, width, modes, scope),
      factor: gate(`${name}.scale`, config.ffno_encoder_gate_init, scope),
    });
    let h = lifted(config, x, scope);
    let of = shared ? spectral('blocks') : undefined;
    for (let i = 0; i < config.fno_blocks; i++) {
      const name = `block.${i}`;
      if (!shared) of = spectral(name);
      const { weights, factor } = of!;
      const filtered = factorisedConv(h, weights);
      const even = config.ffno_encoder_norm === 'instance' ? instanceNorm(filtered, `${name}.norm`, scope) : filtered;
      const wide = op.gelu(conv(even, `${name}.wide`, hidden, { kernel: 1 }, scope));
      h = op.add(h, op.mul(conv(wide, `${name}.narrow`, width, { kernel: 1 }, scope), factor));
    }
    for (let i = 0; i < config.fno_cnn_blocks; i++) {
      const first = op.gelu(conv(h, `refiner.${i}.conv1`, width, { kernel: 3 }, scope));
      h = op.add(h, conv(first, `refiner.${i}.conv2`, width, { kernel: 3 }, scope));
    }
    return paintedByPoints(config, h, scope);
  },
});

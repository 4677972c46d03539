/** Architecture `ffno`. */
import type { z } from 'zod';
import { field, flag, oneOf, positiveNumber } from '../core/field.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { generator } from './generator.js';
import { conv, gate, instanceNorm, lifted, paintedByPoints, spectralTraits } from './layers.js';
import { factorisedConv, factorisedWeights } from './spectralConv.js';
import { refinerField, spectralFields } from './spectralFields.js';

const alsoIn = { alsoIn: 'execution' } as const;

/** Fields of a stack of such blocks. */
export const stackFields = {
  ffno_encoder_share_weights: field(
    flag,
    true,
    'Whether the blocks of ffno, or of a stack like it, share their spectral weights and the factor of what they add.',
    alsoIn,
  ),
  ffno_encoder_gate_init: field(positiveNumber, 0.1, 'First value of the factor of what such a block adds.', alsoIn),
  ffno_encoder_norm: field(oneOf('instance', 'none'), 'instance', 'Normalisation in such blocks.', alsoIn),
  ffno_encoder_mlp_ratio: field(
    positiveNumber,
    2,
    'How many times wider such blocks are between their two 1 × 1 convolutions.',
    alsoIn,
  ),
};

/** How a stack is made. */
interface Stack {
  readonly blocks: number;
  readonly modes: number;
  readonly shared: boolean;
  readonly gateInit: number;
  readonly norm: 'instance' | 'none';
  readonly ratio: number;
}

/** The stack that its fields describe. */
export function stackOf(
  config: { readonly [K in keyof typeof stackFields]: z.output<(typeof stackFields)[K]> },
  blocks: number,
  modes: number,
): Stack {
  return {
    ...{ blocks, modes },
    shared: config.ffno_encoder_share_weights,
    gateInit: config.ffno_encoder_gate_init,
    norm: config.ffno_encoder_norm,
    ratio: config.ffno_encoder_mlp_ratio,
  };
}

/** Blocks x + g·W₂ GELU(W₁ norm(S x)), S spectral along rows and columns apart. @param prefix of their names */
export function factorisedStack(
  x: GraphNode,
  prefix: string,
  { blocks, modes, shared, gateInit, norm, ratio }: Stack,
  scope: ParameterScope,
): GraphNode {
  const width = x.shape[1];
  const hidden = Math.max(1, Math.round(width * ratio));
  const spectral = (name: string) => ({
    weights: factorisedWeights(`${name}.spectral`, width, modes, scope),
    factor: gate(`${name}.scale`, gateInit, scope),
  });
  let h = x;
  let of = shared ? spectral(`${prefix}blocks`) : undefined;
  for (let i = 0; i < blocks; i++) {
    const name = `${prefix}block.${i}`;
    if (!shared) of = spectral(name);
    const { weights, factor } = of!;
    const filtered = factorisedConv(h, weights);
    const even = norm === 'instance' ? instanceNorm(filtered, `${name}.norm`, scope) : filtered;
    const wide = op.gelu(conv(even, `${name}.wide`, hidden, { kernel: 1 }, scope));
    h = op.add(h, op.mul(conv(wide, `${name}.narrow`, width, { kernel: 1 }, scope), factor));
  }
  return h;
}

/** Such blocks at full size, then `fno_cnn_blocks` residual blocks of two convolutions. */
export const ffno = generator({
  name: 'ffno',
  summary: 'a stack of blocks that are spectral along rows and columns apart',
  fields: { ...spectralFields, ...refinerField, ...stackFields },
  ...spectralTraits,
  layers: (config, x, scope) => {
    const { fno_width: width, fno_modes: modes, fno_blocks: blocks } = config;
    let h = factorisedStack(lifted(config, x, scope), '', stackOf(config, blocks, modes), scope);
    for (let i = 0; i < config.fno_cnn_blocks; i++) {
      const first = op.gelu(conv(h, `refiner.${i}.conv1`, width, { kernel: 3 }, scope));
      h = op.add(h, conv(first, `refiner.${i}.conv2`, width, { kernel: 3 }, scope));
    }
    return paintedByPoints(config, h, scope);
  },
});

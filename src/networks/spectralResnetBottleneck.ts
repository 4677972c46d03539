/** Architectures `spectral_resnet_bottleneck_net` and `spectral_resnet_bottleneck_linear_decoder`. */
import type { z } from 'zod';
import { anyNumber, field, flag, oneOf, positiveInteger } from '../core/field.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { generator } from './generator.js';
import { ENCODER, residualBody, shell, shellComplaints, shellFields } from './hybridResnet.js';
import { conv, gate, linearlyDoubled, spectralTraits } from './layers.js';
import { factorisedConv, factorisedWeights } from './spectralConv.js';

const alsoIn = { alsoIn: 'execution' } as const;

/** Fields of bottlenecks with spectral layers along rows and columns apart. */
export const bottleneckStackFields = {
  spectral_bottleneck_blocks: field(positiveInteger, 6, 'Blocks of a bottleneck with spectral layers.', alsoIn),
  spectral_bottleneck_modes: field(positiveInteger, 12, 'Waves that the spectral layers of a bottleneck keep.', alsoIn),
  spectral_bottleneck_share_weights: field(
    flag,
    true,
    'Whether the blocks of such a bottleneck share one spectral layer (in hybrid_resnet_ffno_bottleneck also its factor).',
    alsoIn,
  ),
  spectral_bottleneck_gate_init: field(
    anyNumber,
    0.1,
    'First value of the factor of the spectral layers there.',
    alsoIn,
  ),
};

const fields = {
  ...shellFields,
  ...bottleneckStackFields,
  spectral_bottleneck_gate_mode: field(
    oneOf('shared', 'per_block'),
    'shared',
    'Whether the residual blocks share the factor of their spectral layers or have one each.',
    alsoIn,
  ),
};

type Config = { readonly [K in keyof typeof fields]: z.output<(typeof fields)[K]> };

/** Residual blocks x + a·body(x) + g·S(x), S spectral along rows and columns apart. */
const spectralBottleneck = (config: Config, scope: ParameterScope) => (x: GraphNode) => {
  let h = x;
  const modes = config.spectral_bottleneck_modes;
  const weights = (name: string) => factorisedWeights(`${name}.spectral`, h.shape[1], modes, scope);
  const factorOf = (name: string) => gate(`${name}.spectral.scale`, config.spectral_bottleneck_gate_init, scope);
  const local = gate('bottleneck.scale', 0.1, scope);
  const sharedWeights = config.spectral_bottleneck_share_weights ? weights('bottleneck') : undefined;
  const sharedFactor = config.spectral_bottleneck_gate_mode === 'shared' ? factorOf('bottleneck') : undefined;
  for (let j = 0; j < config.spectral_bottleneck_blocks; j++) {
    const name = `bottleneck.${j}`;
    const body = op.mul(residualBody(h, name, scope), local);
    const spectral = factorisedConv(h, sharedWeights ?? weights(name));
    h = op.add(op.add(h, body), op.mul(spectral, sharedFactor ?? factorOf(name)));
  }
  return h;
};

/** The encoder and decoder of `hybrid_resnet` around such blocks. */
export const spectralResnetBottleneck = generator({
  name: 'spectral_resnet_bottleneck_net',
  summary: 'hybrid_resnet with spectral layers in its residual blocks',
  fields,
  ...spectralTraits,
  encoder: ENCODER,
  complaints: shellComplaints,
  layers: (config, x, scope) =>
    shell(config, x, scope, { blocks: config.fno_blocks, bottleneck: spectralBottleneck(config, scope) }),
});

/** The same with a decoder that only interpolates and mixes channels. */
export const spectralResnetLinearDecoder = generator({
  name: 'spectral_resnet_bottleneck_linear_decoder',
  summary: 'the same with a decoder that interpolates',
  fields,
  ...spectralTraits,
  encoder: ENCODER,
  complaints: shellComplaints,
  layers: (config, x, scope) =>
    shell(config, x, scope, {
      blocks: config.fno_blocks,
      bottleneck: spectralBottleneck(config, scope),
      doubled: (h, name, cout) => conv(linearlyDoubled(h), name, cout, { kernel: 1 }, scope),
    }),
});

/** Architecture `spectral_resnet_bottleneck_net`. */
import { anyNumber, field, flag, oneOf, positiveInteger } from '../core/field.js';
import * as op from '../graph/ops.js';
import { generator } from './generator.js';
import { residualBody, shell, shellComplaints, shellFields } from './hybridResnet.js';
import { gate, spectralTraits } from './layers.js';
import { factorisedConv, factorisedWeights } from './spectralConv.js';

const alsoIn = { alsoIn: 'execution' } as const;

/** The encoder and decoder of `hybrid_resnet` around residual blocks x + a·body(x) + g·S(x), S spectral along rows and columns apart. */
export const spectralResnetBottleneck = generator({
  name: 'spectral_resnet_bottleneck_net',
  summary: 'hybrid_resnet with spectral layers in its residual blocks',
  fields: {
    ...shellFields,
    spectral_bottleneck_blocks: field(positiveInteger, 6, 'Residual blocks of spectral_resnet_bottleneck_net.', alsoIn),
    spectral_bottleneck_modes: field(
      positiveInteger,
      12,
      'Waves that the spectral layers in the residual blocks of spectral_resnet_bottleneck_net keep.',
      alsoIn,
    ),
    spectral_bottleneck_share_weights: field(
      flag,
      true,
      'Whether the residual blocks of spectral_resnet_bottleneck_net share one spectral layer.',
      alsoIn,
    ),
    spectral_bottleneck_gate_init: field(
      anyNumber,
      0.1,
      'First value of the factor of the spectral layers there.',
      alsoIn,
    ),
    spectral_bottleneck_gate_mode: field(
      oneOf('shared', 'per_block'),
      'shared',
      'Whether the residual blocks share the factor of their spectral layers or have one each.',
      alsoIn,
    ),
  },
  ...spectralTraits,
  complaints: shellComplaints,
  layers: (config, x, scope) =>
    shell(config, x, scope, (h) => {
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
    }),
});

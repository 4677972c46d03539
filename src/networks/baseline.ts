/** Architecture `baseline`: the single-channel network that is trained with labels; the members of a group are separate images. */

import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import { widthField } from './encoderDecoder.js';
import { convolutions, generator, polarOutput } from './generator.js';

const ENCODER = [32, 64, 128] as const;
const DECODER = [128, 64, 32] as const;

/**
 * Three blocks down, two decoders of three blocks up (amplitude and phase), each ending in one convolution without activation; any
 * side that is a multiple of 8.
 * Source: Cherukara et al., "AI-enabled high-resolution scanning coherent diffraction imaging", Appl. Phys. Lett. 117, 044103 (2020).
 */
export const baseline = generator({
  name: 'baseline',
  summary: 'the single-channel network that is trained with labels only',
  fields: { ...widthField },
  encoder: ['encoder.'],
  gaugeFactor: () => 1,
  paintsParts: () => false,
  complaints: ({ object_big }) =>
    object_big
      ? []
      : [
          [
            'object_big',
            'architecture baseline takes the patterns of a group apart, so that object_big changes nothing; leave it out.',
          ],
        ],
  layers: (config, x, scope) => {
    const [batch, channels] = x.shape;
    const side = config.N;
    const { conv, upConv } = convolutions(scope);
    let h: GraphNode = op.reshape(x, [batch * channels, 1, side, side]);
    ENCODER.forEach((filters, i) => {
      h = op.relu(conv(h, `encoder.${i}.conv1`, config.n_filters_scale * filters));
      h = op.relu(conv(h, `encoder.${i}.conv2`, config.n_filters_scale * filters));
      h = op.maxPool2(h);
    });
    const decode = (name: string): GraphNode => {
      let v = h;
      DECODER.forEach((filters, i) => {
        v = op.relu((i === 0 ? conv : upConv)(v, `${name}.${i}.conv1`, config.n_filters_scale * filters));
        v = op.relu(conv(v, `${name}.${i}.conv2`, config.n_filters_scale * filters));
      });
      return op.reshape(upConv(v, `${name}.out`, 1), [batch, channels, side, side]);
    };
    return polarOutput(decode('amplitude'), decode('phase'), { low: Number.NEGATIVE_INFINITY, high: null }, {});
  },
});

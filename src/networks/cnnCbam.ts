/** Architecture `cnn_cbam`. */
import { field, flag } from '../core/field.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { encoderDecoder, encoderDecoderFields, encoderDecoderTraits } from './encoderDecoder.js';
import { generator, paintedPatches } from './generator.js';

const REDUCTION = 16;
const SPATIAL_KERNEL = 7;

/**
 * Channel gate, then spatial gate, each multiplied onto the features.
 * Source: Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018.
 */
function blockAttention(x: GraphNode, name: string, scope: ParameterScope): GraphNode {
  const [batch, channels] = x.shape;
  const hidden = Math.floor(channels / REDUCTION);
  const w1 = op.transposeLast(scope.parameter(`${name}.channel.fc1.weight`, [hidden, channels], 'glorot_uniform'));
  const b1 = scope.parameter(`${name}.channel.fc1.bias`, [hidden], 0);
  const w2 = op.transposeLast(scope.parameter(`${name}.channel.fc2.weight`, [channels, hidden], 'glorot_uniform'));
  const b2 = scope.parameter(`${name}.channel.fc2.bias`, [channels], 0);
  const mlp = (v: GraphNode) => op.add(op.matmul(op.relu(op.add(op.matmul(v, w1), b1)), w2), b2);
  const gate = op.sigmoid(op.add(mlp(op.reduceMean(x, [2, 3])), mlp(op.reduceMax(x, [2, 3]))));
  const gated = op.mul(x, op.reshape(gate, [batch, channels, 1, 1]));

  const compressed = op.concat([op.reduceMax(gated, [1], true), op.reduceMean(gated, [1], true)], 1);
  const w = scope.parameter(`${name}.spatial.weight`, [1, 2, SPATIAL_KERNEL, SPATIAL_KERNEL], 'glorot_uniform');
  return op.mul(gated, op.sigmoid(op.conv2d(compressed, w, undefined, `${name}.spatial`)));
}

/**
 * The network of the published PyTorch implementation, with convolutional block attention by `cbam_encoder`. The
 * border branch takes as many channels as the head gives and is 32·n wide.
 */
export const cnnCbam = generator({
  name: 'cnn_cbam',
  summary: 'the variant with attention',
  fields: {
    ...encoderDecoderFields,
    cbam_encoder: field(flag, true, 'Attention blocks in the encoder; only cnn_cbam has them.'),
  },
  ...encoderDecoderTraits,
  layers: (config, x, scope, modulate) =>
    encoderDecoder(config, x, scope, {
      borderInputChannels: paintedPatches(config),
      borderWidth: 32 * config.n_filters_scale,
      attention: config.cbam_encoder ? blockAttention : undefined,
      modulate,
    }),
});

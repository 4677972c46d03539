/** The networks by their configured name: the two published convolutional ones, and the baseline. */
import type { ModelConfig } from '../../config/schema.js';
import { publishedSide } from '../../config/sides.js';
import { PtychoError } from '../../core/errors.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import type { ParameterScope } from '../parameters.js';
import { baseline } from './baseline.js';
import { encoderDecoder } from './encoderDecoder.js';
import type { Generator } from './generator.js';

/**
 * Architecture `cnn`: the network of the published TensorFlow implementation. The border branch takes the last four decoder channels and
 * narrows with the published side (32·n for 64, 8·n for 256).
 */
const cnn: Generator = (config, x, scope) =>
  encoderDecoder(config, x, scope, {
    borderInputChannels: 4,
    borderWidth: config.n_filters_scale * (2048 / publishedSide(config.N)),
  });

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
 * Architecture `cnn_cbam`: the network of the published PyTorch implementation, with convolutional block attention by `cbam_encoder`. The
 * border branch takes as many channels as the head gives and is 32·n wide.
 */
const cnnCbam: Generator = (config, x, scope) =>
  encoderDecoder(config, x, scope, {
    borderInputChannels: config.object_big ? config.gridsize ** 2 : 1,
    borderWidth: 32 * config.n_filters_scale,
    attention: config.cbam_encoder ? blockAttention : undefined,
  });

const generators: Readonly<Record<ModelConfig['architecture'], Generator>> = { cnn, cnn_cbam: cnnCbam, baseline };

/**
 * The network called `architecture`.
 * @throws PtychoError MODEL_UNSUPPORTED for a name that is not registered.
 */
export function generatorOf(architecture: string): Generator {
  if (Object.hasOwn(generators, architecture)) return generators[architecture as ModelConfig['architecture']];
  throw new PtychoError(
    'MODEL_UNSUPPORTED',
    `architecture: "${architecture}" is not known; choose one of ${Object.keys(generators).join(', ')}.`,
    { found: architecture, expected: Object.keys(generators) },
  );
}

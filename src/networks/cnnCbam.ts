/** Architecture `cnn_cbam`. */
import { field, flag, offByDefault, positiveInteger, unitInterval } from '../core/field.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { encoderDecoder, encoderDecoderFields, encoderDecoderTraits, type Layer } from './encoderDecoder.js';
import { convolutions, generator } from './generator.js';

const REDUCTION = 16;
const SPATIAL_KERNEL = 7;

/** A gate for every pixel from the largest and the mean value of its channels. */
function spatialGate(x: GraphNode, name: string, kernel: number, scope: ParameterScope): GraphNode {
  const compressed = op.concat([op.reduceMax(x, [1], true), op.reduceMean(x, [1], true)], 1);
  const w = scope.parameter(`${name}.weight`, [1, 2, kernel, kernel], 'glorot_uniform');
  return op.mul(x, op.sigmoid(op.conv2d(compressed, w, undefined, name)));
}

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
  return spatialGate(gated, `${name}.spatial`, SPATIAL_KERNEL, scope);
}

/**
 * A gate for every channel from the means of it and its two neighbours in the list of channels.
 * Source: Wang et al., "ECA-Net: efficient channel attention", CVPR 2020.
 */
const channelAttention: Layer = (x, name, scope) => {
  const [batch, channels] = x.shape;
  const means = op.pad(op.reduceMean(x, [2, 3]), [0, 1], [0, 1]);
  const w = scope.parameter(`${name}.weight`, [3], { limit: 1 / Math.sqrt(3) });
  const taps = [0, 1, 2].map((i) => op.mul(op.sliceAxis(means, 1, i, channels), op.sliceAxis(w, 0, i, 1)));
  const gate = op.sigmoid(taps.reduce<GraphNode>((a, b) => op.add(a, b), op.scalar(0)));
  return op.mul(x, op.reshape(gate, [batch, channels, 1, 1]));
};

/** How far statistics go towards those of a batch in a step, and what keeps the root finite: as in PyTorch. */
const BATCH_NORM = { momentum: 0.1, epsilon: 1e-5 } as const;

/**
 * Every channel to mean 0 and variance 1 over a batch, a factor and an offset of it. While a network learns these are those of the batch at
 * hand, and means over the batches are kept for when it predicts.
 * Source: Ioffe & Szegedy, "Batch normalization", ICML 2015.
 */
const batchNorm: Layer = (x, name, scope) => {
  const [batch, channels, rows, columns] = x.shape;
  const count = batch * rows * columns;
  const perChannel = (v: GraphNode) => op.reshape(v, [1, channels, 1, 1]);
  const mean = op.reduceMean(x, [0, 2, 3]);
  const variance = op.reduceMean(op.square(op.sub(x, perChannel(mean))), [0, 2, 3]);
  const kept = (part: string, init: number, seen: GraphNode) =>
    scope.statistic(`${name}.${part}`, [channels], init, (before) =>
      op.add(op.mul(before, 1 - BATCH_NORM.momentum), op.mul(seen, BATCH_NORM.momentum)),
    );
  const keptMean = kept('mean', 0, mean);
  // The variance of the population, not of the batch.
  const keptVariance = kept('variance', 1, op.mul(variance, count / Math.max(1, count - 1)));
  const [m, v] = scope.training ? [mean, variance] : [keptMean, keptVariance];
  const even = op.div(op.sub(x, perChannel(m)), op.sqrt(op.add(perChannel(v), BATCH_NORM.epsilon)));
  const scale = perChannel(scope.parameter(`${name}.scale`, [channels], 1));
  return op.add(op.mul(even, scale), perChannel(scope.parameter(`${name}.shift`, [channels], 0)));
};

/** x and what three convolutions make of it, which are wider behind the last block. */
const refined = (x: GraphNode, name: string, last: boolean, scope: ParameterScope): GraphNode => {
  const channels = x.shape[1];
  const wide = last ? 2 * channels : channels;
  const { conv } = convolutions(scope);
  const first = op.relu(conv(x, `${name}.conv1`, wide));
  const second = op.relu(conv(first, `${name}.conv2`, wide));
  return op.relu(op.add(x, conv(second, `${name}.conv3`, channels)));
};

/** What stands behind the blocks of the decoders; the first that is asked for, in the published order. */
function decoderAttentionOf(config: {
  readonly eca_decoder: boolean;
  readonly spatial_decoder: boolean;
  readonly cbam_decoder: boolean;
  readonly decoder_spatial_kernel: number;
}): Layer | undefined {
  if (config.eca_decoder) return channelAttention;
  if (config.spatial_decoder)
    return (x, name, scope) => spatialGate(x, `${name}.spatial`, config.decoder_spatial_kernel, scope);
  return config.cbam_decoder ? blockAttention : undefined;
}

/** The share of channels that feed the border, where `use_legacy_decoder_channel_override` asks for one. */
const OUTER_SHARE = 0.125;

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
    eca_encoder: offByDefault(
      'In place of these, gates for every channel from the means of its neighbours (with cbam_encoder false).',
    ),
    cbam_bottleneck: offByDefault('An attention block behind the encoder of cnn_cbam.'),
    cbam_decoder: offByDefault('Attention blocks behind the blocks of the decoders of cnn_cbam.'),
    eca_decoder: offByDefault(
      'In place of these, gates for every channel from the means of its neighbours; it wins over the other two.',
    ),
    spatial_decoder: offByDefault(
      'In place of these, gates for every pixel from the largest and the mean value of its channels; it wins over cbam_decoder.',
    ),
    decoder_spatial_kernel: field(
      positiveInteger,
      SPATIAL_KERNEL,
      'Side of the convolution of spatial_decoder, an odd number.',
      { unit: 'px' },
    ),
    batch_norm: offByDefault(
      'Normalise over the batch behind the convolutions of the encoder of cnn_cbam and of the decoder of phases (or imaginary parts, or of both in a shared decoder).',
    ),
    use_shared_decoder: offByDefault(
      'One decoder for amplitude and phase (or real and imaginary part) in cnn_cbam, with a refining block behind each of its blocks.',
    ),
    use_legacy_decoder_channel_override: offByDefault(
      'Feed the border branch of cnn_cbam by a share of the channels of the decoder, decoder_last_c_outer_fraction, and not by as many as it paints.',
    ),
    decoder_last_c_outer_fraction: field(
      unitInterval,
      OUTER_SHARE,
      'That share; more than a half is a half, and no less than one channel.',
    ),
  },
  ...encoderDecoderTraits,
  complaints: (config) => [
    ...(config.eca_encoder && config.cbam_encoder
      ? [
          [
            'eca_encoder',
            'eca_encoder takes the place of the attention blocks in the encoder; set cbam_encoder to false with it, or leave it out.',
          ] as const,
        ]
      : []),
    ...(config.decoder_spatial_kernel % 2 === 0
      ? [
          [
            'decoder_spatial_kernel',
            `decoder_spatial_kernel must be odd, got ${config.decoder_spatial_kernel}.`,
          ] as const,
        ]
      : []),
    ...(config.decoder_spatial_kernel !== SPATIAL_KERNEL && !config.spatial_decoder
      ? [
          [
            'decoder_spatial_kernel',
            'decoder_spatial_kernel belongs to spatial_decoder; set that to true, or leave it out.',
          ] as const,
        ]
      : []),
    ...(config.decoder_last_c_outer_fraction !== OUTER_SHARE && !config.use_legacy_decoder_channel_override
      ? [
          [
            'decoder_last_c_outer_fraction',
            'decoder_last_c_outer_fraction is a share of channels that use_legacy_decoder_channel_override asks for; set that to true, or leave it out.',
          ] as const,
        ]
      : []),
  ],
  layers: (config, x, scope, modulate) => {
    const attention = config.cbam_encoder ? blockAttention : config.eca_encoder ? channelAttention : undefined;
    const share = Math.min(0.5, config.decoder_last_c_outer_fraction);
    return encoderDecoder(config, x, scope, {
      borderInputChannels: (channels, outputs) =>
        config.use_legacy_decoder_channel_override ? Math.max(1, Math.floor(channels * share)) : outputs,
      borderWidth: 32 * config.n_filters_scale,
      attention,
      bottleneck: config.cbam_bottleneck ? blockAttention : undefined,
      decoderAttention: decoderAttentionOf(config),
      normalise: config.batch_norm ? batchNorm : undefined,
      shared: config.use_shared_decoder ? { refine: refined, end: channelAttention } : undefined,
      modulate,
    });
  },
});

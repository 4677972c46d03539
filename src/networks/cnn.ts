/** Architecture `cnn`. */
import { encoderDecoder, encoderDecoderFields, encoderDecoderTraits } from './encoderDecoder.js';
import { generator } from './generator.js';
import { publishedSide } from './sides.js';

/**
 * The network of the published TensorFlow implementation. The border branch takes the last four decoder channels and
 * narrows with the published side (32·n for 64, 8·n for 256).
 */
export const cnn = generator({
  name: 'cnn',
  summary: 'the published encoder with two decoders',
  fields: encoderDecoderFields,
  ...encoderDecoderTraits,
  layers: (config, x, scope, modulate) =>
    encoderDecoder(config, x, scope, {
      borderInputChannels: () => 4,
      borderWidth: config.n_filters_scale * (2048 / publishedSide(config.N)),
      modulate,
    }),
});

/** Architecture `cnn`: the network of the published TensorFlow implementation. */

import { publishedSide } from '../../config/sides.js';
import { encoderDecoder } from './encoderDecoder.js';
import type { Generator } from './generator.js';

/** The border branch takes the last four decoder channels and narrows with the published side (32·n for 64, 8·n for 256). */
export const cnn: Generator = (config, x, scope) =>
  encoderDecoder(config, x, scope, {
    borderInputChannels: 4,
    borderWidth: config.n_filters_scale * (2048 / publishedSide(config.N)),
  });

/** Architecture `fno`. */
import * as op from '../graph/ops.js';
import { fnoFeatures } from './fnoVanilla.js';
import { generator } from './generator.js';
import { conv, paintedByPoints, spectralTraits } from './layers.js';
import { refinerField, spectralFields } from './spectralFields.js';

/** Spectral blocks at full size, then `fno_cnn_blocks` convolutions that refine what they painted. */
export const fno = generator({
  name: 'fno',
  summary: 'the same stack with convolutions behind it',
  fields: { ...spectralFields, ...refinerField },
  ...spectralTraits,
  layers: (config, x, scope) => {
    let h = conv(fnoFeatures(config, x, scope), 'refiner.in', config.fno_width, { kernel: 1 }, scope);
    for (let i = 0; i < config.fno_cnn_blocks; i++) {
      h = op.gelu(conv(h, `refiner.${i}`, config.fno_width, { kernel: 3 }, scope));
    }
    return paintedByPoints(config, h, scope);
  },
});

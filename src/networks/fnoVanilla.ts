/** Architecture `fno_vanilla`. */
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { generator } from './generator.js';
import { conv, lifted, paintedByPoints, spectralTraits } from './layers.js';
import { spectralConv } from './spectralConv.js';
import { type SpectralConfig, spectralFields } from './spectralFields.js';

/** The lifted input after `fno_blocks` blocks x + GELU(spectral convolution + 3×3 convolution), at full size. */
export function fnoFeatures(config: SpectralConfig, x: GraphNode, scope: ParameterScope): GraphNode {
  let h = lifted(config, x, scope);
  for (let i = 0; i < config.fno_blocks; i++) {
    const name = `block.${i}`;
    const spectral = spectralConv(h, `${name}.spectral`, config.fno_width, config.fno_modes, scope);
    const local = conv(h, `${name}.local`, config.fno_width, { kernel: 3 }, scope);
    h = op.add(h, op.gelu(op.add(spectral, local)));
  }
  return h;
}

/** Spectral blocks at full size, nothing else. */
export const fnoVanilla = generator({
  name: 'fno_vanilla',
  summary: 'a stack of spectral blocks at full size',
  fields: spectralFields,
  ...spectralTraits,
  layers: (config, x, scope) => paintedByPoints(config, fnoFeatures(config, x, scope), scope),
});

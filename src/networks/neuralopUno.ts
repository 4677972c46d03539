/** Architecture `neuralop_uno`. */
import { field, oneOf } from '../core/field.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { generator } from './generator.js';
import { conv, cubicResized, paintedByPoints, spectralTraits, transformedInput } from './layers.js';
import { resizingSpectralConv } from './spectralConv.js';
import { spectralFields } from './spectralFields.js';

/** Layers in order: channels per `fno_width`, size relative to the patch, and the layer whose result is joined to what it takes. */
const LAYERS = [
  { width: 1, size: 1, joins: undefined },
  { width: 2, size: 0.5, joins: undefined },
  { width: 2, size: 0.5, joins: 1 },
  { width: 1, size: 1, joins: 0 },
] as const;

/** Where a pixel lies: two channels from 0 to 1, as published without the last pixel's 1. */
function places(batch: number, side: number): GraphNode {
  const data = Float32Array.from({ length: 2 * side * side }, (_, i) => {
    const pixel = i % (side * side);
    return (i < side * side ? Math.floor(pixel / side) : pixel % side) / side;
  });
  return op.broadcast(op.constant(data, [1, 2, side, side], 'places'), [batch, 2, side, side]);
}

function pointwise(x: GraphNode, name: string, hidden: number, cout: number, scope: ParameterScope): GraphNode {
  const wide = op.gelu(conv(x, `${name}.0`, hidden, { kernel: 1 }, scope));
  return conv(wide, `${name}.1`, cout, { kernel: 1 }, scope);
}

/**
 * Spectral layers at full and half size with skips across. What is published as "U-NO" has no activation after its layers, only inside
 * their mixing of channels. Waves whose rows run the other way keep their direction where the size changes, but with `uno_resized_waves
 * published`: there half the size is without them, and at twice the size they are taken for fast waves that run ahead.
 * Source: Rahman et al., "U-NO: U-shaped neural operators", TMLR 2023; neuraloperator 2.0.0.
 */
export const neuralopUno = generator({
  name: 'neuralop_uno',
  summary: 'a stack of spectral layers at full and half size with skips across',
  fields: {
    generator_output_mode: spectralFields.generator_output_mode,
    fno_modes: spectralFields.fno_modes,
    fno_width: spectralFields.fno_width,
    fno_input_transform: spectralFields.fno_input_transform,
    uno_resized_waves: field(
      oneOf('kept', 'published'),
      'kept',
      'What becomes in neuralop_uno, where an image changes its size, of waves whose rows run the other way: kept as they are, or (published) lost at half the size and taken for other waves at twice the size, as the published network does; its weights need the latter.',
    ),
  },
  ...spectralTraits,
  layers: (config, x, scope) => {
    const { fno_width: width, fno_modes: modes, uno_resized_waves: turned, N } = config;
    const seen = op.concat([transformedInput(config, x), places(x.shape[0], N)], 1);
    let h = pointwise(seen, 'lifting', 4 * width, width, scope);
    const kept = new Map<number, GraphNode>();
    LAYERS.forEach(({ width: wide, size: share, joins }, i) => {
      const name = `layer.${i}`;
      const before = joins === undefined ? undefined : kept.get(joins);
      if (before) h = op.concat([h, cubicResized(before, [h.shape[2], h.shape[3]])], 1);
      const [cin, cout, side] = [h.shape[1], wide * width, share * N];
      const size = [side, side] as const;
      const straight = (part: string) =>
        cubicResized(conv(h, `${name}.${part}`, cout, { kernel: 1, bare: true }, scope), size);
      const variance = 2 / (cin + cout);
      const spectral = resizingSpectralConv(h, `${name}.spectral`, cout, { modes, size, variance, turned }, scope);
      const bias = scope.parameter(`${name}.spectral.bias`, [cout], { deviation: Math.sqrt(variance) });
      const sum = op.add(op.add(spectral, op.reshape(bias, [1, cout, 1, 1])), straight('skip'));
      const mixed = pointwise(sum, `${name}.mix`, Math.round(cout / 2), cout, scope);
      h = op.add(mixed, straight('mix.skip'));
      if (LAYERS.some((layer) => layer.joins === i)) {
        kept.set(i, conv(h, `${name}.across`, cout, { kernel: 1, bare: true }, scope));
      }
    });
    const wide = op.gelu(conv(h, 'projection', 4 * width, { kernel: 1 }, scope));
    return paintedByPoints(config, wide, scope);
  },
});

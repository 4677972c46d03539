/** Architectures `hybrid` and `stable_hybrid`: spectral blocks in a U-shaped network. */
import { optional, positiveInteger, published } from '../core/field.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { type GeneratorOutput, generator, type NetworkShape } from './generator.js';
import { ENCODER } from './hybridResnet.js';
import { blockConv, conv, halvingConv, instanceNorm, lifted, paintedByPoints, spectralTraits } from './layers.js';
import { spectralConv } from './spectralConv.js';
import { type SpectralConfig, spectralFields } from './spectralFields.js';

const fields = {
  ...spectralFields,
  max_hidden_channels: published(
    optional(positiveInteger),
    null,
    'Most channels that halving an image leads to; null: they double every time.',
  ),
};

type Config = NetworkShape & SpectralConfig & { readonly max_hidden_channels: number | null };

/** What a block makes of its image. */
type Block = (x: GraphNode, name: string, modes: number, scope: ParameterScope) => GraphNode;

/** Sides of 16 can be halved four times. */
const MOST_BLOCKS = 5;

const change = (x: GraphNode, name: string, modes: number, scope: ParameterScope) => {
  const channels = x.shape[1];
  const spectral = spectralConv(x, `${name}.spectral`, channels, modes, scope);
  return op.gelu(op.add(spectral, conv(x, `${name}.local`, channels, { kernel: 3 }, scope)));
};

const plainBlock: Block = (x, name, modes, scope) => op.add(x, change(x, name, modes, scope));

/** What is added has mean 0 and is small at first: a factor for every channel, beginning at 0.001. */
const stableBlock: Block = (x, name, modes, scope) => {
  const channels = x.shape[1];
  const even = instanceNorm(change(x, name, modes, scope), `${name}.norm`, scope);
  return op.add(x, op.mul(even, op.reshape(scope.parameter(`${name}.scale`, [channels], 1e-3), [1, channels, 1, 1])));
};

/** Blocks that are halved in between, one more at the bottom with half the waves, and convolutions back up beside what was skipped. */
function uShaped(config: Config, x: GraphNode, scope: ParameterScope, block: Block): GeneratorOutput {
  const { fno_blocks: blocks, fno_modes: modes, max_hidden_channels: most } = config;
  const skips: GraphNode[] = [];
  let h = lifted(config, x, scope);
  for (let i = 0; i < blocks; i++) {
    h = block(h, `encoder.${i}`, modes, scope);
    if (i === blocks - 1) break;
    skips.push(h);
    h = halvingConv(h, `down.${i}`, Math.min(2 * h.shape[1], most ?? Number.POSITIVE_INFINITY), scope);
  }
  h = block(h, 'bottleneck', Math.max(1, Math.floor(modes / 2)), scope);
  for (const [u, skipped] of skips.reverse().entries()) {
    const channels = skipped.shape[1];
    const both = op.concat([blockConv(h, `up.${u}`, channels, scope), skipped], 1);
    const first = op.gelu(conv(both, `decoder.${u}.conv1`, channels, { kernel: 3 }, scope));
    h = conv(first, `decoder.${u}.conv2`, channels, { kernel: 3 }, scope);
  }
  return paintedByPoints(config, h, scope);
}

const complaints = ({ fno_blocks, architecture }: Omit<Config, 'N'>) =>
  fno_blocks > MOST_BLOCKS
    ? [
        [
          'fno_blocks',
          `architecture ${architecture} halves its images between its blocks: fno_blocks must be at most ${MOST_BLOCKS}, got ${fno_blocks}.`,
        ] as const,
      ]
    : [];

/** Spectral blocks at full, half, quarter, … size with twice the channels each time, and skips. */
export const hybrid = generator({
  name: 'hybrid',
  summary: 'a U-shaped network of spectral blocks',
  fields,
  ...spectralTraits,
  encoder: ENCODER,
  complaints,
  layers: (config, x, scope) => uShaped(config, x, scope, plainBlock),
});

/** The same with blocks that begin near the identity. */
export const stableHybrid = generator({
  name: 'stable_hybrid',
  summary: 'the same with normalised blocks that add little at first',
  fields,
  ...spectralTraits,
  encoder: ENCODER,
  complaints,
  layers: (config, x, scope) => uShaped(config, x, scope, stableBlock),
});

/** Architecture `hybrid_resnet`, published as "SRU-Net". */
import type { z } from 'zod';
import { field, offByDefault, oneOf, optional, positiveInteger, positiveNumber, published } from '../core/field.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { type GeneratorOutput, generator, type Modulate, type NetworkShape } from './generator.js';
import {
  averagePool2,
  blurPool2,
  conv,
  depthwiseConv,
  doublingConv,
  gate,
  halvingConv,
  instanceNorm,
  lifted,
  paintedByPoints,
  spectralTraits,
} from './layers.js';
import { spectralConv } from './spectralConv.js';
import { spectralFields } from './spectralFields.js';

const alsoIn = { alsoIn: 'execution' } as const;

/** Fields of the encoder and decoder around a bottleneck. */
export const shellFields = {
  ...spectralFields,
  max_hidden_channels: published(
    optional(positiveInteger),
    null,
    'Most channels that halving an image leads to; null: they double every time.',
  ),
  resnet_width: published(
    optional(positiveInteger),
    null,
    'Channels of the bottleneck, a multiple of 4; null: as many as the encoder ends with.',
  ),
  hybrid_skip_connections: offByDefault(
    'Join the images before each halving to those of the same size in the decoder.',
    alsoIn,
  ),
  hybrid_skip_style: field(
    oneOf('add', 'concat', 'gated_add'),
    'add',
    'How skipped images are joined to those of the decoder: added after a 1 × 1 convolution, side by side before one, or added times a learned factor that begins at 0.1.',
    alsoIn,
  ),
  hybrid_downsample_steps: field(positiveInteger, 2, 'How often the encoder halves its images, 1 or 2.', alsoIn),
  hybrid_downsample_op: field(
    oneOf('stride_conv', 'avgpool_conv', 'blurpool_conv'),
    'stride_conv',
    'How the encoder halves its images: by a 2 × 2 convolution of stride 2, or by averages or a blur and a 1 × 1 convolution.',
    alsoIn,
  ),
  hybrid_encoder_conv_hidden_scale: field(
    positiveNumber,
    2,
    'Channels of the convolution branch of an encoder block per channel of the block; 1 leaves out its 1 × 1 convolutions.',
    alsoIn,
  ),
  hybrid_encoder_spectral_hidden_scale: field(
    positiveNumber,
    1,
    'Channels of the spectral branch of an encoder block per channel of the block; 1 leaves out its 1 × 1 convolutions.',
    alsoIn,
  ),
  hybrid_encoder_conv_hidden_channels: field(
    optional(positiveInteger),
    null,
    'Channels of the convolution branch of every block, whatever its size; null: hybrid_encoder_conv_hidden_scale decides.',
    alsoIn,
  ),
  hybrid_encoder_spectral_hidden_channels: field(
    optional(positiveInteger),
    null,
    'Channels of the spectral branch of every block, whatever its size; null: hybrid_encoder_spectral_hidden_scale decides.',
    alsoIn,
  ),
  hybrid_encoder_branch_select: field(
    oneOf('both', 'conv_only', 'spectral_only'),
    'both',
    'Branches of an encoder block.',
    alsoIn,
  ),
  hybrid_encoder_fusion_mode: field(
    oneOf('baseline', 'layerscale', 'branch_gated', 'branch_gated_layerscale'),
    'baseline',
    'What an encoder block learns besides its branches: nothing, a factor of what it adds (layerscale), a factor of each branch (branch_gated), or all three.',
    alsoIn,
  ),
  hybrid_encoder_layerscale_init: field(
    positiveNumber,
    0.1,
    'First value of the factor of what an encoder block adds.',
    alsoIn,
  ),
  hybrid_encoder_branch_gate_init: field(
    positiveNumber,
    0.1,
    'First value of the factors of the branches of an encoder block.',
    alsoIn,
  ),
};

type ShellFields = { readonly [K in keyof typeof shellFields]: z.output<(typeof shellFields)[K]> };
type Shell = NetworkShape & Omit<ShellFields, 'fno_blocks'>;
type Complaints = readonly (readonly [field: string, message: string])[];

/** What of the fields of the shell does not go together. */
export function shellComplaints(config: Omit<Shell, 'N'> & Partial<ShellFields>): Complaints {
  const { hybrid_downsample_steps: steps, fno_blocks = PTYCHO_BLOCKS, resnet_width, architecture } = config;
  return [
    ...(steps > 2
      ? [['hybrid_downsample_steps', `hybrid_downsample_steps must be 1 or 2, got ${steps}.`] as const]
      : []),
    ...(fno_blocks < steps
      ? [
          [
            'fno_blocks',
            `architecture ${architecture} halves its images after its first blocks: fno_blocks (${fno_blocks}) must be at least hybrid_downsample_steps (${steps}).`,
          ] as const,
        ]
      : []),
    ...(resnet_width !== null && resnet_width % 4 !== 0
      ? [['resnet_width', `resnet_width must be a multiple of 4, got ${resnet_width}; the decoder halves it.`] as const]
      : []),
  ];
}

/** How the names of the parameters of such an encoder begin. */
export const ENCODER = ['lifter.', 'encoder.', 'down.', 'ffno.'] as const;

/** Encoder blocks of the networks that have another stack beside them, and no field for their number. */
export const PTYCHO_BLOCKS = 2;

/** As Python rounds: halves to the even neighbour. */
function roundedHalf(x: number): number {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2) : Math.round(x);
}

/** x + GELU(spectral branch + convolution branch). */
function encoderBlock(config: Shell, x: GraphNode, name: string, scope: ParameterScope): GraphNode {
  const channels = x.shape[1];
  const widened = (branch: string, hidden: number, inner: (h: GraphNode) => GraphNode) => {
    if (hidden === channels) return inner(x);
    const wide = inner(conv(x, `${name}.${branch}.in`, hidden, { kernel: 1 }, scope));
    return conv(wide, `${name}.${branch}.out`, channels, { kernel: 1 }, scope);
  };
  const hiddenOf = (given: number | null, scale: number) => given ?? Math.max(1, roundedHalf(scale * channels));
  const { hybrid_encoder_branch_select: select, hybrid_encoder_fusion_mode: mode } = config;
  const gated = (branch: string, v: GraphNode) =>
    mode.startsWith('branch_gated')
      ? op.mul(v, gate(`${name}.${branch}.gate`, config.hybrid_encoder_branch_gate_init, scope))
      : v;
  const branches: GraphNode[] = [];
  if (select !== 'conv_only') {
    const hidden = hiddenOf(
      config.hybrid_encoder_spectral_hidden_channels,
      config.hybrid_encoder_spectral_hidden_scale,
    );
    const filtered = widened('spectral', hidden, (h) =>
      spectralConv(h, `${name}.spectral`, hidden, config.fno_modes, scope),
    );
    branches.push(gated('spectral', filtered));
  }
  if (select !== 'spectral_only') {
    const hidden = hiddenOf(config.hybrid_encoder_conv_hidden_channels, config.hybrid_encoder_conv_hidden_scale);
    const local = widened('local', hidden, (h) =>
      conv(h, `${name}.local.conv`, hidden, { kernel: 3, outside: 'mirror' }, scope),
    );
    branches.push(gated('local', local));
  }
  const change = op.gelu(branches.reduce((a, b) => op.add(a, b)));
  const scaled = mode.endsWith('layerscale')
    ? op.mul(change, gate(`${name}.scale`, config.hybrid_encoder_layerscale_init, scope))
    : change;
  return op.add(x, scaled);
}

function halved(config: Shell, x: GraphNode, name: string, cout: number, scope: ParameterScope): GraphNode {
  if (config.hybrid_downsample_op === 'stride_conv') return halvingConv(x, name, cout, scope);
  const smaller = config.hybrid_downsample_op === 'avgpool_conv' ? averagePool2(x) : blurPool2(x);
  return conv(smaller, name, cout, { kernel: 1 }, scope);
}

function joined(config: Shell, x: GraphNode, skipped: GraphNode, name: string, scope: ParameterScope): GraphNode {
  const point = (v: GraphNode) => conv(v, name, x.shape[1], { kernel: 1 }, scope);
  if (config.hybrid_skip_style === 'concat') return point(op.concat([x, skipped], 1));
  const added = point(skipped);
  return op.add(x, config.hybrid_skip_style === 'add' ? added : op.mul(added, gate(`${name}.gate`, 0.1, scope)));
}

/** What differs between the networks with this shell. */
interface ShellParts {
  /** Encoder blocks. */
  readonly blocks: number;
  readonly bottleneck: (x: GraphNode) => GraphNode;
  /** Between lifter and encoder blocks, and behind these. */
  readonly first?: (x: GraphNode) => GraphNode;
  readonly last?: (x: GraphNode) => GraphNode;
  /** Doubles the sides in the decoder; a transposed convolution, instance normalisation and GELU where not given. */
  readonly doubled?: (x: GraphNode, name: string, cout: number) => GraphNode;
  readonly modulate?: Modulate;
}

const same = (h: GraphNode) => h;

/** Lifter, encoder blocks that halve the images, a bottleneck, a decoder that doubles them, and the head. */
export function shell(
  config: Shell,
  x: GraphNode,
  scope: ParameterScope,
  { blocks, bottleneck, first = same, last = same, doubled, modulate = same }: ShellParts,
): GeneratorOutput {
  const taps: Record<string, GraphNode> = {};
  const note = (name: string, v: GraphNode) => {
    taps[name] = v;
    return v;
  };
  const steps = config.hybrid_downsample_steps;
  const skips: GraphNode[] = [];
  const doubling =
    doubled ??
    ((v: GraphNode, name: string, cout: number) =>
      op.gelu(instanceNorm(doublingConv(v, name, cout, scope), `${name}.norm`, scope)));
  let h = first(note('lifter', lifted(config, x, scope)));
  for (let i = 0; i < blocks; i++) {
    h = note(`encoder.${i}`, modulate(encoderBlock(config, h, `encoder.${i}`, scope), `encoder.${i}`));
    if (i >= steps) continue;
    skips.push(h);
    const cout = Math.min(2 * h.shape[1], config.max_hidden_channels ?? Number.POSITIVE_INFINITY);
    h = note(`down.${i}`, halved(config, h, `down.${i}`, cout, scope));
  }
  h = last(h);
  const width = config.resnet_width ?? h.shape[1];
  if (width !== h.shape[1]) h = conv(h, 'bottleneck.in', width, { kernel: 1 }, scope);
  h = note('bottleneck', bottleneck(h));
  for (let u = 0; u < steps; u++) {
    const cout = Math.floor(h.shape[1] / 2);
    h = doubling(h, `up.${u}`, cout);
    if (config.hybrid_skip_connections) h = joined(config, h, skips[steps - 1 - u], `skip.${u}`, scope);
    note(`up.${u}`, h);
  }
  return paintedByPoints(config, h, scope, taps);
}

/** Two mirrored convolutions with instance normalisation, GELU between. */
export function residualBody(x: GraphNode, name: string, scope: ParameterScope): GraphNode {
  const once = (v: GraphNode, i: number) =>
    instanceNorm(
      conv(v, `${name}.conv${i}`, x.shape[1], { kernel: 3, outside: 'mirror' }, scope),
      `${name}.norm${i}`,
      scope,
    );
  return once(op.gelu(once(x, 1)), 2);
}

/** Fields of networks whose bottleneck is a number of blocks with one factor. */
export const bottleneckFields = {
  hybrid_resnet_blocks: field(positiveInteger, 6, 'Residual blocks of the bottleneck.', alsoIn),
  hybrid_resnet_bottleneck_layerscale_mode: field(
    oneOf('learned', 'fixed'),
    'learned',
    'Whether the factor of all residual blocks is learned, beginning at 0.1, or stays at hybrid_resnet_bottleneck_layerscale_value.',
    alsoIn,
  ),
  hybrid_resnet_bottleneck_layerscale_value: field(
    optional(positiveNumber),
    null,
    'The factor of all residual blocks where it is fixed.',
    alsoIn,
  ),
};

type Bottleneck = { readonly [K in keyof typeof bottleneckFields]: z.output<(typeof bottleneckFields)[K]> };

/** Residual blocks x + a·body(x), the factor a the same in all of them. */
export function bottleneckOf(
  config: Bottleneck,
  scope: ParameterScope,
  body: (x: GraphNode, name: string) => GraphNode = (x, name) => residualBody(x, name, scope),
): (x: GraphNode) => GraphNode {
  return (h) => {
    const factor =
      config.hybrid_resnet_bottleneck_layerscale_mode === 'fixed'
        ? op.scalar(config.hybrid_resnet_bottleneck_layerscale_value ?? 1)
        : gate('bottleneck.scale', 0.1, scope);
    for (let j = 0; j < config.hybrid_resnet_blocks; j++) h = op.add(h, op.mul(body(h, `bottleneck.${j}`), factor));
    return h;
  };
}

/** What of the fields of such networks does not go together. */
export function bottleneckComplaints(config: Omit<Shell, 'N'> & Partial<ShellFields> & Bottleneck): Complaints {
  const fixed = config.hybrid_resnet_bottleneck_layerscale_mode === 'fixed';
  const name = 'hybrid_resnet_bottleneck_layerscale_value';
  return [
    ...shellComplaints(config),
    ...(fixed !== (config[name] !== null)
      ? [
          [
            name,
            `${name} goes with hybrid_resnet_bottleneck_layerscale_mode fixed, and needs it; give both or neither.`,
          ] as const,
        ]
      : []),
  ];
}

/**
 * Spectral and convolution branches side by side in the encoder, residual blocks at a quarter of the size, transposed convolutions back
 * to the full size. One factor, learned, of all residual blocks.
 */
export const hybridResnet = generator({
  name: 'hybrid_resnet',
  summary: 'an encoder of spectral and convolution branches with a residual bottleneck',
  fields: { ...shellFields, ...bottleneckFields },
  ...spectralTraits,
  encoder: ENCODER,
  complaints: bottleneckComplaints,
  modulated: true,
  layers: (config, x, scope, modulate) =>
    shell(config, x, scope, { blocks: config.fno_blocks, bottleneck: bottleneckOf(config, scope), modulate }),
});

/**
 * The same with the bottleneck of another family: 7×7 convolutions of every channel alone, instance normalisation, and two 1×1
 * convolutions with four times the channels between.
 * Source: Liu et al., "A ConvNet for the 2020s", CVPR 2022.
 */
export const hybridResnetConvnext = generator({
  name: 'hybrid_resnet_convnext_bottleneck',
  summary: 'hybrid_resnet with ConvNeXt blocks in its bottleneck',
  fields: { ...shellFields, ...bottleneckFields },
  ...spectralTraits,
  encoder: ENCODER,
  complaints: bottleneckComplaints,
  layers: (config, x, scope) => {
    const body = (h: GraphNode, name: string) => {
      const channels = h.shape[1];
      const even = instanceNorm(depthwiseConv(h, `${name}.depthwise`, 7, scope), `${name}.norm`, scope);
      const wide = op.gelu(conv(even, `${name}.wide`, 4 * channels, { kernel: 1 }, scope));
      return conv(wide, `${name}.narrow`, channels, { kernel: 1 }, scope);
    };
    return shell(config, x, scope, { blocks: config.fno_blocks, bottleneck: bottleneckOf(config, scope, body) });
  },
});

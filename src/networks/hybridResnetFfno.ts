/** Architectures with the shell of `hybrid_resnet` and a stack of `ffno` in it: before the encoder, behind it, or as bottleneck. */
import { field, positiveInteger } from '../core/field.js';
import type { GraphNode } from '../graph/node.js';
import { factorisedStack, stackFields, stackOf } from './ffno.js';
import { generator } from './generator.js';
import { bottleneckComplaints, bottleneckFields, bottleneckOf, ENCODER, PTYCHO_BLOCKS, shell, shellComplaints, shellFields } from './hybridResnet.js'; // biome-ignore format: one import
import { spectralTraits } from './layers.js';
import { bottleneckStackFields } from './spectralResnetBottleneck.js';

const alsoIn = { alsoIn: 'execution' } as const;

const { fno_blocks: _, ...fixedShell } = shellFields;

/** Their encoders have two blocks, as published, and the stack. */
const encoderFields = {
  ...fixedShell,
  ...bottleneckFields,
  ...stackFields,
  ffno_encoder_blocks: field(
    positiveInteger,
    24,
    'Blocks of the stack beside the encoder of hybrid_resnet_ffno_ptychoblock_encoder and hybrid_resnet_ptychoblock_ffno_encoder.',
    alsoIn,
  ),
  ffno_encoder_modes: field(positiveInteger, 12, 'Waves that the spectral layers of this stack keep.', alsoIn),
};

/** hybrid_resnet of two encoder blocks with a stack of `ffno` before the first or behind the last of them. */
const encoderWithStack = <Name extends string>(name: Name, summary: string, place: 'first' | 'last') =>
  generator({
    name,
    summary,
    fields: encoderFields,
    ...spectralTraits,
    encoder: ENCODER,
    complaints: bottleneckComplaints,
    layers: (config, x, scope) => {
      const stack = stackOf(config, config.ffno_encoder_blocks, config.ffno_encoder_modes);
      return shell(config, x, scope, {
        blocks: PTYCHO_BLOCKS,
        [place]: (h: GraphNode) => factorisedStack(h, 'ffno.', stack, scope),
        bottleneck: bottleneckOf(config, scope),
      });
    },
  });

/** A stack of `ffno` at full size before an encoder of two blocks. */
export const ffnoThenEncoder = encoderWithStack(
  'hybrid_resnet_ffno_ptychoblock_encoder',
  'hybrid_resnet with two encoder blocks and a stack of ffno before them',
  'first',
);

/** The same with the stack behind the encoder, where images are small. */
export const encoderThenFfno = encoderWithStack(
  'hybrid_resnet_ptychoblock_ffno_encoder',
  'the same with the stack behind them',
  'last',
);

/** A stack of `ffno` as bottleneck. */
export const ffnoBottleneck = generator({
  name: 'hybrid_resnet_ffno_bottleneck',
  summary: 'hybrid_resnet with a stack of ffno as bottleneck',
  fields: { ...shellFields, ...bottleneckStackFields },
  ...spectralTraits,
  encoder: ENCODER,
  complaints: shellComplaints,
  layers: (config, x, scope) =>
    shell(config, x, scope, {
      blocks: config.fno_blocks,
      bottleneck: (h) =>
        factorisedStack(
          h,
          'bottleneck.',
          {
            blocks: config.spectral_bottleneck_blocks,
            modes: config.spectral_bottleneck_modes,
            shared: config.spectral_bottleneck_share_weights,
            gateInit: config.spectral_bottleneck_gate_init,
            norm: 'instance',
            ratio: 2,
          },
          scope,
        ),
    }),
});

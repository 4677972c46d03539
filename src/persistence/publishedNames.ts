/**
 * Names of weights in the published PyTorch networks, and ours: one table for both directions. Documented in `docs/bundles.md`. Those of
 * `cnn_cbam` come from published weights, those of the spectral networks from the names of the published modules and state dicts.
 *
 * @example
 * const names = publishedNames('hybrid_resnet');
 * names?.toPublished('encoder.1.local.in.weight')?.name; // 'model.autoencoder.encoder_blocks.1.conv_in.weight'
 * names?.toOwn('model.autoencoder.encoder_blocks.1.conv_in.weight')?.name; // 'encoder.1.local.in.weight'
 */
import { type ComplexTensor, sizeOf, type Tensor } from '../core/tensor.js';

/**
 * How the two forms of a weight differ besides their names: complex there, two arrays here; one number there as an array of one; a
 * convolution of single points there as one along a line; one number a channel there as images of one pixel.
 */
type Form = 'complex' | 'scalar' | 'line' | 'pixels';

/** A weight here and there; `#` stands for a number, the same on both sides in order. */
interface Pair {
  readonly own: string;
  readonly published: string;
  readonly form?: Form;
}

/** A name on the other side. Ours of a complex weight is that of both its parts, without `.re` and `.im`. */
interface OtherName {
  readonly name: string;
  readonly form?: Form;
}

/** The names of a network. */
export interface PublishedNames {
  /** Of a weight of ours. */
  toPublished(own: string): OtherName | undefined;
  /** Of a published weight, with or without `w.` and `model.` before it. */
  toOwn(published: string): OtherName | undefined;
}

const both =
  (ownParts: readonly [string, string]) =>
  (own: string, published: string): Pair[] =>
    ['weight', 'bias'].map((part, i) => ({ own: `${own}.${ownParts[i]}`, published: `${published}.${part}` }));

/** A convolution, and a normalisation with a factor and an offset. */
const layer = both(['weight', 'bias']);
const norm = both(['scale', 'shift']);
const complex = (own: string, published: string): Pair => ({ own, published, form: 'complex' });
const scalar = (own: string, published: string): Pair => ({ own, published, form: 'scalar' });

const gate = (own: string, published: string): Pair[] => [
  ...layer(`${own}.channel.fc1`, `${published}.ChannelGate.mlp.1`),
  ...layer(`${own}.channel.fc2`, `${published}.ChannelGate.mlp.3`),
  { own: `${own}.spatial.weight`, published: `${published}.SpatialGate.compress.weight` },
];

/** Of a decoder; PyTorch has one name for the last branch, whatever it paints. */
const decoder = (own: string, part: string): Pair[] => [
  ...layer(`${own}.#.conv1`, `decoder_${part}.blocks.#.conv1`),
  ...layer(`${own}.#.conv2`, `decoder_${part}.blocks.#.conv2`),
  ...layer(`${own}.centre`, `decoder_${part}.${part}.conv1`),
  ...['border', 'full'].flatMap((branch) => [
    ...layer(`${own}.${branch}.conv1`, `decoder_${part}.${part}.conv_up_block.conv1`),
    ...layer(`${own}.${branch}.conv2`, `decoder_${part}.${part}.conv_up_block.conv2`),
    ...layer(`${own}.${branch}.out`, `decoder_${part}.${part}.conv2`),
  ]),
];

const CNN: readonly Pair[] = [
  ...layer('encoder.#.conv1', 'encoder.blocks.#.conv1'),
  ...layer('encoder.#.conv2', 'encoder.blocks.#.conv2'),
  ...gate('encoder.#.attention', 'encoder.blocks.#.attention'),
  ...decoder('amplitude', 'amp'),
  ...decoder('phase', 'phase'),
];

const LIFTER_AND_HEAD: readonly Pair[] = [
  ...layer('lifter.conv1', 'lifter.conv1'),
  ...layer('lifter.conv2', 'lifter.conv2'),
  ...layer('head', 'output_proj'),
  ...layer('amplitude', 'output_amp'),
  ...layer('phase', 'output_phase'),
];

/** A spectral convolution beside one of 3×3. */
const block = (own: string, published: string): Pair[] => [
  complex(`${own}.spectral`, `${published}.spectral.weights`),
  ...layer(`${own}.local`, `${published}.local_conv`),
];

/** A spectral convolution along rows and columns apart. */
const apart = (own: string, published: string): Pair[] => [
  complex(`${own}.spectral.x`, `${published}.shared_spectral.weights_x`),
  complex(`${own}.spectral.y`, `${published}.shared_spectral.weights_y`),
];

/** A stack of `ffno`; blocks of their own weights keep no factor there. */
const stack = (prefix: string, published: string): Pair[] => [
  ...apart(`${prefix}blocks`, published),
  scalar(`${prefix}blocks.scale`, `${published}.shared_gate`),
  ...apart(`${prefix}block.#`, `${published}.blocks.#`),
  scalar(`${prefix}block.#.scale`, `${published}.blocks.#.gate`),
  ...norm(`${prefix}block.#.norm`, `${published}.blocks.#.norm`),
  ...layer(`${prefix}block.#.wide`, `${published}.blocks.#.expand`),
  ...layer(`${prefix}block.#.narrow`, `${published}.blocks.#.project`),
];

/** Encoder and decoder of `hybrid_resnet`; images to be skipped are named by how much smaller they are. */
const shell = (steps: number, downsample: string, upsample: readonly Pair[]): Pair[] => [
  complex('encoder.#.spectral', 'encoder_blocks.#.spectral.weights'),
  ...layer('encoder.#.spectral.in', 'encoder_blocks.#.spectral_in'),
  ...layer('encoder.#.spectral.out', 'encoder_blocks.#.spectral_out'),
  ...layer('encoder.#.local.in', 'encoder_blocks.#.conv_in'),
  ...layer('encoder.#.local.conv', 'encoder_blocks.#.local_conv'),
  ...layer('encoder.#.local.out', 'encoder_blocks.#.conv_out'),
  scalar('encoder.#.spectral.gate', 'encoder_blocks.#.spectral_branch_gate'),
  scalar('encoder.#.local.gate', 'encoder_blocks.#.local_branch_gate'),
  scalar('encoder.#.scale', 'encoder_blocks.#.encoder_layerscale'),
  ...layer('down.#', `downsample_layers.#.${downsample}`),
  ...layer('bottleneck.in', 'adapter'),
  ...upsample,
  ...Array.from({ length: steps }, (_, u) => u).flatMap((u) => {
    const key = `d${2 ** (steps - 1 - u)}`;
    return [
      ...layer(`skip.${u}`, `skip_fusion_projections.${key}`),
      scalar(`skip.${u}.gate`, `skip_fusion_gates.${key}`),
    ];
  }),
];

const residual = (body: string): Pair[] => [
  scalar('bottleneck.scale', 'resnet.layerscale'),
  ...layer('bottleneck.#.conv1', `resnet.blocks.#.${body}.1`),
  ...norm('bottleneck.#.norm1', `resnet.blocks.#.${body}.2`),
  ...layer('bottleneck.#.conv2', `resnet.blocks.#.${body}.5`),
  ...norm('bottleneck.#.norm2', `resnet.blocks.#.${body}.6`),
];

const CONVNEXT: readonly Pair[] = [
  scalar('bottleneck.scale', 'resnet.layerscale'),
  ...layer('bottleneck.#.depthwise', 'resnet.blocks.#.depthwise'),
  ...norm('bottleneck.#.norm', 'resnet.blocks.#.norm'),
  ...layer('bottleneck.#.wide', 'resnet.blocks.#.expand'),
  ...layer('bottleneck.#.narrow', 'resnet.blocks.#.project'),
];

const spectralResidual = (of: NamedNetwork): Pair[] => [
  ...residual('local_conv_body'),
  ...apart('bottleneck', 'resnet'),
  ...apart('bottleneck.#', 'resnet.blocks.#'),
  of.spectral_bottleneck_gate_mode === 'per_block'
    ? scalar('bottleneck.#.spectral.scale', 'resnet.spectral_gates.#')
    : scalar('bottleneck.spectral.scale', 'resnet.spectral_gates.0'),
];

const uShaped = (of: (own: string, published: string) => Pair[]): Pair[] => [
  ...of('encoder.#', 'encoder_blocks.#'),
  ...of('bottleneck', 'bottleneck'),
  ...layer('down.#', 'downsample.#'),
  ...layer('up.#', 'upsample.#'),
  ...layer('decoder.#.conv1', 'decoder_blocks.#.0'),
  ...layer('decoder.#.conv2', 'decoder_blocks.#.2'),
];

const line = (own: string, published: string): Pair => ({ own, published, form: 'line' });

/** Two layers that mix channels. */
const mixing = (own: string, published: string): Pair[] => [
  line(`${own}.weight`, `${published}.weight`),
  { own: `${own}.bias`, published: `${published}.bias` },
];

/** Those of the class UNO of neuraloperator 2.0.0, which the published module holds as `uno`. */
const UNO: readonly Pair[] = [
  ...mixing('lifting.#', 'uno.lifting.fcs.#'),
  complex('layer.#.spectral', 'uno.fno_blocks.#.convs.0.weight.tensor'),
  { own: 'layer.#.spectral.bias', published: 'uno.fno_blocks.#.convs.0.bias', form: 'pixels' },
  line('layer.#.skip.weight', 'uno.fno_blocks.#.fno_skips.0.conv.weight'),
  ...mixing('layer.#.mix.#', 'uno.fno_blocks.#.channel_mlp.0.fcs.#'),
  line('layer.#.mix.skip.weight', 'uno.fno_blocks.#.channel_mlp_skips.0.conv.weight'),
  line('layer.#.across.weight', 'uno.horizontal_skips.#.conv.weight'),
  ...mixing('projection', 'uno.projection.fcs.0'),
  ...mixing('head', 'uno.projection.fcs.1'),
];

/** What of a configuration names depend on. */
export interface NamedNetwork {
  readonly architecture: string;
  readonly hybrid_downsample_steps?: number;
  readonly hybrid_downsample_op?: string;
  readonly spectral_bottleneck_gate_mode?: string;
}

const shellOf =
  (bottleneck: (of: NamedNetwork) => readonly Pair[], upsample?: readonly Pair[]) => (of: NamedNetwork) => [
    ...shell(
      of.hybrid_downsample_steps ?? 2,
      of.hybrid_downsample_op === undefined || of.hybrid_downsample_op === 'stride_conv' ? 'conv' : 'proj',
      upsample ?? [...layer('up.#', 'upsample_layers.#.block.0'), ...norm('up.#.norm', 'upsample_layers.#.block.1')],
    ),
    ...bottleneck(of),
  ];

const SPECTRAL: Readonly<Record<string, (of: NamedNetwork) => readonly Pair[]>> = {
  fno_vanilla: () => block('block.#', 'blocks.#'),
  fno: () => [
    ...block('block.#', 'fno_blocks.#'),
    ...layer('refiner.in', 'intermediate'),
    ...layer('refiner.#', 'cnn_refiner.#.0'),
  ],
  ffno: () => [
    ...stack('', 'ffno_stack'),
    ...layer('refiner.#.conv1', 'refiners.#.conv1'),
    ...layer('refiner.#.conv2', 'refiners.#.conv2'),
  ],
  hybrid_resnet: shellOf(() => residual('block')),
  hybrid_resnet_convnext_bottleneck: shellOf(() => CONVNEXT),
  hybrid_resnet_ffno_bottleneck: shellOf(() => stack('bottleneck.', 'resnet')),
  hybrid_resnet_ffno_ptychoblock_encoder: shellOf(() => [...residual('block'), ...stack('ffno.', 'ffno_encoder')]),
  hybrid_resnet_ptychoblock_ffno_encoder: shellOf(() => [...residual('block'), ...stack('ffno.', 'ffno_encoder')]),
  spectral_resnet_bottleneck_net: shellOf(spectralResidual),
  spectral_resnet_bottleneck_linear_decoder: shellOf(spectralResidual, layer('up.#', 'upsample_layers.#.proj')),
  hybrid: () => uShaped(block),
  stable_hybrid: () =>
    uShaped((own, published) => [
      ...block(own, published),
      ...norm(`${own}.norm`, `${published}.norm`),
      { own: `${own}.scale`, published: `${published}.layerscale` },
    ]),
};

/** Architectures whose published PyTorch names are known. */
export const NAMED_ARCHITECTURES: readonly string[] = ['cnn_cbam', ...Object.keys(SPECTRAL), 'neuralop_uno'];

const SCALERS: readonly Pair[] = ['s1', 's2'].map((s) => scalar(`rectangular.${s}`, `forward_model.rect_scaler.${s}`));
const INSIDE = 'autoencoder.';

/** The names of a network; undefined where they are not known. */
export function publishedNames(of: NamedNetwork | string): PublishedNames | undefined {
  const network = typeof of === 'string' ? { architecture: of } : of;
  if (!NAMED_ARCHITECTURES.includes(network.architecture)) return undefined;
  const isCnn = network.architecture === 'cnn_cbam';
  const whole = isCnn ? CNN : network.architecture === 'neuralop_uno' ? UNO : undefined;
  const pairs = whole ?? [...LIFTER_AND_HEAD, ...SPECTRAL[network.architecture](network)];
  const rules = [...pairs.map((pair) => ({ ...pair, published: INSIDE + pair.published })), ...SCALERS].map(
    ({ own, published, form }) => ({
      form,
      forth: rule(form === 'complex' ? `${own}.@` : own, published),
      back: rule(published, own),
    }),
  );
  return {
    toPublished(own) {
      // The two decoders have their names by what they paint.
      const name = isCnn ? own.replace(/^real\./, 'amplitude.').replace(/^imaginary\./, 'phase.') : own;
      for (const { form, forth } of rules) {
        const found = forth(name);
        if (found !== undefined) return { name: `model.${found}`, form };
      }
      return undefined;
    },
    toOwn(published) {
      const name = published.replace(/^w\./, '').replace(/^model\./, '');
      for (const { form, back } of rules) {
        const found = back(name);
        if (found !== undefined) return { name: found, form };
      }
      return undefined;
    },
  };
}

/** From names of one pattern to those of the other; `@` stands for either part of a complex number. */
function rule(from: string, to: string): (name: string) => string | undefined {
  const source = from.replaceAll('.', '\\.').replaceAll('#', '(\\d+)').replace('@', '(?:re|im)');
  const pattern = new RegExp(`^${source}$`);
  let index = 0;
  const replacement = to.replaceAll('#', () => `$${++index}`);
  return (name) => (pattern.test(name) ? name.replace(pattern, replacement) : undefined);
}

/** A real weight as published, of ours. */
export function publishedForm({ data, shape }: Tensor, form: Form | undefined): Tensor {
  if (form === 'line') return { data, shape: shape.slice(0, 3) };
  return { data, shape: form === 'pixels' ? [...shape, 1, 1] : shape };
}

/** Ours of a real weight as published; one of another shape than it should have stays as it is. */
export function ownForm({ data, shape }: Tensor, form: Form | undefined): Tensor {
  if (form === 'scalar' && sizeOf(shape) === 1) return { data, shape: [] };
  if (form === 'line' && shape.length === 3) return { data, shape: [...shape, 1] };
  return { data, shape: form === 'pixels' && sizeOf(shape) === shape[0] ? [shape[0]] : shape };
}

/** Spectral weights as published, [Ci, Co, waves …], of ours, [waves …, Ci, Co]. */
export function publishedSpectrum({ re, im, shape }: ComplexTensor): ComplexTensor {
  const waves = shape.slice(0, -2);
  const turn = (data: Float32Array) => transposed(data, sizeOf(waves));
  return { re: turn(re), im: turn(im), shape: [...shape.slice(-2), ...waves] };
}

/** Both parts of ours, [waves …, Ci, Co], of a published spectrum, [Ci, Co, waves …]. */
export function ownSpectrum({ re, im, shape }: ComplexTensor): readonly [re: Tensor, im: Tensor] {
  const own = [...shape.slice(2), ...shape.slice(0, 2)];
  const turn = (data: Float32Array): Tensor => ({ data: transposed(data, shape[0] * shape[1]), shape: own });
  return [turn(re), turn(im)];
}

/** A matrix with so many rows, as columns. */
function transposed(data: Float32Array, rows: number): Float32Array {
  const columns = data.length / rows;
  const out = new Float32Array(data.length);
  for (let r = 0, at = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[at++];
  return out;
}

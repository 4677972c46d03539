/**
 * Weights of the published spectral networks: which network they are of, read off their names and shapes, and the same weights under our
 * names. What no shape tells (`generator_output_mode`, `fno_input_transform`, …) the settings of the file say, else the published default.
 */
import { PtychoError } from '../../core/errors.js';
import type { ComplexTensor, Tensor } from '../../core/tensor.js';
import { ARCHITECTURES } from '../../networks/architectures.js';
import { PTYCHO_BLOCKS } from '../../networks/hybridResnet.js';
import { ownForm, ownSpectrum, publishedNames } from '../publishedNames.js';
import type { ForeignModel, ForeignWeight } from './foreignWeights.js';

/** An array of the file. */
interface Given {
  /** What the file calls it. */
  readonly source: string;
  readonly array: Tensor | ComplexTensor;
}

/** Arrays by their name inside of `autoencoder.`; others by their whole name. */
type Arrays = ReadonlyMap<string, Given>;

type Fields = Readonly<Record<string, unknown>>;

/** The first weight of the network that is published as a class of another package, and of the others: convolutions that lift the input. */
const [UNO_FIRST, FIRST] = ['uno.lifting.fcs.0.weight', 'lifter.conv1.weight'];

/** The side that the published module of `neuralop_uno` is locked to. */
const UNO_SIDE = 128;

/** Whether names, inside of `autoencoder.`, are those of a spectral network. */
export function isSpectral(names: ReadonlySet<string>): boolean {
  return names.has(FIRST) || names.has(UNO_FIRST);
}

/**
 * A spectral network: the fields of its model, and its weights under our names.
 * @throws PtychoError MODEL_UNSUPPORTED where names and shapes are those of none
 */
export function spectralModel(
  arrays: Arrays,
  params: Fields,
  { path, probeSide }: { readonly path: string; readonly probeSide: number | undefined },
): Pick<ForeignModel, 'weights' | 'unmapped'> & { readonly network: NonNullable<ForeignModel['network']> } {
  const bad = (why: string) =>
    new PtychoError('MODEL_UNSUPPORTED', `${path} is no network that can be imported: ${why}.`, { path });
  const file = new Shapes(arrays, bad);
  const architecture = architectureOf(file, params);
  if (architecture === undefined) throw bad('its weights are those of no published network that is known here');
  const said = params.architecture;
  if (typeof said === 'string' && (ARCHITECTURES as readonly string[]).includes(said) && said !== architecture) {
    throw bad(`its settings say architecture ${said}, but its weights are those of ${architecture}`);
  }
  const isUno = architecture === 'neuralop_uno';
  // Where a pixel lies are two more channels.
  const channels = isUno ? file.axis(UNO_FIRST, 1) - 2 : file.axis(FIRST, 1);
  const gridsize = Math.sqrt(channels);
  if (!Number.isInteger(gridsize)) throw bad(`its lifter takes ${channels} channels, which is no square`);
  const N = params.N ?? probeSide ?? (isUno ? UNO_SIDE : undefined);
  if (typeof N !== 'number') {
    throw bad(
      'its weights do not depend on N, and neither settings nor a probe in it say what that is: add N to params',
    );
  }
  const network = { architecture, N, gridsize, object_big: true, ...fieldsOf(architecture, file, params) };
  return { network, ...weightsOf(arrays, network, params) };
}

/** Shapes of the arrays of a file. */
class Shapes {
  constructor(
    readonly arrays: Arrays,
    readonly bad: (why: string) => PtychoError,
  ) {}

  has(name: string): boolean {
    return this.arrays.has(name);
  }

  axis(name: string, axis: number): number {
    const shape = this.arrays.get(name)?.array.shape;
    if (shape === undefined) throw this.bad(`it has no ${name}`);
    if (axis >= shape.length) throw this.bad(`${name} has shape [${shape.join(', ')}]`);
    return shape[axis];
  }

  /** How many names there are from number 0 on, `#` standing for the number. */
  count(...patterns: readonly string[]): number {
    let i = 0;
    while (patterns.some((pattern) => this.has(pattern.replace('#', String(i))))) i++;
    return i;
  }

  complex(name: string): ComplexTensor | undefined {
    const array = this.arrays.get(name)?.array;
    return array && 'im' in array ? array : undefined;
  }
}

function architectureOf(file: Shapes, params: Fields): string | undefined {
  if (file.has(UNO_FIRST)) return 'neuralop_uno';
  if (file.has('resnet.spectral_gates.0')) {
    return `spectral_resnet_bottleneck_${file.has('upsample_layers.0.proj.weight') ? 'linear_decoder' : 'net'}`;
  }
  if (file.has('resnet.blocks.0.depthwise.weight')) return 'hybrid_resnet_convnext_bottleneck';
  if (file.has('resnet.blocks.0.expand.weight')) return 'hybrid_resnet_ffno_bottleneck';
  if (file.has('ffno_encoder.blocks.0.expand.weight')) {
    // Where the widths are the same at both places, only the settings know.
    const [first, last] = ['hybrid_resnet_ffno_ptychoblock_encoder', 'hybrid_resnet_ptychoblock_ffno_encoder'];
    if (params.architecture === last) return last;
    const width = file.axis(FIRST, 0);
    return file.axis('ffno_encoder.blocks.0.project.weight', 0) === width ? first : last;
  }
  if (file.has('resnet.blocks.0.block.1.weight')) return 'hybrid_resnet';
  if (file.has('ffno_stack.blocks.0.expand.weight')) return 'ffno';
  if (file.has('fno_blocks.0.local_conv.weight')) return 'fno';
  if (file.has('bottleneck.local_conv.weight')) return file.has('bottleneck.layerscale') ? 'stable_hybrid' : 'hybrid';
  return file.has('blocks.0.local_conv.weight') ? 'fno_vanilla' : undefined;
}

function fieldsOf(architecture: string, file: Shapes, params: Fields): Fields {
  if (architecture === 'neuralop_uno') return unoFields(file, params);
  const common = {
    fno_width: file.axis(FIRST, 0),
    fno_input_transform: params.fno_input_transform ?? 'none',
    generator_output_mode: outputMode(file, params),
  };
  switch (architecture) {
    case 'fno_vanilla':
      return { ...common, fno_blocks: file.count('blocks.#.local_conv.weight'), ...modes(file, 'blocks.0') };
    case 'fno':
      return {
        ...common,
        ...modes(file, 'fno_blocks.0'),
        fno_blocks: file.count('fno_blocks.#.local_conv.weight'),
        fno_cnn_blocks: file.count('cnn_refiner.#.0.weight'),
      };
    case 'ffno':
      return {
        ...common,
        ...stackFields(file, 'ffno_stack', params),
        fno_blocks: file.count('ffno_stack.blocks.#.expand.weight'),
        fno_modes: stackModes(file, 'ffno_stack'),
        fno_cnn_blocks: file.count('refiners.#.conv1.weight'),
      };
    case 'hybrid':
    case 'stable_hybrid':
      return {
        ...common,
        ...modes(file, 'encoder_blocks.0'),
        fno_blocks: file.count('encoder_blocks.#.local_conv.weight'),
        max_hidden_channels: mostChannels(file, (i) => `downsample.${i}.weight`),
      };
    default:
      return { ...common, ...shellFields(architecture, file, params), ...bottleneckFields(architecture, file, params) };
  }
}

/** The published module has one head, of real and imaginary parts. */
function unoFields(file: Shapes, params: Fields): Fields {
  const spectrum = 'uno.fno_blocks.0.convs.0.weight.tensor';
  const [blocks, waves, along] = [
    file.count('uno.fno_blocks.#.convs.0.weight.tensor'),
    file.axis(spectrum, 2),
    file.axis(spectrum, 3),
  ];
  if (blocks !== 4 || along !== Math.floor(waves / 2) + 1) {
    throw file.bad(
      `its ${blocks} layers keep ${waves} × ${along} waves; the published network has four that keep m × (m/2 + 1)`,
    );
  }
  return {
    fno_width: file.axis('uno.lifting.fcs.1.weight', 0),
    fno_modes: waves,
    fno_input_transform: params.fno_input_transform ?? 'none',
    generator_output_mode: params.generator_output_mode ?? 'real_imag',
    uno_resized_waves: 'published',
  };
}

const modes = (file: Shapes, block: string) => ({ fno_modes: file.axis(`${block}.spectral.weights`, 2) });

function outputMode(file: Shapes, { generator_output_mode: said }: Fields): unknown {
  if (!file.has('output_proj.weight')) return 'amp_phase';
  // Networks with a spectral bottleneck have the heads of all modes.
  if (said === 'amp_phase') return file.has('output_amp.weight') ? said : 'real_imag';
  return said ?? 'real_imag';
}

/** The limit that halving an image ran into; null where channels double every time. */
function mostChannels(file: Shapes, name: (i: number) => string): number | null {
  for (let i = 0; file.has(name(i)); i++) {
    const [out, into] = [file.axis(name(i), 0), file.axis(name(i), 1)];
    if (out < 2 * into) return out;
  }
  return null;
}

function shellFields(architecture: string, file: Shapes, params: Fields): Fields {
  const blocks = file.count('encoder_blocks.#.local_conv.weight', 'encoder_blocks.#.spectral.weights');
  const steps = file.count('downsample_layers.#.conv.weight', 'downsample_layers.#.proj.weight');
  const strided = file.has('downsample_layers.0.conv.weight');
  const down = (i: number) => `downsample_layers.${i}.${strided ? 'conv' : 'proj'}.weight`;
  const channels = Array.from({ length: blocks }, (_, i) =>
    i === 0 ? file.axis(FIRST, 0) : file.axis(down(Math.min(i, steps) - 1), 0),
  );
  const [local, spectral] = ['local_conv.weight', 'spectral.weights'].map((name) => {
    const of = channels.map((_, i) => `encoder_blocks.${i}.${name}`);
    return of.some((one) => file.has(one)) ? of.map((one) => file.axis(one, 0)) : undefined;
  });
  const beside = architecture.endsWith('_encoder');
  if (beside && blocks !== PTYCHO_BLOCKS) {
    throw file.bad(`its encoder has ${blocks} blocks beside its stack, expected ${PTYCHO_BLOCKS}`);
  }
  const gates = ['spectral_branch_gate', 'local_branch_gate'].some((one) => file.has(`encoder_blocks.0.${one}`));
  const scaled = file.has('encoder_blocks.0.encoder_layerscale');
  const skip = file.has('skip_fusion_projections.d1.weight');
  const wider = skip && file.axis('skip_fusion_projections.d1.weight', 1) !== channels[0];
  return {
    ...(beside ? {} : { fno_blocks: blocks }),
    ...(spectral ? modes(file, 'encoder_blocks.0') : {}),
    max_hidden_channels: mostChannels(file, down),
    resnet_width: file.has('adapter.weight') ? file.axis('adapter.weight', 0) : null,
    hybrid_downsample_steps: steps,
    hybrid_downsample_op: strided
      ? 'stride_conv'
      : file.has('downsample_layers.0.blur_kernel') || params.hybrid_downsample_op === 'blurpool_conv'
        ? 'blurpool_conv'
        : 'avgpool_conv',
    hybrid_skip_connections: skip,
    hybrid_skip_style: file.has('skip_fusion_gates.d1') ? 'gated_add' : wider ? 'concat' : 'add',
    hybrid_encoder_branch_select: local ? (spectral ? 'both' : 'conv_only') : 'spectral_only',
    hybrid_encoder_fusion_mode: gates
      ? `branch_gated${scaled ? '_layerscale' : ''}`
      : scaled
        ? 'layerscale'
        : 'baseline',
    ...widths('conv', local, channels, file),
    ...widths('spectral', spectral, channels, file),
  };
}

/** How wide a branch of the encoder is: by a factor, else the same everywhere. */
function widths(
  branch: 'conv' | 'spectral',
  hidden: readonly number[] | undefined,
  channels: readonly number[],
  file: Shapes,
): Fields {
  if (hidden === undefined) return {};
  const scale = hidden[0] / channels[0];
  const fits = hidden.every((one, i) => Math.abs(one - scale * channels[i]) <= 0.5);
  if (fits) return { [`hybrid_encoder_${branch}_hidden_scale`]: scale };
  if (hidden.some((one) => one !== hidden[0])) {
    throw file.bad(`the ${branch} branches of its encoder have ${hidden.join(', ')} channels, which follow no rule`);
  }
  return { [`hybrid_encoder_${branch}_hidden_channels`]: hidden[0] };
}

function bottleneckFields(architecture: string, file: Shapes, params: Fields): Fields {
  if (architecture.startsWith('spectral_resnet') || architecture === 'hybrid_resnet_ffno_bottleneck') {
    const blocks = file.count('resnet.blocks.#.expand.weight', 'resnet.blocks.#.local_conv_body.1.weight');
    const perBlock = file.has('resnet.spectral_gates.1') ? 'per_block' : 'shared';
    return {
      spectral_bottleneck_blocks: blocks,
      spectral_bottleneck_modes: stackModes(file, 'resnet'),
      spectral_bottleneck_share_weights: shares(file, 'resnet'),
      ...(file.has('resnet.spectral_gates.0') ? { spectral_bottleneck_gate_mode: perBlock } : {}),
    };
  }
  const fixed = params.hybrid_resnet_bottleneck_layerscale_mode === 'fixed';
  const scale = file.arrays.get('resnet.layerscale')?.array;
  const kept = scale && 'data' in scale ? scale.data[0] : undefined;
  const value = params.hybrid_resnet_bottleneck_layerscale_value ?? kept;
  return {
    hybrid_resnet_blocks: file.count('resnet.blocks.#.block.1.weight', 'resnet.blocks.#.depthwise.weight'),
    ...(fixed
      ? {
          hybrid_resnet_bottleneck_layerscale_mode: 'fixed',
          hybrid_resnet_bottleneck_layerscale_value: value,
        }
      : {}),
    ...(architecture.endsWith('_encoder')
      ? {
          ...stackFields(file, 'ffno_encoder', params),
          ffno_encoder_blocks: file.count('ffno_encoder.blocks.#.expand.weight'),
          ffno_encoder_modes: stackModes(file, 'ffno_encoder'),
        }
      : {}),
  };
}

function stackFields(file: Shapes, stack: string, params: Fields): Fields {
  const first = `${stack}.blocks.0`;
  return {
    ffno_encoder_share_weights: shares(file, stack),
    ffno_encoder_norm: instanceNorm(file, stack, params),
    ffno_encoder_mlp_ratio: file.axis(`${first}.expand.weight`, 0) / file.axis(`${first}.project.weight`, 0),
  };
}

function instanceNorm(file: Shapes, stack: string, { ffno_encoder_norm: said }: Fields): 'instance' | 'none' {
  if (said === 'layer') throw file.bad('its stack is normalised over all channels (ffno_encoder_norm layer)');
  return file.has(`${stack}.blocks.0.norm.weight`) ? 'instance' : 'none';
}

/** Waves that layers along rows and columns apart keep; these are of all blocks, or each block's own. */
function stackModes(file: Shapes, stack: string): number {
  const [shared, own] = ['', '.blocks.0'].map((at) => `${stack}${at}.shared_spectral.weights_x`);
  return file.axis(file.has(shared) ? shared : own, 2);
}

/** A state dict lists shared weights once more for every block; those of its own differ. */
function shares(file: Shapes, stack: string): boolean {
  const [shared, first] = ['', '.blocks.0'].map((at) => file.complex(`${stack}${at}.shared_spectral.weights_x`));
  return shared !== undefined && (first === undefined || first.re.every((v, i) => v === shared.re[i]));
}

/** Names that a state dict has besides: other names of the same weights, constants, and what the configuration does not use. */
function isIdle(name: string, network: Fields): boolean {
  const { architecture, generator_output_mode: mode } = network;
  const shared = network.spectral_bottleneck_share_weights ?? network.ffno_encoder_share_weights ?? true;
  if (/\.blur_kernel$/.test(name)) return true;
  if (/^output_(amp|phase)\./.test(name)) return mode !== 'amp_phase';
  if (/^output_proj\./.test(name)) return mode === 'amp_phase';
  if (/^downsample\./.test(name)) return !String(architecture).endsWith('hybrid');
  if (/^blocks\./.test(name)) return architecture === 'ffno';
  if (name === 'resnet.layerscale') return network.hybrid_resnet_bottleneck_layerscale_mode === 'fixed';
  if (/^\w+\.blocks\.\d+\.shared_spectral\./.test(name)) return shared === true;
  // Blocks with weights of their own leave the shared ones without a use.
  return /^\w+\.shared_(spectral\.|gate$)/.test(name) && shared === false;
}

function weightsOf(
  arrays: Arrays,
  network: Fields & { readonly architecture: string },
  params: Fields,
): Pick<ForeignModel, 'weights' | 'unmapped'> {
  const names = publishedNames(network);
  const weights = new Map<string, ForeignWeight>();
  const unmapped: string[] = [];
  for (const [name, { source, array }] of arrays) {
    if (isIdle(name, network)) continue;
    const target = names?.toOwn(`autoencoder.${name}`) ?? names?.toOwn(name);
    if (target === undefined || 'im' in array !== (target.form === 'complex')) unmapped.push(source);
    else if ('im' in array) {
      const [re, im] = ownSpectrum(array);
      weights.set(`${target.name}.re`, { source, tensor: re });
      weights.set(`${target.name}.im`, { source, tensor: im });
    } else {
      weights.set(target.name, { source, tensor: ownForm(array, target.form) });
    }
  }
  // Factors that a published block keeps to itself are in no state dict and never trained: they are as they began.
  const stack = { ffno: '', hybrid_resnet_ffno_bottleneck: 'bottleneck.' }[network.architecture] ?? 'ffno.';
  for (let i = 0; weights.has(`${stack}block.${i}.spectral.x.re`); i++) {
    const name = `${stack}block.${i}.scale`;
    const said = params[stack === 'bottleneck.' ? 'spectral_bottleneck_gate_init' : 'ffno_encoder_gate_init'];
    const tensor = { data: Float32Array.of(typeof said === 'number' ? said : 0.1), shape: [] };
    if (!weights.has(name)) weights.set(name, { source: name, tensor });
  }
  return { weights, unmapped };
}

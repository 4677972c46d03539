/**
 * Every network of the list, small, and every value of its fields that changes its layers: taken from the list and from the fields, so that
 * a new network or option is tested wherever these are looped over.
 *
 * @example
 * it.each([...everyNetwork, ...optionsTogether()])('%s', (_, options) => simulated(options));
 */
import { type ModelConfig, modelConfigSchema } from '../../src/config/schema.js';
import { modelFields } from '../../src/config/schemas/model.js';
import { type FieldInfo, fieldsOf } from '../../src/core/field.js';
import {
  ARCHITECTURES,
  architecturesWith,
  generatorFields,
  generatorOf,
  networkComplaints,
} from '../../src/networks/architectures.js';
import { type SimulatedOptions, simulated } from './simulatedBatch.js';
import { SMALL_SPECTRAL } from './trainAndInfer.js';

type Fields = Readonly<Record<string, unknown>>;

/** A network, and what differs from it, in words; and its options. */
type NetworkCase = readonly [name: string, options: SimulatedOptions];

/** Patterns of a batch. */
export const BATCH = 2;

/** Another value of fields that are numbers, fit for networks that are small already; null: changes no layer. */
const NUMBERS: Readonly<Record<string, number | null>> = {
  n_filters_scale: 2,
  decoder_last_c_outer_fraction: 0.25,
  decoder_spatial_kernel: 3,
  fno_modes: 2,
  fno_width: 6,
  fno_blocks: 3,
  fno_cnn_blocks: 2,
  max_hidden_channels: 6,
  resnet_width: 8,
  hybrid_downsample_steps: 1,
  hybrid_encoder_conv_hidden_scale: 1,
  hybrid_encoder_spectral_hidden_scale: 0.5,
  hybrid_encoder_conv_hidden_channels: 3,
  hybrid_encoder_spectral_hidden_channels: 3,
  hybrid_encoder_layerscale_init: null,
  hybrid_encoder_branch_gate_init: null,
  hybrid_resnet_blocks: 1,
  hybrid_resnet_bottleneck_layerscale_value: null,
  ffno_encoder_gate_init: null,
  ffno_encoder_mlp_ratio: 1,
  ffno_encoder_blocks: 1,
  ffno_encoder_modes: 2,
  spectral_bottleneck_blocks: 1,
  spectral_bottleneck_modes: 2,
  spectral_bottleneck_gate_init: null,
  // Of the model around the network.
  gridsize: 2,
  gaussian_smoothing_sigma: 1,
  probe_scale: null,
  probe_mask_sigma: null,
  probe_mask_diameter: null,
};

/** What a field needs besides. */
const NEEDS: Readonly<Record<string, Fields>> = {
  eca_encoder: { cbam_encoder: false },
  decoder_spatial_kernel: { spatial_decoder: true },
  decoder_last_c_outer_fraction: { use_legacy_decoder_channel_override: true },
  hybrid_skip_style: { hybrid_skip_connections: true },
  hybrid_resnet_bottleneck_layerscale_mode: { hybrid_resnet_bottleneck_layerscale_value: 0.7 },
  physics_forward_mode: { cnn_output_mode: 'real_imag' },
  rect_s1s2_trainable: { cnn_output_mode: 'real_imag', physics_forward_mode: 'rectangular_scaled' },
  object_big: { gridsize: 2 },
  training_patch_weighting: { gridsize: 2 },
  member_networks: { gridsize: 2 },
  align_members: { gridsize: 2 },
};

/** Fields of a model that say which network it is, that the training acts on before there is a network, or that have one value. */
const ELSEWHERE = ['N', 'architecture', 'model_type', 'probe_mask', 'probe_mask_edge', 'rect_s1s2_init'];

/** A network as small as it can be. @param fields that differ */
export function smallNetwork(architecture: ModelConfig['architecture'], fields: Fields = {}): SimulatedOptions {
  const own = Object.entries(SMALL_SPECTRAL).filter(([name]) => architecturesWith(name).includes(architecture));
  const labels = architecture === 'baseline' ? { model_type: 'supervised' } : {};
  const {
    gridsize = 1,
    n_filters_scale = 1,
    ...model
  } = { ...Object.fromEntries(own), ...labels, ...fields } as Fields;
  return {
    ...{ N: 16, batch: BATCH, architecture, model },
    gridsize: gridsize as 1 | 2,
    n_filters_scale: n_filters_scale as number,
    loss: architecture === 'baseline' ? 'mae' : 'nll',
  };
}

/** The networks of the list. */
export const everyNetwork: readonly NetworkCase[] = ARCHITECTURES.map((architecture) => [
  architecture,
  smallNetwork(architecture),
]);

function otherValues({ name, kind, choices, fallback }: FieldInfo): readonly unknown[] {
  if (choices) return choices.filter((value) => value !== fallback);
  if (kind === 'boolean') return [fallback !== true];
  const value = NUMBERS[name];
  if (value === undefined) throw new Error(`everyNetwork.ts: say in NUMBERS what other value ${name} may have`);
  return value === null ? [] : [value];
}

/** A network, and fields that differ from it. */
interface Option {
  readonly architecture: ModelConfig['architecture'];
  readonly fields: Fields;
}

function optionsOf(architecture: ModelConfig['architecture'], fields: readonly FieldInfo[]): Option[] {
  return fields.flatMap((field) =>
    otherValues(field).map((value) => ({ architecture, fields: { ...NEEDS[field.name], [field.name]: value } })),
  );
}

const caseOf = ({ architecture, fields }: Option): NetworkCase => [
  `${architecture} ${JSON.stringify(fields)}`,
  smallNetwork(architecture, fields),
];

const aroundNetworks = ({ name, fixed }: FieldInfo) =>
  !fixed && !ELSEWHERE.includes(name) && !Object.hasOwn(generatorFields, name);

/** Every other value of every field, with the first network that has it; and those of the model around it. */
const options: readonly Option[] = [
  ...ARCHITECTURES.flatMap((architecture) =>
    optionsOf(
      architecture,
      fieldsOf(generatorOf(architecture).fields).filter(({ name }) => architecturesWith(name)[0] === architecture),
    ),
  ),
  ...optionsOf('cnn', fieldsOf(modelFields).filter(aroundNetworks)),
];

/** What a network computes as a text, undefined where it is refused. */
function layersOf({ architecture, fields }: Option): string | undefined {
  const of = smallNetwork(architecture, fields);
  const { N, gridsize, n_filters_scale, model } = of;
  const config = modelConfigSchema.parse({ N, gridsize, architecture, n_filters_scale, ...model });
  if (networkComplaints(config).length > 0) return undefined;
  const { nodes } = simulated(of).network.autoencode(BATCH);
  const number = new Map(nodes.map((node, i) => [node, i]));
  return nodes.map(({ op, shape, inputs }) => `${op} ${shape} ${inputs.map((x) => number.get(x))}`).join('\n');
}

/** Several options of a network in one, where they do not hide each other: each of them changes what the others make of it. */
function together(parts: readonly Option[]): Option | undefined {
  const [{ architecture }] = parts;
  const join = (some: readonly Option[]): Option => ({
    architecture,
    fields: Object.assign({}, ...some.map((p) => p.fields)),
  });
  const all = join(parts);
  if (parts.some((p) => p.architecture !== architecture)) return undefined;
  if (parts.some((p) => Object.entries(p.fields).some(([name, value]) => all.fields[name] !== value))) return undefined;
  const layers = layersOf(all);
  if (layers === undefined) return undefined;
  const without = (one: Option) => layersOf(join(parts.filter((p) => p !== one)));
  return parts.every((one) => without(one) !== layers) ? all : undefined;
}

/** Every other value of every field of every network and of the model around it, in as few networks as can be: none is left out. */
export function optionsTogether(): readonly NetworkCase[] {
  const groups: Option[][] = [];
  for (const option of options) {
    if (!together([option])) throw new Error(`everyNetwork.ts: ${caseOf(option)[0]} changes nothing, or is refused`);
    const group = groups.find((own) => together([...own, option]));
    if (group) group.push(option);
    else groups.push([option]);
  }
  return groups.map((parts) => caseOf(together(parts) as Option));
}

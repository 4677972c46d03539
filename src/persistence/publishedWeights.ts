/**
 * A model under the names of the published tools: an NPZ of named arrays, which a script on the owner's side puts into a network. The
 * reverse of the import (`importing/npzWeights.ts`); names are those of `publishedNames.ts`.
 *
 * @example
 * await writeNpz('weights.npz', publishedArrays(bundle, 'torch-npz', 'wts.zip'));
 */
import { PtychoError } from '../core/errors.js';
import { wordList } from '../core/field.js';
import type { Tensor } from '../core/tensor.js';
import type { NpyInput } from '../formats/npyWrite.js';
import { LOG_INTENSITY_SCALE } from '../model/network.js';
import { architecturesWith, generatorFields } from '../networks/architectures.js';
import { scaleComplex } from '../physics/probe.js';
import type { Bundle } from './bundle.js';
import {
  NAMED_ARCHITECTURES,
  type PublishedNames,
  publishedForm,
  publishedNames,
  publishedSpectrum,
} from './publishedNames.js';

/** Whose names. */
export type PublishedFormat = 'torch-npz' | 'keras';

const ARCHITECTURES: Readonly<Record<PublishedFormat, { readonly all: readonly string[]; readonly whose: string }>> = {
  'torch-npz': { all: NAMED_ARCHITECTURES, whose: 'PyTorch' },
  keras: { all: ['cnn'], whose: 'TensorFlow' },
};

/**
 * The arrays of a bundle for the published loaders: weights (`w.NAME` of PyTorch; for Keras `PART/kernel`, [height, width, in, out], and
 * `PART/bias`), `probe` as the network multiplies an object with it, `intensity_scale`, `params` as JSON.
 * @param source for messages
 * @throws PtychoError MODEL_UNSUPPORTED for networks that the published tools do not have
 */
export function publishedArrays(
  bundle: Pick<Bundle, 'config' | 'scale' | 'weights' | 'probe'>,
  format: PublishedFormat,
  source: string,
): Record<string, NpyInput> {
  const { config, scale, weights, probe } = bundle;
  const { model } = config;
  const { all, whose } = ARCHITECTURES[format];
  const bad = (why: string) =>
    new PtychoError('MODEL_UNSUPPORTED', `${source} cannot be exported as ${format}: ${why}.`, { path: source });
  if (!all.includes(model.architecture)) {
    const other = Object.entries(ARCHITECTURES).find(([, one]) => one.all.includes(model.architecture))?.[0];
    const advice = other ? `; use --format ${other}` : '';
    const networks =
      all.length === 1
        ? `the published ${whose} network is ${all[0]} here`
        : `names are known of ${wordList(all, 'and')}`;
    throw bad(`${networks}, and this one is ${model.architecture}${advice}`);
  }
  if (model.gridsize > 1 && model.member_networks !== 'joint') {
    throw bad(
      `it sees each pattern of a group alone (member_networks ${model.member_networks}), as no published network does`,
    );
  }
  if (config.input_reference && config.input_reference !== 'none') {
    throw bad(
      `it sees patterns relative to a reference (input_reference ${config.input_reference}), which no published network does; train with --input_reference none`,
    );
  }
  if (model.architecture === 'neuralop_uno' && model.uno_resized_waves !== 'published') {
    throw bad(
      `it keeps waves that the published network loses where images change their size (uno_resized_waves ${model.uno_resized_waves}); train with --uno_resized_waves published`,
    );
  }
  if (scale.version === 'ci_intensity_v2') throw bad('its scale contract ci_intensity_v2 is not carried over');
  const arrays: Record<string, NpyInput> = {};
  const unnamed: string[] = [];
  const names = publishedNames(model);
  for (const [name, tensor] of Object.entries(weights)) {
    if (name === LOG_INTENSITY_SCALE) continue;
    if (format === 'keras') keras(name, tensor, arrays, unnamed);
    else torch(name, weights, names as PublishedNames, arrays, unnamed);
  }
  if (unnamed.length > 0) throw bad(`these weights have no place in the published network: ${unnamed.join(', ')}`);
  // What the network puts out times this is the field, in units of its input; a trained scale is part of it.
  const trained = weights[LOG_INTENSITY_SCALE]?.data[0];
  const gain = trained === undefined ? 1 : Math.exp(trained) / scale.intensityScale;
  const factor = (scale.amplitudeGauge * gain) / scale.intensityScale;
  return {
    ...arrays,
    probe: scaleComplex(probe, factor),
    intensity_scale: { data: Float64Array.of(scale.intensityScale), shape: [] },
    params: { strings: [JSON.stringify(paramsOf(bundle))], shape: [] },
  };
}

/** A weight under its published name; both parts of a complex one together. */
function torch(
  name: string,
  weights: Bundle['weights'],
  names: PublishedNames,
  arrays: Record<string, NpyInput>,
  unnamed: string[],
): void {
  const published = names.toPublished(name);
  if (published === undefined) unnamed.push(name);
  else if (published.form !== 'complex') arrays[`w.${published.name}`] = publishedForm(weights[name], published.form);
  else if (name.endsWith('.re')) {
    const [re, im] = [weights[name], weights[name.replace(/re$/, 'im')]];
    arrays[`w.${published.name}`] = publishedSpectrum({ re: re.data, im: im.data, shape: re.shape });
  }
}

/** A convolution as Keras keeps it. */
function keras(name: string, { data, shape }: Tensor, arrays: Record<string, NpyInput>, unnamed: string[]): void {
  const [, part, kind] = /^(.*)\.(weight|bias)$/.exec(name) ?? [];
  if (part === undefined || (kind === 'weight' && shape.length !== 4)) {
    unnamed.push(name);
    return;
  }
  if (kind === 'bias') {
    arrays[`${part}/bias`] = { data, shape };
    return;
  }
  const [cout, cin, height, width] = shape;
  const moved = new Float32Array(data.length);
  for (let o = 0, at = 0; o < cout; o++) {
    for (let i = 0; i < cin; i++) {
      for (let p = 0; p < height * width; p++) moved[(p * cin + i) * cout + o] = data[at++];
    }
  }
  arrays[`${part}/kernel`] = { data: moved, shape: [height, width, cin, cout] };
}

function paramsOf({ config, scale }: Pick<Bundle, 'config' | 'scale'>): Record<string, unknown> {
  const { model } = config;
  // The fields of cnn_cbam are known by other names below.
  const fields = model.architecture.startsWith('cnn')
    ? []
    : Object.entries(model).filter(
        ([name]) => Object.hasOwn(generatorFields, name) && architecturesWith(name).includes(model.architecture),
      );
  return {
    ...Object.fromEntries(fields),
    ...(fields.length > 0 ? { architecture: model.architecture } : {}),
    N: model.N,
    gridsize: model.gridsize,
    n_filters_scale: model.n_filters_scale,
    model_type: model.model_type,
    amp_activation: model.amp_activation,
    cnn_output_mode: model.cnn_output_mode,
    physics_forward_mode: model.physics_forward_mode,
    'object.big': model.object_big,
    'probe.big': model.probe_big,
    'probe.mask': model.probe_mask,
    pad_object: model.pad_object,
    gaussian_smoothing_sigma: model.gaussian_smoothing_sigma,
    nphotons: config.nphotons,
    intensity_scale: scale.intensityScale,
  };
}

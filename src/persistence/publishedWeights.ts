/**
 * A model under the names of the published tools: an NPZ of named arrays, which a script on the owner's side puts into a network. The
 * reverse of the import (`importing/npzWeights.ts`); names are in `docs/bundles.md`.
 *
 * @example
 * await writeNpz('weights.npz', publishedArrays(bundle, 'torch-npz', 'wts.zip'));
 */
import { PtychoError } from '../core/errors.js';
import type { Tensor } from '../core/tensor.js';
import type { NpyInput } from '../formats/npyWrite.js';
import { LOG_INTENSITY_SCALE } from '../model/network.js';
import { scaleComplex } from '../physics/probe.js';
import type { Bundle } from './bundle.js';

/** Whose names. */
export type PublishedFormat = 'torch-npz' | 'keras';

const ARCHITECTURES: Readonly<Record<PublishedFormat, { readonly architecture: string; readonly whose: string }>> = {
  'torch-npz': { architecture: 'cnn_cbam', whose: 'PyTorch' },
  keras: { architecture: 'cnn', whose: 'TensorFlow' },
};

/** Replacements, the first that fits. */
const TORCH_RULES: readonly (readonly [own: RegExp, published: string])[] = [
  [/^encoder\.(\d+)\.(conv[12])\.(\w+)$/, 'encoder.blocks.$1.$2.$3'],
  [/^encoder\.(\d+)\.attention\.channel\.fc1\.(\w+)$/, 'encoder.blocks.$1.attention.ChannelGate.mlp.1.$2'],
  [/^encoder\.(\d+)\.attention\.channel\.fc2\.(\w+)$/, 'encoder.blocks.$1.attention.ChannelGate.mlp.3.$2'],
  [/^encoder\.(\d+)\.attention\.spatial\.weight$/, 'encoder.blocks.$1.attention.SpatialGate.compress.weight'],
  [/^(amp|phase)\.(\d+)\.(conv[12])\.(\w+)$/, 'decoder_$1.blocks.$2.$3.$4'],
  [/^(amp|phase)\.centre\.(\w+)$/, 'decoder_$1.$1.conv1.$2'],
  [/^(amp|phase)\.(?:border|full)\.(conv[12])\.(\w+)$/, 'decoder_$1.$1.conv_up_block.$2.$3'],
  [/^(amp|phase)\.(?:border|full)\.out\.(\w+)$/, 'decoder_$1.$1.conv2.$2'],
];

/**
 * The published PyTorch name of a weight of ours; undefined where there is none.
 * @example
 * torchNameOf('encoder.0.conv1.weight'); // 'model.autoencoder.encoder.blocks.0.conv1.weight'
 */
export function torchNameOf(own: string): string | undefined {
  if (/^rectangular\.s[12]$/.test(own)) return own.replace('rectangular.', 'model.forward_model.rect_scaler.');
  const name = own.replace(/^(amplitude|real)\./, 'amp.').replace(/^imaginary\./, 'phase.');
  const rule = TORCH_RULES.find(([pattern]) => pattern.test(name));
  return rule && `model.autoencoder.${name.replace(...rule)}`;
}

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
  const { architecture, whose } = ARCHITECTURES[format];
  const bad = (why: string) =>
    new PtychoError('MODEL_UNSUPPORTED', `${source} cannot be exported as ${format}: ${why}.`, { path: source });
  if (model.architecture !== architecture) {
    const other = Object.entries(ARCHITECTURES).find(([, one]) => one.architecture === model.architecture)?.[0];
    const advice = other ? `; use --format ${other}` : '';
    throw bad(`the published ${whose} network is ${architecture} here, and this one is ${model.architecture}${advice}`);
  }
  if (config.input_reference && config.input_reference !== 'none') {
    throw bad(
      `it sees patterns relative to a reference (input_reference ${config.input_reference}), which no published network does; train with --input_reference none`,
    );
  }
  if (scale.version === 'ci_intensity_v2') throw bad('its scale contract ci_intensity_v2 is not carried over');
  const arrays: Record<string, NpyInput> = {};
  const unnamed: string[] = [];
  for (const [name, tensor] of Object.entries(weights)) {
    if (name === LOG_INTENSITY_SCALE) continue;
    if (format === 'keras') keras(name, tensor, arrays, unnamed);
    else {
      const published = torchNameOf(name);
      if (published === undefined) unnamed.push(name);
      else arrays[`w.${published}`] = tensor;
    }
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
  return {
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

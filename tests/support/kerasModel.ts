/**
 * The published TensorFlow network as Keras 3 writes it: `config.json` of a functional model, and its weights by path. Layers stand in the
 * order of their depth, so that the two decoders take turns; their names count the order in which they were made.
 */
import type { Tensor } from '../../src/core/tensor.js';

interface Options {
  readonly gridsize?: number;
  readonly pad_object?: boolean;
  readonly probe_big?: boolean;
  readonly amp_activation?: 'sigmoid' | 'swish' | 'softplus' | 'relu';
}
interface Layer {
  readonly class_name: string;
  readonly name: string;
  readonly config: Record<string, unknown>;
  readonly inbound_nodes: unknown[];
}

/** @param weights of our `cnn`, N 64, with these options. */
export function kerasModel(options: Options, weights: Readonly<Record<string, Tensor>>) {
  const { gridsize = 1, pad_object = true, probe_big = true, amp_activation = 'sigmoid' } = options;
  const made: { layer: Layer; depth: number; part?: string }[] = [];
  const depths = new Map<string, number>();
  const counts = new Map<string, number>();
  const add = (
    class_name: string,
    inputs: readonly string[],
    extra: { name?: string; part?: string; config?: object } = {},
  ): string => {
    const base = class_name.replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();
    const count = counts.get(base) ?? 0;
    counts.set(base, count + 1);
    const name = extra.name ?? (count === 0 ? base : `${base}_${count}`);
    const depth = Math.max(-1, ...inputs.map((input) => depths.get(input)!)) + 1;
    depths.set(name, depth);
    const tensor = (input: string) => ({
      class_name: '__keras_tensor__',
      config: { shape: [null, 64, 64, 1], dtype: 'float32', keras_history: [input, 0, 0] },
    });
    const args = inputs.length > 1 ? [inputs.map(tensor)] : inputs.map(tensor);
    const inbound_nodes = inputs.length > 0 ? [{ args, kwargs: {} }] : [];
    made.push({
      layer: { class_name, name, config: { name, ...extra.config }, inbound_nodes },
      depth,
      part: extra.part,
    });
    return name;
  };
  const conv = (input: string, part: string) => add('Conv2D', [input], { part });

  const C = gridsize ** 2;
  const input = add('InputLayer', [], { name: 'input', config: { batch_shape: [null, 64, 64, C] } });
  const positions = add('InputLayer', [], { name: 'input_positions', config: { batch_shape: [null, 1, 2, C] } });
  let x = add('IntensityScaler', [input], { name: 'intensity_scaler' });
  for (const i of [0, 1, 2]) x = add('MaxPooling2D', [conv(conv(x, `encoder.${i}.conv1`), `encoder.${i}.conv2`)]);
  const decoder = (head: string, activation: string, activation_name: string): string => {
    let v = x;
    for (const i of [0, 1]) v = add('UpSampling2D', [conv(conv(v, `${head}.${i}.conv1`), `${head}.${i}.conv2`)]);
    const act = (from: string) => add('ActivationLayer', [from], { name: activation, config: { activation_name } });
    if (!pad_object) {
      const up = add('UpSampling2D', [conv(conv(v, `${head}.full.conv1`), `${head}.full.conv2`)]);
      return act(conv(up, `${head}.full.out`));
    }
    const centre = add('ZeroPadding2D', [act(conv(add('GetItem', [v]), `${head}.centre`))], { name: `${head}_padded` });
    if (!probe_big) return centre;
    const up = add('UpSampling2D', [conv(conv(add('GetItem', [v]), `${head}.border.conv1`), `${head}.border.conv2`)]);
    return add('Add', [centre, add('Multiply', [add('Silu', [conv(up, `${head}.border.out`)])])]);
  };
  const amplitude = decoder('amplitude', 'amp', amp_activation);
  const phase = decoder('phase', 'phi', 'tanh');
  const object = add('CombineComplexLayer', [amplitude, phase], { name: 'obj' });
  add('ReassemblePatchesLayer', [object, positions], { name: 'padded_obj_2' });

  const ordered = made.map((entry, i) => ({ ...entry, i })).sort((a, b) => a.depth - b.depth || a.i - b.i);
  const arrays: Record<string, Tensor> = {};
  ordered
    .filter(({ part }) => part !== undefined)
    .forEach(({ part }, index) => {
      const group = `layers/conv2d${index === 0 ? '' : `_${index}`}/vars`;
      arrays[`${group}/0`] = channelsLast(weights[`${part}.weight`]);
      arrays[`${group}/1`] = weights[`${part}.bias`];
    });
  const layers = ordered.map(({ layer }) => layer);
  return {
    config: { module: 'keras.src.models.functional', class_name: 'Functional', config: { name: 'functional', layers } },
    arrays,
  };
}

/** [out, in, height, width] as [height, width, in, out]. */
function channelsLast({ data, shape }: Tensor): Tensor {
  const [cout, cin, height, width] = shape;
  const moved = new Float32Array(data.length);
  for (let o = 0; o < cout; o++) {
    for (let i = 0; i < cin; i++) {
      for (let p = 0; p < height * width; p++)
        moved[(p * cin + i) * cout + o] = data[(o * cin + i) * height * width + p];
    }
  }
  return { data: moved, shape: [height, width, cin, cout] };
}

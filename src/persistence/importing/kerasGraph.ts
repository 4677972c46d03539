/**
 * The published TensorFlow network in the configuration of a Keras model (`config.json`): which convolution has which part. Names of layers
 * are made up by Keras, so parts are told by how layers are connected.
 */
import { PtychoError } from '../../core/errors.js';

/** A convolution of the network: our name of the part, and its place among all layers of its class. */
export interface KerasConvolution {
  /** What Keras calls the layer. */
  readonly layer: string;
  /** `encoder.0.conv1`, `amplitude.centre`, … */
  readonly part: string;
  /** Counted from 0, in the order of the configuration: the weight file names layers by this. */
  readonly index: number;
}

/** What a configuration tells. */
export interface KerasNetwork {
  readonly convolutions: readonly KerasConvolution[];
  /** Side of the patterns. */
  readonly N: number | undefined;
  readonly amplitudeActivation: string | undefined;
}

interface Layer {
  readonly name: string;
  readonly className: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly parents: readonly string[];
}

const CONVOLUTION = 'Conv2D';

/**
 * Reads a functional model.
 * @throws PtychoError MODEL_UNSUPPORTED naming the layer where it is not the published network.
 */
export function readKerasGraph(json: unknown, source: string): KerasNetwork {
  const bad = (why: string) =>
    new PtychoError('MODEL_UNSUPPORTED', `${source} is no network that can be imported: ${why}.`, { path: source });
  const layers = layersOf(json);
  if (layers === undefined) throw bad('its config.json describes no functional Keras model');
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const convolutions = layers.filter((layer) => layer.className === CONVOLUTION);
  if (convolutions.length === 0) throw bad('it has no convolutions');

  const above = (name: string): string | undefined => convolutionAbove(name, byName);
  const children = new Map<string | undefined, string[]>();
  for (const { name } of convolutions) {
    const parent = above(name);
    children.set(parent, [...(children.get(parent) ?? []), name]);
  }
  const below = (name: string | undefined) => children.get(name) ?? [];

  const parts = new Map<string, string>();
  const encoder = chain(below(undefined), below, bad);
  if (encoder.end.length !== 2)
    throw bad(`behind "${encoder.names.at(-1)}" there are ${encoder.end.length} branches, expected two decoders`);
  if (encoder.names.length % 2 !== 0) throw bad(`its encoder has ${encoder.names.length} convolutions`);
  encoder.names.forEach((name, i) => {
    parts.set(name, `encoder.${i >> 1}.conv${(i % 2) + 1}`);
  });
  const blocks = encoder.names.length / 2 - 1;
  const heads = decodersOf(encoder.end, layers, byName, below, bad);
  for (const [head, first] of Object.entries(heads)) nameDecoder(head, first, blocks, below, parts, bad);

  const input = layers.find((layer) => layer.className === 'InputLayer' && layer.parents.length === 0);
  const shape = input?.config.batch_shape ?? input?.config.batch_input_shape;
  const amp = layers.find((layer) => layer.name === 'amp')?.config.activation_name;
  return {
    convolutions: convolutions.map(({ name }, index) => ({ layer: name, part: parts.get(name) as string, index })),
    N: Array.isArray(shape) && typeof shape[1] === 'number' ? shape[1] : undefined,
    amplitudeActivation: typeof amp === 'string' ? amp : undefined,
  };
}

type Below = (name: string | undefined) => readonly string[];
type Bad = (why: string) => PtychoError;

/** Follows convolutions as long as each has one successor. */
function chain(start: readonly string[], below: Below, bad: Bad): { names: string[]; end: readonly string[] } {
  const names: string[] = [];
  let next = start;
  while (next.length === 1) {
    if (names.includes(next[0])) throw bad(`its layers run in a circle at "${next[0]}"`);
    names.push(next[0]);
    next = below(next[0]);
  }
  return { names, end: next };
}

/** Which decoder is the amplitude's: the first operand of the layer that combines the two. */
function decodersOf(
  starts: readonly string[],
  layers: readonly Layer[],
  byName: ReadonlyMap<string, Layer>,
  below: Below,
  bad: Bad,
): Record<'amplitude' | 'phase', string> {
  const combine = layers.find((layer) => layer.className === 'CombineComplexLayer' || layer.name === 'obj');
  if (combine === undefined || combine.parents.length < 2) {
    throw bad('no layer "obj" (CombineComplexLayer) takes an amplitude and a phase');
  }
  const reaches = (start: string, name: string) => ancestors(name, byName).has(start);
  const [amplitude] = starts.filter((start) => reaches(start, combine.parents[0]));
  const [phase] = starts.filter((start) => reaches(start, combine.parents[1]));
  if (amplitude === undefined || phase === undefined || amplitude === phase || below(amplitude).length === 0) {
    throw bad(`the two operands of "${combine.name}" do not come from the two decoders`);
  }
  return { amplitude, phase };
}

/** Names the convolutions of a decoder: its blocks, then the head in one of its three forms. */
function nameDecoder(
  head: string,
  first: string,
  blocks: number,
  below: Below,
  parts: Map<string, string>,
  bad: Bad,
): void {
  const main = chain([first], below, bad);
  const count = 2 * blocks;
  main.names.slice(0, count).forEach((name, i) => {
    parts.set(name, `${head}.${i >> 1}.conv${(i % 2) + 1}`);
  });
  const tail = tailOf(main.names.slice(count), main.end, below, bad);
  if (tail === undefined) throw bad(`the ${head} decoder does not end in one of the published heads`);
  for (const [name, part] of tail) parts.set(name, `${head}.${part}`);
}

const BRANCH = ['conv1', 'conv2', 'out'];

/** The head behind the blocks: a centre; a full block; or, where it branches, a centre and a border. */
function tailOf(
  rest: readonly string[],
  end: readonly string[],
  below: Below,
  bad: Bad,
): readonly (readonly [name: string, part: string])[] | undefined {
  const branch = (names: readonly string[], as: string) =>
    names.map((name, i): readonly [string, string] => [name, `${as}.${BRANCH[i]}`]);
  if (end.length === 0 && rest.length === 1) return [[rest[0], 'centre']];
  if (end.length === 0 && rest.length === 3) return branch(rest, 'full');
  if (end.length !== 2 || rest.length !== 0) return undefined;
  const tails = end.map((start) => chain([start], below, bad).names);
  const centre = tails.find((names) => names.length === 1);
  const border = tails.find((names) => names.length === 3);
  return centre && border && [[centre[0], 'centre'], ...branch(border, 'border')];
}

/** The nearest convolution before a layer; undefined: the input. */
function convolutionAbove(name: string, byName: ReadonlyMap<string, Layer>): string | undefined {
  const seen = new Set<string>();
  let level = byName.get(name)?.parents ?? [];
  while (level.length > 0) {
    const found = level.find((parent) => byName.get(parent)?.className === CONVOLUTION);
    if (found !== undefined) return found;
    for (const parent of level) seen.add(parent);
    level = level.flatMap((parent) => byName.get(parent)?.parents ?? []).filter((parent) => !seen.has(parent));
  }
  return undefined;
}

/** Everything that a layer depends on, and itself. */
function ancestors(name: string, byName: ReadonlyMap<string, Layer>): Set<string> {
  const found = new Set([name]);
  for (const next of found) for (const parent of byName.get(next)?.parents ?? []) found.add(parent);
  return found;
}

function layersOf(json: unknown): Layer[] | undefined {
  const config = record(record(json)?.config);
  const { layers } = config ?? {};
  if (!Array.isArray(layers)) return undefined;
  const names = new Set(layers.map((layer) => nameOf(record(layer))));
  return layers.flatMap((entry): Layer[] => {
    const layer = record(entry);
    const name = nameOf(layer);
    if (layer === undefined || name === undefined) return [];
    const parents = [...new Set(references(layer.inbound_nodes, names))];
    return [{ name, className: String(layer.class_name), config: record(layer.config) ?? {}, parents }];
  });
}

const nameOf = (layer: Readonly<Record<string, unknown>> | undefined): string | undefined => {
  const name = layer?.name ?? record(layer?.config)?.name;
  return typeof name === 'string' ? name : undefined;
};

/**
 * Layers that the calls of a layer refer to, in order: Keras 3 writes `keras_history: [name, 0, 0]` inside of tensors, Keras 2 lists
 * `[name, 0, 0, {…}]`.
 */
function references(value: unknown, names: ReadonlySet<string | undefined>): string[] {
  if (Array.isArray(value)) {
    const [name, node, tensor] = value as unknown[];
    if (typeof name === 'string' && typeof node === 'number' && typeof tensor === 'number' && names.has(name))
      return [name];
    return value.flatMap((item) => references(item, names));
  }
  const object = record(value);
  return object ? Object.values(object).flatMap((item) => references(item, names)) : [];
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

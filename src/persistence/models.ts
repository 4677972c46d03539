/**
 * The two models of a bundle as ONNX: the one encoder that everything which writes a bundle goes through; and as much of a reader as is
 * needed to trust a file: its inputs, its outputs and every place where it points outside itself. Runtimes differ in what they accept (a
 * missing offset is read as 0, `../` is followed, lengths are not checked), so this is checked before any of them sees the model.
 *
 * Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
 *
 * @example
 * await saveBundle('wts.zip', content, encodeModels(network));
 */
import { PtychoError } from '../core/errors.js';
import { sameShape } from '../core/tensor.js';
import { encodeOnnx } from '../formats/onnx/encode.js';
import { type FieldReader, integerField, messageField, readMessage, textField } from '../formats/protobuf.js';
import type { ByteRange, DecodedSafetensors } from '../formats/safetensors.js';
import type { Program } from '../graph/program.js';
import type { PtychoNetwork } from '../model/network.js';

/** The names of the models, as published. */
export const MODELS = ['autoencoder', 'diffraction_to_obj'] as const;
export type ModelName = (typeof MODELS)[number];

/** The member that the initialisers of both models point into. */
export const WEIGHTS_FILE = 'weights.safetensors';

/** Makes both models once it is known where each weight lies in {@link WEIGHTS_FILE}. */
export type ModelEncoder = (entries: ReadonlyMap<string, ByteRange>) => Readonly<Record<ModelName, Uint8Array>>;

/** The models of a network that was made for the canvas of its bundle; equal networks give equal bytes. */
export function encodeModels(network: Pick<PtychoNetwork, 'predict' | 'autoencode'>): ModelEncoder {
  return (entries) => {
    const encode = (program: (batch: number) => Program) =>
      encodeOnnx(program(2), { externalData: { location: WEIGHTS_FILE, entries }, twin: program(3) });
    return {
      autoencoder: encode((batch) => network.autoencode(batch)),
      diffraction_to_obj: encode((batch) => network.predict(batch)),
    };
  };
}

/** Inputs and outputs of a model, in order. */
export interface ModelSignature {
  inputs: ValueSignature[];
  outputs: ValueSignature[];
}

const OBJECT = ['object_real', 'object_imag'];
const OUTPUTS: Readonly<Record<ModelName, readonly string[]>> = {
  autoencoder: [...OBJECT, 'pred_amplitude', 'pred_intensity'],
  diffraction_to_obj: OBJECT,
};

/** Inputs and outputs of the models, C = gridsize² channels. */
export function modelSignatures(model: {
  readonly N: number;
  readonly gridsize: number;
}): Record<ModelName, ModelSignature> {
  const channels = model.gridsize ** 2;
  const image = { dtype: 'float32', shape: ['batch', channels, model.N, model.N] };
  const of = (name: ModelName): ModelSignature => ({
    inputs: [
      { name: 'input', ...image },
      { name: 'input_positions', dtype: 'float32', shape: ['batch', channels, 1, 2] },
    ],
    outputs: OUTPUTS[name].map((output) => ({ name: output, ...image })),
  });
  return { autoencoder: of(MODELS[0]), diffraction_to_obj: of(MODELS[1]) };
}

/** An input or output; an axis of any length carries its name. */
export interface ValueSignature {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
}

/** An initialiser whose bytes are in another file. */
export interface ExternalInitialiser extends ByteRange {
  readonly name: string;
  readonly shape: readonly number[];
  readonly location: string;
}

/** What an ONNX file declares. */
export interface OnnxFacts {
  readonly inputs: readonly ValueSignature[];
  readonly outputs: readonly ValueSignature[];
  readonly external: readonly ExternalInitialiser[];
}

const FLOAT = 1;
const DTYPES: Readonly<Record<number, string>> = { 1: 'float32', 6: 'int32', 7: 'int64', 9: 'bool', 11: 'float64' };

const never = (what: string): FieldReader =>
  messageField(() => refuse(`it holds ${what}, which a bundle's model never does`));

/** Thrown inside this file only: a reason that makes sense to the reader of the message. */
class Refusal extends Error {}
function refuse(why: string): never {
  throw new Refusal(why);
}

/**
 * Reads the signature and the external initialisers of an ONNX model.
 * @param bytes the file; `source` is what an error calls it.
 * @throws PtychoError BUNDLE_INVALID for bytes that are no ONNX model, for sub-graphs, functions, training parts and sparse
 * tensors and operators of other domains (a bundle's model has none), and for external data without location, offset and length.
 */
export function readOnnxFacts(bytes: Uint8Array, source: string): OnnxFacts {
  const inputs: ValueSignature[] = [];
  const outputs: ValueSignature[] = [];
  const external: ExternalInitialiser[] = [];
  let graphs = 0;
  try {
    readMessage(bytes, {
      7: messageField((graph) => {
        graphs++;
        readMessage(graph, {
          1: messageField(checkNode),
          5: messageField((t) => {
            const found = readTensor(t);
            if (found) external.push(found);
          }),
          11: messageField((v) => inputs.push(readValue(v))),
          12: messageField((v) => outputs.push(readValue(v))),
          15: never('a sparse initialiser'),
        });
      }),
      20: never('training information'),
      25: never('functions'),
    });
    if (graphs !== 1) refuse(`it holds ${graphs} graphs, expected one`);
  } catch (cause) {
    const why = cause instanceof Refusal ? cause.message : 'it is not an ONNX model';
    throw new PtychoError('BUNDLE_INVALID', `${source}: ${why}.`, { member: source }, { cause });
  }
  return { inputs, outputs, external };
}

/**
 * Checks that every external initialiser lies in the file called `location` and is exactly the tensor of its name there.
 * @param weights what that file holds.
 * @throws PtychoError BUNDLE_INVALID naming the first initialiser that does not.
 */
export function checkReferences(
  facts: OnnxFacts,
  location: string,
  { tensors, entries }: DecodedSafetensors,
  source: string,
): void {
  for (const t of facts.external) {
    const bad = (why: string) =>
      new PtychoError('BUNDLE_INVALID', `${source}: initialiser "${t.name}" ${why}.`, { member: source, name: t.name });
    if (t.location !== location) throw bad(`points to ${JSON.stringify(t.location)}; only "${location}" is allowed`);
    const entry = entries.get(t.name);
    if (entry === undefined) throw bad(`points to ${location}, which has no tensor of that name`);
    const { shape } = tensors[t.name];
    if (!sameShape(t.shape, shape))
      throw bad(`has shape [${t.shape.join(', ')}], ${location} has [${shape.join(', ')}]`);
    if (t.offset !== entry.offset || t.length !== entry.length) {
      const [want, have] = [entry, t].map((r) => `bytes ${r.offset} to ${r.offset + r.length}`);
      throw bad(`points to ${have} of ${location}, its tensor is at ${want}`);
    }
  }
}

function checkNode(bytes: Uint8Array): void {
  readMessage(bytes, {
    5: messageField((attribute) =>
      readMessage(attribute, {
        5: messageField(checkEmbedded),
        6: never('a sub-graph'),
        10: messageField(checkEmbedded),
        11: never('a sub-graph'),
        22: never('a sparse tensor'),
        23: never('a sparse tensor'),
      }),
    ),
    7: textField((domain) => {
      if (domain !== '' && domain !== 'ai.onnx')
        refuse(`it uses operators of ${JSON.stringify(domain)}, only standard ones are allowed`);
    }),
  });
}

function checkEmbedded(bytes: Uint8Array): void {
  const found = readTensor(bytes);
  if (found) refuse(`the attribute tensor "${found.name}" points outside the file`);
}

/** Keeps what a field says; the last one counts. */
const put =
  <T, K extends keyof T>(into: T, key: K) =>
  (value: T[K]): void => {
    into[key] = value;
  };

/** The tensor's reference, or undefined when its data are embedded. */
function readTensor(bytes: Uint8Array): ExternalInitialiser | undefined {
  const shape: number[] = [];
  const pairs = new Map<string, string>();
  const said = { name: '', dtype: 0, location: 0 };
  readMessage(bytes, {
    1: integerField((v) => shape.push(v)),
    2: integerField(put(said, 'dtype')),
    8: textField(put(said, 'name')),
    13: messageField((message) => {
      const pair = { key: '', value: '' };
      readMessage(message, { 1: textField(put(pair, 'key')), 2: textField(put(pair, 'value')) });
      const { key, value } = pair;
      if (pairs.has(key)) refuse(`an external tensor gives "${key}" twice`);
      pairs.set(key, value);
    }),
    14: integerField(put(said, 'location')),
  });
  const { name, dtype } = said;
  const isExternal = said.location === 1;
  if (!isExternal && pairs.size === 0) return undefined;
  const keys = [...pairs.keys()].sort().join(', ');
  if (!isExternal || keys !== 'length, location, offset') {
    refuse(`the external tensor "${name}" must give location, offset and length, it gives ${keys || 'nothing'}`);
  }
  if (dtype !== FLOAT) refuse(`the external tensor "${name}" is not float32`);
  const count = (key: string): number => {
    const value = pairs.get(key) as string;
    return /^\d{1,15}$/.test(value)
      ? Number(value)
      : refuse(`the external tensor "${name}" has ${key} ${JSON.stringify(value)}`);
  };
  return { name, shape, location: pairs.get('location') as string, offset: count('offset'), length: count('length') };
}

function readValue(bytes: Uint8Array): ValueSignature {
  const said = { name: '', dtype: 'unknown' };
  const shape: (number | string)[] = [];
  const dimension = messageField((message) => {
    const dim: { length: number | string } = { length: '?' };
    readMessage(message, { 1: integerField(put(dim, 'length')), 2: textField(put(dim, 'length')) });
    shape.push(dim.length);
  });
  const tensorType = messageField((type) =>
    readMessage(type, {
      1: integerField((v) => {
        said.dtype = DTYPES[v] ?? `type ${v}`;
      }),
      2: messageField((s) => readMessage(s, { 1: dimension })),
    }),
  );
  readMessage(bytes, {
    1: textField(put(said, 'name')),
    2: messageField((type) => readMessage(type, { 1: tensorType })),
  });
  return { ...said, shape };
}

/**
 * Checks that a model has the inputs and outputs that it should, by name, type and shape, in order.
 * @throws PtychoError BUNDLE_INVALID naming the first that differs.
 */
export function checkSignature(facts: OnnxFacts, expected: ModelSignature, source: string): void {
  for (const side of ['inputs', 'outputs'] as const) {
    const want = expected[side].map(describe);
    const have = facts[side].map(describe);
    if (want.join() !== have.join()) {
      throw new PtychoError(
        'BUNDLE_INVALID',
        `${source}: the ${side} are ${have.join(', ') || 'none'}; expected ${want.join(', ')}.`,
        { member: source, expected: expected[side], found: facts[side] },
      );
    }
  }
}

const describe = (v: ValueSignature) => `${v.name} ${v.dtype}[${v.shape.join(', ')}]`;

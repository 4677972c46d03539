/**
 * A model as an NPZ of named arrays: `w.NAME` (or `NAME` alone) for each weight, under the names of the published PyTorch network or our own;
 * beside them `probe`, `intensity_scale` and `params` (a JSON text), all optional.
 */
import { messageOf, PtychoError } from '../../core/errors.js';
import { type ComplexTensor, sizeOf, type Tensor } from '../../core/tensor.js';
import type { NpyArray } from '../../formats/npy.js';
import { type NpzFile, usingNpz } from '../../formats/npz.js';
import { parseBoundedJson } from '../json.js';
import { type PublishedNames, publishedNames } from '../publishedNames.js';
import { type ForeignModel, type ForeignWeight, scalesAmplitudes } from './foreignWeights.js';
import { isSpectral, spectralModel } from './generatorWeights.js';

const PREFIX = 'w.';
const OWN = /^(encoder|amplitude|phase|real|imaginary)\.\d+\.conv[12]\.weight$/;
/** Names that are no weights. */
const BESIDE = ['probe', 'intensity_scale', 'params'];
const MAX_PARAMS_CHARACTERS = 2 ** 20;
/** Weights of the largest published network are a tenth of this. */
const MAX_BYTES = 2 ** 30;

/**
 * Reads an NPZ of weights.
 * @throws PtychoError MODEL_UNSUPPORTED for an NPZ without weights, and those of reading.
 */
export async function readNpzModel(path: string): Promise<ForeignModel> {
  return usingNpz(
    path,
    async (npz) => {
      const marked = npz.keys.some((key) => key.startsWith(PREFIX));
      const keys = npz.keys.filter((key) => (marked ? key.startsWith(PREFIX) : !BESIDE.includes(key)));
      const named = keys.map((key) => [key, marked ? key.slice(PREFIX.length) : key] as const);
      const own = named.some(([, name]) => OWN.test(name));
      const spectral = isSpectral(new Set(named.map(([, name]) => insideOf(name))));
      if (!own && !spectral && !named.some(([, name]) => CNN.toOwn(name) !== undefined)) {
        throw new PtychoError(
          'MODEL_UNSUPPORTED',
          `${path} holds no weights under names that are known; make it with examples/python/export_torch_weights.py (names are in docs/bundles.md).`,
          { path, found: npz.keys },
        );
      }
      await checkTotal(npz, keys);
      const weights = new Map<string, ForeignWeight>();
      const unmapped: string[] = [];
      const scalars = new Map<string, number>();
      const params = await readParams(npz);
      const scaled = scalesAmplitudes(params);
      const others = new Map<string, { readonly source: string; readonly array: Tensor | ComplexTensor }>();
      for (const [key, name] of named) {
        const array = await npz.read(key);
        const tensor = floats(array);
        const scalar = tensor && scalarOf(name, tensor.data, scaled);
        if (spectral && !scalar && array.kind !== 'text') {
          if (others.has(insideOf(name))) unmapped.push(key);
          else others.set(insideOf(name), { source: key, array: tensor ?? complexOf(array) });
          continue;
        }
        const target = own
          ? name.replace(/^real\./, 'amplitude.').replace(/^imaginary\./, 'phase.')
          : CNN.toOwn(name)?.name;
        if (tensor === undefined || target === undefined || weights.has(target)) {
          if (scalar) scalars.set(...scalar);
          else unmapped.push(key);
          continue;
        }
        // PyTorch keeps scalars as arrays of one value.
        const alone = target.startsWith('rectangular.') && sizeOf(tensor.shape) === 1;
        weights.set(target, { source: key, tensor: alone ? { ...tensor, shape: [] } : tensor });
      }
      const probe = npz.has('probe') ? probeOf(await npz.read('probe')) : undefined;
      const found = spectral
        ? spectralModel(others, params, { path, probeSide: probe?.shape.at(-1) })
        : { weights, unmapped };
      const scale = npz.has('intensity_scale')
        ? (await npz.readReal('intensity_scale')).data[0]
        : params.intensity_scale;
      return {
        format: 'npz',
        family: own ? 'ptychopinn' : 'pytorch',
        ...found,
        unmapped: spectral ? [...unmapped, ...found.unmapped] : unmapped,
        params,
        ...(scalars.size > 0
          ? { amplitudes: { alpha: scalars.get('alpha') ?? 1, beta: scalars.get('beta') ?? 0 } }
          : {}),
        probe,
        intensityScale: typeof scale === 'number' && scale > 0 ? scale : undefined,
      };
    },
    { maxResidentBytes: MAX_BYTES },
  );
}

/** The name of a published weight inside of the network; of another one as it is. */
function insideOf(name: string): string {
  return (MODULE.exec(name) as RegExpExecArray)[1].replace(/^autoencoder\./, '');
}

async function checkTotal(npz: NpzFile, keys: readonly string[]): Promise<void> {
  let total = 0;
  for (const key of keys) total += (await npz.header(key)).dataBytes;
  if (total <= MAX_BYTES) return;
  throw new PtychoError(
    'FORMAT_UNSUPPORTED',
    `${npz.path} holds ${total} bytes of weights, at most ${MAX_BYTES} are read.`,
    { path: npz.path, found: total },
  );
}

function floats(array: NpyArray): Tensor | undefined {
  if (array.kind !== 'real') return undefined;
  return { data: Float32Array.from(array.data as ArrayLike<number>), shape: array.shape };
}

function probeOf(array: NpyArray): ComplexTensor | undefined {
  return array.kind === 'text' ? undefined : complexOf(array);
}

function complexOf(array: Exclude<NpyArray, { kind: 'text' }>): ComplexTensor {
  const [re, im] = array.kind === 'complex' ? [array.re, array.im] : [array.data, new Float32Array(array.data.length)];
  return { re: Float32Array.from(re as ArrayLike<number>), im: Float32Array.from(im), shape: array.shape };
}

async function readParams(npz: NpzFile): Promise<Record<string, unknown>> {
  if (!npz.has('params')) return {};
  const bad = (why: string) =>
    new PtychoError('FILE_FORMAT', `${npz.path}: params must be a JSON text of a dictionary, ${why}.`, {
      path: npz.path,
    });
  if ((await npz.header('params')).dataBytes > 4 * MAX_PARAMS_CHARACTERS) throw bad('and not as long as this one');
  const array = await npz.read('params');
  if (array.kind !== 'text' || array.strings.length !== 1) throw bad(`but it is ${array.dtype}`);
  let value: unknown;
  try {
    value = parseBoundedJson(array.strings[0]);
  } catch (error) {
    throw bad(`but it is none (${messageOf(error)})`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('but it is something else');
  return value as Record<string, unknown>;
}

/** Scalars of the published forward model, which are always registered, begin at 1 and are used by `intensity_scale_trainable` only. */
const AMPLITUDE_SCALARS = /^forward_model\.(alpha|beta)$/;

const MODULE = /^(?:w\.)?(?:model\.)?(.*)$/;
const CNN = publishedNames('cnn_cbam') as PublishedNames;

/** α or β, where there is one for all scans, and it is known whether they do something. */
function scalarOf(
  published: string,
  values: ArrayLike<number>,
  scaled: boolean | undefined,
): [name: string, value: number] | undefined {
  const [, name] = MODULE.exec(published) as RegExpExecArray;
  const scalar = AMPLITUDE_SCALARS.exec(name)?.[1];
  if (scalar === undefined || values.length !== 1) return undefined;
  // Where nobody says, other values than those they begin with were trained, or came of an older version.
  const initial = values[0] === 1 || (scalar === 'beta' && values[0] === 0);
  return scaled !== undefined || initial ? [scalar, values[0]] : undefined;
}

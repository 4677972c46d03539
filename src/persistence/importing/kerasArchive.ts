/**
 * A model of the published TensorFlow tool: the Keras-3 archive `model.keras` (JSON and HDF5, no code), alone or inside of a `wts.h5.zip`.
 * Pickles beside it are not looked at.
 */
import path from 'node:path';
import { PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import type { ComplexTensor, Tensor } from '../../core/tensor.js';
import { type Hdf5File, usingHdf5 } from '../../formats/hdf5/file.js';
import { usingFile } from '../../formats/replaceFile.js';
import { makeScratchFolder } from '../../formats/scratchFile.js';
import { ZipArchive } from '../../formats/zipArchive.js';
import { parseBoundedJson } from '../json.js';
import type { ForeignModel, ForeignWeight } from './foreignWeights.js';
import { type KerasConvolution, type KerasNetwork, readKerasGraph } from './kerasGraph.js';

/** Models inside of a `wts.h5.zip`; the first has the probe, where one was saved. */
const MODELS = ['autoencoder/model.keras', 'diffraction_to_obj/model.keras'];
const WEIGHTS = 'model.weights.h5';
const CONFIG = 'config.json';
/** The largest published network has 52 MB of weights, with the optimiser three times that. */
const MAX_BYTES = 2 ** 30;
const MAX_CONFIG_BYTES = 2 ** 24;
/** Where Keras 3, and the same format in Keras 2.12 and later, keep the layers of a functional model. */
const ROOTS = ['/layers', '/_layer_checkpoint_dependencies'];

/** Whether an archive with these members is one that {@link readKerasModel} reads. */
export function isKerasArchive(names: readonly string[]): boolean {
  return names.includes(WEIGHTS) || MODELS.some((model) => names.includes(model));
}

/**
 * Reads the weights of a published TensorFlow network.
 * @throws PtychoError MODEL_UNSUPPORTED for another network, FILE_FORMAT and those of reading.
 */
export async function readKerasModel(file: string): Promise<ForeignModel> {
  const { folder, dispose } = await makeScratchFolder('keras');
  try {
    return await closing(await ZipArchive.open(file), async (outer) => {
      const inside = MODELS.find((model) => outer.members.has(model));
      if (inside === undefined) return await readArchive(outer, file, folder);
      const intensityScale = await scaleBeside(outer, inside, folder);
      const keras = await unpack(outer, inside, path.join(folder, 'model.keras'));
      return await closing(await ZipArchive.open(keras), async (archive) => {
        const model = await readArchive(archive, `${file}, ${inside}`, folder);
        return { ...model, intensityScale: model.intensityScale ?? intensityScale };
      });
    });
  } catch (error) {
    if (!(error instanceof PtychoError)) throw error;
    throw new PtychoError(error.code, error.message.replaceAll(`${folder}${path.sep}`, `${file}: `), error.fields, {
      cause: error,
    });
  } finally {
    await dispose();
  }
}

async function readArchive(archive: ZipArchive, source: string, folder: string): Promise<ForeignModel> {
  for (const name of [CONFIG, WEIGHTS]) {
    if (!archive.members.has(name)) {
      throw new PtychoError('FILE_FORMAT', `${source} holds no ${name}, so it is no Keras-3 archive.`, {
        path: source,
      });
    }
  }
  const text = (await archive.read(CONFIG, MAX_CONFIG_BYTES)).toString('utf8');
  let json: unknown;
  try {
    json = parseBoundedJson(text);
  } catch (cause) {
    throw new PtychoError('FILE_FORMAT', `${source}: ${CONFIG} is not JSON.`, { path: source }, { cause });
  }
  const network = readKerasGraph(json, source);
  const weights = await unpack(archive, WEIGHTS, path.join(folder, WEIGHTS));
  return usingHdf5(weights, (hdf5) => collect(hdf5, network, source));
}

function collect(hdf5: Hdf5File, network: KerasNetwork, source: string): ForeignModel {
  const root = ROOTS.find((group) => hdf5.kindOf(group) === 'group');
  if (root === undefined) {
    throw new PtychoError('FILE_FORMAT', `${source}: ${WEIGHTS} has no group ${ROOTS.join(' or ')}.`, { path: source });
  }
  const weights = new Map<string, ForeignWeight>();
  const used = new Set<string>();
  for (const convolution of network.convolutions) {
    const vars = `${root}/${weightGroup(hdf5, root, convolution)}/vars`;
    const [kernel, bias] = ['0', '1'].map((key) => `${vars}/${key}`);
    weights.set(`${convolution.part}.weight`, {
      source: kernel,
      tensor: channelsFirst(floats(hdf5, kernel), kernel, source),
    });
    weights.set(`${convolution.part}.bias`, { source: bias, tensor: floats(hdf5, bias) });
    used.add(kernel).add(bias);
  }
  let probe: ComplexTensor | undefined;
  let logScale: number | undefined;
  const unmapped: string[] = [];
  for (const dataset of hdf5.datasets()) {
    if (used.has(dataset) || !dataset.startsWith(`${root}/`)) continue;
    const kind = /\/(\w+?)(?:_\d+)?\/vars\/\d+$/.exec(dataset)?.[1];
    if (kind === 'probe_illumination') probe = single(hdf5.readComplex64(dataset));
    else if (kind === 'intensity_scaler' || kind === 'intensity_scaler_inv') logScale = floats(hdf5, dataset).data[0];
    else unmapped.push(dataset);
  }
  const amp = network.amplitudeActivation;
  return {
    format: 'keras',
    family: 'tensorflow',
    weights,
    unmapped,
    params: {
      ...(network.N === undefined ? {} : { N: network.N }),
      ...(amp === undefined ? {} : { amp_activation: amp }),
    },
    probe,
    intensityScale: logScale === undefined ? undefined : Math.exp(logScale),
  };
}

/** The group of a layer: by the name that newer files note, else by its place among the layers of its class. */
function weightGroup(hdf5: Hdf5File, root: string, { layer, index }: KerasConvolution): string {
  const groups = hdf5.keys(root).filter((name) => /^conv2d(_\d+)?$/.test(name));
  const noted = (group: string): unknown =>
    hdf5.kindOf(`${root}/${group}/vars`) === 'group' ? hdf5.attributes(`${root}/${group}/vars`).name : undefined;
  return groups.find((group) => noted(group) === layer) ?? (index === 0 ? 'conv2d' : `conv2d_${index}`);
}

function floats(hdf5: Hdf5File, dataset: string): Tensor {
  const { data, shape } = hdf5.readReal(dataset, MAX_BYTES);
  return { data: Float32Array.from(data as ArrayLike<number>), shape };
}

/** [height, width, in, out] as [out, in, height, width]. */
function channelsFirst({ data, shape }: Tensor, dataset: string, source: string): Tensor {
  if (shape.length !== 4) {
    throw new PtychoError(
      'MODEL_UNSUPPORTED',
      `${source}: ${dataset} has shape [${shape.join(', ')}], expected a kernel with four axes.`,
      { path: source, key: dataset },
    );
  }
  const [height, width, cin, cout] = shape;
  const moved = new Float32Array(data.length);
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let i = 0; i < cin; i++) {
        for (let o = 0; o < cout; o++) moved[((o * cin + i) * height + y) * width + x] = data[at++];
      }
    }
  }
  return { data: moved, shape: [cout, cin, height, width] };
}

/** Without axes of length 1. */
function single(probe: ComplexTensor): ComplexTensor {
  return { ...probe, shape: probe.shape.filter((length) => length !== 1) };
}

/** The attribute `intensity_scale` of the file that the published tool writes beside a model. */
async function scaleBeside(outer: ZipArchive, model: string, folder: string): Promise<number | undefined> {
  const name = `${path.posix.dirname(model)}/model.h5`;
  if (!outer.members.has(name)) return undefined;
  return usingHdf5(await unpack(outer, name, path.join(folder, 'model.h5')), (hdf5) => {
    const value = hdf5.attributes('/').intensity_scale;
    const scale = typeof value === 'number' ? value : Array.isArray(value) ? Number(value[0]) : Number.NaN;
    return scale > 0 ? scale : undefined;
  });
}

/** Writes a member to a file of its own, its size bounded and its CRC checked. */
async function unpack(archive: ZipArchive, name: string, target: string): Promise<string> {
  const size = archive.members.get(name)?.size ?? 0;
  if (size > MAX_BYTES) {
    throw new PtychoError(
      'FORMAT_UNSUPPORTED',
      `${archive.path}, member "${name}", declares ${size} bytes; at most ${MAX_BYTES} are unpacked.`,
      { path: archive.path, member: name },
    );
  }
  await archive.checkSize(name);
  await usingFile(target, 'wx', async (file) => {
    for await (const chunk of archive.chunks(name)) await file.writeFile(chunk);
  });
  return target;
}

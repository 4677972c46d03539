/** A model that another program trained as the content of a bundle. Formats and mappings: `docs/bundles.md`. */

import { type TrainingConfig, trainingConfigSchema } from '../../config/schema.js';
import type { ImportConfig } from '../../config/schemas/tools.js';
import { PtychoError } from '../../core/errors.js';
import { openInput, sha256OfFile } from '../../core/inputFile.js';
import { type ComplexTensor, sameShape, type Tensor } from '../../core/tensor.js';
import { createdBy } from '../../core/version.js';
import { checkProbe, type ProbeNote, readProbe } from '../../data/opening/probe.js';
import { isHdf5File } from '../../formats/hdf5/file.js';
import { ZipArchive } from '../../formats/zipArchive.js';
import { LOG_INTENSITY_SCALE } from '../../model/network.js';
import { isNetworkSide, publishedSide } from '../../networks/sides.js';
import { intensityScale } from '../../physics/detector.js';
import { DEFAULT_PROBE_SCALE, normaliseProbe, probeMask, scaleComplex } from '../../physics/probe.js';
import type { Bundle } from '../bundle.js';
import { TRAINED_ELSEWHERE, UNKNOWN_MEAN_AMPLITUDE } from '../content.js';
import { publishedCanvas } from '../params.js';
import { describeForeignArchive, describeForeignFile } from '../source.js';
import { type ForeignModel, type FoundStructure, scalesAmplitudes, someNames, structureOf } from './foreignWeights.js';
import { isKerasArchive, readKerasModel } from './kerasArchive.js';
import { readNpzModel } from './npzWeights.js';

/**
 * Reads a model of another program.
 * @throws PtychoError BUNDLE_INVALID for files of other kinds; MODEL_UNSUPPORTED for networks that are not the published ones
 */
export async function readForeign(file: string): Promise<ForeignModel> {
  const refuse = (sentence: string) => new PtychoError('BUNDLE_INVALID', `${file} ${sentence}`, { path: file });
  const handle = await openInput(file);
  const head = Buffer.alloc(8);
  await handle.read(head, 0, head.length, 0).finally(() => handle.close());
  if (await isHdf5File(file)) {
    throw refuse(
      'is an HDF5 file of weights alone, which does not say how its layers are connected; save the model as model.keras and import that.',
    );
  }
  const foreign = describeForeignFile(head);
  if (foreign !== undefined) throw refuse(foreign);
  const archive = await ZipArchive.open(file);
  const names = [...archive.members.keys()];
  await archive.close();
  if (names.includes('manifest.json')) {
    throw refuse('is a bundle of ptychopinn already; use it as it is.');
  }
  if (isKerasArchive(names)) return readKerasModel(file);
  if (names.length > 0 && names.every((name) => name.endsWith('.npy'))) return readNpzModel(file);
  throw refuse(describeForeignArchive(names));
}

/** Keys of `params` that are looked at. */
const KNOWN = [
  'N',
  'gridsize',
  'n_filters_scale',
  'amp_activation',
  'probe.big',
  'pad_object',
  'object.big',
  'probe.mask',
  'probe_scale',
  'gaussian_smoothing_sigma',
  'nphotons',
  'intensity_scale',
  'model_type',
  'cnn_output_mode',
  'physics_forward_mode',
  'scale_contract_version',
  'amplitude_physics_gain',
  'intensity_scale_trainable',
  'intensity_scale.trainable',
] as const;

/** Options of `cnn` and `cnn_cbam` that other networks have no use for. */
const CONVOLUTIONS_ONLY = ['amp_activation', 'cnn_output_mode', 'probe_big', 'pad_object'] as const;

/** A value of `params`, in the words of our configuration; undefined where it says nothing. */
function settings(params: Readonly<Record<string, unknown>>) {
  const words: Readonly<Record<string, string>> = {
    silu: 'swish',
    SiLU: 'swish',
    Unsupervised: 'pinn',
    Supervised: 'supervised',
  };
  return (key: (typeof KNOWN)[number]): unknown => {
    const value = params[key] ?? undefined;
    return typeof value === 'string' ? (words[value] ?? value) : value;
  };
}

/** The parameters of the network that a bundle describes: names and shapes. */
export type ParametersOf = (
  parts: Pick<Bundle, 'config' | 'scale' | 'statistics' | 'probe'>,
  canvasSide_px: number,
) => readonly { readonly name: string; readonly shape: readonly number[] }[];

/**
 * The bundle that a foreign model comes to, and what of it has no place there.
 * @throws PtychoError MODEL_UNSUPPORTED listing by name what has no place; WEIGHTS_MISMATCH for weights of other shapes;
 * DATASET_KEY_MISSING without a probe
 */
export async function bundleOf(
  model: ForeignModel,
  asked: ImportConfig,
  {
    file,
    note,
    parametersOf,
  }: { readonly file: string; readonly note: ProbeNote; readonly parametersOf: ParametersOf },
) {
  const says = settings(model.params);
  const bad = (why: string, fields = {}) =>
    new PtychoError('MODEL_UNSUPPORTED', `${file} cannot be imported: ${why}.`, { path: file, ...fields });
  if (says('scale_contract_version') === 'ci_intensity_v2') {
    throw bad(
      'its scale contract ci_intensity_v2 needs statistics of the training patterns; train it again with "ptychopinn train"',
    );
  }
  const gain = says('amplitude_physics_gain');
  if (gain !== undefined && gain !== 1)
    throw bad(`amplitude_physics_gain is ${String(gain)}, and there is no such factor here`);

  const found: Found = model.network ?? sideOf(structureOf(model.weights, model.family, file), says('N'));
  for (const key of ['N', 'gridsize', 'n_filters_scale'] as const) {
    const said = says(key);
    if (said !== undefined && found[key] !== undefined && said !== found[key]) {
      throw bad(`its settings say ${key} ${String(said)}, but its weights are those of ${key} ${found[key]}`);
    }
  }
  const idle = model.network && CONVOLUTIONS_ONLY.find((key) => asked[key] !== null);
  if (idle)
    throw bad(`${idle} is a field of cnn and cnn_cbam, and this is ${model.network?.architecture}; leave it out`);
  const config = configOf(model, asked, found, says, file);
  const { N, gridsize } = found;
  const s = asked.intensity_scale ?? model.intensityScale ?? intensityScale(config.nphotons, N);
  const probe = await probeOf(model, asked, config, numberOr(says('probe_scale'), DEFAULT_PROBE_SCALE), file, note);
  const counts = (s * (N / 2)) ** 2;
  const amplitudes = amplitudesOf(model, bad);
  const parts = {
    config,
    // The network puts out the object, and the probe is in √counts once it is multiplied by s.
    scale: {
      version: 'counts_v1' as const,
      domain: asked.measurement_domain,
      intensityScale: s,
      amplitudeGauge: 1,
      ...(amplitudes.beta === 0 ? {} : { amplitudeOffset: amplitudes.beta }),
      probeFactor: 1,
    },
    statistics: {
      meanPower: asked.measurement_domain === 'normalized_amplitude' ? (N / 2) ** 2 : counts,
      meanCounts: counts,
      meanAmplitude: UNKNOWN_MEAN_AMPLITUDE,
      nPatterns: 0,
    },
    probe: scaleComplex(probe, s * amplitudes.alpha),
    canvasSide_px: publishedCanvas(model.params, N, gridsize),
  };
  const { weights, mapped, unmapped } = weightsFor(model, parts, parametersOf, bad);
  if (unmapped.length > 0 && !asked.ignore_unmapped) {
    throw bad(
      `these have no place in the network: ${someNames(unmapped)}; leave them out with --ignore_unmapped if they do nothing`,
      { unmapped },
    );
  }
  const content: Bundle = {
    ...parts,
    createdBy,
    backend: model.family === 'tensorflow' ? 'tensorflow' : 'onnx',
    engine: `imported from ${model.format === 'keras' ? 'a Keras archive' : 'an NPZ of named arrays'}`,
    training: TRAINED_ELSEWHERE,
    imported: { format: model.format, sha256: await sha256OfFile(file) },
    history: [],
    weights,
  };
  const used = [...KNOWN, ...Object.keys(model.network ?? {})];
  const unusedParams = Object.keys(model.params).filter((key) => !used.includes(key));
  return { content, mapped, unmapped, unusedParams };
}

type Says = ReturnType<typeof settings>;
/** What names and shapes tell about the network. */
type Found = { readonly N: number; readonly gridsize: number; readonly n_filters_scale?: number };

/** What the published forward model does to amplitudes: α·A + β with `intensity_scale_trainable`, else nothing. */
function amplitudesOf({ amplitudes, params }: ForeignModel, bad: (why: string) => PtychoError) {
  if (amplitudes === undefined || !scalesAmplitudes(params)) return { alpha: 1, beta: 0 };
  const { alpha, beta } = amplitudes;
  if (alpha > 0 && Number.isFinite(alpha) && Number.isFinite(beta)) return amplitudes;
  throw bad(`its amplitudes are multiplied by ${alpha} and raised by ${beta}, which cannot be`);
}

/** Weights are the same for all sides of a ladder: which one it is, the settings say; else it is the published one. */
function sideOf(found: FoundStructure, said: unknown): Omit<FoundStructure, 'N'> & { readonly N: number } {
  const known = typeof said === 'number' && isNetworkSide(said) && publishedSide(said) === found.N;
  return known ? { ...found, N: said } : found;
}

function configOf(
  model: ForeignModel,
  asked: ImportConfig,
  found: Found & Partial<ReturnType<typeof sideOf>>,
  says: Says,
  file: string,
): TrainingConfig {
  const model_type = asked.model_type ?? says('model_type') ?? 'pinn';
  const parsed = trainingConfigSchema.safeParse({
    model: {
      ...(model.network ?? convolutionFields(model, asked, found, says)),
      model_type,
      probe_mask: asked.probe_mask ?? says('probe.mask') ?? false,
      physics_forward_mode: asked.physics_forward_mode ?? says('physics_forward_mode') ?? 'amplitude',
      gaussian_smoothing_sigma: asked.gaussian_smoothing_sigma ?? says('gaussian_smoothing_sigma') ?? 0,
    },
    nphotons: asked.nphotons ?? says('nphotons') ?? 1e9,
    // Published networks see the patterns themselves.
    input_reference: 'none',
    auto_restart: false,
  });
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  throw new PtychoError('CONFIG_INVALID', `${file}: ${path.join('.')}: ${message.replace(/\.$/, '')}.`, { path: file });
}

/** The fields of `cnn` and `cnn_cbam`. */
function convolutionFields(
  model: ForeignModel,
  asked: ImportConfig,
  found: Partial<ReturnType<typeof sideOf>>,
  says: Says,
) {
  const { N, gridsize, n_filters_scale, architecture, cbam_encoder, object_big } = found;
  return {
    ...{ N, gridsize, n_filters_scale, architecture, cbam_encoder, object_big },
    amp_activation: asked.amp_activation ?? amplitudeActivation(model, says),
    border_activation: asked.border_activation,
    pad_object: asked.pad_object ?? says('pad_object') ?? found.pad_object,
    probe_big: asked.probe_big ?? says('probe.big') ?? found.border,
    cnn_output_mode: asked.cnn_output_mode ?? says('cnn_output_mode') ?? 'amp_phase',
  };
}

/** In the published PyTorch head everything but sigmoid is swish. */
function amplitudeActivation(model: ForeignModel, says: Says): unknown {
  const said = says('amp_activation');
  if (model.family === 'pytorch') return said === 'sigmoid' ? 'sigmoid' : 'swish';
  return said ?? 'sigmoid';
}

/** What the published network multiplies an object with: the field is in units of X. */
async function probeOf(
  model: ForeignModel,
  asked: ImportConfig,
  config: TrainingConfig,
  scaleSaid: number,
  file: string,
  note: ProbeNote,
): Promise<ComplexTensor> {
  const { N, probe_mask } = config.model;
  if (asked.probe === null) {
    if (model.probe) return checkProbe(model.probe, N, { path: file, member: 'probe' }, note);
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${file} holds no probe: give that of the training scan with --probe FILE[:key].`,
      { path: file, key: 'probe' },
    );
  }
  const probe = await readProbe(asked.probe, N, note);
  if (asked.probe_normalization === 'none') return probe;
  const mask = model.family === 'tensorflow' || probe_mask ? probeMask(N) : undefined;
  return normaliseProbe(probe, { probeScale: asked.probe_scale ?? scaleSaid, mask }).probe;
}

/** The weights under the names of the network, and what is left. */
function weightsFor(
  model: ForeignModel,
  parts: Pick<Bundle, 'config' | 'scale' | 'statistics' | 'probe' | 'canvasSide_px'>,
  parametersOf: ParametersOf,
  bad: (why: string, fields?: object) => PtychoError,
): { weights: Record<string, Tensor>; mapped: number; unmapped: string[] } {
  const parameters = parametersOf(parts, parts.canvasSide_px);
  const { cnn_output_mode, pad_object } = parts.config.model;
  const theirs = (name: string): string => {
    const polar =
      cnn_output_mode === 'real_imag' ? name.replace(/^real\./, 'amplitude.').replace(/^imaginary\./, 'phase.') : name;
    // PyTorch has one name for the branch, whatever it paints.
    return pad_object || model.family !== 'pytorch' ? polar : polar.replace('.full.', '.border.');
  };
  const weights: Record<string, Tensor> = {};
  const missing: string[] = [];
  const wrong: string[] = [];
  const left = new Map(model.weights);
  for (const { name, shape } of parameters) {
    if (name === LOG_INTENSITY_SCALE) {
      weights[name] = { data: Float32Array.of(Math.log(parts.scale.intensityScale)), shape: [] };
      continue;
    }
    const given = left.get(theirs(name));
    if (given === undefined) missing.push(name);
    else if (!sameShape(given.tensor.shape, shape)) {
      wrong.push(`${given.source} has shape [${given.tensor.shape.join(', ')}], ${name} needs [${shape.join(', ')}]`);
    } else weights[name] = given.tensor;
    left.delete(theirs(name));
  }
  if (wrong.length > 0) throw bad(wrong.slice(0, 4).join('; '), { mismatched: wrong });
  if (missing.length > 0) throw bad(`it has no weights for ${someNames(missing)}`, { missing });
  const unused = [...left.values()].map(({ source }) => source).filter((source) => !isIdle(source, parts.config));
  const mapped = model.weights.size - left.size;
  return { weights, mapped, unmapped: [...new Set([...model.unmapped, ...unused])] };
}

/** Weights that the published PyTorch network keeps although a setting leaves them without work. */
function isIdle(source: string, { model }: TrainingConfig | Bundle['config']): boolean {
  if (/rect_scaler\.s[12]$/.test(source)) return model.physics_forward_mode === 'amplitude';
  const head = /\.decoder_(amp|phase)\.(amp|phase)\.(conv1|conv_up_block|conv2)\b/.exec(source);
  if (!head) return false;
  return head[3] === 'conv1' ? !model.pad_object : model.pad_object && !model.probe_big;
}

const numberOr = (value: unknown, fallback: number): number => (typeof value === 'number' ? value : fallback);

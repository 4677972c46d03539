/**
 * The members of a bundle as bytes, and back: everything of `specs/bundle.md` except the archive around them.
 */
import { createHash } from 'node:crypto';
import { messageOf, PtychoError } from '../core/errors.js';
import { type ComplexTensor, formatShape, sameShape } from '../core/tensor.js';
import { parseNpy } from '../formats/npy.js';
import { encodeNpy } from '../formats/npyWrite.js';
import { type DecodedSafetensors, decodeSafetensors, encodeSafetensors } from '../formats/safetensors.js';
import { LOG_INTENSITY_SCALE } from '../model/network.js';
import type { ScaleRecord } from '../model/scale.js';
import { type BundleConfig, bundleConfig, parseBundleConfig, withFieldsOf } from './bundleConfig.js';
import { canonicalJson } from './canonicalJson.js';
import { type BundleContent, UNKNOWN_MEAN_AMPLITUDE } from './content.js';
import { decodeHistory, encodeHistory } from './history.js';
import {
  checkSignature,
  isComplete,
  type Manifest,
  MEMBERS,
  type MemberName,
  makeManifest,
  membersOf,
  modelSignatures,
  parseManifest,
  trainingOf,
} from './manifest.js';
import { MODELS, type ModelEncoder, type ModelName, WEIGHTS_FILE } from './models.js';
import { checkReferences, readOnnxFacts } from './onnxReferences.js';
import { bundleParams, checkParams } from './params.js';
import { parseBoundedJson } from './readJson.js';

const WEIGHTS: MemberName = WEIGHTS_FILE;

/** px; a canvas is built when a model is used, and no scan has groups that are spread this far. */
const MAX_CANVAS = 2 ** 14;

/** Members that are read into many small objects are bounded, whatever the archive's size. */
export const MEMBER_LIMITS: Readonly<Record<string, number>> = {
  'manifest.json': 2 ** 20,
  'config.json': 2 ** 20,
  'params.json': 2 ** 20,
  'history.csv': 2 ** 23,
};

/** An exported model in the form in which ONNX Runtime takes it from memory. */
export interface RuntimeModel {
  /** The `.onnx` file. */
  readonly bytes: Uint8Array;
  /** The file that its initialisers point into. */
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/** What the members say, checked. */
export interface DecodedMembers extends BundleContent {
  readonly manifest: Manifest;
  /** `diffraction_to_obj.onnx`. */
  readonly model: RuntimeModel;
  /** `autoencoder.onnx`; undefined in a bundle from before it was part of them. */
  readonly autoencoder: RuntimeModel | undefined;
}

/**
 * All members of a bundle, `manifest.json` first; equal content gives equal bytes.
 * @param written a `config.json` whose fields are the only ones that are written: that of a version that had fewer
 * @throws PtychoError BUNDLE_INVALID for values that no member can hold.
 */
export function encodeMembers(
  content: BundleContent,
  encodeModel: ModelEncoder,
  written?: Uint8Array,
): Map<string, Uint8Array> {
  checkFinite(content.weights);
  const weights = encodeSafetensors(content.weights);
  const models = encodeModel(weights.entries);
  const bytes: Record<MemberName, Uint8Array> = {
    'config.json': utf8(canonicalJson(configLike(bundleConfig(content.config), written))),
    'params.json': utf8(canonicalJson(bundleParams(content))),
    'weights.safetensors': weights.bytes,
    'autoencoder.onnx': models.autoencoder,
    'diffraction_to_obj.onnx': models.diffraction_to_obj,
    'probe.npy': encodeNpy(content.probe),
    'history.csv': utf8(encodeHistory(content.history)),
  };
  const sums = MEMBERS.map((name) => [name, { sha256: sha256(bytes[name]), bytes: bytes[name].length }] as const);
  const manifest = makeManifest(content, Object.fromEntries(sums));
  return new Map([
    ['manifest.json', utf8(canonicalJson(manifest))],
    ...MEMBERS.map((name) => [name, bytes[name]] as const),
  ]);
}

function configLike(config: BundleConfig, written: Uint8Array | undefined): object {
  return written === undefined ? config : withFieldsOf(config, readJson(written, 'config.json') as object);
}

/**
 * Reads members back and checks that they are whole and agree with each other. Weights are views of the given bytes.
 * @throws PtychoError BUNDLE_INVALID, or the format's own code, naming the member but not the archive.
 */
export function decodeMembers(members: ReadonlyMap<string, Uint8Array>): DecodedMembers {
  for (const [name, bytes] of members) {
    const limit = MEMBER_LIMITS[name] ?? Number.POSITIVE_INFINITY;
    if (bytes.length > limit) throw invalid(name, `it has ${bytes.length} bytes, more than the ${limit} that are read`);
  }
  const manifest = parseManifest(readUtf8(member(members, 'manifest.json'), 'manifest.json'));
  checkHashes(manifest, members);

  const config = parseBundleConfig(readJson(member(members, 'config.json'), 'config.json'));
  const weightBytes = member(members, WEIGHTS);
  const weights = decodeSafetensors(weightBytes, WEIGHTS);
  const complete = isComplete(manifest);
  for (const name of MODELS) {
    if (name !== 'autoencoder' || complete) checkModel(name, members, weights, config.model);
  }

  const content: BundleContent = {
    createdBy: manifest.created_by,
    backend: manifest.backend,
    engine: manifest.engine,
    config,
    canvasSide_px: manifest.canvas_side_px,
    scale: {
      version: manifest.scale_contract.version,
      domain: manifest.scale_contract.measurement_domain,
      intensityScale: manifest.intensity_scale,
      amplitudeGauge: manifest.scale_contract.amplitude_gauge,
      probeFactor: manifest.scale_contract.probe_factor,
      ...countIntensityOf(manifest),
    },
    statistics: {
      meanPower: manifest.dataset.mean_power,
      meanCounts: manifest.dataset.mean_counts,
      meanAmplitude: manifest.dataset.mean_amplitude ?? UNKNOWN_MEAN_AMPLITUDE,
      nPatterns: manifest.dataset.n_patterns ?? 0,
    },
    training: trainingOf(manifest),
    ...(manifest.imported ? { imported: manifest.imported } : {}),
    history: decodeHistory(readUtf8(member(members, 'history.csv'), 'history.csv')),
    probe: decodeProbe(member(members, 'probe.npy')),
    weights: weights.tensors,
  };
  checkAgreement(content, manifest);
  if (complete) checkParams(readJson(member(members, 'params.json'), 'params.json'), content);
  const runtimeModel = (name: ModelName): RuntimeModel => ({
    bytes: member(members, `${name}.onnx`),
    externalData: [{ path: WEIGHTS, data: weightBytes }],
  });
  return {
    ...content,
    manifest,
    model: runtimeModel('diffraction_to_obj'),
    autoencoder: complete ? runtimeModel('autoencoder') : undefined,
  };
}

/** That a model is one, points to its weights and nowhere else, and has the inputs and outputs that it should. */
function checkModel(
  name: ModelName,
  members: ReadonlyMap<string, Uint8Array>,
  weights: DecodedSafetensors,
  model: BundleContent['config']['model'],
): void {
  const file = `${name}.onnx`;
  const facts = readOnnxFacts(member(members, file), file);
  checkReferences(facts, WEIGHTS, weights, file);
  checkSignature(facts, modelSignatures(model)[name], file);
}

/** What `ci_intensity_v2` needs; a manifest that lacks it cannot be used, one that has it without that contract is confused. */
function countIntensityOf({ scale_contract }: Manifest): Pick<ScaleRecord, 'countIntensity'> {
  const { version, measurement_domain, rms_input_scale, mean_measured_intensity } = scale_contract;
  if (version === 'counts_v1') {
    if (rms_input_scale === undefined && mean_measured_intensity === undefined) return {};
    throw invalid('manifest.json', 'scale_contract holds statistics of ci_intensity_v2, but its version is counts_v1');
  }
  if (rms_input_scale === undefined || mean_measured_intensity === undefined) {
    throw invalid(
      'manifest.json',
      `scale_contract lacks ${rms_input_scale === undefined ? 'rms_input_scale' : 'mean_measured_intensity'}, without which a model of ${version} cannot be used`,
    );
  }
  if (measurement_domain === 'normalized_amplitude') {
    throw invalid(
      'manifest.json',
      `scale_contract says ${version} of normalized_amplitude, but that contract is for counts`,
    );
  }
  return { countIntensity: { rmsInputScale: rms_input_scale, meanMeasuredIntensity: mean_measured_intensity } };
}

function decodeProbe(bytes: Uint8Array): ComplexTensor {
  const array = parseNpy(bytes, { path: 'probe.npy' });
  if (array.kind !== 'complex' || array.dtype !== 'complex64') {
    throw invalid('probe.npy', `the probe is ${array.dtype}, expected complex64`);
  }
  return { re: array.re as Float32Array, im: array.im as Float32Array, shape: array.shape };
}

function checkHashes(manifest: Manifest, members: ReadonlyMap<string, Uint8Array>): void {
  const listed = Object.keys(manifest.members).sort();
  const expectedNames = membersOf(manifest);
  if (listed.join() !== [...expectedNames].sort().join()) {
    throw invalid(
      'manifest.json',
      `members lists ${listed.join(', ') || 'nothing'}; expected ${expectedNames.join(', ')}`,
    );
  }
  const stray = [...members.keys()].find((name) => name !== 'manifest.json' && !Object.hasOwn(manifest.members, name));
  if (stray !== undefined) throw invalid(stray, 'the manifest does not list this member; the bundle was changed');
  for (const name of expectedNames) {
    const bytes = member(members, name);
    const { sha256: expected, bytes: size } = manifest.members[name];
    if (bytes.length !== size || sha256(bytes) !== expected) {
      throw invalid(
        name,
        'it is not the file that the manifest describes (size or SHA-256 differs); the bundle was damaged or changed',
      );
    }
  }
}

/** The parts of a bundle say some things twice; they must say the same. */
function checkAgreement(content: BundleContent, manifest: Manifest): void {
  const { version } = content.scale;
  const { scale_contract_version: configured } = content.config;
  if (version !== configured) {
    throw invalid('manifest.json', `scale_contract.version is ${version}, but config.json says ${configured}`);
  }
  const { models, ...same } = makeManifest(content, manifest.members);
  const { autoencoder: _, ...first } = models;
  const again: Record<string, unknown> = { ...same, models: isComplete(manifest) ? models : first };
  for (const [key, said] of Object.entries(manifest)) {
    if (canonicalJson(said) !== canonicalJson(again[key])) {
      throw invalid(
        'manifest.json',
        `${key} is ${JSON.stringify(said)}, but config.json says ${JSON.stringify(again[key])}`,
      );
    }
  }
  const { config, canvasSide_px, probe, training, history, weights } = content;
  const { N } = config.model;
  if (canvasSide_px < N || canvasSide_px % 2 !== 0) {
    throw invalid('manifest.json', `canvas_side_px is ${canvasSide_px}, expected an even number, at least ${N}`);
  }
  if (canvasSide_px > MAX_CANVAS) {
    throw invalid(
      'manifest.json',
      `canvas_side_px is ${canvasSide_px}, more than the ${MAX_CANVAS} that a group can need`,
    );
  }
  if (!(probe.shape.length <= 3 && sameShape(probe.shape.slice(-2), [N, N]) && probe.re.length > 0)) {
    throw invalid(
      'probe.npy',
      `the probe has shape ${formatShape(probe.shape)}, expected (${N}, ${N}) or modes first (P, ${N}, ${N})`,
    );
  }
  if (!probe.re.every(Number.isFinite) || !probe.im.every(Number.isFinite)) {
    throw invalid('probe.npy', 'the probe holds a value that is not finite');
  }
  if (content.imported) {
    const { mean_amplitude, n_patterns } = manifest.dataset;
    if (mean_amplitude !== null || n_patterns !== null) {
      throw invalid('manifest.json', 'dataset tells of training patterns, but the model was imported');
    }
  }
  if (history.length !== training.epochs) {
    throw invalid('history.csv', `it has ${history.length} rows, but training.epochs is ${training.epochs}`);
  }
  const best = history[training.bestEpoch - 1]?.[training.monitor];
  if (!content.imported && best !== training.value) {
    throw invalid(
      'history.csv',
      `${training.monitor} of epoch ${training.bestEpoch} is ${best ?? 'missing'}, but training.value is ${training.value}`,
    );
  }
  checkFinite(weights);
  checkTrainedScale(content);
}

/** e^20: training moves the scale by some per cent. */
const TRAINED_SCALE_REACH = 20;

/** The exported model multiplies the object by e^ℓ/s, which must stay a number. */
function checkTrainedScale({ weights, scale }: BundleContent): void {
  const trained = weights[LOG_INTENSITY_SCALE];
  if (!trained || Math.abs(trained.data[0] - Math.log(scale.intensityScale)) <= TRAINED_SCALE_REACH) return;
  throw invalid(
    WEIGHTS,
    `${LOG_INTENSITY_SCALE} is ${trained.data[0]}, but the logarithm of intensity_scale is ${Math.log(scale.intensityScale).toPrecision(6)}: no training moves it so far`,
  );
}

function checkFinite(weights: BundleContent['weights']): void {
  const odd = Object.keys(weights).find((name) => !weights[name].data.every(Number.isFinite));
  if (odd !== undefined) throw invalid(WEIGHTS, `${odd} holds a value that is not finite`);
}

function member(members: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const bytes = members.get(name);
  if (bytes === undefined) throw invalid(name, 'the bundle lacks this member; copy or write it again');
  return bytes;
}

function readUtf8(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw invalid(name, 'it is not UTF-8 text', cause);
  }
}

function readJson(bytes: Uint8Array, name: string): unknown {
  const text = readUtf8(bytes, name);
  try {
    return parseBoundedJson(text);
  } catch (cause) {
    throw invalid(name, `it is not JSON (${messageOf(cause)})`, cause);
  }
}

function invalid(name: string, why: string, cause?: unknown): PtychoError {
  return new PtychoError('BUNDLE_INVALID', `${name}: ${why}.`, { member: name }, { cause });
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

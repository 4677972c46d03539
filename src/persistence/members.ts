/**
 * The members of a bundle as bytes, and back: everything of `specs/bundle.md` except the archive around them.
 */
import { createHash } from 'node:crypto';
import { messageOf, PtychoError } from '../core/errors.js';
import { type ComplexTensor, formatShape, sameShape } from '../core/tensor.js';
import { parseNpy } from '../formats/npy.js';
import { encodeNpy } from '../formats/npyWrite.js';
import { type ByteRange, decodeSafetensors, encodeSafetensors } from '../formats/safetensors.js';
import { bundleConfig, parseBundleConfig } from './bundleConfig.js';
import { canonicalJson } from './canonicalJson.js';
import type { BundleContent, BundleScale } from './content.js';
import { decodeHistory, encodeHistory } from './history.js';
import {
  checkSignature,
  type Manifest,
  MEMBERS,
  type MemberName,
  makeManifest,
  modelSignature,
  parseManifest,
} from './manifest.js';
import { checkReferences, readOnnxFacts } from './onnxReferences.js';

const WEIGHTS: MemberName = 'weights.safetensors';
const MODEL: MemberName = 'diffraction_to_obj.onnx';

/** The exported model in the form in which ONNX Runtime takes it from memory. */
export interface RuntimeModel {
  /** `diffraction_to_obj.onnx`. */
  readonly bytes: Uint8Array;
  /** The file that its initialisers point into. */
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/** What the members say, checked. */
export interface DecodedMembers extends BundleContent {
  readonly manifest: Manifest;
  readonly model: RuntimeModel;
}

/** Makes `diffraction_to_obj.onnx` once it is known where each weight lies in `weights.safetensors`. */
export type ModelEncoder = (entries: ReadonlyMap<string, ByteRange>) => Uint8Array;

/**
 * All members of a bundle, `manifest.json` first; equal content gives equal bytes.
 * @throws PtychoError BUNDLE_INVALID for values that no member can hold.
 */
export function encodeMembers(content: BundleContent, encodeModel: ModelEncoder): Map<string, Uint8Array> {
  const weights = encodeSafetensors(content.weights);
  const bytes: Record<MemberName, Uint8Array> = {
    'config.json': utf8(canonicalJson(bundleConfig(content.config))),
    'weights.safetensors': weights.bytes,
    'diffraction_to_obj.onnx': encodeModel(weights.entries),
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

/**
 * Reads members back and checks that they are whole and agree with each other. Weights are views of the given bytes.
 * @throws PtychoError BUNDLE_INVALID, or the format's own code, naming the member but not the archive.
 */
export function decodeMembers(members: ReadonlyMap<string, Uint8Array>): DecodedMembers {
  const manifest = parseManifest(readUtf8(member(members, 'manifest.json'), 'manifest.json'));
  checkHashes(manifest, members);

  const config = parseBundleConfig(readJson(member(members, 'config.json'), 'config.json'));
  const weightBytes = member(members, WEIGHTS);
  const weights = decodeSafetensors(weightBytes, WEIGHTS);
  const onnx = member(members, MODEL);
  const facts = readOnnxFacts(onnx, MODEL);
  checkReferences(facts, WEIGHTS, weights, MODEL);
  checkSignature(facts, modelSignature(config.model), MODEL);

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
      meanAmplitude: manifest.dataset.mean_amplitude,
      nPatterns: manifest.dataset.n_patterns,
    },
    training: {
      epochs: manifest.training.epochs,
      bestEpoch: manifest.training.best_epoch,
      monitor: manifest.training.monitor,
      value: manifest.training.value,
      ...(manifest.training.init === undefined ? {} : { init: manifest.training.init }),
    },
    history: decodeHistory(readUtf8(member(members, 'history.csv'), 'history.csv')),
    probe: decodeProbe(member(members, 'probe.npy')),
    weights: weights.tensors,
  };
  checkAgreement(content, manifest);
  return {
    ...content,
    manifest,
    model: { bytes: onnx, externalData: [{ path: WEIGHTS, data: weightBytes }] },
  };
}

/** What `ci_intensity_v2` needs; a manifest that lacks it cannot be used, one that has it without that contract is confused. */
function countIntensityOf({ scale_contract }: Manifest): Pick<BundleScale, 'countIntensity'> {
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
  if (listed.join() !== [...MEMBERS].sort().join()) {
    throw invalid('manifest.json', `members lists ${listed.join(', ') || 'nothing'}; expected ${MEMBERS.join(', ')}`);
  }
  for (const name of MEMBERS) {
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
  const again = makeManifest(content, manifest.members) as unknown as Record<string, unknown>;
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
  if (!(probe.shape.length <= 3 && sameShape(probe.shape.slice(-2), [N, N]) && probe.re.length > 0)) {
    throw invalid(
      'probe.npy',
      `the probe has shape ${formatShape(probe.shape)}, expected (${N}, ${N}) or modes first (P, ${N}, ${N})`,
    );
  }
  if (!probe.re.every(Number.isFinite) || !probe.im.every(Number.isFinite)) {
    throw invalid('probe.npy', 'the probe holds a value that is not finite');
  }
  if (history.length !== training.epochs) {
    throw invalid('history.csv', `it has ${history.length} rows, but training.epochs is ${training.epochs}`);
  }
  const best = history[training.bestEpoch - 1]?.[training.monitor];
  if (best !== training.value) {
    throw invalid(
      'history.csv',
      `${training.monitor} of epoch ${training.bestEpoch} is ${best ?? 'missing'}, but training.value is ${training.value}`,
    );
  }
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
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(name, `it is not JSON (${messageOf(cause)})`, cause);
  }
}

function invalid(name: string, why: string, cause?: unknown): PtychoError {
  return new PtychoError('BUNDLE_INVALID', `${name}: ${why}.`, { member: name }, { cause });
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

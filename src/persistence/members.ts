/**
 * The members of a bundle as bytes, and back: everything of `specs/bundle.md` except the archive around them.
 */
import { sha256 } from '../core/hash.js';
import type { ComplexTensor } from '../core/tensor.js';
import { parseNpy } from '../formats/npy.js';
import { encodeNpy } from '../formats/npyWrite.js';
import { decodeSafetensors, encodeSafetensors } from '../formats/safetensors.js';
import { parseBundleConfig, storedConfig, withFieldsOf } from './bundleConfig.js';
import { checkBundle, checkFinite } from './check.js';
import type { Bundle } from './content.js';
import { decodeHistory, encodeHistory } from './history.js';
import { canonicalJson, invalidMember, readJson, readUtf8, utf8 } from './json.js';
import {
  isComplete,
  type Manifest,
  MEMBERS,
  type MemberName,
  makeManifest,
  memberOf,
  readManifest,
  SCANS_FILE,
  scaleIn,
  statisticsIn,
  trainingOf,
} from './manifest.js';
import { type ModelEncoder, type ModelName, WEIGHTS_FILE } from './models.js';
import { bundleParams } from './params.js';
import { decodeScans, encodeScans } from './scans.js';

/** An exported model in the form in which ONNX Runtime takes it from memory. */
export interface RuntimeModel {
  /** The `.onnx` file. */
  readonly bytes: Uint8Array;
  /** The file that its initialisers point into. */
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/** A bundle that was opened and found right. */
export interface StoredBundle extends Bundle {
  /** The file, or the folder of unpacked members, that it was read from. */
  readonly path: string;
  readonly manifest: Manifest;
  /** `diffraction_to_obj.onnx`. */
  readonly model: RuntimeModel;
  /** `autoencoder.onnx`; undefined in a bundle from before it was part of them. */
  readonly autoencoder: RuntimeModel | undefined;
}

/**
 * All members of a bundle, `manifest.json` first; equal content gives equal bytes.
 * @param written members whose fields are the only ones that are written: those of a version that had fewer
 * @throws PtychoError BUNDLE_INVALID for values that no member can hold.
 */
export function encodeMembers(
  content: Bundle,
  encodeModel: ModelEncoder,
  written?: ReadonlyMap<string, Uint8Array>,
): Map<string, Uint8Array> {
  checkFinite(content.weights);
  const weights = encodeSafetensors(content.weights);
  const models = encodeModel(weights.entries);
  const bytes: Record<MemberName, Uint8Array> = {
    'config.json': utf8(canonicalJson(fieldsLike(storedConfig(content.config), written, 'config.json'))),
    'params.json': utf8(canonicalJson(fieldsLike(bundleParams(content), written, 'params.json'))),
    'weights.safetensors': weights.bytes,
    'autoencoder.onnx': models.autoencoder,
    'diffraction_to_obj.onnx': models.diffraction_to_obj,
    'probe.npy': encodeNpy(content.probe),
    'history.csv': utf8(encodeHistory(content.history)),
  };
  const members: [string, Uint8Array][] = MEMBERS.map((name) => [name, bytes[name]]);
  if (content.scans) members.push([SCANS_FILE, encodeScans(content.scans)]);
  const sums = members.map(([name, data]) => [name, { sha256: sha256(data), bytes: data.length }] as const);
  const manifest = makeManifest(content, Object.fromEntries(sums));
  return new Map([['manifest.json', utf8(canonicalJson(manifest))], ...members]);
}

function fieldsLike(values: object, written: ReadonlyMap<string, Uint8Array> | undefined, name: string): object {
  const before = written?.get(name);
  return before === undefined ? values : withFieldsOf(values, readJson(before, name) as object);
}

/**
 * Reads members back and checks that they are whole and agree with each other. Weights are views of the given bytes.
 * @param path where they are from
 * @throws PtychoError BUNDLE_INVALID, or the format's own code, naming the member but not the archive.
 */
export function decodeMembers(members: ReadonlyMap<string, Uint8Array>, path: string): StoredBundle {
  const manifest = readManifest(members);
  const config = parseBundleConfig(readJson(memberOf(members, 'config.json'), 'config.json'));
  const weightBytes = memberOf(members, WEIGHTS_FILE);
  const weights = decodeSafetensors(weightBytes, WEIGHTS_FILE);
  const probe = decodeProbe(memberOf(members, 'probe.npy'));
  const content: Bundle = {
    createdBy: manifest.created_by,
    backend: manifest.backend,
    engine: manifest.engine,
    config,
    canvasSide_px: manifest.canvas_side_px,
    scale: scaleIn(manifest),
    statistics: statisticsIn(manifest),
    training: trainingOf(manifest),
    ...(manifest.imported ? { imported: manifest.imported } : {}),
    history: decodeHistory(readUtf8(memberOf(members, 'history.csv'), 'history.csv')),
    probe,
    weights: weights.tensors,
    ...(manifest.scans ? { scans: decodeScans(members, manifest, { probe, weights: weights.tensors }) } : {}),
  };
  checkBundle(content, manifest, members, weights);
  const runtimeModel = (name: ModelName): RuntimeModel => ({
    bytes: memberOf(members, `${name}.onnx`),
    externalData: [{ path: WEIGHTS_FILE, data: weightBytes }],
  });
  return {
    ...content,
    path,
    manifest,
    model: runtimeModel('diffraction_to_obj'),
    autoencoder: isComplete(manifest) ? runtimeModel('autoencoder') : undefined,
  };
}

function decodeProbe(bytes: Uint8Array): ComplexTensor {
  const array = parseNpy(bytes, { path: 'probe.npy' });
  if (array.kind !== 'complex' || array.dtype !== 'complex64') {
    throw invalidMember('probe.npy', `the probe is ${array.dtype}, expected complex64`);
  }
  return { re: array.re as Float32Array, im: array.im as Float32Array, shape: array.shape };
}

/**
 * What must be true of a bundle whose members have been read: its models are those of its configuration, its parts agree, and its weights
 * are those that a network asks for.
 *
 * @example
 * const template = network.parameters.map((p): [string, Shape] => [p.name, p.shape]);
 * checkWeights(template, bundle.weights);
 */
import { PtychoError } from '../core/errors.js';
import { formatShape, type Shape, sameShape, type Tensor } from '../core/tensor.js';
import type { DecodedSafetensors } from '../formats/safetensors.js';
import { LOG_INTENSITY_SCALE } from '../model/network.js';
import type { Bundle } from './content.js';
import { canonicalJson, invalidMember, readJson } from './json.js';
import { isComplete, type Manifest, makeManifest, memberOf } from './manifest.js';
import {
  checkReferences,
  checkSignature,
  MODELS,
  type ModelName,
  modelSignatures,
  readOnnxFacts,
  WEIGHTS_FILE,
} from './models.js';
import { checkParams } from './params.js';

/**
 * Checks models, agreement and `params.json` of a bundle.
 * @throws PtychoError BUNDLE_INVALID naming the member that is wrong
 */
export function checkBundle(
  bundle: Bundle,
  manifest: Manifest,
  members: ReadonlyMap<string, Uint8Array>,
  weights: DecodedSafetensors,
): void {
  const complete = isComplete(manifest);
  for (const name of MODELS) {
    if (name !== 'autoencoder' || complete) checkModel(name, members, weights, bundle.config.model);
  }
  checkAgreement(bundle, manifest);
  if (complete) checkParams(readJson(memberOf(members, 'params.json'), 'params.json'), bundle);
}

/** That a model is one, points to its weights and nowhere else, and has the inputs and outputs that it should. */
function checkModel(
  name: ModelName,
  members: ReadonlyMap<string, Uint8Array>,
  weights: DecodedSafetensors,
  model: Bundle['config']['model'],
): void {
  const file = `${name}.onnx`;
  const facts = readOnnxFacts(memberOf(members, file), file);
  checkReferences(facts, WEIGHTS_FILE, weights, file);
  checkSignature(facts, modelSignatures(model)[name], file);
}

/** px; a canvas is built when a model is used, and no scan has groups that are spread this far. */
const MAX_CANVAS = 2 ** 14;

/** The parts of a bundle say some things twice; they must say the same. */
function checkAgreement(content: Bundle, manifest: Manifest): void {
  const { version } = content.scale;
  const { scale_contract_version: configured } = content.config;
  if (version !== configured) {
    throw invalidMember('manifest.json', `scale_contract.version is ${version}, but config.json says ${configured}`);
  }
  const { models, ...same } = makeManifest(content, manifest.members);
  const { autoencoder: _, ...first } = models;
  const again: Record<string, unknown> = { ...same, models: isComplete(manifest) ? models : first };
  for (const [key, said] of Object.entries(manifest)) {
    if (canonicalJson(said) !== canonicalJson(again[key])) {
      throw invalidMember(
        'manifest.json',
        `${key} is ${JSON.stringify(said)}, but config.json says ${JSON.stringify(again[key])}`,
      );
    }
  }
  const { config, canvasSide_px, probe, training, history, weights } = content;
  const { N } = config.model;
  if (canvasSide_px < N || canvasSide_px % 2 !== 0) {
    throw invalidMember('manifest.json', `canvas_side_px is ${canvasSide_px}, expected an even number, at least ${N}`);
  }
  if (canvasSide_px > MAX_CANVAS) {
    throw invalidMember(
      'manifest.json',
      `canvas_side_px is ${canvasSide_px}, more than the ${MAX_CANVAS} that a group can need`,
    );
  }
  if (!(probe.shape.length <= 3 && sameShape(probe.shape.slice(-2), [N, N]) && probe.re.length > 0)) {
    throw invalidMember(
      'probe.npy',
      `the probe has shape ${formatShape(probe.shape)}, expected (${N}, ${N}) or modes first (P, ${N}, ${N})`,
    );
  }
  if (!probe.re.every(Number.isFinite) || !probe.im.every(Number.isFinite)) {
    throw invalidMember('probe.npy', 'the probe holds a value that is not finite');
  }
  if (content.imported) {
    const { mean_amplitude, n_patterns } = manifest.dataset;
    if (mean_amplitude !== null || n_patterns !== null) {
      throw invalidMember('manifest.json', 'dataset tells of training patterns, but the model was imported');
    }
  }
  if (history.length !== training.epochs) {
    throw invalidMember('history.csv', `it has ${history.length} rows, but training.epochs is ${training.epochs}`);
  }
  const best = history[training.bestEpoch - 1]?.[training.monitor];
  if (!content.imported && best !== training.value) {
    throw invalidMember(
      'history.csv',
      `${training.monitor} of epoch ${training.bestEpoch} is ${best ?? 'missing'}, but training.value is ${training.value}`,
    );
  }
  checkFinite(weights);
  checkTrainedScale(content);
  for (const scan of content.scans ?? []) checkTrainedScale(scan);
}

/** e^20: training moves the scale by some per cent. */
const TRAINED_SCALE_REACH = 20;

/** The exported model multiplies the object by e^ℓ/s, which must stay a number. */
function checkTrainedScale({ weights, scale }: Pick<Bundle, 'weights' | 'scale'>): void {
  const trained = weights[LOG_INTENSITY_SCALE];
  if (!trained || Math.abs(trained.data[0] - Math.log(scale.intensityScale)) <= TRAINED_SCALE_REACH) return;
  throw invalidMember(
    WEIGHTS_FILE,
    `${LOG_INTENSITY_SCALE} is ${trained.data[0]}, but the logarithm of intensity_scale is ${Math.log(scale.intensityScale).toPrecision(6)}: no training moves it so far`,
  );
}

export function checkFinite(weights: Bundle['weights']): void {
  const odd = Object.keys(weights).find((name) => !weights[name].data.every(Number.isFinite));
  if (odd !== undefined) throw invalidMember(WEIGHTS_FILE, `${odd} holds a value that is not finite`);
}

/** One leaf whose shape is not the template's. */
export interface ShapeMismatch {
  readonly name: string;
  readonly expected: Shape;
  readonly found: Shape;
}

/** More names than this are counted, not listed, in a message; the error's fields hold all of them. */
const LISTED = 8;

/**
 * Compares weights with what a network asks for, leaf by leaf.
 * @param template name and shape of every parameter of the network, in any order.
 * @param weights name → array, as read from a file.
 * @throws PtychoError WEIGHTS_MISMATCH naming every leaf of another shape, every missing and every unexpected name; fields
 * `mismatched`, `missing`, `unexpected`.
 */
export function checkWeights(
  template: Iterable<readonly [name: string, shape: Shape]>,
  weights: Readonly<Record<string, Tensor>>,
): void {
  const unexpected = new Set(Object.keys(weights));
  const missing: string[] = [];
  const mismatched: ShapeMismatch[] = [];
  for (const [name, expected] of template) {
    if (!unexpected.delete(name)) missing.push(name);
    else if (!sameShape(expected, weights[name].shape)) mismatched.push({ name, expected, found: weights[name].shape });
  }
  if (missing.length + mismatched.length + unexpected.size === 0) return;

  const parts = [
    ...listed(
      mismatched.map((m) => `${m.name}: expected ${list(m.expected)}, file has ${list(m.found)}`),
      '; ',
    ),
    ...(missing.length > 0 ? [`missing: ${listed(missing, ', ')}`] : []),
    ...(unexpected.size > 0 ? [`not part of this network: ${listed([...unexpected], ', ')}`] : []),
  ];
  throw new PtychoError(
    'WEIGHTS_MISMATCH',
    `weights: ${parts.join('; ')}. The weights belong to another network; use the configuration they were trained with.`,
    { mismatched, missing, unexpected: [...unexpected] },
  );
}

function listed(names: readonly string[], separator: string): string[] {
  if (names.length === 0) return [];
  const rest = names.length - LISTED;
  return [names.slice(0, LISTED).join(separator) + (rest > 0 ? `${separator}and ${rest} more` : '')];
}

const list = (shape: Shape) => `[${shape.join(', ')}]`;

/** The weights that a training begins with: fresh ones, or those of a bundle (`init`). */
import type { Backend } from '../backends/backend.js';
import type { ModelConfig, TrainingConfig } from '../config/schema.js';
import { isPtychoError, PtychoError } from '../core/errors.js';
import { spreadIndices } from '../core/numbers.js';
import type { Tensor } from '../core/tensor.js';
import type { DiffractionDataset } from '../data/dataset.js';
import type { RawData } from '../data/rawData.js';
import { constantPattern, nearest, PatternSums, referenceParameters } from '../model/inputReference.js';
import { INPUT_FACTOR } from '../model/inputScaling.js';
import { LOG_INTENSITY_SCALE, type PtychoNetwork } from '../model/network.js';
import { fitRectangular, RECTANGULAR_PARAMETERS, type RectangularMoments } from '../model/rectangular.js';
import { isOfScan, stackedWeights, weightsOfScan } from '../model/scanWeights.js';
import { type Bundle, openBundle, type StoredBundle } from '../persistence/bundle.js';
import { checkWeights } from '../persistence/check.js';
import type { MlflowAccess } from '../persistence/mlflowArtifacts.js';
import { weightsFor } from '../reconstruction/scanForModel.js';

/** A bundle to begin from. */
export interface InitialBundle {
  /** Those that several scans share, where the network or the bundle has several; all of them else. */
  readonly weights: Readonly<Record<string, Tensor>>;
  /** SHA-256 of its `weights.safetensors`, where it is a file. */
  readonly sha256?: string;
}

/** Fields beside the block `model` that weights belong to. */
const OF_WEIGHTS = [
  'input_reference',
  'input_reference_share',
  'probe_conditioning',
  'normalize',
  'data_scaling',
  'intensity_scale_trainable',
  'probe_trainable',
] as const;

/** What the bundle that `init` names says of the network; it stands where nobody said anything, as a scan's metadata does. */
export async function networkOfInitial(
  init: string,
  access: MlflowAccess = {},
): Promise<Readonly<Record<string, unknown>>> {
  const { config } = await openBundle(init, access);
  const { N: _, ...model } = config.model;
  return { ...model, ...Object.fromEntries(OF_WEIGHTS.map((name) => [name, config[name]])) };
}

/**
 * Opens the bundle that `init` names and fits its weights to the network.
 * @throws PtychoError WEIGHTS_MISMATCH when it is another network, naming what differs; and those of `openBundle`.
 */
export async function openInitialBundle(
  path: string,
  network: PtychoNetwork,
  access: MlflowAccess = {},
): Promise<InitialBundle> {
  const bundle = await openBundle(path, access);
  // A bundle holds the weights of its first scan.
  const template = network.ofScan(0).parameters.map((p) => [p.name, p.shape] as const);
  const { input_reference: reference } = bundle.config;
  try {
    checkWeights(template, bundle.weights);
    // The weights of a mean and of a constant object have the same shapes.
    if (reference !== (network.spec.inputReference ?? 'none')) {
      throw new PtychoError('WEIGHTS_MISMATCH', `The weights belong to input_reference ${reference}.`, {});
    }
  } catch (error) {
    if (!isPtychoError(error, 'WEIGHTS_MISMATCH')) throw error;
    throw new PtychoError('WEIGHTS_MISMATCH', mismatch(bundle, network, error.message), error.fields, { cause: error });
  }
  const several = network.spec.scans !== undefined || bundle.scans !== undefined;
  const shared = () => Object.fromEntries(Object.entries(bundle.weights).filter(([name]) => !isOfScan(name)));
  const weights = several ? shared() : movedScale(bundle, network);
  return { weights, sha256: bundle.manifest.members['weights.safetensors'].sha256 };
}

/**
 * The weights of a model for a network of the same kind on another scan: its reference follows the probe, and a trained probe is left out
 * where the network has none.
 */
export function initialOf(
  bundle: Bundle,
  network: PtychoNetwork,
  raw: Pick<RawData, 'probeGuess' | 'badPixels'>,
): InitialBundle {
  const moved = movedScale({ ...bundle, weights: weightsFor(bundle, raw) }, network);
  const { inputFactor } = network.spec;
  // The scan has a factor of its own.
  if (moved[INPUT_FACTOR] && inputFactor !== undefined) {
    moved[INPUT_FACTOR] = { data: Float32Array.of(inputFactor), shape: [] };
  }
  const own = new Set(network.parameters.map(({ name }) => name));
  const weights = Object.fromEntries(Object.entries(moved).filter(([name]) => own.has(name)));
  checkWeights(
    network.parameters.map((p) => [p.name, p.shape] as const),
    weights,
  );
  const manifest = 'manifest' in bundle ? (bundle as StoredBundle).manifest : undefined;
  return { weights, sha256: manifest?.members['weights.safetensors'].sha256 };
}

/** The trained factor on the intensity scale belongs to the weights, the scale itself to each data set. */
function movedScale(bundle: Bundle, network: PtychoNetwork): Record<string, Tensor> {
  const weights = { ...bundle.weights };
  const trained = weights[LOG_INTENSITY_SCALE];
  if (trained) {
    const shift = Math.log(network.spec.scale.intensityScale) - Math.log(bundle.scale.intensityScale);
    weights[LOG_INTENSITY_SCALE] = { data: trained.data.map((v) => v + shift), shape: trained.shape };
  }
  return weights;
}

function mismatch(bundle: StoredBundle, network: PtychoNetwork, otherwise: string): string {
  const [theirs, ours] = [bundle.config.model, network.spec.config] as readonly ModelConfig[];
  const differing = (Object.keys(ours) as (keyof ModelConfig)[]).filter((key) => theirs[key] !== ours[key]);
  const trained = (['intensity_scale_trainable', 'probe_trainable'] as const).filter(
    (key) => bundle.config[key] !== (network.spec[key] ?? false),
  );
  const [reference, own] = [bundle.config.input_reference, network.spec.inputReference ?? 'none'];
  const referenced = reference === own ? [] : [`input_reference ${reference} (here ${own})`];
  if (differing.length + trained.length + referenced.length === 0) return `init: ${bundle.path}: ${otherwise}`;
  const list = [
    ...differing.map((key) => `${key} ${String(theirs[key])} (here ${String(ours[key])})`),
    ...trained.map((key) => `${key} ${bundle.config[key]} (here ${network.spec[key] ?? false})`),
    ...referenced,
  ];
  return `init: ${bundle.path} is another network: ${list.join(', ')}; give the same values, or begin with fresh weights.`;
}

/** Patterns that the two scales of `rect_s1s2_init: data` are fitted to, in batches. */
const CALIBRATION_BATCHES = 4;

/** Patterns that the moments for `input_reference` are taken over. */
const REFERENCE_PATTERNS = 1024;

/** Batches in which they are read, in patterns. */
const REFERENCE_READ = 64;

/** What {@link freshWeights} takes of a configuration. */
type FreshConfig = Pick<TrainingConfig, 'seed' | 'batch_size' | 'model' | 'input_reference' | 'input_reference_share'>;

interface FreshData {
  readonly dataset: Pick<DiffractionDataset, 'batch'>;
  readonly groups: Int32Array;
  /** The groups of each of several scans. */
  readonly scans?: readonly Int32Array[];
}

/** The fixed parameters of `input_reference`, from training patterns as the network is fed them. */
async function inputReference(network: PtychoNetwork, config: FreshConfig, { dataset, groups }: FreshData) {
  const { scale, probeMask, badPixels } = network.spec;
  const { N, gridsize, gaussian_smoothing_sigma: smoothingSigma } = config.model;
  const counting = scale.countIntensity;
  const factor = counting && scale.intensityScale ** 2 * counting.rmsInputScale;
  const sums = new PatternSums(N * N);
  const members = gridsize ** 2;
  const chosen = spreadIndices(groups.length, Math.max(1, Math.floor(REFERENCE_PATTERNS / members)));
  const size = Math.max(1, Math.floor(REFERENCE_READ / members));
  for (let from = 0; from < chosen.length; from += size) {
    const { data } = (await dataset.batch(chosen.subarray(from, from + size).map((i) => groups[i]))).diffraction;
    sums.add(factor === undefined ? data : Float64Array.from(data, (v) => v * v * factor));
  }
  const { moments } = sums;
  const mean = moments.mean.map((v, i) => (badPixels?.[i] ? 0 : v));
  const reference =
    config.input_reference === 'constant'
      ? nearest(
          constantPattern(scale.probe, { probeMask, badPixels, counts: counting !== undefined, smoothingSigma }),
          mean,
        )
      : mean;
  return referenceParameters(moments, reference, config.input_reference_share);
}

/** The seed of the weights of a restart: 2³² times the golden ratio apart, so that neighbouring seeds share none. */
export const restartSeed = (seed: number, restart: number): number => (seed + restart * 0x9e3779b9) >>> 0;

/**
 * Fresh weights from the seed; of several scans each has what {@link freshOfScan} finds in its own groups.
 * @throws PtychoError from engine and data
 */
export async function freshWeights(
  network: PtychoNetwork,
  config: FreshConfig,
  { scans, ...data }: FreshData,
  backend: Backend,
): Promise<Record<string, Tensor>> {
  if (!scans) return freshOfScan(network, network.initialWeights(config.seed), config, data, backend);
  const initial = network.initialWeights(config.seed);
  const each: Readonly<Record<string, Tensor>>[] = [];
  for (const [i, groups] of scans.entries()) {
    const own = weightsOfScan(network, initial, i);
    each.push(await freshOfScan(network.ofScan(i), own, config, { ...data, groups }, backend));
  }
  return stackedWeights(network, each);
}

/**
 * Weights with the reference of `input_reference`; with `rect_s1s2_init: data` the scales s1 and s2 are fitted to the first batches.
 * @throws PtychoError from engine and data
 */
async function freshOfScan(
  network: PtychoNetwork,
  initial: Readonly<Record<string, Tensor>>,
  config: FreshConfig,
  data: FreshData,
  backend: Backend,
): Promise<Record<string, Tensor>> {
  const weights = {
    ...initial,
    ...(config.input_reference === 'none' ? {} : await inputReference(network, config, data)),
  };
  const { physics_forward_mode, rect_s1s2_init } = config.model;
  if (physics_forward_mode !== 'rectangular_scaled' || rect_s1s2_init !== 'data') return weights;
  const size = Math.min(config.batch_size, data.groups.length);
  const program = await backend.compile(network.calibrate(size));
  const state = await backend.createState(weights);
  const sums: Record<keyof RectangularMoments, number[]> = { normal: [], right: [], measured: [], predicted: [] };
  const batches = Math.min(CALIBRATION_BATCHES, Math.floor(data.groups.length / size));
  for (let b = 0; b < batches; b++) {
    const { diffraction, positions } = await data.dataset.batch(data.groups.subarray(b * size, (b + 1) * size));
    const outputs = await program.run({ input: diffraction, input_positions: positions }, state);
    for (const name of Object.keys(sums) as (keyof RectangularMoments)[]) {
      sums[name] = Array.from(outputs[name].data, (v, i) => v / batches + (sums[name][i] ?? 0));
    }
  }
  await state.dispose();
  await program.dispose();
  const { normal, right, measured, predicted } = sums;
  const { s1, s2 } = fitRectangular({ normal, right, measured: measured[0], predicted: predicted[0] });
  const [first, second] = RECTANGULAR_PARAMETERS;
  return {
    ...weights,
    [first]: { data: Float32Array.of(s1), shape: [] },
    [second]: { data: Float32Array.of(s2), shape: [] },
  };
}

/** Weights that another program trained, under our names, and what their file says besides. */

import { PtychoError } from '../../core/errors.js';
import type { ComplexTensor, Tensor } from '../../core/tensor.js';
import type { PublishedSide } from '../../networks/sides.js';

/** Whose network it is: they differ in activations that no shape tells. */
export type Family = 'pytorch' | 'tensorflow' | 'ptychopinn';

/** One array of the file that is a weight. */
export interface ForeignWeight {
  /** What the file calls it. */
  readonly source: string;
  readonly tensor: Tensor;
}

/** What was found in a file. */
export interface ForeignModel {
  readonly format: 'npz' | 'keras';
  readonly family: Family;
  /** By our name; the two decoders are `amplitude` and `phase` whatever they put out. */
  readonly weights: ReadonlyMap<string, ForeignWeight>;
  /** Of spectral networks: the fields of the model that names, shapes and settings tell. */
  readonly network?: Readonly<Record<string, unknown>> & {
    readonly architecture: string;
    readonly N: number;
    readonly gridsize: number;
  };
  /** Names in the file that have no counterpart here. */
  readonly unmapped: readonly string[];
  /** Keys of the `params` dictionary that the file gives. */
  readonly params: Readonly<Record<string, unknown>>;
  /** What the network multiplies an object with, in units of X. */
  readonly probe?: ComplexTensor;
  /** Of the published PyTorch forward model: with `intensity_scale_trainable` predicted amplitudes are α·A + β, in units of X. */
  readonly amplitudes?: { readonly alpha: number; readonly beta: number };
  /** e^ℓ, √counts per unit of X. */
  readonly intensityScale?: number;
}

/** Whether settings say that the published forward model scales and raises amplitudes; undefined where they say nothing. */
export function scalesAmplitudes(params: ForeignModel['params']): boolean | undefined {
  const said = params.intensity_scale_trainable ?? params['intensity_scale.trainable'];
  return typeof said === 'boolean' ? said : undefined;
}

/** What shapes tell about a network. */
export interface FoundStructure {
  /** The published side of its ladder; larger ones up to the next may have it, too. */
  readonly N: PublishedSide;
  readonly gridsize: number;
  readonly n_filters_scale: number;
  readonly cbam_encoder: boolean;
  readonly object_big: boolean;
  readonly pad_object: boolean;
  /** Whether the border branch is there. */
  readonly border: boolean;
  readonly architecture: 'cnn' | 'cnn_cbam';
}

/** Blocks of the encoder → side, and width of its first convolution before `n_filters_scale`. */
const LADDERS: Readonly<Record<number, { readonly N: FoundStructure['N']; readonly width: number }>> = {
  3: { N: 64, width: 32 },
  4: { N: 128, width: 16 },
  5: { N: 256, width: 8 },
};

/**
 * Reads the structure of a published network off the shapes of its weights.
 * @throws PtychoError MODEL_UNSUPPORTED where they are those of no published network.
 */
export function structureOf(weights: ForeignModel['weights'], family: Family, source: string): FoundStructure {
  const bad = (why: string) =>
    new PtychoError('MODEL_UNSUPPORTED', `${source} is no network that can be imported: ${why}.`, { path: source });
  const shapeOf = (name: string): readonly number[] => {
    const found = weights.get(name);
    if (found === undefined) throw bad(`it has no ${name} (names: ${someNames([...weights.keys()])})`);
    return found.tensor.shape;
  };
  let blocks = 0;
  while (weights.has(`encoder.${blocks}.conv1.weight`)) blocks++;
  const ladder = LADDERS[blocks];
  if (ladder === undefined) throw bad(`its encoder has ${blocks} blocks, expected 3, 4 or 5 (N from 16, 128, 256)`);
  const [width, channels] = shapeOf('encoder.0.conv1.weight');
  const n_filters_scale = width / ladder.width;
  const gridsize = Math.sqrt(channels);
  if (!Number.isInteger(n_filters_scale) || !Number.isInteger(gridsize)) {
    throw bad(`its first convolution has shape [${shapeOf('encoder.0.conv1.weight').join(', ')}]`);
  }
  const border = weights.has('amplitude.border.out.weight');
  const last = `amplitude.${blocks - 2}.conv2.weight`;
  const features = shapeOf(last)[0];
  const entry = weights.get('amplitude.border.conv1.weight')?.tensor.shape[1];
  // Without padding the block takes all features, and its place is another one.
  const pad_object = !weights.has('amplitude.full.out.weight') && entry !== features;
  const outputs = shapeOf(
    pad_object ? 'amplitude.centre.weight' : border ? 'amplitude.border.out.weight' : 'amplitude.full.out.weight',
  )[0];
  const cbam_encoder = weights.has('encoder.0.attention.channel.fc1.weight');
  // Where the family is not known: what the branch takes of the features, and its width, tell the two variants apart.
  const centre = weights.get('amplitude.centre.weight')?.tensor.shape[1];
  const wide = weights.get(`amplitude.${border ? 'border' : 'full'}.conv1.weight`)?.tensor.shape[0];
  const ofTorch =
    cbam_encoder ||
    (centre !== undefined && features - centre !== 4) ||
    (ladder.N !== 64 && wide === 32 * n_filters_scale);
  return {
    N: ladder.N,
    gridsize,
    n_filters_scale,
    cbam_encoder,
    object_big: outputs === channels,
    pad_object,
    border,
    architecture: family === 'pytorch' || (family === 'ptychopinn' && ofTorch) ? 'cnn_cbam' : 'cnn',
  };
}

/** A list of names that stays readable. */
export function someNames(names: readonly string[], most = 12): string {
  const rest = names.length - most;
  return names.slice(0, most).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

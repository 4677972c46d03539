/** What a Ptychodus-style host gives to a reconstructor and gets from it (both generations of the host's interface). */

import { PtychoError } from '../../core/errors.js';
import type { ComplexImage, NumericArray, Tensor } from '../../core/tensor.js';
import type { Product } from '../../persistence/product/product.js';

/** Measured patterns in memory, (n, height, width) counts; `indexes` name them as the product's positions do (0, 1, 2 … if left out). */
export interface PatternStack extends Tensor<NumericArray> {
  readonly indexes?: ArrayLike<number>;
}

/** What is reconstructed. */
export interface ReconstructInput {
  /** In memory, or the path of a file that any of our readers knows (Ptychodus' `diffraction.h5`, say). */
  readonly patterns: PatternStack | string;
  /** (height, width), other than 0 where a pixel cannot be used. */
  readonly badPixels?: ArrayLike<number> | null;
  readonly product: Product;
  readonly signal?: AbortSignal;
}

/** A preview, or, where `progress` has reached `progressGoal`, the result. */
export interface ReconstructOutput {
  /** The input's product with the object (in the input object's geometry) and losses filled in; of a solver also the probe. */
  readonly product: Product;
  readonly progress: number;
  readonly progressGoal: number;
  /** Exit code: 0 where all is well. */
  readonly result: number;
  /** The image as stitched, in a frame of its own. */
  readonly preview?: ComplexImage;
}

/** The loss of one epoch. */
export interface LossValue {
  readonly epoch: number;
  readonly value: number;
}

/** How far training has come; all epochs so far. */
export interface TrainOutput {
  readonly trainingLoss: readonly LossValue[];
  readonly validationLoss: readonly LossValue[];
  readonly progress: number;
  readonly progressGoal: number;
  readonly result: number;
}

/** Something that turns patterns into an object. */
export interface Reconstructor {
  readonly name: string;
  /** True for a {@link TrainableReconstructor}. */
  readonly isTrainable: boolean;
  /** Steps of `progress` until the end; 0 where that is not known. */
  progressGoal(): number;
  /** Previews as they come; the last one is the result. */
  reconstruct(input: ReconstructInput): AsyncIterable<ReconstructOutput>;
}

/** What is known of a model that was opened. */
export interface ModelInfo {
  readonly path: string;
  readonly N: number;
  readonly gridsize: number;
  readonly modelType: 'pinn' | 'supervised';
  readonly architecture: string;
  /** Backend that trained it. */
  readonly backend: string;
}

/** A reconstructor that learns. */
export interface TrainableReconstructor extends Reconstructor {
  readonly isTrainable: true;
  /** True when a model is open. */
  isModelLoaded(): boolean;
  /** What is known of the model that is open; undefined where none is. */
  readonly modelInfo: ModelInfo | undefined;
  /** As file dialogs show them: `Zipped Archive (*.zip)`. */
  readonly modelFileFilter: string;
  readonly modelFileExtension: string;
  readonly trainingDataFileFilter: string;
  /** Opens a bundle; a model that was open before is let go of. */
  openModel(path: string): Promise<ModelInfo>;
  /** The same under the newer host's name. */
  loadModelFromFile(path: string): Promise<ModelInfo>;
  /** Writes the open model as a bundle. */
  saveModel(path: string): Promise<void>;
  /** Writes patterns and product as a scan to train on. */
  exportTrainingData(path: string, input: ReconstructInput): Promise<void>;
  /** The folder that training data belong in. */
  trainingDataPath(): string;
  /** Trains on `train_data.npz` (and `test_data.npz`) of a folder; the model is opened and saved in `outputDir` at the end. */
  train(inputDir: string, outputDir?: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<TrainOutput>;
  /** Releases the engine. */
  dispose(): Promise<void>;
}

/** Reconstructors under one name, with a logger of their own. */
export interface ReconstructorLibrary extends Iterable<Reconstructor> {
  readonly name: string;
  readonly logger: LibraryLogger;
}

/** Python's level names, which the host shows. */
export type LogLevel = 'CRITICAL' | 'ERROR' | 'WARNING' | 'INFO' | 'DEBUG';

/** A library's log, for the host's log pane. */
export interface LibraryLogger {
  readonly level: LogLevel;
  setLevel(level: LogLevel): void;
  /** Hears every record at or above the level; returns how to stop. */
  onRecord(hear: (record: { readonly level: LogLevel; readonly message: string }) => void): () => void;
}

/** True for a reconstructor that has, or learns, a model. */
export function isTrainable(reconstructor: Reconstructor): reconstructor is TrainableReconstructor {
  return reconstructor.isTrainable;
}

/**
 * The reconstructor, as one that learns.
 * @param what what is asked of it: `open one`
 * @throws PtychoError USAGE for one that computes without a model
 */
export function requireTrainable(reconstructor: Reconstructor, what: string): TrainableReconstructor {
  if (isTrainable(reconstructor)) return reconstructor;
  throw new PtychoError(
    'USAGE',
    `${reconstructor.name} computes without a model and cannot ${what}; take PtychoPINN/PINN or PtychoPINN/Supervised for that.`,
    { reconstructor: reconstructor.name },
  );
}

/** All is well. */
export const RESULT_OK = 0;
/** Stopped by its signal: what came before is usable, but not all of it. */
export const RESULT_CANCELLED = 130;

/** What a session shows to the page: plain values and arrays, which go from thread to thread. */
import type { SolverOptions } from '../../config/schemas/solver.js';
import type { ComplexImage, ComplexTensor, Tensor } from '../../core/tensor.js';
import type { Finding } from '../../data/findings/finding.js';
import type { OpenDatasetOptions } from '../../data/options.js';
import type { RawData } from '../../data/rawData.js';
import type { Resolutions } from '../../evaluation/frc.js';
import type { Frame } from '../../reconstruction/frame.js';
import type { ImageOptions, RefineOptions } from '../../reconstruction/pipeline.js';
import type { SolverRecord } from '../../solvers/updates.js';
import type { TrainingOptions } from '../../training/train.js';

/** How a scan is opened: fields of the block `data` and a few more, by the names of the command line. */
export type OpenOptions = Omit<OpenDatasetOptions, 'logger'> & {
  /** Codes of findings that do not stop it. */
  readonly accept?: readonly string[];
};

/** An opened scan. */
export interface ScanView
  extends Pick<
    RawData,
    | 'count'
    | 'N'
    | 'format'
    | 'domain'
    | 'domainReason'
    | 'xcoords'
    | 'ycoords'
    | 'geometry'
    | 'orientation'
    | 'metadata'
    | 'notes'
    | 'badPixels'
    | 'probeGuess'
    | 'objectGuess'
    | 'sampleIndices'
  > {
  /** What other calls name it by. */
  readonly scan: number;
  readonly path: string;
  /** (count) Σ d² of each pattern: its counts, in count domains. */
  readonly power: Float64Array;
  readonly findings: readonly Finding[];
}

/** How a solver is run. */
export interface SolveRequest {
  /** Options of the algorithm, by the names of the command line (docs/configuration.md). */
  readonly options?: Partial<SolverOptions>;
  /** Threads; all that the page may use where not given. */
  readonly threads?: number;
  /** Who computes: `cpu` where not given; `auto` and `webgpu` need the engine's files, as sides do that are odd. */
  readonly accelerator?: 'auto' | 'webgpu' | 'cpu';
  /** Images and probes are shown this often, in seconds; 0.5, and 0 for every epoch. */
  readonly showEvery_s?: number;
  /** A folder where the state is kept after every so many epochs, so that the run survives a reload: see {@link SolveRequest.resume}. */
  readonly stateFolder?: string;
  /** Seconds between states; 5. */
  readonly stateEvery_s?: number;
  /** Goes on from the state in this folder. */
  readonly resume?: string;
  /** Begins from the image (and probe) of an earlier result. */
  readonly from?: number;
}

/** An epoch of a solver. */
export interface SolveUpdate extends SolverRecord {
  readonly epochs: number;
  /** Seconds since the run began, pauses left out. */
  readonly seconds: number;
  /** There as often as the request says. */
  readonly shown?: ShownImage;
}

/** An image where it lies. */
export interface ShownImage {
  readonly image: ComplexImage;
  readonly frame: Frame;
  /** Light that fell on each pixel, 1 at the brightest, or the weight of the patches there; 0 where there was none. */
  readonly coverage: Tensor;
  /** (N, N) or (modes, N, N). */
  readonly probe?: ComplexTensor;
  readonly positions?: { readonly xs: Float64Array; readonly ys: Float64Array };
}

/** A finished image. It stays in the session, for saving and comparing, until it is dropped. */
export interface ResultView extends ShownImage {
  /** What other calls name it by. */
  readonly result: number;
  readonly kind: 'solved' | 'inferred' | 'file';
  /** `rPIE`, `PtychoPINN cnn`. */
  readonly title: string;
  /** Of solvers: R over all patterns. */
  readonly rFactor?: number;
  readonly loss?: number;
  readonly history: readonly SolverRecord[];
  readonly engine?: string;
  readonly patterns?: number;
  readonly seconds?: number;
  readonly cancelled: boolean;
  /** Side of a pixel, where that is known. */
  readonly pixel_m?: { readonly x: number; readonly y: number };
}

/** How a network makes an image of a scan. */
export interface InferRequest {
  /** Fields of the configuration of `infer` that concern the image. */
  readonly options?: Omit<ImageOptions, 'signal' | 'onProgress' | 'logger' | 'onPatches'> & RefineOptions;
  readonly showEvery_s?: number;
}

/** The image so far. */
export interface InferUpdate {
  readonly patterns: number;
  readonly total: number;
  readonly rate: number;
  readonly shown: ShownImage;
}

/** How a network is trained. */
export interface TrainRequest {
  /** Any part of a training configuration, by the names of the command line. */
  readonly config?: TrainingOptions;
  /** The image of the network is shown this often, in seconds; null: never. 10 where not given. */
  readonly showEvery_s?: number | null;
}

/** An epoch of a training. */
export interface TrainUpdate {
  readonly epoch: number;
  readonly epochs: number;
  /** Columns of `history.csv`. */
  readonly record: Readonly<Record<string, number | null>>;
  readonly shown?: ShownImage;
}

/** A model in the session. */
export interface ModelView {
  readonly model: number;
  readonly title: string;
  readonly N: number;
  readonly gridsize: number;
  readonly epochs: number;
  readonly history: readonly Readonly<Record<string, number | null>>[];
  /** `onnxruntime-web 1.30.0 (wasm)`. */
  readonly engine: string;
  readonly device: string;
  readonly threads: number;
  readonly config: unknown;
}

/** What a result is saved as. */
export type SaveFormat = 'npz' | 'product' | 'tiff' | 'cxi' | 'svg';

/** Two images on the same pixels. */
export interface CompareView {
  readonly a: ComplexImage;
  /** Moved onto the first and scaled to it by one complex factor. */
  readonly b: ComplexImage;
  readonly frame: Frame;
  /** By how much the second was moved, and whether that can be relied on. */
  readonly registration: {
    readonly shiftYxPx: readonly [number, number];
    readonly succeeded: boolean;
    readonly reason?: string;
  };
  /** ‖a − b‖ / ‖a‖ over the pixels that both cover. */
  readonly relativeError: number;
  /** Correlation of each ring to Nyquist, and the half-bit threshold. */
  readonly frc: { readonly curve: Float64Array; readonly threshold: Float64Array; readonly side_px: number };
  readonly resolutions: Resolutions;
}

/** A field of a command, for forms: as the command line has it. */
export interface FormField {
  readonly name: string;
  readonly section: string;
  readonly description: string;
  readonly kind: string;
  readonly expected: string;
  readonly unit: string | null;
  readonly choices: readonly (string | number)[] | null;
  readonly nullable: boolean;
  readonly required: boolean;
  readonly fallback: unknown;
}

/** A file of the page. */
export interface PageFileView {
  readonly path: string;
  readonly bytes: number;
}

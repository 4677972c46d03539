/** What a solver begins with, what it is given besides options, and what each of its epochs shows. */
import type { ProgressSink } from '../core/log.js';
import type { ComplexImage, ComplexTensor, NumericArray, Tensor } from '../core/tensor.js';
import type { ObjectLayers } from '../physics/layers.js';
import type { Frame } from '../reconstruction/frame.js';
import type { AffineFound } from './corrections/affine.js';
import type { BackgroundFound } from './corrections/background.js';
import type { BeamFound } from './corrections/beam.js';
import type { PassesChoice } from './openPasses.js';
import type { LoadedScan, Share } from './scan.js';

/** What a solver begins with, where not with an empty object and the scan's own probe. */
export interface SolverStart {
  /** An image of the object, in amplitudes relative to the probe; where it does not reach, its mean stands for it. */
  readonly object?: {
    readonly image: ComplexImage;
    readonly frame: Frame;
    readonly covered?: Tensor;
    readonly layers?: ObjectLayers;
  };
  /** (N, N) or (modes, N, N). */
  readonly probe?: ComplexTensor;
  /** Epochs that led here, by which the order of the patterns and what depends on the epoch go on; 0. */
  readonly epoch?: number;
  /** Where the patterns are by now, in the pixels of the scan; limits still count from where they were measured. */
  readonly positions?: { readonly xs: Float64Array; readonly ys: Float64Array };
  /** How the beam changed over the scan, for `opr_modes` and `flux`. */
  readonly beam?: BeamFound;
  /** What the detector saw beside the sample, for `background`. */
  readonly background?: BackgroundFound;
  /** What was wrong of all positions, for `affine`: from there on limits count. */
  readonly affine?: Pick<AffineFound, 'matrix_yx'>;
  /** Of several scans what they had come to, as an update of the same scans gave it: their probes, and how far they lie apart. */
  readonly together?: FoundTogether;
}

/** What to give `solve` besides options. */
export interface SolveServices extends PassesChoice {
  readonly start?: SolverStart;
  /** Goes on from a state that {@link SolverUpdate.snapshot} gave, of the same scan and options. */
  readonly resume?: SolverSnapshot;
  /** Patterns that object and probe do not learn from, so that they can tell how well the others explain them; their positions and beams follow. */
  readonly heldOut?: Int32Array;
  /** The scan in memory, where it was loaded before; its positions are not moved. */
  readonly loaded?: LoadedScan;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

/** Everything that the next epoch depends on. */
export interface SolverSnapshot {
  readonly epoch: number;
  readonly arrays: Readonly<Record<string, NumericArray>>;
  readonly history: readonly SolverRecord[];
}

/** One epoch in numbers. */
export interface SolverRecord {
  readonly epoch: number;
  /** Σ(√I − √J)²/ΣI over the epoch, each batch before its step (the difference map: after the epoch's step). */
  readonly loss: number;
  /** Σ|√I − √J|/Σ√I, likewise. */
  readonly rFactor: number;
  /** Root mean square distance of the positions from where they were measured. */
  readonly shift_px: number;
}

/** What several scans came to that are solved as one; `scansOf` takes it apart. */
export interface FoundTogether {
  readonly share: Share;
  /** (scans + 1,) the first pattern of each among all, then how many these are. */
  readonly firsts: Int32Array;
  /** What each is called. */
  readonly sources: readonly string[];
  /** [y, x] pixels that were added to the positions of each scan: how far it lies apart, or where its object was laid. */
  readonly shifts_yx_px: readonly (readonly [number, number])[];
  /** (N, N) or (modes, N, N), of each scan where the object is shared; else the one. */
  readonly probes: readonly ComplexTensor[];
  /** Where offsets of scans of one object are followed: all that goes on from epoch to epoch, for {@link SolverStart.together}. */
  readonly offsets?: OffsetState;
}

/** How far scans lie apart, (scans, 2) [y, x] each. */
export interface OffsetState {
  /** What was added to the positions of each scan as the run began, and what came to it since. */
  readonly placed: Float64Array;
  readonly moved: Float64Array;
  /** The middle of the light of each probe that the run began with. */
  readonly centres: Float64Array;
}

/** How well patterns are explained, one by one. */
export interface PatternMisfits {
  /** Σ|√I − √J|. */
  readonly misfit: Float64Array;
  /** Σ√I. */
  readonly measured: Float64Array;
}

/** The state after an epoch; the functions copy what is asked for. */
export interface SolverUpdate extends SolverRecord {
  readonly epochs: number;
  readonly history: readonly SolverRecord[];
  /** What computes. */
  readonly engine: string;
  /** The object as it stands, copied. */
  object(): { readonly image: ComplexImage; readonly frame: Frame };
  /** Its slices, (slices, height, width), where it has several: `object` is their product. Copied. */
  layers(): ObjectLayers | undefined;
  /** Light that fell on each pixel of the object over the scan, 1 at the brightest; 0 where below 1 %. */
  coverage(): Tensor;
  /** (N, N), or (modes, N, N); of several scans with a probe each, that of the first. */
  probe(): ComplexTensor;
  /** How the beam changed over the scan, copied; undefined where that is not fitted. */
  beam(): BeamFound | undefined;
  /** What was wrong of all positions; undefined where that is not corrected. */
  affine(): AffineFound | undefined;
  /** What the detector saw beside the sample, copied; undefined where that is not fitted. */
  background(): BackgroundFound | undefined;
  /** What several scans came to that are solved as one, copied; undefined for one scan. */
  together(): FoundTogether | undefined;
  /** In the pixels of the scan. */
  positions(): { readonly xs: Float64Array; readonly ys: Float64Array };
  /** Where light fell: the positions, or all points of their ways. */
  lit(): { readonly xs: Float64Array; readonly ys: Float64Array };
  /** Loss and R of all patterns as things stand; one more pass. */
  measure(): Promise<{ readonly loss: number; readonly rFactor: number }>;
  /** Σ|√I − √J| and Σ√I of each of some patterns as things stand. */
  misfits(patterns: Int32Array): Promise<PatternMisfits>;
  /** The deviance of Poisson statistics, 2Σ(J − I + I·ln(I/J)), of each of some patterns as things stand; of one slice. */
  deviances(patterns: Int32Array): Promise<Float64Array>;
  /** All that the run needs to continue from here, copied. */
  snapshot(): SolverSnapshot;
  /** The same, not copied: until the next update, and never to be written to. */
  state(): SolverSnapshot;
  /** Where the object lies. */
  readonly frame: Frame;
}

/** What a training begins from, where it stands after an epoch, and what it comes to. */
import type { Backend } from '../backends/backend.js';
import type { TrainingConfig } from '../config/schema.js';
import type { PtychoError } from '../core/errors.js';
import type { Logger, ProgressSink } from '../core/log.js';
import type { RngState } from '../core/rng.js';
import type { Tensor } from '../core/tensor.js';
import type { DiffractionDataset } from '../data/dataset.js';
import type { StartLimits } from './attempt.js';
import type { EpochJudge, EpochRecord } from './judge.js';
import type { TrainableNetwork, TrainPart } from './programs.js';

/** Tensors by name. */
export type Tensors = Record<string, Tensor>;

/** Where a run stands after an epoch. */
export interface LoopState {
  readonly epoch: number;
  readonly history: readonly EpochRecord[];
  /** The shuffling, after this epoch's. */
  readonly shuffle: RngState;
  /** Everything that the engine holds: weights, optimiser, averages. */
  readonly state: Readonly<Tensors>;
  readonly best: {
    readonly epoch: number;
    readonly weights: Readonly<Tensors>;
    readonly positions?: Readonly<Tensors>;
  };
  /** State of the refinement of scan positions. */
  readonly positions?: Readonly<Tensors>;
}

/** What may be looked at when an epoch has ended. */
export interface EpochView {
  readonly judge: EpochJudge;
  /** The weights that would be saved now: averages where they are kept. */
  weights(): Promise<Tensors>;
  /** Everything; reads the engine's state. */
  snapshot(): Promise<LoopState>;
}

/** The training part needs positions only where they move. */
export interface TrainingPart extends TrainPart {
  readonly dataset: TrainPart['dataset'] & {
    readonly raw: Pick<DiffractionDataset['raw'], 'xcoords' | 'ycoords'>;
    /** Where the patterns of each of several scans begin. */
    readonly parts?: readonly { readonly firstPattern: number }[];
  };
}

/** One of several scans, on which a run is judged apart. */
export interface JudgedScan {
  /** What it is called. */
  readonly name: string;
  /** Its groups that validate. */
  readonly validation: Int32Array;
  /** The amplitude loss of the best constant object on them. */
  readonly constantLoss: number;
}

export interface TrainLoopInput {
  readonly config: TrainingConfig;
  readonly network: TrainableNetwork;
  readonly backend: Backend;
  readonly training: TrainingPart;
  /** Held-out groups, of the same or of another data set. */
  readonly validation?: TrainPart;
  /** The scans, where there are several; their groups that validate are those of `validation`. */
  readonly scans?: readonly JudgedScan[];
  /** Weights to begin with; fresh ones where not given. */
  readonly initialWeights?: Readonly<Tensors>;
  /** Weights for restart 1, 2, … of `auto_restart`; not given: a flat start is only told of. */
  readonly restartWeights?: (restart: number) => Promise<Readonly<Tensors>>;
  /** The amplitude loss of the best constant object on the groups that validate (or train, where none do); shown beside the network's. */
  readonly constantLoss?: number;
  /** When a start is judged, and by what. */
  readonly startLimits?: StartLimits;
  /** Goes on from here. */
  readonly from?: LoopState;
  readonly signal?: AbortSignal;
  readonly logger?: Logger;
  readonly onProgress?: ProgressSink;
  /** Called after every complete epoch, and awaited. */
  readonly onEpoch?: (record: EpochRecord, view: EpochView) => Promise<void> | void;
}

export interface TrainLoopResult {
  readonly history: readonly EpochRecord[];
  readonly bestEpoch: number;
  /** The monitored value of the best epoch. */
  readonly bestLoss: number;
  /** The column of the history that chose it. */
  readonly monitored: string;
  /** Weights of the best epoch. */
  readonly weights: Readonly<Tensors>;
  /** Refined scan positions of the best epoch, pixels, where they were trained. */
  readonly positions?: { readonly xs: Float64Array; readonly ys: Float64Array };
  readonly cancelled: boolean;
  /** How often it began again from fresh weights. */
  readonly restarts: number;
  /** Stopped by `early_stop_patience`. */
  readonly stoppedEarly: boolean;
  /** Why the run could not go on; what came before is whole. */
  readonly failure?: PtychoError;
  readonly seconds: number;
  readonly patternsSeen: number;
}

/** What the algorithms have in common. */
import type { Batching, SolverAlgorithm, SolverOptions } from '../../config/schemas/solver.js';
import type { NumericArray } from '../../core/tensor.js';
import type { BackgroundCorrection } from '../corrections/background.js';
import type { BeamCorrection } from '../corrections/beam.js';
import type { PositionCorrection } from '../corrections/positions.js';
import type { PassSums, SolverScan, WavePasses } from '../wavePasses.js';
import type { Batches, BatchLengths } from './batches.js';

/** What an epoch may change. */
export interface EpochSchedule {
  readonly object: boolean;
  readonly probe: boolean;
  readonly positions: boolean;
  /** Positions together, not each for itself: by the moves that patterns ask for, or the turn that is seen within patches. */
  readonly affine: 'moves' | 'turn' | undefined;
  /** Each for itself, and drawn to what they have in common. */
  readonly relaxed: boolean;
  /** The background. */
  readonly background: boolean;
  /** Whether beams are told apart. */
  readonly beam: boolean;
}

/** What an algorithm works with. */
export interface AlgorithmContext {
  readonly passes: WavePasses;
  readonly scan: SolverScan;
  /** The patterns that it works on; all but those that are held out. */
  readonly rows: Int32Array;
  readonly options: SolverOptions;
  readonly batchSize: number;
  readonly batches: Batches;
  readonly positions: PositionCorrection;
  readonly beam?: BeamCorrection;
  readonly background?: BackgroundCorrection;
  /** Called between batches; throws when the work is to stop. */
  onBatch(done: number): void;
}

type Floats = Float32Array<ArrayBufferLike>;

/** One algorithm at work on one scan. */
export interface Algorithm {
  /** Before the first epoch, and after fields were put in from outside. */
  start(): Promise<void>;
  /** All patterns once; the sums are of the exit waves as the patterns came. @param epoch from 1 */
  epoch(epoch: number, schedule: EpochSchedule): Promise<PassSums>;
  /** Light on the object over the last epoch, where it is known; 0 everywhere before there was one. */
  light?(): ArrayLike<number> | undefined;
  /** Planes that lie as the object and as the probe do: they are moved along when these are. */
  carried?(): { readonly object: readonly Floats[]; readonly probe: readonly Floats[] };
  /** What goes on from epoch to epoch besides object, probe and positions. */
  saved(): Record<string, NumericArray>;
  /** @param saved what {@link saved} answered */
  restore(saved: Readonly<Record<string, NumericArray>>): void;
  /** Lets go of what an engine holds for it. */
  close?(): Promise<void>;
}

/** What an algorithm needs of its passes, and what its options default to. */
export interface AlgorithmTraits {
  readonly keepsBatches: boolean;
  readonly storesWaves: boolean;
  readonly object_step: number;
  readonly probe_step: number;
  readonly object_regularisation: number;
  readonly probe_regularisation: number;
  readonly batching: Batching;
  readonly acceleration: number;
  /** For n patterns. */
  batchSize(count: number): number;
}

const between = (low: number, value: number, high: number) => Math.min(high, Math.max(low, Math.round(value)));

/** Batches of 16–32: fewer patterns make slower epochs that gain more, until the steps of a batch contradict each other. */
const pieBatch = (count: number) => between(16, count / 8, 32);

const PIE = {
  keepsBatches: false,
  storesWaves: false,
  batching: 'uniform',
  acceleration: 0.7,
  batchSize: pieBatch,
} as const;

const steps = (step: number, object_regularisation: number, probe_regularisation = object_regularisation) => ({
  ...{ object_step: step, probe_step: step },
  ...{ object_regularisation, probe_regularisation },
});

const ALL_AT_ONCE = {
  ...PIE,
  batching: 'random',
  acceleration: 0,
  batchSize: (count: number) => Math.min(count, 256),
} as const;

export const TRAITS: Readonly<Record<SolverAlgorithm, AlgorithmTraits>> = {
  rpie: { ...PIE, ...steps(0.7, 0.5) },
  epie: { ...PIE, ...steps(1, 1) },
  pie: { ...PIE, ...steps(1, 0.1) },
  lsqml: { ...PIE, keepsBatches: true, ...steps(0.9, 0.1, 0) },
  dm: { ...ALL_AT_ONCE, storesWaves: true, ...steps(1, 0.005) },
  ml: { ...ALL_AT_ONCE, ...steps(1, 0.1) },
};

/** Batches of near fields: every pattern sees nearly the whole object, so that few of them know enough, and more steps gain more. */
const nearBatch = (count: number) => between(4, count / 16, 8);

/**
 * In the first epochs three a batch gain most. Kept on, they end with up to a sixth more error where counts are few; two do so at once, and
 * one alone leads rPIE astray at short distances (docs/solvers.md, eleven scans).
 */
const NEAR_EARLY = { size: 3, epochs: 30 } as const;

/** How patterns are shared out where `batch_size` leaves it open. @param near images behind the sample */
export function batchLengths(options: SolverOptions, count: number, near: boolean): BatchLengths {
  const { batch_size, algorithm, opr_modes } = options;
  const whole = (size: number) => Math.min(count, size);
  if (batch_size !== null) return { size: whole(batch_size) };
  const traits = TRAITS[algorithm];
  if (!near || isOfAllPatterns(algorithm)) return { size: whole(traits.batchSize(count)) };
  const size = whole(nearBatch(count));
  // Beams are told apart by how the patterns of a batch differ: that takes more of them.
  return opr_modes > 0 || size <= NEAR_EARLY.size ? { size } : { size, early: NEAR_EARLY };
}

const isOfAllPatterns = (algorithm: SolverAlgorithm) => algorithm === 'dm' || algorithm === 'ml';

/** What near fields find slowly is coarse, and always to the same side: epochs are carried on further (docs/solvers.md). */
const NEAR_ACCELERATION = 0.95;

/** The same of the difference map: less of what is found slowly is drawn back in every epoch. */
const NEAR_RELAXATION = 0.9;

/** Of the object in the difference map: more draws its dim rim to 0, which with so little relaxation ends in divergence. */
const NEAR_HOLD = 5e-4;

/** Options where patterns are near fields: what they leave open has other defaults. */
export function nearFieldOptions(options: SolverOptions): SolverOptions {
  if (options.algorithm === 'ml') return options;
  if (options.algorithm === 'dm') {
    const { relaxation, object_regularisation } = options;
    return {
      ...options,
      relaxation: relaxation ?? NEAR_RELAXATION,
      object_regularisation: object_regularisation ?? NEAR_HOLD,
    };
  }
  const { acceleration, momentum, algorithm } = options;
  const steady = momentum > 0 && algorithm !== 'lsqml';
  const hold = algorithm === 'rpie' ? 0.1 : null;
  return {
    ...options,
    acceleration: acceleration ?? (steady ? null : NEAR_ACCELERATION),
    object_regularisation: options.object_regularisation ?? hold,
    probe_regularisation: options.probe_regularisation ?? hold,
  };
}

/** The algorithm's own value where the options leave it open. */
export function factor(
  options: SolverOptions,
  name: 'object_step' | 'probe_step' | 'object_regularisation' | 'probe_regularisation',
): number {
  return options[name] ?? TRAITS[options.algorithm][name];
}

/** How patterns are shared out. */
export const batchingOf = ({ batching, algorithm }: SolverOptions): Batching => batching ?? TRAITS[algorithm].batching;

/** How far epochs are carried on: not at all where steps have momentum of their own, or waves would not follow. */
export const accelerationOf = ({ acceleration, algorithm, momentum }: SolverOptions): number => {
  if (TRAITS[algorithm].storesWaves) return 0;
  return acceleration ?? (momentum > 0 && algorithm !== 'lsqml' ? 0 : TRAITS[algorithm].acceleration);
};

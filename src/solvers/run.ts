/**
 * A solver run to its end, or to where it is stopped: what it came to is copied out of the solver's memory, so that it outlives it.
 *
 * @example
 * const { image, frame, rFactor } = await runSolver(raw, { algorithm: 'rpie', epochs: 40 });
 */

import { completeConfig } from '../config/resolve.js';
import type { SolverOptions } from '../config/schemas/solver.js';
import { solverDefinition } from '../config/solverDefinition.js';
import { isPtychoError, requireObject } from '../core/errors.js';
import type { ProgressSink } from '../core/log.js';
import type { ComplexImage, ComplexTensor, Tensor } from '../core/tensor.js';
import { type ObjectLayers, projection } from '../physics/layers.js';
import type { Frame } from '../reconstruction/frame.js';
import type { WrittenImage } from '../reconstruction/pictures.js';
import type { AffineFound } from './corrections/affine.js';
import type { BackgroundFound } from './corrections/background.js';
import type { BeamFound } from './corrections/beam.js';
import { requireFiniteFields } from './finite.js';
import { stateBytes } from './memory.js';
import { lightOnObject } from './probe.js';
import { type ScanToSolve, scansOfPatterns } from './scan.js';
import { asSlices } from './slices.js';
import { solve } from './solve.js';
import type { FoundTogether, SolverRecord, SolverSnapshot, SolverUpdate, SolveServices } from './updates.js';

/** A state of a run, copied: an image as `writeReconstruction`, `display` and `scoreAgainstTruth` take it. */
export interface SolvedImage extends WrittenImage {
  readonly epoch: number;
  readonly image: ComplexImage;
  readonly frame: Frame;
  /** Light that fell on each pixel, 1 at the brightest; 0 where next to none did. It stands for the number and the weight of patches, too. */
  readonly coverage: Tensor;
  /** (N, N) or (modes, N, N); of several scans with a probe each, that of the first. */
  readonly probe: ComplexTensor;
  /** How the beam changed over the scan, where that was fitted (`opr_modes`, `flux`). */
  readonly beam?: BeamFound;
  /** What the detector saw beside the sample, where that was fitted (`background`). */
  readonly background?: BackgroundFound;
  readonly positions: { readonly xs: Float64Array; readonly ys: Float64Array };
  /** What was wrong of all positions, where that was corrected (`affine`). */
  readonly affine?: AffineFound;
  /** The slices whose product `image` is, where there are several. */
  readonly layers?: ObjectLayers;
  /** Of several scans that were solved as one; `scansOf` takes them apart. */
  readonly together?: FoundTogether;
}

/** What a run came to. */
export interface SolverResult extends SolvedImage {
  /** One row an epoch, the start (epoch 0) first. */
  readonly history: readonly SolverRecord[];
  readonly loss: number;
  readonly rFactor: number;
  /** Both are over all patterns as things stand; otherwise they are those of the last epoch's steps, because the run was stopped. */
  readonly measured: boolean;
  readonly snapshot: SolverSnapshot;
  readonly engine: string;
  /** Epochs of this run and how long they took, without reading the patterns and what `RunServices.onEpoch` does. */
  readonly epochsDone: number;
  readonly seconds: number;
  readonly cancelled: boolean;
}

/** What a run takes besides scan and options. */
export interface RunServices extends SolveServices {
  /** After the start (epoch 0) and every epoch; the run waits for it. */
  readonly onEpoch?: (update: SolverUpdate) => Promise<void>;
  /** Where an engine or a thread failed after the first epoch: hears of the state after the last one that was finished, and then the run throws. */
  readonly onFailure?: (state: SolverSnapshot) => Promise<void>;
  /** A state beyond this is not copied after every epoch; 256 MiB where not given. */
  readonly heldBytes?: number;
}

/**
 * Runs a solver. Stopped by the signal it ends after the batch and gives the state after the last epoch; where that is too large to
 * be kept in memory beside the work (exit waves of a difference map, an object of many thousand pixels a side), it ends after the epoch.
 * @throws PtychoError those of `solve`; CANCELLED before the first epoch is done; ENGINE_FAILURE for a thread or an engine that is gone
 */
export async function runSolver(
  raw: ScanToSolve,
  given: Partial<SolverOptions> = {},
  services: RunServices = {},
): Promise<SolverResult> {
  requireObject(raw, 'runSolver takes an open scan first, as openScan or rawDataFromArrays gives it', ['patterns']);
  const { signal, onEpoch, onFailure, heldBytes = 2 ** 28, ...others } = services;
  const options = completeConfig(solverDefinition, given, services.logger);
  // Exit waves, and the pairs of maximum likelihood, which are there from its first epoch on.
  let large = stateBytes(raw, options) > heldBytes;
  const inner = new AbortController();
  let begun = false;
  const stop = () => {
    if (!begun || !large) inner.abort();
  };
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop);
  const clock = { seconds: 0, since: performance.now(), epochs: 0 };
  const result = (kept: KeptState, { loss, rFactor }: Scores, measured: boolean): SolverResult => ({
    ...imageOf(kept),
    ...{ loss, rFactor, measured },
    cancelled: kept.epoch < kept.epochs,
    history: kept.snapshot.history,
    snapshot: kept.snapshot,
    engine: kept.engine,
    epochsDone: clock.epochs,
    seconds: clock.seconds,
  });
  const onProgress: ProgressSink = (event) => {
    if (event.stage === 'reading') clock.since = performance.now();
    others.onProgress?.(event);
  };
  let held: KeptState | undefined;
  let finished = 0;
  try {
    for await (const update of solve(raw, options, { ...others, onProgress, signal: inner.signal })) {
      begun = true;
      finished = update.epoch;
      if (update.epoch > (others.resume?.epoch ?? 0)) {
        clock.seconds += (performance.now() - clock.since) / 1000;
        clock.epochs++;
      }
      await onEpoch?.(update);
      const stopped = signal?.aborted === true && clock.epochs > 0;
      if (stopped || update.epoch === update.epochs) {
        // Nothing works on after this: what is too large to be copied is handed over.
        held = keepState(update, large ? update.state() : update.snapshot());
        const scores = await update.measure();
        // Numbers may be finite and yet too large for what they explain.
        requireFiniteFields(
          { 'the misfit': [Object.values(scores)] },
          `${options.algorithm} diverged in epoch ${update.epoch}`,
        );
        return result(held, scores, true);
      }
      if (clock.epochs > 0 && !large) {
        held = keepState(update);
        const bytes = Object.values(held.snapshot.arrays).reduce((sum, { byteLength }) => sum + byteLength, 0);
        large = bytes > heldBytes;
      }
      clock.since = performance.now();
    }
  } catch (error) {
    if (held && isPtychoError(error, 'CANCELLED'))
      return result(held, held.snapshot.history[held.snapshot.history.length - 1], false);
    // A state that grew too large to be copied is an old one.
    if (held?.epoch === finished && isPtychoError(error, 'ENGINE_FAILURE')) await onFailure?.(held.snapshot);
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  throw new Error('a solver ends with its last epoch');
}

type Scores = Pick<SolverResult, 'loss' | 'rFactor'>;

/** What is copied of an update. */
export type KeptState = Pick<SolverUpdate, 'epochs' | 'engine'> & {
  readonly lit: ReturnType<SolverUpdate['lit']>;
  /** Distances of slices, where there are several. */
  readonly spacing_m?: Float64Array;
} & Pick<SolvedImage, 'epoch' | 'frame' | 'probe' | 'beam' | 'background' | 'positions' | 'affine' | 'together'> &
  Pick<SolverResult, 'snapshot'>;

/** All that an update stands for, copied. */
export const keepState = (update: SolverUpdate, snapshot = update.snapshot()): KeptState => ({
  epoch: update.epoch,
  epochs: update.epochs,
  engine: update.engine,
  frame: update.frame,
  spacing_m: update.layers()?.spacing_m,
  probe: update.probe(),
  beam: update.beam(),
  background: update.background(),
  positions: update.positions(),
  lit: update.lit(),
  affine: update.affine(),
  together: update.together(),
  snapshot,
});

/** The image in it. */
export function imageOf(kept: KeptState): SolvedImage {
  const { epoch, frame, probe, beam, background, positions, lit, affine, together, snapshot, spacing_m } = kept;
  const { object_re: re, object_im: im } = snapshot.arrays as Readonly<Record<string, Float32Array>>;
  const layers = spacing_m && { array: asSlices({ re, im }, frame), spacing_m };
  const image = layers ? projection(layers.array) : { re, im, shape: [frame.height, frame.width] };
  const N = probe.shape[probe.shape.length - 1];
  const coverage =
    together?.share === 'object'
      ? lightOnObject(allOf(together.probes), N, lit, frame, scansOfPatterns(together))
      : lightOnObject(probe, N, lit, frame);
  const others = { probe, beam, background, positions, affine, ...(together && { together }) };
  return { epoch, image, frame, ...weighed(coverage), ...others, ...(layers && { layers }) };
}

/** One after the other. */
const allOf = (probes: readonly ComplexTensor[]) => {
  const whole = (part: 're' | 'im') => Float32Array.from(probes.flatMap((probe) => Array.from(probe[part])));
  return { re: whole('re'), im: whole('im') };
};

const weighed = (coverage: Tensor) => ({ coverage, overlapCount: coverage, weight: coverage });

/** What an update shows, copied. */
export function copyOf(update: SolverUpdate): SolvedImage {
  return {
    epoch: update.epoch,
    ...update.object(),
    ...weighed(update.coverage()),
    probe: update.probe(),
    beam: update.beam(),
    background: update.background(),
    positions: update.positions(),
    affine: update.affine(),
    ...(update.layers() && { layers: update.layers() }),
    ...(update.together() && { together: update.together() }),
  };
}

/**
 * Scan positions fitted to the image. Works for any gridsize; at gridsize 1 it is the only way, since training never asks
 * where a patch lies.
 *
 * A network's image is not good enough to fit positions to as it is: its errors pull patterns together or apart, round after
 * round. So a working copy is brought into agreement with the patterns along the way, by alternating projections (Fienup,
 * Appl. Opt. 21, 2758, 1982, with all patterns in parallel), in turn with Gauss–Newton steps of the positions. The image that
 * is returned is the network's again: its patches at the refined positions.
 *
 * @example
 * const refined = await refinePositions({
 *   backend, patterns: raw.patterns, xs: raw.xcoords, ys: raw.ycoords, probe: raw.probeGuess, rounds: 5, stepLimit_px: 3,
 *   stitch: async (xs, ys) => (await reconstructDataset({ …, dataset: atPositions(dataset, xs, ys) })).stitched,
 * });
 * refined.xs; // where the patterns were, but for a common shift
 */

import path from 'node:path';
import type { Backend } from '../../backends/backend.js';
import { PtychoError } from '../../core/errors.js';
import type { ProgressSink } from '../../core/log.js';
import { notFiniteAt, valuesAt } from '../../core/numbers.js';
import type { ComplexImage, ComplexTensor } from '../../core/tensor.js';
import { DiffractionDataset } from '../../data/dataset.js';
import { groupsFromMembers } from '../../data/grouping/grouping.js';
import type { PreparedScan } from '../../data/preparedScan.js';
import type { RawData } from '../../data/rawData.js';
import type { NpyInput } from '../../formats/npyWrite.js';
import { writeNpz } from '../../formats/npz.js';
import { keepNearMeasured } from '../../model/positionRefiner.js';
import type { PatternBatch } from '../feed.js';
import { type Frame, scanBounds } from '../frame.js';
import { PatchPhases } from '../patches/patchPhases.js';
import { PatchStore } from '../patches/patchStore.js';
import { PatchStitcher, type StitchedImage } from '../patchStitcher.js';
import { type ReconstructOptions, reconstructDataset } from '../reconstruct.js';
import { noteKept, patchWeightsOf, stitchKept } from '../stitching.js';
import { PositionFit, type PositionFitOptions } from './positionFit.js';

/** What {@link refinePositions} takes; nothing of it is modified. */
export interface RefinePositionsOptions extends PositionFitOptions {
  /** Patterns to move; default all. Others stay where they were measured, and take no part. */
  readonly members?: ArrayLike<number>;
  /** Turns of correcting the working image and fitting the positions; 5 halve an error of pixels several times. */
  readonly rounds: number;
  /** No position goes further than this from its measured place; null: no limit. */
  readonly stepLimit_px?: number | null;
  /** The image at the measured positions, where it is known already. */
  readonly stitched?: StitchedImage;
  /** The image with every pattern's patch at (xs[k], ys[k]). */
  stitch(xs: Float64Array, ys: Float64Array): Promise<StitchedImage>;
  readonly onProgress?: ProgressSink;
}

/** One round. */
export interface RefinementRound {
  readonly round: number;
  /**
   * Σ(A − s·A_measured)² as a share of the light, mean over the patterns, each at its best scale s: how well the working
   * image explains the patterns before and after this round's moves.
   */
  readonly misfitBefore: number;
  readonly misfit: number;
  /** Root mean square of this round's moves, and of the distances from the measured positions. */
  readonly moved_px: number;
  readonly shift_px: number;
}

/** Refined positions and the image that belongs to them. */
export interface RefinedPositions {
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  readonly rounds: readonly RefinementRound[];
  /** The network's patches at the refined positions. */
  readonly stitched: StitchedImage;
  /** The working image: what the patterns made of the network's image. Undefined after no rounds. */
  readonly working?: { readonly image: ComplexImage; readonly frame: Frame };
}

/**
 * Fits positions and a working image in turn, and lays the patches at the positions found.
 * @throws PtychoError DATASET_SHAPE for coordinates or a probe that do not belong to the patterns; DATASET_VALUE for positions, a probe or an
 * image to begin with that are not finite; ENGINE_FAILURE where a round, or the image after the last one, comes to what is not; CANCELLED
 */
export async function refinePositions(options: RefinePositionsOptions): Promise<RefinedPositions> {
  const { patterns, rounds, stepLimit_px = null } = options;
  checkScan(options);
  const n = patterns.count;
  const members = Int32Array.from(options.members ?? Array.from({ length: n }, (_, k) => k)).sort();
  const indices = members.filter((m, i) => i === 0 || m !== members[i - 1]);
  const stitched = finiteStart(options.stitched ?? (await options.stitch(options.xs.slice(), options.ys.slice())));
  let [xs, ys] = [options.xs.slice(), options.ys.slice()];
  if (rounds === 0 || indices.length === 0) return { xs, ys, rounds: [], stitched };
  const fit = await PositionFit.start(options, indices, stitched);
  const records: RefinementRound[] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      const found = await fit.round(xs, ys);
      requireFiniteRound(round, found, fit.working.image);
      const shifts = Float64Array.from({ length: 2 * n }, (_, i) =>
        i % 2 === 0 ? found.xs[i >> 1] - options.xs[i >> 1] : found.ys[i >> 1] - options.ys[i >> 1],
      );
      keepNearMeasured(shifts, indices, { limit_px: stepLimit_px, removeDrift: true });
      const [oldX, oldY] = [xs, ys];
      xs = options.xs.map((x, m) => x + shifts[2 * m]);
      ys = options.ys.map((y, m) => y + shifts[2 * m + 1]);
      const rms = (of: (m: number) => number) => Math.sqrt(indices.reduce((s, m) => s + of(m), 0) / indices.length);
      records.push({
        round,
        misfitBefore: found.misfitBefore,
        misfit: found.misfit,
        moved_px: rms((m) => (xs[m] - oldX[m]) ** 2 + (ys[m] - oldY[m]) ** 2),
        shift_px: rms((m) => shifts[2 * m] ** 2 + shifts[2 * m + 1] ** 2),
      });
      options.onProgress?.({ stage: 'refining positions', done: round, total: rounds, unit: 'rounds' });
    }
  } finally {
    await fit.dispose();
  }
  const { image, frame } = fit.working;
  const last = await options.stitch(xs.slice(), ys.slice());
  if (notFiniteAt(last.image.re, last.image.im) >= 0) throw notFinite('the image at the refined positions', rounds);
  return { xs, ys, rounds: records, stitched: last, working: { image, frame } };
}

/** @throws PtychoError DATASET_VALUE */
function finiteStart(stitched: StitchedImage): StitchedImage {
  const pixel = notFiniteAt(stitched.image.re, stitched.image.im);
  if (pixel < 0) return stitched;
  throw new PtychoError(
    'DATASET_VALUE',
    `Positions cannot be fitted to an image with values that are not finite (pixel ${pixel} in reading order): look at what made it.`,
    { pixel },
  );
}

/** What no round may leave behind: fitted to it, everything would look right. */
function requireFiniteRound(round: number, found: Moved, working: ComplexImage): void {
  if (notFiniteAt(working.re, working.im) >= 0) throw notFinite('the working image', round);
  if (notFiniteAt(found.xs, found.ys) >= 0) throw notFinite('the positions', round);
  if (notFiniteAt([found.misfit, found.misfitBefore]) >= 0) throw notFinite('the misfit', round);
}

type Moved = Pick<RefinedPositions, 'xs' | 'ys'> & Pick<RefinementRound, 'misfit' | 'misfitBefore'>;

const notFinite = (what: string, round: number): PtychoError =>
  new PtychoError(
    'ENGINE_FAILURE',
    `Refining positions failed: after round ${round} ${what} had values that are not finite, so nothing of it is kept; look at patterns, probe and weights of the model for values that are none or far too large, or leave the refinement out.`,
    { round },
  );

/** The same groups of the same patterns at other positions. */
export function atPositions(dataset: DiffractionDataset, xs: Float64Array, ys: Float64Array): DiffractionDataset {
  const { members, C, skipped } = dataset.groups;
  const groups = groupsFromMembers(members, C, xs, ys, skipped);
  return new DiffractionDataset(dataset.raw, groups, dataset.inputScale, { patterns: dataset.patterns });
}

function checkScan({ patterns, xs, ys, probe }: RefinePositionsOptions): void {
  if (xs.length !== patterns.count || ys.length !== patterns.count || probe.shape.at(-1) !== patterns.N) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `Refining positions needs a position for each of ${patterns.count} patterns and a probe of their side ${patterns.N}; found ${xs.length} x and ${ys.length} y coordinates and a probe of side ${probe.shape.at(-1)}.`,
      { patterns: patterns.count, xs: xs.length, ys: ys.length, probe: probe.shape },
    );
  }
  const wrong = notFiniteAt(xs, ys) >= 0 ? 'positions' : notFiniteAt(probe.re, probe.im) >= 0 ? 'a probe' : undefined;
  if (wrong === undefined) return;
  throw new PtychoError('DATASET_VALUE', `Refining positions was given ${wrong} with values that are not finite; give numbers for all.`, {}); // biome-ignore format: one call
}

/** Patches are kept between rounds up to this size; beyond it they are predicted anew. */
const KEPT_BYTES = 2 ** 28;

/**
 * The central M×M of every patch. At gridsize 1 patches do not depend on positions, so that moving them needs no network.
 */
export class KeptPatches {
  private constructor(private readonly store: PatchStore) {}

  /** Room for the patches of a scan; undefined where that would not help, or take too much memory. */
  static for({ groups }: Pick<PreparedScan, 'groups'>, cropSide: number): KeptPatches | undefined {
    const fits = groups.C === 1 && groups.count * cropSide ** 2 * 8 <= KEPT_BYTES;
    return fits ? new KeptPatches(new PatchStore(cropSide, groups.count, KEPT_BYTES)) : undefined;
  }

  /** Keeps the patches of a batch; for `onPatches` of a reconstruction. */
  see({ re, im, shape }: ComplexTensor, { xs, ys }: Pick<PatternBatch, 'xs' | 'ys'>): void {
    this.store.add(re, im, xs.length, shape[shape.length - 1], xs, ys);
  }

  /** All patches with their pixel N/2 at (xs, ys). */
  stitch(xs: Float64Array, ys: Float64Array, options: ReconstructOptions): Promise<StitchedImage> {
    const { stitching: rule, uncertainty, align_phases, stitching_rounds: rounds, signal } = options;
    const { cropSide } = this.store;
    const patchWeights = patchWeightsOf(options);
    const make = () => new PatchStitcher(scanBounds(xs, ys), cropSide, { rule, patchWeights, uncertainty });
    let angles: Float64Array | undefined;
    if (align_phases) {
      const phases = new PatchPhases(cropSide, patchWeights);
      noteKept(this.store, phases, xs, ys);
      angles = phases.solve().angles;
    }
    return stitchKept(this.store, make, { angles, places: { xs, ys }, rounds, signal });
  }
}

/** What {@link refineReconstruction} takes besides the options of the reconstruction. */
export interface RefineRequest {
  readonly scan: PreparedScan;
  readonly backend: Backend;
  readonly options: ReconstructOptions;
  /** The network for groups within a canvas of this side. */
  readonly network: (canvasSide_px: number) => ReconstructOptions['network'];
  readonly rounds: number;
  readonly stepLimit_px: number | null;
  /** The image at the measured positions, and its patches where they were kept. */
  readonly stitched: StitchedImage;
  readonly kept: KeptPatches | undefined;
}

/**
 * Refines the positions of a scan.
 * @throws PtychoError as `refinePositions`
 */
export async function refineReconstruction(request: RefineRequest): Promise<RefinedPositions> {
  const { scan, options, kept, backend } = request;
  const { raw, dataset, groups } = scan;
  const stitch = async (xs: Float64Array, ys: Float64Array) => {
    if (kept) {
      const at = (v: Float64Array) => valuesAt(v, groups.members);
      return kept.stitch(at(xs), at(ys), options);
    }
    const moved = atPositions(dataset, xs, ys);
    const side = Math.max(moved.canvasSide_px, options.network.spec.canvasSide_px);
    const network = side === options.network.spec.canvasSide_px ? options.network : request.network(side);
    const { stitched } = await reconstructDataset({ ...options, network, dataset: moved, onPatches: undefined, onProgress: undefined }); // biome-ignore format: one call
    return stitched;
  };
  return refinePositions({
    backend,
    patterns: dataset.patterns,
    xs: raw.xcoords,
    ys: raw.ycoords,
    probe: options.probe ?? options.network.spec.scale.probe,
    badPixels: raw.badPixels,
    gaussian_smoothing_sigma: options.network.spec.config.gaussian_smoothing_sigma,
    members: groups.members,
    rounds: request.rounds,
    stepLimit_px: request.stepLimit_px,
    batch_size: options.batch_size,
    stitched: request.stitched,
    stitch,
    signal: options.signal,
    onProgress: options.onProgress,
  });
}

/** What refining the positions came to. */
export interface RefinementSummary {
  readonly rounds: number;
  /** Mean distance of the refined from the measured positions. */
  readonly meanMove_px: number;
  /** R of the image at the measured positions, on the same patterns as that of the refined ones. */
  readonly rFactorBefore?: number;
}

/** Mean distance of refined from measured positions, pixels. */
export function meanMove(raw: RawData, { xs, ys }: Pick<RefinedPositions, 'xs' | 'ys'>): number {
  const distance = (_: number, k: number) => Math.hypot(xs[k] - raw.xcoords[k], ys[k] - raw.ycoords[k]);
  return raw.xcoords.map(distance).reduce((sum, v) => sum + v, 0) / raw.count;
}

/**
 * Writes `positions.npz`: refined and measured positions, and which patterns of the file they are of.
 * @returns the name of the file
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeRefinedPositions(
  folder: string,
  { xcoords, ycoords, sampleIndices }: Pick<RawData, 'xcoords' | 'ycoords' | 'sampleIndices'>,
  { xs, ys }: Pick<RefinedPositions, 'xs' | 'ys'>,
): Promise<string> {
  await writeNpz(path.join(folder, 'positions.npz'), {
    ...positionArrays({ xs, ys }, { xcoords, ycoords }),
    sample_indices: { data: sampleIndices, shape: [sampleIndices.length] },
  });
  return 'positions.npz';
}

/** Refined and measured positions, as files keep them. */
export function positionArrays(
  { xs, ys }: Pick<RefinedPositions, 'xs' | 'ys'>,
  { xcoords, ycoords }: Pick<RawData, 'xcoords' | 'ycoords'>,
): Record<string, NpyInput> {
  const column = (data: Float64Array) => ({ data, shape: [data.length] });
  return {
    ...{ xcoords: column(xs), ycoords: column(ys) },
    ...{ xcoords_measured: column(xcoords), ycoords_measured: column(ycoords) },
  };
}

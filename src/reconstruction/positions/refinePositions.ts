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
 *   stitch: async (xs, ys) => (await reconstruct({ …, dataset: atPositions(dataset, xs, ys) })).stitched,
 * });
 * refined.xs; // where the patterns were, but for a common shift
 */
import type { Backend } from '../../backends/backend.js';
import { PtychoError } from '../../core/errors.js';
import type { ProgressSink } from '../../core/log.js';
import type { ComplexImage, ComplexTensor } from '../../core/tensor.js';
import { DiffractionDataset } from '../../data/dataset.js';
import { groupsFromMembers } from '../../data/grouping/grouping.js';
import type { PatternSource } from '../../data/patternSource.js';
import { keepNearMeasured } from '../../model/positionRefiner.js';
import type { Frame } from '../frame.js';
import type { StitchedImage } from '../stitch.js';
import { PositionFit } from './positionFit.js';

/** What {@link refinePositions} takes; nothing of it is modified. */
export interface RefinePositionsOptions {
  readonly backend: Backend;
  readonly patterns: PatternSource;
  /** Measured positions in object pixels, one for each pattern. */
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  /** (N, N) or (P, N, N), at any scale. */
  readonly probe: ComplexTensor;
  /** (N, N): 1 where a detector pixel cannot be used. */
  readonly badPixels?: ArrayLike<number>;
  /** Of the exit wave, as the model was configured; 0: none. */
  readonly gaussian_smoothing_sigma?: number;
  /** Patterns to move; default all. Others stay where they were measured, and take no part. */
  readonly members?: ArrayLike<number>;
  /** Turns of correcting the working image and fitting the positions; 5 halve an error of pixels several times. */
  readonly rounds: number;
  /** No position goes further than this from its measured place; null: no limit. */
  readonly stepLimit_px?: number | null;
  /** Patterns in one evaluation; 32. */
  readonly batch_size?: number;
  /** The image at the measured positions, where it is known already. */
  readonly stitched?: StitchedImage;
  /** The image with every pattern's patch at (xs[k], ys[k]). */
  stitch(xs: Float64Array, ys: Float64Array): Promise<StitchedImage>;
  readonly signal?: AbortSignal;
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
 * @throws PtychoError DATASET_SHAPE for coordinates or a probe that do not belong to the patterns, CANCELLED
 */
export async function refinePositions(options: RefinePositionsOptions): Promise<RefinedPositions> {
  const { patterns, rounds, stepLimit_px = null } = options;
  checkScan(options);
  const n = patterns.count;
  const members = Int32Array.from(options.members ?? Array.from({ length: n }, (_, k) => k)).sort();
  const indices = members.filter((m, i) => i === 0 || m !== members[i - 1]);
  const stitched = options.stitched ?? (await options.stitch(options.xs.slice(), options.ys.slice()));
  let [xs, ys] = [options.xs.slice(), options.ys.slice()];
  if (rounds === 0 || indices.length === 0) return { xs, ys, rounds: [], stitched };
  const fit = await PositionFit.start(options, indices, stitched);
  const records: RefinementRound[] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      const found = await fit.round(xs, ys);
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
  return { xs, ys, rounds: records, stitched: await options.stitch(xs.slice(), ys.slice()), working: { image, frame } };
}

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
}

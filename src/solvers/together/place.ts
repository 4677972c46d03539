/**
 * Where the patterns of several scans lie: on one object, whose images from each scan alone tell how far the scans lie apart; or on objects
 * of their own, side by side.
 */
import type { SolverOptions } from '../../config/schemas/solver.js';
import { isPtychoError, PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { counted } from '../../core/words.js';
import { frameForScan, scanBounds } from '../../reconstruction/frame.js';
import { followsOffsets, positionMargin_px, type ScansTogether, type ScanToSolve, scansOfPatterns } from '../scan.js';
import type { SolverUpdate } from '../updates.js';
import type { SolverScan } from '../wavePasses.js';
import { movedPlaces } from '../ways.js';
import { apartBy, type LitImage } from './correlate.js';
import { centreOf } from './offsets.js';

/** Solves one scan. */
export type SolveAlone = (scan: ScanToSolve, options: SolverOptions) => AsyncGenerator<SolverUpdate, void, void>;

/** Epochs of each scan alone. */
export const EPOCHS_ALONE = 25;

/** Below this many times the usual correlation nothing was found. */
const DISTINCT = 6;

/** Pixels between objects that lie side by side. */
const GAP_PX = 2;

/**
 * [y, x] that solvers add to the positions of each scan.
 * @throws PtychoError SOLVER_FAILED where scans of one object do not tell how far they lie apart, and those of solving each alone
 */
export async function shiftsOf(
  together: ScansTogether,
  options: SolverOptions,
  alone: SolveAlone,
  logger?: Logger,
): Promise<(readonly [number, number])[]> {
  if (together.share === 'probe') return sideBySide(together, options);
  if (!followsOffsets(together)) return [...together.offsets_yx_px!];
  const { scans } = together;
  logger?.info(
    `Solving each of ${scans.length} scans alone for ${counted(EPOCHS_ALONE, 'epoch')}, to find how far they lie apart.`,
  );
  const images: ImageAlone[] = [];
  for (const scan of scans) images.push(await imageAlone(scan, options, alone));
  return images.map((image, s) => {
    if (s === 0) return [0, 0] as const;
    const apart = apartBy(images[0], image);
    if (!apart || apart.distinct < DISTINCT) {
      throw new PtychoError(
        'SOLVER_FAILED',
        `${scans[s].source} and ${scans[0].source} do not tell how far they lie apart: ${apart ? 'their images are not alike' : 'their images hardly overlap'}; check that they are of one object, move their positions to where they belong and give align_scans false, or solve them one by one.`,
        { path: scans[s].source, ...(apart && { agreement: apart.agreement }) },
      );
    }
    // An image has gone with its light: O(r − d)·P(r − d) gives the same patterns.
    const [y, x] = [0, 1].map(
      (axis) => apart.shift_yx_px[axis] + image.drift_yx_px[axis] - images[0].drift_yx_px[axis],
    );
    logger?.info(
      `${scans[s].source} lies (${y.toFixed(2)}, ${x.toFixed(2)}) px (y, x) from where its positions say, beside ${scans[0].source}; correlation ${apart.agreement.toFixed(2)}, ${apart.distinct.toFixed(1)} times the usual.`,
    );
    return [y, x] as const;
  });
}

/** The scan with these shifts added to its positions. */
export function placed(
  raw: ScanToSolve,
  together: ScansTogether,
  shifts: readonly (readonly [number, number])[],
): ScanToSolve {
  const of = scansOfPatterns(together);
  return movedPlaces(raw, {
    ys: raw.ycoords.map((y, k) => y + shifts[of[k]][0]),
    xs: raw.xcoords.map((x, k) => x + shifts[of[k]][1]),
  });
}

/** To the right of the first one, with their upper rims at one height; whole pixels. */
function sideBySide({ scans }: ScansTogether, options: SolverOptions): (readonly [number, number])[] {
  const frames = scans.map((scan) => {
    const side = scan.N + 2 * positionMargin_px(options, scan) + 2 * flown(scan);
    return frameForScan(scanBounds(scan.xcoords, scan.ycoords), side);
  });
  // The first one stays where it is.
  const [top] = frames[0].originYxPx;
  let [, left] = frames[0].originYxPx;
  return frames.map(({ originYxPx, width }) => {
    const shift = [top - originYxPx[0], left - originYxPx[1]] as const;
    left += width + GAP_PX;
    return shift;
  });
}

/** Columns of the object array that belong to scan s of several side by side: halfway to its neighbours. */
export function columnsOf(
  { xs }: SolverScan,
  firsts: ArrayLike<number>,
  s: number,
): { readonly from: number; readonly to: number } {
  const reach = (t: number) => {
    let [least, most] = [Infinity, -Infinity];
    for (let k = firsts[t]; k < firsts[t + 1]; k++) {
      least = Math.min(least, xs[k]);
      most = Math.max(most, xs[k]);
    }
    return [least, most] as const;
  };
  const [least, most] = reach(s);
  const from = s === 0 ? -Infinity : 0.5 * (reach(s - 1)[1] + least);
  const to = s + 2 === firsts.length ? Infinity : 0.5 * (most + reach(s + 1)[0]);
  return { from, to };
}

/** How far the ends of ways lie from positions, at most. */
function flown({ xcoords, ycoords, xcoordsStart, ycoordsStart, xcoordsEnd, ycoordsEnd }: ScanToSolve): number {
  let most = 0;
  for (const [ends, middle] of [
    [xcoordsStart, xcoords],
    [ycoordsStart, ycoords],
    [xcoordsEnd, xcoords],
    [ycoordsEnd, ycoords],
  ] as const) {
    ends?.forEach((v, k) => {
      most = Math.max(most, Math.abs(v - middle[k]));
    });
  }
  return Math.ceil(most);
}

interface ImageAlone extends LitImage {
  /** How far the light has gone from where it was in the probe that the run began with. */
  readonly drift_yx_px: readonly [number, number];
}

async function imageAlone(scan: ScanToSolve, options: SolverOptions, alone: SolveAlone): Promise<ImageAlone> {
  const { algorithm } = options;
  const quick: SolverOptions = {
    ...options,
    algorithm: algorithm === 'dm' || algorithm === 'ml' ? 'rpie' : algorithm,
    epochs: EPOCHS_ALONE,
    position_start: null,
  };
  try {
    let start: readonly [number, number] | undefined;
    for await (const update of alone(scan, quick)) {
      const probe = update.probe();
      start ??= centreOf(probe, scan.N);
      if (update.epoch < update.epochs) continue;
      const centre = centreOf(probe, scan.N);
      return {
        ...update.object(),
        coverage: update.coverage(),
        drift_yx_px: [centre[0] - start[0], centre[1] - start[1]],
      };
    }
  } catch (error) {
    // What is wrong of it alone may be right of all together.
    if (!isPtychoError(error, 'DATASET_VALUE') && !isPtychoError(error, 'SOLVER_FAILED')) throw error;
    throw new PtychoError(
      error.code,
      `${error.message} So it cannot be found how far this scan lies from the others: move its positions to where they belong, and give align_scans false.`,
      { ...error.fields },
    );
  }
  throw new Error('a solver ends with its last epoch');
}

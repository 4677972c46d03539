/** A solver that goes on from the image of a network. */

import { completeConfig } from '../config/resolve.js';
import { ALGORITHM_TITLES, parseRefinement } from '../config/schemas/solver.js';
import { solverDefinition } from '../config/solverDefinition.js';
import { isPtychoError } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import type { StitchedImage } from '../reconstruction/patchStitcher.js';
import type { RefineImageRequest } from '../reconstruction/pipeline.js';
import { startAt } from './files/start.js';
import { requireSolverMemory } from './memory.js';
import { runSolver, type SolverResult } from './run.js';
import { movedPlaces } from './ways.js';

/** What the solver made of the image. */
export interface RefinedImage {
  /** `LSQML`. */
  readonly algorithm: string;
  readonly solved: SolverResult;
  /** Amplitude R-factor of the network's image over all patterns, by the solver's own forward model. */
  readonly rFactorBefore: number;
  readonly stitched: StitchedImage;
}

/**
 * Refines an image, and the probe with it.
 * @returns undefined where it was stopped before its first epoch
 * @throws PtychoError those of `solve`
 */
export async function refineImage(
  request: RefineImageRequest,
  { signal, onProgress, logger = silentLogger }: Services,
): Promise<RefinedImage | undefined> {
  const { raw, stitched, probe, backend, threads, seed, positions } = request;
  const options = completeConfig(solverDefinition, { seed, ...parseRefinement(request.refine) }, logger);
  requireSolverMemory(raw, options, { threads, logger });
  const scan = positions ? movedPlaces(raw, positions) : raw;
  let rFactorBefore = Number.NaN;
  try {
    const solved = await runSolver(scan, options, {
      start: startAt(stitched, probe),
      threads: threads ?? undefined,
      ...{ backend, logger, signal, onProgress },
      onEpoch: async (update) => {
        if (update.epoch === 0) rFactorBefore = (await update.measure()).rFactor;
      },
    });
    const { data } = solved.coverage;
    const covered = data.reduce((sum, v) => sum + (v > 0 ? 1 : 0), 0);
    return {
      algorithm: ALGORITHM_TITLES[options.algorithm],
      solved,
      rFactorBefore,
      stitched: { ...imageOf(solved), patches: raw.count, coverage: covered / data.length },
    };
  } catch (error) {
    if (isPtychoError(error, 'CANCELLED')) return undefined;
    throw error;
  }
}

const imageOf = ({ image, frame, overlapCount, weight }: SolverResult) => ({ image, frame, overlapCount, weight });

/** What `run.json` says of it. */
export function refinementRecord({ algorithm, solved, rFactorBefore }: RefinedImage): Record<string, unknown> {
  return {
    algorithm,
    epochs: solved.epoch,
    cancelled: solved.cancelled,
    seconds: solved.seconds,
    engine: solved.engine,
    r_factor_before: rFactorBefore,
    r_factor_after: solved.rFactor,
    losses: solved.history.filter(({ epoch }) => epoch > 0).map(({ loss }) => loss),
  };
}

/** The same in a few figures; R by the solver's own forward model. */
export interface SolverSummary {
  /** `LSQML`. */
  readonly algorithm: string;
  readonly epochs: number;
  readonly seconds: number;
  readonly rFactorBefore: number;
  readonly rFactor: number;
}

/** What a solver made of an image, in a few figures. */
export function refinementSummary({ algorithm, solved, rFactorBefore }: RefinedImage): SolverSummary {
  const { epoch: epochs, seconds, rFactor } = solved;
  return { algorithm, epochs, seconds, rFactorBefore, rFactor };
}

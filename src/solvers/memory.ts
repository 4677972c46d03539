/** What a run takes of memory, and which scans are read batch by batch. */
import { availableParallelism } from 'node:os';
import type { SolverOptions } from '../config/schemas/solver.js';
import type { Logger } from '../core/log.js';
import { availableMemory, requireEpochMemory, requireMemory } from '../core/memoryBudget.js';
import { counted, formatBytes, noun } from '../core/words.js';
import type { RawData } from '../data/rawData.js';
import { frameForScan, scanBounds } from '../reconstruction/frame.js';
import { accelerationOf, TRAITS } from './algorithms/algorithm.js';
import { PAIRS } from './algorithms/ml.js';
import { streamBytes } from './patternStream.js';
import { correctsPositions, positionMargin_px, type ScanToSolve } from './scan.js';
import { MEASURED_AT_ONCE } from './wavePasses.js';

/**
 * The largest batch of passes over a streamed scan; undefined where all patterns are held in memory, as those are that are there already.
 * @param available bytes of memory, for tests
 */
export function streamedBatch(
  { count, N, patterns }: Pick<RawData, 'count' | 'N'> & { readonly patterns: { readonly resident: boolean } },
  options: SolverOptions,
  available = availableMemory(),
): number | undefined {
  // Exit waves of all patterns are kept anyway.
  if (TRAITS[options.algorithm].storesWaves) return undefined;
  const large = 4 * count * N * N > available / 2 && !patterns.resident;
  if (!(options.stream ?? large)) return undefined;
  const batch = options.batch_size ?? TRAITS[options.algorithm].batchSize(count);
  return Math.min(count, Math.max(MEASURED_AT_ONCE, Math.ceil(1.5 * batch) + 1));
}

type ScanSize = Pick<RawData, 'count' | 'N' | 'probeGuess'> & Pick<ScanToSolve, 'together'>;

/** What memory is judged by; where positions are left out the object is not counted. */
type ScanToHold = ScanSize &
  Pick<RawData, 'source'> &
  Partial<Pick<RawData, 'xcoords' | 'ycoords'>> & { readonly patterns?: { readonly resident: boolean } };

/** Bytes that a run takes. */
export interface SolverBytes {
  readonly patterns: number;
  /** Exit waves of all patterns, where the algorithm keeps them. */
  readonly waves: number;
  /** Object, its sums in each thread, and what goes on from epoch to epoch. */
  readonly object: number;
  /** Probe, its sums, and what each thread holds of a batch. */
  readonly batch: number;
}

/** Counts them. @param available bytes of memory, on which it depends whether patterns are streamed */
export function solverBytes(
  raw: ScanToHold,
  options: SolverOptions,
  threads: number,
  available = availableMemory(),
): SolverBytes {
  const { count, N } = raw;
  const most = streamedBatch({ patterns: { resident: false }, ...raw }, options, available);
  const { together } = raw;
  // Objects side by side.
  const objects = together?.share === 'probe' ? together.scans : [raw];
  const pixels = objects.reduce((sum, { xcoords, ycoords }) => {
    if (!xcoords || !ycoords) return sum;
    const margin = positionMargin_px(options, { xcoords, ycoords, together });
    const { height, width } = frameForScan(scanBounds(xcoords, ycoords), N + 2 * margin);
    return sum + height * width;
  }, 0);
  return {
    patterns: most === undefined ? 4 * count * N * N : streamBytes({ N, most }),
    waves: waveBytes(raw, options),
    object: 4 * pixels * objectPlanes(options, threads),
    batch: modeBytes(raw, options, threads),
  };
}

/** Bytes of a state that a run goes on from, but for the probe and what is small. */
export function stateBytes(raw: ScanToHold, options: SolverOptions): number {
  const { waves, object } = solverBytes(raw, options, 0);
  return waves + object;
}

/** Planes of the size of the object, in every slice: its parts, the sums of each thread, light and velocity, and the epoch before. */
function objectPlanes(options: SolverOptions, threads: number): number {
  const own = options.algorithm === 'lsqml' ? 2 : 1;
  const velocity = options.momentum > 0 ? 2 : 0;
  const thin = 2 + 3 * threads + own + velocity + (accelerationOf(options) > 0 ? 2 : 0);
  return options.slices * thin + 2 * likelihoodFields(options);
}

/** Fields of object and probe that maximum likelihood keeps: weights, place, gradient, what directions are made of, and directions. */
function likelihoodFields({ algorithm, ml_start, ml_method }: SolverOptions): number {
  if (algorithm !== 'ml' && ml_start === null) return 0;
  return 3 + (ml_method === 'lbfgs' ? 2 * PAIRS + 1 : 3);
}

/**
 * Refuses a run whose patterns, object, probe modes and exit waves do not fit into memory, and tells of one that takes more than half
 * of it.
 * @param available bytes, for tests
 * @throws PtychoError OUT_OF_MEMORY
 */
export function requireSolverMemory(
  raw: ScanToHold,
  options: SolverOptions,
  services: { readonly threads?: number | null; readonly logger?: Logger; readonly available?: number } = {},
): void {
  const { threads, logger, available = availableMemory() } = services;
  requireEpochMemory(options.epochs, '--epochs');
  const { patterns, waves, object, batch } = solverBytes(raw, options, threads ?? availableParallelism(), available);
  const modes = modesOf(options, raw.probeGuess);
  const also = waves > 0 ? ` (${formatBytes(waves)} of it for exit waves)` : '';
  requireMemory(
    patterns + waves + object + batch,
    `The ${counted(raw.count, 'pattern')} of ${raw.source} with ${modes} probe ${noun(modes, 'mode')}${also}`,
    { remedy: 'use fewer patterns (--n_subsample) or modes (--probe_modes), or crop or bin them', logger, available },
  );
}

function modesOf({ probe_modes }: SolverOptions, probe: RawData['probeGuess']): number {
  return probe_modes ?? (probe?.shape.length === 3 ? probe.shape[0] : 1);
}

/** Probe and its sums, and what each thread holds of a batch, in single precision. */
function modeBytes({ count, N, probeGuess, together }: ScanSize, options: SolverOptions, threads: number): number {
  const { keepsBatches, batchSize } = TRAITS[options.algorithm];
  const batch = Math.min(count, options.batch_size ?? batchSize(count));
  const kept =
    keepsBatches || correctsPositions(options) || options.opr_modes > 0
      ? Math.max(1, Math.ceil((1.5 * batch) / threads))
      : 1;
  const { opr_modes, fly_positions, slices } = options;
  const waves = kept * fly_positions * slices;
  const tangents = slices > 1 ? 24 * N * N * threads : 0;
  const varying = opr_modes > 0 ? 8 * N * N * (2 * opr_modes + threads * (3 * opr_modes + 1 + waves)) : 0;
  const probes = together?.share === 'object' ? together.scans.length : 1;
  const each = probes * (2 + likelihoodFields(options) + 4 * threads) + threads * (2 * fly_positions + 2 * waves);
  return 8 * modesOf(options, probeGuess) * N * N * each + varying + tangents;
}

/** What the exit waves of all patterns take, where the algorithm keeps them. */
function waveBytes({ count, N, probeGuess }: ScanSize, options: SolverOptions): number {
  const waves = options.fly_positions * modesOf(options, probeGuess);
  return TRAITS[options.algorithm].storesWaves ? 8 * count * waves * N * N : 0;
}

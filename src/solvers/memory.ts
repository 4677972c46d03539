/** Whether a scan fits into memory: solvers hold all patterns. */
import { availableParallelism } from 'node:os';
import type { SolverOptions } from '../config/schemas/solver.js';
import type { Logger } from '../core/log.js';
import { requireEpochMemory, requireMemory } from '../core/memoryBudget.js';
import { counted, formatBytes, noun } from '../core/words.js';
import type { RawData } from '../data/rawData.js';
import { TRAITS } from './algorithms/algorithm.js';

type ScanSize = Pick<RawData, 'count' | 'N' | 'probeGuess'>;

/**
 * Refuses a run whose patterns, probe modes and exit waves do not fit into memory, and tells of one that takes more than half of it.
 * @param available bytes, for tests
 * @throws PtychoError OUT_OF_MEMORY
 */
export function requireSolverMemory(
  { count, N, probeGuess, source }: ScanSize & Pick<RawData, 'source'>,
  options: SolverOptions,
  services: { readonly threads?: number | null; readonly logger?: Logger; readonly available?: number } = {},
): void {
  const { threads, logger, available } = services;
  requireEpochMemory(options.epochs, '--epochs');
  const patterns = 4 * count * N * N;
  const waves = waveBytes({ count, N, probeGuess }, options);
  const work = modeBytes({ count, N, probeGuess }, options, threads ?? availableParallelism());
  const modes = modesOf(options, probeGuess);
  const also = waves > 0 ? ` (${formatBytes(waves)} of it for exit waves)` : '';
  requireMemory(
    patterns + waves + work,
    `The ${counted(count, 'pattern')} of ${source} with ${modes} probe ${noun(modes, 'mode')}${also}`,
    { remedy: 'use fewer patterns (--n_subsample) or modes (--probe_modes), or crop or bin them', logger, available },
  );
}

function modesOf({ probe_modes }: SolverOptions, probe: RawData['probeGuess']): number {
  return probe_modes ?? (probe?.shape.length === 3 ? probe.shape[0] : 1);
}

/** Probe and its sums, and what each thread holds of a batch, in single precision. */
function modeBytes({ count, N, probeGuess }: ScanSize, options: SolverOptions, threads: number): number {
  const { keepsBatches, batchSize } = TRAITS[options.algorithm];
  const batch = Math.min(count, options.batch_size ?? batchSize(count));
  const kept = keepsBatches || options.position_start !== null ? Math.max(1, Math.ceil((1.5 * batch) / threads)) : 1;
  return 8 * modesOf(options, probeGuess) * N * N * (2 + threads * (6 + 2 * kept));
}

/** What the exit waves of all patterns take, where the algorithm keeps them. */
export function waveBytes({ count, N, probeGuess }: ScanSize, options: SolverOptions): number {
  return TRAITS[options.algorithm].storesWaves ? 8 * count * modesOf(options, probeGuess) * N * N : 0;
}

/** Whether a scan fits into memory: solvers hold all patterns. */
import { totalmem } from 'node:os';
import type { SolverOptions } from '../../config/schemas/solver.js';
import type { RawData } from '../../data/rawData.js';
import { TRAITS } from '../../solvers/algorithms/algorithm.js';

const GIB = 2 ** 30;

/**
 * A sentence where patterns, and the exit waves that some algorithms keep, take more than half of the memory; undefined otherwise.
 * @param memory bytes of the machine, or that this process may have
 */
export function memoryDoubt(
  { count, N, probeGuess, source }: Pick<RawData, 'count' | 'N' | 'probeGuess' | 'source'>,
  options: SolverOptions,
  memory = memoryBytes(),
): string | undefined {
  const patterns = 4 * count * N * N;
  const waves = waveBytes({ count, N, probeGuess }, options);
  if (patterns + waves <= memory / 2) return undefined;
  const gib = (bytes: number) => `${(bytes / GIB).toPrecision(3)} GiB`;
  const also = waves > 0 ? ` and as exit waves ${gib(waves)} more` : '';
  return `The ${count} patterns of ${source} take ${gib(patterns)} of memory as single-precision numbers${also}, and this machine has ${gib(memory)}: if that fails, use fewer (n_subsample), or crop or bin them.`;
}

/** What the exit waves of all patterns take, where the algorithm keeps them. */
export function waveBytes(
  { count, N, probeGuess }: Pick<RawData, 'count' | 'N' | 'probeGuess'>,
  options: SolverOptions,
): number {
  if (!TRAITS[options.algorithm].storesWaves) return 0;
  const modes = options.probe_modes ?? (probeGuess?.shape.length === 3 ? probeGuess.shape[0] : 1);
  return 8 * count * modes * N * N;
}

/** A container may have less than its machine. */
function memoryBytes(): number {
  const allowed = process.constrainedMemory?.();
  return allowed ? Math.min(allowed, totalmem()) : totalmem();
}

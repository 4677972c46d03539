/**
 * What a request may cost: work that cannot fit into memory is refused before anything is allocated, and work that takes much
 * of it is told beforehand.
 *
 * @example
 * requireMemory(4 * count * N * N, `${count} patterns of ${N}×${N}`, { remedy: 'take fewer (--n_patterns)', logger });
 */
import { availableParallelism, freemem, totalmem } from 'node:os';
import { PtychoError } from './errors.js';
import type { Logger } from './log.js';
import { counted, formatBytes } from './words.js';

/** How {@link requireMemory} judges. */
export interface MemoryRequest {
  /** What to do instead, as the end of a sentence: `take fewer patterns (--n_patterns)`. */
  readonly remedy: string;
  /** Is told where more than half of the memory is taken. */
  readonly logger?: Logger;
  /** Bytes that may be taken; those of this machine where not given. */
  readonly available?: number;
}

/**
 * Refuses what needs more memory than is free.
 * @param bytes what it takes at least
 * @param what the subject of the sentence, in the plural: `1000 patterns of 64×64`
 * @throws PtychoError OUT_OF_MEMORY
 */
export function requireMemory(bytes: number, what: string, request: MemoryRequest): void {
  const { remedy, logger, available = availableMemory() } = request;
  if (!(bytes <= available)) {
    throw new PtychoError(
      'OUT_OF_MEMORY',
      `${what} need ${formatBytes(bytes)} of memory of the ${formatBytes(available)} that are free; ${remedy}.`,
      { bytes, available },
    );
  }
  if (bytes > available / 2) {
    logger?.warn(`${what} need ${formatBytes(bytes)} of memory of the ${formatBytes(available)} that are free.`);
  }
}

/** About what is kept of an epoch. */
const EPOCH_BYTES = 256;

/**
 * Refuses more epochs than figures can be kept of.
 * @param flag that names them
 * @throws PtychoError OUT_OF_MEMORY
 */
export function requireEpochMemory(epochs: number, flag: string): void {
  requireMemory(EPOCH_BYTES * epochs, `The figures of ${counted(epochs, 'epoch')}`, {
    remedy: `ask for fewer (${flag})`,
  });
}

/** Bytes that this process may still take: what the machine has free, and what a container leaves. */
export function availableMemory(): number {
  // Elsewhere than on Linux memory that is in use as a cache does not count as free.
  const free = process.platform === 'linux' ? freemem() : Math.max(freemem(), totalmem() / 2);
  const allowed = process.constrainedMemory?.();
  return allowed ? Math.min(free, Math.max(0, allowed - process.memoryUsage.rss())) : free;
}

/** More threads than this for each core only wait for each other. */
const THREADS_PER_CORE = 4;

/**
 * Refuses more threads than four for each core.
 * @throws PtychoError CONFIG_INVALID
 */
export function requireThreads(threads: number | null | undefined, cores: number = availableParallelism()): void {
  if (threads === null || threads === undefined || threads <= THREADS_PER_CORE * cores) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `threads is ${threads}, but there ${cores === 1 ? 'is' : 'are'} ${counted(cores, 'core')}; give ${THREADS_PER_CORE * cores} at most, or leave --threads out to use each core once.`,
    { key: 'threads', found: threads, expected: THREADS_PER_CORE * cores },
  );
}

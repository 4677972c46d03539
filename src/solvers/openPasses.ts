/** Who computes the passes of a solver: the host, or programs on a backend. */
import { availableParallelism } from 'node:os';
import type { Backend } from '../backends/backend.js';
import { selectBackend } from '../backends/select.js';
import type { SolveConfig } from '../config/schemas/solve.js';
import type { SolverOptions } from '../config/schemas/solver.js';
import { PtychoError } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import { requireThreads } from '../core/memoryBudget.js';
import { evenSideRemedy } from '../networks/sides.js';
import { HostPasses, type HostPassesOptions } from './host/hostPasses.js';
import { fitsKernels } from './host/kernels.js';
import type { WavePasses } from './wavePasses.js';

/** Who computes. */
export interface PassesChoice {
  /** Threads of the host's passes; where left out as many as there are cores, but for batches that are too small for it. */
  readonly threads?: number;
  /** Runs the programs; stays the caller's to dispose. */
  readonly backend?: Backend;
  /** Is told why programs were chosen where that is not plain. */
  readonly logger?: Logger;
}

/** What a batch has to be worked on. */
export interface BatchSize extends Pick<HostPassesOptions, 'scan' | 'sizes'> {
  /** Patterns. */
  readonly batch: number;
}

/** Pixels of a batch that each thread has at least, where their number is left open: 0.4 ms of work. */
const PIXELS_OF_A_THREAD = 3 << 14;

/** Threads for batches of this size, where the number is left open: one more must not make a run slower. */
export function threadsFor({ batch, scan, sizes }: BatchSize, cores = availableParallelism()): number {
  const waves = sizes.modes * (sizes.slices ?? 1) * (scan.ways?.points ?? 1);
  return Math.max(1, Math.min(cores, Math.floor((batch * scan.N ** 2 * waves) / PIXELS_OF_A_THREAD)));
}

/**
 * Opens the passes that are asked for. `auto` is the host, which is faster on a processor (bench/solverPasses.mjs), unless the backend
 * has a GPU or the host cannot transform patterns of this side.
 *
 * @throws PtychoError CONFIG_INVALID where neither can take the scan
 */
export async function openPasses(
  { threads: given, backend, logger = silentLogger }: PassesChoice,
  passes: SolverOptions['passes'],
  { batch, ...options }: Omit<HostPassesOptions, 'threads'> & BatchSize,
): Promise<WavePasses> {
  requireThreads(given);
  const threads = given ?? threadsFor({ batch, ...options });
  if (!Number.isInteger(threads) || threads < 1) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `threads must be a positive whole number, got ${threads}; leave it out for as many as suit.`,
      {
        key: 'threads',
        found: threads,
      },
    );
  }
  const { N } = options.scan;
  const reason = passes === 'auto' ? whyProgram(N, backend) : undefined;
  if (passes === 'host' || (passes === 'auto' && !reason)) return HostPasses.open({ ...options, threads });
  if (!backend) {
    throw new PtychoError(
      'CONFIG_INVALID',
      reason
        ? `The passes of the host take patterns of even sides from 4, not ${N}, and there is no backend for those of programs; give one (backend: "onnx" or "tensorflow"), ${evenSideRemedy(N)}.`
        : 'passes: "program" computes on a backend, and there is none; give one (backend: "onnx" or "tensorflow"), or take passes: "host".',
      { passes, N },
    );
  }
  // Most runs are the host's.
  const { ProgramPasses } = await import('./program/programPasses.js');
  const opened = await ProgramPasses.open({ ...options, backend });
  if (reason) logger.info(`Solving with ${opened.description}: ${reason}.`);
  return opened;
}

/** What speaks against the host, if anything does. */
function whyProgram(N: number, backend: Backend | undefined): string | undefined {
  if (backend && backend.info.device !== 'cpu') return 'the backend runs on a GPU';
  if (fitsKernels(N)) return undefined;
  return `the passes of the host take even sides from 4, the patterns have ${N}`;
}

/**
 * Starts the backend where it is asked for, has an accelerator that is worth it, or must do what the host cannot; undefined where
 * the host computes.
 * @param N side of the patterns
 * @throws PtychoError as `selectBackend`
 */
export async function solverBackend(
  config: Pick<SolveConfig, 'passes' | 'execution' | 'backend'> & Partial<Pick<SolveConfig, 'prior'>>,
  N: number,
  logger: Logger,
): Promise<Backend | undefined> {
  const { passes, execution } = config;
  if (config.prior === 'network') return selectBackend(config, logger);
  if (passes === 'host') return undefined;
  const { accelerator } = execution;
  const asked = accelerator !== 'auto' && accelerator !== 'cpu';
  if (passes === 'program' || asked || !fitsKernels(N)) return selectBackend(config, logger);
  if (accelerator === 'cpu') return undefined;
  // Without an accelerator the host is no loss: nothing to warn of.
  const backend = await selectBackend(config, silentLogger).catch(() => undefined);
  if (backend && backend.info.device !== 'cpu') return backend;
  await backend?.dispose();
  return undefined;
}

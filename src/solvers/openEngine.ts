/** Which engine solves. */
import { availableParallelism } from 'node:os';
import type { Backend } from '../backends/backend.js';
import type { SolverOptions } from '../config/schemas/solver.js';
import { evenSideRemedy } from '../config/sides.js';
import { PtychoError } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import { requireThreads } from '../core/memoryBudget.js';
import type { FieldEngine } from './engine.js';
import { HostEngine, type HostEngineOptions } from './host/hostEngine.js';
import { fitsKernels } from './host/kernels.js';
import { ProgramEngine } from './program/programEngine.js';

/** Who computes. */
export interface EngineChoice {
  /** Threads of the host engine; one for each core when left out. */
  readonly threads?: number;
  /** Runs the program engine; stays the caller's to dispose. */
  readonly backend?: Backend;
  /** Is told why the engine was chosen where that is not plain. */
  readonly logger?: Logger;
}

/**
 * Opens the engine that is asked for. `auto` is the host engine, which is the faster one on a processor (bench/solverEngines.mjs),
 * unless the backend has a GPU or the host engine cannot transform patterns of this side.
 *
 * @throws PtychoError CONFIG_INVALID where no engine can take the scan
 */
export async function openEngine(
  { threads = availableParallelism(), backend, logger = silentLogger }: EngineChoice,
  engine: SolverOptions['engine'],
  options: Omit<HostEngineOptions, 'threads'>,
): Promise<FieldEngine> {
  requireThreads(threads);
  const { N } = options.scan;
  const reason = engine === 'auto' ? whyProgram(N, backend) : undefined;
  if (engine === 'host' || (engine === 'auto' && !reason)) return HostEngine.open({ ...options, threads });
  if (!backend) {
    throw new PtychoError(
      'CONFIG_INVALID',
      reason
        ? `The host engine of the solvers takes patterns of even sides from 4, not ${N}, and there is no backend to run the program engine on; give one (backend: "onnx" or "tensorflow"), ${evenSideRemedy(N)}.`
        : 'engine: "program" solves on a backend, and there is none; give one (backend: "onnx" or "tensorflow"), or take engine "host".',
      { engine, N },
    );
  }
  const opened = await ProgramEngine.open({ ...options, backend });
  if (reason) logger.info(`Solving with ${opened.description}: ${reason}.`);
  return opened;
}

/** What speaks against the host engine, if anything does. */
function whyProgram(N: number, backend: Backend | undefined): string | undefined {
  if (backend && backend.info.device !== 'cpu') return 'the backend runs on a GPU';
  if (fitsKernels(N)) return undefined;
  return `the host engine takes even sides from 4, the patterns have ${N}`;
}

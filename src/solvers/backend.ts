/** The backend that a solver may compute on. */
import type { Backend } from '../backends/backend.js';
import { selectBackend } from '../backends/select.js';
import type { SolveConfig } from '../config/schemas/solver.js';
import { type Logger, silentLogger } from '../core/log.js';
import { fitsKernels } from './host/kernels.js';

/**
 * Starts the backend where it is asked for, has an accelerator that is worth it, or must do what the host cannot; undefined where
 * the host computes.
 * @param N side of the patterns
 * @throws PtychoError as `selectBackend`
 */
export async function solverBackend(
  config: Pick<SolveConfig, 'engine' | 'execution' | 'backend'>,
  N: number,
  logger: Logger,
): Promise<Backend | undefined> {
  const { engine, execution } = config;
  if (engine === 'host') return undefined;
  if (engine === 'program' || execution.accelerator === 'cuda' || !fitsKernels(N)) return selectBackend(config, logger);
  if (execution.accelerator === 'cpu') return undefined;
  // Without an accelerator the host is no loss: nothing to warn of.
  const backend = await selectBackend(config, silentLogger).catch(() => undefined);
  if (backend?.info.device === 'cuda') return backend;
  await backend?.dispose();
  return undefined;
}

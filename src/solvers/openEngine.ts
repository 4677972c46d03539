/** Which engine solves. */
import { availableParallelism } from 'node:os';
import type { Backend } from '../backends/backend.js';
import type { SolverOptions } from '../config/schemas/solver.js';
import type { FieldEngine } from './engine.js';
import { HostEngine, type HostEngineOptions } from './host/hostEngine.js';

/** Who computes. */
export interface EngineChoice {
  /** Threads of the host engine; one for each core when left out. */
  readonly threads?: number;
  /** Runs the program engine. */
  readonly backend?: Backend;
}

/** @throws PtychoError CONFIG_INVALID where no engine can take the scan */
export async function openEngine(
  { threads = availableParallelism() }: EngineChoice,
  _engine: SolverOptions['engine'],
  options: Omit<HostEngineOptions, 'threads'>,
): Promise<FieldEngine> {
  return HostEngine.open({ ...options, threads });
}

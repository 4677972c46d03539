/** The engine by its configured name; a backend that was not asked for is never imported, a missing one is an error. */
import type { ExecutionConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { requireThreads } from '../core/memoryBudget.js';
import type { Backend, BackendInfo } from './backend.js';

/** Backends by their configured names. */
export const BACKEND_NAMES = ['onnx', 'tensorflow'] as const;

/** The fields that a backend is chosen by. */
export type BackendExecution = Pick<ExecutionConfig, 'accelerator' | 'threads'> &
  Partial<Pick<ExecutionConfig, 'engine'>>;

/** What a training or inference configuration says about the engine. */
export interface BackendChoice {
  readonly backend: string;
  readonly execution: BackendExecution;
}

/**
 * Starts the backend that a configuration names.
 *
 * @example
 * const backend = await selectBackend({ backend: 'tensorflow', execution: { accelerator: 'auto', threads: null } });
 * backend.info; // { name: 'tensorflow', engine: 'tfjs-backend-wasm 4.22.0', device: 'cpu', … }
 *
 * @throws PtychoError CONFIG_INVALID for an unknown name; BACKEND_MISSING or ACCELERATOR_MISSING from the engine.
 */
export async function selectBackend(config: BackendChoice, logger?: Logger): Promise<Backend> {
  const { backend: name, execution } = config;
  const { accelerator } = execution;
  requireThreads(execution.threads);
  const threads = execution.threads ?? undefined;
  if (name === 'onnx') {
    const { createOnnxBackend } = await import('./onnx/backend.js');
    return createOnnxBackend({ accelerator, threads, logger });
  }
  if (name === 'tensorflow') {
    const { createTensorflowBackend } = await import('./tf/backend.js');
    return createTensorflowBackend({ accelerator, threads, engine: execution.engine ?? undefined, logger });
  }
  throw new PtychoError(
    'CONFIG_INVALID',
    `backend: "${name}" is not known; use one of ${BACKEND_NAMES.map((n) => `"${n}"`).join(', ')}.`,
    { key: 'backend', found: name, expected: BACKEND_NAMES },
  );
}

/** `onnxruntime-node 1.30.0 on cpu, 2 threads.` */
export function describeEngine({ engine, device, threads }: BackendInfo): string {
  return `${engine} on ${device}, ${threads} ${threads === 1 ? 'thread' : 'threads'}.`;
}

/** The engine by its configured name; a backend that was not asked for is never imported, a missing one is an error. */
import type { ExecutionConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { Backend, BackendInfo } from './backend.js';

/**
 * Starts the backend called `name`.
 * @throws PtychoError CONFIG_INVALID for an unknown name; BACKEND_MISSING or ACCELERATOR_MISSING from the engine.
 */
export async function selectBackend(name: string, execution: ExecutionConfig, logger?: Logger): Promise<Backend> {
  if (name === 'onnx') {
    const { createOnnxBackend } = await import('./onnx/backend.js');
    return createOnnxBackend({ accelerator: execution.accelerator, threads: execution.threads ?? undefined, logger });
  }
  throw new PtychoError('CONFIG_INVALID', `backend: "${name}" is not known; the backend of this version is "onnx".`, {
    key: 'backend',
    found: name,
    expected: ['onnx'],
  });
}

/** `onnxruntime-node 1.30.0 on cpu, 2 threads.` */
export function describeEngine({ engine, device, threads }: BackendInfo): string {
  return `${engine} on ${device}, ${threads} ${threads === 1 ? 'thread' : 'threads'}.`;
}

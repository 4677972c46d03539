/** The backends by name: a registry of lazy loaders. What was not asked for is never imported; a missing one is an error. */

import type { ExecutionConfig } from '../config/schema.js';
import { messageOf, PtychoError } from '../core/errors.js';
import { acceptName } from '../core/field.js';
import type { Logger } from '../core/log.js';
import { requireThreads } from '../core/memoryBudget.js';
import { counted } from '../core/words.js';
import type { Backend, BackendInfo } from './backend.js';

/** The fields that a backend is chosen by. */
export type BackendExecution = Pick<ExecutionConfig, 'accelerator' | 'threads'> &
  Partial<Pick<ExecutionConfig, 'engine' | 'precision'>>;

/** What a training or inference configuration says about the engine. */
export interface BackendChoice {
  readonly backend: string;
  readonly execution: BackendExecution;
}

/** Starts a backend; imports its engine only now. */
export type BackendLoader = (execution: BackendExecution, logger?: Logger) => Promise<Backend>;

interface Registered {
  readonly load: BackendLoader;
  readonly priority: number;
}

const registry = new Map<string, Registered>();

/**
 * Makes a backend known by name; a name that is known already gets the new loader.
 * @param priority - {@link openBackend} tries higher ones first.
 *
 * @example
 * registerBackend('mine', async ({ threads }) => (await import('./mine.js')).createBackend(threads), 20);
 */
export function registerBackend(name: string, load: BackendLoader, priority = 0): void {
  registry.set(name, { load, priority });
  acceptName('backend', name);
}

/** The names of all backends, the best first. */
export function backendNames(): string[] {
  return [...registry].sort(([, a], [, b]) => b.priority - a.priority).map(([name]) => name);
}

registerBackend(
  'onnx',
  async ({ accelerator, threads, precision }, logger) => {
    const { createOnnxBackend } = await import('./onnx/backend.js');
    return createOnnxBackend({ accelerator, threads: threads ?? undefined, precision, logger });
  },
  20,
);

registerBackend(
  'tensorflow',
  async ({ accelerator, threads, engine, precision = '32-true' }, logger) => {
    if (precision !== '32-true')
      logger?.warn(`precision ${precision} needs backend onnx; everything is computed in single precision.`);
    const { createTensorflowBackend } = await import('./tf/backend.js');
    return createTensorflowBackend({ accelerator, threads: threads ?? undefined, engine: engine ?? undefined, logger });
  },
  10,
);

/**
 * Starts the backend that a configuration names.
 *
 * @example
 * const backend = await selectBackend({ backend: 'tensorflow', execution: { accelerator: 'auto', threads: null } });
 * backend.info; // { name: 'tensorflow', engine: 'tfjs-backend-wasm 4.22.0', device: 'cpu', … }
 *
 * @throws PtychoError CONFIG_INVALID for an unknown name; BACKEND_MISSING or ACCELERATOR_MISSING from the engine.
 */
export async function selectBackend({ backend, execution }: BackendChoice, logger?: Logger): Promise<Backend> {
  requireThreads(execution.threads);
  return loaderOf(backend)(execution, logger);
}

/**
 * Starts the first of several backends that works: those named, or all by priority.
 * @throws PtychoError CONFIG_INVALID for an unknown name; BACKEND_MISSING with every reason where none works.
 */
export async function openBackend(
  execution: BackendExecution,
  { names = backendNames(), logger }: { readonly names?: readonly string[]; readonly logger?: Logger } = {},
): Promise<Backend> {
  requireThreads(execution.threads);
  const loaders = names.map((name) => ({ name, load: loaderOf(name) }));
  const reasons: string[] = [];
  for (const { name, load } of loaders) {
    try {
      return await load(execution, logger);
    } catch (error) {
      reasons.push(`${name}: ${messageOf(error)}`);
    }
  }
  throw new PtychoError('BACKEND_MISSING', `No backend works here (${reasons.join('; ')}).`, { names, reasons });
}

function loaderOf(name: string): BackendLoader {
  const found = registry.get(name);
  if (found) return found.load;
  const known = backendNames();
  throw new PtychoError(
    'CONFIG_INVALID',
    `backend: "${name}" is not known; use one of ${known.map((n) => `"${n}"`).join(', ')}.`,
    { key: 'backend', found: name, expected: known },
  );
}

/** `onnxruntime-node 1.30.0 on cpu, 2 threads.`; `…, 2 workers of 1 thread each.` */
export function describeEngine({ engine, device, threads, workers = 1 }: BackendInfo): string {
  const each = counted(threads, 'thread');
  return `${engine} on ${device}, ${workers === 1 ? each : `${counted(workers, 'worker')} of ${each} each`}.`;
}

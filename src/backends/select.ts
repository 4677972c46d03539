/** The backends by name: a registry of lazy loaders. What was not asked for is never imported; a missing one is an error. */

import type { ExecutionConfig } from '../config/schema.js';
import { askedDevices } from '../config/schemas/execution.js';
import { messageOf, PtychoError } from '../core/errors.js';
import { acceptName } from '../core/field.js';
import type { Logger } from '../core/log.js';
import { requireThreads } from '../core/memoryBudget.js';
import { counted } from '../core/words.js';
import type { Accelerator, Backend, BackendInfo } from './backend.js';

/** The fields that a backend is started by. */
export interface BackendExecution
  extends Pick<ExecutionConfig, 'threads'>,
    Partial<Pick<ExecutionConfig, 'engine' | 'precision'>> {
  readonly accelerator: Accelerator;
  /** Which of several such devices, from 0; the engine's own choice where not given. */
  readonly deviceNumber?: number;
}

/** What a training or inference configuration says about the engine. */
export interface BackendChoice {
  readonly backend: string;
  readonly execution: Pick<ExecutionConfig, 'accelerator' | 'threads'> &
    Partial<Pick<ExecutionConfig, 'engine' | 'precision'>>;
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
  async ({ accelerator, deviceNumber, threads, precision }, logger) => {
    const { createOnnxBackend } = await import('./onnx/backend.js');
    return createOnnxBackend({ accelerator, deviceNumber, threads: threads ?? undefined, precision, logger });
  },
  20,
);

registerBackend(
  'tensorflow',
  async ({ accelerator, deviceNumber, threads, engine, precision = '32-true' }, logger) => {
    if (deviceNumber !== undefined) {
      throw new PtychoError(
        'ACCELERATOR_MISSING',
        `Accelerator "${accelerator}:${deviceNumber}" needs backend onnx, because TensorFlow.js cannot be told which device to take; use that, or accelerator "${accelerator}" with CUDA_VISIBLE_DEVICES=${deviceNumber}.`,
        { accelerator, number: deviceNumber },
      );
    }
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
  return loaderOf(backend)(oneDevice(execution), logger);
}

/** @throws PtychoError CONFIG_INVALID where `accelerator` names several devices */
function oneDevice({ accelerator: written, ...execution }: BackendChoice['execution']): BackendExecution {
  const [{ accelerator, number: deviceNumber }, ...more] = askedDevices(written);
  if (more.length > 0) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `accelerator names ${1 + more.length} devices (${written}), but this computes on one; name one of them (train and infer share their work out among several).`,
      { key: 'accelerator', found: written },
    );
  }
  return { ...execution, accelerator, ...(deviceNumber === undefined ? {} : { deviceNumber }) };
}

/**
 * Starts the first of several backends that works: those named, or all by priority.
 * @throws PtychoError CONFIG_INVALID for an unknown name; BACKEND_MISSING with every reason where none works.
 */
export async function openBackend(
  execution: BackendChoice['execution'],
  { names = backendNames(), logger }: { readonly names?: readonly string[]; readonly logger?: Logger } = {},
): Promise<Backend> {
  requireThreads(execution.threads);
  const loaders = names.map((name) => ({ name, load: loaderOf(name) }));
  const reasons: string[] = [];
  for (const { name, load } of loaders) {
    try {
      return await load(oneDevice(execution), logger);
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
export function describeEngine({ engine, threads, workers = 1, ...info }: BackendInfo): string {
  const each = counted(threads, 'thread');
  return `${engine} on ${(info.devices ?? [deviceName(info)]).join(', ')}, ${workers === 1 ? each : `${counted(workers, 'worker')} of ${each} each`}.`;
}

/** `cuda`, or `cuda:1` where a number was asked for. */
export function deviceName({ device, deviceNumber }: Pick<BackendInfo, 'device' | 'deviceNumber'>): string {
  return deviceNumber === undefined ? device : `${device}:${deviceNumber}`;
}

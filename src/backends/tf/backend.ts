/**
 * The TensorFlow.js backend: programs are run op by op on the best TensorFlow.js engine there is, in a worker thread.
 *
 * @example
 * const backend = await createTensorflowBackend({ engine: 'wasm', logger });
 * const compiled = await backend.compile(program);
 * const { loss } = await compiled.run({ x }, await backend.createState(weights));
 * await backend.dispose();
 */
import { SHARE_ENV } from 'node:worker_threads';
import { PtychoError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import type { Accelerator, Backend } from '../backend.js';
import { thisMachine } from '../gpus.js';
import { type SharedCalls, WorkerHost, workerFile } from '../worker/host.js';
import { type Compile, HostedBackend } from '../worker/hostedBackend.js';
import {
  ENGINE_NAMES,
  type EngineName,
  type EngineReport,
  flattenProgram,
  NO_DEVICE,
  type TfCalls,
} from './protocol.js';

export interface TensorflowBackendOptions {
  /** This engine or an error; the best that works when not given. */
  readonly engine?: EngineName;
  /** `auto`: CUDA where it works, else the CPU, with one warning where there is a GPU (POLICY-001); `cuda`: CUDA or an error. */
  readonly accelerator?: Accelerator;
  /**
   * Threads that compute one operation together. Not given: all of the machine on tfjs-node, one on wasm. More than one on
   * wasm is an experiment that tfjs does not support under Node, see `wasmEngine.ts`; the cpu engine has one.
   */
  readonly threads?: number;
  readonly logger?: Logger;
}

/**
 * Finds an engine that works: tfjs-node-gpu, tfjs-node, wasm, cpu, in this order.
 *
 * @throws PtychoError CONFIG_INVALID for options that make no sense, BACKEND_MISSING when the engine asked for (or any) does
 * not work, ACCELERATOR_MISSING when `cuda` does not.
 */
export async function createTensorflowBackend(options: TensorflowBackendOptions = {}): Promise<Backend> {
  const { engine, accelerator = 'auto', threads, logger = silentLogger } = options;
  if (threads !== undefined && (!Number.isInteger(threads) || threads < 1)) {
    throw new PtychoError('CONFIG_INVALID', `threads must be a whole number of 1 or more, got ${threads}.`, {
      threads,
    });
  }
  if (engine !== undefined && !ENGINE_NAMES.includes(engine)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `engine: "${engine}" is not known; use one of ${ENGINE_NAMES.join(', ')}.`,
      {
        key: 'engine',
        found: engine,
        expected: ENGINE_NAMES,
      },
    );
  }
  const entry = workerFile(new URL('./tensorflowWorker.js', import.meta.url), 'backends/tf/tensorflowWorker.js');
  // libtensorflow looks at the environment of the process, not at a worker's copy of it.
  const host = new WorkerHost<TfCalls & SharedCalls>(entry, 'The TensorFlow.js backend', { env: SHARE_ENV });
  try {
    const report = await host.call('open', [{ engine: engine ?? null, accelerator, threads: threads ?? null }]);
    sayWhatWasSkipped(report, accelerator === 'auto' && thisMachine().gpus.length > 0, logger);
    const info = {
      name: 'tensorflow',
      engine: report.version,
      device: report.device,
      threads: report.threads,
      skipped: report.skipped,
    } as const;
    const compile: Compile = (program, { constants }) => host.call('compile', [flattenProgram(program, constants)]);
    return new HostedBackend(host, info, 'TensorFlow.js', compile, host);
  } catch (error) {
    await host.close();
    throw error;
  }
}

/** One line for a backend, however many programs follow; a warning where a GPU that is there is not used. */
function sayWhatWasSkipped({ engine, device, skipped }: EngineReport, gpuHoped: boolean, logger: Logger): void {
  const reasons = skipped.map((s) => `${s.engine}: ${s.reason}`);
  if (engine === 'tfjs-node-gpu' && device === 'cpu') reasons.push(`${engine}: ${NO_DEVICE}`);
  if (reasons.length === 0) return;
  const why = `because no better one works here (${reasons.join('; ')})`;
  if (gpuHoped && device === 'cpu') {
    logger.warn(`POLICY-001: running on the CPU with engine ${engine} ${why}.`);
  } else logger.info(`Running with engine ${engine} ${why}.`);
}

/**
 * The ONNX backend: programs become ONNX models that onnxruntime-node runs in a worker thread.
 *
 * @example
 * const backend = await createOnnxBackend({ accelerator: 'auto', threads: 2, logger });
 * const compiled = await backend.compile(program);
 * const { loss } = await compiled.run({ x }, await backend.createState(weights));
 * await backend.dispose();
 */
import { availableParallelism } from 'node:os';
import { PtychoError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import { encodeOnnx } from '../../formats/onnx/encode.js';
import type { Accelerator, Backend } from '../backend.js';
import { type Machine, thisMachine } from '../gpus.js';
import { WorkerHost, workerFile } from '../worker/host.js';
import { HostedBackend } from '../worker/hostedBackend.js';
import { chooseDevice, rulesOf, type Surroundings } from './accelerators.js';
import { ioOf, type OnnxCalls } from './engine.js';
import { tryAccelerator } from './trial.js';

export interface OnnxBackendOptions {
  /** `auto`: CUDA, then WebGPU on real hardware, where they work, else the CPU; any other: that one or an error. */
  readonly accelerator?: Accelerator;
  /** Threads that compute one operation together; all that the machine offers when not given. */
  readonly threads?: number;
  readonly logger?: Logger;
  /** Another module in the engine's place (tests). @internal */
  readonly engineModule?: string;
  /** Another machine than this one (tests). @internal */
  readonly machine?: Machine;
}

/**
 * Finds out which device there is and starts the engine on it. No accelerator but software WebGPU was ever run by us, see
 * docs/accelerators.md. With WebGPU state stays on the device between runs; with CUDA it is copied there and back at every run, because
 * onnxruntime-node can keep buffers on the device with WebGPU only.
 *
 * @throws PtychoError BACKEND_MISSING without onnxruntime-node, ACCELERATOR_MISSING when the one that was asked for does not work.
 */
export async function createOnnxBackend(options: OnnxBackendOptions = {}): Promise<Backend> {
  const threads = options.threads ?? availableParallelism();
  if (!Number.isInteger(threads) || threads < 1) {
    throw new PtychoError('CONFIG_INVALID', `threads must be a whole number of 1 or more, got ${threads}.`, {
      threads,
    });
  }
  const { accelerator = 'auto', logger = silentLogger, engineModule: module = 'onnxruntime-node' } = options;
  const entry = workerFile(new URL('./onnxWorker.js', import.meta.url), 'backends/onnx/onnxWorker.js');
  const host = new WorkerHost<OnnxCalls>(entry, 'The ONNX backend');
  try {
    const machine = options.machine ?? thisMachine();
    const tryOut: Surroundings['tryOut'] = (device) => tryAccelerator(device, { module, machine });
    const { device, adapter, skipped } = await chooseDevice(accelerator, { machine, tryOut, logger });
    const { provider, lacking, ...rules } = rulesOf(device);
    const providers = device === 'cpu' ? [provider] : [provider, 'cpu'];
    const version = await host.call('open', [{ module, providers, threads, ...rules }]);
    const info = {
      name: 'onnx',
      engine: `onnxruntime-node ${version}`,
      device,
      ...(adapter ? { adapter } : {}),
      threads,
      ...(skipped.length > 0 ? { skipped } : {}),
    } as const;
    return new OnnxBackend(host, info, 'onnxruntime', async (program, constants) => {
      const model = encodeOnnx(program, { constants, lacking });
      const optimization = program.updates.size === 0 && constants ? 'all' : 'extended';
      return host.call('compile', [model, optimization, ioOf(program, constants)], [model.buffer]);
    });
  } catch (error) {
    await host.close();
    throw error;
  }
}

class OnnxBackend extends HostedBackend {
  readonly #calls: WorkerHost<OnnxCalls>;

  constructor(host: WorkerHost<OnnxCalls>, ...rest: RestOf<typeof HostedBackend>) {
    super(host, ...rest);
    this.#calls = host;
  }

  transfers(): ReturnType<OnnxCalls['transfers']> {
    return this.#calls.call('transfers', []);
  }
}

/** Arguments of a constructor but the first. */
type RestOf<C extends new (...args: never[]) => unknown> =
  ConstructorParameters<C> extends [unknown, ...infer R] ? R : never;

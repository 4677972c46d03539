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
import { messageOf, PtychoError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import type { Shape } from '../../core/tensor.js';
import { encodeOnnx, stateInputName, stateOutputName } from '../../formats/onnx/encode.js';
import { add, input } from '../../graph/ops.js';
import { defineProgram, type Program } from '../../graph/program.js';
import type { Accelerator, Backend, Tensors } from '../backend.js';
import { WorkerHost, workerFile } from '../worker/host.js';
import { HostedBackend } from '../worker/hostedBackend.js';
import type { OnnxCalls, SessionIo, SessionSettings } from './engine.js';

export interface OnnxBackendOptions {
  /** `auto`: CUDA where it works, else the CPU with one warning (POLICY-001); `cuda`: CUDA or an error. */
  readonly accelerator?: Accelerator;
  /** Threads that compute one operation together; all that the machine offers when not given. */
  readonly threads?: number;
  readonly logger?: Logger;
  /** Another module in the engine's place (tests). @internal */
  readonly engineModule?: string;
}

/**
 * Starts the engine and finds out at once which device it has. CUDA is expected to work where the engine's CUDA
 * libraries are installed, but this path was never run on a GPU; state is then copied to the device and back at every run.
 *
 * @throws PtychoError BACKEND_MISSING without onnxruntime-node, ACCELERATOR_MISSING when `cuda` does not work.
 */
export async function createOnnxBackend(options: OnnxBackendOptions = {}): Promise<Backend> {
  const threads = options.threads ?? availableParallelism();
  if (!Number.isInteger(threads) || threads < 1) {
    throw new PtychoError('CONFIG_INVALID', `threads must be a whole number of 1 or more, got ${threads}.`, {
      threads,
    });
  }
  const entry = workerFile(new URL('./onnxWorker.js', import.meta.url), 'backends/onnx/onnxWorker.js');
  const host = new WorkerHost<OnnxCalls>(entry, 'The ONNX backend');
  try {
    const version = await host.call('open', [options.engineModule ?? 'onnxruntime-node']);
    const tryCuda = () => {
      const settings: SessionSettings = { device: 'cuda', threads, optimization: 'extended' };
      return host.call('probe', [encodeOnnx(probeProgram), settings, ioOf(probeProgram)]);
    };
    const device = await chooseDevice(options.accelerator ?? 'auto', tryCuda, options.logger ?? silentLogger);
    const info = { name: 'onnx', engine: `onnxruntime-node ${version}`, device, threads } as const;
    return new HostedBackend(host, info, 'onnxruntime', async (program, constants) => {
      const model = encodeOnnx(program, { constants });
      const settings: SessionSettings = {
        device,
        threads,
        optimization: program.updates.size === 0 && constants ? 'all' : 'extended',
      };
      return host.call('compile', [model, settings, ioOf(program, constants)], [model.buffer]);
    });
  } catch (error) {
    await host.close();
    throw error;
  }
}

const probeProgram = defineProgram({ name: 'probe', outputs: { y: add(input('x', [1]), 1) } });

function ioOf(program: Program, constants: Tensors = {}): SessionIo {
  const shapes = (nodes: ReadonlyMap<string, { readonly shape: Shape }>) =>
    Object.fromEntries([...nodes].map(([name, node]) => [name, [...node.shape]]));
  const state = [...program.state.keys()].filter((name) => !Object.hasOwn(constants, name));
  return {
    inputs: shapes(program.inputs),
    outputs: shapes(program.outputs),
    state: Object.fromEntries(state.map((name) => [stateInputName(name), name])),
    updates: Object.fromEntries([...program.updates.keys()].map((name) => [stateOutputName(name), name])),
  };
}

const installHint =
  'run "npx ptychopinn setup-cuda", which fetches ONNX Runtime\'s CUDA libraries (Linux x64, CUDA 12 and cuDNN 9 on the machine)';

/**
 * Decides on a device. `tryCuda` must create and run a session on CUDA and reject with the engine's reason where that
 * fails; `auto` then goes on with the CPU after one warning.
 *
 * @throws PtychoError ACCELERATOR_MISSING when CUDA was asked for by name and does not work.
 */
export async function chooseDevice(
  wanted: Accelerator,
  tryCuda: () => Promise<void>,
  logger: Logger,
): Promise<'cpu' | 'cuda'> {
  if (wanted === 'cpu') return 'cpu';
  try {
    await tryCuda();
    return 'cuda';
  } catch (error) {
    const reason = messageOf(error).split('\n')[0];
    if (wanted === 'cuda') {
      throw new PtychoError(
        'ACCELERATOR_MISSING',
        `Accelerator "cuda" does not work here (${reason}): ${installHint}, or use accelerator "cpu".`,
        { accelerator: wanted, reason },
        { cause: error },
      );
    }
    logger.warn(`POLICY-001: running on the CPU because CUDA does not work here (${reason}).`);
    return 'cpu';
  }
}

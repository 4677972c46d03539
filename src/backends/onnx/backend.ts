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
import { formatShape, type Shape, sameShape, sizeOf, type Tensor } from '../../core/tensor.js';
import { encodeOnnx, stateInputName, stateOutputName } from '../../formats/onnx/encode.js';
import { add, input } from '../../graph/ops.js';
import { defineProgram, type Program } from '../../graph/program.js';
import type { Backend, BackendInfo, Compiled, CompileOptions, DeviceState, Tensors } from '../backend.js';
import { type Accelerator, chooseDevice } from './accelerator.js';
import type { Arrays, SessionIo, SessionSettings } from './protocol.js';
import { EngineRefusal, WorkerHost } from './workerHost.js';

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
  const host = new WorkerHost();
  try {
    const version = await host.call('open', [options.engineModule ?? 'onnxruntime-node']);
    const tryCuda = () => {
      const settings: SessionSettings = { device: 'cuda', threads, optimization: 'extended' };
      return host.call('probe', [encodeOnnx(probeProgram), settings, ioOf(probeProgram)]);
    };
    const device = await chooseDevice(options.accelerator ?? 'auto', tryCuda, options.logger ?? silentLogger);
    return new OnnxBackend(host, { name: 'onnx', engine: `onnxruntime-node ${version}`, device, threads });
  } catch (error) {
    await host.close();
    throw error instanceof EngineRefusal && error.missing ? missing(error) : error;
  }
}

const probeProgram = defineProgram({ name: 'probe', outputs: { y: add(input('x', [1]), 1) } });

function missing(error: EngineRefusal): PtychoError {
  return new PtychoError(
    'BACKEND_MISSING',
    `The package onnxruntime-node cannot be loaded (${error.message.split('\n')[0]}): install it with "ONNXRUNTIME_NODE_INSTALL=skip npm i onnxruntime-node@1.30.0", without that variable on a CUDA machine.`,
    { package: 'onnxruntime-node', reason: error.message },
    { cause: error },
  );
}

class OnnxBackend implements Backend {
  readonly info: BackendInfo;
  readonly #host: WorkerHost;

  constructor(host: WorkerHost, info: BackendInfo) {
    this.#host = host;
    this.info = info;
  }

  async compile(program: Program, { constants }: CompileOptions = {}): Promise<Compiled> {
    const model = encodeOnnx(program, { constants });
    const settings: SessionSettings = {
      device: this.info.device,
      threads: this.info.threads,
      optimization: program.updates.size === 0 && constants ? 'all' : 'extended',
    };
    const io = ioOf(program, constants);
    const id = await engineCall(program.name, this.#host.call('compile', [model, settings, io], [model.buffer]));
    return new OnnxCompiled(this.#host, id, program, io);
  }

  async createState(values: Tensors): Promise<DeviceState> {
    const shapes: Record<string, Shape> = {};
    for (const [name, value] of Object.entries(values)) {
      checkShape('state', name, value, value.shape);
      shapes[name] = [...value.shape];
    }
    const arrays = copies(values, Object.keys(values));
    const id = await this.#host.call('createState', [arrays, shapes], buffersOf(arrays));
    return new OnnxState(this.#host, id, shapes);
  }

  dispose(): Promise<void> {
    return this.#host.close();
  }
}

class OnnxCompiled implements Compiled {
  readonly #host: WorkerHost;
  readonly #id: number;
  readonly #program: Program;
  readonly #io: SessionIo;

  constructor(host: WorkerHost, id: number, program: Program, io: SessionIo) {
    this.#host = host;
    this.#id = id;
    this.#program = program;
    this.#io = io;
  }

  /** Feeds that the program does not declare are ignored: it may have dropped an input that nothing needs. */
  async run(feeds: Tensors, state?: DeviceState): Promise<Record<string, Tensor>> {
    const { name: program } = this.#program;
    for (const [name, shape] of Object.entries(this.#io.inputs)) {
      if (!Object.hasOwn(feeds, name)) {
        throw new PtychoError('GRAPH_SHAPE', `Program "${program}" needs the input "${name}" ${formatShape(shape)}.`, {
          program,
          input: name,
        });
      }
      checkShape(`input of "${program}"`, name, feeds[name], shape);
    }
    const stateId = this.#checkState(state);
    const arrays = copies(feeds, Object.keys(this.#io.inputs));
    const results = await engineCall(program, this.#host.call('run', [this.#id, arrays, stateId], buffersOf(arrays)));
    const shapes = this.#io.outputs;
    return Object.fromEntries(Object.entries(results).map(([name, data]) => [name, { data, shape: shapes[name] }]));
  }

  async dispose(): Promise<void> {
    await this.#host.call('dropSession', [this.#id]).catch(ignoreEnd);
  }

  #checkState(state: DeviceState | undefined): number | undefined {
    const { name: program, state: declared } = this.#program;
    const needed = Object.values(this.#io.state);
    if (needed.length === 0 && this.#program.updates.size === 0) return undefined;
    if (!(state instanceof OnnxState) || state.host !== this.#host) {
      const why = state ? 'belongs to another backend' : 'is missing';
      throw new PtychoError('GRAPH_INVALID', `Program "${program}" needs a state, and it ${why}.`, { program });
    }
    for (const name of needed) {
      const [shape, found] = [declared.get(name)!.shape, state.shapes[name]];
      if (!found || !sameShape(found, shape)) {
        const has = found ? `has shape ${formatShape(found)}` : 'is not in the state';
        throw new PtychoError(
          'GRAPH_SHAPE',
          `Program "${program}" needs "${name}" ${formatShape(shape)}, which ${has}.`,
          {
            program,
            state: name,
            expected: shape,
            found,
          },
        );
      }
    }
    return state.id;
  }
}

class OnnxState implements DeviceState {
  readonly host: WorkerHost;
  readonly id: number;
  readonly shapes: Readonly<Record<string, Shape>>;

  constructor(host: WorkerHost, id: number, shapes: Readonly<Record<string, Shape>>) {
    this.host = host;
    this.id = id;
    this.shapes = shapes;
  }

  async read(names: readonly string[] = Object.keys(this.shapes)): Promise<Record<string, Tensor>> {
    for (const name of names) this.#shapeOf(name);
    const arrays = await engineCall('state', this.host.call('readState', [this.id, names]));
    return Object.fromEntries(names.map((name) => [name, { data: arrays[name], shape: this.shapes[name] }]));
  }

  async write(values: Tensors): Promise<void> {
    for (const [name, value] of Object.entries(values)) checkShape('state', name, value, this.#shapeOf(name));
    const arrays = copies(values, Object.keys(values));
    await engineCall('state', this.host.call('writeState', [this.id, arrays], buffersOf(arrays)));
  }

  async dispose(): Promise<void> {
    await this.host.call('dropState', [this.id]).catch(ignoreEnd);
  }

  #shapeOf(name: string): Shape {
    if (!Object.hasOwn(this.shapes, name)) {
      throw new PtychoError('GRAPH_SHAPE', `The state holds no "${name}".`, { state: name });
    }
    return this.shapes[name];
  }
}

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

function checkShape(what: string, name: string, value: Tensor, shape: Shape): void {
  if (sameShape(value.shape, shape) && value.data.length === sizeOf(shape)) return;
  const found = `${formatShape(value.shape)} with ${value.data.length} values`;
  throw new PtychoError('GRAPH_SHAPE', `The ${what} "${name}" must have shape ${formatShape(shape)}, got ${found}.`, {
    name,
    expected: shape,
    found: value.shape,
  });
}

/** The caller keeps his arrays: what moves to the worker is a copy. */
function copies(values: Tensors, names: readonly string[]): Arrays {
  return Object.fromEntries(names.map((name) => [name, new Float32Array(values[name].data)]));
}

function buffersOf(arrays: Arrays): ArrayBuffer[] {
  return Object.values(arrays).map((a) => a.buffer);
}

/** Gives the engine's own words a code and the program's name. */
async function engineCall<T>(program: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof EngineRefusal)) throw error;
    const reason = messageOf(error);
    const message = `onnxruntime refused "${program}": ${reason}`;
    throw new PtychoError('ENGINE_FAILURE', message, { program, reason }, { cause: error });
  }
}

/** Disposing what went away with its backend is no error. */
function ignoreEnd(error: unknown): void {
  if (!(error instanceof PtychoError && error.code === 'ENGINE_FAILURE')) throw error;
}

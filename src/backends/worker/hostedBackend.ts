/** The caller's side of a backend whose engine runs in a worker: checks what goes over, names what went wrong. */
import { messageOf, PtychoError } from '../../core/errors.js';
import { formatShape, type Shape, sameShape, sizeOf, type Tensor } from '../../core/tensor.js';
import type { Program } from '../../graph/program.js';
import type { Backend, BackendInfo, Compiled, CompileOptions, DeviceState, Tensors } from '../backend.js';
import {
  type Arrays,
  type EngineCalls,
  type EngineHost,
  EngineRefusal,
  type SharedCalls,
  type WorkerCalls,
} from './host.js';

/** Sends a program to the worker; answers its number there. */
export type Compile = (program: Program, options: CompileOptions) => Promise<number>;

type Host = EngineHost<EngineCalls>;
/** The same engine where it answers in a thread of its own, in which it sees memory that others see. */
type SharedHost = EngineHost<WorkerCalls & SharedCalls>;

/** A backend over `host`; `engine` is what the engine is called in messages, `shared` its host where it can share memory. */
export class HostedBackend implements Backend {
  readonly info: BackendInfo;
  readonly #host: Host;
  readonly #engine: string;
  readonly #compile: Compile;
  readonly #shared: SharedHost | undefined;
  readonly addUp?: Backend['addUp'];

  constructor(host: Host, info: BackendInfo, engine: string, compile: Compile, shared?: SharedHost) {
    this.#host = host;
    this.info = info;
    this.#engine = engine;
    this.#compile = compile;
    this.#shared = shared;
    if (shared) this.addUp = (sum) => engineCall(engine, 'sum', shared.call('addUp', [sum]));
  }

  async compile(program: Program, options: CompileOptions = {}): Promise<Compiled> {
    const id = await engineCall(this.#engine, program.name, this.#compile(program, options));
    return new HostedProgram(this.#host, id, program, options.constants ?? {}, this.#engine);
  }

  async createState(values: Tensors): Promise<DeviceState> {
    const shapes: Record<string, Shape> = {};
    for (const [name, value] of Object.entries(values)) {
      checkShape('state', name, value, value.shape);
      shapes[name] = [...value.shape];
    }
    const arrays = copies(values, Object.keys(values));
    const id = await this.#host.call('createState', [arrays, shapes], buffersOf(arrays));
    return new HostedState(this.#host, id, shapes, this.#engine, this.#shared);
  }

  dispose(): Promise<void> {
    return this.#host.close();
  }
}

class HostedProgram implements Compiled {
  readonly #host: Host;
  readonly #id: number;
  readonly #program: Program;
  readonly #engine: string;
  /** Names of the state that must be there. */
  readonly #needed: readonly string[];

  constructor(host: Host, id: number, program: Program, constants: Tensors, engine: string) {
    this.#host = host;
    this.#id = id;
    this.#program = program;
    this.#engine = engine;
    this.#needed = [...program.state.keys()].filter((name) => !Object.hasOwn(constants, name));
  }

  /** Feeds that the program does not declare are ignored: it may have dropped an input that nothing needs. */
  async run(feeds: Tensors, state?: DeviceState): Promise<Record<string, Tensor>> {
    const { name: program, inputs, outputs } = this.#program;
    for (const [name, { shape }] of inputs) {
      if (!Object.hasOwn(feeds, name)) {
        throw new PtychoError('GRAPH_SHAPE', `Program "${program}" needs the input "${name}" ${formatShape(shape)}.`, {
          program,
          input: name,
        });
      }
      checkShape(`input of "${program}"`, name, feeds[name], shape);
    }
    const stateId = this.#checkState(state);
    const arrays = copies(feeds, [...inputs.keys()]);
    const run = this.#host.call('run', [this.#id, arrays, stateId], buffersOf(arrays));
    const results = await engineCall(this.#engine, program, run);
    return Object.fromEntries(
      Object.entries(results).map(([name, data]) => [name, { data, shape: [...outputs.get(name)!.shape] }]),
    );
  }

  async dispose(): Promise<void> {
    await this.#host.call('dropProgram', [this.#id]).catch(ignoreEnd);
  }

  #checkState(state: DeviceState | undefined): number | undefined {
    const { name: program, state: declared } = this.#program;
    if (this.#needed.length === 0 && this.#program.updates.size === 0) return undefined;
    if (!(state instanceof HostedState) || state.host !== this.#host) {
      const why = state ? 'belongs to another backend' : 'is missing';
      throw new PtychoError('GRAPH_INVALID', `Program "${program}" needs a state, and it ${why}.`, { program });
    }
    for (const name of this.#needed) {
      const [shape, found] = [declared.get(name)!.shape, state.shapes[name]];
      if (!found || !sameShape(found, shape)) {
        const has = found ? `has shape ${formatShape(found)}` : 'is not in the state';
        throw new PtychoError(
          'GRAPH_SHAPE',
          `Program "${program}" needs "${name}" ${formatShape(shape)}, which ${has}.`,
          { program, state: name, expected: shape, found },
        );
      }
    }
    return state.id;
  }
}

class HostedState implements DeviceState {
  readonly host: Host;
  readonly id: number;
  readonly shapes: Readonly<Record<string, Shape>>;
  readonly #engine: string;
  readonly copyOut?: DeviceState['copyOut'];
  readonly copyIn?: DeviceState['copyIn'];

  constructor(
    host: Host,
    id: number,
    shapes: Readonly<Record<string, Shape>>,
    engine: string,
    shared: SharedHost | undefined,
  ) {
    this.host = host;
    this.id = id;
    this.shapes = shapes;
    this.#engine = engine;
    if (!shared) return;
    this.copyOut = async (names, to, clear = false) => {
      for (const name of names) this.#shapeOf(name);
      await engineCall(engine, 'state', shared.call('copyOut', [id, names, to, clear]));
    };
    this.copyIn = async (names, from) => {
      const lengths = Object.fromEntries(names.map((name) => [name, sizeOf(this.#shapeOf(name))]));
      await engineCall(engine, 'state', shared.call('copyIn', [id, lengths, from]));
    };
  }

  async read(names: readonly string[] = Object.keys(this.shapes)): Promise<Record<string, Tensor>> {
    for (const name of names) this.#shapeOf(name);
    const arrays = await engineCall(this.#engine, 'state', this.host.call('readState', [this.id, names]));
    return Object.fromEntries(names.map((name) => [name, { data: arrays[name], shape: this.shapes[name] }]));
  }

  async write(values: Tensors): Promise<void> {
    for (const [name, value] of Object.entries(values)) checkShape('state', name, value, this.#shapeOf(name));
    const arrays = copies(values, Object.keys(values));
    const written = this.host.call('writeState', [this.id, arrays], buffersOf(arrays));
    await engineCall(this.#engine, 'state', written);
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

function checkShape(what: string, name: string, value: Tensor, shape: Shape): void {
  if (sameShape(value.shape, shape) && value.data.length === sizeOf(shape)) return;
  const got = `got ${formatShape(value.shape)} with ${value.data.length} values`;
  throw new PtychoError('GRAPH_SHAPE', `The ${what} "${name}" must have shape ${formatShape(shape)}, ${got}.`, {
    name,
    expected: shape,
    found: value.shape,
  });
}

/** The caller keeps its arrays: what moves to the worker is a copy. */
function copies(values: Tensors, names: readonly string[]): Arrays {
  return Object.fromEntries(names.map((name) => [name, new Float32Array(values[name].data)]));
}

function buffersOf(arrays: Arrays): ArrayBuffer[] {
  return Object.values(arrays).map((a) => a.buffer);
}

/** As drivers and engines say that a device was reset, removed or destroyed under them. */
const DEVICE_LOST =
  /\b(?:device|adapter)\b.{0,40}\b(?:lost|removed|hung|reset|destroyed)\b|DEVICE_(?:LOST|REMOVED|HUNG|RESET)|CUDA failure (?:4|46|702|719|999)\b/i;

/** Gives the engine's own words a code and the program's name. */
async function engineCall<T>(engine: string, program: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof EngineRefusal)) throw error;
    const reason = messageOf(error);
    const lost = DEVICE_LOST.test(reason);
    const message = lost
      ? `The device was lost while ${engine} ran "${program}" (${reason.split('\n')[0].replace(/\.$/, '')}): what it held is gone; start again, from what was saved or on another accelerator.`
      : `${engine} refused "${program}": ${reason}`;
    throw new PtychoError('ENGINE_FAILURE', message, { program, reason, ...(lost ? { lost } : {}) }, { cause: error });
  }
}

/** Disposing what went away with its backend is no error. */
function ignoreEnd(error: unknown): void {
  if (!(error instanceof PtychoError && error.code === 'ENGINE_FAILURE')) throw error;
}

/**
 * The engine's side of the backend: sessions and the state that stays with them. Runs in the worker, and in the process that tries an
 * accelerator.
 *
 * State is kept twice: the engine writes the next values into the spare buffers and the two are swapped after the run.
 * (Writing in place is not safe: a layer's input gradient may read a weight after its update.) A run that fails leaves
 * the state as it was. Where the device's buffers can be kept (`resident`), both copies are there: what a run gives is what the next one
 * takes, and nothing of it passes through the host before it is read.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { messageOf, PtychoError } from '../../core/errors.js';
import { type Shape, sizeOf } from '../../core/tensor.js';
import { encodeCopy, stateInputName, stateOutputName } from '../../formats/onnx/encode.js';
import type { Program } from '../../graph/program.js';
import type { Tensors, Transfers } from '../backend.js';
import type { Arrays, EngineCalls } from '../worker/host.js';
import { channelBlock } from './channelBlocks.js';

/** How the engine is started; what a device needs of it is in `accelerators.ts`. */
export interface EngineSettings {
  /** The package, or a module in its place. */
  readonly module: string;
  /** Execution providers of every session, the best first. */
  readonly providers: readonly ExecutionProvider[];
  readonly threads: number;
  /** State stays in buffers of the device between runs. */
  readonly resident: boolean;
  /** The engine does not write results into buffers that it is given (wasm: they stay as they were, without a word). */
  readonly ownResults?: boolean;
  /** Session options that a device asks for. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** What the engine itself may say on stderr; `fatal` unless it is listened to. */
  readonly logLevel?: 'fatal' | 'info';
}

export type ExecutionProvider = string | Readonly<{ name: string } & Record<string, unknown>>;

/** 'all' also lays out constant weights for the convolutions; without constant weights it only adds copies. */
export type Optimization = 'extended' | 'all';

/** Names and shapes of what goes in and out of a session. */
export interface SessionIo {
  readonly inputs: Readonly<Record<string, Shape>>;
  readonly outputs: Readonly<Record<string, Shape>>;
  /** State names by the names that the graph reads them under. */
  readonly state: Readonly<Record<string, string>>;
  /** State names by the names that the graph gives their next values. */
  readonly updates: Readonly<Record<string, string>>;
}

/** What goes in and out of a program whose state `constants` are built in. */
export function ioOf(program: Program, constants: Tensors = {}): SessionIo {
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

/** What the worker can be asked. */
export interface OnnxCalls extends EngineCalls {
  /** Loads the engine package; answers its version. */
  open(settings: EngineSettings): Promise<string>;
  compile(model: Uint8Array, optimization: Optimization, io: SessionIo): Promise<number>;
  /** Channels in a block of the layout in which the engine's convolutions are fastest, tried with tiles or without; undefined where it has none. */
  channelBlock(tiles: boolean): Promise<number | undefined>;
  /** What went to the engine and came back since it was opened. */
  transfers(): Promise<Transfers>;
}

/** What we use of onnxruntime-node and onnxruntime-web. */
export interface OrtModule {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<OrtSession>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => OrtTensor;
  readonly env: {
    readonly versions: { readonly node?: string; readonly web?: string; readonly common: string };
    readonly wasm?: { numThreads?: number; wasmPaths?: unknown };
    logLevel?: string;
  };
}

export interface OrtSession {
  run(
    feeds: Record<string, OrtTensor>,
    fetches: Record<string, OrtTensor | null>,
  ): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

/** The package cannot be imported. */
function missing(error: unknown): PtychoError {
  const reason = messageOf(error);
  return new PtychoError(
    'BACKEND_MISSING',
    `The package onnxruntime-node cannot be loaded (${reason.split('\n')[0]}): install it with "npm i --ignore-scripts onnxruntime-node@1.30.0", and on a CUDA machine run "npx ptychopinn setup-cuda" afterwards; where it has no files for the platform, "npm i onnxruntime-web@1.30.0" brings an engine in WebAssembly.`,
    { package: 'onnxruntime-node', reason },
  );
}

interface Value {
  readonly shape: Shape;
  current: OrtTensor;
  /** Made when the first update comes: weights of an evaluation never need one. Device buffers have none, the engine makes them. */
  spare?: OrtTensor;
}

export class Engine implements OnnxCalls {
  readonly #load: (module: string) => Promise<unknown>;
  #settings: EngineSettings | undefined;
  #ort: OrtModule | undefined;
  #nextId = 1;
  readonly #sessions = new Map<number, { session: OrtSession; io: SessionIo }>();
  readonly #states = new Map<number, Map<string, Value>>();
  /** Sessions that copy a value to the device or back, by direction and number of axes. */
  readonly #copies = new Map<string, Promise<OrtSession>>();
  readonly #transfers = { toEngine: 0, fromEngine: 0 };

  /** @param load imports the engine's module, where that is not done by its name */
  constructor(load: (module: string) => Promise<unknown> = (module) => import(module)) {
    this.#load = load;
  }

  async open(settings: EngineSettings): Promise<string> {
    try {
      const loaded = (await this.#load(settings.module)) as { readonly default?: OrtModule };
      this.#ort = loaded.default ?? (loaded as unknown as OrtModule);
    } catch (error) {
      throw missing(error);
    }
    this.#settings = settings;
    if (settings.ownResults && this.#ort.env.wasm) this.#ort.env.wasm.numThreads = settings.threads;
    // What the engine has to say comes as exceptions; its own lines on stderr would repeat it.
    this.#ort.env.logLevel = settings.logLevel ?? 'fatal';
    const { node, web, common } = this.#ort.env.versions;
    return node ?? web ?? common;
  }

  async compile(model: Uint8Array, optimization: Optimization, io: SessionIo): Promise<number> {
    const inPlace = Object.fromEntries(Object.keys(io.updates).map((name) => [name, 'gpu-buffer']));
    const fetched = Object.fromEntries(Object.keys(io.outputs).map((name) => [name, 'cpu']));
    const session = await this.#create(model, optimization, { ...fetched, ...inPlace });
    const id = this.#nextId++;
    this.#sessions.set(id, { session, io });
    return id;
  }

  channelBlock(tiles: boolean): Promise<number | undefined> {
    return channelBlock(async (model, feeds, shapes, output) => {
      const session = await this.#create(model, 'extended');
      const inputs = mapValues(feeds, (data, name) => this.#host(data, shapes[name]));
      const { [output]: result } = await session.run(inputs, { [output]: null });
      const values = (result.data as Float32Array<ArrayBuffer>).slice();
      await session.release();
      return values;
    }, tiles);
  }

  async run(id: number, feeds: Arrays, stateId: number | undefined): Promise<Arrays> {
    const { session, io } = found(this.#sessions, id, 'program');
    const state = stateId === undefined ? new Map<string, Value>() : found(this.#states, stateId, 'state');
    const inputs = mapValues(io.inputs, (shape, name) => this.#tensor(feeds[name], shape));
    for (const [graphName, name] of Object.entries(io.state)) inputs[graphName] = state.get(name)!.current;
    const { resident, ownResults } = this.#opened.settings;
    return resident || ownResults
      ? this.#runGiven(session, io, inputs, state)
      : this.#runHere(session, io, inputs, state);
  }

  async dropProgram(id: number): Promise<void> {
    const entry = this.#sessions.get(id);
    this.#sessions.delete(id);
    await entry?.session.release();
  }

  async createState(values: Arrays, shapes: Readonly<Record<string, Shape>>): Promise<number> {
    const id = this.#nextId++;
    const state = new Map<string, Value>();
    for (const [name, data] of Object.entries(values)) {
      state.set(name, { shape: shapes[name], current: await this.#placed(data, shapes[name]) });
    }
    this.#states.set(id, state);
    return id;
  }

  async readState(id: number, names: readonly string[]): Promise<Arrays> {
    const state = found(this.#states, id, 'state');
    const arrays: Arrays = {};
    for (const name of names) arrays[name] = await this.#fetched(state.get(name)!);
    return arrays;
  }

  async writeState(id: number, values: Arrays): Promise<void> {
    const state = found(this.#states, id, 'state');
    for (const [name, data] of Object.entries(values)) {
      const value = state.get(name)!;
      if (this.#resident) replace(value, await this.#placed(data, value.shape));
      else (value.current.data as Float32Array).set(data);
    }
  }

  async dropState(id: number): Promise<void> {
    if (this.#resident) for (const { current } of this.#states.get(id)?.values() ?? []) current.dispose();
    this.#states.delete(id);
  }

  async transfers(): Promise<Transfers> {
    return { ...this.#transfers };
  }

  async close(): Promise<void> {
    for (const id of [...this.#states.keys()]) await this.dropState(id);
    for (const id of [...this.#sessions.keys()]) await this.dropProgram(id);
    for (const copy of await Promise.all(this.#copies.values())) await copy.release();
    this.#copies.clear();
  }

  /** Results are written into buffers of ours: outputs into fresh ones, which then belong to the caller. */
  async #runHere(
    session: OrtSession,
    io: SessionIo,
    inputs: Record<string, OrtTensor>,
    state: ReadonlyMap<string, Value>,
  ): Promise<Arrays> {
    const outputs: Arrays = mapValues(io.outputs, (shape) => new Float32Array(sizeOf(shape)));
    const fetches = mapValues(io.outputs, (shape, name) => this.#host(outputs[name], shape));
    for (const [graphName, name] of Object.entries(io.updates)) {
      const value = state.get(name)!;
      value.spare ??= this.#host(new Float32Array(sizeOf(value.shape)), value.shape);
      fetches[graphName] = value.spare;
    }
    await session.run(inputs, fetches);
    for (const name of Object.values(io.updates)) {
      const value = state.get(name)!;
      [value.current, value.spare] = [value.spare!, value.current];
    }
    for (const array of Object.values(outputs)) this.#transfers.fromEngine += array.byteLength;
    return outputs;
  }

  /** The engine makes what comes out: arrays, and for the next state buffers of the device where it has them. */
  async #runGiven(
    session: OrtSession,
    io: SessionIo,
    inputs: Record<string, OrtTensor>,
    state: ReadonlyMap<string, Value>,
  ): Promise<Arrays> {
    const results = await session.run(
      inputs,
      mapValues({ ...io.outputs, ...io.updates }, () => null),
    );
    for (const [graphName, name] of Object.entries(io.updates)) replace(state.get(name)!, results[graphName]);
    return mapValues(io.outputs, (_, name) => this.#data(results[name]));
  }

  get #resident(): boolean {
    return this.#opened.settings.resident;
  }

  #create(
    model: Uint8Array,
    optimization: Optimization,
    locations?: Readonly<Record<string, string>>,
  ): Promise<OrtSession> {
    const { ort, settings } = this.#opened;
    return ort.InferenceSession.create(model, {
      executionProviders: settings.providers as InferenceSession.SessionOptions['executionProviders'],
      executionMode: 'sequential',
      graphOptimizationLevel: optimization,
      intraOpNumThreads: settings.threads,
      interOpNumThreads: 1,
      ...settings.options,
      ...(settings.resident && locations
        ? { preferredOutputLocation: locations as InferenceSession.SessionOptions['preferredOutputLocation'] }
        : {}),
    });
  }

  /** A value as state: on the device where it is to stay there. */
  async #placed(data: Float32Array<ArrayBuffer>, shape: Shape): Promise<OrtTensor> {
    if (!this.#resident) return this.#host(data, shape);
    const { y } = await (await this.#copy(shape, 'gpu-buffer')).run({ x: this.#tensor(data, shape) }, { y: null });
    return y;
  }

  /** A copy of a state value. (`getData()` of a tensor on the device ends the process; a run that gives it to the host does not.) */
  async #fetched({ current, shape }: Value): Promise<Float32Array<ArrayBuffer>> {
    if (!this.#resident) return this.#data(current).slice();
    const { y } = await (await this.#copy(shape, 'cpu')).run({ x: current }, { y: null });
    return this.#data(y);
  }

  #copy({ length }: Shape, to: 'gpu-buffer' | 'cpu'): Promise<OrtSession> {
    const key = `${to} ${length}`;
    const known = this.#copies.get(key);
    if (known) return known;
    const made = this.#create(encodeCopy(length), 'extended', { y: to });
    this.#copies.set(key, made);
    return made;
  }

  /** What a program is fed. Everything that goes to the engine is made here, and counted. */
  #tensor(data: Float32Array, shape: Shape): OrtTensor {
    this.#transfers.toEngine += data.byteLength;
    return this.#host(data, shape);
  }

  /** What the engine gave to the host. Everything that comes back is read here, and counted. */
  #data({ data }: OrtTensor): Float32Array<ArrayBuffer> {
    const array = data as Float32Array<ArrayBuffer>;
    this.#transfers.fromEngine += array.byteLength;
    return array;
  }

  /** A buffer of the host that the engine reads or writes. */
  #host(data: Float32Array, shape: Shape): OrtTensor {
    return new this.#opened.ort.Tensor('float32', data, shape);
  }

  get #opened(): { readonly ort: OrtModule; readonly settings: EngineSettings } {
    if (!this.#ort || !this.#settings) throw new Error('the engine was not opened');
    return { ort: this.#ort, settings: this.#settings };
  }
}

function replace(value: Value, next: OrtTensor): void {
  value.current.dispose();
  value.current = next;
}

function found<T>(map: ReadonlyMap<number, T>, id: number, what: string): T {
  const entry = map.get(id);
  if (!entry) throw new Error(`the ${what} was disposed`);
  return entry;
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, f: (value: A, name: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, f(value, name)]));
}

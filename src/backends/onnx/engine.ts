/**
 * The engine's side of the backend: sessions and the state that stays with them. Runs in the worker.
 *
 * State is kept twice: the engine writes the next values into the spare buffers and the two are swapped after the run.
 * (Writing in place is not safe: a layer's input gradient may read a weight after its update.) A run that fails leaves
 * the state as it was.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { messageOf, PtychoError } from '../../core/errors.js';
import { type Shape, sizeOf } from '../../core/tensor.js';
import type { Arrays, EngineCalls } from '../worker/host.js';

/** Session options that we decide; the rest is the engine's default. */
export interface SessionSettings {
  readonly device: 'cpu' | 'cuda';
  readonly threads: number;
  /** 'all' also lays out constant weights for the convolutions; without constant weights it only adds copies. */
  readonly optimization: 'extended' | 'all';
}

/** Names and shapes of what goes in and out of a session. */
export interface SessionIo {
  readonly inputs: Readonly<Record<string, Shape>>;
  readonly outputs: Readonly<Record<string, Shape>>;
  /** State names by the names that the graph reads them under. */
  readonly state: Readonly<Record<string, string>>;
  /** State names by the names that the graph gives their next values. */
  readonly updates: Readonly<Record<string, string>>;
}

/** What the worker can be asked. */
export interface OnnxCalls extends EngineCalls {
  /** Loads the engine package; answers its version. */
  open(module: string): Promise<string>;
  /** Creates a session without fallback, runs it once on zeros and drops it. */
  probe(model: Uint8Array, settings: SessionSettings, io: SessionIo): Promise<void>;
  compile(model: Uint8Array, settings: SessionSettings, io: SessionIo): Promise<number>;
}

/** What we use of onnxruntime-node. */
export interface OrtModule {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<OrtSession>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => OrtTensor;
  readonly env: { readonly versions: { readonly node?: string; readonly common: string }; logLevel?: string };
}

export interface OrtSession {
  run(feeds: Record<string, OrtTensor>, fetches: Record<string, OrtTensor>): Promise<unknown>;
  release(): Promise<void>;
}

/** The package cannot be imported. */
function missing(error: unknown): PtychoError {
  const reason = messageOf(error);
  return new PtychoError(
    'BACKEND_MISSING',
    `The package onnxruntime-node cannot be loaded (${reason.split('\n')[0]}): install it with "npm i --ignore-scripts onnxruntime-node@1.30.0", and on a CUDA machine run "npx ptychopinn setup-cuda" afterwards.`,
    { package: 'onnxruntime-node', reason },
  );
}

interface Value {
  readonly shape: Shape;
  current: OrtTensor;
  /** Made when the first update comes: weights of an evaluation never need one. */
  spare?: OrtTensor;
}

export class Engine implements OnnxCalls {
  #ort: OrtModule | undefined;
  #nextId = 1;
  readonly #sessions = new Map<number, { session: OrtSession; io: SessionIo }>();
  readonly #states = new Map<number, Map<string, Value>>();

  async open(module: string): Promise<string> {
    try {
      const loaded = await import(module);
      this.#ort = (loaded.default ?? loaded) as OrtModule;
    } catch (error) {
      throw missing(error);
    }
    // What the engine has to say comes as exceptions; its own lines on stderr would repeat it.
    this.#ort.env.logLevel = 'fatal';
    return this.#ort.env.versions.node ?? this.#ort.env.versions.common;
  }

  async probe(model: Uint8Array, settings: SessionSettings, io: SessionIo): Promise<void> {
    // Alone in the list: beside 'cpu' an engine may silently leave out a provider that it does not know.
    const session = await this.#create(model, settings, [settings.device]);
    try {
      const zeros = mapValues(io.inputs, (shape) => this.#tensor(new Float32Array(sizeOf(shape)), shape));
      const results = mapValues(io.outputs, (shape) => this.#tensor(new Float32Array(sizeOf(shape)), shape));
      await session.run(zeros, results);
    } finally {
      await session.release();
    }
  }

  async compile(model: Uint8Array, settings: SessionSettings, io: SessionIo): Promise<number> {
    const providers = settings.device === 'cpu' ? ['cpu'] : [settings.device, 'cpu'];
    const session = await this.#create(model, settings, providers);
    const id = this.#nextId++;
    this.#sessions.set(id, { session, io });
    return id;
  }

  async run(id: number, feeds: Arrays, stateId: number | undefined): Promise<Arrays> {
    const { session, io } = found(this.#sessions, id, 'program');
    const state = stateId === undefined ? new Map<string, Value>() : found(this.#states, stateId, 'state');
    const inputs = mapValues(io.inputs, (shape, name) => this.#tensor(feeds[name], shape));
    for (const [graphName, name] of Object.entries(io.state)) inputs[graphName] = state.get(name)!.current;

    // Results are written into buffers of ours: outputs into fresh ones, which then belong to the caller.
    const outputs: Arrays = mapValues(io.outputs, (shape) => new Float32Array(sizeOf(shape)));
    const fetches = mapValues(io.outputs, (shape, name) => this.#tensor(outputs[name], shape));
    for (const [graphName, name] of Object.entries(io.updates)) {
      const value = state.get(name)!;
      value.spare ??= this.#tensor(new Float32Array(sizeOf(value.shape)), value.shape);
      fetches[graphName] = value.spare;
    }
    await session.run(inputs, fetches);
    for (const name of Object.values(io.updates)) {
      const value = state.get(name)!;
      [value.current, value.spare] = [value.spare!, value.current];
    }
    return outputs;
  }

  async dropProgram(id: number): Promise<void> {
    const entry = this.#sessions.get(id);
    this.#sessions.delete(id);
    await entry?.session.release();
  }

  async createState(values: Arrays, shapes: Readonly<Record<string, Shape>>): Promise<number> {
    const id = this.#nextId++;
    const entries = Object.entries(values).map(([name, data]): [string, Value] => {
      return [name, { shape: shapes[name], current: this.#tensor(data, shapes[name]) }];
    });
    this.#states.set(id, new Map(entries));
    return id;
  }

  async readState(id: number, names: readonly string[]): Promise<Arrays> {
    const state = found(this.#states, id, 'state');
    return Object.fromEntries(names.map((name) => [name, dataOf(state.get(name)!).slice()]));
  }

  async writeState(id: number, values: Arrays): Promise<void> {
    const state = found(this.#states, id, 'state');
    for (const [name, data] of Object.entries(values)) dataOf(state.get(name)!).set(data);
  }

  async dropState(id: number): Promise<void> {
    this.#states.delete(id);
  }

  async close(): Promise<void> {
    for (const id of [...this.#sessions.keys()]) await this.dropProgram(id);
    this.#states.clear();
  }

  #create(model: Uint8Array, settings: SessionSettings, providers: string[]): Promise<OrtSession> {
    return this.#loaded.InferenceSession.create(model, {
      executionProviders: providers,
      executionMode: 'sequential',
      graphOptimizationLevel: settings.optimization,
      intraOpNumThreads: settings.threads,
      interOpNumThreads: 1,
    });
  }

  #tensor(data: Float32Array, shape: Shape): OrtTensor {
    return new this.#loaded.Tensor('float32', data, shape);
  }

  get #loaded(): OrtModule {
    if (!this.#ort) throw new Error('the engine was not opened');
    return this.#ort;
  }
}

function dataOf(value: Value): Float32Array<ArrayBuffer> {
  return value.current.data as Float32Array<ArrayBuffer>;
}

function found<T>(map: ReadonlyMap<number, T>, id: number, what: string): T {
  const entry = map.get(id);
  if (!entry) throw new Error(`the ${what} was disposed`);
  return entry;
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, f: (value: A, name: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, f(value, name)]));
}

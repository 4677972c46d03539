/** What the ONNX backend and its worker say to each other beyond what every backend does: types only. */
import type { Shape } from '../../core/tensor.js';
import type { EngineCalls } from '../worker/protocol.js';

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

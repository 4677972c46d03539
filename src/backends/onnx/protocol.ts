/** What the backend and its worker say to each other: types only. */
import type { Shape } from '../../core/tensor.js';

export type Arrays = Record<string, Float32Array<ArrayBuffer>>;

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

/** What the worker can be asked; every call is answered in order. */
export interface EngineCalls {
  /** Loads the engine package; answers its version. */
  open(module: string): Promise<string>;
  /** Creates a session without fallback, runs it once on zeros and drops it. */
  probe(model: Uint8Array, settings: SessionSettings, io: SessionIo): Promise<void>;
  compile(model: Uint8Array, settings: SessionSettings, io: SessionIo): Promise<number>;
  run(session: number, feeds: Arrays, state: number | undefined): Promise<Arrays>;
  dropSession(session: number): Promise<void>;
  createState(values: Arrays, shapes: Readonly<Record<string, Shape>>): Promise<number>;
  readState(state: number, names: readonly string[]): Promise<Arrays>;
  writeState(state: number, values: Arrays): Promise<void>;
  dropState(state: number): Promise<void>;
  /** Releases every session and state. */
  close(): Promise<void>;
}

export interface Request<K extends keyof EngineCalls = keyof EngineCalls> {
  readonly id: number;
  readonly call: K;
  readonly args: Parameters<EngineCalls[K]>;
}

export type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string; readonly missing: boolean };

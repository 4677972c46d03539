/** What a backend and its worker say to each other: types only. */
import type { PtychoErrorCode } from '../../core/errors.js';
import type { Shape } from '../../core/tensor.js';

/** The least that anything in a worker answers. */
export interface WorkerCalls {
  /** Releases everything. */
  close(): Promise<void>;
}

export type Arrays = Record<string, Float32Array<ArrayBuffer>>;

/**
 * What every engine's worker can be asked; calls are answered one after the other, in the order they came. How an engine
 * is opened and a program compiled is each backend's own.
 */
export interface EngineCalls extends WorkerCalls {
  run(program: number, feeds: Arrays, state: number | undefined): Promise<Arrays>;
  dropProgram(program: number): Promise<void>;
  createState(values: Arrays, shapes: Readonly<Record<string, Shape>>): Promise<number>;
  readState(state: number, names: readonly string[]): Promise<Arrays>;
  writeState(state: number, values: Arrays): Promise<void>;
  dropState(state: number): Promise<void>;
  /** Releases every program and state. */
  close(): Promise<void>;
}

/** Arguments of a call, by its name. */
export type CallArguments<Calls, K extends keyof Calls> = Calls[K] extends (...args: infer A) => unknown ? A : never;
/** What a call answers, by its name. */
export type CallAnswer<Calls, K extends keyof Calls> = Calls[K] extends (...args: never[]) => infer R ? R : never;

export interface Request {
  readonly id: number;
  readonly call: string;
  readonly args: readonly unknown[];
}

export type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: Refusal };

/** An error on its way between threads; with a code it is one of ours. */
export interface Refusal {
  readonly message: string;
  readonly code?: PtychoErrorCode;
  readonly fields?: Readonly<Record<string, unknown>>;
}

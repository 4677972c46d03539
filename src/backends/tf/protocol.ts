/** What the TensorFlow.js backend and its worker say to each other beyond what every backend does. */
import type { TFJS_ENGINES } from '../../config/schema.js';
import type { Accelerator, SkippedEngine } from '../backend.js';
import type { EngineCalls } from '../worker/protocol.js';
import type { FlatProgram } from './flatProgram.js';

/** TensorFlow.js engines, the better ones first. */
export { TFJS_ENGINES as ENGINE_NAMES } from '../../config/schema.js';
export type EngineName = (typeof TFJS_ENGINES)[number];

/** Why tfjs-node-gpu is no GPU engine everywhere: it loads without one. */
export const NO_DEVICE = 'it found no CUDA device and runs on the CPU';

export interface EngineWish {
  /** This engine or an error; null: the best that works here. */
  readonly engine: EngineName | null;
  readonly accelerator: Accelerator;
  /** Null: the engine's default (wasm: one). */
  readonly threads: number | null;
}

/** What really runs. */
export interface EngineReport {
  readonly engine: EngineName;
  /** Package and version. */
  readonly version: string;
  readonly device: 'cpu' | 'cuda';
  readonly threads: number;
  readonly skipped: readonly SkippedEngine[];
}

/** What the worker can be asked. */
export interface TfCalls extends EngineCalls {
  /** Finds and loads an engine. */
  open(wish: EngineWish): Promise<EngineReport>;
  compile(program: FlatProgram): Promise<number>;
}

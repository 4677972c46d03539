/**
 * What an engine offers: four verbs. Nothing above this file knows which engine runs.
 *
 * @example
 * const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 2 });
 * const state = await backend.createState(weights);
 * const compiled = await backend.compile(program);
 * const { loss } = await compiled.run({ x, lr }, state);
 * await backend.dispose();
 */
import type { Tensor } from '../core/tensor.js';
import type { Program } from '../graph/program.js';

/** Named host arrays. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** Which device was asked for. `auto`: a GPU where it works, else the CPU; `cuda`: a GPU or an error. */
export type Accelerator = 'auto' | 'cuda' | 'cpu';

/** Who really runs: written into results. */
export interface BackendInfo {
  /** The backend's configured name. */
  readonly name: 'onnx' | 'tensorflow';
  /** Engine package and version, for instance `onnxruntime-node 1.30.0`. */
  readonly engine: string;
  /** The device that runs the programs, not the one that was hoped for. */
  readonly device: 'cpu' | 'cuda';
  readonly threads: number;
  /** Engines that would have been better, and why they do not work here. */
  readonly skipped?: readonly SkippedEngine[];
}

export interface SkippedEngine {
  readonly engine: string;
  readonly reason: string;
}

/** Values that stay with the engine between runs; several programs may share them. */
export interface DeviceState {
  /** Copies values back to the host (all, or those named). */
  read(names?: readonly string[]): Promise<Record<string, Tensor>>;
  /** Replaces values; shapes must stay the same. */
  write(values: Tensors): Promise<void>;
  /** Releases the values. */
  dispose(): Promise<void>;
}

/** A program made ready by an engine. */
export interface Compiled {
  /**
   * Runs once: feeds every declared input, reads and updates `state`, returns the outputs as host arrays.
   * Feeds are not modified; outputs belong to the caller.
   * @throws PtychoError GRAPH_SHAPE for a feed of another shape, ENGINE_FAILURE when the engine refuses.
   */
  run(feeds: Tensors, state?: DeviceState): Promise<Record<string, Tensor>>;
  /** Releases the program. */
  dispose(): Promise<void>;
}

/** What may be fixed when a program is compiled. */
export interface CompileOptions {
  /** State values that never change: built into the program, so that the engine can prepare them (inference). */
  readonly constants?: Tensors;
}

/** An engine on a device. */
export interface Backend {
  readonly info: BackendInfo;
  /** Makes a program ready to run. @throws PtychoError ENGINE_FAILURE */
  compile(program: Program, options?: CompileOptions): Promise<Compiled>;
  /** Puts values on the device. */
  createState(values: Tensors): Promise<DeviceState>;
  /** Releases everything, also what was not disposed one by one. */
  dispose(): Promise<void>;
}

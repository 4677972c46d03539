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
import type { ACCELERATORS } from '../config/schema.js';
import type { Tensor } from '../core/tensor.js';
import type { Program } from '../graph/program.js';

/** Named host arrays. */
export type Tensors = Readonly<Record<string, Tensor>>;

/**
 * Which device is asked for. `auto`: CUDA, then WebGPU on real hardware, where they work, else the CPU; any other: that one or an error.
 */
export type Accelerator = (typeof ACCELERATORS)[number];

/** How exactly programs compute: the configuration's `precision`. */
export type Precision = '32-true' | 'tf32' | '16-mixed';

/** What programs run on. */
export type Device = Exclude<Accelerator, 'auto'>;

/** Who really runs: written into results. */
export interface BackendInfo {
  /** The backend's configured name. */
  readonly name: 'onnx' | 'tensorflow';
  /** Engine package and version, for instance `onnxruntime-node 1.30.0`. */
  readonly engine: string;
  /** The device that runs the programs, not the one that was hoped for. */
  readonly device: Device;
  /** Which of several such devices, where one was asked for by number. */
  readonly deviceNumber?: number;
  /** The processor behind a device that is not the CPU. */
  readonly adapter?: Adapter;
  readonly threads: number;
  /** Engines that share the work, where there are several; `threads` are those of each. */
  readonly workers?: number;
  /** Where they run, where that is not all the same. */
  readonly devices?: readonly string[];
  /** Other than single precision, where it was asked for and the device has it. */
  readonly precision?: Precision;
  /** Engines and accelerators that would have been better, and why they do not work here. */
  readonly skipped?: readonly SkippedEngine[];
}

/** A graphics processor, as far as operating system and engine tell. */
export interface Adapter {
  readonly name: string;
  /** Its driver, with the version where that is known. */
  readonly driver?: string;
  /** A program that stands in for hardware: right, and slow. `auto` never takes it. */
  readonly software: boolean;
}

/** Bytes that went to an engine, and that came back. */
export interface Transfers {
  readonly toEngine: number;
  readonly fromEngine: number;
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
  /** Copies values into memory that other engines see; absent where the engine cannot. @param clear they are zero afterwards */
  copyOut?(names: readonly string[], to: SharedPlace, clear?: boolean): Promise<void>;
  /** Replaces values by what lies in that memory. */
  copyIn?(names: readonly string[], from: SharedPlace): Promise<void>;
  /** Releases the values. */
  dispose(): Promise<void>;
}

/** A place in memory that several engines of this process see: values lie there one after the other, in single precision. */
export interface SharedPlace {
  readonly memory: SharedArrayBuffer;
  /** Of the first value, in numbers. */
  readonly offset: number;
}

/** Adds up parts of shared memory, always in the same order: `count` numbers at `offsets[0]` become the sums of those at all offsets. */
export interface SharedSum {
  readonly memory: SharedArrayBuffer;
  readonly offsets: readonly number[];
  readonly count: number;
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
  /** Convolutions in half precision, where the backend can; for programs without gradients. */
  readonly half?: boolean;
}

/** An engine on a device. */
export interface Backend {
  readonly info: BackendInfo;
  /** Makes a program ready to run. @throws PtychoError ENGINE_FAILURE */
  compile(program: Program, options?: CompileOptions): Promise<Compiled>;
  /** Puts values on the device. */
  createState(values: Tensors): Promise<DeviceState>;
  /** What was copied to the engine and back since it was started, where that is counted. */
  transfers?(): Promise<Transfers>;
  /** Further engines of the same kind that were started with this one, for work that can be shared out (`openTeam`). */
  readonly peers?: readonly Backend[];
  /** Adds up shared memory in the engine's own thread; absent where the engine cannot. */
  addUp?(sum: SharedSum): Promise<void>;
  /** Releases everything, also what was not disposed one by one. */
  dispose(): Promise<void>;
}

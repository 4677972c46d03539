/** What a thread is given, and what it is asked. */
import type { WorkerCalls } from '../../backends/worker/host.js';
import type { FieldAddresses, FieldSizes, PlanesAt, Scratch } from '../fieldMemory.js';
import type { PassRequest, PassSums, VaryingBeam } from '../wavePasses.js';
import type { WasmMemory, WasmModule } from './kernels.js';

/** Transfer functions, divided by N²: see `Propagation`. */
export interface TransfersAt {
  readonly detector?: PlanesAt;
  readonly slices: readonly PlanesAt[];
}

/** What a thread works with; everything lies in shared memory. */
export interface PassSetup {
  readonly memory: WasmMemory;
  readonly sizes: FieldSizes;
  readonly fields: FieldAddresses;
  readonly scratch: Scratch;
  readonly transfers: TransfersAt;
  readonly amplitudes: Float32Array<SharedArrayBuffer>;
  readonly ys: Float64Array<SharedArrayBuffer>;
  readonly xs: Float64Array<SharedArrayBuffer>;
  readonly beam?: VaryingBeam;
  /** (count, modes, 2, N, N) stored waves of the difference map; empty for other algorithms. */
  readonly waves: Float32Array<SharedArrayBuffer>;
  /** Kept out of divisions: a small part of the usual amplitude. */
  readonly floor: number;
}

/** What the solver's threads are asked. */
export interface SolverCalls extends WorkerCalls {
  open(module: WasmModule, setup: PassSetup): Promise<void>;
  pass(part: Int32Array, request: PassRequest): Promise<PassSums>;
  products(): Promise<Float64Array>;
  moves(): Promise<Float64Array>;
  beamProducts(): Promise<Float64Array>;
  beamSums(weights: Float64Array): Promise<void>;
}

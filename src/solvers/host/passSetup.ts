/** What a thread is given, and what it is asked. */
import type { WorkerCalls } from '../../backends/worker/host.js';
import type { FieldAddresses, FieldSizes, PlanesAt, Scratch } from '../fieldMemory.js';
import type { Curvatures, PassRequest, PassSums, VaryingBeam } from '../wavePasses.js';
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

/** Where the patch of pattern k begins, in bytes, and what is left of its position. */
export function placeOf({ ys, xs, sizes }: PassSetup, k: number): { at: number; y: number; x: number } {
  const half = Math.floor(sizes.N / 2);
  const [row, column] = [Math.round(ys[k]), Math.round(xs[k])];
  return { at: 4 * ((row - half) * sizes.width + column - half), y: ys[k] - row, x: xs[k] - column };
}

/** Addresses of a change of object and probe. */
export interface DirectionAt {
  readonly object: PlanesAt;
  readonly probe: PlanesAt;
}

/** What the solver's threads are asked. */
export interface SolverCalls extends WorkerCalls {
  open(module: WasmModule, setup: PassSetup): Promise<void>;
  pass(part: Int32Array, request: PassRequest): Promise<PassSums>;
  products(): Promise<Float64Array>;
  moves(): Promise<Float64Array>;
  curvatures(part: Int32Array, along: readonly DirectionAt[]): Promise<Curvatures>;
  beamProducts(): Promise<Float64Array>;
  beamSums(weights: Float64Array): Promise<void>;
}

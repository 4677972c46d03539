/** What a thread is given, and what it is asked. */
import type { WorkerCalls } from '../../backends/worker/host.js';
import type { FieldAddresses, FieldSizes, PlanesAt, Scratch } from '../fieldMemory.js';
import type { SolverScan } from '../wavePasses.js';
import type { WasmMemory, WasmModule } from './kernels.js';
import type { Seat } from './seat.js';

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
  readonly scan: SolverScan;
  /** (count, points, modes, 2, N, N) stored waves of the difference map; empty for other algorithms. */
  readonly waves: Float32Array<SharedArrayBuffer>;
  /** Kept out of divisions: a small part of the usual amplitude. */
  readonly floor: number;
}

/** What the worker of a thread is asked: from `open` to `close` it is its team's. */
export interface SolverCalls extends WorkerCalls {
  open(module: WasmModule, setup: PassSetup, seat: Seat): Promise<void>;
}

/** What the solver's threads are asked; types only. */
import type { WorkerCalls } from '../../backends/worker/protocol.js';
import type { PassRequest, PassSums } from '../engine.js';
import type { WasmModule } from './kernels.js';
import type { PassSetup } from './passes.js';

export interface SolverCalls extends WorkerCalls {
  open(module: WasmModule, setup: PassSetup): Promise<void>;
  pass(part: Int32Array, request: PassRequest): Promise<PassSums>;
  products(): Promise<Float64Array>;
  moves(): Promise<Float64Array>;
}

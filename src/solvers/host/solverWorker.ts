/** The entry of a solver's thread. */
import { serve } from '../../backends/worker/serve.js';
import type { PassRequest } from '../wavePasses.js';
import { startKernels, type WasmModule } from './kernels.js';
import { Passes } from './passes.js';
import type { DirectionAt, PassSetup, SolverCalls } from './passSetup.js';

class SolverThread implements SolverCalls {
  #passes: Passes | undefined;

  async open(module: WasmModule, setup: PassSetup) {
    this.#passes = new Passes(startKernels(module, setup.memory), setup);
  }

  async pass(part: Int32Array, request: PassRequest) {
    return this.#opened.pass(part, request);
  }

  async products() {
    return this.#opened.kept.products();
  }

  async moves() {
    return this.#opened.kept.moves();
  }

  async curvatures(part: Int32Array, along: readonly DirectionAt[]) {
    return this.#opened.bends.along(part, along);
  }

  async beamProducts() {
    return this.#opened.kept.beamProducts();
  }

  async beamSums(weights: Float64Array) {
    this.#opened.kept.beamSums(weights);
  }

  async close() {
    this.#passes = undefined;
  }

  get #opened(): Passes {
    if (!this.#passes) throw new Error('the thread was not opened');
    return this.#passes;
  }
}

serve(new SolverThread());

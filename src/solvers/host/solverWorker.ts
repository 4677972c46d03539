/** The entry of a solver's thread. */
import { serve } from '../../backends/worker/serve.js';
import { startKernels, type WasmModule } from './kernels.js';
import { callsOf, Passes } from './passes.js';
import type { PassSetup, SolverCalls } from './passSetup.js';
import { type Seat, work } from './seat.js';

class SolverThread implements SolverCalls {
  async open(module: WasmModule, setup: PassSetup, seat: Seat) {
    const kernels = startKernels(module, setup.memory);
    const calls = callsOf(new Passes(kernels, setup));
    // After this call was answered; until it is sent away the thread hears of nothing else.
    setImmediate(() => work(seat, kernels, (name, args) => (calls[name] as (...args: unknown[]) => unknown)(...args)));
  }

  async close() {}
}

serve(new SolverThread());

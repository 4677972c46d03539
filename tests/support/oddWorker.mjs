/** A thread as engines have them, of the built package, that answers oddly. */
import { serve } from '../../dist/backends/worker/serve.js';

serve({
  /** Nothing that goes from thread to thread. */
  async unsendable() {
    return { value: () => 1 };
  },
  async answer() {
    return 42;
  },
  /** Ends the thread without a word. */
  async leave() {
    process.exit(7);
  },
  async close() {},
});

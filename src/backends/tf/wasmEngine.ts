/** Starting tfjs's wasm engine under Node: where its files are, what it leaves behind, and threads. */
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Tf } from './tfjs.js';
import { withThreads } from './wasmThreads.js';

const require = createRequire(import.meta.url);

/** What we use of the package. */
export type WasmModule = Pick<
  typeof import('@tensorflow/tfjs-backend-wasm'),
  'setWasmPaths' | 'setThreadsCount' | 'getThreadsCount'
>;

/**
 * Starts the engine with `select` and answers how many threads it has. More than one is not something that tfjs offers
 * under Node: see {@link withThreads} for what is done instead.
 */
export async function startWasm(
  tf: Tf,
  wasm: WasmModule,
  threads: number,
  select: () => Promise<void>,
): Promise<number> {
  const root = path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'));
  wasm.setWasmPaths(`${path.join(root, 'dist')}${path.sep}`);
  if (threads > 1) {
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', true);
    wasm.setThreadsCount(threads);
    await withoutListeners(() => withThreads(root, threads, select));
  } else await withoutListeners(select);
  return wasm.getThreadsCount();
}

/**
 * The engine's runtime installs listeners for uncaught errors of the whole process, which throw them once more; errors
 * are for whoever owns the process.
 */
async function withoutListeners(start: () => Promise<void>): Promise<void> {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map((event) => process.listeners(event as 'uncaughtException'));
  try {
    await start();
  } finally {
    events.forEach((event, i) => {
      for (const listener of process.listeners(event as 'uncaughtException')) {
        if (!before[i].includes(listener)) process.removeListener(event, listener);
      }
    });
  }
}

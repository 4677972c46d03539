/** Starting tfjs's wasm engine under Node: where its files are, what it leaves behind, and threads. */
import { createRequire } from 'node:module';
import path from 'node:path';
import type { MessageChannel, MessagePort, Worker, WorkerOptions } from 'node:worker_threads';
import type { Watched } from '../worker/host.js';
import type { Tf } from './kernels/kernels.js';

const require = createRequire(import.meta.url);

/** Modules as CommonJS sees them: shared objects whose members can be replaced for a while. */
const threads = require('node:worker_threads') as {
  Worker: typeof Worker;
  readonly MessageChannel: typeof MessageChannel;
  readonly parentPort: MessagePort | null;
};
const os = require('node:os') as { cpus(): unknown[] };

/** How long the helper threads may take to say that they are there. */
const PATIENCE_MS = 20_000;

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
 * The engine's runtime installs listeners for uncaught errors of the whole process, which throw them once more; what
 * becomes of errors is up to the program.
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

/**
 * Runs `start` with everything in place that the engine needs to start `count` threads: an experiment, and off unless somebody asks for
 * more than one.
 *
 * tfjs-backend-wasm ships a threaded module and refuses it under Node, because its helper threads are started from a
 * `blob:` address, which worker_threads cannot do. While the engine starts, the `Worker` that it sees is therefore one of
 * ours, which starts the same script from its text and loads the module from its file. Results are the same with any
 * number of threads; small tensors get slower. It depends on files inside the package, so it is tied to version 4.22, and
 * where it fails to start the engine counts as not working.
 */
async function withThreads(packageRoot: string, count: number, start: () => Promise<void>): Promise<void> {
  const folder = path.join(packageRoot, 'wasm-out');
  const script = require(path.join(folder, 'tfjs-backend-wasm-threaded-simd.worker.js')) as {
    wasmWorkerContents: string;
  };
  const source = script.wasmWorkerContents.replace(/\n/g, '\\n');
  const main = path.join(folder, 'tfjs-backend-wasm-threaded-simd.js');
  const { Worker: Original } = threads;
  const { cpus } = os;
  class EngineThread extends Original {
    constructor(file: string | URL, options?: WorkerOptions) {
      if (typeof file !== 'string' || !file.startsWith('blob:')) {
        super(file, options);
        return;
      }
      // The engine waits for its threads without an event loop: that one is gone only who owns the engine can hear.
      const { port1, port2 } = new threads.MessageChannel();
      super(source, { ...options, eval: true, workerData: port1, transferList: [port1] });
      threads.parentPort?.postMessage({ watch: port2 } satisfies Watched, [port2]);
    }
    override postMessage(message: unknown, transfer?: readonly never[]): void {
      const load = (message as { cmd?: string } | null)?.cmd === 'load';
      super.postMessage(load ? { ...(message as object), urlOrBlob: main } : message, transfer);
    }
  }
  threads.Worker = EngineThread;
  // The engine starts at most half as many threads as there are processors.
  os.cpus = () => Array.from({ length: 2 * count }, () => cpus()[0]);
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`its ${count} threads did not start`)), PATIENCE_MS);
  });
  try {
    await Promise.race([start(), tooLong]);
  } finally {
    clearTimeout(timer);
    threads.Worker = Original;
    os.cpus = cpus;
  }
}

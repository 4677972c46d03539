/**
 * Threads for tfjs's wasm engine under Node: an experiment, and off unless somebody asks for more than one.
 *
 * tfjs-backend-wasm ships a threaded module and refuses it under Node, because its helper threads are started from a
 * `blob:` address, which worker_threads cannot do. While the engine starts, the `Worker` that it sees is therefore one of
 * ours, which starts the same script from its text and loads the module from its file. Results are the same with any
 * number of threads; small tensors get slower. It depends on files inside the package, so it is tied to version 4.22, and
 * where it fails to start the engine counts as not working.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Worker, WorkerOptions } from 'node:worker_threads';

const require = createRequire(import.meta.url);

/** Modules as CommonJS sees them: shared objects whose members can be replaced for a while. */
const threads = require('node:worker_threads') as { Worker: typeof Worker };
const os = require('node:os') as { cpus(): unknown[] };

/** How long the helper threads may take to say that they are there. */
const PATIENCE_MS = 20_000;

/** Runs `start` with everything in place that the engine needs to start `count` threads. */
export async function withThreads(packageRoot: string, count: number, start: () => Promise<void>): Promise<void> {
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
      if (typeof file === 'string' && file.startsWith('blob:')) super(source, { ...options, eval: true });
      else super(file, options);
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

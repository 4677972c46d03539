/**
 * Owns the worker thread that the engine runs in: the engine computes synchronously, and the caller's event loop must
 * stay free.
 *
 * The worker keeps the process alive only while a call is pending; a program that forgets `dispose` still ends.
 * (A crash of native code ends the whole process: threads share it. What can be caught is caught here.)
 */
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { PtychoError } from '../../core/errors.js';
import type { EngineCalls, Reply, Request } from './protocol.js';

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The engine refused a call. `missing`: its package cannot be loaded. */
export class EngineRefusal extends Error {
  readonly missing: boolean;
  constructor(message: string, missing: boolean) {
    super(message);
    this.missing = missing;
  }
}

export class WorkerHost {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  /** Why no more calls are taken. */
  #ended: string | undefined;

  constructor(file: URL = workerFile()) {
    // Node's own flags are not for the worker: with --input-type, say, it could not start.
    this.#worker = new Worker(file, { name: 'ptychopinn onnxruntime', execArgv: [] });
    this.#worker.unref();
    this.#worker.on('message', (reply: Reply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#end(`the engine's worker failed: ${error.message}`));
    this.#worker.on('messageerror', (error) => this.#end(`the engine's worker cannot be understood: ${error.message}`));
    this.#worker.on('exit', (code) => this.#end(`the engine's worker stopped with exit code ${code}`));
  }

  /** Asks the worker; buffers in `transfer` move over and are detached here. */
  call<K extends keyof EngineCalls>(
    call: K,
    args: Parameters<EngineCalls[K]>,
    transfer: readonly ArrayBuffer[] = [],
  ): ReturnType<EngineCalls[K]> {
    const answer = new Promise<unknown>((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(failure(this.#ended));
        return;
      }
      const id = this.#nextId++;
      const request: Request<K> = { id, call, args };
      this.#worker.postMessage(request, transfer);
      if (this.#pending.size === 0) this.#worker.ref();
      this.#pending.set(id, { resolve, reject });
    });
    return answer as ReturnType<EngineCalls[K]>;
  }

  /** Lets pending calls finish, releases the engine and ends the thread. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const released = this.call('close', []);
    this.#ended = 'the backend was disposed';
    await released.catch(() => undefined);
    await this.#worker.terminate();
  }

  #settle(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if ('error' in reply) pending?.reject(new EngineRefusal(reply.error, reply.missing));
    else pending?.resolve(reply.value);
  }

  #end(why: string): void {
    this.#ended ??= why;
    for (const { reject } of this.#pending.values()) reject(failure(why));
    this.#pending.clear();
  }
}

function failure(why: string): PtychoError {
  return new PtychoError('ENGINE_FAILURE', `The ONNX backend cannot run: ${why}.`, { reason: why });
}

/**
 * The worker's file. A worker cannot load TypeScript on Node 20, so that a backend used from the sources (by the tests)
 * takes the built one.
 */
function workerFile(): URL {
  if (!import.meta.url.endsWith('.ts')) return new URL('./worker.js', import.meta.url);
  const modified = (url: URL) => statSync(fileURLToPath(url), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const built = (name: string) => new URL(`../../../dist/backends/onnx/${name}.js`, import.meta.url);
  for (const name of ['worker', 'engine']) {
    if (modified(built(name)) < modified(new URL(`./${name}.ts`, import.meta.url))) {
      throw new PtychoError(
        'BACKEND_MISSING',
        `The built worker dist/backends/onnx/${name}.js is missing or older than its source: run "npm run build" first.`,
        { file: `dist/backends/onnx/${name}.js` },
      );
    }
  }
  return built('worker');
}

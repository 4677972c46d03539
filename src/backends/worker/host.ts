/**
 * Owns the worker thread that an engine runs in: engines compute synchronously, and the caller's event loop must stay
 * free.
 *
 * The worker keeps the process alive only while a call is pending; a program that forgets `dispose` still ends.
 * (A crash of native code ends the whole process: threads share it. What can be caught is caught here.)
 */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type MessagePort, Worker, type WorkerOptions } from 'node:worker_threads';
import { messageOf, PtychoError, type PtychoErrorCode } from '../../core/errors.js';
import { packageFile } from '../../core/packageFile.js';
import type { Shape } from '../../core/tensor.js';
import type { SharedPlace, SharedSum } from '../backend.js';

/** The least that anything in a worker answers. */
export interface WorkerCalls {
  /** Releases everything. */
  close(): Promise<void>;
}

export type Arrays = Record<string, Float32Array<ArrayBuffer>>;

/**
 * What every engine's worker can be asked; calls are answered one after the other, in the order they came. How an engine
 * is opened and a program compiled is each backend's own.
 */
export interface EngineCalls extends WorkerCalls {
  run(program: number, feeds: Arrays, state: number | undefined): Promise<Arrays>;
  dropProgram(program: number): Promise<void>;
  createState(values: Arrays, shapes: Readonly<Record<string, Shape>>): Promise<number>;
  readState(state: number, names: readonly string[]): Promise<Arrays>;
  writeState(state: number, values: Arrays): Promise<void>;
  dropState(state: number): Promise<void>;
  /** Releases every program and state. */
  close(): Promise<void>;
}

/** What the worker of an engine does besides, with values of its states and memory that other workers see (`sharedMemory.ts`). */
export interface SharedCalls {
  copyOut(state: number, names: readonly string[], to: SharedPlace, clear: boolean): Promise<void>;
  copyIn(state: number, lengths: Readonly<Record<string, number>>, from: SharedPlace): Promise<void>;
  addUp(sum: SharedSum): Promise<void>;
}

/** Arguments of a call, by its name. */
export type CallArguments<Calls, K extends keyof Calls> = Calls[K] extends (...args: infer A) => unknown ? A : never;
/** What a call answers, by its name. */
export type CallAnswer<Calls, K extends keyof Calls> = Calls[K] extends (...args: never[]) => infer R ? R : never;

export interface Request {
  readonly id: number;
  readonly call: string;
  readonly args: readonly unknown[];
}

export type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: Refusal };

/** The end of a channel whose other end is held by a thread that the engine started itself, and waits for. */
export interface Watched {
  readonly watch: MessagePort;
}

/** An error on its way between threads; with a code it is one of ours. */
export interface Refusal {
  readonly message: string;
  readonly code?: PtychoErrorCode;
  readonly fields?: Readonly<Record<string, unknown>>;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The engine refused a call, in its own words. */
export class EngineRefusal extends Error {}

/** Where an engine's calls go. */
export interface EngineHost<Calls extends WorkerCalls> {
  /**
   * Asks the engine; buffers in `transfer` may move over and be detached here.
   * @throws EngineRefusal in the engine's words, or the PtychoError that the engine's side threw.
   */
  call<K extends keyof Calls & string>(
    call: K,
    args: CallArguments<Calls, K>,
    transfer?: readonly ArrayBuffer[],
  ): CallAnswer<Calls, K>;
  /** Lets pending calls finish and releases the engine. */
  close(): Promise<void>;
}

export class WorkerHost<Calls extends WorkerCalls> implements EngineHost<Calls> {
  readonly #label: string;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  /** Why no more calls are taken. */
  #ended: string | undefined;

  /**
   * @param label what runs there, as messages begin: `The ONNX backend`
   * @throws PtychoError ENGINE_FAILURE where the system has no further thread
   */
  constructor(file: URL, label: string, options: WorkerOptions = {}) {
    this.#label = label;
    // Node's own flags are not for the worker: with --input-type, say, it could not start.
    this.#worker = this.#start(() => new Worker(file, { name: label, execArgv: [], ...options }));
    this.#worker.unref();
    this.#worker.on('message', (said: Reply | Watched) => {
      if ('watch' in said) this.#watch(said.watch);
      else this.#settle(said);
    });
    this.#worker.on('error', (error) => this.#end(`the engine's worker failed: ${error.message}`));
    this.#worker.on('messageerror', (error) => this.#end(`the engine's worker cannot be understood: ${error.message}`));
    this.#worker.on('exit', (code) => this.#end(`the engine's worker stopped with exit code ${code}`));
  }

  call<K extends keyof Calls & string>(
    call: K,
    args: CallArguments<Calls, K>,
    transfer: readonly ArrayBuffer[] = [],
  ): CallAnswer<Calls, K> {
    const answer = new Promise<unknown>((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#failure(this.#ended));
        return;
      }
      const id = this.#nextId++;
      const request: Request = { id, call, args: args as readonly unknown[] };
      this.#worker.postMessage(request, transfer);
      if (this.#pending.size === 0) this.#worker.ref();
      this.#pending.set(id, { resolve, reject });
    });
    return answer as CallAnswer<Calls, K>;
  }

  /** Why no more calls are taken; undefined while they are. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /**
   * Whether the thread is gone, told without a turn of the event loop, for callers that have none while they wait; always false where that
   * cannot be told (browsers).
   */
  get gone(): boolean {
    if (this.#ended !== undefined) return true;
    // The clock of a loop that is no more stands at -1. It has to be read once while it runs.
    const { performance } = this.#worker as { readonly performance?: Worker['performance'] };
    return performance !== undefined && performance.eventLoopUtilization().idle < 0;
  }

  /** Also ends the thread. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const released = this.call('close', [] as never) as Promise<void>;
    this.#ended = 'it was disposed';
    await released.catch(() => undefined);
    await this.#worker.terminate();
  }

  /** Ends the thread, whatever it does: for one that holds nothing, or does not listen. */
  async stop(): Promise<void> {
    this.#end('it was disposed');
    await this.#worker.terminate();
  }

  #start(start: () => Worker): Worker {
    try {
      return start();
    } catch (error) {
      throw this.#failure(`its thread cannot be started: ${messageOf(error)}`);
    }
  }

  #settle(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if (!('error' in reply)) {
      pending?.resolve(reply.value);
      return;
    }
    const { message, code, fields } = reply.error;
    pending?.reject(code ? new PtychoError(code, message, fields) : new EngineRefusal(message));
  }

  /** A channel closes with the thread at its other end. The engine has no event loop to hear of it while it waits. */
  #watch(port: MessagePort): void {
    port.unref();
    port.on('close', () => {
      if (this.#ended !== undefined) return;
      this.#end("a thread that computes for the engine's worker stopped");
      void this.#worker.terminate();
    });
  }

  #end(why: string): void {
    this.#ended ??= why;
    for (const { reject } of this.#pending.values()) reject(this.#failure(why));
    this.#pending.clear();
  }

  #failure(why: string): PtychoError {
    return new PtychoError('ENGINE_FAILURE', `${this.#label} cannot run: ${why}.`, { reason: why });
  }
}

/**
 * The entry of a worker, as {@link packageFile} finds it. A worker cannot load TypeScript on Node 20, so that an engine used
 * from the sources (by the tests) takes the built one.
 *
 * @param beside a literal `new URL('./nameWorker.js', import.meta.url)`; names differ, because a bundle has them all in one folder
 * @param place the file below `dist`
 * @throws PtychoError BACKEND_MISSING when the built files are missing or older than the sources.
 */
export function workerFile(beside: URL, place: string): URL {
  if (!import.meta.url.endsWith('.ts')) return packageFile(beside, place);
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const folder = path.join(root, path.dirname(place));
  const dist = path.resolve(root, '../dist');
  for (const source of [...sources(folder), ...sources(path.join(root, 'backends/worker'))]) {
    const file = path.relative(root, source).replace(/\.ts$/, '.js');
    if (modified(path.join(dist, file)) < modified(source)) {
      throw new PtychoError(
        'BACKEND_MISSING',
        `The built file dist/${file} is missing or older than its source: run "npm run build" first.`,
        { file: `dist/${file}` },
      );
    }
  }
  return pathToFileURL(path.join(dist, place));
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return sources(file);
    return entry.name.endsWith('.ts') ? [file] : [];
  });
}

function modified(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

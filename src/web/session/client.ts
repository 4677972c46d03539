/** The page's side of a session: everything is done in a thread, so that the page stays free. */

import { PtychoError } from '../../core/errors.js';
import type { ProgressEvent } from '../../core/log.js';
import type { Tensor } from '../../core/tensor.js';
import type { InspectOptions, ScanInspection } from '../../data/inspect.js';
import type { BlobLike } from '../../formats/pageSources.js';
import type { WebWorker } from '../browser.js';
import type { Control, ToPage, ToSession } from './protocol.js';
import { buffersIn } from './protocol.js';
import type {
  CompareView, FormField, InferRequest, InferUpdate, ModelView, OpenOptions, PageFileView, ResultView, SaveFormat, ScanView, SolveRequest, SolveUpdate, TrainRequest, TrainUpdate,
} from './views.js'; // biome-ignore format: a list

/** A call that takes time. */
export interface PageRun<T> {
  /** What it comes to. Cancelled runs come to what was done by then; before the first epoch they throw CANCELLED. */
  readonly done: Promise<T>;
  /** Waits after the epoch, or the image, that is under way. */
  pause(): void;
  /** Goes on after `pause`. */
  continue(): void;
  /** Ends the run after what is under way. */
  cancel(): void;
}

/** Who watches a run. */
export interface Watch<U> {
  /** Hears of every epoch, or of the image as it grows. */
  readonly onUpdate?: (update: U) => void;
  /** Hears of reading. */
  readonly onProgress?: (event: ProgressEvent) => void;
}

interface Pending extends Watch<unknown> {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The thread that everything is done in. */
export class PageSession {
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #ended: string | undefined;
  /** Hears what the command line would print. */
  onLog: (level: 'info' | 'warn', message: string) => void = () => {};

  /** @param worker a thread that runs `ptychopinn/web/worker` */
  constructor(private readonly worker: WebWorker) {
    worker.addEventListener('message', ({ data }) => this.#hear(data as ToPage));
    // An answer that cannot be read is nobody's: whoever waits for it would wait for ever.
    worker.addEventListener('messageerror', () => this.#end('what it says cannot be read'));
    worker.addEventListener('error', (event) => {
      event.preventDefault?.();
      this.#end(event.message ?? 'its script could not be loaded');
    });
  }

  // ---- files of the page

  /** Makes a file known that was dropped or chosen; nothing is read yet. @returns its path */
  addFile(file: BlobLike & { readonly name?: string }, path?: string): Promise<string> {
    return this.#call('addFile', [file, path]);
  }

  /** Makes a file behind an address known, which is read by range requests. @returns its path */
  addUrl(address: string | URL, path?: string): Promise<string> {
    return this.#call('addUrl', [String(address), path]);
  }

  /** Makes bytes known. @returns its path */
  addBytes(path: string, bytes: Uint8Array): Promise<string> {
    return this.#call('addBytes', [path, bytes]);
  }

  /** All files, those that were written among them. */
  listFiles(folder?: string): Promise<readonly PageFileView[]> {
    return this.#call('listFiles', [folder]);
  }

  /** The bytes of a file. */
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.#call('readFile', [path]);
  }

  /** Forgets a file, or a folder. */
  removeFile(path: string): Promise<void> {
    return this.#call('removeFile', [path]);
  }

  /** Copies a file, or a folder, to where the browser keeps it for the next visit (OPFS). */
  keep(path: string): Promise<void> {
    return this.#call('keep', [path]);
  }

  /** What was kept. */
  kept(): Promise<readonly PageFileView[]> {
    return this.#call('kept', []);
  }

  /** Makes what was kept under a path known again. @returns the paths of the files */
  restore(path: string): Promise<readonly string[]> {
    return this.#call('restore', [path]);
  }

  /** Removes what was kept under a path. */
  forget(path: string): Promise<void> {
    return this.#call('forget', [path]);
  }

  // ---- scans

  /** Opens a scan and looks at all of its patterns; what is wrong stops it unless it is accepted. @throws PtychoError those of `openScan` */
  openScan(path: string, options: OpenOptions = {}, watch: Watch<never> = {}): PageRun<ScanView> {
    return this.#run('openScan', [path, options], watch);
  }

  /** What a file holds and whether it can be used; nothing that is found stops it. @throws PtychoError for damaged files */
  inspect(path: string, options: Omit<InspectOptions, 'onScan' | 'logger'> = {}): Promise<ScanInspection> {
    return this.#call('inspect', [path, options]);
  }

  /** Measured amplitudes of some patterns, (n, N, N), zero frequency in the middle. */
  patterns(scan: number, indices: ArrayLike<number>): Promise<Tensor> {
    return this.#call('patterns', [scan, Int32Array.from(indices)]);
  }

  /** Σ of the intensities of all patterns, (N, N). */
  sumPattern(scan: number): Promise<Tensor<Float64Array>> {
    return this.#call('sumPattern', [scan]);
  }

  /** Closes a scan. Results of it stay. */
  closeScan(scan: number): Promise<void> {
    return this.#call('closeScan', [scan]);
  }

  // ---- images

  /** Runs an iterative algorithm. @throws PtychoError those of `runSolver` */
  solve(scan: number, request: SolveRequest = {}, watch: Watch<SolveUpdate> = {}): PageRun<ResultView> {
    return this.#run('solve', [scan, request], watch);
  }

  /** Opens a bundle and starts the engine. @throws PtychoError those of `PtychoModel.open` */
  openModel(
    path: string,
    options: { readonly accelerator?: 'auto' | 'webgpu' | 'cpu'; readonly threads?: number } = {},
  ): Promise<ModelView> {
    return this.#call('openModel', [path, options]);
  }

  /** Makes an image with a network. @throws PtychoError those of `reconstruct` */
  infer(model: number, scan: number, request: InferRequest = {}, watch: Watch<InferUpdate> = {}): PageRun<ResultView> {
    return this.#run('infer', [model, scan, request], watch);
  }

  /** Trains a network. @throws PtychoError those of `train` */
  train(scan: number, request: TrainRequest = {}, watch: Watch<TrainUpdate> = {}): PageRun<ModelView> {
    return this.#run('train', [scan, request], watch);
  }

  /** Writes the bundle of a model. @returns its path */
  saveModel(model: number, path = 'wts.zip'): Promise<string> {
    return this.#call('saveModel', [model, path]);
  }

  /** Releases a model and its engine. */
  closeModel(model: number): Promise<void> {
    return this.#call('closeModel', [model]);
  }

  /** Takes the image of a file for a result: `reconstruction.npz`, a product, what other programs write. */
  openResult(path: string): Promise<ResultView> {
    return this.#call('openResult', [path]);
  }

  /** Writes a result as a file, or several. @returns their paths */
  save(result: number, format: SaveFormat, folder?: string): Promise<readonly string[]> {
    return this.#call('save', [result, format, folder]);
  }

  /** Forgets a result. */
  dropResult(result: number): Promise<void> {
    return this.#call('dropResult', [result]);
  }

  /** Brings two results to the same pixels and measures how far they agree. */
  compare(a: number, b: number): Promise<CompareView> {
    return this.#call('compare', [a, b]);
  }

  // ---- options

  /** The fields of a command, in order: `solve`, `infer`, `train`, `inspect`, … */
  fields(command: string): Promise<readonly FormField[]> {
    return this.#call('fields', [command]);
  }

  /** What does the same on a command line. */
  commandLine(command: string, files: readonly string[], values: Readonly<Record<string, unknown>>): Promise<string> {
    return this.#call('commandLine', [command, files, values]);
  }

  /** Where the page has the files of onnxruntime-web, where the bundler does not bring them along. */
  engineFiles(address: string): Promise<void> {
    return this.#call('engineFiles', [String(address)]);
  }

  /** Threads that computations take: 1 where the page is not isolated. */
  threads(): Promise<number> {
    return this.#call('threads', []);
  }

  /** Ends the thread, whatever it does. */
  close(): void {
    this.#end('the session was closed');
    this.worker.terminate();
  }

  #call<T>(call: string, args: readonly unknown[]): Promise<T> {
    return this.#run<T, never>(call, args, {}).done;
  }

  #run<T, U>(call: string, args: readonly unknown[], watch: Watch<U>): PageRun<T> {
    const id = this.#nextId++;
    const send = (message: ToSession, transfer: readonly unknown[] = []) => this.worker.postMessage(message, transfer);
    const done = new Promise<unknown>((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(lost(this.#ended));
        return;
      }
      this.#pending.set(id, { ...(watch as Watch<unknown>), resolve, reject });
      // What is dropped is read in the other thread; bytes that are added are copied, for they may be needed here.
      send({ id, call, args }, call === 'patterns' ? buffersIn(args) : []);
    });
    const control = (word: Control) => () => {
      if (this.#pending.has(id)) send({ id, control: word });
    };
    return {
      done: done as Promise<T>,
      pause: control('pause'),
      continue: control('continue'),
      cancel: control('cancel'),
    };
  }

  #hear(message: ToPage): void {
    if ('log' in message) {
      this.onLog(message.log.level, message.log.message);
      return;
    }
    const pending = this.#pending.get(message.id);
    if ('update' in message) pending?.onUpdate?.(message.update);
    else if ('progress' in message) pending?.onProgress?.(message.progress as ProgressEvent);
    else {
      this.#pending.delete(message.id);
      if ('value' in message) pending?.resolve(message.value);
      else pending?.reject(errorOf(message.error));
    }
  }

  #end(why: string): void {
    this.#ended ??= why;
    for (const { reject } of this.#pending.values()) reject(lost(why));
    this.#pending.clear();
  }
}

const errorOf = ({
  message,
  code,
  fields,
}: {
  message: string;
  code?: PtychoError['code'];
  fields?: Readonly<Record<string, unknown>>;
}): Error => (code === undefined ? new Error(message) : new PtychoError(code, message, fields));

const lost = (why: string) =>
  new PtychoError('ENGINE_FAILURE', `The thread of the page that computes is gone (${why}); load the page again.`, {
    reason: why,
  });

/**
 * Begins a session in a thread of the page.
 *
 * @example
 * const session = connect(new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }));
 * const { scan } = await session.openScan(await session.addFile(file)).done;
 * const run = session.solve(scan, { options: { algorithm: 'rpie', epochs: 60 } }, { onUpdate: ({ epoch, rFactor }) => show(epoch, rFactor) });
 * const { image } = await run.done;
 */
export const connect = (worker: WebWorker): PageSession => new PageSession(worker);

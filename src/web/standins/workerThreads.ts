/** In place of `node:worker_threads`: threads of a page, and the thread itself. */
import { browser, type WebWorker } from '../browser.js';
import { startThread } from '../threads.js';

type Listen = (value: never) => void;

/** A thread for the inner loops of solvers, the one kind that the browser's build starts by this name. */
export class Worker {
  readonly #worker: WebWorker;

  constructor(_file: URL, _options?: object) {
    this.#worker = startThread('solver');
  }

  on(event: 'message' | 'error' | 'messageerror' | 'exit', listen: Listen): this {
    const call = listen as (value: unknown) => void;
    // Threads of pages end silently, and only when they are told to.
    if (event === 'exit') return this;
    this.#worker.addEventListener(event, (told) => {
      told.preventDefault?.();
      call(event === 'message' ? told.data : new Error(told.message ?? 'the thread could not be started'));
    });
    return this;
  }

  postMessage(message: unknown, transfer: readonly unknown[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  async terminate(): Promise<number> {
    this.#worker.terminate();
    return 0;
  }

  ref(): void {}
  unref(): void {}
}

export const isMainThread = false;
export const SHARE_ENV = undefined;

/** The side of the thread; what arrives before anybody listens waits. */
export const parentPort = {
  on(event: 'message' | 'messageerror', listen: (message: unknown) => void): void {
    if (event === 'messageerror') {
      browser.addEventListener(event, () => listen(new Error('a message cannot be read')));
      return;
    }
    for (const message of early.splice(0)) listen(message);
    heard = listen;
  },
  postMessage(message: unknown, transfer: readonly unknown[] = []): void {
    browser.postMessage(message, transfer);
  },
};

const early: unknown[] = [];
let heard: ((message: unknown) => void) | undefined;

/** Hands a message to whoever listens to {@link parentPort}. */
export function deliver(message: unknown): void {
  if (heard) heard(message);
  else early.push(message);
}

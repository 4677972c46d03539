/** A call that takes time: it can be watched, paused and cancelled. */
import type { ProgressEvent } from '../../core/log.js';
import type { Control } from './protocol.js';

/** What a call is given besides its arguments. */
export class Run {
  readonly #abort = new AbortController();
  #gate: Promise<void> | undefined;
  #open = () => {};
  #paused_ms = 0;

  /** @param tell hands something to whoever called */
  constructor(private readonly tell: (kind: 'update' | 'progress', value: unknown) => void) {}

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Milliseconds that were spent waiting so far. */
  get paused_ms(): number {
    return this.#paused_ms;
  }

  control(word: Control): void {
    if (word === 'pause') {
      this.#gate ??= new Promise((open) => {
        this.#open = open;
      });
      return;
    }
    if (word === 'cancel') this.#abort.abort();
    this.#gate = undefined;
    this.#open();
  }

  /** Waits while the run is paused. */
  async gate(): Promise<void> {
    const since = performance.now();
    while (this.#gate) await this.#gate;
    this.#paused_ms += performance.now() - since;
  }

  update(value: unknown): void {
    this.tell('update', value);
  }

  readonly onProgress = (event: ProgressEvent): void => this.tell('progress', event);
}

/** True when so many seconds have passed since it last was. */
export function every(seconds: number | null): () => boolean {
  let last = performance.now();
  return () => {
    if (seconds === null || performance.now() - last < 1000 * seconds) return false;
    last = performance.now();
    return true;
  };
}

/** The way out: whole frames on a stream, and what to leave out when the other side is slow. */
import type { OutgoingArray } from './blobs.js';
import { encodeFrame } from './frame.js';

/** What is written to: a Node stream, or what does as one. */
export interface ByteSink {
  write(chunk: Uint8Array, done: (error?: Error | null) => void): boolean;
  on(event: 'error' | 'close', listener: () => void): unknown;
}

/** Log frames are dropped above this backlog: a host that does not read must not fill our memory. */
const LOG_BACKLOG_BYTES = 2 ** 20;

/** Writes frames; once the other side is gone, nothing more. */
export class FrameWriter {
  readonly #sink: ByteSink;
  #backlog = 0;
  #broken = false;
  #dropped = 0;
  #waiting: (() => void)[] = [];

  /** @param gone called once when the other side has closed its end */
  constructor(sink: ByteSink, gone: () => void = () => {}) {
    this.#sink = sink;
    const breakOff = () => {
      if (this.#broken) return;
      this.#broken = true;
      this.#backlog = 0;
      this.#wake();
      gone();
    };
    sink.on('error', breakOff);
    sink.on('close', breakOff);
  }

  /** Bytes that the other side has not taken yet. */
  get backlog(): number {
    return this.#backlog;
  }

  /** Nothing waits: a preview would go out at once. */
  get idle(): boolean {
    return this.#backlog === 0 && !this.#broken;
  }

  /** Sends a frame; complex arrays are copied at once, real ones must not change until it is out. */
  send(header: Readonly<Record<string, unknown>>, arrays?: Readonly<Record<string, OutgoingArray>>): void {
    if (this.#broken) return;
    for (const chunk of encodeFrame(header, arrays)) {
      this.#backlog += chunk.length;
      this.#sink.write(chunk, () => {
        this.#backlog = this.#broken ? 0 : this.#backlog - chunk.length;
        if (this.#backlog === 0) this.#wake();
      });
    }
  }

  /** Sends a line of the log unless too much is waiting; how many were left out is told with the next. */
  sendLog(header: Readonly<Record<string, unknown>>): void {
    if (this.#backlog > LOG_BACKLOG_BYTES) {
      this.#dropped++;
      return;
    }
    this.send(this.#dropped === 0 ? header : { ...header, dropped: this.#dropped });
    this.#dropped = 0;
  }

  /** Settles when everything is out, or the other side is gone. */
  flushed(): Promise<void> {
    if (this.#backlog === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** The way out: whole frames on a stream, and what to leave out when the other side is slow. */
import type { OutgoingArray } from './arrays.js';
import { encodeFrame } from './messageFrame.js';

/** What is written to: a Node stream, or what does as one. */
export interface ByteSink {
  write(chunk: Uint8Array, done: (error?: Error | null) => void): boolean;
  on(event: 'error' | 'close', listener: () => void): unknown;
}

/** Log frames are dropped above this backlog: a host that does not read must not fill our memory. */
const LOG_BACKLOG_BYTES = 2 ** 20;

/** Answers that may wait for a host that does not read before no more is read from it. */
const ANSWER_BACKLOG_BYTES = 2 ** 18;

/** Writes frames; once the other side is gone, nothing more. */
export class FrameWriter {
  readonly #sink: ByteSink;
  #backlog = 0;
  /** Bytes of the backlog that are frames without arrays and no log: what grows with the number of requests. */
  #answers = 0;
  #blocked = false;
  #broken = false;
  #dropped = 0;
  #waiting: (() => void)[] = [];

  readonly #onBlocked: (blocked: boolean) => void;

  /**
   * @param gone called once when the other side has closed its end
   * @param onBlocked called when so many answers wait that no more requests should be taken, and when they may be again
   */
  constructor(sink: ByteSink, gone: () => void = () => {}, onBlocked: (blocked: boolean) => void = () => {}) {
    this.#sink = sink;
    this.#onBlocked = onBlocked;
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
    this.#write(encodeFrame(header, arrays), arrays === undefined);
  }

  #write(chunks: readonly Uint8Array[], isAnswer: boolean): void {
    if (this.#broken) return;
    for (const chunk of chunks) {
      this.#backlog += chunk.length;
      if (isAnswer) this.#count(chunk.length);
      this.#sink.write(chunk, () => {
        this.#backlog = this.#broken ? 0 : this.#backlog - chunk.length;
        if (isAnswer) this.#count(-chunk.length);
        if (this.#backlog === 0) this.#wake();
      });
    }
  }

  #count(bytes: number): void {
    this.#answers += bytes;
    const blocked = !this.#broken && this.#answers > ANSWER_BACKLOG_BYTES;
    if (blocked === this.#blocked) return;
    this.#blocked = blocked;
    this.#onBlocked(blocked);
  }

  /** Sends a line of the log unless too much is waiting; how many were left out is told with the next. */
  sendLog(header: Readonly<Record<string, unknown>>): void {
    if (this.#backlog > LOG_BACKLOG_BYTES) {
      this.#dropped++;
      return;
    }
    this.#write(encodeFrame(this.#dropped === 0 ? header : { ...header, dropped: this.#dropped }), false);
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

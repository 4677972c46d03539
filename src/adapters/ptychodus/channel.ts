/**
 * A queue between work that tells what it does and a loop that listens: who puts something in waits until it was taken out.
 *
 * @example
 * const channel = new Channel<number>();
 * void channel.put(1).then(() => channel.close());
 * for await (const n of channel) console.log(n);
 */
export class Channel<T> implements AsyncIterable<T> {
  #waiting: { readonly value: T; readonly taken: () => void }[] = [];
  #wake: (() => void) | undefined;
  #closed = false;
  #error: { readonly cause: unknown } | undefined;

  /** Resolves when the value was taken, at once where nobody listens any more. */
  put(value: T): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((taken) => {
      this.#waiting.push({ value, taken });
      this.#wake?.();
    });
  }

  /** No more values; what waits is still delivered. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** No more values; the loop throws `cause` behind those that wait. */
  fail(cause: unknown): void {
    this.#error ??= { cause };
    this.close();
  }

  /** Nobody listens any more: lets go of those who wait. */
  abandon(): void {
    this.#closed = true;
    for (const { taken } of this.#waiting) taken();
    this.#waiting = [];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next) {
          next.taken();
          yield next.value;
        } else if (this.#closed) {
          if (this.#error) throw this.#error.cause;
          return;
        } else {
          await new Promise<void>((wake) => {
            this.#wake = wake;
          });
        }
      }
    } finally {
      this.abandon();
    }
  }
}

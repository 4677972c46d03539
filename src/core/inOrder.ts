/** Items in order while the next ones are made: read ahead, or read, computed and used side by side. */

/** How {@link inOrder} works. */
export interface PipelineOptions<A, B> {
  /** Done with every item; up to `width` at a time. */
  readonly work: (item: A) => Promise<B>;
  readonly width: number;
  /** Items that are made before there is room for them; at least 1. */
  readonly readAhead: number;
  /** No more items are begun when it fires; those that were are finished. */
  readonly signal?: AbortSignal;
  /** Seconds spent waiting are added here: for items, or for the work on them. */
  readonly times?: { read: number; predict: number };
}

/**
 * The results of `work` on every item, in order. A result is handed on as soon as it is there, also while the next item is
 * long in coming.
 * @throws whatever source and work throw; work that was begun is awaited first
 */
export async function* inOrder<A, B>(
  source: AsyncIterator<A>,
  { work, width, readAhead, signal, times }: PipelineOptions<A, B>,
): AsyncGenerator<B, void, void> {
  const bell = new Bell();
  const coming: Watched<IteratorResult<A>>[] = [];
  const working: Watched<B>[] = [];
  let ended = false;
  const ring = () => bell.ring();
  signal?.addEventListener('abort', ring);
  try {
    for (;;) {
      if (signal?.aborted) ended = true;
      // An async generator answers one call after the other: asking several times in advance is reading ahead.
      while (!ended && coming.length < Math.max(1, readAhead)) coming.push(watch(source.next(), ring));
      if (!ended && working.length < width && coming[0].settled) {
        const item = await coming.shift()!.promise;
        if (item.done) ended = true;
        else working.push(watch(work(item.value), ring));
      } else if (working.length > 0 && working[0].settled) {
        yield await working.shift()!.promise;
      } else if (ended && working.length === 0) {
        return;
      } else {
        const since = performance.now();
        await bell.next();
        if (times) times[working.length > 0 ? 'predict' : 'read'] += (performance.now() - since) / 1000;
      }
    }
  } finally {
    signal?.removeEventListener('abort', ring);
    await Promise.allSettled(working.map(({ promise }) => promise));
    // Not awaited: a source that waits for the world may never answer.
    source.return?.().catch(() => {});
  }
}

/**
 * What `load` makes of every item, in order; up to `ahead` further ones are begun while one is worked on. A failure is thrown when its
 * turn comes.
 */
export async function* readAhead<A, B>(
  items: Iterator<A>,
  load: (item: A) => Promise<B>,
  ahead: number,
): AsyncGenerator<B> {
  const waiting: Promise<B>[] = [];
  const fill = (count: number) => {
    while (waiting.length < count) {
      const { done, value } = items.next();
      if (done) return;
      const loading = load(value);
      // Not an unhandled rejection before its turn, nor when nobody asks for it any more.
      loading.catch(() => {});
      waiting.push(loading);
    }
  };
  fill(1);
  for (let current = waiting.shift(); current; current = waiting.shift()) {
    const loaded = await current;
    fill(ahead);
    yield loaded;
    fill(1);
  }
}

/** A promise that tells whether it is settled. */
interface Watched<T> {
  readonly promise: Promise<T>;
  settled: boolean;
}

/** Failures are reported where the promise is awaited, and not as unhandled rejections before. */
function watch<T>(promise: Promise<T>, ring: () => void): Watched<T> {
  const watched = { promise, settled: false };
  const settle = () => {
    watched.settled = true;
    ring();
  };
  promise.then(settle, settle);
  return watched;
}

/**
 * Wakes who waits for any of several things. (`Promise.race` over a promise that stays open, such as the next pattern of a
 * slow scan, would keep the outcome of every race in memory.)
 */
class Bell {
  #wake: (() => void) | undefined;

  ring(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

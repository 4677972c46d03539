/**
 * Cancellation by the platform's AbortSignal. A signal is heard only where the event loop turns, so long computations pause
 * for it now and then.
 *
 * @example
 * const pause = cancelPoint(signal, 'The simulation');
 * for (const pattern of patterns) { compute(pattern); await pause(); }
 */
import { PtychoError } from './errors.js';

/**
 * Throws when the signal has fired; call it between steps of long work.
 * @throws PtychoError CANCELLED
 */
export function throwIfCancelled(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw new PtychoError('CANCELLED', `${what} was cancelled.`, {});
}

/** Whether the signal has fired, after the event loop has turned, without which nobody hears it. */
export async function hasFired(signal: AbortSignal | undefined): Promise<boolean> {
  if (signal === undefined) return false;
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
  return signal.aborted;
}

/** Long enough to cost nothing, short enough to be felt as at once. */
const PAUSE_MS = 50;

/**
 * A function to await between steps: it lets the event loop turn when 50 ms have passed, so that signals are heard, and throws
 * when one was. Without a signal nobody can cancel, and it does nothing.
 * @throws PtychoError CANCELLED, from the function
 */
export function cancelPoint(signal: AbortSignal | undefined, what: string): () => Promise<void> | undefined {
  if (signal === undefined) return () => undefined;
  let last_ms = performance.now();
  const pause = async () => {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    throwIfCancelled(signal, what);
    last_ms = performance.now();
  };
  return () => (signal.aborted || performance.now() - last_ms >= PAUSE_MS ? pause() : undefined);
}

/**
 * Waits for something that does not look at signals itself, such as the opening of a large file, no longer than until the signal
 * fires; what comes after that is handed to `dispose`.
 * @throws PtychoError CANCELLED, and what the work throws
 */
export async function untilCancelled<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  what: string,
  dispose: (late: T) => unknown = () => {},
): Promise<T> {
  if (signal === undefined) return work;
  let stop = () => {};
  const fired = new Promise<'fired'>((resolve) => {
    stop = () => resolve('fired');
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
  });
  try {
    const first = await Promise.race([work.then((value) => ({ value })), fired]);
    if (first !== 'fired') return first.value;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  // Whether it fails later is of no interest any more.
  work.then(dispose).catch(() => {});
  throw new PtychoError('CANCELLED', `${what} was cancelled.`, {});
}

/** Work in steps, of which the last gives the result: it can be done at once or with pauses. */
export type Steps<T> = Generator<void, T, void>;

/** Does all steps at once. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/**
 * Does the steps with a {@link cancelPoint} between them.
 * @throws PtychoError CANCELLED, and what the steps throw
 */
export async function withPauses<T>(steps: Steps<T>, signal: AbortSignal | undefined, what: string): Promise<T> {
  const pause = cancelPoint(signal, what);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    await pause();
  }
}

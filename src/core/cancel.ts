/** Cancellation by the platform's AbortSignal. */
import { PtychoError } from './errors.js';

/**
 * Throws when the signal has fired; call it between steps of long work.
 * @throws PtychoError CANCELLED
 */
export function throwIfCancelled(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw new PtychoError('CANCELLED', `${what} was cancelled.`, {});
}

/**
 * Ctrl-C, SIGTERM and SIGHUP, for every command: the first one asks the work to come to an end, a later one leaves at once. A
 * second one within half a second is the first one told twice, as by a shell that signals a whole group or a doubled key.
 */

import type { CliContext } from './context.js';

/** How a process ends after each: 128 and the number of the signal. */
export const SIGNAL_EXITS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
export type EndingSignal = keyof typeof SIGNAL_EXITS;

const ENDING_SIGNALS = Object.keys(SIGNAL_EXITS) as readonly EndingSignal[];
const SAME_MS = 500;

/** What was heard while a command line runs. */
export interface Interruption {
  /** Aborted by the first signal; who asks for it will end the work by itself. */
  readonly signal: AbortSignal;
  /** Somebody has asked for {@link signal}. */
  readonly taken: boolean;
  /** The first signal, once there was one. */
  readonly heard: EndingSignal | undefined;
  /** Calls `announce` at the first signal, or now where it came already; returns how to stop that. */
  onFirst(announce: (signal: EndingSignal) => void): () => void;
}

/**
 * Runs `work` while signals are listened to; within a command line that listens already, its interruption is handed on.
 * @param now a clock in milliseconds
 */
export async function withInterrupt<T>(
  context: CliContext,
  work: (interruption: Interruption) => Promise<T>,
  now: () => number = () => performance.now(),
): Promise<T> {
  if (context.interruption) return work(context.interruption);
  const controller = new AbortController();
  const announcers = new Set<(signal: EndingSignal) => void>();
  let heard: EndingSignal | undefined;
  let heard_ms = 0;
  let taken = false;
  let leaving: NodeJS.Timeout | undefined;
  const hear = (signal: EndingSignal) => {
    if (heard !== undefined) {
      if (now() - heard_ms >= SAME_MS) context.leaveNow(signal);
      return;
    }
    [heard, heard_ms] = [signal, now()];
    for (const announce of announcers) announce(signal);
    controller.abort();
    // A command that only looks at something, or has not begun, need not be waited for.
    leaving = setTimeout(() => {
      if (!taken) context.leaveNow(signal);
    }, SAME_MS).unref();
  };
  const listeners = ENDING_SIGNALS.map((signal) => [signal, () => hear(signal)] as const);
  for (const [signal, listener] of listeners) context.signals.on(signal, listener);
  try {
    return await work({
      get signal() {
        taken = true;
        return controller.signal;
      },
      get taken() {
        return taken;
      },
      get heard() {
        return heard;
      },
      onFirst(announce) {
        if (heard !== undefined) announce(heard);
        announcers.add(announce);
        return () => announcers.delete(announce);
      },
    });
  } finally {
    clearTimeout(leaving);
    for (const [signal, listener] of listeners) context.signals.off(signal, listener);
  }
}

/**
 * How a command line ends: exit codes, the one sentence for whatever was thrown, and Ctrl-C, SIGTERM and SIGHUP. The first of
 * these asks the work to come to an end, a later one quits immediately. A second one within half a second is the first one
 * told twice, as by a shell that signals a whole group or a doubled key.
 */

import { isPtychoError, messageOf } from '../core/errors.js';
import { systemTrouble } from '../core/systemErrors.js';
import type { CliContext, EndingSignal, Interruption } from './context.js';

export const EXIT_OK = 0;
/** Something went wrong while working. */
export const EXIT_FAILURE = 1;
/** The command line or the configuration is wrong; nothing was started. */
export const EXIT_USAGE = 2;
/** With `--strict`: the image explains the patterns no better than a constant object. */
export const EXIT_WORTHLESS = 3;
/** Stopped by a signal: that of Ctrl-C; `runCli` puts that of another in its place. */
export const EXIT_INTERRUPTED = 130;

/** Errors of what was asked for, found out before any work. */
const NOTHING_STARTED: ReadonlySet<string> = new Set([
  'USAGE',
  'CONFIG_INVALID',
  'CONFIG_UNKNOWN_KEY',
  'OUTPUT_EXISTS',
  'OUTPUT_IN_USE',
]);

/** A failure as the user sees it. */
export interface Failure {
  readonly code: number;
  readonly message: string;
}

/** Turns anything that was thrown into one sentence and an exit code. */
export function failureOf(error: unknown): Failure {
  if (isPtychoError(error)) {
    if (NOTHING_STARTED.has(error.code)) {
      return { code: EXIT_USAGE, message: error.message };
    }
    return { code: error.code === 'CANCELLED' ? EXIT_INTERRUPTED : EXIT_FAILURE, message: error.message };
  }
  if (isCommanderError(error)) {
    if (error.exitCode === 0) return { code: EXIT_OK, message: '' };
    // A command without its subcommand has printed its help.
    if (error.message === '(outputHelp)') return { code: EXIT_USAGE, message: '' };
    return { code: EXIT_USAGE, message: commanderSentence(error.message) };
  }
  const trouble = systemTrouble(error);
  if (trouble) return { code: EXIT_FAILURE, message: capitalised(trouble.sentence) };
  const message = messageOf(error).split('\n')[0];
  return {
    code: EXIT_FAILURE,
    message: isOutOfMemory(error)
      ? `There is not enough memory for this (${message}); ask for less at a time.`
      : sentence(`Unexpected error: ${message}`),
  };
}

/** What V8 throws for arrays that it cannot have. */
function isOutOfMemory(error: unknown): boolean {
  return (
    error instanceof RangeError && /Array buffer allocation|typed array length|Invalid array length/.test(error.message)
  );
}

/** A path keeps its first letter. */
function capitalised(text: string): string {
  return text.includes(': ') ? text : text.charAt(0).toUpperCase() + text.slice(1);
}

/** Commander's own errors are told by their code, so that this file does not load commander. */
function isCommanderError(error: unknown): error is Error & { exitCode: number } {
  return (
    error instanceof Error && 'exitCode' in error && String((error as { code?: unknown }).code).startsWith('commander.')
  );
}

function commanderSentence(message: string): string {
  // "error: unknown option '--x'\n(Did you mean --y?)" in one line, as a sentence.
  const [first, second] = message.replace(/^error: /, '').split('\n');
  const head = first.charAt(0).toUpperCase() + first.slice(1);
  const advice = second?.replace(/^\(D/, 'd').replace(/\)$/, '');
  return advice ? `${head.replace(/\.$/, '')}; ${advice}` : sentence(head);
}

function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

/** How a process ends after each: 128 and the number of the signal. */
export const SIGNAL_EXITS: Readonly<Record<EndingSignal, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

const ENDING_SIGNALS = Object.keys(SIGNAL_EXITS) as readonly EndingSignal[];
const SAME_MS = 500;

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

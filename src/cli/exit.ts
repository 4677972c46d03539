/** How a run ends: exit codes, and the one sentence for whatever was thrown. */

import { isPtychoError, messageOf } from '../core/errors.js';
import { systemTrouble } from '../core/systemErrors.js';

export const EXIT_OK = 0;
/** Something went wrong while working. */
export const EXIT_FAILURE = 1;
/** The command line or the configuration is wrong; nothing was started. */
export const EXIT_USAGE = 2;
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

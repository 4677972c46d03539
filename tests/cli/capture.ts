/** Surroundings for a command under test: what it writes is kept, signals are sent by hand. */
import { EventEmitter } from 'node:events';
import type { CliContext } from '../../src/cli/context.js';
import { runCli } from '../../src/cli/program.js';

export interface Captured {
  readonly context: CliContext;
  readonly signals: EventEmitter;
  /** How often it was left at once. */
  left(): number;
  out(): string;
  err(): string;
}

export function capture(): Captured {
  const out: string[] = [];
  const err: string[] = [];
  const signals = new EventEmitter();
  let left = 0;
  return {
    context: {
      stdout: { write: (text) => out.push(text) },
      stderr: { write: (text) => err.push(text) },
      signals,
      leaveNow: () => {
        left++;
      },
    },
    signals,
    left: () => left,
    out: () => out.join(''),
    err: () => err.join(''),
  };
}

/** Runs a command line in this process. */
export async function cli(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const captured = capture();
  const code = await runCli(words, captured.context);
  return { code, out: captured.out(), err: captured.err() };
}

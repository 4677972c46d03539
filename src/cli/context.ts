/** What a command may touch of the process, where tests hand in their own. Loads nothing, as `--help` must not. */

import type { Readable } from 'node:stream';
import { plainText } from '../core/words.js';

/** The verb of a group that is meant where flags follow the group's name. */
export const NO_VERB = 'without';

/** A place to write text to. */
export interface TextSink {
  write(text: string): unknown;
  /** Writes what the terminal is to obey; {@link write} where it is not given. */
  draw?(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** A sink that shows what of a text a terminal would obey; what is drawn, such as a bar, goes to {@link TextSink.draw}. */
export function plainSink(sink: TextSink): TextSink {
  return {
    write: (text) => sink.write(plainText(text)),
    draw: (text) => sink.write(text),
    get isTTY() {
      return sink.isTTY;
    },
    get columns() {
      return sink.columns;
    },
  };
}

/** The signals that ask for an end. */
export type EndingSignal = 'SIGHUP' | 'SIGINT' | 'SIGTERM';

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

/** What is heard of the process; the last one changes nothing of how it ends. */
export type ProcessEvent = EndingSignal | 'uncaughtExceptionMonitor';

/** Where bytes come from and go to. */
export interface ByteStreams {
  readonly input: Readable;
  readonly output: {
    write(chunk: Uint8Array, done: (error?: Error | null) => void): boolean;
    on(event: 'error' | 'close', listener: () => void): unknown;
  };
}

/** The surroundings of a command. */
export interface CliContext {
  /** Results. */
  readonly stdout: TextSink;
  /** Messages and progress. */
  readonly stderr: TextSink;
  /** Where SIGINT, SIGTERM, SIGHUP and errors that nobody waits for are heard: the process. */
  readonly signals: {
    on(event: ProcessEvent, listener: (error: unknown) => void): unknown;
    off(event: ProcessEvent, listener: (error: unknown) => void): unknown;
  };
  /** Quits immediately, as that signal by itself does, when it comes a second time. */
  leaveNow(signal: EndingSignal): void;
  /** What the command line has heard; `runCli` fills it in. */
  readonly interruption?: Interruption;
  /** Streams of bytes in place of the process's own. */
  readonly byteStreams?: () => ByteStreams;
}

/**
 * Stdin and stdout for bytes. From now on whatever else the process prints on stdout (a library's console.log) goes to stderr,
 * and a reader that goes away ends nothing by itself.
 */
export function claimStandardStreams(): ByteStreams {
  const { stdin, stdout, stderr } = process;
  const write = stdout.write.bind(stdout) as ByteStreams['output']['write'];
  stdout.write = stderr.write.bind(stderr) as typeof stdout.write;
  stdout.removeAllListeners('error');
  stdout.on('error', () => {});
  // A host that closes its end of stderr loses the log, nothing else.
  stderr.on('error', () => {});
  return { input: stdin, output: { write, on: (event, listener) => stdout.on(event, listener) } };
}

/** What a command may touch of the process; tests hand in their own. */

import { plainText } from '../core/plainText.js';
import type { EndingSignal, Interruption } from './interrupt.js';
import type { ByteStreams } from './standardStreams.js';

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

/** What is heard of the process; the last one changes nothing of how it ends. */
export type ProcessEvent = EndingSignal | 'uncaughtExceptionMonitor';

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
  /** Leaves at once as that signal by itself does, when it comes a second time. */
  leaveNow(signal: EndingSignal): void;
  /** What the command line has heard; `runCli` fills it in. */
  readonly interruption?: Interruption;
  /** Streams of bytes in place of the process's own. */
  readonly byteStreams?: () => ByteStreams;
}

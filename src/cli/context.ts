/** What a command may touch of the process; tests hand in their own. */

/** A place to write text to. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** The surroundings of a command. */
export interface CliContext {
  /** Results. */
  readonly stdout: TextSink;
  /** Messages and progress. */
  readonly stderr: TextSink;
  /** Where SIGINT and SIGTERM are heard: the process. */
  readonly signals: {
    on(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
    off(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  };
  /** Leaves at once, on the second Ctrl-C. */
  leaveNow(): void;
}

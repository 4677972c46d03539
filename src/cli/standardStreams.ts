/** The process's standard streams for a command that speaks bytes. */
import type { Readable } from 'node:stream';

/** Where bytes come from and go to. */
export interface ByteStreams {
  readonly input: Readable;
  readonly output: {
    write(chunk: Uint8Array, done: (error?: Error | null) => void): boolean;
    on(event: 'error' | 'close', listener: () => void): unknown;
  };
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

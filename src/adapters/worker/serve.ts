/**
 * The worker: frames in, frames out, until the input ends, the host asks for the end or goes away, or a signal comes.
 *
 * @example
 * const { reason } = await serveWorker({ input: process.stdin, output: process.stdout, libraries: reconstructorLibraries(), createdBy });
 */
import type { Readable } from 'node:stream';
import { PtychoError } from '../../core/errors.js';
import { LOG_LEVELS } from '../ptychodus/logger.js';
import type { LogLevel } from '../ptychodus/types.js';
import { type ByteSink, FrameWriter } from './frameWriter.js';
import type { Service, WorkerLibraries } from './handlers.js';
import { FRAME_LIMITS, type FrameLimits, FrameParser } from './messageFrame.js';
import { errorFrame, WorkerSession } from './session.js';

/** What a worker is made of. */
export interface ServeOptions {
  readonly input: Readable;
  readonly output: ByteSink;
  /** Disposed of at the end. */
  readonly libraries: WorkerLibraries;
  readonly createdBy: Service['createdBy'];
  /** Ends the conversation, as SIGTERM does. */
  readonly signal?: AbortSignal;
  /** Hears the log, too. */
  readonly onRecord?: (record: { readonly level: LogLevel; readonly logger: string; readonly message: string }) => void;
  readonly limits?: FrameLimits;
  /** How long work may take to notice that it is over. */
  readonly grace_ms?: number;
}

/** Why a worker ended. */
export interface Served {
  readonly reason: 'shutdown' | 'end of input' | 'host gone' | 'signal' | 'malformed frame';
  /** Work did not notice in time; the process must be ended as a whole. */
  readonly stuck: boolean;
}

/** Eight seconds of the ten that hosts wait before they kill. */
const GRACE_MS = 8000;

/** Serves one host until the conversation ends; never rejects for what a host does. */
export async function serveWorker(options: ServeOptions): Promise<Served> {
  const { input, output, libraries, signal, limits = FRAME_LIMITS, grace_ms = GRACE_MS } = options;
  let over!: (reason: Served['reason']) => void;
  const reason = new Promise<Served['reason']>((resolve) => {
    over = resolve;
  });
  const writer = new FrameWriter(
    output,
    () => over('host gone'),
    // A host that sends without reading waits; until then every cancel is heard, however slowly arrays go out.
    (blocked) => (blocked ? input.pause() : input.resume()),
  );
  const session = new WorkerSession({ libraries, writer, createdBy: options.createdBy }, () => over('shutdown'));
  const stopLog = forwardLogs(options, writer);
  const parser = new FrameParser(limits);

  let failed: unknown;
  const guarded = (step: () => void) => {
    if (failed !== undefined) return;
    try {
      step();
    } catch (error) {
      failed = error;
      over('malformed frame');
    }
  };
  const onData = (chunk: Uint8Array) =>
    guarded(() => {
      for (const frame of parser.push(chunk)) session.receive(frame);
    });
  const onEnd = () =>
    guarded(() => {
      parser.end();
      over('end of input');
    });
  const onAbort = () => over('signal');
  input.on('data', onData).on('end', onEnd);
  // A terminal that hangs up, for instance: the same as the end.
  input.on('error', () => over('end of input'));
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort);

  const why = await reason;
  signal?.removeEventListener('abort', onAbort);
  input.off('data', onData).off('end', onEnd);
  input.destroy();
  const done = await within(grace_ms, async () => {
    await session.close();
    if (failed !== undefined) writer.send(errorFrame(null, failed));
    await libraries.dispose();
    stopLog();
    await writer.flushed();
  });
  return { reason: why, stuck: !done };
}

/** Sends what the libraries' logs say to the host and to `onRecord`; returns how to stop. */
function forwardLogs({ libraries, onRecord }: ServeOptions, writer: FrameWriter): () => void {
  const stops = libraries.libraries.map(({ name, logger }) =>
    logger.onRecord(({ level, message }) => {
      writer.sendLog({ tag: 'log', level: LOG_LEVELS[level], level_name: level, logger: name, message });
      onRecord?.({ level, logger: name, message });
    }),
  );
  return () => {
    for (const stop of stops) stop();
  };
}

/** True when `work` came to its end in time. */
async function within(limit_ms: number, work: () => Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limit_ms);
  });
  try {
    return await Promise.race([work().then(() => true), late]);
  } catch (error) {
    throw new PtychoError(
      'ENGINE_FAILURE',
      `The worker could not be shut down: ${String(error)}.`,
      {},
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** Plays a detector: sends the frames of a scan as a Dectris stream, each with its position, at a given rate. */
import { messageOf, missingPackage, PtychoError } from '../core/errors.js';
import type { Services } from '../core/services.js';
import type { RawData } from '../data/rawData.js';
import { type FrameEncoding, writeEnd, writeFrame, writeHeader } from './dectris.js';

/** How it is played. */
export interface PublishOptions {
  readonly address: string;
  readonly framesPerSecond: number;
  readonly encoding: FrameEncoding;
}

interface PushSocket {
  bind(address: string): Promise<void>;
  send(parts: readonly Uint8Array[]): Promise<void>;
  close(): void;
  sendHighWaterMark: number;
  linger: number;
}

/** Milliseconds that the last messages have to leave. */
const LINGER_MS = 30_000;

/**
 * Sends a scan of counts, once; nothing is lost where nobody listens yet: it waits.
 * @returns how many frames were sent
 * @throws PtychoError BACKEND_MISSING without zeromq; USAGE for an address that cannot be used
 */
export async function publishScan(
  raw: RawData,
  { address, framesPerSecond, encoding }: PublishOptions,
  services: Services = {},
): Promise<number> {
  let Push: new () => PushSocket;
  try {
    Push = (await import('zeromq')).Push as unknown as new () => PushSocket;
  } catch (cause) {
    throw missingPackage('Frames are sent by zeromq', 'zeromq@6', cause);
  }
  const socket = new Push();
  socket.linger = LINGER_MS;
  try {
    await socket.bind(address);
  } catch (cause) {
    socket.close();
    throw new PtychoError(
      'USAGE',
      `${address} cannot be used to send frames (${messageOf(cause)}); give tcp://127.0.0.1:PORT.`,
      { found: address },
      { cause },
    );
  }
  const { N, count, xcoords, ycoords } = raw;
  const series = 1;
  await socket.send(
    writeHeader(series, { nimages: count, x_pixels_in_detector: N, y_pixels_in_detector: N, bit_depth_image: 32 }),
  );
  const begun = performance.now();
  const amplitudes = new Float32Array(N * N);
  let sent = 0;
  for (; sent < count && !services.signal?.aborted; sent++) {
    await raw.patterns.readAmplitudes(Int32Array.of(sent), amplitudes);
    // Counts are the squares of amplitudes; what is rounded is noise of single precision.
    const data = Uint32Array.from(amplitudes, (amplitude) => Math.round(amplitude * amplitude));
    const appendix = { x_px: xcoords[sent], y_px: ycoords[sent] };
    const due_ms = (1000 * sent) / framesPerSecond - (performance.now() - begun);
    if (due_ms > 1) await new Promise((done) => setTimeout(done, due_ms));
    await socket.send(writeFrame({ series, frame: sent, data, shape: [N, N] }, encoding, appendix));
    services.onProgress?.({ stage: 'sending', done: sent + 1, total: count, unit: 'frames' });
  }
  await socket.send(writeEnd(series));
  socket.close();
  return sent;
}

/**
 * Frames: a prefix of 16 bytes, a header in JSON, and the bytes of the arrays that the header lists (`specs/worker.md`).
 *
 * @example
 * const parser = new FrameParser();
 * for await (const chunk of process.stdin) for (const frame of parser.push(chunk)) handle(frame);
 * parser.end();
 */
import { PtychoError } from '../../core/errors.js';
import { type Blob, type BlobEntry, blobTable, bytesOf, encodeBlob, type OutgoingArray } from './arrays.js';

/** Version of the protocol, which `initialize` names. */
export const PROTOCOL_VERSION = 1;

/** First bytes of every frame. */
const FRAME_MAGIC = 'PTYW';

/** Magic, length of the header (uint32), length of the payload (uint64). */
export const PREFIX_BYTES = 16;

/** What a frame may not exceed; more is refused as soon as its lengths are read. */
export interface FrameLimits {
  readonly header_bytes: number;
  readonly payload_bytes: number;
  readonly blobs: number;
}

export const FRAME_LIMITS: FrameLimits = { header_bytes: 2 ** 20, payload_bytes: 2 ** 31, blobs: 64 };

/** Requests that wait for their turn, at most. */
export const MAX_WAITING = 16;

/** What a host may ask. */
export const VERBS = [
  'initialize',
  'settings/describe',
  'settings/set',
  'log/level',
  'model/open',
  'model/save',
  'training/export',
  'reconstruct/start',
  'train/start',
  'cancel',
  'shutdown',
] as const;
export type Verb = (typeof VERBS)[number];

/** What a worker says. */
export type Tag = 'output' | 'train_output' | 'model_saved' | 'settings_sync' | 'log' | 'error' | 'end';

/** A request's name, chosen by the host. */
export type RequestId = number | string;

/** How a request ended. */
export type EndStatus = 'ok' | 'failed' | 'cancelled';

/** Name of the product in an output folder. */
export const PRODUCT_OUT = 'product-out.h5';

/** A frame that has come whole. */
export interface Frame {
  /** Its number, from 1, for messages. */
  readonly number: number;
  readonly header: Readonly<Record<string, unknown>>;
  readonly blobs: ReadonlyMap<string, Blob>;
}

/** The bytes of a frame, in order. */
export function encodeFrame(
  header: Readonly<Record<string, unknown>>,
  arrays: Readonly<Record<string, OutgoingArray>> = {},
): Uint8Array[] {
  const blobs = Object.entries(arrays).map(([name, array]) => encodeBlob(name, array));
  const text = JSON.stringify(blobs.length === 0 ? header : { ...header, blobs: blobs.map(({ entry }) => entry) });
  const head = Buffer.from(text, 'utf8');
  const payload = blobs.flatMap(({ chunks }) => chunks);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.write(FRAME_MAGIC, 'latin1');
  prefix.writeUInt32LE(head.length, 4);
  prefix.writeBigUInt64LE(BigInt(payload.reduce((sum, chunk) => sum + chunk.length, 0)), 8);
  return [Buffer.concat([prefix, head]), ...payload];
}

/** An error that ends the conversation: what follows in the stream cannot be understood. */
export function malformed(message: string, fields: Readonly<Record<string, unknown>> = {}): PtychoError {
  return new PtychoError('PROTOCOL', message, fields);
}

/** A part of known length, filled as bytes come; memory follows what has come, not what was announced. */
class Part {
  bytes: Uint8Array;
  #filled = 0;

  constructor(readonly length: number) {
    this.bytes = new Uint8Array(Math.min(length, 2 ** 16));
  }

  get complete(): boolean {
    return this.#filled === this.length;
  }

  /** Takes what it needs from `chunk` at `from`; returns how much. */
  take(chunk: Uint8Array, from: number): number {
    const count = Math.min(this.length - this.#filled, chunk.length - from);
    const needed = this.#filled + count;
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.min(this.length, Math.max(needed, 2 * this.bytes.length)));
      grown.set(this.bytes.subarray(0, this.#filled));
      this.bytes = grown;
    }
    this.bytes.set(chunk.subarray(from, from + count), this.#filled);
    this.#filled = needed;
    return count;
  }
}

/** A frame that is still coming. */
interface Coming {
  readonly header: Readonly<Record<string, unknown>>;
  readonly entries: readonly BlobEntry[];
  readonly blobs: Map<string, Blob>;
}

/** Cuts a stream of bytes into frames, however it was split into chunks. */
export class FrameParser {
  #frames = 0;
  #part = new Part(PREFIX_BYTES);
  #stage: 'prefix' | 'header' | 'payload' = 'prefix';
  #payloadBytes = 0;
  #coming: Coming | undefined;
  #started = false;

  constructor(private readonly limits: FrameLimits = FRAME_LIMITS) {}

  /**
   * The frames that `chunk` completes, each read when it is asked for.
   * @throws PtychoError PROTOCOL when the stream is no series of frames; nothing can be read after that
   */
  *push(chunk: Uint8Array): Generator<Frame, void> {
    let at = 0;
    while (at < chunk.length) {
      this.#started = true;
      at += this.#part.take(chunk, at);
      while (this.#part.complete) {
        const frame = this.#next();
        if (frame === undefined) continue;
        yield frame;
        break;
      }
    }
  }

  /**
   * Says that nothing more comes.
   * @throws PtychoError PROTOCOL in the middle of a frame
   */
  end(): void {
    if (this.#started) throw malformed(`The input ended in the middle of frame ${this.#frames + 1}.`);
  }

  /** Goes on to the next part after the present one is whole; returns the frame where it was the last. */
  #next(): Frame | undefined {
    const { bytes } = this.#part;
    if (this.#stage === 'prefix') {
      this.#part = new Part(this.#lengths(bytes));
      this.#stage = 'header';
      return undefined;
    }
    if (this.#stage === 'header') {
      this.#coming = this.#open(bytes);
      this.#stage = 'payload';
    } else {
      const { entries, blobs } = this.#coming!;
      const entry = entries[blobs.size];
      blobs.set(entry.name, 'path' in entry ? { path: entry.path } : { entry, bytes });
    }
    const { header, entries, blobs } = this.#coming!;
    if (blobs.size < entries.length) {
      this.#part = new Part(bytesOf(entries[blobs.size]));
      return undefined;
    }
    this.#stage = 'prefix';
    this.#part = new Part(PREFIX_BYTES);
    this.#started = false;
    this.#coming = undefined;
    this.#frames++;
    return { number: this.#frames, header, blobs };
  }

  /** Checks a prefix; returns the length of the header. */
  #lengths(prefix: Uint8Array): number {
    const number = this.#frames + 1;
    const view = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
    const magic = Buffer.from(prefix.subarray(0, 4)).toString('latin1');
    if (magic !== FRAME_MAGIC) {
      throw malformed(`Frame ${number} does not begin with "${FRAME_MAGIC}"; specs/worker.md describes the frames.`);
    }
    const header = view.getUint32(4, true);
    const payload = view.getBigUint64(8, true);
    const { header_bytes, payload_bytes } = this.limits;
    if (header < 2 || header > header_bytes) {
      throw malformed(`Frame ${number} has a header of ${header} bytes; 2 to ${header_bytes} are allowed.`, {
        found: header,
        expected: header_bytes,
      });
    }
    if (payload > BigInt(payload_bytes)) {
      throw malformed(
        `Frame ${number} has arrays of ${payload} bytes; ${payload_bytes} are allowed: name a file by its path instead.`,
        { found: Number(payload), expected: payload_bytes },
      );
    }
    this.#payloadBytes = Number(payload);
    return header;
  }

  /** Checks a header against the payload that was announced. */
  #open(bytes: Uint8Array): Coming {
    const number = this.#frames + 1;
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (cause) {
      throw malformed(`The header of frame ${number} is no JSON in UTF-8.`, { cause: String(cause) });
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw malformed(`The header of frame ${number} is no JSON object.`);
    }
    const { blobs: table, ...header } = value as Record<string, unknown>;
    if (Array.isArray(table) && table.length > this.limits.blobs) {
      throw malformed(`Frame ${number} lists ${table.length} arrays; ${this.limits.blobs} are allowed.`);
    }
    const parsed = blobTable.safeParse(table);
    if (!parsed.success) {
      throw malformed(
        `The list "blobs" of frame ${number} is not understood: each entry needs name, dtype and shape, or name and path.`,
      );
    }
    const entries = parsed.data;
    if (new Set(entries.map((entry) => entry.name)).size < entries.length) {
      throw malformed(`The list "blobs" of frame ${number} has a name twice.`);
    }
    const total = entries.reduce((sum, entry) => sum + bytesOf(entry), 0);
    if (total !== this.#payloadBytes) {
      throw malformed(
        `The arrays that frame ${number} lists take ${total} bytes, but it announces ${this.#payloadBytes}.`,
        { found: this.#payloadBytes, expected: total },
      );
    }
    return { header, entries, blobs: new Map() };
  }
}

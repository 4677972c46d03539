/**
 * Bytes that lie in no file of this machine: in memory, in a Blob (what a page gets when a file is dropped on it), behind an address.
 *
 * What an engine reads in the middle of its own work, as the HDF5 library does, cannot wait: such sources have `readNow` where the
 * platform offers it, in worker threads of browsers for Blobs and addresses.
 *
 * @example
 * const source = blobSource('scan.h5', file);
 * const remote = await openHttpSource('https://example.org/scan.h5');
 */
import { messageOf, PtychoError } from '../core/errors.js';
import type { ByteSource } from './byteSource.js';

/** A source that may also be read without waiting. */
export interface PageSource extends ByteSource {
  /** Fills `target` from `offset` on, at once; answers how many bytes there were. Absent where the platform cannot. */
  readNow?(offset: number, target: Uint8Array): number;
}

/** A part of a Blob. */
export interface BlobPart {
  /** Its bytes. */
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** What of a Blob is used; `File` of browsers and `Blob` of Node are such. */
export interface BlobLike {
  readonly size: number;
  /** The part from `start` up to `end`. */
  slice(start: number, end: number): BlobPart;
}

/** Bytes that are in memory, which are not copied. */
export function memorySource(name: string, bytes: Uint8Array): PageSource {
  const part = (offset: number, length: number) => bytes.subarray(offset, Math.max(offset, offset + length));
  const readNow = (offset: number, target: Uint8Array) => {
    const found = part(offset, target.length);
    target.set(found);
    return found.length;
  };
  return {
    name,
    size: bytes.length,
    read: async (offset, length) => part(offset, length).slice(),
    readInto: async (offset, target) => readNow(offset, target),
    readNow,
    close: async () => {},
  };
}

/**
 * A Blob, of which only what is asked for is read.
 * @param name what messages call it
 */
export function blobSource(name: string, blob: BlobLike): PageSource {
  const { FileReaderSync: Reader } = globalThis as {
    FileReaderSync?: new () => { readAsArrayBuffer(blob: unknown): ArrayBuffer };
  };
  const part = (offset: number, length: number) => blob.slice(offset, Math.min(blob.size, offset + length));
  const gone = (cause: unknown) =>
    new PtychoError(
      'FILE_NOT_FOUND',
      `${name} cannot be read any more (${messageOf(cause)}): it was changed, moved or removed since it was opened; open it again.`,
      { path: name },
      { cause },
    );
  return {
    name,
    size: blob.size,
    async read(offset, length) {
      try {
        return new Uint8Array(await part(offset, length).arrayBuffer());
      } catch (cause) {
        throw gone(cause);
      }
    },
    ...(Reader && {
      readNow(offset: number, target: Uint8Array) {
        try {
          const found = new Uint8Array(new Reader().readAsArrayBuffer(part(offset, target.length)));
          target.set(found);
          return found.length;
        } catch (cause) {
          throw gone(cause);
        }
      },
    }),
    close: async () => {},
  };
}

/** Bytes of one request; what was read last is kept, for readers take many small pieces. */
const BLOCK_BYTES = 2 ** 18;
const MOST_BLOCKS = 64;

/** What of XMLHttpRequest is used. */
interface SyncRequest {
  responseType: string;
  readonly status: number;
  readonly response: ArrayBuffer;
  open(method: string, address: string, async: boolean): void;
  setRequestHeader(name: string, value: string): void;
  send(): void;
}

/**
 * A file behind an address, read by HTTP range requests; a server that has none is asked for the whole file, up to `maxBytes`.
 * @throws PtychoError FILE_NOT_FOUND where the server does not answer or refuses; FORMAT_UNSUPPORTED for a file without ranges that is too large.
 */
export async function openHttpSource(
  address: string | URL,
  { maxBytes = 2 ** 29, fetch: get = fetch }: { readonly maxBytes?: number; readonly fetch?: typeof fetch } = {},
): Promise<PageSource> {
  const url = String(address);
  const refused = (reason: string, cause?: unknown) =>
    new PtychoError('FILE_NOT_FOUND', `Cannot read ${url}: ${reason}.`, { path: url }, { cause });
  const ask = async (from: number, to: number): Promise<Response> => {
    try {
      return await get(url, { headers: { range: `bytes=${from}-${to - 1}` } });
    } catch (cause) {
      throw refused(
        `the server does not answer, or does not allow pages of other addresses to read it (${messageOf(cause)})`,
        cause,
      );
    }
  };
  const first = await ask(0, BLOCK_BYTES);
  if (!first.ok && first.status !== 416) throw refused(`the server answers ${first.status} ${first.statusText}`.trim());
  const declared = /^bytes \d+-\d+\/(\d+)$/.exec(first.headers.get('content-range') ?? '')?.[1];
  if (first.status !== 206 || declared === undefined) return memorySource(url, await wholeOf(first, url, maxBytes));
  return new HttpSource(url, Number(declared), new Uint8Array(await first.arrayBuffer()), { ask, refused });
}

/** All bytes of an answer, up to a bound that holds whatever the server says. */
async function wholeOf(answer: Response, url: string, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = answer.status === 416 ? undefined : answer.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    size += part.value.length;
    if (size > maxBytes) {
      await reader?.cancel();
      throw new PtychoError(
        'FORMAT_UNSUPPORTED',
        `${url} has more than the ${maxBytes} bytes that are read from a server without range requests; download the file and open it from the disk.`,
        { path: url, expected: maxBytes },
      );
    }
    parts.push(part.value);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

interface HttpCalls {
  ask(from: number, to: number): Promise<Response>;
  refused(reason: string): PtychoError;
}

class HttpSource implements PageSource {
  /** By their number, the one used longest ago first. */
  readonly #blocks = new Map<number, Uint8Array>();
  readonly readNow?: (offset: number, target: Uint8Array) => number;

  constructor(
    readonly name: string,
    readonly size: number,
    first: Uint8Array,
    private readonly calls: HttpCalls,
  ) {
    this.#keep(0, first);
    const { XMLHttpRequest: Request, document } = globalThis as {
      XMLHttpRequest?: new () => SyncRequest;
      document?: unknown;
    };
    // Pages may not wait for a server; their threads may.
    if (Request && document === undefined) this.readNow = (offset, target) => this.#readNow(Request, offset, target);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const target = new Uint8Array(Math.max(0, Math.min(length, this.size - offset)));
    return target.subarray(0, await this.readInto(offset, target));
  }

  async readInto(offset: number, target: Uint8Array): Promise<number> {
    const end = Math.min(this.size, offset + target.length);
    for (const [from, to] of this.#atHand(offset, end, target)) {
      const answer = await this.calls.ask(from, to);
      this.#take(answer.status, from, to, new Uint8Array(await answer.arrayBuffer()), { offset, target });
    }
    return Math.max(0, end - offset);
  }

  async close(): Promise<void> {
    this.#blocks.clear();
  }

  #readNow(Request: new () => SyncRequest, offset: number, target: Uint8Array): number {
    const end = Math.min(this.size, offset + target.length);
    for (const [from, to] of this.#atHand(offset, end, target)) {
      const request = new Request();
      request.open('GET', this.name, false);
      request.responseType = 'arraybuffer';
      request.setRequestHeader('range', `bytes=${from}-${to - 1}`);
      request.send();
      this.#take(request.status, from, to, new Uint8Array(request.response), { offset, target });
    }
    return Math.max(0, end - offset);
  }

  /** Copies what is at hand of the range. @returns the rest, runs of blocks as ranges of bytes */
  #atHand(offset: number, end: number, target: Uint8Array): (readonly [number, number])[] {
    const runs: [number, number][] = [];
    for (let block = Math.floor(offset / BLOCK_BYTES); block * BLOCK_BYTES < end; block++) {
      const [from, to] = [block * BLOCK_BYTES, Math.min(this.size, (block + 1) * BLOCK_BYTES)];
      const bytes = this.#blocks.get(block);
      if (bytes !== undefined) {
        const start = Math.max(offset, from);
        target.set(bytes.subarray(start - from, Math.min(end, to) - from), start - offset);
        this.#keep(block, bytes);
        continue;
      }
      const last = runs[runs.length - 1];
      if (last && last[1] === from) last[1] = to;
      else runs.push([from, to]);
    }
    return runs;
  }

  #take(
    status: number,
    from: number,
    to: number,
    bytes: Uint8Array,
    wanted: { offset: number; target: Uint8Array },
  ): void {
    if (status !== 206 || bytes.length !== to - from) {
      throw this.calls.refused(
        status === 206
          ? `the server gave ${bytes.length} of the ${to - from} bytes that it was asked for; the file was changed, so open it again`
          : `the server answers ${status} when asked for a part of it`,
      );
    }
    // Straight to where they are wanted: a long run would push its own blocks out before they are used.
    const { offset, target } = wanted;
    const start = Math.max(from, offset);
    const end = Math.min(to, offset + target.length);
    if (end > start) target.set(bytes.subarray(start - from, end - from), start - offset);
    for (let at = from; at < to; at += BLOCK_BYTES)
      this.#keep(at / BLOCK_BYTES, bytes.slice(at - from, at - from + BLOCK_BYTES));
  }

  #keep(block: number, bytes: Uint8Array): void {
    this.#blocks.delete(block);
    this.#blocks.set(block, bytes);
    if (this.#blocks.size > MOST_BLOCKS) this.#blocks.delete(this.#blocks.keys().next().value as number);
  }
}

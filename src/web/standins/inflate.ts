/** In place of `formats/inflate.ts` and `node:zlib`: what comes in pieces is inflated by the browser. */
import { inflateSync as inflateRaw, unzlibSync, zlibSync } from 'fflate';

export async function* inflated(raw: AsyncIterable<Uint8Array>, chunkSize: number): AsyncGenerator<Uint8Array> {
  const { readable, writable } = new DecompressionStream('deflate-raw');
  const [reader, writer] = [readable.getReader(), writable.getWriter()];
  let allGiven = false;
  let ofSource: { readonly error: unknown } | undefined;
  const feed = async () => {
    try {
      for await (const chunk of raw) await writer.write(chunk as Uint8Array<ArrayBuffer>).catch(() => {});
      allGiven = true;
      await writer.close();
    } catch (error) {
      if (!allGiven) ofSource = { error };
      await writer.abort(error).catch(() => {});
    }
  };
  const feeding = feed();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      for (let at = 0; at < part.value.length; at += chunkSize) yield part.value.subarray(at, at + chunkSize);
    }
  } catch (error) {
    await feeding;
    if (ofSource) throw ofSource.error;
    const { message } = error as Error;
    const cut = /trunc|unexpected end|incomplete/i.test(message) || (allGiven && !/valid|corrupt/i.test(message));
    throw Object.assign(new Error(cut ? 'unexpected end of file' : message), {
      code: cut ? 'Z_BUF_ERROR' : 'Z_DATA_ERROR',
    });
  } finally {
    await reader.cancel().catch(() => {});
  }
}

// ---- node:zlib

export const inflateSync = (bytes: Uint8Array): Buffer => Buffer.from(unzlibSync(bytes));
export const inflateRawSync = (bytes: Uint8Array): Buffer => Buffer.from(inflateRaw(bytes));
export const deflateSync = (bytes: Uint8Array): Buffer => Buffer.from(zlibSync(bytes));

const TABLE = Uint32Array.from({ length: 256 }, (_, i) => {
  let c = i;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** CRC-32, going on from that of what came before. */
export function crc32(bytes: Uint8Array | string, before = 0): number {
  const all = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
  let crc = ~before;
  for (let i = 0; i < all.length; i++) crc = TABLE[(crc ^ all[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

export const createInflateRaw = (): never => {
  throw new Error('a page has no streams of Node');
};
export const createDeflateRaw = createInflateRaw;

/** Deflated bytes that come in pieces; the browser's build has another of this file (`web/standins/inflate.ts`). */
import { pipeline, Readable } from 'node:stream';
import { createInflateRaw } from 'node:zlib';

/**
 * Inflates raw deflate data piece by piece.
 * @param chunkSize the most bytes of a piece that comes out
 * @throws an error with code Z_BUF_ERROR where the data end too early, others where they are damaged, and those of `raw`
 */
export function inflated(raw: AsyncIterable<Uint8Array>, chunkSize: number): AsyncIterable<Uint8Array> {
  // Errors of the source and of zlib arrive at whoever reads the stream.
  return pipeline(Readable.from(raw), createInflateRaw({ chunkSize }), () => {});
}

/** In place of `formats/zipChunks.ts`: archives of the same members with the same time, up to 4 GiB. */
import { Zip, ZipDeflate, ZipPassThrough } from 'fflate';
import { PtychoError } from '../../core/errors.js';
import type { StreamedZipEntry, ZipEntry } from '../../formats/zipChunks.js';

export type { StreamedZipEntry, ZipEntry } from '../../formats/zipChunks.js';

const PIECE_BYTES = 2 ** 20;
const MOST_BYTES = 2 ** 32 - 1;

export async function* zipChunks(entries: readonly (ZipEntry | StreamedZipEntry)[]): AsyncGenerator<Buffer> {
  const total = entries.reduce((sum, entry) => sum + ('data' in entry ? entry.data.length : entry.size), 0);
  if (total > MOST_BYTES) {
    throw new PtychoError(
      'OUTPUT_UNWRITABLE',
      `An archive of ${total} bytes is larger than the 4 GiB that are written in a page; write it with the command line.`,
      { found: total, expected: MOST_BYTES },
    );
  }
  let ready: Uint8Array[] = [];
  let failed: Error | undefined;
  const zip = new Zip((error, piece) => {
    failed ??= error ?? undefined;
    if (piece?.length) ready.push(piece);
  });
  function* out(): Generator<Buffer> {
    if (failed) throw failed;
    for (const piece of ready) yield Buffer.from(piece.buffer, piece.byteOffset, piece.length);
    ready = [];
  }
  for (const entry of entries) {
    const file = entry.compress ? new ZipDeflate(entry.name) : new ZipPassThrough(entry.name);
    file.mtime = new Date(1980, 1, 1);
    file.os = 3;
    file.attrs = 0o100644 << 16;
    zip.add(file);
    for await (const chunk of 'data' in entry ? [entry.data] : entry.chunks()) {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        // fflate keeps what it is given, and may change it.
        file.push(chunk.slice(at, at + PIECE_BYTES), false);
        yield* out();
      }
    }
    file.push(new Uint8Array(0), true);
    yield* out();
  }
  zip.end();
  yield* out();
}

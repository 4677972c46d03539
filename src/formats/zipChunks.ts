/** The bytes of zip archives; the browser's build has another of this file (`web/standins/zipChunks.ts`). */
import { Readable } from 'node:stream';
import yazl from 'yazl';

/** One file to put into an archive. */
export interface ZipEntry {
  readonly name: string;
  readonly data: Uint8Array;
  /** Deflate it; by default it is stored. */
  readonly compress?: boolean;
}

/** A file whose bytes are produced while the archive is written; `size` bytes in all. */
export interface StreamedZipEntry {
  readonly name: string;
  readonly size: number;
  readonly chunks: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  readonly compress?: boolean;
}

/** The bytes of the archive that `writeZip` writes, in pieces. */
export async function* zipChunks(entries: readonly (ZipEntry | StreamedZipEntry)[]): AsyncGenerator<Buffer> {
  const zip = new yazl.ZipFile();
  const output = zip.outputStream as Readable;
  zip.once('error', (error: Error) => output.destroy(error));
  for (const entry of entries) addEntry(zip, entry);
  zip.end();
  for await (const chunk of output) yield chunk as Buffer;
}

/** yazl takes buffers up to 1 GiB; larger members go in as streams. */
const MAX_BUFFER_BYTES = 0x3fffffff;

function addEntry(zip: yazl.ZipFile, entry: ZipEntry | StreamedZipEntry): void {
  const options = {
    // Local time on purpose: zip's own time stamps have no zone, so these bytes are the same everywhere.
    mtime: new Date(1980, 1, 1),
    forceDosTimestamp: true,
    mode: 0o100644,
    compress: entry.compress ?? false,
  };
  if ('data' in entry && entry.data.length <= MAX_BUFFER_BYTES) {
    const { data } = entry;
    zip.addBuffer(Buffer.from(data.buffer, data.byteOffset, data.byteLength), entry.name, options);
    return;
  }
  const size = 'data' in entry ? entry.data.length : entry.size;
  zip.addReadStreamLazy(entry.name, { ...options, size }, (done) => {
    const chunks = 'data' in entry ? slices(entry.data) : entry.chunks();
    // yazl does not listen for the errors of what it reads from.
    done(
      null,
      Readable.from(chunks, { objectMode: false }).once('error', (error) => zip.emit('error', error)),
    );
  });
}

function* slices(data: Uint8Array): Generator<Uint8Array> {
  const step = 1 << 22;
  for (let at = 0; at < data.length; at += step) yield data.subarray(at, at + step);
}

/**
 * Small zip files in one call each way; what both NPZ and the model bundle are made of.
 *
 * @example
 * await writeZip('wts.zip', [{ name: 'manifest.json', data: new TextEncoder().encode('{}') }]);
 * const files = await readZip('wts.zip', { maxMemberBytes: 1 << 30, maxTotalBytes: 1 << 31 });
 */
import { Readable } from 'node:stream';
import yazl from 'yazl';
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { replaceFile } from './replaceFile.js';
import { ZipArchive } from './zipArchive.js';

/** Bounds for {@link readZip}, in bytes once inflated. */
export interface ReadZipOptions {
  readonly maxMemberBytes: number;
  readonly maxTotalBytes: number;
  /** Members for which it answers false are passed over (and cost nothing); by default all are read. */
  readonly allow?: (name: string) => boolean;
}

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

/**
 * Reads the members of an archive into memory, in the directory's order, each checked by its CRC-32.
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT, or FORMAT_UNSUPPORTED when a bound is exceeded (found
 * out from the directory, before memory is used).
 */
export async function readZip(path: string, options: ReadZipOptions): Promise<Map<string, Buffer>> {
  return closing(await ZipArchive.open(path), async (zip) => {
    const wanted = [...zip.members.values()].filter((member) => options.allow?.(member.name) ?? true);
    const total = wanted.reduce((sum, member) => sum + member.size, 0);
    if (total > options.maxTotalBytes) {
      throw new PtychoError(
        'FORMAT_UNSUPPORTED',
        `${path} declares ${total} bytes of content, more than the ${options.maxTotalBytes} that are read.`,
        { path, expected: options.maxTotalBytes, found: total },
      );
    }
    const files = new Map<string, Buffer>();
    for (const member of wanted) files.set(member.name, await zip.read(member.name, options.maxMemberBytes));
    return files;
  });
}

/**
 * Writes an archive: members in the given order, one fixed time stamp (1980-02-01) and mode, so that equal input gives
 * equal bytes; to a temporary name beside the target first, so that the target is never half-written. zip64 where needed.
 * @throws PtychoError OUTPUT_UNWRITABLE (nothing is left behind).
 */
export async function writeZip(path: string, entries: readonly (ZipEntry | StreamedZipEntry)[]): Promise<void> {
  const names = new Set(entries.map((entry) => entry.name));
  if (names.size !== entries.length) {
    throw new PtychoError('OUTPUT_UNWRITABLE', `Cannot write ${path}: two members have the same name.`, { path });
  }
  await replaceFile(path, async (file) => {
    for await (const chunk of zipChunks(entries)) await file.writeFile(chunk);
  });
}

/** The bytes of the archive that {@link writeZip} writes, in pieces. */
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

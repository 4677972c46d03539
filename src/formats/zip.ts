/**
 * Small zip files in one call each way; what both NPZ and the model bundle are made of.
 *
 * @example
 * await writeZip('wts.zip', [{ name: 'manifest.json', data: new TextEncoder().encode('{}') }]);
 * const files = await readZip('wts.zip', { maxMemberBytes: 1 << 30, maxTotalBytes: 1 << 31 });
 */
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { replaceFile } from './replaceFile.js';
import { ZipArchive } from './zipArchive.js';
import { type StreamedZipEntry, type ZipEntry, zipChunks } from './zipChunks.js';

export { type StreamedZipEntry, type ZipEntry, zipChunks } from './zipChunks.js';

/** Bounds for {@link readZip}, in bytes once inflated. */
export interface ReadZipOptions {
  readonly maxMemberBytes: number;
  readonly maxTotalBytes: number;
  /** Members for which it answers false are passed over (and cost nothing); by default all are read. */
  readonly allow?: (name: string) => boolean;
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

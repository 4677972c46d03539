/**
 * A zip archive opened for positional reads: the directory is read by yauzl, the members' bytes by us, so that a range of
 * a stored member costs exactly that range and a deflated member passes through zlib in bounded pieces.
 *
 * @example
 * const zip = await ZipArchive.open('scan.npz');
 * try { const bytes = await zip.read('xcoords.npy', 1 << 20); } finally { await zip.close(); }
 */
import { crc32 } from 'node:zlib';
import yauzl from 'yauzl';
import { messageOf, PtychoError } from '../core/errors.js';
import { type ByteSource, lettersOf, readInto } from './byteSource.js';
import { openFileSource } from './fileSource.js';
import { inflated } from './inflate.js';

/** One file inside an archive, as the archive's directory describes it. */
export interface ZipMember {
  readonly name: string;
  /** `stored` members can be read by ranges, `deflated` ones only from their start. */
  readonly method: 'stored' | 'deflated' | 'unsupported';
  /** Bytes of the member once inflated, as declared. */
  readonly size: number;
  /** Bytes it takes in the archive. */
  readonly compressedSize: number;
  readonly crc32: number;
}

const CHUNK_BYTES = 1 << 18;
/** Deflate cannot expand more than this (two bits for 258 bytes): a declared size beyond it is a lie. */
const MAX_DEFLATE_RATIO = 1032;

/** Scans and models have a few hundred members at most. */
const MAX_MEMBERS = 10_000;

/** A zip archive opened for reading; `close` it when done. */
export class ZipArchive {
  private readonly starts = new Map<string, Promise<number>>();

  private constructor(
    readonly path: string,
    /** Members by name, in the directory's order; folders are left out. */
    readonly members: ReadonlyMap<string, ZipMember>,
    private readonly source: ByteSource,
    private readonly directory: yauzl.ZipFile,
    private readonly entries: ReadonlyMap<string, yauzl.Entry>,
  ) {}

  /**
   * Opens an archive and reads its directory (zip64 included).
   * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED (no central directory), FILE_FORMAT (not a zip, damaged, a name twice),
   * FORMAT_UNSUPPORTED (far too many members).
   */
  static async open(path: string): Promise<ZipArchive> {
    const source = await openFileSource(path);
    try {
      const head = await source.read(0, 6);
      if (head.length === 0) {
        throw new PtychoError('FILE_TRUNCATED', `${path} is empty; copy or write it again.`, { path });
      }
      if (lettersOf(head) === '\x93NUMPY') {
        throw new PtychoError(
          'FILE_FORMAT',
          `${path} is a single .npy array, but an .npz archive of named arrays was expected; save it with numpy.savez.`,
          { path, expected: 'npz', found: 'npy' },
        );
      }
      const zipLike = head[0] === 0x50 && head[1] === 0x4b;
      const directory = await readDirectory(source, zipLike);
      if (directory.entryCount > MAX_MEMBERS) {
        throw new PtychoError(
          'FORMAT_UNSUPPORTED',
          `${path} holds ${directory.entryCount} members, more than the ${MAX_MEMBERS} that are read; save the patterns as one array.`,
          { path, found: directory.entryCount, expected: MAX_MEMBERS },
        );
      }
      const entries = new Map<string, yauzl.Entry>();
      const members = new Map<string, ZipMember>();
      try {
        for await (const entry of directory.eachEntry()) {
          if (entry.fileName.endsWith('/')) continue;
          if (entries.has(entry.fileName)) {
            throw new PtychoError(
              'FILE_FORMAT',
              `${path} holds the member "${entry.fileName}" twice, so it is unclear which one is meant; write the archive again.`,
              { path, member: entry.fileName },
            );
          }
          entries.set(entry.fileName, entry);
          members.set(entry.fileName, {
            name: entry.fileName,
            method: methodOf(entry),
            size: entry.uncompressedSize,
            compressedSize: entry.compressedSize,
            crc32: entry.crc32,
          });
        }
      } catch (error) {
        if (error instanceof PtychoError) throw error;
        throw directoryError(path, error, zipLike);
      }
      checkOverlap(path, [...entries.values()]);
      return new ZipArchive(path, members, source, directory, entries);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /**
   * Reads `target.length` bytes of a stored member from `position` (in bytes from the member's start) into `target`.
   * @throws PtychoError FILE_TRUNCATED when the file or the member ends earlier, FORMAT_UNSUPPORTED for other members.
   */
  async readAt(name: string, position: number, target: Uint8Array): Promise<void> {
    const member = this.member(name);
    if (member.method !== 'stored') {
      throw new PtychoError('FORMAT_UNSUPPORTED', `${this.where(name)} is compressed and cannot be read by ranges.`, {
        path: this.path,
        member: name,
      });
    }
    if (position < 0 || position + target.length > member.size) {
      throw truncated(this.path, name, position + target.length, member.size);
    }
    const start = await this.startOf(name);
    const found = await readInto(this.source, start + position, target);
    if (found < target.length) throw truncated(this.path, name, position + target.length, position + found);
  }

  /**
   * The member's bytes from its start, in pieces of at most 256 KiB; after the last one its length and CRC-32 are checked.
   * Memory stays bounded whatever the archive declares.
   * @throws PtychoError FILE_TRUNCATED, FILE_FORMAT (wrong CRC, wrong size, damaged deflate data), FORMAT_UNSUPPORTED.
   */
  async *chunks(name: string): AsyncGenerator<Uint8Array, void, undefined> {
    const member = this.member(name);
    if (member.method === 'unsupported') {
      throw new PtychoError(
        'FORMAT_UNSUPPORTED',
        `${this.where(name)} is encrypted or compressed by a method other than deflate; write the archive again without it.`,
        { path: this.path, member: name },
      );
    }
    const start = await this.startOf(name);
    const raw = this.rawChunks(name, start, member.compressedSize);
    const source = member.method === 'deflated' ? inflated(raw, CHUNK_BYTES) : raw;
    let size = 0;
    let crc = 0;
    try {
      for await (const chunk of source) {
        size += chunk.length;
        if (size > member.size) throw this.sizeError(name, member, 'more');
        crc = crc32(chunk, crc);
        yield chunk;
      }
    } catch (error) {
      if (error instanceof PtychoError) throw error;
      if ((error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR') {
        throw truncated(this.path, name, member.size, size, error);
      }
      throw new PtychoError(
        'FILE_FORMAT',
        `${this.where(name)} is damaged (${messageOf(error)}); copy or write the archive again.`,
        { path: this.path, member: name },
        { cause: error },
      );
    }
    if (size !== member.size) throw this.sizeError(name, member, 'fewer');
    if (crc !== member.crc32) {
      throw new PtychoError(
        'FILE_FORMAT',
        `${this.where(name)} is damaged: its CRC-32 is ${hex(crc)}, the archive says ${hex(member.crc32)}; copy or write the archive again.`,
        { path: this.path, member: name, expected: member.crc32, found: crc },
      );
    }
  }

  /**
   * The first bytes of a member: `count` of them, or all where it is shorter.
   * @throws PtychoError as {@link chunks}; the CRC is not looked at.
   */
  async head(name: string, count: number): Promise<Buffer> {
    const member = this.member(name);
    const want = Math.min(count, member.size);
    const head = Buffer.alloc(want);
    if (member.method === 'stored') {
      await this.readAt(name, 0, head);
      return head;
    }
    let filled = 0;
    for await (const chunk of this.chunks(name)) {
      const part = chunk.subarray(0, want - filled);
      head.set(part, filled);
      filled += part.length;
      if (filled === want) break;
    }
    return head;
  }

  /**
   * A whole member, checked by its CRC-32.
   * @throws PtychoError FORMAT_UNSUPPORTED when it is larger than `maxBytes`, else as {@link chunks}.
   */
  async read(name: string, maxBytes: number): Promise<Buffer> {
    const member = this.member(name);
    if (member.size > maxBytes) {
      throw new PtychoError(
        'FORMAT_UNSUPPORTED',
        `${this.where(name)} declares ${member.size} bytes, more than the ${maxBytes} that are read in one piece.`,
        { path: this.path, member: name, expected: maxBytes, found: member.size },
      );
    }
    await this.checkSize(name);
    const bytes = Buffer.from(allocate(member.size, this.where(name)));
    let filled = 0;
    for await (const chunk of this.chunks(name)) {
      bytes.set(chunk, filled);
      filled += chunk.length;
    }
    return bytes;
  }

  /**
   * Checks, before memory is reserved for a member, that its bytes lie inside the file and can hold the declared size.
   * @throws PtychoError FILE_TRUNCATED or FILE_FORMAT otherwise.
   */
  async checkSize(name: string): Promise<void> {
    const member = this.member(name);
    await this.startOf(name);
    const { size, compressedSize } = member;
    const most = member.method === 'stored' ? compressedSize : compressedSize * MAX_DEFLATE_RATIO;
    if (size > most) {
      throw new PtychoError(
        'FILE_FORMAT',
        `${this.where(name)} declares ${size} bytes, which its ${compressedSize} bytes in the archive cannot hold; the archive is damaged.`,
        { path: this.path, member: name, found: size },
      );
    }
  }

  /** Closes the file; reads still under way fail. */
  async close(): Promise<void> {
    this.directory.close();
    await this.source.close();
  }

  private member(name: string): ZipMember {
    const member = this.members.get(name);
    if (member === undefined) {
      throw new PtychoError('FILE_FORMAT', `${this.path} has no member "${name}".`, { path: this.path, member: name });
    }
    return member;
  }

  /** Where the member's data begin: its local header is read once, and checked to lie inside the file. */
  private startOf(name: string): Promise<number> {
    let start = this.starts.get(name);
    if (start === undefined) {
      const entry = this.entries.get(name)!;
      start = this.directory.readLocalFileHeaderPromise(entry, { minimal: true }).then(
        (header) => header.fileDataStart,
        (error) => {
          const cut = /overflows|unexpected EOF/i.test(messageOf(error));
          throw new PtychoError(
            cut ? 'FILE_TRUNCATED' : 'FILE_FORMAT',
            `${this.where(name)} ${cut ? 'ends before its data do' : `is damaged (${messageOf(error)})`}; copy or write the archive again.`,
            { path: this.path, member: name },
            { cause: error },
          );
        },
      );
      this.starts.set(name, start);
    }
    return start;
  }

  private async *rawChunks(name: string, start: number, length: number): AsyncGenerator<Uint8Array, void, undefined> {
    let done = 0;
    while (done < length) {
      const chunk = await this.source.read(start + done, Math.min(CHUNK_BYTES, length - done));
      if (chunk.length === 0) throw truncated(this.path, name, length, done);
      done += chunk.length;
      yield chunk;
    }
  }

  private sizeError(name: string, member: ZipMember, what: 'more' | 'fewer'): PtychoError {
    return new PtychoError(
      'FILE_FORMAT',
      `${this.where(name)} holds ${what} than the ${member.size} bytes the archive declares; copy or write the archive again.`,
      { path: this.path, member: name, expected: member.size },
    );
  }

  private where(name: string): string {
    return `${this.path}, member "${name}",`;
  }
}

/** A zeroed buffer; memory that the machine cannot give becomes a sentence instead of a RangeError. */
export function allocate(bytes: number, what: string): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch (cause) {
    throw new PtychoError(
      'FORMAT_UNSUPPORTED',
      `${what} needs ${(bytes / 2 ** 30).toFixed(1)} GiB in one piece, which this machine or this Node release does not give; split the file.`,
      { found: bytes },
      { cause },
    );
  }
}

/** Lets yauzl read from our source, which stays ours to close. */
class SourceReader extends yauzl.RandomAccessReader {
  constructor(private readonly source: ByteSource) {
    super();
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    readInto(this.source, position, buffer.subarray(offset, offset + length)).then(
      (found) => callback(null, found),
      (error) => callback(error),
    );
  }
}

async function readDirectory(source: ByteSource, zipLike: boolean): Promise<yauzl.ZipFile> {
  try {
    return await yauzl.fromRandomAccessReaderPromise(new SourceReader(source), source.size, { autoClose: false });
  } catch (error) {
    throw directoryError(source.name, error, zipLike);
  }
}

function directoryError(path: string, error: unknown, zipLike: boolean): PtychoError {
  const message = messageOf(error);
  if (/signature not found/.test(message)) {
    return zipLike
      ? new PtychoError(
          'FILE_TRUNCATED',
          `${path} ends before the zip directory at its end; it was cut off while being copied or written, so make it again.`,
          { path },
          { cause: error },
        )
      : new PtychoError('FILE_FORMAT', `${path} is not a zip archive.`, { path, expected: 'zip' }, { cause: error });
  }
  return new PtychoError(
    'FILE_FORMAT',
    `${path} is a damaged zip archive (${message}); copy or write it again.`,
    { path },
    { cause: error },
  );
}

function methodOf(entry: yauzl.Entry): ZipMember['method'] {
  if (entry.isEncrypted()) return 'unsupported';
  return entry.compressionMethod === 0 ? 'stored' : entry.compressionMethod === 8 ? 'deflated' : 'unsupported';
}

function truncated(path: string, name: string, expected: number, found: number, cause?: unknown): PtychoError {
  return new PtychoError(
    'FILE_TRUNCATED',
    `${path}, member "${name}", ends after ${found} of ${expected} bytes; the file was cut off, so copy or write it again.`,
    { path, member: name, expected, found },
    { cause },
  );
}

const hex = (value: number): string => value.toString(16).padStart(8, '0');

/** Members that share bytes let a small archive promise much; no writer makes them. */
function checkOverlap(path: string, entries: readonly yauzl.Entry[]): void {
  const LOCAL_HEADER_BYTES = 30;
  const ordered = [...entries].sort((a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader);
  for (let i = 1; i < ordered.length; i++) {
    const [before, after] = [ordered[i - 1], ordered[i]];
    const end = before.relativeOffsetOfLocalHeader + LOCAL_HEADER_BYTES + before.fileNameLength + before.compressedSize;
    if (end <= after.relativeOffsetOfLocalHeader) continue;
    throw new PtychoError(
      'FILE_FORMAT',
      `${path} has the members "${before.fileName}" and "${after.fileName}" in the same bytes; it was damaged or made to mislead, write it again.`,
      { path, member: after.fileName },
    );
  }
}

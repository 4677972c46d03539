/**
 * The one door for files that are read: only regular files are opened, and text is read up to a bound, whatever a file says of
 * its size.
 *
 * @example
 * const handle = await openInput('scan.npz');
 * const text = await readTextInput('run.yaml', { maxBytes: CONFIG_BYTES });
 */
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { messageOf, PtychoError } from './errors.js';
import { Sha256 } from './hash.js';

/** Bound for configurations, settings and records of runs. */
export const CONFIG_BYTES = 4 * 2 ** 20;
/** Bound for tables of numbers: a million positions take about 50 MB. */
export const TABLE_BYTES = 64 * 2 ** 20;

/** How much of a file is read, and what its readers call it. */
export interface ReadInputOptions {
  readonly maxBytes: number;
  /** `configuration file`, for messages. */
  readonly what?: string;
  /** What to do when it is too large; ends the sentence. */
  readonly instead?: string;
}

/** What something that is no regular file is called; undefined for a regular one. */
export function specialKind(found: {
  isFile(): boolean;
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}): string | undefined {
  if (found.isFile()) return undefined;
  if (found.isDirectory()) return 'a folder';
  if (found.isFIFO()) return 'a named pipe';
  if (found.isSocket()) return 'a socket';
  return 'a device';
}

/**
 * Opens a regular file (or a link to one) for reading. Nothing else is opened: a pipe would wait for a writer, a device never
 * ends.
 * @param what what its readers call it: `configuration file`
 * @throws PtychoError FILE_NOT_FOUND when it is missing, a folder, or may not be read; FILE_FORMAT for pipes, sockets and devices.
 */
export async function openInput(path: string, what?: string): Promise<FileHandle> {
  let handle: FileHandle | undefined;
  try {
    // Asked first, for opening alone does something to some devices; and again, of what was opened.
    requireRegular(path, await stat(path), what);
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    requireRegular(path, await handle.stat(), what);
    return handle;
  } catch (cause) {
    await handle?.close();
    if (cause instanceof PtychoError) throw cause;
    throw unreadable(path, what, cause);
  }
}

/**
 * Reads a file whole, up to a bound that holds for what is read, not for what the file says.
 * @throws PtychoError as {@link openInput}; FORMAT_UNSUPPORTED beyond `maxBytes`.
 */
export async function readInput(path: string, options: ReadInputOptions): Promise<Buffer> {
  const { maxBytes, what, instead } = options;
  const handle = await openInput(path, what);
  try {
    const pieces: Buffer[] = [];
    let total = 0;
    for (;;) {
      // One byte more than may be: that it is there is enough to know.
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, maxBytes + 1 - total));
      const { bytesRead } = await handle.read(piece, 0, piece.length, null);
      if (bytesRead === 0) return Buffer.concat(pieces, total);
      total += bytesRead;
      if (total > maxBytes) {
        throw new PtychoError(
          'FORMAT_UNSUPPORTED',
          `${named(path, what)} has more than the ${maxBytes} bytes that are read${instead === undefined ? '' : `; ${instead}`}.`,
          { path, expected: maxBytes },
        );
      }
      pieces.push(piece.subarray(0, bytesRead));
    }
  } catch (cause) {
    if (cause instanceof PtychoError) throw cause;
    throw unreadable(path, what, cause);
  } finally {
    await handle.close();
  }
}

/**
 * Reads a text (UTF-8, with or without a byte order mark) up to a bound.
 * @throws PtychoError as {@link readInput}
 */
export async function readTextInput(path: string, options: ReadInputOptions): Promise<string> {
  return new TextDecoder('utf-8').decode(await readInput(path, options));
}

const PIECE_BYTES = 2 ** 18;

function requireRegular(path: string, found: Parameters<typeof specialKind>[0], what: string | undefined): void {
  const kind = specialKind(found);
  if (kind === undefined) return;
  throw new PtychoError(
    kind === 'a folder' ? 'FILE_NOT_FOUND' : 'FILE_FORMAT',
    `Cannot read ${named(path, what)}: it is ${kind}, but a regular file was expected${kind === 'a named pipe' ? '; save what comes through it to a file first' : ''}.`,
    { path, found: kind },
  );
}

function unreadable(path: string, what: string | undefined, cause: unknown): PtychoError {
  const { code } = cause as NodeJS.ErrnoException;
  const message =
    code === 'ENOENT' && what !== undefined
      ? `There is no ${what} ${path}.`
      : `Cannot read ${named(path, what)}: ${reasonOf(code, cause)}.`;
  return new PtychoError('FILE_NOT_FOUND', message, { path }, { cause });
}

function reasonOf(code: string | undefined, cause: unknown): string {
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'it may not be read; change its permissions';
  if (code === 'ENOTDIR') return 'part of its path is a file, not a folder';
  if (code === 'ELOOP') return 'it is a link that leads back to itself';
  return messageOf(cause);
}

const named = (path: string, what: string | undefined): string => (what === undefined ? path : `the ${what} ${path}`);

/** SHA-256 of a regular file, in pieces. @throws PtychoError FILE_NOT_FOUND, FILE_FORMAT */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = new Sha256();
  const handle = await openInput(path);
  // The stream closes the file.
  for await (const chunk of handle.createReadStream()) hash.add(chunk as Buffer);
  return hash.hex();
}

/** Works with something that was opened, and closes it afterwards, whatever became of the work. */
export async function closing<R extends { close(): unknown } | { dispose(): unknown }, T>(
  opened: R,
  work: (opened: R) => T | Promise<T>,
): Promise<T> {
  try {
    return await work(opened);
  } finally {
    await ('close' in opened ? opened.close() : opened.dispose());
  }
}

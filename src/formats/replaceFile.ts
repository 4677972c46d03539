/**
 * The one way in which files are written: to a temporary name beside the target, put on the disk, then into place in one
 * step. Whatever happens, a reader finds the old file or the new one.
 *
 * Only regular files are replaced. A symbolic link is written through: what it leads to is replaced, the link stays. What a
 * process that was killed has left is removed by the next writer of the same file.
 *
 * @example
 * await replaceFile('metrics.json', (file) => file.writeFile('{}'));
 */
import { randomBytes } from 'node:crypto';
import { constants, readFileSync, readlinkSync, statfsSync } from 'node:fs';
import { access, type FileHandle, lstat, mkdir, open, readdir, readlink, realpath, rename, rm, stat } from 'node:fs/promises'; // biome-ignore format: one line
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { messageOf, PtychoError } from '../core/errors.js';
import { sha256 } from '../core/hash.js';
import { closing, openInput, specialKind } from '../core/inputFile.js';
import { systemWords } from '../core/systemErrors.js';

/**
 * Has `write` fill a temporary file beside `path`, then puts it in place in one step; on failure the temporary goes and
 * `path` stays as it was.
 * @throws PtychoError OUTPUT_UNWRITABLE; a PtychoError of `write` passes through.
 */
export async function replaceFile(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = await TemporaryFile.beside(path);
  try {
    await usingFile(temporary.path, 'r+', write);
    await temporary.commit();
  } catch (cause) {
    await temporary.discard();
    throw unwritable(path, cause);
  }
}

/** Opens a file for as long as `work` takes. */
export async function usingFile(path: string, flags: string, work: (file: FileHandle) => Promise<void>): Promise<void> {
  await closing(await open(path, flags), work);
}

/**
 * Copies a file, whole or not at all.
 * @throws PtychoError those of `openInput`; OUTPUT_UNWRITABLE
 */
export async function copyToPlace(from: string, to: string): Promise<void> {
  await closing(await openInput(from), async (source) => {
    await replaceFile(to, async (file) => {
      for await (const chunk of source.createReadStream({ autoClose: false }))
        await file.writeFile(chunk as Uint8Array);
    });
  });
}

/** A file in the making, for writers that want a path instead of a handle. */
export class TemporaryFile {
  private constructor(
    private readonly given: string,
    private readonly target: string,
    /** Where to write. */
    readonly path: string,
  ) {}

  /**
   * Makes an empty file beside the target, after removing what dead writers of the same target have left.
   * @throws PtychoError OUTPUT_UNWRITABLE, also for a target that is no regular file or may not be written.
   */
  static async beside(path: string): Promise<TemporaryFile> {
    const { target, mode } = await requireWritable(path);
    const folder = dirname(target);
    await removeLeftovers(folder, basename(target));
    const temporary = join(folder, temporaryName(basename(target)));
    try {
      await usingFile(temporary, 'wx', async (file) => {
        // Its owner may write it, whoever may write the old one.
        if (mode !== undefined) await file.chmod(mode | 0o200);
      });
    } catch (cause) {
      throw unwritable(path, cause, target);
    }
    return new TemporaryFile(path, target, temporary);
  }

  /** Puts it on the disk and into place. @throws PtychoError OUTPUT_UNWRITABLE */
  async commit(): Promise<void> {
    try {
      await usingFile(this.path, 'r+', (file) => file.datasync());
      await rename(this.path, this.target);
    } catch (cause) {
      throw unwritable(this.given, cause);
    }
  }

  /** Gives up: the target stays as it was. */
  async discard(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

/**
 * Has `fill` write a folder under a temporary name, then puts it in place in one step; nothing, or an empty folder, may be there.
 * @throws PtychoError OUTPUT_UNWRITABLE; a PtychoError of `fill` passes through.
 */
export async function replaceFolder(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const target = resolve(path);
  await removeLeftovers(dirname(target), basename(target));
  const temporary = join(dirname(target), temporaryName(basename(target)));
  try {
    await mkdir(temporary);
    await fill(temporary);
    await rename(temporary, target);
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true });
    throw unwritable(path, cause);
  }
}

/** Where a path leads, and the permissions of what is there. */
export interface OutputTarget {
  /** With links followed. */
  readonly target: string;
  /** Undefined where nothing is there yet. */
  readonly mode?: number;
}

/**
 * Looks at the place of a file to write, without touching it.
 * @throws PtychoError OUTPUT_UNWRITABLE for a folder, device, pipe or socket, a file that may not be written, a link to nowhere.
 */
export async function requireWritable(path: string): Promise<OutputTarget> {
  const target = await followLinks(path);
  const found = await stat(target).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw unwritable(path, cause);
  });
  if (found === undefined) return { target };
  const kind = specialKind(found);
  if (kind !== undefined) {
    throw new PtychoError(
      'OUTPUT_UNWRITABLE',
      `Cannot write ${path}: it is ${kind}, and only regular files are replaced; choose another name.`,
      { path, found: kind },
    );
  }
  await access(target, constants.W_OK).catch((cause) => {
    throw unwritable(path, cause);
  });
  return { target, mode: found.mode & 0o777 };
}

/** The file that a path means: links are followed, also the last one to a file that is not there yet. */
async function followLinks(path: string): Promise<string> {
  let at = resolve(path);
  for (let step = 0; step < MOST_LINKS; step++) {
    const found = await lstat(at).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return undefined;
      throw unwritable(path, cause);
    });
    if (!found?.isSymbolicLink()) return at;
    at = resolve(await realpath(dirname(at)), await readlink(at));
  }
  throw unwritable(path, Object.assign(new Error('too many links'), { code: 'ELOOP' }));
}

const MOST_LINKS = 40;

/** File names have 255 bytes at most; so much of the target's stays readable. */
const MOST_NAME_BYTES = 180;

/** `.scan.npz.3f9a1c02.4711-8x1k2.0a1b2c3d4e5f.tmp`: hidden, and by it is known whose it is. */
export function temporaryName(name: string): string {
  return `.${stemOf(name)}.${processMark()}.${randomBytes(6).toString('hex')}.tmp`;
}

function stemOf(name: string): string {
  if (Buffer.byteLength(name) <= MOST_NAME_BYTES) return name;
  return `${name.slice(0, MOST_NAME_BYTES / 4)}~${sha256(name).slice(0, 12)}`;
}

const MARKED = /^\.(.+)\.([0-9a-f]{8}\.\d{1,10}-[0-9a-z]{1,12})\.[0-9a-f]{12}\.tmp$/s;
/** As earlier versions named them, by a random or a process number. */
const UNMARKED = /^\.(.+)\.(?:[0-9a-f]{12}|\d{1,10})\.tmp$/s;
/** Of another machine nothing is known but how long ago it wrote. */
const ABANDONED_MS = 24 * 3600 * 1000;

/**
 * Removes the temporary files that dead processes have left in a folder: of this machine at once, of others and of earlier
 * versions after a day. What cannot be removed stays.
 * @param name the target that they were to become; all targets where not given
 * @returns the names of what was removed
 */
export async function removeLeftovers(folder: string, name?: string): Promise<string[]> {
  const stem = name === undefined ? undefined : stemOf(name);
  const removed: string[] = [];
  for (const found of await readdir(folder).catch(() => [] as string[])) {
    if (!found.endsWith('.tmp') || !found.startsWith('.')) continue;
    const [, of, mark] = MARKED.exec(found) ?? UNMARKED.exec(found) ?? [];
    if (of === undefined || (stem !== undefined && of !== stem)) continue;
    const path = join(folder, found);
    if (!(await isAbandoned(path, mark))) continue;
    const gone = await rm(path, { recursive: true, force: true }).then(() => true, () => false); // biome-ignore format: one line
    if (gone) removed.push(found);
  }
  return removed;
}

/** @param mark of the process that made it, where its name tells */
export async function isAbandoned(path: string, mark: string | undefined): Promise<boolean> {
  const owner = mark === undefined ? undefined : parseMark(mark);
  const dead = owner && isDead(owner);
  if (dead !== undefined) return dead;
  const found = await lstat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > ABANDONED_MS;
}

/**
 * Makes a folder and those above it.
 * @param remedy ends the sentence: `choose another with --output_dir`
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function makeFolder(folder: string, remedy = 'choose another place'): Promise<void> {
  try {
    await makeEach(folder);
  } catch (cause) {
    const reason = await folderReason(folder, cause);
    throw new PtychoError('OUTPUT_UNWRITABLE', `The output folder ${folder} cannot be made: ${reason}; ${remedy}.`, { path: folder }, { cause }); // biome-ignore format: one call
  }
}

/** One after the other: told to make all at once, Node tries for ever on a file system that takes no folders, such as /proc. */
async function makeEach(folder: string): Promise<void> {
  const missing: string[] = [];
  const isThere = (at: string) => stat(at).then(() => true, () => false); // biome-ignore format: one line
  for (let at = resolve(folder); at !== dirname(at) && !(await isThere(at)); at = dirname(at)) missing.push(at);
  for (const one of missing.reverse()) {
    await mkdir(one).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster.
      if (error.code !== 'EEXIST') throw error;
    });
  }
  // A file in its place, or a link that leads nowhere, is told as Node tells it.
  if (!(await stat(folder)).isDirectory()) await mkdir(folder);
}

/** Node says ENOENT of a read-only file system, too: what is above is asked. */
async function folderReason(folder: string, cause: unknown): Promise<string> {
  for (let at = resolve(folder); ; at = dirname(at)) {
    const found = await stat(at).catch(() => undefined);
    if (found === undefined && at !== dirname(at)) continue;
    if (found && !found.isDirectory()) return `${at} is ${specialKind(found) ?? 'a file'}, not a folder`;
    const denied = await access(at, constants.W_OK).then(() => undefined, (error: unknown) => error); // biome-ignore format: one line
    return writeReason(at, denied ?? cause).split(';')[0];
  }
}

/**
 * What keeps a file from being written, as the error that says so; a PtychoError is taken as it is.
 * @param target where links lead to, whose folder it is about
 */
export function unwritable(path: string, cause: unknown, target = path): PtychoError {
  if (cause instanceof PtychoError) return cause;
  return new PtychoError(
    'OUTPUT_UNWRITABLE',
    `Cannot write ${path}: ${writeReason(target, cause)}.`,
    { path },
    { cause },
  );
}

/** The reason and the remedy of an error of the file system. */
export function writeReason(path: string, cause: unknown): string {
  const folder = dirname(resolve(path));
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  if (code === 'ENOENT') return `the folder ${folder} does not exist`;
  if (code === 'ENOSPC') return `the disk is full (${freeSpace(folder)}); free some space, or write to another disk`;
  return systemWords(code) ?? messageOf(cause);
}

function freeSpace(folder: string): string {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return `${Math.floor((bavail * bsize) / 2 ** 20)} MiB are free`;
  } catch {
    return 'nothing is free';
  }
}

// Whose a temporary file is: the machine and the process, in words that another process, also of another machine on the same file
// system, can check.

/** A process, as {@link processMark} writes it. */
export interface ProcessIdentity {
  /** Hash of the machine, of its start, and of the space of its process numbers: containers have their own. */
  readonly host: string;
  readonly pid: number;
  /** When it was started, by the machine's clock; 0 where that cannot be known. Numbers of processes come back. */
  readonly started: number;
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return { host: hostId(), pid: process.pid, started: startOf(process.pid)?.started ?? 0 };
}

/**
 * This process in one word that file names can hold.
 * @example
 * processMark(); // '3f9a1c02.4711-8x1k2'
 */
export function processMark({ host, pid, started } = ownIdentity()): string {
  return `${host}.${pid}-${started.toString(36)}`;
}

/** What {@link processMark} wrote; undefined for other texts. */
function parseMark(text: string): ProcessIdentity | undefined {
  const [, host, pid, started] = /^([0-9a-f]{8})\.(\d{1,10})-([0-9a-z]{1,12})$/.exec(text) ?? [];
  return host === undefined ? undefined : { host, pid: Number(pid), started: Number.parseInt(started, 36) };
}

/** Whether a process has ended; undefined where that cannot be known, for it is of another machine. */
export function isDead({ host, pid, started }: ProcessIdentity): boolean | undefined {
  if (host !== hostId()) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  const found = startOf(pid);
  // A process that has ended, but that nobody has asked for its exit code, still has its number.
  return found !== undefined && (found.ended || (started !== 0 && found.started !== started));
}

function hostId(): string {
  const parts = [hostname(), attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')), attempt(() => readlinkSync('/proc/self/ns/pid'))]; // biome-ignore format: one list
  return sha256(parts.join('\0')).slice(0, 8);
}

/** From Linux' list of processes; undefined elsewhere. */
function startOf(pid: number): { readonly started: number; readonly ended: boolean } | undefined {
  const line = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  // The name stands in parentheses and may hold anything.
  const fields = line?.slice(line.lastIndexOf(')') + 2).split(' ');
  if (!fields || fields.length < 20) return undefined;
  return { started: Number(fields[19]), ended: fields[0] === 'Z' || fields[0] === 'X' };
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

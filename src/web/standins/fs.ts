/** In place of `node:fs` and `node:fs/promises`, as far as this package uses them: over the files of the page. */
import { failure, files, type PageEntry, PageFile, PageFolder, TEMPORARY_FOLDER } from '../files.js';
import { join, resolve } from './path.js';

export const constants = { O_RDONLY: 0, O_NONBLOCK: 0, F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1 };

class Stats {
  readonly size: number;
  readonly mtimeMs: number;
  readonly mode: number;
  readonly dev = 1;
  readonly ino: number;
  constructor(private readonly entry: PageEntry) {
    this.size = entry instanceof PageFile ? entry.size : 0;
    this.mtimeMs = entry.changed_ms;
    this.mode = entry instanceof PageFile ? 0o100000 | entry.mode : 0o40755;
    this.ino = entry.number;
  }
  get mtime(): Date {
    return new Date(this.mtimeMs);
  }
  get ctimeMs(): number {
    return this.mtimeMs;
  }
  isFile(): boolean {
    return this.entry instanceof PageFile;
  }
  isDirectory(): boolean {
    return this.entry instanceof PageFolder;
  }
  isSymbolicLink(): boolean {
    return false;
  }
  isFIFO(): boolean {
    return false;
  }
  isSocket(): boolean {
    return false;
  }
}

const pathOf = (path: string | URL): string => (typeof path === 'string' ? path : path.pathname);

function found(path: string | URL): PageEntry {
  const entry = files.find(pathOf(path));
  if (entry === undefined) throw failure('ENOENT', 'no such file or directory', pathOf(path));
  return entry;
}

export const existsSync = (path: string | URL): boolean => files.find(pathOf(path)) !== undefined;

export function statSync(path: string, options?: { throwIfNoEntry?: boolean }): Stats | undefined {
  if (options?.throwIfNoEntry === false && !existsSync(path)) return undefined;
  return new Stats(found(path));
}
export const lstatSync = statSync;

export const realpathSync = (path: string): string => {
  found(path);
  return resolve(path);
};

export function readlinkSync(path: string): never {
  throw failure('EINVAL', 'there are no links in a page', path);
}

interface Named {
  readonly name: string;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

export function readdirSync(path: string, options?: { withFileTypes?: boolean }): (string | Named)[] {
  const folder = found(path);
  if (!(folder instanceof PageFolder)) throw failure('ENOTDIR', 'not a directory', path);
  return [...folder.entries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, entry]) => {
      if (!options?.withFileTypes) return name;
      const stats = new Stats(entry);
      return {
        name,
        isFile: () => stats.isFile(),
        isDirectory: () => stats.isDirectory(),
        isSymbolicLink: () => false,
      };
    });
}

export function mkdirSync(path: string, options?: { recursive?: boolean }): void {
  if (options?.recursive) {
    files.makeFolder(path);
    return;
  }
  const { folder, name } = files.place(path);
  if (folder.entries.has(name)) throw failure('EEXIST', 'file already exists', path);
  folder.entries.set(name, new PageFolder());
}

let made = 0;
export function mkdtempSync(prefix: string): string {
  const path = `${prefix}${(made++).toString(36).padStart(6, '0')}`;
  mkdirSync(path);
  return path;
}

export function rmSync(path: string, options?: { force?: boolean; recursive?: boolean }): void {
  const entry = files.find(path);
  if (entry === undefined && options?.force) return;
  if (found(path) instanceof PageFolder && !options?.recursive) throw failure('EISDIR', 'is a directory', path);
  files.remove(path);
}

export function renameSync(from: string, to: string): void {
  const entry = found(from);
  const target = files.find(to);
  if (target instanceof PageFolder && target.entries.size > 0) throw failure('ENOTEMPTY', 'directory not empty', to);
  if (target !== undefined) files.remove(to);
  const [old, next] = [files.place(from), files.place(to)];
  old.folder.entries.delete(old.name);
  next.folder.entries.set(next.name, entry);
}

export const statfsSync = (_path: string) => ({ bavail: files.room + 2 ** 30, bsize: 1 });

/** An open file; `at` is where the next read or write without a place goes. */
interface Open {
  readonly file: PageFile;
  readonly path: string;
  at: number;
}
const descriptors = new Map<number, Open>();
let nextDescriptor = 10;

function openFile(path: string, flags: string | number): Open {
  const how = typeof flags === 'number' ? 'r' : flags;
  const entry = files.find(path);
  if (entry instanceof PageFolder) throw failure('EISDIR', 'illegal operation on a directory', path);
  if (how.includes('x') && entry !== undefined) throw failure('EEXIST', 'file already exists', path);
  if (how.startsWith('r') && entry === undefined) throw failure('ENOENT', 'no such file or directory', path);
  const file = how.startsWith('w') || entry === undefined ? files.create(path) : entry;
  file.open();
  return { file, path, at: how.startsWith('a') ? file.size : 0 };
}

export function openSync(path: string, flags: string | number = 'r'): number {
  const descriptor = nextDescriptor++;
  descriptors.set(descriptor, openFile(path, flags));
  return descriptor;
}

const opened = (descriptor: number): Open => {
  const open = descriptors.get(descriptor);
  if (open === undefined) throw failure('EBADF', 'bad file descriptor', '');
  return open;
};

export function closeSync(descriptor: number): void {
  opened(descriptor).file.close();
  descriptors.delete(descriptor);
}

const bytesOf = (view: NodeJS.ArrayBufferView, offset = 0, length?: number) =>
  new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset + offset, length ?? view.byteLength - offset);

export function readSync(
  descriptor: number,
  target: NodeJS.ArrayBufferView,
  offset = 0,
  length?: number,
  position?: number | null,
): number {
  const open = opened(descriptor);
  const count = open.file.readNow(position ?? open.at, bytesOf(target, offset, length));
  if (position === null || position === undefined) open.at += count;
  return count;
}

/** By a callback, for `promisify`. */
export function read(
  descriptor: number,
  target: NodeJS.ArrayBufferView,
  offset: number,
  length: number,
  position: number,
  done: (error: unknown, result?: { bytesRead: number }) => void,
): void {
  opened(descriptor)
    .file.read(position, bytesOf(target, offset, length))
    .then((bytesRead) => done(null, { bytesRead }), done);
}

export function writeSync(
  descriptor: number,
  source: NodeJS.ArrayBufferView,
  offset = 0,
  length?: number,
  position?: number | null,
): number {
  const open = opened(descriptor);
  const bytes = bytesOf(source, offset, length);
  open.file.write(position ?? open.at, bytes);
  if (position === null || position === undefined) open.at += bytes.length;
  return bytes.length;
}

export function readFileSync(path: string | URL, encoding?: string): string | Uint8Array {
  const file = found(path);
  if (!(file instanceof PageFile)) throw failure('EISDIR', 'is a directory', pathOf(path));
  const bytes = Buffer.alloc(file.size);
  file.readNow(0, bytes);
  return encoding === undefined ? bytes : bytes.toString(encoding as BufferEncoding);
}

export function writeFileSync(path: string, content: string | NodeJS.ArrayBufferView): void {
  const file = files.create(path);
  file.write(0, contentOf(content));
}

const contentOf = (content: string | NodeJS.ArrayBufferView): Uint8Array =>
  typeof content === 'string' ? new TextEncoder().encode(content) : bytesOf(content);

/** Bytes of a file in pieces, as streams of Node give them to `for await`. */
export async function* createReadStream(
  path: string,
  options: { start?: number; end?: number } = {},
): AsyncGenerator<Buffer> {
  const handle = new FileHandle(openFile(path, 'r'));
  try {
    yield* handle.createReadStream(options);
  } finally {
    await handle.close();
  }
}

const PIECE_BYTES = 2 ** 18;

class FileHandle {
  constructor(private readonly open: Open) {}

  async read(target: NodeJS.ArrayBufferView, offset = 0, length?: number, position?: number | null) {
    const bytesRead = await this.open.file.read(position ?? this.open.at, bytesOf(target, offset, length));
    if (position === null || position === undefined) this.open.at += bytesRead;
    return { bytesRead, buffer: target };
  }

  async write(content: string | NodeJS.ArrayBufferView, offset = 0, length?: number, position?: number | null) {
    const bytes = typeof content === 'string' ? contentOf(content) : bytesOf(content, offset, length);
    this.open.file.write(position ?? this.open.at, bytes);
    if (position === null || position === undefined) this.open.at += bytes.length;
    return { bytesWritten: bytes.length, buffer: content };
  }

  async writeFile(content: string | NodeJS.ArrayBufferView): Promise<void> {
    await this.write(content);
  }

  async appendFile(content: string | NodeJS.ArrayBufferView): Promise<void> {
    this.open.at = this.open.file.size;
    await this.write(content);
  }

  async readFile(encoding?: BufferEncoding): Promise<string | Buffer> {
    const bytes = Buffer.alloc(Math.max(0, this.open.file.size - this.open.at));
    await this.read(bytes);
    return encoding === undefined ? bytes : bytes.toString(encoding);
  }

  async stat(): Promise<Stats> {
    return new Stats(this.open.file);
  }

  async truncate(size = 0): Promise<void> {
    this.open.file.truncate(size);
  }

  async chmod(mode: number): Promise<void> {
    this.open.file.mode = mode & 0o777;
  }

  async datasync(): Promise<void> {}
  async sync(): Promise<void> {}

  async *createReadStream({
    start = 0,
    end = Number.POSITIVE_INFINITY,
  }: {
    start?: number;
    end?: number;
  } = {}): AsyncGenerator<Buffer> {
    for (let at = start; at <= end; ) {
      const piece = Buffer.alloc(Math.min(PIECE_BYTES, end + 1 - at));
      const count = await this.open.file.read(at, piece);
      if (count === 0) return;
      at += count;
      yield piece.subarray(0, count) as Buffer;
    }
  }

  async close(): Promise<void> {
    this.open.file.close();
  }
}

export const open = async (path: string, flags: string | number = 'r') => new FileHandle(openFile(path, flags));
export const stat = async (path: string) => new Stats(found(path));
export const lstat = stat;
export const readdir = async (path: string, options?: { withFileTypes?: boolean }) => readdirSync(path, options);
export const mkdir = async (path: string, options?: { recursive?: boolean }) => mkdirSync(path, options);
export const mkdtemp = async (prefix: string) => mkdtempSync(prefix);
export const rm = async (path: string, options?: { force?: boolean; recursive?: boolean }) => rmSync(path, options);
export const rmdir = rm;
export const unlink = rm;
export const rename = async (from: string, to: string) => renameSync(from, to);
export const realpath = async (path: string) => realpathSync(path);
export const readlink = async (path: string) => readlinkSync(path);
export const access = async (path: string) => void found(path);
export const writeFile = async (path: string, content: string | NodeJS.ArrayBufferView) => writeFileSync(path, content);

export async function readFile(path: string | URL, encoding?: BufferEncoding): Promise<string | Buffer> {
  const handle = await open(pathOf(path));
  try {
    return await handle.readFile(encoding);
  } finally {
    await handle.close();
  }
}

export async function copyFile(from: string, to: string): Promise<void> {
  writeFileSync(to, (await readFile(from)) as Buffer);
}

export async function appendFile(path: string, content: string | NodeJS.ArrayBufferView): Promise<void> {
  const handle = await open(path, 'a');
  await handle.write(content);
  await handle.close();
}

/** For `node:os`. */
export const temporaryFolder = (): string => join(TEMPORARY_FOLDER);

export const promises = { open, stat, lstat, readdir, mkdir, mkdtemp, rm, rmdir, unlink, rename, realpath, readlink, access, readFile, writeFile, copyFile, appendFile }; // biome-ignore format: a list
const everything = { ...promises, promises, constants, existsSync, statSync, lstatSync, realpathSync, readdirSync, mkdirSync, rmSync, renameSync, openSync, closeSync, readSync, writeSync, read, readFileSync, writeFileSync, createReadStream }; // biome-ignore format: a list
export default everything;

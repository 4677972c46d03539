/**
 * The HDF5 library (h5wasm: HDF5 2.0 compiled to WebAssembly), with what our files need around it: every file that the
 * library opens passes a guard, what it prints is kept instead of shown, and an instance that has crashed is replaced.
 */
import { closeSync, existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { messageOf, PtychoError } from '../../core/errors.js';
import { type Hdf5Module, pluginFolder, startModule } from './hdf5Module.js';
import { clearOpenFlags, globalHeapsAreSound } from './rawMetadata.js';

export type { Hdf5Module } from './hdf5Module.js';

/**
 * Folders whose files may be opened during a call; `write` for creating and changing them. A symbolic link that lies in one of
 * them may be read wherever it leads: its maker wants that, and no HDF5 file can make one.
 */
export interface Hdf5Access {
  readonly folders: readonly string[];
  readonly write?: boolean;
}

/** What came of a call. */
export interface Hdf5Outcome<T> {
  /** Undefined when the call threw. */
  readonly value: T | undefined;
  /** Accounts of what went wrong, innermost cause last; empty when nothing did. */
  readonly causes: readonly string[];
  /** Files that the library wanted to open and was not allowed to. */
  readonly refused: readonly string[];
  /** What the file system said when the library wrote; its `code` is Node's. */
  readonly writeError?: Error;
}

type Stream = { readonly fd: number; readonly nfd?: number };
interface GuardedFs {
  ErrnoError: new (errno: number) => Error;
  readonly streams: readonly (Stream | null | undefined)[];
  open(path: string, flags: number | string, mode?: number): Stream;
  read(stream: Stream, buffer: Uint8Array, offset: number, length: number, position?: number): number;
  write(stream: Stream, buffer: Uint8Array, offset: number, length: number, position?: number): number;
}

/** WASI's numbers for "permission denied" and "input/output error". */
const EACCES = 2;
const EIO = 29;
/** And for what can keep a file from being written, by Node's names. */
const WRITE_ERRORS: Readonly<Record<number, string>> = {
  19: 'EDQUOT',
  22: 'EFBIG',
  29: 'EIO',
  51: 'ENOSPC',
  69: 'EROFS',
};
/** O_WRONLY, O_RDWR, O_CREAT, O_TRUNC as the library passes them. */
const WRITING = 0o1 | 0o2 | 0o100 | 0o1000;

/** The one time that files hold, so that equal content gives equal bytes; that of our zip archives. */
const TIME_WRITTEN = Date.UTC(1980, 1, 1);

// An instance takes tens of milliseconds and 20 MB, so it is shared. Nothing numeric depends on it.
let instance: Promise<Hdf5Library> | undefined;

/** One running instance of the library. */
export class Hdf5Library {
  private access: Hdf5Access = { folders: [] };
  private printed = '';
  private refused: string[] = [];
  private writeError: Error | undefined;
  private crash: string | undefined;
  private plugins = false;

  private constructor(private readonly module: Hdf5Module) {
    const fs = module.FS as unknown as GuardedFs;
    const { open, read, write } = fs;
    fs.open = (path, flags, mode) => {
      // What is judged is what is opened: `..` behind a symbolic link means something else to the system.
      const whole = resolve(path);
      const allowed = this.allows(whole, typeof flags === 'number' && (flags & WRITING) !== 0);
      if (!allowed) {
        this.refused.push(whole);
        throw new fs.ErrnoError(EACCES);
      }
      return open(whole, flags, mode);
    };
    fs.read = (stream, buffer, offset, length, position) => {
      const count = read(stream, buffer, offset, length, position);
      // The heap comes in any of its views.
      const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset + offset, count);
      if (!this.access.write) clearOpenFlags(bytes);
      if (globalHeapsAreSound(bytes)) return count;
      throw new fs.ErrnoError(EIO);
    };
    fs.write = (stream, buffer, offset, length, position) => {
      if (stream.fd > 2) {
        try {
          return write(stream, buffer, offset, length, position);
        } catch (error) {
          // The library tells of it in words of its own, the time among them.
          this.writeError ??= asNodeError(error);
          throw error;
        }
      }
      this.printed += Buffer.from(buffer.buffer, buffer.byteOffset + offset, length).toString('utf8');
      return length;
    };
    // Where a system-wide HDF5 keeps its plugins: native code, of no use here.
    while (module.get_plugin_search_paths().length > 0) module.remove_plugin_search_path(0);
  }

  /**
   * The instance in use; a new one after a crash.
   * @throws PtychoError ENGINE_FAILURE when the library cannot be loaded.
   */
  static current(): Promise<Hdf5Library> {
    instance ??= Hdf5Library.start().catch((cause: unknown) => {
      instance = undefined;
      throw new PtychoError(
        'ENGINE_FAILURE',
        `The HDF5 library (h5wasm) could not be started: ${messageOf(cause)}; install the package's dependencies again.`,
        {},
        { cause },
      );
    });
    return instance;
  }

  private static async start(): Promise<Hdf5Library> {
    let library: Hdf5Library | undefined;
    let early = '';
    const printErr = (text: string) => {
      if (library === undefined) early += text;
      else library.printed += `${text}\n`;
    };
    const module = await startModule(printErr);
    library = new Hdf5Library(module);
    library.printed = early;
    return library;
  }

  /** False once it has crashed: its open files are lost, later ones get another instance. */
  get alive(): boolean {
    return this.crash === undefined;
  }

  /**
   * Calls the library. What it reports, and what h5wasm throws, comes back for the caller to put into words.
   * @throws PtychoError FILE_FORMAT when the library crashes (it is then replaced), or has crashed before.
   */
  run<T>(subject: string, access: Hdf5Access, work: (module: Hdf5Module) => T): Hdf5Outcome<T> {
    if (this.crash !== undefined) {
      throw new PtychoError(
        'FILE_FORMAT',
        `${subject} was closed because the HDF5 library failed on a damaged file (${this.crash}); open it again.`,
        { path: subject },
      );
    }
    this.access = access;
    this.printed = '';
    this.refused = [];
    this.writeError = undefined;
    const { exitCode } = process;
    // HDF5 writes down when objects were made, and h5wasm has no switch for it; nothing else runs until `work` is done.
    const { now } = Date;
    if (access.write) Date.now = () => TIME_WRITTEN;
    const outcome = (value?: T, thrown: readonly string[] = []): Hdf5Outcome<T> => ({
      value,
      causes: [...thrown, ...causesIn(this.printed)],
      refused: this.refused,
      writeError: this.writeError,
    });
    try {
      return outcome(work(this.module));
    } catch (error) {
      if (error instanceof PtychoError) throw error;
      if (!isCrash(error)) return outcome(undefined, [messageOf(error)]);
      // Its memory cannot be trusted any more.
      this.crash = messageOf(error).split('\n')[0].slice(0, 160);
      instance = undefined;
      process.exitCode = exitCode;
      this.closeFiles();
      throw new PtychoError(
        'FILE_FORMAT',
        `${subject} is damaged: the HDF5 library gave up on it (${this.crash}); copy or write it again.`,
        { path: subject },
        { cause: error },
      );
    } finally {
      Date.now = now;
      this.access = { folders: [] };
    }
  }

  /** Lets the library find the filters of h5wasm-plugins, which `npm run build` copies beside this file: LZF, bitshuffle, LZ4, Zstandard, Blosc and others. */
  usePlugins(): void {
    if (this.plugins) return;
    this.module.insert_plugin_search_path(pluginFolder(), 0);
    this.plugins = true;
  }

  /** Gives the files of a crashed instance back to the system. */
  private closeFiles(): void {
    for (const stream of (this.module.FS as unknown as GuardedFs).streams) {
      if (stream?.nfd === undefined || stream.nfd <= 2) continue;
      try {
        closeSync(stream.nfd);
      } catch {
        // Closed already.
      }
    }
  }

  private allows(path: string, writing: boolean): boolean {
    const real = realPath(path);
    if (writing) return this.access.write === true && this.access.folders.some((folder) => isInside(folder, real));
    if (this.plugins && isInside(realPath(pluginFolder()), real)) return true;
    return mayRead(this.access, path) && (!existsSync(real) || statSync(real).isFile());
  }
}

/** True for paths in the folders of an access or below them, also through a symbolic link that lies there. */
export function mayRead({ folders }: Hdf5Access, path: string): boolean {
  const [whole, real] = [resolve(path), realPath(path)];
  return folders.some((folder) => isInside(folder, real) || isInside(folder, whole));
}

/** True when `path` is `folder` or lies somewhere below; both real paths. */
function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || (!isAbsolute(way) && way.split(/[\\/]/)[0] !== '..');
}

/** A path with its symbolic links resolved, as far as it exists. */
export function realPath(path: string): string {
  const whole = resolve(path);
  if (existsSync(whole)) return realpathSync(whole);
  const above = dirname(whole);
  return above === whole ? whole : join(realPath(above), relative(above, whole));
}

/** An error of Node or of Emscripten's file system, with Node's code. */
function asNodeError(error: unknown): Error {
  const { code, errno } = error as { readonly code?: unknown; readonly errno?: number };
  const name = typeof code === 'string' ? code : WRITE_ERRORS[errno ?? 0];
  return Object.assign(new Error(name ?? messageOf(error)), { code: name });
}

/** A trap, an assertion or an exit inside the library, as opposed to an error that it reports. */
function isCrash(error: unknown): boolean {
  if (error instanceof RangeError) return /call stack/.test(error.message);
  return ['RuntimeError', 'ExitStatus'].includes((error as Error | null)?.name ?? '');
}

/** The messages of the library's error stack: `  #003: H5Fint.c line 2118 in H5F_open(): unable to read superblock`. */
function causesIn(printed: string): string[] {
  return Array.from(printed.matchAll(/^\s*#\d+: .*?\(\): (.+)$/gm), (match) => match[1].trim());
}

/** Calls `work` with room in the library's memory. */
export function withMemory<T>(m: Hdf5Module, bytes: number, work: (at: number) => T): T {
  const at = m._malloc(Math.max(1, bytes));
  if (at === 0) throw new Error(`no memory for ${bytes} bytes`);
  try {
    return work(at);
  } finally {
    m._free(at);
  }
}

/** {@link withMemory} that holds these bytes. */
export function withBytes<T>(m: Hdf5Module, bytes: Uint8Array, work: (at: number) => T): T {
  return withMemory(m, bytes.length, (at) => {
    m.HEAPU8.set(bytes, at);
    return work(at);
  });
}

/**
 * The files of a page, under the paths that everything else knows files by: those that were dropped on it, read where they lie; those
 * behind addresses; and what is written, in memory.
 *
 * All paths lie below `/page`, where a path without a leading slash begins. There are no links, owners or permissions.
 *
 * @example
 * const path = files.add(file); // 'scan.h5'
 * const raw = await openScan(path);
 * const bytes = files.read('out/reconstruction.npz');
 */
import { PtychoError } from '../core/errors.js';
import { type BlobLike, blobSource, memorySource, openHttpSource, type PageSource } from '../formats/pageSources.js';
import { pageMemory } from './browser.js';
import { resolve } from './standins/path.js';

/** Where relative paths begin. */
export const PAGE_FOLDER = '/page';
/** Where temporary files go. */
export const TEMPORARY_FOLDER = '/page/.tmp';

/** What lies at a path. */
export type PageEntry = PageFile | PageFolder;

let nextNumber = 1;

/** A folder. */
export class PageFolder {
  /** No other entry has it. */
  readonly number = nextNumber++;
  readonly entries = new Map<string, PageEntry>();
  readonly changed_ms = Date.now();
}

/** A file: bytes elsewhere, until it is written to. */
export class PageFile {
  /** No other entry has it: the HDF5 library takes files of one number for one file. */
  readonly number = nextNumber++;
  changed_ms = Date.now();
  mode = 0o644;
  #size: number;
  #users = 0;
  #linked = true;
  /** Written ones; longer than the file, so that it can grow. */
  #bytes: Uint8Array | undefined;

  constructor(
    private readonly account: { used: number },
    readonly source?: PageSource,
  ) {
    this.#size = source?.size ?? 0;
    if (source === undefined) this.#bytes = new Uint8Array(0);
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes from a place on, into `target`; answers how many there were. */
  async read(at: number, target: Uint8Array): Promise<number> {
    if (this.#bytes !== undefined || this.source === undefined) return this.readNow(at, target);
    if (this.source.readInto) return this.source.readInto(at, target);
    const found = await this.source.read(at, target.length);
    target.set(found);
    return found.length;
  }

  /** {@link read} without waiting. @throws an error with code EAGAIN where the source cannot */
  readNow(at: number, target: Uint8Array): number {
    if (this.#bytes === undefined) {
      if (this.source?.readNow) return this.source.readNow(at, target);
      throw failure(
        'EAGAIN',
        'the page itself cannot read this file without waiting; open it in a worker',
        this.source?.name ?? '',
      );
    }
    const found = this.#bytes.subarray(at, Math.max(at, Math.min(this.#size, at + target.length)));
    target.set(found);
    return found.length;
  }

  /** Writes bytes to a place. @throws an error with code ENOSPC, EROFS */
  write(at: number, bytes: Uint8Array): void {
    const whole = this.#room(at + bytes.length);
    whole.set(bytes, at);
    this.#size = Math.max(this.#size, at + bytes.length);
    this.changed_ms = Date.now();
  }

  /** Cuts it off, or makes it longer by zeros. */
  truncate(size: number): void {
    this.#room(size);
    this.#bytes!.fill(0, Math.min(size, this.#size), Math.max(size, this.#size));
    this.#size = size;
    this.changed_ms = Date.now();
  }

  /** All bytes of a written file, not copied. */
  get written(): Uint8Array | undefined {
    return this.#bytes?.subarray(0, this.#size);
  }

  /** Somebody works with it. */
  open(): void {
    this.#users++;
  }

  /** One fewer works with it. */
  close(): void {
    this.#users--;
    this.#release();
  }

  /** It is in no folder any more; whoever works with it goes on. */
  unlink(): void {
    this.#linked = false;
    this.#release();
  }

  #release(): void {
    if (this.#linked || this.#users > 0) return;
    this.account.used -= this.#bytes?.length ?? 0;
    this.#bytes = new Uint8Array(0);
    this.#size = 0;
  }

  #room(size: number): Uint8Array {
    if (this.#bytes === undefined)
      throw failure('EROFS', 'files that were opened in the page are not changed', this.source?.name ?? '');
    if (size <= this.#bytes.length) return this.#bytes;
    const length = Math.max(size, Math.min(2 * this.#bytes.length, this.#bytes.length + 2 ** 26), 1024);
    if (this.account.used + length - this.#bytes.length > pageMemory())
      throw failure('ENOSPC', 'the page has no more memory for files', '');
    try {
      const larger = new Uint8Array(length);
      larger.set(this.#bytes.subarray(0, this.#size));
      this.account.used += length - this.#bytes.length;
      this.#bytes = larger;
      return larger;
    } catch {
      throw failure('ENOSPC', 'the page has no more memory for files', '');
    }
  }
}

/** A failed call, as Node tells of it. */
export function failure(code: string, words: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${words}${path === '' ? '' : `, '${path}'`}`), {
    code,
    path,
    syscall: 'page',
  });
}

/** A tree of folders and files. */
export class PageFiles {
  readonly #root = new PageFolder();
  readonly #account = { used: 0 };

  constructor() {
    this.makeFolder(TEMPORARY_FOLDER);
  }

  /** Bytes that may still be written. */
  get room(): number {
    return Math.max(0, pageMemory() - this.#account.used);
  }

  /**
   * Makes a Blob known under its name, or another path; the path that it has then. A name that is there already is replaced.
   * @throws PtychoError USAGE for a Blob without a name where no path is given
   */
  add(file: BlobLike & { readonly name?: string }, path = file.name): string {
    if (path === undefined)
      throw new PtychoError('USAGE', 'A Blob without a name needs a path: files.add(blob, "scan.npz").', {});
    this.put(path, blobSource(path, file));
    return path;
  }

  /** Makes a file behind an address known; read by range requests. @returns its path @throws PtychoError as `openHttpSource` */
  async addUrl(address: string | URL, path?: string): Promise<string> {
    const source = await openHttpSource(address);
    const given =
      path ??
      (decodeURIComponent(new URL(String(address), 'http://page/').pathname)
        .split('/')
        .pop() ||
        'scan');
    this.put(given, source);
    return given;
  }

  /** Makes bytes known, which are not copied. */
  addBytes(path: string, bytes: Uint8Array): string {
    this.put(path, memorySource(path, bytes));
    return path;
  }

  /** The bytes of a file. @throws PtychoError FILE_NOT_FOUND */
  async read(path: string): Promise<Uint8Array<ArrayBuffer>> {
    const file = this.find(path);
    if (!(file instanceof PageFile))
      throw new PtychoError('FILE_NOT_FOUND', `There is no file ${path} in the page.`, { path });
    const bytes = new Uint8Array(file.size);
    await file.read(0, bytes);
    return bytes;
  }

  /** Paths of all files in a folder and below it. */
  list(folder = PAGE_FOLDER): string[] {
    const found = this.find(folder);
    if (!(found instanceof PageFolder)) return [];
    return [...found.entries].flatMap(([name, entry]) => {
      const path = `${folder}/${name}`;
      if (entry instanceof PageFile) return [path];
      return path === TEMPORARY_FOLDER ? [] : this.list(path);
    });
  }

  /** Forgets a file, or a folder with all that is in it. */
  remove(path: string): void {
    const { folder, name } = this.place(path);
    const entry = folder.entries.get(name);
    if (entry) this.#release(entry);
    folder.entries.delete(name);
  }

  /** Puts a source to a path; folders on the way are made. */
  put(path: string, source: PageSource): void {
    const whole = resolve(path);
    this.makeFolder(whole.slice(0, whole.lastIndexOf('/')) || '/');
    this.remove(path);
    const { folder, name } = this.place(path);
    folder.entries.set(name, new PageFile(this.#account, source));
  }

  /** What is at a path; undefined where there is nothing. @throws an error with code ENOTDIR */
  find(path: string): PageEntry | undefined {
    let entry: PageEntry | undefined = this.#root;
    for (const name of namesOf(path)) {
      if (!(entry instanceof PageFolder)) return undefined;
      entry = entry.entries.get(name);
    }
    return entry;
  }

  /** The folder that a path lies in, and its name there. @throws an error with code ENOENT */
  place(path: string): { readonly folder: PageFolder; readonly name: string } {
    const names = namesOf(path);
    const name = names.pop();
    const folder = this.find(`/${names.join('/')}`);
    if (name === undefined || !(folder instanceof PageFolder))
      throw failure('ENOENT', 'no such file or directory', path);
    return { folder, name };
  }

  /** A new file without content; one that is there is emptied. */
  create(path: string): PageFile {
    const { folder, name } = this.place(path);
    const found = folder.entries.get(name);
    if (found instanceof PageFolder) throw failure('EISDIR', 'illegal operation on a directory', path);
    if (found) this.#release(found);
    const file = new PageFile(this.#account);
    folder.entries.set(name, file);
    return file;
  }

  /** Makes a folder and those above it. */
  makeFolder(path: string): void {
    let folder = this.#root;
    for (const name of namesOf(path)) {
      let next = folder.entries.get(name);
      if (next === undefined) {
        next = new PageFolder();
        folder.entries.set(name, next);
      }
      if (!(next instanceof PageFolder)) throw failure('ENOTDIR', 'not a directory', path);
      folder = next;
    }
  }

  #release(entry: PageEntry): void {
    if (entry instanceof PageFile) entry.unlink();
    else for (const below of entry.entries.values()) this.#release(below);
  }
}

const namesOf = (path: string): string[] =>
  resolve(path)
    .split('/')
    .filter((name) => name !== '');

/** Those of this page, or of this thread. */
export const files = new PageFiles();

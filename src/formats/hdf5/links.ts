/** The links of an HDF5 file and the files behind them: in the file's folder, or in others that the caller allows. */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { PtychoError } from '../../core/errors.js';
import { type NpyOrigin, npyError } from '../npyHeader.js';
import { type Hdf5Access, type Hdf5Library, type Hdf5Module, type Hdf5Outcome, mayRead, realPath } from './library.js';
import { openFlagsOf } from './rawMetadata.js';

/** An opened file of the library: the one asked for, or one behind an external link. */
export interface Handle {
  readonly path: string;
  readonly id: bigint;
  readonly bytes: number;
  /** A writer has it open, or died with it open. */
  readonly leftOpen: boolean;
}

/** Where a path leads once links are followed. */
export interface Place {
  readonly handle: Handle;
  readonly path: string;
}

const MAX_LINKS = 32;

/** A file and those that its links lead to, opened when first needed. */
export class Hdf5Links {
  private access: Hdf5Access;
  private readonly handles = new Map<string, Handle>();
  readonly root: Handle;

  /**
   * @param allowed folders that links may lead to, besides that of the file
   * @throws PtychoError FILE_FORMAT, FILE_TRUNCATED when the file cannot be opened.
   */
  constructor(
    private readonly path: string,
    readonly library: Hdf5Library,
    allowed: readonly string[] = [],
  ) {
    const folder = dirname(resolve(path));
    const folders = [folder, realPath(folder), dirname(realPath(path))];
    this.access = { folders: [...folders, ...allowed.flatMap((name) => [resolve(name), realPath(name)])] };
    this.root = this.openHandle(path);
  }

  /** Calls the library with leave to open files of the folder. */
  run<T>(work: (module: Hdf5Module) => T): Hdf5Outcome<T> {
    return this.library.run(this.path, this.access, work);
  }

  /** True for paths in the folder of the file or below it, and in those that are allowed. */
  mayOpen(path: string): boolean {
    return mayRead(this.access, path);
  }

  /** Files opened so far that a writer has open, or died with. */
  get leftOpen(): string[] {
    return [...this.handles.values()].filter(({ leftOpen }) => leftOpen).map(({ path }) => path);
  }

  /** Closes all of them. */
  close(): void {
    if (this.library.alive) for (const { id } of this.handles.values()) this.run((m) => m.close_file(id));
    this.handles.clear();
  }

  /**
   * Follows the links of a path, one name after the other; undefined when a name does not exist.
   * @param passed told the whole path in its file before each link is followed, and where it ends
   * @throws PtychoError FILE_FORMAT for links in a circle, FORMAT_UNSUPPORTED for links out of the folder, FILE_NOT_FOUND for
   * files that are not there, and those of opening them.
   */
  follow(path: string, passed: (place: Place) => void = () => {}): Place | undefined {
    let handle = this.root;
    let at = '';
    let rest = split(path);
    for (let links = 0; rest.length > 0; ) {
      const next = `${at}/${rest[0]}`;
      const { value: link } = this.run((m) => linkAt(m, handle.id, next));
      rest = rest.slice(1);
      if (link === undefined) return undefined;
      if (link === 'hard') {
        at = next;
        continue;
      }
      if (++links > MAX_LINKS) {
        throw npyError(
          'FILE_FORMAT',
          { path: this.path, member: path },
          'is a link that leads in a circle; write the file again.',
        );
      }
      passed({ handle, path: `/${[...split(next), ...rest].join('/')}` });
      if (link.file !== undefined) handle = this.openLinked(handle, link.file, path);
      rest = [...split(link.path), ...rest];
      if (link.file !== undefined || link.path.startsWith('/')) at = '';
    }
    const place = { handle, path: at === '' ? '/' : at };
    passed(place);
    return place;
  }

  /** The file that an external link names: relative to the file with the link, or beside it when an absolute path is gone. */
  private openLinked(from: Handle, name: string, path: string): Handle {
    const folders = new Set([dirname(resolve(from.path)), dirname(realPath(from.path))]);
    const places = [...folders].flatMap((folder) =>
      isAbsolute(name) ? [name, join(folder, basename(name))] : [join(folder, name)],
    );
    const target = places.find((place) => existsSync(place) && this.mayOpen(place));
    if (target !== undefined) return this.openHandle(target);
    if (places.some((place) => !this.mayOpen(place))) throw escapeError({ path: this.path, member: path }, places[0]);
    throw new PtychoError(
      'FILE_NOT_FOUND',
      `${this.path} links "${path}" to ${places[0]}, which does not exist; copy that file to the same folder.`,
      { path: places[0], key: path },
    );
  }

  private openHandle(path: string): Handle {
    const real = realPath(path);
    const known = this.handles.get(real);
    if (known !== undefined) return known;
    // What a symbolic link was made for is allowed with its own pieces, which lie beside it.
    this.access = { folders: [...new Set([...this.access.folders, dirname(real)])] };
    if (!statSync(real).isFile()) throw new PtychoError('FILE_FORMAT', `${path} is no regular file.`, { path });
    const flags = openFlagsOf(real);
    // With SWMR the library reads again what a writer changes meanwhile; the flags themselves are cleared by the library.
    const modes = [...(flags === 'swmr' ? (['H5F_ACC_SWMR_READ'] as const) : []), 'H5F_ACC_RDONLY'] as const;
    let causes: readonly string[] = [];
    for (const mode of modes) {
      const opened = this.run((m) => m.open(real, m[mode], false, -1, -1));
      causes = opened.causes;
      if (opened.value === undefined || opened.value < 0n) continue;
      const handle = { path, id: opened.value, bytes: statSync(real).size, leftOpen: flags !== undefined };
      this.handles.set(real, handle);
      return handle;
    }
    throw flags === undefined ? openError(path, causes) : leftOpenError({ path }, path);
  }
}

/** The names of a path. */
export const split = (path: string): string[] => path.split('/').filter((name) => name !== '' && name !== '.');

type Link = 'hard' | { readonly path: string; readonly file?: string };

/** What a name of a group is; undefined when there is none. */
export function linkAt(m: Hdf5Module, id: bigint, path: string): Link | undefined {
  const soft = m.get_symbolic_link(id, path) as string | null;
  if (soft !== null) return { path: soft };
  const external = m.get_external_link(id, path) as { filename?: string; obj_path?: string };
  if (external.filename !== undefined) return { file: external.filename, path: external.obj_path ?? '/' };
  return m.get_type(id, path) < 0 ? undefined : 'hard';
}

/** An error about an object that leads out of the folder. */
export function escapeError(origin: NpyOrigin, target: string): PtychoError {
  return npyError(
    'FORMAT_UNSUPPORTED',
    origin,
    `leads to ${target}, outside of the folder of the file, where links are not followed; allow it with --allow_links ${dirname(target)}, or put a symbolic link to that file into the folder.`,
    { found: target },
  );
}

/** An error about something in a file that a writer has open, or left open. */
export function leftOpenError(origin: NpyOrigin, file: string): PtychoError {
  return npyError(
    'FILE_FORMAT',
    origin,
    `cannot be read, for ${file} is still open for writing in another program, or was not closed: wait, or run h5clear -s.`,
    { found: file },
  );
}

function openError(path: string, causes: readonly string[]): PtychoError {
  const reason = causes.at(-1) ?? 'the HDF5 library gives no reason';
  const truncated = causes.find((cause) => /truncated file/.test(cause));
  if (truncated !== undefined) {
    return new PtychoError(
      'FILE_TRUNCATED',
      `${path} was cut off while being copied or written (${truncated}); copy or write it again.`,
      { path },
    );
  }
  return new PtychoError('FILE_FORMAT', `${path} is a damaged HDF5 file (${reason}); copy or write it again.`, {
    path,
  });
}

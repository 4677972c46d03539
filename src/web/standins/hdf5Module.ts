/**
 * In place of `formats/hdf5/hdf5Module.ts`: the build of h5wasm for browsers, which comes with the first HDF5 file, and below it the files
 * of the page as a file system of Emscripten's. What the library reads, it reads where it lies: in a thread of the page from Blobs and
 * addresses, in the page itself from memory.
 */
import type { ready } from 'h5wasm/node';
import { failure, files, PAGE_FOLDER, type PageEntry, PageFile, PageFolder } from '../files.js';
import { PACKAGE_FOLDER } from './packageFile.js';

export type Hdf5Module = Awaited<typeof ready>;

/** As messages of Emscripten's file system carry errors: by WASI's numbers. */
const NUMBERS: Readonly<Record<string, number>> = { EACCES: 2, EAGAIN: 6, EEXIST: 20, EIO: 29, EINVAL: 28, EISDIR: 31, ENOENT: 44, ENOSPC: 51, ENOTDIR: 54, EPERM: 63, EROFS: 69 }; // biome-ignore format: a table

const FOLDER_MODE = 0o40777;
const FILE_MODE = 0o100666;

interface Node {
  readonly name: string;
  readonly parent: Node;
  mode: number;
  size?: number;
  path: string;
  node_ops: unknown;
  stream_ops: unknown;
}

interface Stream {
  readonly node: Node;
  position: number;
}

interface EmscriptenFs {
  createNode(parent: Node | null, name: string, mode: number, dev: number): Node;
  isFile(mode: number): boolean;
  mkdir(path: string): void;
  mount(type: unknown, options: object, place: string): void;
  ErrnoError: new (errno: number) => Error;
}

/** Path in the page by the node of Emscripten's tree. */
function pageSystem(fs: EmscriptenFs) {
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw new fs.ErrnoError(NUMBERS[(error as { code?: string }).code ?? ''] ?? NUMBERS.EIO);
    }
  };
  const entryOf = (node: Node): PageEntry => {
    const entry = files.find(node.path);
    if (entry === undefined) throw failure('ENOENT', 'no such file', node.path);
    return entry;
  };
  const fileOf = (node: Node): PageFile => {
    const entry = entryOf(node);
    if (!(entry instanceof PageFile)) throw failure('EISDIR', 'is a directory', node.path);
    return entry;
  };
  const make = (parent: Node | null, name: string, path: string, isFolder: boolean): Node => {
    const node = fs.createNode(parent, name, isFolder ? FOLDER_MODE : FILE_MODE, 0);
    node.path = path;
    node.node_ops = nodeOps;
    node.stream_ops = streamOps;
    return node;
  };
  const nodeOps = {
    getattr: (node: Node) =>
      guarded(() => {
        const entry = entryOf(node);
        const size = entry instanceof PageFile ? entry.size : 4096;
        const time = new Date(entry.changed_ms);
        return { dev: 1, ino: entry.number, mode: node.mode, nlink: 1, uid: 0, gid: 0, rdev: 0, size, atime: time, mtime: time, ctime: time, blksize: 4096, blocks: Math.ceil(size / 4096) }; // biome-ignore format: a record
      }),
    setattr: (node: Node, { size }: { size?: number }) =>
      guarded(() => size !== undefined && fileOf(node).truncate(size)),
    lookup: (parent: Node, name: string) => {
      const path = `${parent.path}/${name}`;
      const entry = files.find(path);
      if (entry === undefined) throw new fs.ErrnoError(NUMBERS.ENOENT);
      return make(parent, name, path, entry instanceof PageFolder);
    },
    mknod: (parent: Node, name: string, mode: number) =>
      guarded(() => {
        const path = `${parent.path}/${name}`;
        if (fs.isFile(mode)) files.create(path);
        else files.makeFolder(path);
        return make(parent, name, path, !fs.isFile(mode));
      }),
    readdir: (node: Node) => {
      const entry = files.find(node.path);
      return ['.', '..', ...(entry instanceof PageFolder ? entry.entries.keys() : [])];
    },
    unlink: (parent: Node, name: string) => guarded(() => files.remove(`${parent.path}/${name}`)),
  };
  const streamOps = {
    llseek(stream: Stream, offset: number, whence: number) {
      const at =
        whence === 1
          ? stream.position + offset
          : whence === 2
            ? guarded(() => fileOf(stream.node)).size + offset
            : offset;
      if (at < 0) throw new fs.ErrnoError(NUMBERS.EINVAL);
      return at;
    },
    read: (stream: Stream, heap: Uint8Array, offset: number, length: number, position: number) =>
      guarded(() =>
        fileOf(stream.node).readNow(position, new Uint8Array(heap.buffer, heap.byteOffset + offset, length)),
      ),
    write: (stream: Stream, heap: Uint8Array, offset: number, length: number, position: number) =>
      guarded(() => {
        fileOf(stream.node).write(position, new Uint8Array(heap.buffer, heap.byteOffset + offset, length));
        return length;
      }),
  };
  return { mount: () => make(null, '/', PAGE_FOLDER, true) };
}

type Factory = (options: object) => Promise<Hdf5Module>;
let loaded: Promise<Factory> | undefined;

export async function startModule(print: (text: string) => void): Promise<Hdf5Module> {
  loaded ??= Promise.all([import('asset:hdf5'), import('asset:hdf5-plugins')]).then(([library, plugins]) => {
    for (const [name, bytes] of Object.entries(plugins.default)) files.addBytes(`${pluginFolder()}/${name}`, bytes);
    return library.default as Factory;
  });
  const module = await (await loaded)({ noInitialRun: true, print, printErr: print });
  const fs = module.FS as unknown as EmscriptenFs;
  fs.mkdir(PAGE_FOLDER);
  fs.mount(pageSystem(fs), {}, PAGE_FOLDER);
  return module;
}

export const pluginFolder = (): string => `${PACKAGE_FOLDER}/plugins`;

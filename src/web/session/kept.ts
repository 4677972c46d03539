/** Files that the browser keeps for the next visit, in its private file system (OPFS), under the paths that they have in the page. */
import { PtychoError } from '../../core/errors.js';
import { files, PAGE_FOLDER, PageFile } from '../files.js';
import { resolve } from '../standins/path.js';
import type { PageFileView } from './views.js';

interface KeptFile {
  readonly kind: 'file';
  getFile(): Promise<{
    readonly size: number;
    slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
  }>;
  createWritable(): Promise<{ write(bytes: Uint8Array): Promise<void>; close(): Promise<void> }>;
}
interface KeptFolder {
  readonly kind: 'directory';
  getDirectoryHandle(name: string, options?: { create: boolean }): Promise<KeptFolder>;
  getFileHandle(name: string, options?: { create: boolean }): Promise<KeptFile>;
  removeEntry(name: string, options?: { recursive: boolean }): Promise<void>;
  entries(): AsyncIterable<[string, KeptFile | KeptFolder]>;
}

const ROOT = 'ptychopinn';

async function root(): Promise<KeptFolder> {
  const { navigator } = globalThis as { navigator?: { storage?: { getDirectory?(): Promise<KeptFolder> } } };
  const whole = await navigator?.storage?.getDirectory?.().catch(() => undefined);
  if (whole === undefined) {
    throw new PtychoError(
      'OUTPUT_UNWRITABLE',
      'This browser keeps no files for pages (OPFS); save them to the disk.',
      {},
    );
  }
  return whole.getDirectoryHandle(ROOT, { create: true });
}

const namesOf = (path: string): string[] =>
  resolve(path)
    .slice(PAGE_FOLDER.length)
    .split('/')
    .filter((name) => name !== '');

async function folderOf(names: readonly string[]): Promise<KeptFolder> {
  let folder = await root();
  for (const name of names) folder = await folder.getDirectoryHandle(name, { create: true });
  return folder;
}

/** Copies a file, or all files of a folder. @throws PtychoError FILE_NOT_FOUND, OUTPUT_UNWRITABLE */
export async function keep(path: string): Promise<void> {
  const paths = files.find(path) instanceof PageFile ? [resolve(path)] : files.list(resolve(path));
  if (paths.length === 0)
    throw new PtychoError('FILE_NOT_FOUND', `There is no file ${path} in the page to keep.`, { path });
  for (const each of paths) {
    const names = namesOf(each);
    const folder = await folderOf(names.slice(0, -1));
    const bytes = await files.read(each);
    // In place at once, when it is closed: a visit that ends meanwhile finds the old one.
    const writing = await (await folder.getFileHandle(names[names.length - 1], { create: true })).createWritable();
    await writing.write(bytes);
    await writing.close();
  }
}

async function* walk(folder: KeptFolder, at: string): AsyncGenerator<readonly [string, KeptFile]> {
  for await (const [name, entry] of folder.entries()) {
    if (entry.kind === 'file') yield [`${at}/${name}`, entry];
    else yield* walk(entry, `${at}/${name}`);
  }
}

/** What was kept. */
export async function kept(): Promise<PageFileView[]> {
  const found: PageFileView[] = [];
  for await (const [path, file] of walk(await root(), ''))
    found.push({ path: path.slice(1), bytes: (await file.getFile()).size });
  return found;
}

/** Makes what was kept at a path, or below it, known under its path. @returns the paths */
export async function restore(path: string): Promise<string[]> {
  const wanted = namesOf(path).join('/');
  const restored: string[] = [];
  for await (const [whole, file] of walk(await root(), '')) {
    const name = whole.slice(1);
    if (name !== wanted && !name.startsWith(`${wanted}/`) && wanted !== '') continue;
    files.add(await file.getFile(), name);
    restored.push(name);
  }
  return restored;
}

/** Removes what was kept at a path and below it. */
export async function forget(path: string): Promise<void> {
  const names = namesOf(path);
  const name = names.pop();
  const folder = await folderOf(names);
  if (name === undefined)
    for await (const [each] of folder.entries()) await folder.removeEntry(each, { recursive: true });
  else await folder.removeEntry(name, { recursive: true }).catch(() => {});
}

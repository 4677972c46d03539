/**
 * The folder that a page may read: its files by their names below it, and nothing else, whatever names, links and encodings say.
 *
 * @example
 * const folder = await ServedFolder.open('beamtime');
 * await folder.fileAt('run1/reconstruction.npz'); // the real path, or undefined
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { PtychoError } from '../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';

/** A file that may be read, by its name below the folder, with forward slashes. */
export interface ServedFile {
  readonly path: string;
  readonly bytes: number;
  readonly modified_ms: number;
}

/** A folder of a run, by what it holds. */
export interface ServedResult {
  /** Its name below the folder; empty for the folder itself. */
  readonly path: string;
  readonly title: string;
  readonly state: 'running' | 'done' | 'stopped';
  /** The newest file in it. */
  readonly modified_ms: number;
  /** `index.html`, where there is one. */
  readonly page?: string;
  /** What a page can open: `reconstruction.npz`. */
  readonly image?: string;
  /** A bundle. */
  readonly bundle?: string;
  /** PNG files, the newest state of what a run draws. */
  readonly pictures: readonly string[];
}

/** More is not listed: a page with a hundred thousand names helps nobody. */
const MOST_FILES = 5000;
const DEEPEST = 6;
const RUN_FILES = ['run.json', 'config.json', 'study.json', 'metrics.json'];

/** A folder, or a file and those beside it. */
export class ServedFolder {
  private constructor(
    /** With all links followed. */
    readonly root: string,
    /** The file that was named, below the folder. */
    readonly opened: string | undefined,
    private readonly deep: boolean,
  ) {}

  /**
   * A folder with all below it; of a file the files beside it, which may belong to it, without folders.
   * @throws PtychoError FILE_NOT_FOUND
   */
  static async open(name: string): Promise<ServedFolder> {
    let real: string;
    try {
      real = await realpath(name);
    } catch (cause) {
      throw new PtychoError('FILE_NOT_FOUND', `There is no file or folder ${name}.`, { path: name }, { cause });
    }
    if ((await stat(real)).isDirectory()) return new ServedFolder(real, undefined, true);
    return new ServedFolder(path.dirname(real), path.basename(real), false);
  }

  /**
   * The real path of a file.
   * @param name with forward slashes, decoded
   * @returns undefined for whatever is not a regular file inside the folder
   */
  async fileAt(name: string): Promise<string | undefined> {
    const parts = name.split('/');
    const odd = parts.some(
      (part) => part === '' || part === '.' || part === '..' || part.startsWith('.') || /[\\\0:]/.test(part),
    );
    if (odd || (!this.deep && parts.length > 1)) return undefined;
    try {
      const real = await realpath(path.join(this.root, ...parts));
      const below = path.relative(this.root, real);
      if (below === '' || below.startsWith('..') || path.isAbsolute(below)) return undefined;
      return (await stat(real)).isFile() ? real : undefined;
    } catch {
      return undefined;
    }
  }

  /** Names of the files, those of upper folders first. */
  async list(): Promise<{ readonly files: readonly ServedFile[]; readonly complete: boolean }> {
    const files: ServedFile[] = [];
    let level = [''];
    for (let depth = 0; depth < (this.deep ? DEEPEST : 1) && level.length > 0; depth++) {
      const next: string[] = [];
      for (const folder of level) {
        const entries = await readdir(path.join(this.root, folder), { withFileTypes: true }).catch(() => []);
        for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
          if (entry.name.startsWith('.')) continue;
          const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
          // Links to folders could lead in circles; those to files are looked at one by one.
          if (entry.isDirectory()) next.push(name);
          else {
            if (files.length === MOST_FILES) return { files, complete: false };
            const real = await this.fileAt(name);
            const found = real && (await stat(real).catch(() => undefined));
            if (found) files.push({ path: name, bytes: found.size, modified_ms: found.mtimeMs });
          }
        }
      }
      level = next;
    }
    return { files, complete: level.length === 0 || !this.deep };
  }

  /** The folders of runs among them, the newest first. */
  async results(): Promise<ServedResult[]> {
    const { files } = await this.list();
    const byFolder = new Map<string, ServedFile[]>();
    for (const file of files) {
      const folder = file.path.includes('/') ? file.path.slice(0, file.path.lastIndexOf('/')) : '';
      byFolder.set(folder, [...(byFolder.get(folder) ?? []), file]);
    }
    const results: ServedResult[] = [];
    for (const [folder, members] of byFolder) {
      const named = (name: string) =>
        members.find(({ path: file }) => file === (folder === '' ? name : `${folder}/${name}`))?.path;
      if (!RUN_FILES.some((name) => named(name) !== undefined)) continue;
      const modified_ms = Math.max(...members.map((file) => file.modified_ms));
      results.push({
        ...{ path: folder, title: folder === '' ? path.basename(this.root) : folder, modified_ms },
        state: await this.#stateOf(named('run.json'), named('config.json')),
        ...{ page: named('index.html'), image: named('reconstruction.npz'), bundle: named('wts.zip') },
        pictures: members.map((file) => file.path).filter((file) => file.endsWith('.png')),
      });
    }
    return results.sort((a, b) => b.modified_ms - a.modified_ms);
  }

  /** `run.json` is written last. */
  async #stateOf(run: string | undefined, config: string | undefined): Promise<ServedResult['state']> {
    const real = run && (await this.fileAt(run));
    if (!real) return config === undefined ? 'done' : 'running';
    try {
      const { cancelled } = JSON.parse(await readTextInput(real, { maxBytes: TABLE_BYTES })) as { cancelled?: unknown };
      return cancelled === true ? 'stopped' : 'done';
    } catch {
      return 'done';
    }
  }
}

/**
 * The tree of an HDF5 file: its groups and datasets, what the links on a path lead to, and what stands there instead of what was asked
 * for.
 */
import { dirname, join } from 'node:path';
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { type NpyOrigin, npyError } from '../npyHeader.js';
import { type Hdf5Library, type Hdf5Module, realPath } from './library.js';
import { escapeError, type Handle, Hdf5Links, leftOpenError, linkAt, type Place, split } from './links.js';

/** Of a group that is looked through. */
const MOST_NAMES = 1000;
const MOST_EXTERNAL = 16;

/** An opened file as far as names, groups and links go. */
export class Hdf5Tree {
  protected readonly links: Hdf5Links;

  constructor(
    readonly path: string,
    library: Hdf5Library,
    allowed?: readonly string[],
  ) {
    this.links = new Hdf5Links(path, library, allowed);
  }

  /** False once the library has crashed on it. */
  get alive(): boolean {
    return this.links.library.alive;
  }

  /** Sentences about files among those opened so far that a writer has open, or died with. */
  get warnings(): string[] {
    return this.links.leftOpen.map(
      (path) =>
        `${path} is still open for writing in another program, or was not closed (h5clear -s says it is): it was read as far as it was written.`,
    );
  }

  /**
   * Names inside a group, in the file's order.
   * @throws PtychoError DATASET_KEY_MISSING, and for links that cannot be followed.
   */
  keys(group = '/'): string[] {
    const place = this.find(group, 'group');
    return this.call(place, this.origin(group), (m) => m.get_names(place.handle.id, place.path, false));
  }

  /**
   * Names inside a group that are groups, too; of many links to other files, the first ones are followed.
   * @throws PtychoError DATASET_KEY_MISSING, and for links that cannot be followed.
   */
  groupsIn(group = '/'): string[] {
    const { handle, path: at } = this.find(group, 'group');
    let external = 0;
    return this.keys(group)
      .slice(0, MOST_NAMES)
      .filter((name) => {
        const { value: link } = this.links.run((m) => linkAt(m, handle.id, `${at === '/' ? '' : at}/${name}`));
        if (typeof link === 'object' && link.file !== undefined && ++external > MOST_EXTERNAL) return false;
        return this.kindOf(`${group}/${name}`) === 'group';
      });
  }

  /** What a path leads to, links followed; undefined for nothing, or for links that lead nowhere. */
  kindOf(path: string): 'group' | 'dataset' | undefined {
    try {
      const place = this.links.follow(path);
      return place && this.kindAt(place);
    } catch (error) {
      if (isPtychoError(error) && this.alive) return undefined;
      throw error;
    }
  }

  /** True when there is a dataset at a path that can be reached. */
  has(path: string): boolean {
    return this.kindOf(path) === 'dataset';
  }

  /** Why the links of a path cannot be followed: they lead out of the folder, or nowhere; undefined where they can. */
  problemAt(path: string): PtychoError | undefined {
    try {
      this.links.follow(path);
      return undefined;
    } catch (error) {
      if (isPtychoError(error) && this.alive) return error;
      throw error;
    }
  }

  /**
   * The first of some paths at which there is a dataset; undefined when there is none.
   * @throws PtychoError where there is none, but a link to one that cannot be followed: FORMAT_UNSUPPORTED, FILE_NOT_FOUND.
   */
  firstDataset(paths: readonly string[]): string | undefined {
    const found = paths.find((path) => this.has(path));
    if (found !== undefined) return found;
    for (const path of paths) {
      const problem = this.problemAt(path);
      if (problem !== undefined) throw problem;
    }
    return undefined;
  }

  /**
   * All places that a path stands for: itself, those on the way of its links, the object in the end with its address, and the
   * sources of a virtual dataset. Two paths that share a place name the same data.
   */
  placesOf(path: string): string[] {
    const places: string[] = [];
    const name = (handle: Handle, at: string) => `${realPath(handle.path)}:/${split(at).join('/')}`;
    try {
      const place = this.links.follow(path, (at) => places.push(name(at.handle, at.path)));
      if (place === undefined) return places;
      const { value: address } = this.links.run((m) =>
        Buffer.from(m.create_object_reference(place.handle.id, place.path) as Uint8Array).toString('hex'),
      );
      if (address !== undefined) places.push(`${realPath(place.handle.path)}@${address}`);
      if (this.kindAt(place) !== 'dataset') return places;
      const { value } = this.links.run((m) => m.get_dataset_metadata(place.handle.id, place.path).virtual_sources);
      for (const source of value ?? []) {
        const folder = dirname(realPath(place.handle.path));
        const file = source.file_name === '.' ? place.handle.path : join(folder, source.file_name);
        places.push(`${realPath(file)}:/${split(source.dset_name).join('/')}`);
      }
      return places;
    } catch (error) {
      if (isPtychoError(error) && this.alive) return places;
      throw error;
    }
  }

  /**
   * Paths of all datasets, external links to datasets included; at most `most` links are looked at.
   * @throws PtychoError FILE_FORMAT
   */
  datasets(most = 10_000): string[] {
    const place = { handle: this.links.root, path: '/' };
    const names = this.call(place, this.origin(), (m) => m.get_names(this.links.root.id, '/', true));
    return names
      .slice(0, most)
      .map((name) => `/${name}`)
      .filter((path) => this.has(path));
  }

  /** Sentences about links that lead out of the folder, or to files that are not there; at most `most` links are looked at. */
  brokenLinks(most = 1000): string[] {
    const place = { handle: this.links.root, path: '/' };
    const names = this.call(place, this.origin(), (m) => m.get_names(this.links.root.id, '/', true));
    return names.slice(0, most).flatMap((name) => {
      const found = this.problemAt(`/${name}`)?.fields;
      return found === undefined ? [] : [`/${name} to ${String(found.found ?? found.path)}`];
    });
  }

  /** For messages about an object of this file. */
  origin(path?: string): NpyOrigin {
    return { path: this.path, member: path };
  }

  /** Calls the library about an object; whatever goes wrong becomes an error about it. */
  protected call<T>(place: Place, origin: NpyOrigin, work: (module: Hdf5Module) => T): T {
    const { value, causes, refused } = this.links.run(work);
    if (refused.length > 0) throw escapeError(origin, refused[0]);
    if (value === undefined || causes.length > 0) {
      if (place.handle.leftOpen) throw leftOpenError(origin, place.handle.path);
      const reason = causes.at(-1) ?? 'the HDF5 library gives no reason';
      const where = place.handle === this.links.root ? '' : ` (in ${place.handle.path})`;
      throw npyError(
        'FILE_FORMAT',
        origin,
        `cannot be read${where}: ${reason}; the file is damaged or incomplete, so copy or write it again.`,
        { reason },
      );
    }
    return value;
  }

  protected find(path: string, kind?: 'group' | 'dataset'): Place {
    const place = this.links.follow(path);
    const found = place && this.kindAt(place);
    if (place !== undefined && found !== undefined && (kind === undefined || kind === found)) return place;
    const what = found === undefined ? `nothing at "${path}"` : `a ${found} at "${path}", where a ${kind} was expected`;
    throw new PtychoError('DATASET_KEY_MISSING', `${this.path} has ${what}; ${this.nearest(path)}.`, {
      path: this.path,
      key: path,
    });
  }

  /** What there is instead: the names in the deepest group of a path that exists. */
  private nearest(path: string): string {
    for (let parts = split(path); parts.length > 0; parts = parts.slice(0, -1)) {
      const group = `/${parts.slice(0, -1).join('/')}`;
      if (this.kindOf(group) !== 'group') continue;
      const names = this.keys(group);
      const some = names.slice(0, 20).join(', ') + (names.length > 20 ? ', …' : '');
      return `the group ${group} holds ${some || 'nothing'}`;
    }
    return 'the file is empty';
  }

  private kindAt({ handle, path }: Place): 'group' | 'dataset' | undefined {
    const { value } = this.links.run((m) => {
      const type = m.get_type(handle.id, path);
      return type === m.H5G_GROUP ? 'group' : type === m.H5G_DATASET ? 'dataset' : undefined;
    });
    return value;
  }
}

/**
 * HDF5 files, read only: groups, links, attributes, headers of datasets and their values in bounded pieces.
 *
 * Untrusted files stay in their folder: external links, virtual datasets and raw data files are followed where they lie in
 * the folder of the opened file or below it, in folders that the caller allows, and nowhere else. A file that a writer has left
 * open is read as far as it was flushed. Arrays of MATLAB 7.3, which are column-major, come as MATLAB shows them. h5wasm does not tell how much of a dataset is stored, so a
 * declared size is compared with the size of the file.
 *
 * @example
 * const file = await openHdf5('scan.h5');
 * try { console.log(file.header('/entry/data/data').shape); } finally { file.close(); }
 */
import { existsSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { type ComplexTensor, formatShape, sizeOf } from '../../core/tensor.js';
import { lettersOf } from '../byteSource.js';
import { withFileSource } from '../fileSource.js';
import { expectComplex64, expectReal, type NpyArray, NpyDecoder, type RealNpyArray } from '../npy.js';
import { type NpyOrigin, npyError } from '../npyHeader.js';
import { arrayOfAttribute, type Hdf5Value, readStrings, valueOfAttribute } from './attributes.js';
import { Hdf5Engine, type Hdf5Module, realPath } from './engine.js';
import { checkFilters, checkSize, type Hdf5Header, numbersOf, slabs } from './header.js';
import { escapeError, type Handle, Hdf5Links, leftOpenError, linkAt, type Place, split } from './links.js';
import { filterOf, type Hdf5Metadata, typeOf } from './types.js';

export type { Hdf5Value } from './attributes.js';
export type { Hdf5Header } from './header.js';

const MAX_WHOLE_BYTES = 2 ** 30;
/** What MATLAB writes beside every array. */
const MATLAB_ATTRIBUTE = 'MATLAB_class';
/** Of a group that is looked through. */
const MOST_NAMES = 1000;
const MOST_EXTERNAL = 16;
const SIGNATURE = '\x89HDF\r\n\x1a\n';

/** How files begin that MATLAB saved without `-v7.3`. */
const MATLAB_5 = 'MATLAB 5.0 MAT-file';

/** @throws PtychoError FORMAT_UNSUPPORTED for a MATLAB file of level 5, which is no HDF5 file; FILE_NOT_FOUND. */
export async function refuseMatlab5(path: string): Promise<void> {
  const head = await withFileSource(path, (source) => source.read(0, MATLAB_5.length));
  if (lettersOf(head) !== MATLAB_5) return;
  throw new PtychoError(
    'FORMAT_UNSUPPORTED',
    `${path} is a MATLAB file of level 5, which is not read; save it in MATLAB with -v7.3, which is HDF5.`,
    { path, expected: 'hdf5' },
  );
}

/** True when a file begins with HDF5's signature, or has it behind a user block. @throws PtychoError FILE_NOT_FOUND */
export function isHdf5File(path: string): Promise<boolean> {
  return withFileSource(path, async (source) => {
    for (let at = 0; at + 8 <= source.size; at = at === 0 ? 512 : 2 * at) {
      if (lettersOf(await source.read(at, 8)) === SIGNATURE) return true;
    }
    return false;
  });
}

/**
 * Opens a file for reading; `close` it when done.
 * @param allowed folders that its links may lead to, besides its own
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT; FORMAT_UNSUPPORTED for MATLAB files of level 5.
 */
export async function openHdf5(path: string, allowed?: readonly string[]): Promise<Hdf5File> {
  const isHdf5 = await isHdf5File(path);
  const { size } = statSync(path);
  if (size === 0) throw new PtychoError('FILE_TRUNCATED', `${path} is empty; copy or write it again.`, { path });
  if (!isHdf5) {
    await refuseMatlab5(path);
    throw new PtychoError('FILE_FORMAT', `${path} is not an HDF5 file: its signature is missing.`, {
      path,
      expected: 'hdf5',
    });
  }
  return new Hdf5File(path, await Hdf5Engine.current(), allowed);
}

/**
 * Opens a file for something that goes on reading it: `work` hands it over in its result; it is closed when `work` throws.
 * @throws PtychoError as {@link openHdf5}, and what `work` throws.
 */
export async function keepHdf5<T>(
  path: string,
  work: (file: Hdf5File) => T | Promise<T>,
  allowed?: readonly string[],
): Promise<T> {
  const file = await openHdf5(path, allowed);
  try {
    return await work(file);
  } catch (error) {
    file.close();
    throw error;
  }
}

/** An opened file. */
export class Hdf5File {
  private readonly links: Hdf5Links;
  private readonly closing: (() => void)[] = [];

  /** @internal use {@link openHdf5} */
  constructor(
    readonly path: string,
    engine: Hdf5Engine,
    allowed?: readonly string[],
  ) {
    this.links = new Hdf5Links(path, engine, allowed);
  }

  /** False once the library has crashed on it. */
  get alive(): boolean {
    return this.links.engine.alive;
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

  /**
   * Attributes of a group or dataset; those of types that are not read are left out.
   * @throws PtychoError DATASET_KEY_MISSING, FILE_FORMAT.
   */
  attributes(path = '/'): Record<string, Hdf5Value> {
    const place = this.find(path);
    const { id } = place.handle;
    return this.call(place, this.origin(path), (m) => {
      const found: Record<string, Hdf5Value> = {};
      for (const name of m.get_attribute_names(id, place.path)) {
        const value = valueOfAttribute(m, id, place.path, name);
        if (value !== undefined) found[name] = value;
      }
      return found;
    });
  }

  /**
   * An attribute's real numbers with their shape; undefined where there is no such attribute, or one of another type.
   * @throws PtychoError DATASET_KEY_MISSING, FILE_FORMAT.
   */
  attributeArray(path: string, name: string): RealNpyArray | undefined {
    const place = this.find(path);
    const { id } = place.handle;
    const { value } = this.call(place, this.origin(path), (m) => {
      const there = m.get_attribute_names(id, place.path).includes(name);
      return { value: there ? arrayOfAttribute(m, id, place.path, name) : undefined };
    });
    return value;
  }

  /**
   * What a dataset declares.
   * @throws PtychoError DATASET_KEY_MISSING; FORMAT_UNSUPPORTED for filters that are not there, chunks too large to inflate
   * and sources outside of the file's folder; FILE_FORMAT for sizes that the file cannot hold.
   */
  header(path: string): Hdf5Header {
    const place = this.find(path, 'dataset');
    const { handle } = place;
    const origin = this.origin(path);
    const { metadata, filters, columnMajor } = this.call(place, origin, (m) => ({
      columnMajor: m.get_attribute_names(handle.id, place.path).includes(MATLAB_ATTRIBUTE),
      metadata: m.get_dataset_metadata(handle.id, place.path),
      filters: m.get_dataset_filters(handle.id, place.path).map(({ id, name }) => filterOf(id, name)),
    }));
    const type = typeOf(metadata);
    const shape = metadata.shape ?? [0];
    const header: Hdf5Header = {
      path,
      file: handle.path,
      type,
      shape,
      chunks: metadata.chunks ?? undefined,
      filters,
      virtual: metadata.virtual_sources !== undefined,
      columnMajor,
      dataBytes: sizeOf(shape) * type.itemSize,
      fileBytes: handle.bytes,
      place,
    };
    checkSize(header, origin);
    checkFilters(header, origin);
    this.checkSources(metadata, place, origin);
    return header;
  }

  /**
   * A whole dataset, in slabs; numbers or text. Arrays of MATLAB have their axes in the order in which MATLAB shows them.
   * @throws PtychoError as {@link header}; FORMAT_UNSUPPORTED beyond `maxBytes` and for types that are not read.
   */
  read(path: string, maxBytes = MAX_WHOLE_BYTES): NpyArray {
    const header = this.header(path);
    const origin = this.origin(path);
    const { type, shape, dataBytes, columnMajor } = header;
    if (dataBytes > maxBytes) {
      throw npyError(
        'FORMAT_UNSUPPORTED',
        origin,
        `of shape ${formatShape(shape)} takes ${dataBytes} bytes, more than the ${maxBytes} that are read at once.`,
        { found: dataBytes, expected: maxBytes },
      );
    }
    if (type.kind === 'text') {
      const { handle, path: at } = header.place;
      const strings = this.call(header.place, origin, (m) => readStrings(m, handle.id, at));
      return { kind: 'text', dtype: 'str', strings, shape };
    }
    const { dtype, itemSize } = numbersOf(header, origin);
    const axes = columnMajor ? { shape: [...shape].reverse(), fortranOrder: true } : { shape, fortranOrder: false };
    const decoder = new NpyDecoder({ dtype, itemSize, dataBytes, littleEndian: true, dataOffset: 0, ...axes }, origin);
    for (const { start, count } of slabs(shape, itemSize)) {
      this.readBlock(header, start, count, (bytes) => decoder.push(bytes));
    }
    return decoder.finish();
  }

  /** A whole dataset of real numbers; see {@link read}. @throws PtychoError DATASET_VALUE otherwise. */
  readReal(path: string, maxBytes?: number): RealNpyArray {
    return expectReal(this.read(path, maxBytes), this.origin(path));
  }

  /** A whole dataset as complex numbers in single precision; see {@link read}. @throws PtychoError DATASET_VALUE for text. */
  readComplex64(path: string, maxBytes?: number): ComplexTensor {
    return expectComplex64(this.read(path, maxBytes), this.origin(path));
  }

  /**
   * Hands over the bytes of a block (little endian, C order) as a view that is valid during the call only.
   * @internal
   */
  readBlock(
    header: Hdf5Header,
    start: readonly number[],
    count: readonly number[],
    take: (bytes: Uint8Array) => void,
  ): void {
    const origin = this.origin(header.path);
    const { place } = header;
    // The filters of a virtual dataset are those of its sources.
    if (header.virtual || header.filters.some((filter) => filter.source === 'plugin')) this.links.engine.usePlugins();
    const bytes = sizeOf(count) * header.type.itemSize;
    if (bytes === 0) return;
    this.call(place, origin, (m) => {
      const at = m._malloc(bytes);
      if (at === 0) {
        throw npyError(
          'FORMAT_UNSUPPORTED',
          origin,
          `needs ${bytes} bytes of memory that the HDF5 library cannot get.`,
        );
      }
      try {
        // A single value has no axes to select along.
        const [offsets, counts, steps] =
          count.length === 0 ? [null, null, null] : [start.map(BigInt), count.map(BigInt), count.map(() => 1n)];
        if (m.get_dataset_data(place.handle.id, place.path, counts, offsets, steps, BigInt(at)) < 0) return false;
        take(m.HEAPU8.subarray(at, at + bytes));
        return true;
      } finally {
        m._free(at);
      }
    });
  }

  /** Has something done when the file is closed. @internal */
  beforeClose(action: () => void): void {
    this.closing.push(action);
  }

  /** Closes the file and those behind its links. */
  close(): void {
    for (const action of this.closing.splice(0)) action();
    this.links.close();
  }

  /** For messages about an object of this file. */
  origin(path?: string): NpyOrigin {
    return { path: this.path, member: path };
  }

  /** Calls the library about an object; whatever goes wrong becomes an error about it. */
  private call<T>(place: Place, origin: NpyOrigin, work: (module: Hdf5Module) => T): T {
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

  private find(path: string, kind?: 'group' | 'dataset'): Place {
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

  /** Checks the sources of a virtual dataset: the library would read zeros for the missing ones. */
  private checkSources(metadata: Hdf5Metadata, { handle }: Place, origin: NpyOrigin): void {
    for (const { file_name: name } of metadata.virtual_sources ?? []) {
      // `%b` stands for a number, so there is no one file to look for; the guard watches over what is opened.
      if (name === '.' || name.includes('%')) continue;
      const target = isAbsolute(name) ? name : join(dirname(realPath(handle.path)), name);
      if (!this.links.mayOpen(target)) throw escapeError(origin, target);
      if (existsSync(target)) continue;
      throw npyError(
        'FILE_NOT_FOUND',
        origin,
        `is put together from other files, of which ${target} does not exist; copy it to the same folder.`,
        { found: name },
      );
    }
  }
}

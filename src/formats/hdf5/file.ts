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
import { PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import { type ComplexTensor, formatShape, sizeOf } from '../../core/tensor.js';
import { lettersOf } from '../byteSource.js';
import { withFileSource } from '../fileSource.js';
import { expectComplex64, expectReal, type NpyArray, NpyDecoder, type RealNpyArray } from '../npy.js';
import { headerOfData, type NpyOrigin, npyError } from '../npyHeader.js';
import { arrayOfAttribute, type Hdf5Value, readStrings, valueOfAttribute } from './attributes.js';
import {
  checkFilters,
  checkSize,
  filterOf,
  type Hdf5Header,
  type Hdf5Metadata,
  numbersOf,
  slabs,
  typeOf,
} from './header.js';
import { Hdf5Library, realPath } from './library.js';
import { escapeError, type Place } from './links.js';
import { Hdf5Tree } from './tree.js';

export type { Hdf5Value } from './attributes.js';
export type { Hdf5Header } from './header.js';

const MAX_WHOLE_BYTES = 2 ** 30;
/** What MATLAB writes beside every array. */
const MATLAB_ATTRIBUTE = 'MATLAB_class';
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
  return new Hdf5File(path, await Hdf5Library.current(), allowed);
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

/** Hands an opened file to `work` and closes it afterwards. @throws PtychoError as {@link openHdf5}, and what `work` throws */
export async function usingHdf5<T>(
  path: string,
  work: (file: Hdf5File) => T | Promise<T>,
  allowed?: readonly string[],
): Promise<T> {
  return closing(await openHdf5(path, allowed), work);
}

/** An opened file. */
export class Hdf5File extends Hdf5Tree {
  private readonly closing: (() => void)[] = [];

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
    const axes = columnMajor ? [...shape].reverse() : shape;
    const decoder = new NpyDecoder(headerOfData(dtype, itemSize, axes, columnMajor), origin);
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
    if (header.virtual || header.filters.some((filter) => filter.source === 'plugin')) this.links.library.usePlugins();
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

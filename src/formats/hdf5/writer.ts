/**
 * Writes HDF5 files that h5py reads: arrays at once or growing row by row, gzip, attributes, groups, hard links. Everything
 * goes to a temporary name beside the target, which appears only when complete.
 *
 * Complex numbers are h5py's records {r, i}; bool becomes uint8, for h5wasm writes no enumerations; shuffle is not
 * available, for h5wasm sets one filter a dataset. Equal content gives equal bytes: the times that HDF5 keeps are all one.
 *
 * @example
 * const file = await Hdf5Writer.create('scan.h5');
 * file.growing('/patterns', 'uint16', [128, 128], { gzip: 4 });
 * file.append('/patterns', { data: new Uint16Array(2 * 128 * 128), shape: [2, 128, 128] });
 * file.attributes('/patterns', { measurement_domain: 'count_intensity' });
 * await file.close();
 */
import { dirname } from 'node:path';
import { PtychoError } from '../../core/errors.js';
import { formatShape, type NumericArray, type Shape, sameShape, sizeOf } from '../../core/tensor.js';
import { itemSizeOf } from '../npyHeader.js';
import { type NpyInput, npyBytes, type RealNpyInput } from '../npyWrite.js';
import { TemporaryFile, writeReason } from '../replaceFile.js';
import { dtypeMetadata, type Hdf5WriteDtype, SLAB_BYTES, slabs, textMetadata, writeDtypeOf } from './header.js';
import { type Hdf5Access, Hdf5Library, type Hdf5Module, realPath, withBytes, withMemory } from './library.js';
import { split } from './links.js';

export type { Hdf5WriteDtype } from './header.js';

/** What an attribute can be: single numbers are written as float64, typed arrays in their own type, arrays with their shape. */
export type Hdf5AttributeInput =
  | string
  | number
  | boolean
  | readonly string[]
  | readonly number[]
  | NumericArray
  | RealNpyInput;

/** How a dataset is stored. */
export interface Hdf5StorageOptions {
  /** Shape of the pieces it is stored in; with `gzip`, and for growing datasets, one row by default. */
  readonly chunks?: Shape;
  /** Level 1 (fast) to 9. */
  readonly gzip?: number;
  /** Another compression, by the number registered with the HDF Group; readers need its plugin (hdf5plugin in Python). */
  readonly filter?: { readonly id: number; readonly options: readonly number[] };
}

interface Growing {
  readonly rowShape: Shape;
  readonly dtype: Hdf5WriteDtype;
  count: number;
}

/** A file in the making; end with `close`, or with `abort` to leave nothing. */
export class Hdf5Writer {
  private readonly known = new Set<string>(['/']);
  private readonly grown = new Map<string, Growing>();
  private open = true;

  private constructor(
    readonly path: string,
    private readonly temporary: TemporaryFile,
    private readonly library: Hdf5Library,
    private readonly access: Hdf5Access,
    private readonly id: bigint,
  ) {}

  /** Begins a file. @throws PtychoError OUTPUT_UNWRITABLE */
  static async create(path: string): Promise<Hdf5Writer> {
    const library = await Hdf5Library.current();
    // Made by the file system, which says better than HDF5 what is wrong.
    const temporary = await TemporaryFile.beside(path);
    const access = { folders: [realPath(dirname(temporary.path))], write: true };
    const {
      value: id = -1n,
      causes,
      writeError,
    } = library.run(path, access, (m) => m.open(temporary.path, m.H5F_ACC_TRUNC, false, -1, -1));
    if (id < 0n) {
      await temporary.discard();
      throw unwritable(path, reasonOf(path, causes, writeError));
    }
    return new Hdf5Writer(path, temporary, library, access, id);
  }

  /** Makes a group and those above it. @throws PtychoError OUTPUT_UNWRITABLE */
  group(path: string): void {
    let at = '';
    for (const name of split(path)) {
      at += `/${name}`;
      if (this.known.has(at)) continue;
      this.call(`the group ${at}`, (m) => m.create_group(this.id, at, false));
      this.known.add(at);
    }
  }

  /**
   * Writes an array, or text; groups on the way are made.
   * @throws PtychoError OUTPUT_UNWRITABLE, DATASET_SHAPE when data and shape disagree, DATASET_VALUE.
   */
  write(path: string, input: NpyInput, storage: Hdf5StorageOptions = {}): void {
    const { shape } = input;
    if ('strings' in input) {
      npyBytes(input);
      const metadata = { ...textMetadata(), ...extent(shape) };
      this.create(path, (m, name) => m.create_vlen_str_dataset(this.id, name, [...input.strings], metadata));
      return;
    }
    const dtype = writeDtypeOf(input);
    const itemSize = itemSizeOf(dtype);
    const { values } = npyBytes(input);
    const pieces = storage.chunks !== undefined || compressed(storage) || sizeOf(shape) * itemSize > SLAB_BYTES;
    const metadata = dtypeMetadata(dtype);
    if (pieces && sizeOf(shape) > 0 && shape.length > 0) {
      const chunks = storage.chunks ?? [rowsInMegabyte(shape, itemSize, compressed(storage)), ...shape.slice(1)];
      this.createEmpty(path, dtype, [0, ...shape.slice(1)], shape, { ...storage, chunks });
      this.call(path, (m) => m.resize_dataset(this.id, absolute(path), shape.map(BigInt) as bigint[]));
      this.fill(path, input, 0);
      return;
    }
    const whole = Buffer.concat([...values()]);
    this.create(path, (m, name) =>
      withBytes(m, whole, (at) => m.create_dataset(this.id, name, BigInt(at), { ...metadata, ...extent(shape) })),
    );
  }

  /**
   * Begins a dataset without rows, which {@link append} adds.
   * @param rowShape shape of a row: [height, width] for frames
   * @throws PtychoError OUTPUT_UNWRITABLE
   */
  growing(path: string, dtype: Hdf5WriteDtype, rowShape: Shape, storage: Hdf5StorageOptions = {}): void {
    const chunks = storage.chunks ?? [1, ...rowShape];
    this.createEmpty(path, dtype, [0, ...rowShape], [null, ...rowShape], { ...storage, chunks });
    this.grown.set(absolute(path), { rowShape, dtype, count: 0 });
  }

  /**
   * Adds rows to a growing dataset.
   * @throws PtychoError DATASET_SHAPE or DATASET_VALUE for rows of another shape or type, OUTPUT_UNWRITABLE.
   */
  append(path: string, rows: Exclude<NpyInput, { strings: unknown }>): void {
    const grown = this.grown.get(absolute(path));
    if (grown === undefined) throw unwritable(this.path, `"${path}" is no growing dataset of it`);
    const dtype = writeDtypeOf(rows);
    if (dtype !== grown.dtype || !sameShape(rows.shape.slice(1), grown.rowShape)) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `Rows of shape ${formatShape(rows.shape)} and type ${dtype} cannot be added to "${path}" of ${this.path}, which takes (n, ${grown.rowShape.join(', ')}) of ${grown.dtype}.`,
        { path: this.path, key: path, found: rows.shape, expected: grown.rowShape },
      );
    }
    npyBytes(rows);
    const from = grown.count;
    grown.count += rows.shape[0];
    this.call(path, (m) => m.resize_dataset(this.id, absolute(path), [grown.count, ...grown.rowShape].map(BigInt)));
    this.fill(path, rows, from);
  }

  /** Attaches attributes to a dataset or group (`/` is the file). @throws PtychoError OUTPUT_UNWRITABLE */
  attributes(path: string, values: Readonly<Record<string, Hdf5AttributeInput>>): void {
    for (const [name, value] of Object.entries(values)) {
      const where = `the attribute ${name} of ${path}`;
      if (typeof value === 'string' || (Array.isArray(value) && typeof value[0] === 'string')) {
        const strings = typeof value === 'string' ? [value] : [...(value as readonly string[])];
        const metadata = { ...textMetadata(), ...extent(typeof value === 'string' ? [] : [strings.length]) };
        this.call(where, (m) => m.create_vlen_str_attribute(this.id, absolute(path), name, strings, metadata));
        continue;
      }
      const array = attributeArray(value as Exclude<Hdf5AttributeInput, string | readonly string[]>);
      const metadata = { ...dtypeMetadata(writeDtypeOf(array)), ...extent(array.shape) };
      const bytes = Buffer.concat([...npyBytes(array).values()]);
      this.call(where, (m) =>
        withBytes(m, bytes, (at) => m.create_attribute(this.id, absolute(path), name, BigInt(at), metadata)),
      );
    }
  }

  /** Makes `path` another name of `target`, which exists already. @throws PtychoError OUTPUT_UNWRITABLE */
  link(target: string, path: string): void {
    this.create(path, (m, name) => m.create_hard_link(this.id, absolute(target), name));
  }

  /** Completes the file and puts it in place. @throws PtychoError OUTPUT_UNWRITABLE (nothing is left behind) */
  async close(): Promise<void> {
    if (!this.open) return;
    try {
      this.call('the end of the file', (m) => m.close_file(this.id));
      this.open = false;
      await this.temporary.commit();
    } catch (cause) {
      await this.abort();
      throw cause;
    }
  }

  /** Gives up: the temporary file goes, the target stays as it was. */
  async abort(): Promise<void> {
    if (this.open && this.library.alive) this.library.run(this.path, this.access, (m) => m.close_file(this.id));
    this.open = false;
    await this.temporary.discard();
  }

  private createEmpty(
    path: string,
    dtype: Hdf5WriteDtype,
    shape: Shape,
    maxShape: readonly (number | null)[],
    { chunks, gzip, filter }: Hdf5StorageOptions,
  ): void {
    const compression = gzip !== undefined ? { id: 1, options: [gzip] } : filter;
    if (filter !== undefined) this.library.usePlugins();
    const metadata = {
      ...dtypeMetadata(dtype),
      ...extent(shape),
      maxshape: maxShape.map((length) => (length === null ? UNLIMITED : BigInt(length))),
      chunks: chunks?.map(BigInt),
      compression: compression?.id ?? 0,
      compression_opts: [...(compression?.options ?? [])],
    };
    this.create(path, (m, name) =>
      withBytes(m, new Uint8Array(1), (at) => m.create_dataset(this.id, name, BigInt(at), metadata as never)),
    );
  }

  /** Writes the values of `input` to the rows from `first` on, in slabs. */
  private fill(path: string, input: Exclude<NpyInput, { strings: unknown }>, first: number): void {
    const itemSize = itemSizeOf(writeDtypeOf(input));
    const stream = npyBytes(input).values()[Symbol.iterator]();
    let piece: Uint8Array = new Uint8Array(0);
    for (const { start, count } of slabs(input.shape, itemSize)) {
      const bytes = sizeOf(count) * itemSize;
      if (bytes === 0) continue;
      this.call(path, (m) =>
        withMemory(m, bytes, (at) => {
          for (let done = 0; done < bytes; ) {
            if (piece.length === 0) piece = stream.next().value as Uint8Array;
            const part = piece.subarray(0, bytes - done);
            m.HEAPU8.set(part, at + done);
            done += part.length;
            piece = piece.subarray(part.length);
          }
          const from = [start[0] + first, ...start.slice(1)];
          const steps = count.map(() => 1n);
          return m.set_dataset_data(this.id, absolute(path), count.map(BigInt), from.map(BigInt), steps, BigInt(at));
        }),
      );
    }
  }

  private create(path: string, work: (m: Hdf5Module, name: string) => number): void {
    const name = absolute(path);
    if (this.known.has(name)) throw unwritable(this.path, `${name} exists already`);
    this.group(split(path).slice(0, -1).join('/'));
    this.call(name, (m) => work(m, name));
    this.known.add(name);
  }

  private call(what: string, work: (m: Hdf5Module) => number): void {
    if (!this.open) throw unwritable(this.path, 'it is closed already');
    const { value, causes, writeError } = this.library.run(this.path, this.access, work);
    if (writeError !== undefined) throw unwritable(this.path, reasonOf(this.path, [], writeError));
    if (causes.length > 0 || value === undefined || value < 0) {
      throw unwritable(this.path, `${what}: ${reasonOf(this.path, causes)}`);
    }
  }
}

/** An attribute's numbers with their shape. */
function attributeArray(value: Exclude<Hdf5AttributeInput, string | readonly string[]>): RealNpyInput {
  if (typeof value === 'boolean') return { data: Uint8Array.of(value ? 1 : 0), shape: [] };
  if (typeof value === 'number') return { data: Float64Array.of(value), shape: [] };
  if ('shape' in value) return value;
  const data = ArrayBuffer.isView(value) ? (value as NumericArray) : Float64Array.from(value);
  return { data, shape: [data.length] };
}

const UNLIMITED = 2n ** 64n - 1n;

const absolute = (path: string): string => `/${split(path).join('/')}`;

const extent = (shape: Shape) => ({
  shape: shape.map(BigInt),
  maxshape: shape.map(BigInt),
  chunks: null,
  total_size: sizeOf(shape),
});

const compressed = ({ gzip, filter }: Hdf5StorageOptions): boolean => gzip !== undefined || filter !== undefined;

/** Chunks of about a megabyte; one row where it is compressed, so that a row can be read without its neighbours. */
function rowsInMegabyte(shape: Shape, itemSize: number, isCompressed: boolean): number {
  const rowBytes = sizeOf(shape.slice(1)) * itemSize;
  const rows = isCompressed && shape.length > 2 ? 1 : Math.max(1, Math.floor(2 ** 20 / rowBytes));
  return Math.min(shape[0], rows);
}

/** What the file system says comes before what the library makes of it. */
const reasonOf = (path: string, causes: readonly string[], writeError?: Error): string =>
  writeError ? writeReason(path, writeError) : (causes.at(-1) ?? 'the HDF5 library gives no reason');

function unwritable(path: string, reason: string): PtychoError {
  return new PtychoError('OUTPUT_UNWRITABLE', `Cannot write ${path}: ${reason}.`, { path });
}

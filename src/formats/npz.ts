/**
 * NumPy `.npz` archives: an array's header costs a few bytes, rows of stored arrays are read straight from their place in the
 * file, whole arrays pass through in bounded pieces. Pickled objects are never loaded.
 *
 * Row access on a compressed array cannot start in the middle: such an array is inflated once, on first use, into a temporary
 * file that is gone after `close`. An array in Fortran order is kept in memory (in its own type) when it takes no more than
 * `maxResidentBytes`; beyond that the error says how to save it.
 *
 * @example
 * const npz = await openNpz('scan.npz');
 * try {
 *   const rows = await npz.readRows('diffraction', [0, 5, 6]);
 * } finally {
 *   await npz.close();
 * }
 */
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { rowsAt } from '../core/numbers.js';
import { type ComplexTensor, sizeOf } from '../core/tensor.js';
import { decoderOf, expectComplex64, expectReal, type NpyArray, NpyDecoder, type RealNpyArray } from './npy.js';
import {
  checkDataBytes,
  checkRows,
  type NpyHeader,
  type NpyOrigin,
  npyError,
  npyHeaderLength,
  PREFIX_BYTES,
  parseNpyHeader,
  runsOf,
} from './npyHeader.js';
import { type NpyInput, npyBytes, type StreamedNpyInput, streamedNpyBytes } from './npyWrite.js';
import { checkRatio, type ScratchFile, spillMember } from './scratchFile.js';
import { type StreamedZipEntry, writeZip, type ZipEntry } from './zip.js';
import { ZipArchive } from './zipArchive.js';

/** Options of {@link openNpz}. */
export interface NpzOptions {
  /** The most bytes that one array may take in memory; default 3 GiB (Node 20 cannot have 4 GiB in one piece). */
  readonly maxResidentBytes?: number;
}

/** Rows of an array's first axis: their indices in any order, or a run of them. */
export type RowSelection = ArrayLike<number> | { readonly start: number; readonly count: number };

/** How rows of an array are reached: by reads from disk, or from memory after the array was read once. */
export type RowAccess = 'positional' | 'resident';

/** A compressed array is read whole only when it inflates to less than this many times its size (or is small). */
const MAX_WHOLE_RATIO = 100;

const HEAD_BYTES = 1024;
/** Arrays that are gathered before they are written; larger ones are streamed. */
const WHOLE_BYTES = 1 << 24;
const READS_AT_ONCE = 32;

/**
 * Opens an archive for reading; `close` it when done.
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT.
 */
export async function openNpz(path: string, options: NpzOptions = {}): Promise<NpzFile> {
  return new NpzFile(await ZipArchive.open(path), options.maxResidentBytes ?? 3 * 2 ** 30);
}

/** Hands an opened archive to `work` and closes it afterwards. @throws PtychoError as {@link openNpz}, and what `work` throws */
export async function usingNpz<T>(
  path: string,
  work: (npz: NpzFile) => T | Promise<T>,
  options?: NpzOptions,
): Promise<T> {
  return closing(await openNpz(path, options), work);
}

/** An opened archive. Reads may overlap in time. */
export class NpzFile {
  readonly path: string;
  /** Names of the arrays, without `.npy`, in the archive's order. */
  readonly keys: readonly string[];
  private readonly headers = new Map<string, Promise<NpyHeader>>();
  private readonly residents = new Map<string, Promise<NpyArray>>();
  private readonly spilled = new Map<string, Promise<ScratchFile>>();

  /** @internal use {@link openNpz} */
  constructor(
    private readonly zip: ZipArchive,
    private readonly maxResidentBytes: number,
  ) {
    this.path = zip.path;
    this.keys = [...zip.members.keys()].filter((name) => name.endsWith('.npy')).map((name) => name.slice(0, -4));
  }

  /** True when the archive holds an array of this name. */
  has(key: string): boolean {
    return this.zip.members.has(`${key}.npy`);
  }

  /** True when the array is compressed. */
  isCompressed(key: string): boolean {
    return this.zip.members.get(this.memberOf(key))!.method !== 'stored';
  }

  /**
   * Shape, dtype and order of an array, without its data; the sizes that header and archive declare are compared.
   * @throws PtychoError DATASET_KEY_MISSING, FILE_TRUNCATED, FILE_FORMAT, FORMAT_UNSUPPORTED (object, structured, …).
   */
  async header(key: string): Promise<NpyHeader> {
    const member = this.memberOf(key);
    return once(this.headers, key, () => this.readHeader(key, member));
  }

  /**
   * A whole array in C order, its CRC-32 checked. `axes` transposes it while it is read: the result's axis a is the file's
   * axis `axes[a]`.
   * @throws PtychoError as {@link header}; FORMAT_UNSUPPORTED beyond `maxResidentBytes`.
   */
  async read(key: string, axes?: readonly number[]): Promise<NpyArray> {
    const header = await this.header(key);
    const origin = this.origin(key);
    const member = this.memberOf(key);
    if (header.dataBytes > this.maxResidentBytes) {
      throw npyError(
        'FORMAT_UNSUPPORTED',
        origin,
        `takes ${gib(header.dataBytes)} in memory, more than the ${gib(this.maxResidentBytes)} that are allowed; save it in C order and with the patterns first (numpy.ascontiguousarray), so that patterns are read from disk one by one.`,
        { found: header.dataBytes, expected: this.maxResidentBytes },
      );
    }
    checkRatio(this.zip, member, MAX_WHOLE_RATIO);
    await this.zip.checkSize(member);
    const decoder = decoderOf(header, origin, axes);
    let skip = header.dataOffset;
    for await (const chunk of this.zip.chunks(member)) {
      const skipped = Math.min(skip, chunk.length);
      skip -= skipped;
      if (skipped < chunk.length) decoder.push(chunk.subarray(skipped));
    }
    return decoder.finish();
  }

  /**
   * The bytes of an array's member as they are, header included: for texts in dtypes that {@link header} refuses.
   * @throws PtychoError FORMAT_UNSUPPORTED beyond `maxBytes`, and those of reading.
   */
  async memberBytes(key: string, maxBytes: number): Promise<Uint8Array> {
    return this.zip.read(this.memberOf(key), maxBytes);
  }

  /** A whole array that must hold real numbers; see {@link read}. @throws PtychoError DATASET_VALUE otherwise. */
  async readReal(key: string): Promise<RealNpyArray> {
    return expectReal(await this.read(key), this.origin(key));
  }

  /** A whole array as complex numbers in single precision; see {@link read}. @throws PtychoError DATASET_VALUE for text. */
  async readComplex64(key: string): Promise<ComplexTensor> {
    return expectComplex64(await this.read(key), this.origin(key));
  }

  /** How {@link readRows} will reach the rows of an array. */
  async rowAccess(key: string): Promise<RowAccess> {
    const header = await this.header(key);
    return header.fortranOrder && header.shape.length > 1 ? 'resident' : 'positional';
  }

  /**
   * Rows of the first axis (or of the first `rowAxes`, counted together), in the given order: shape (rows, …rest of the shape). Rows of stored arrays are not covered by
   * the CRC-32, which only a whole read can check.
   * @throws PtychoError as {@link read}; DATASET_SHAPE for rows that do not exist.
   */
  async readRows(key: string, rows: RowSelection, rowAxes = 1): Promise<NpyArray> {
    const { header, indices } = await this.rowsOf(key, rows, rowAxes);
    const shape = [indices.length, ...header.shape.slice(rowAxes)];
    if ((await this.rowAccess(key)) === 'resident')
      return takeRows(await once(this.residents, key, () => this.read(key)), indices, rowAxes);
    const dataBytes = sizeOf(shape) * header.itemSize;
    const decoder = new NpyDecoder({ ...header, shape, dataBytes }, this.origin(key));
    if (decoder.target !== undefined) {
      await this.readRowBytes(key, header, indices, decoder.target, rowAxes);
      decoder.filled();
    } else {
      const bytes = new Uint8Array(dataBytes);
      await this.readRowBytes(key, header, indices, bytes, rowAxes);
      decoder.push(bytes);
    }
    return decoder.finish();
  }

  /**
   * Rows of a real array written one after the other into `out`, converted to its type.
   * @throws PtychoError as {@link readRows}; DATASET_VALUE for complex or text arrays.
   */
  async readRowsInto(key: string, rows: RowSelection, out: Float32Array | Float64Array, rowAxes = 1): Promise<void> {
    const { header, indices } = await this.rowsOf(key, rows, rowAxes);
    const rowLength = sizeOf(header.shape.slice(rowAxes));
    if ((await this.rowAccess(key)) === 'resident') {
      const { data } = expectReal(await once(this.residents, key, () => this.read(key)), this.origin(key));
      for (let i = 0; i < indices.length; i++) {
        out.set(data.subarray(indices[i] * rowLength, (indices[i] + 1) * rowLength), i * rowLength);
      }
      return;
    }
    out.set(expectReal(await this.readRows(key, indices, rowAxes), this.origin(key)).data);
  }

  /** Closes the file and lets go of arrays kept in memory. */
  async close(): Promise<void> {
    this.residents.clear();
    for (const file of this.spilled.values()) await file.then((f) => f.close()).catch(() => {});
    this.spilled.clear();
    await this.zip.close();
  }

  /** For messages about an array of this file. */
  origin(key: string): NpyOrigin {
    return { path: this.path, member: key };
  }

  private memberOf(key: string): string {
    if (!this.has(key)) {
      throw new PtychoError(
        'DATASET_KEY_MISSING',
        `${this.path} has no array "${key}"; it holds ${listedKeys(this.keys)}.`,
        { path: this.path, key, found: this.keys },
      );
    }
    return `${key}.npy`;
  }

  private async readHeader(key: string, member: string): Promise<NpyHeader> {
    const origin = this.origin(key);
    const head = await this.zip.head(member, HEAD_BYTES);
    const length = npyHeaderLength(head.subarray(0, PREFIX_BYTES), origin);
    const header = parseNpyHeader(length <= head.length ? head : await this.zip.head(member, length), origin);
    checkDataBytes(header, this.zip.members.get(member)!.size - header.dataOffset, origin);
    return header;
  }

  private async rowsOf(key: string, rows: RowSelection, rowAxes: number) {
    const header = await this.header(key);
    const indices =
      'start' in rows ? Int32Array.from({ length: rows.count }, (_, i) => rows.start + i) : Int32Array.from(rows);
    checkRows(indices, header, this.origin(key), rowAxes);
    return { header, indices };
  }

  /** Reads rows by position; neighbouring rows in one go, several goes at a time. */
  private async readRowBytes(
    key: string,
    header: NpyHeader,
    rows: Int32Array,
    target: Uint8Array,
    rowAxes: number,
  ): Promise<void> {
    const member = this.memberOf(key);
    const spilled = this.isCompressed(key)
      ? await once(this.spilled, key, () => spillMember(this.zip, member))
      : undefined;
    const rowBytes = sizeOf(header.shape.slice(rowAxes)) * header.itemSize;
    let reads: Promise<void>[] = [];
    for (const [from, to] of runsOf(rows)) {
      const part = target.subarray(from * rowBytes, to * rowBytes);
      const at = header.dataOffset + rows[from] * rowBytes;
      reads.push(spilled ? spilled.readAsync(at, part) : this.zip.readAt(member, at, part));
      if (reads.length === READS_AT_ONCE) {
        await Promise.all(reads);
        reads = [];
      }
    }
    await Promise.all(reads);
  }
}

/** What `make` promises, asked for once. */
function once<T>(kept: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  let promise = kept.get(key);
  if (promise === undefined) {
    promise = make();
    // Whoever asked gets the error; keeping the promise must not also report it as unhandled.
    promise.catch(() => {});
    kept.set(key, promise);
  }
  return promise;
}

/** Names that a message lists. */
const MOST_LISTED = 20;

/** The names of arrays, for a message: the first ones, and how many more there are. */
export function listedKeys(keys: readonly string[]): string {
  if (keys.length === 0) return 'no arrays';
  const rest = keys.length - MOST_LISTED;
  return keys.slice(0, MOST_LISTED).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** Some rows of an array, along its first axes, which are counted together. */
export function takeRows(array: NpyArray, rows: ArrayLike<number>, rowAxes = 1): NpyArray {
  const rest = array.shape.slice(rowAxes);
  const rowLength = sizeOf(rest);
  const shape = [rows.length, ...rest];
  if (array.kind === 'real') return { ...array, shape, data: rowsAt(array.data, rowLength, rows) };
  if (array.kind === 'complex')
    return { ...array, shape, re: rowsAt(array.re, rowLength, rows), im: rowsAt(array.im, rowLength, rows) };
  const strings = Array.from(rows).flatMap((row) => array.strings.slice(row * rowLength, (row + 1) * rowLength));
  return { ...array, shape, strings };
}

/**
 * Writes an archive as `numpy.savez` does (`compress`: `numpy.savez_compressed`), in the given order; equal arrays give
 * equal bytes, and the target appears only when complete. Large arrays are streamed, not copied.
 * @throws PtychoError OUTPUT_UNWRITABLE, DATASET_SHAPE, and those of the streams.
 */
export async function writeNpz(
  path: string,
  arrays: Readonly<Record<string, NpyInput | StreamedNpyInput>>,
  options: { readonly compress?: boolean } = {},
): Promise<void> {
  const entries: (ZipEntry | StreamedZipEntry)[] = [];
  for (const [key, input] of Object.entries(arrays)) {
    const entry = { name: `${key}.npy`, compress: options.compress };
    const bytes = 'pieces' in input ? streamedNpyBytes(input) : npyBytes(input);
    // Small ones go in whole: their sizes are then known in front of the data, which pleases readers of streams.
    entries.push(bytes.size <= WHOLE_BYTES ? { ...entry, data: await gather(bytes) } : { ...entry, ...bytes });
  }
  await writeZip(path, entries);
}

async function gather({ size, chunks }: Pick<StreamedZipEntry, 'size' | 'chunks'>): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const chunk of chunks()) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

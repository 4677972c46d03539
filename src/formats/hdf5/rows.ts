/**
 * Rows of the first axis of an HDF5 dataset, in any order, as float32.
 *
 * h5py by itself chooses chunks such as (625, 8, 8) for 128² frames: to read one frame, 625 are inflated. Bands of rows that
 * share their chunks are therefore inflated whole and kept in memory while there is room; those that had to be inflated a
 * second time go to a temporary file, too, and are never inflated again.
 *
 * @example
 * const rows = new Hdf5Rows(file, '/entry/data/data');
 * await rows.readInto([0, 5, 6], new Float32Array(3 * rows.rowLength));
 */
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { type NumericArray, sizeOf } from '../../core/tensor.js';
import { viewAs } from '../npy.js';
import { type NpyDtype, npyError, placeOf, runsOf } from '../npyHeader.js';
import { ScratchFile } from '../scratchFile.js';
import type { Hdf5File } from './file.js';
import { type Hdf5Header, numbersOf, SLAB_BYTES, slabs } from './header.js';

/** Room for inflated bands, for each dataset. */
const CACHE_BYTES = 128 * 2 ** 20;

/** Row access to a dataset of real numbers. */
export class Hdf5Rows {
  readonly header: Hdf5Header;
  readonly count: number;
  /** Values in a row. */
  readonly rowLength: number;
  readonly dtype: Exclude<NpyDtype, 'str'>;
  /** Rows in one index of the first axis: more than 1 where several leading axes count rows. */
  private readonly rowsInFirst: number;
  /** Rows that are inflated together; 1 when each is reached on its own. */
  private readonly band: number;
  private readonly cache = new Map<number, NumericArray>();
  private cachedBytes = 0;
  /** Bands that have been inflated before. */
  private readonly inflated = new Set<number>();
  private readonly spilled = new Set<number>();
  /** Bands of which some rows cannot be decoded. */
  private readonly broken = new Set<number>();
  /** Null once it is known that there can be none. */
  private scratch: ScratchFile | null | undefined;

  /**
   * @param cacheBytes room for inflated chunks
   * @param rowAxes leading axes that count rows together: with 2, row 5 of (4, 3, …) is [1, 2]
   * @throws PtychoError as `Hdf5File.header`; DATASET_VALUE for complex numbers, DATASET_SHAPE for a single value.
   */
  constructor(
    private readonly file: Hdf5File,
    path: string,
    private readonly cacheBytes = CACHE_BYTES,
    private readonly rowAxes = 1,
  ) {
    this.header = file.header(path);
    const { shape, chunks, dataBytes } = this.header;
    const { dtype } = numbersOf(this.header, file.origin(path));
    if (dtype.startsWith('complex')) {
      throw npyError('DATASET_VALUE', file.origin(path), `holds ${dtype} values, but real numbers were expected.`);
    }
    if (shape.length === 0) {
      throw npyError('DATASET_SHAPE', file.origin(path), 'holds a single value, but rows were expected.');
    }
    this.dtype = dtype;
    this.count = sizeOf(shape.slice(0, rowAxes));
    this.rowLength = sizeOf(shape.slice(rowAxes));
    this.rowsInFirst = sizeOf(shape.slice(1, rowAxes));
    // Chunks that hold one row each are reached one by one; others in whole indices of the first axis.
    const single = chunks === undefined || chunks.slice(0, rowAxes).every((length) => length === 1);
    const band = single ? 1 : Math.min((chunks[0] ?? 1) * this.rowsInFirst, this.count);
    const bandBytes = band * (this.count === 0 ? 0 : dataBytes / this.count);
    this.band = bandBytes <= Math.min(SLAB_BYTES, cacheBytes) ? Math.max(1, band) : 1;
  }

  /**
   * Writes rows one after the other into `out`, converted to float32.
   * @throws PtychoError DATASET_SHAPE for rows that do not exist or an `out` that does not fit; reading errors of the file,
   * about the first row that cannot be decoded, whose number is the field `frame`.
   */
  async readInto(rows: ArrayLike<number>, out: Float32Array): Promise<void> {
    const { path } = this.header;
    for (let i = 0; i < rows.length; i++) {
      if (Number.isInteger(rows[i]) && rows[i] >= 0 && rows[i] < this.count) continue;
      throw npyError(
        'DATASET_SHAPE',
        this.file.origin(path),
        `has ${this.count} rows, but row ${rows[i]} was asked for.`,
      );
    }
    if (out.length !== rows.length * this.rowLength) {
      throw npyError(
        'DATASET_SHAPE',
        this.file.origin(path),
        `gives ${rows.length * this.rowLength} values for ${rows.length} rows, but there is room for ${out.length}.`,
      );
    }
    if (this.band === 1) await this.readRuns(rows, out);
    else await this.readBands(rows, out);
  }

  /** Rows that follow each other are read together. */
  private async readRuns(rows: ArrayLike<number>, out: Float32Array): Promise<void> {
    for (const [from, to] of runsOf(rows)) {
      const target = out.subarray(from * this.rowLength, to * this.rowLength);
      try {
        this.copyRows(rows[from], to - from, target);
      } catch (error) {
        if (!this.isUndecodable(error)) throw error;
        this.copyOneByOne(rows[from], to - from, target);
      }
      if (to % 64 === 0) await breathe();
    }
  }

  /** Something in the file, which other rows need not share; not the library itself. */
  private isUndecodable(error: unknown): error is PtychoError {
    return this.file.alive && (isPtychoError(error, 'FILE_FORMAT') || isPtychoError(error, 'FILE_TRUNCATED'));
  }

  private copyRows(start: number, count: number, out: Float32Array): void {
    let at = 0;
    for (const block of this.blocks(start, count)) {
      out.set(block, at);
      at += block.length;
    }
  }

  /** Row by row, to tell which of some that cannot be read together it is. @throws PtychoError with the field `frame` */
  private copyOneByOne(start: number, count: number, out: Float32Array): void {
    for (let i = 0; i < count; i++) {
      try {
        this.copyRows(start + i, 1, out.subarray(i * this.rowLength, (i + 1) * this.rowLength));
      } catch (error) {
        throw this.isUndecodable(error) ? frameError(error, start + i) : error;
      }
    }
  }

  private async readBands(rows: ArrayLike<number>, out: Float32Array): Promise<void> {
    const { rowLength } = this;
    const order = Array.from({ length: rows.length }, (_, i) => i).sort((a, b) => rows[a] - rows[b]);
    let current = -1;
    let block: NumericArray | undefined;
    for (const i of order) {
      const band = Math.floor(rows[i] / this.band);
      if (band !== current) {
        if (current >= 0) await breathe();
        block = this.cached(band) ?? (this.spilled.has(band) ? undefined : this.inflateIfSound(band));
        current = band;
      }
      if (this.broken.has(band)) {
        this.copyOneByOne(rows[i], 1, out.subarray(i * rowLength, (i + 1) * rowLength));
        continue;
      }
      const at = (rows[i] - band * this.band) * rowLength;
      out.set(block === undefined ? this.spilledRow(rows[i]) : block.subarray(at, at + rowLength), i * rowLength);
    }
  }

  private cached(band: number): NumericArray | undefined {
    const known = this.cache.get(band);
    if (known !== undefined) {
      // To the end: the first is the one used longest ago.
      this.cache.delete(band);
      this.cache.set(band, known);
    }
    return known;
  }

  /** Undefined, and known to be broken, when not all of its rows can be decoded. */
  private inflateIfSound(band: number): NumericArray | undefined {
    if (this.broken.has(band)) return undefined;
    try {
      return this.inflate(band);
    } catch (error) {
      if (!this.isUndecodable(error)) throw error;
      this.broken.add(band);
      return undefined;
    }
  }

  private inflate(band: number): NumericArray {
    const start = band * this.band;
    const [block] = this.blocks(start, Math.min(this.band, this.count - start));
    this.cache.set(band, block);
    this.cachedBytes += block.byteLength;
    for (const [oldest, { byteLength }] of this.cache) {
      if (this.cachedBytes <= this.cacheBytes || oldest === band) break;
      this.cache.delete(oldest);
      this.cachedBytes -= byteLength;
    }
    if (this.scratch || this.inflated.has(band)) this.spill(band, block);
    this.inflated.add(band);
    return block;
  }

  private spill(band: number, block: NumericArray): void {
    const bytesPerRow = this.rowLength * block.BYTES_PER_ELEMENT;
    if (this.scratch === undefined) {
      this.scratch = ScratchFile.create(this.count * bytesPerRow) ?? null;
      this.file.beforeClose(() => this.scratch?.close());
    }
    const bytes = new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
    if (this.scratch?.write(band * this.band * bytesPerRow, bytes)) this.spilled.add(band);
  }

  private spilledRow(row: number): NumericArray {
    const bytes = new Uint8Array(this.rowLength * this.header.type.itemSize);
    this.scratch!.read(row * bytes.length, bytes);
    return viewAs(this.dtype, bytes.buffer);
  }

  /** Consecutive rows in their own type, in pieces of bounded size. */
  private *blocks(start: number, count: number): Generator<NumericArray> {
    if (this.rowAxes === 1) {
      yield* this.region([start], [count]);
      return;
    }
    const { rowsInFirst } = this;
    const end = start + count;
    for (let row = start; row < end; ) {
      const [first, within] = [Math.floor(row / rowsInFirst), row % rowsInFirst];
      const whole = within === 0 ? Math.floor((end - row) / rowsInFirst) : 0;
      if (whole > 0) {
        yield* this.region([first], [whole]);
        row += whole * rowsInFirst;
        continue;
      }
      // Part of the second axis; with more axes than two, row by row.
      const run = this.rowAxes === 2 ? Math.min(rowsInFirst - within, end - row) : 1;
      yield* this.region(this.placeOf(row), [...new Array<number>(this.rowAxes - 1).fill(1), run]);
      row += run;
    }
  }

  /** The indices of the leading axes of a row. */
  private placeOf(row: number): number[] {
    const place: number[] = [];
    for (let axis = this.rowAxes - 1, rest = row; axis >= 0; axis--) {
      const length = this.header.shape[axis];
      place.unshift(axis === 0 ? rest : rest % length);
      rest = Math.floor(rest / length);
    }
    return place;
  }

  /** A block that begins at `from` and has `count` indices of the leading axes, whole along the others, in pieces. */
  private *region(from: readonly number[], count: readonly number[]): Generator<NumericArray> {
    const { shape, type } = this.header;
    for (const slab of slabs([...count, ...shape.slice(count.length)], type.itemSize)) {
      let block: NumericArray | undefined;
      const start = slab.start.map((at, axis) => at + (from[axis] ?? 0));
      this.file.readBlock(this.header, start, slab.count, (bytes) => {
        block = copyAs(this.dtype, bytes);
      });
      if (block !== undefined) yield block;
    }
  }
}

/** The error of reading one frame, with its number as the field `frame`. */
export function frameError(error: PtychoError, frame: number): PtychoError {
  const { path, key, reason = error.message } = error.fields;
  const origin = { path: String(path), member: key === undefined ? undefined : String(key) };
  return new PtychoError(
    error.code,
    `Frame ${frame} of ${placeOf(origin)} cannot be decoded (${String(reason)}); leave such frames out with --skip_frames unreadable, or copy or write the file again.`,
    { ...error.fields, reason, frame },
    { cause: error },
  );
}

/** Lets timers and other work have their turn. */
const breathe = () => new Promise<void>((done) => setImmediate(done));

/** Little-endian bytes as an array of their own; 64-bit integers become doubles. */
function copyAs(dtype: Exclude<NpyDtype, 'str'>, bytes: Uint8Array): NumericArray {
  const { buffer } = bytes.slice();
  if (dtype !== 'int64' && dtype !== 'uint64') return viewAs(dtype, buffer as ArrayBuffer);
  const low = new Uint32Array(buffer);
  const high = dtype === 'int64' ? new Int32Array(buffer) : low;
  // Frames end as float32, which holds 24 bits of these.
  return Float64Array.from({ length: low.length / 2 }, (_, i) => high[2 * i + 1] * 2 ** 32 + low[2 * i]);
}

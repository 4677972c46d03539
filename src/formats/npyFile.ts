/** Single `.npy` files: whole, or rows of the first axis, read by position, so that files larger than memory can be used. */
import { sizeOf } from '../core/tensor.js';
import { type ByteSource, lettersOf } from './byteSource.js';
import { openFileSource, withFileSource } from './fileSource.js';
import { decoderOf, expectReal, type NpyArray, NpyDecoder } from './npy.js';
import { checkDataBytes, checkRows, type NpyHeader, npyError, parseNpyHeader, runsOf } from './npyHeader.js';

const HEAD_BYTES = 1 << 16;
const CHUNK_BYTES = 1 << 18;
/** Rows that are read and decoded in one go. */
const PIECE_BYTES = 2 ** 25;

/** True when the file begins like a single `.npy` array. @throws PtychoError FILE_NOT_FOUND */
export function isNpyFile(path: string): Promise<boolean> {
  return withFileSource(path, async (source) => lettersOf(await source.read(0, 6)) === '\x93NUMPY');
}

/**
 * Reads a single `.npy` file, in bounded pieces.
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT, FORMAT_UNSUPPORTED.
 */
export function readNpyFile(path: string): Promise<NpyArray> {
  return withFileSource(path, async (source) => {
    const origin = { path };
    const header = parseNpyHeader(await source.read(0, HEAD_BYTES), origin);
    checkDataBytes(header, source.size - header.dataOffset, origin);
    const decoder = decoderOf(header, origin);
    for (let at = header.dataOffset; at < source.size; ) {
      const chunk = await source.read(at, CHUNK_BYTES);
      if (chunk.length === 0) break;
      decoder.push(chunk);
      at += chunk.length;
    }
    return decoder.finish();
  });
}

/** A file whose rows are read; `close` it when done. */
export class NpyRows {
  private constructor(
    readonly path: string,
    private readonly source: ByteSource,
    readonly header: NpyHeader,
  ) {}

  /**
   * Opens a file and reads its header.
   * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT, FORMAT_UNSUPPORTED (object dtypes, Fortran order).
   */
  static async open(path: string): Promise<NpyRows> {
    const source = await openFileSource(path);
    try {
      const origin = { path };
      const header = parseNpyHeader(await source.read(0, HEAD_BYTES), origin);
      checkDataBytes(header, source.size - header.dataOffset, origin);
      if (header.fortranOrder && header.shape.length > 1) {
        throw npyError(
          'FORMAT_UNSUPPORTED',
          origin,
          'is in Fortran order, in which a row is scattered over the whole file; save it again with numpy.ascontiguousarray.',
        );
      }
      return new NpyRows(path, source, header);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /**
   * Writes rows one after the other into `out`, converted to float32.
   * @param rowAxes leading axes that count rows together: with 2, row 5 of (4, 3, …) is [1, 2]
   * @throws PtychoError DATASET_SHAPE for rows that do not exist or an `out` that does not fit, DATASET_VALUE for complex
   * numbers or text, FILE_TRUNCATED.
   */
  async readInto(rows: ArrayLike<number>, out: Float32Array, rowAxes = 1): Promise<void> {
    const { header } = this;
    const origin = { path: this.path };
    const rest = header.shape.slice(rowAxes);
    const rowLength = sizeOf(rest);
    checkRows(rows, header, origin, rowAxes);
    if (out.length !== rows.length * rowLength) {
      throw npyError(
        'DATASET_SHAPE',
        origin,
        `gives ${rows.length * rowLength} values, but there is room for ${out.length}.`,
      );
    }
    const rowBytes = rowLength * header.itemSize;
    const most = Math.max(1, Math.floor(PIECE_BYTES / Math.max(1, rowBytes)));
    for (const [from, to] of runsOf(rows, most)) {
      const dataBytes = (to - from) * rowBytes;
      const decoder = new NpyDecoder({ ...header, shape: [to - from, ...rest], dataBytes }, origin);
      decoder.push(await this.source.read(header.dataOffset + rows[from] * rowBytes, dataBytes));
      out.set(expectReal(decoder.finish(), origin).data, from * rowLength);
    }
  }

  async close(): Promise<void> {
    await this.source.close();
  }
}

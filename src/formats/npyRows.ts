/** Rows of the first axis of a single `.npy` file, read by position, so that files larger than memory can be used. */
import type { FileHandle } from 'node:fs/promises';
import { openInput } from '../core/inputFile.js';
import { formatShape, sizeOf } from '../core/tensor.js';
import { expectReal, NpyDecoder } from './npy.js';
import { checkDataBytes, type NpyHeader, npyError, parseNpyHeader } from './npyHeader.js';

const HEAD_BYTES = 1 << 16;
/** Rows that are read and decoded in one go. */
const PIECE_BYTES = 2 ** 25;

/** An opened file; `close` it when done. */
export class NpyRows {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    readonly header: NpyHeader,
  ) {}

  /**
   * Opens a file and reads its header.
   * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT, FORMAT_UNSUPPORTED (object dtypes, Fortran order).
   */
  static async open(path: string): Promise<NpyRows> {
    const handle = await openInput(path);
    try {
      const { size } = await handle.stat();
      const head = Buffer.alloc(Math.min(size, HEAD_BYTES));
      const { bytesRead } = await handle.read(head, 0, head.length, 0);
      const origin = { path };
      const header = parseNpyHeader(head.subarray(0, bytesRead), origin);
      checkDataBytes(header, size - header.dataOffset, origin);
      if (header.fortranOrder && header.shape.length > 1) {
        throw npyError(
          'FORMAT_UNSUPPORTED',
          origin,
          'is in Fortran order, in which a row is scattered over the whole file; save it again with numpy.ascontiguousarray.',
        );
      }
      return new NpyRows(path, handle, header);
    } catch (error) {
      await handle.close();
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
    const total = header.shape.length === 0 ? 0 : sizeOf(header.shape.slice(0, rowAxes));
    for (let i = 0; i < rows.length; i++) {
      if (Number.isInteger(rows[i]) && rows[i] >= 0 && rows[i] < total) continue;
      throw npyError('DATASET_SHAPE', origin, `of shape ${formatShape(header.shape)} has no row ${rows[i]}.`);
    }
    if (out.length !== rows.length * rowLength) {
      throw npyError(
        'DATASET_SHAPE',
        origin,
        `gives ${rows.length * rowLength} values, but there is room for ${out.length}.`,
      );
    }
    const rowBytes = rowLength * header.itemSize;
    const most = Math.max(1, Math.floor(PIECE_BYTES / Math.max(1, rowBytes)));
    for (let from = 0, to = 0; from < rows.length; from = to) {
      to = from + 1;
      while (to < rows.length && to - from < most && rows[to] === rows[to - 1] + 1) to++;
      const bytes = new Uint8Array((to - from) * rowBytes);
      const { bytesRead } = await this.handle.read(bytes, 0, bytes.length, header.dataOffset + rows[from] * rowBytes);
      const shape = [to - from, ...rest];
      const decoder = new NpyDecoder({ ...header, shape, dataBytes: bytes.length }, origin);
      decoder.push(bytes.subarray(0, bytesRead));
      out.set(expectReal(decoder.finish(), origin).data, from * rowLength);
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

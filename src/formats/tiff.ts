/**
 * TIFF files with one number a pixel, page by page. Directories and bytes are fetched by position (classic and BigTIFF, so a
 * stack larger than memory can be read); a page is then handed to the `tiff` package as a small file of its own. Deflated
 * pieces are inflated here, because that package puts no bound on what they become.
 *
 * @example
 * const file = await TiffFile.open('stack.tif');
 * try { const { data } = await file.read(0); } finally { await file.close(); }
 */
import { inflateSync } from 'node:zlib';
import { decode } from 'tiff';
import { messageOf, PtychoError } from '../core/errors.js';
import type { NumericArray, Tensor } from '../core/tensor.js';
import type { ByteSource } from './byteSource.js';
import { openFileSource } from './fileSource.js';
import { itemSizeOf } from './npyHeader.js';
import { readTiffDirectories, type TiffPage, tiffError } from './tiffDirectory.js';

export type { TiffPage } from './tiffDirectory.js';

const [NONE, LZW, ADOBE_DEFLATE, DEFLATE] = [1, 5, 8, 32946];
const OTHER_COMPRESSIONS: Readonly<Record<number, string>> = {
  2: 'CCITT',
  3: 'CCITT fax',
  4: 'CCITT fax',
  6: 'JPEG',
  7: 'JPEG',
  32773: 'PackBits',
  34925: 'LZMA',
  50000: 'Zstandard',
};

/** An opened file; `close` it when done. */
export class TiffFile {
  private constructor(
    private readonly source: ByteSource,
    readonly pages: readonly TiffPage[],
  ) {}

  /**
   * Opens a file and reads the directories of its pages.
   * @param most pages to look at
   * @throws PtychoError FILE_NOT_FOUND, FILE_FORMAT, FILE_TRUNCATED, FORMAT_UNSUPPORTED.
   */
  static async open(path: string, most?: number): Promise<TiffFile> {
    const source = await openFileSource(path);
    try {
      if (source.size === 0) {
        throw new PtychoError('FILE_TRUNCATED', `${path} is empty; copy or write it again.`, { path });
      }
      return new TiffFile(source, await readTiffDirectories(source, most));
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /** Whether the file is long enough for the pixels of the pages that were looked at; one that is being written is not. */
  get whole(): boolean {
    const { size } = this.source;
    return this.pages.every(({ offsets, byteCounts }) => offsets.every((from, i) => from + byteCounts[i] <= size));
  }

  /**
   * The pixels of a page, (height, width), in their own type.
   * @throws PtychoError FILE_FORMAT, FILE_TRUNCATED, FORMAT_UNSUPPORTED (compression, predictor).
   */
  async read(index: number): Promise<Tensor<NumericArray>> {
    const path = this.source.name;
    const page = this.pages[index];
    if (page === undefined) throw new PtychoError('DATASET_SHAPE', `${path} has no page ${index + 1}.`, { path });
    const { width, height, compression, predictor, block, dtype } = page;
    const unsupported = (what: string) => tiffError('FORMAT_UNSUPPORTED', path, what, index);
    if (![NONE, LZW, ADOBE_DEFLATE, DEFLATE].includes(compression)) {
      const name = OTHER_COMPRESSIONS[compression];
      throw unsupported(
        `is compressed with method ${compression}${name === undefined ? '' : ` (${name})`}, but only LZW and deflate are read; save it without compression`,
      );
    }
    if (predictor !== 1 && (predictor !== 2 || block.tiled || dtype.startsWith('float'))) {
      throw unsupported(
        `stores differences of pixels in a way (predictor ${predictor}) that is not read; save it without`,
      );
    }
    const pieces: Uint8Array[] = [];
    for (let i = 0; i < page.offsets.length; i++) {
      const rows = block.tiled ? block.rows : Math.min(block.rows, height - i * block.rows);
      const expected = rows * block.columns * itemSizeOf(page.dtype);
      const bytes = await this.source.read(page.offsets[i], page.byteCounts[i]);
      // The last strip may be padded to the height of the others.
      const most = block.rows * block.columns * itemSizeOf(page.dtype);
      pieces.push(this.expand(bytes, expected, most, page, index));
    }
    try {
      const [{ data }] = decode(smallFile(page, pieces));
      return { data: finish(data, page), shape: [height, width] };
    } catch (cause) {
      throw tiffError('FILE_FORMAT', path, `cannot be decoded (${messageOf(cause)}); it is damaged`, index);
    }
  }

  async close(): Promise<void> {
    await this.source.close();
  }

  /** Inflates a strip or tile (LZW stays as it is), after making sure that it becomes what its page needs. */
  private expand(bytes: Uint8Array, expected: number, most: number, page: TiffPage, index: number): Uint8Array {
    const path = this.source.name;
    const { compression } = page;
    if (compression === LZW) {
      const found = lzwLength(bytes, most);
      if (found >= expected && found <= most) return bytes;
      throw tiffError(
        'FILE_FORMAT',
        path,
        `holds ${found > expected ? 'more' : 'fewer'} than the ${expected} bytes of pixels that it needs; it is damaged`,
        index,
      );
    }
    let content = bytes;
    if (compression !== NONE) {
      try {
        content = inflateSync(bytes, { maxOutputLength: most });
      } catch (cause) {
        throw tiffError(
          'FILE_FORMAT',
          path,
          `cannot be inflated to the ${expected} bytes of pixels that it needs (${messageOf(cause)}); it is damaged`,
          index,
        );
      }
    }
    if (content.length >= expected) return content.subarray(0, expected);
    throw tiffError(
      'FILE_TRUNCATED',
      path,
      `holds ${content.length} of the ${expected} bytes of pixels that it needs`,
      index,
    );
  }
}

/** True for what the package has no type for: it is read as pairs of 16-bit numbers. */
const isWide = ({ dtype }: TiffPage): boolean => dtype === 'uint32' || dtype === 'int32';

type Entry = readonly [tag: number, values: readonly number[]];

/** One page as a TIFF file of its own. */
function smallFile(page: TiffPage, pieces: readonly Uint8Array[]): Uint8Array {
  const { littleEndian, block, compression, dtype } = page;
  const columns = isWide(page) ? 2 : 1;
  const lzw = compression === LZW;
  const places: number[] = [];
  let end = 8;
  for (const piece of pieces) {
    places.push(end);
    end += piece.length;
  }
  const counts = pieces.map((piece) => piece.length);
  const layout: Entry[] = block.tiled
    ? [
        [322, [block.columns * columns]],
        [323, [block.rows]],
        [324, places],
        [325, counts],
      ]
    : [
        [273, places],
        [278, [block.rows]],
        [279, counts],
      ];
  const entries: Entry[] = [
    [256, [page.width * columns]],
    [257, [page.height]],
    [258, [isWide(page) ? 16 : 8 * itemSizeOf(page.dtype)]],
    [259, [lzw ? LZW : NONE]],
    // Black is zero: values come as they are.
    [262, [1]],
    [277, [1]],
    // Differences of 32-bit numbers are undone here.
    [317, [isWide(page) ? 1 : page.predictor]],
    [339, [dtype.startsWith('float') ? 3 : 1]],
    ...layout,
  ];
  entries.sort(([a], [b]) => a - b);
  const directory = 2 + 12 * entries.length + 4;
  const arrays = entries.reduce((sum, [, values]) => sum + (values.length > 1 ? 4 * values.length : 0), 0);
  const file = Buffer.alloc(end + directory + arrays);
  const put = (at: number, value: number, bytes: 2 | 4) => {
    if (bytes === 2) littleEndian ? file.writeUInt16LE(value, at) : file.writeUInt16BE(value, at);
    else littleEndian ? file.writeUInt32LE(value, at) : file.writeUInt32BE(value, at);
  };
  file.write(littleEndian ? 'II' : 'MM', 'latin1');
  put(2, 42, 2);
  put(4, end, 4);
  pieces.forEach((piece, i) => {
    file.set(piece, places[i]);
  });
  put(end, entries.length, 2);
  let extra = end + directory;
  entries.forEach(([tag, values], i) => {
    const at = end + 2 + 12 * i;
    put(at, tag, 2);
    put(at + 2, 4, 2);
    put(at + 4, values.length, 4);
    if (values.length === 1) {
      put(at + 8, values[0], 4);
      return;
    }
    put(at + 8, extra, 4);
    for (const value of values) {
      put(extra, value, 4);
      extra += 4;
    }
  });
  return file;
}

/** What the package made of a page, in the type of its pixels. */
function finish(data: NumericArray | number[], page: TiffPage): NumericArray {
  const { dtype, width, littleEndian, predictor } = page;
  const found = data as NumericArray;
  if (dtype === 'int8') return new Int8Array(found.buffer, found.byteOffset, found.length);
  if (dtype === 'int16') return new Int16Array(found.buffer, found.byteOffset, found.length);
  if (!isWide(page)) return found;
  const [low, high] = littleEndian ? [0, 1] : [1, 0];
  const wide = Uint32Array.from(
    { length: found.length / 2 },
    (_, i) => found[2 * i + low] + 65536 * found[2 * i + high],
  );
  if (predictor === 2) for (let i = 0; i < wide.length; i++) if (i % width > 0) wide[i] += wide[i - 1];
  return dtype === 'uint32' ? wide : new Int32Array(wide.buffer);
}

/** What an LZW stream would become, without making it; counting stops beyond `limit`. */
function lzwLength(bytes: Uint8Array, limit: number): number {
  const [CLEAR, END, FIRST] = [256, 257, 258];
  const lengths = new Uint16Array(4096).fill(1, 0, 256);
  let [size, width, last, total, bits, pending] = [FIRST, 9, -1, 0, 0, 0];
  for (let at = 0; total <= limit; ) {
    while (pending < width) {
      if (at === bytes.length) return total;
      bits = ((bits << 8) | bytes[at++]) & 0xffffff;
      pending += 8;
    }
    const code = (bits >> (pending - width)) & ((1 << width) - 1);
    pending -= width;
    if (code === END) return total;
    if (code === CLEAR) {
      [size, width, last] = [FIRST, 9, -1];
      continue;
    }
    if (last >= 0 && size < 4096) {
      lengths[size++] = lengths[last] + 1;
      // One code early, as TIFF has it.
      if (size === 511 || size === 1023 || size === 2047) width++;
    }
    total += lengths[Math.min(code, size - 1)];
    last = code;
  }
  return total;
}

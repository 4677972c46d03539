/** The directories of a TIFF file, one a page, read by position: where the pixels are and how they are stored. */
import { PtychoError } from '../core/errors.js';
import { type ByteSource, lettersOf } from './byteSource.js';
import type { NpyDtype } from './npyHeader.js';

/** How a page is stored. */
export interface TiffPage {
  readonly width: number;
  readonly height: number;
  readonly dtype: Exclude<NpyDtype, 'str' | 'bool' | 'float16' | 'complex64' | 'complex128'>;
  readonly littleEndian: boolean;
  readonly compression: number;
  /** 2: differences of neighbouring pixels are stored. */
  readonly predictor: number;
  /** Rows of a strip, or rows and columns of a tile. */
  readonly block: { readonly rows: number; readonly columns: number; readonly tiled: boolean };
  /** Places and sizes of the strips or tiles. */
  readonly offsets: readonly number[];
  readonly byteCounts: readonly number[];
}

const TAGS = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  stripOffsets: 273,
  samples: 277,
  rowsPerStrip: 278,
  stripCounts: 279,
  predictor: 317,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileCounts: 325,
  sampleFormat: 339,
} as const;
const WANTED = new Set<number>(Object.values(TAGS));
/** Bytes of the value types that our tags have: BYTE, SHORT, LONG, LONG8. */
const TYPE_BYTES: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 16: 8 };
const FORMATS = ['', 'uint', 'int', 'float'];
const MAX_PAGES = 1_000_000;
const MAX_ENTRIES = 4096;
const MAX_BLOCKS = 1 << 20;
/** A directory and, mostly, what it refers to. */
const READ_AHEAD = 4096;
/** 8192 × 8192. */
const MAX_PIXELS = 2 ** 26;

/** An error about a page, or about the file. */
export function tiffError(
  code: 'FILE_FORMAT' | 'FILE_TRUNCATED' | 'FORMAT_UNSUPPORTED',
  path: string,
  what: string,
  page?: number,
) {
  const where = page === undefined ? path : `${path}, page ${page + 1},`;
  return new PtychoError(code, `${where} ${what}.`, { path, page });
}

/**
 * Reads all directories; the pixels stay where they are.
 * @param most pages to read
 * @throws PtychoError FILE_FORMAT (not a TIFF, damaged), FILE_TRUNCATED, FORMAT_UNSUPPORTED (colour, odd bit depths).
 */
export async function readTiffDirectories(source: ByteSource, most = MAX_PAGES): Promise<TiffPage[]> {
  const path = source.name;
  const head = await source.read(0, 16);
  const order = lettersOf(head.subarray(0, 2));
  const littleEndian = order === 'II';
  const magic = head.length >= 8 ? view(head).getUint16(2, littleEndian) : 0;
  if (!(littleEndian || order === 'MM') || (magic !== 42 && magic !== 43)) {
    throw tiffError('FILE_FORMAT', path, 'is not a TIFF file');
  }
  if (magic === 43 && head.length < 16) throw tiffError('FILE_TRUNCATED', path, 'is cut off; copy or write it again');
  const reader = new DirectoryReader(source, littleEndian, magic === 43);
  const pages: TiffPage[] = [];
  const seen = new Set<number>();
  let at = magic === 43 ? Number(view(head).getBigUint64(8, littleEndian)) : view(head).getUint32(4, littleEndian);
  while (at !== 0 && pages.length < most) {
    if (seen.has(at))
      throw tiffError('FILE_FORMAT', path, 'has pages that follow each other in a circle; write it again');
    seen.add(at);
    const { page, next } = await reader.page(at, pages.length);
    pages.push(page);
    at = next;
  }
  if (pages.length === 0) throw tiffError('FILE_FORMAT', path, 'holds no pages');
  if (pages.length === MAX_PAGES) throw tiffError('FORMAT_UNSUPPORTED', path, `has more than ${MAX_PAGES} pages`);
  return pages;
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

class DirectoryReader {
  constructor(
    private readonly source: ByteSource,
    private readonly littleEndian: boolean,
    private readonly big: boolean,
  ) {}

  async page(at: number, index: number): Promise<{ page: TiffPage; next: number }> {
    const { source, littleEndian, big } = this;
    const cut = () => tiffError('FILE_TRUNCATED', source.name, 'is cut off; copy or write it again', index);
    const window = await source.read(at, READ_AHEAD);
    if (window.length < 8) throw cut();
    const count = big ? Number(view(window).getBigUint64(0, littleEndian)) : view(window).getUint16(0, littleEndian);
    if (count > MAX_ENTRIES)
      throw tiffError('FILE_FORMAT', source.name, `claims ${count} entries in its directory`, index);
    const [first, step, word] = big ? [8, 20, 8] : [2, 12, 4];
    const length = first + count * step + word;
    const bytes = length <= window.length ? window : await source.read(at, length);
    if (bytes.length < length) throw cut();
    const data = view(bytes);
    const integer = (place: number) =>
      big ? Number(data.getBigUint64(place, littleEndian)) : data.getUint32(place, littleEndian);
    const tags = new Map<number, number[]>();
    for (let i = 0; i < count; i++) {
      const entry = first + i * step;
      const tag = data.getUint16(entry, littleEndian);
      const size = TYPE_BYTES[data.getUint16(entry + 2, littleEndian)];
      if (!WANTED.has(tag) || size === undefined) continue;
      const values = integer(entry + 4);
      if (values > MAX_BLOCKS)
        throw tiffError('FILE_FORMAT', source.name, `claims ${values} values of tag ${tag}`, index);
      const valueAt = entry + step - word;
      const content =
        values * size <= word
          ? bytes.subarray(valueAt, valueAt + values * size)
          : await source.read(integer(valueAt), values * size);
      if (content.length < values * size) throw cut();
      tags.set(tag, this.numbers(content, size));
    }
    return { page: this.describe(tags, index), next: integer(first + count * step) };
  }

  private numbers(bytes: Uint8Array, size: number): number[] {
    const data = view(bytes);
    return Array.from({ length: bytes.length / size }, (_, i) => {
      if (size === 1) return data.getUint8(i);
      if (size === 2) return data.getUint16(2 * i, this.littleEndian);
      return size === 4
        ? data.getUint32(4 * i, this.littleEndian)
        : Number(data.getBigUint64(8 * i, this.littleEndian));
    });
  }

  private describe(tags: ReadonlyMap<number, number[]>, index: number): TiffPage {
    const { name: path, size } = this.source;
    const fail = (code: 'FILE_FORMAT' | 'FORMAT_UNSUPPORTED', what: string) => tiffError(code, path, what, index);
    const one = (tag: number, otherwise = 0) => tags.get(tag)?.[0] ?? otherwise;
    const [width, height] = [one(TAGS.width), one(TAGS.height)];
    if (width < 1 || height < 1 || width * height > MAX_PIXELS) {
      throw fail('FILE_FORMAT', `claims ${width} × ${height} pixels, but 1 to ${MAX_PIXELS} are read`);
    }
    const samples = one(TAGS.samples, 1);
    if (samples !== 1)
      throw fail('FORMAT_UNSUPPORTED', `has ${samples} values a pixel (a colour picture), but one is expected`);
    const [bits, format] = [one(TAGS.bits, 1), FORMATS[one(TAGS.sampleFormat, 1)]];
    if (
      ![8, 16, 32, 64].includes(bits) ||
      !format ||
      (bits === 64) !== (bits === 64 && format === 'float') ||
      (format === 'float' && bits < 32)
    ) {
      throw fail(
        'FORMAT_UNSUPPORTED',
        `has pixels of ${bits} bits (${format || 'unknown'}), but integers of 8, 16 and 32 and floats of 32 and 64 bits are read`,
      );
    }
    const tiled = tags.has(TAGS.tileOffsets);
    const block = tiled
      ? { rows: one(TAGS.tileHeight), columns: one(TAGS.tileWidth), tiled }
      : { rows: Math.min(height, one(TAGS.rowsPerStrip, height)), columns: width, tiled };
    const offsets = tags.get(tiled ? TAGS.tileOffsets : TAGS.stripOffsets) ?? [];
    const blocks = Math.ceil(height / block.rows) * Math.ceil(width / block.columns);
    const byteCounts = tags.get(tiled ? TAGS.tileCounts : TAGS.stripCounts) ?? [];
    if (offsets.length !== blocks || byteCounts.length !== blocks || block.rows * block.columns > MAX_PIXELS) {
      throw fail(
        'FILE_FORMAT',
        `describes ${offsets.length} pieces of pixels where ${blocks} are needed; it is damaged`,
      );
    }
    offsets.forEach((offset, i) => {
      if (offset + byteCounts[i] <= size) return;
      throw tiffError(
        'FILE_TRUNCATED',
        path,
        'is cut off: its pixels lie behind the end of the file; copy or write it again',
        index,
      );
    });
    return {
      width,
      height,
      dtype: `${format}${bits}` as TiffPage['dtype'],
      littleEndian: this.littleEndian,
      compression: one(TAGS.compression, 1),
      predictor: one(TAGS.predictor, 1),
      block,
      offsets,
      byteCounts,
    };
  }
}

/**
 * Writes TIFF files of one float32 a pixel, page after page, uncompressed: what ImageJ, tifffile and tomography programs open. The
 * kept packages write bytes of colour, or one page with geographic tags, and hold it all in memory; this is a page of code.
 *
 * @example
 * const file = await TiffWriter.create('phase.tif', { rows, cols, pages: 180, description: { unit: 'rad' }, pixel_m: { x, y } });
 * for (const page of pages) await file.append(page);
 * await file.close();
 */
import { type FileHandle, open } from 'node:fs/promises';
import { PtychoError } from '../core/errors.js';
import { formatShape } from '../core/tensor.js';
import { createdBy } from '../core/version.js';
import { TemporaryFile, unwritable } from './replaceFile.js';

/** What a file is to hold. */
export interface TiffContent {
  readonly rows: number;
  readonly cols: number;
  readonly pages: number;
  /** Kept as JSON, with the numbers of pages, rows and columns, in the first page (tag 270). */
  readonly description?: Readonly<Record<string, unknown>>;
  /** A BigTIFF, whatever its size; by default beyond 4 GiB, where offsets of 32 bits end. */
  readonly big?: boolean;
  /** Sides of a pixel, metres; as pixels per centimetre in the resolution tags. */
  readonly pixel_m?: { readonly x: number; readonly y: number };
}

const [SHORT, LONG, RATIONAL, ASCII, LONG8] = [3, 4, 5, 2, 16];
/** Offsets of 32 bits reach so far; beyond, the file is a BigTIFF. */
const CLASSIC_BYTES = 2 ** 32 - 2 ** 16;

/** One entry of a directory. */
interface Entry {
  readonly tag: number;
  readonly type: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** A file in the making; end with `close`, or with `abort` to leave nothing. */
export class TiffWriter {
  #written = 0;
  #at: number;
  #open = true;

  private constructor(
    private readonly path: string,
    private readonly temporary: TemporaryFile,
    private readonly file: FileHandle,
    private readonly content: TiffContent,
    private readonly big: boolean,
  ) {
    this.#at = big ? 16 : 8;
  }

  /** Begins a file. @throws PtychoError OUTPUT_UNWRITABLE */
  static async create(path: string, content: TiffContent): Promise<TiffWriter> {
    const { rows, cols, pages } = content;
    const big = content.big ?? pages * (4 * rows * cols + 512) + 2 ** 20 > CLASSIC_BYTES;
    const temporary = await TemporaryFile.beside(path);
    try {
      return new TiffWriter(path, temporary, await open(temporary.path, 'r+'), content, big);
    } catch (cause) {
      await temporary.discard();
      throw unwritable(path, cause);
    }
  }

  /**
   * Adds a page.
   * @param pixels (rows·cols)
   * @throws PtychoError DATASET_SHAPE for a page of another size or one too many, OUTPUT_UNWRITABLE
   */
  async append(pixels: Float32Array): Promise<void> {
    const { rows, cols, pages } = this.content;
    if (pixels.length !== rows * cols || this.#written === pages) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `${this.path} was begun for ${pages} pages of ${formatShape([rows, cols])}; page ${this.#written + 1} has ${pixels.length} pixels.`,
        { path: this.path, found: pixels.length, expected: rows * cols },
      );
    }
    const bytes = littleEndian(pixels);
    const directoryAt = this.#at + bytes.length;
    const first = this.#written === 0;
    const last = this.#written + 1 === pages;
    const directory = this.#directory(directoryAt, this.#at, { first, last, bytes: bytes.length });
    try {
      if (first) await this.#put(this.#header(directoryAt), 0);
      await this.#put(bytes, this.#at);
      await this.#put(directory, directoryAt);
    } catch (cause) {
      throw unwritable(this.path, cause);
    }
    this.#at = directoryAt + directory.length;
    this.#written++;
  }

  /** Completes the file and puts it in place. @throws PtychoError OUTPUT_UNWRITABLE, DATASET_SHAPE where pages are missing */
  async close(): Promise<void> {
    if (this.#written !== this.content.pages) {
      await this.abort();
      throw new PtychoError(
        'DATASET_SHAPE',
        `${this.path} was begun for ${this.content.pages} pages, but ${this.#written} came.`,
        { path: this.path },
      );
    }
    this.#open = false;
    await this.file.close();
    await this.temporary.commit();
  }

  /** Gives up: the temporary file goes, the target stays as it was. */
  async abort(): Promise<void> {
    if (this.#open) await this.file.close();
    this.#open = false;
    await this.temporary.discard();
  }

  async #put(bytes: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.file.write(bytes, done, bytes.length - done, at + done);
      done += bytesWritten;
    }
  }

  #header(directoryAt: number): Uint8Array {
    const view = new DataView(new ArrayBuffer(this.big ? 16 : 8));
    view.setUint16(0, 0x4949, true);
    view.setUint16(2, this.big ? 43 : 42, true);
    if (this.big) {
      view.setUint16(4, 8, true);
      view.setBigUint64(8, BigInt(directoryAt), true);
    } else view.setUint32(4, directoryAt, true);
    return new Uint8Array(view.buffer);
  }

  /** The directory of a page, with what does not fit into its entries behind it. */
  #directory(at: number, pixelsAt: number, page: { first: boolean; last: boolean; bytes: number }): Uint8Array {
    const { rows, cols, pixel_m } = this.content;
    const place = (value: number) => (this.big ? long8(value) : long(value));
    const entries: Entry[] = [
      [256, long(cols)],
      [257, long(rows)],
      [258, short(32)],
      [259, short(1)],
      // Small values are dark.
      [262, short(1)],
      ...(page.first ? [[270, ascii(textOf(this.content))] as const] : []),
      [273, place(pixelsAt)],
      [277, short(1)],
      [278, long(rows)],
      [279, place(page.bytes)],
      ...(pixel_m
        ? ([
            [282, perCentimetre(pixel_m.x)],
            [283, perCentimetre(pixel_m.y)],
            [296, short(3)],
          ] as const)
        : []),
      [305, ascii(`${createdBy.package} ${createdBy.version}`)],
      [339, short(3)],
    ].map(([tag, value]) => ({ tag: tag as number, ...(value as Omit<Entry, 'tag'>) }));
    const [head, step, word] = this.big ? [8, 20, 8] : [2, 12, 4];
    const length = head + step * entries.length + word;
    const behind = entries.filter(({ bytes }) => bytes.length > word);
    const even = (n: number) => n + (n % 2);
    const total = behind.reduce((sum, { bytes }) => sum + even(bytes.length), length);
    const out = new Uint8Array(total + (total % 2));
    const view = new DataView(out.buffer);
    const offset = (where: number, value: number) =>
      this.big ? view.setBigUint64(where, BigInt(value), true) : view.setUint32(where, value, true);
    if (this.big) view.setBigUint64(0, BigInt(entries.length), true);
    else view.setUint16(0, entries.length, true);
    let free = length;
    entries.forEach(({ tag, type, count, bytes }, i) => {
      const entry = head + step * i;
      view.setUint16(entry, tag, true);
      view.setUint16(entry + 2, type, true);
      offset(entry + 4, count);
      if (bytes.length <= word) out.set(bytes, entry + step - word);
      else {
        offset(entry + step - word, at + free);
        out.set(bytes, free);
        free += even(bytes.length);
      }
    });
    // The next page's pixels lie before its directory.
    offset(length - word, page.last ? 0 : at + out.length + page.bytes);
    return out;
  }
}

/** As JSON in ASCII. Without a key "shape", for which tifffile would take all pages for one piece without directories between. */
function textOf({ pages, rows, cols, description }: TiffContent): string {
  const text = JSON.stringify({ pages, rows, columns: cols, ...description });
  return text.replace(/[\u007f-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const valuesOf = (type: number, size: number, values: readonly number[]): Omit<Entry, 'tag'> => {
  const view = new DataView(new ArrayBuffer(size * values.length));
  values.forEach((value, i) => {
    if (size === 2) view.setUint16(2 * i, value, true);
    else if (size === 4) view.setUint32(4 * i, value, true);
    else view.setBigUint64(8 * i, BigInt(value), true);
  });
  return { type, count: values.length, bytes: new Uint8Array(view.buffer) };
};
const short = (value: number) => valuesOf(SHORT, 2, [value]);
const long = (value: number) => valuesOf(LONG, 4, [value]);
const long8 = (value: number) => valuesOf(LONG8, 8, [value]);
const ascii = (text: string): Omit<Entry, 'tag'> => {
  const bytes = Buffer.from(`${text}\0`, 'latin1');
  return { type: ASCII, count: bytes.length, bytes };
};

/** Pixels per centimetre as a fraction of two whole numbers of 32 bits, with as many digits as there is room for. */
function perCentimetre(side_m: number): Omit<Entry, 'tag'> {
  const perCm = 0.01 / side_m;
  let denominator = 1;
  while (denominator < 1e9 && Math.round(perCm * denominator * 10) < 2 ** 32) denominator *= 10;
  const numerator = Math.min(2 ** 32 - 1, Math.max(1, Math.round(perCm * denominator)));
  return { ...valuesOf(LONG, 4, [numerator, denominator]), type: RATIONAL, count: 1 };
}

function littleEndian(pixels: Float32Array): Uint8Array {
  const bytes = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  return new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? bytes : Buffer.from(bytes).swap32();
}

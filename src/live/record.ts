/**
 * What a detector sent, kept as it came: `patterns.npy`, which grows, and `positions.csv` beside it, together a scan that every command
 * opens. A run that was killed finds all frames that were written.
 *
 * @example
 * const record = await FrameRecord.open('live/record');
 * await record.add(frame, [64, 64], { x: 1e-6, y: 2e-6, unit: 'm' });
 * await record.flush();
 */
import { existsSync } from 'node:fs';
import { appendFile, type FileHandle, mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PtychoError } from '../core/errors.js';
import { npyPreamble } from '../formats/npyWrite.js';
import type { FrameData } from './dectris.js';

const [PATTERNS, POSITIONS] = ['patterns.npy', 'positions.csv'];
/** Room for a count of any length: the preamble of three sides fits into two units of 64 bytes. */
const PREAMBLE_BYTES = 128;

/** Where a pattern was taken. */
export interface FramePosition {
  readonly x: number;
  readonly y: number;
  /** Object pixels or metres. */
  readonly unit: 'px' | 'm';
}

/** Frames that were kept. */
export class FrameRecord {
  #count = 0;
  #shape: readonly [number, number] | undefined;
  #kind: 'uint8' | 'uint16' | 'uint32' | undefined;
  #file: FileHandle | undefined;
  #lines: string[] = [];
  #unit: 'px' | 'm' | undefined;
  #frames: Uint8Array[] = [];
  #head = 0;
  #waitingBytes = 0;

  private constructor(readonly folder: string) {}

  /** Begins a record, or goes on with the one that is there. @throws PtychoError OUTPUT_UNWRITABLE, FILE_FORMAT */
  static async open(folder: string): Promise<FrameRecord> {
    await mkdir(folder, { recursive: true });
    const record = new FrameRecord(folder);
    if (existsSync(record.positions)) await record.#resume();
    return record;
  }

  /** The scan: opened with {@link FrameRecord.positions}. */
  get patterns(): string {
    return path.join(this.folder, PATTERNS);
  }

  get positions(): string {
    return path.join(this.folder, POSITIONS);
  }

  /** Frames that came. */
  get count(): number {
    return this.#count;
  }

  /** Frames that others may read: those of the last {@link FrameRecord.flush}. */
  get readable(): number {
    return this.#head;
  }

  /** Bytes of frames that came after the last {@link FrameRecord.flush} began. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  async #resume(): Promise<void> {
    const lines = (await readFile(this.positions, 'utf8')).split('\n').filter((line) => line.trim() !== '');
    const unit = /^index,x_(px|m),y_/.exec(lines[0] ?? '')?.[1];
    if (!existsSync(this.patterns) || unit === undefined) return;
    this.#unit = unit as 'px' | 'm';
    this.#file = await open(this.patterns, 'r+');
    const preamble = Buffer.alloc(PREAMBLE_BYTES);
    await this.#file.read(preamble, 0, PREAMBLE_BYTES, 0);
    const text = preamble.toString('latin1');
    const found = /'descr': '[|<]u([124])'.*'shape': \((\d+), (\d+), (\d+)\)/.exec(text);
    if (!found)
      throw new PtychoError(
        'FILE_FORMAT',
        `${this.patterns} is no record of a live scan; choose another --output_dir.`,
        { path: this.patterns },
      );
    const [bytes, , rows, columns] = found.slice(1).map(Number);
    this.#kind = ({ 1: 'uint8', 2: 'uint16', 4: 'uint32' } as const)[bytes as 1 | 2 | 4];
    this.#shape = [rows, columns];
    const { size } = await this.#file.stat();
    const frames = Math.floor((size - PREAMBLE_BYTES) / (bytes * rows * columns));
    // A frame counts when both files have it.
    this.#count = Math.min(frames, lines.length - 1);
    await writeFile(this.positions, lines.slice(0, this.#count + 1).map((line) => `${line}\n`).join('')); // biome-ignore format: one chain
    await truncate(this.patterns, PREAMBLE_BYTES + this.#count * bytes * rows * columns);
    await this.#writeHead(this.#count);
  }

  /** Keeps a frame, which is not touched again. @throws PtychoError DATASET_SHAPE for one of another size or type than the first; OUTPUT_UNWRITABLE */
  add(data: FrameData, shape: readonly [number, number], { x, y, unit }: FramePosition): void {
    const kind = kindOf(data);
    this.#shape ??= shape;
    this.#kind ??= kind;
    if (kind !== this.#kind || shape.some((side, k) => side !== this.#shape?.[k])) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `Frame ${this.#count} is ${shape.join('×')} of ${kind}, but those before it are ${this.#shape.join('×')} of ${this.#kind}; a scan has frames of one kind.`,
        { found: shape, expected: this.#shape },
      );
    }
    this.#unit ??= unit;
    if (unit !== this.#unit) throw new PtychoError('DATASET_UNITS', `Frame ${this.#count} has its position in ${unit}, but those before it in ${this.#unit}; a scan has one unit.`, { found: unit, expected: this.#unit }); // biome-ignore format: one sentence
    this.#frames.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    this.#waitingBytes += data.byteLength;
    this.#lines.push(`${this.#count},${x},${y}\n`);
    this.#count++;
  }

  /** Lets others read what was added. */
  async flush(): Promise<void> {
    if (this.#lines.length === 0) return;
    const [lines, frames] = [this.#lines, this.#frames];
    [this.#lines, this.#frames, this.#waitingBytes] = [[], [], 0];
    // The positions first: a scan may have more of them than patterns, not fewer.
    if (this.#head === 0) await writeFile(this.positions, `index,x_${this.#unit},y_${this.#unit}\n`);
    await appendFile(this.positions, lines.join(''));
    this.#file ??= await open(this.patterns, 'w+');
    const bytes = Buffer.concat(frames);
    await this.#file.write(bytes, 0, bytes.length, PREAMBLE_BYTES + this.#head * frames[0].length);
    await this.#writeHead(this.#head + frames.length);
  }

  async #writeHead(count: number): Promise<void> {
    if (!this.#file || !this.#shape || !this.#kind) return;
    const size = { uint8: 1, uint16: 2, uint32: 4 }[this.#kind];
    const head = npyPreamble(this.#kind, size, [count, ...this.#shape]);
    if (head.length !== PREAMBLE_BYTES) throw new Error(`a head of ${head.length} bytes`);
    await this.#file.write(head, 0, head.length, 0);
    this.#head = count;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#file?.close();
  }
}

const kindOf = (data: FrameData) =>
  data instanceof Uint8Array ? 'uint8' : data instanceof Uint16Array ? 'uint16' : 'uint32';

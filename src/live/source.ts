/**
 * Where a scan comes from while it is measured: a stream of a detector, which is recorded, a file or a folder of frames that grows. To
 * whoever reconstructs it is a scan that opens, with more patterns each time.
 *
 * @example
 * const source = await openSource('tcp://127.0.0.1:9999', { folder: 'live/record', idleSeconds: 10, nFrames: null }, services);
 * while (!source.ended) console.log(await source.look());
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, missingPackage, PtychoError } from '../core/errors.js';
import { CONFIG_BYTES, readTextInput } from '../core/inputFile.js';
import { type Logger, silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { tiffFilesAt } from '../data/opening/files.js';
import type { OpenDatasetOptions } from '../data/options.js';
import { json, writeAtomically } from '../formats/outputFiles.js';
import { readMessage } from './dectris.js';
import { type FramePosition, FrameRecord } from './record.js';

/** A scan that grows. */
export interface GrowingScan {
  /** What is opened, and with which options besides those of the user. */
  readonly path: string;
  readonly options: OpenDatasetOptions;
  /** Whether it is a stream that is written down here. */
  readonly recorded: boolean;
  /** A word that changes whenever there is more to read; undefined before the first frame. */
  look(): Promise<string | undefined>;
  /** Told how many patterns there were when it was opened. */
  found(patterns: number): void;
  /** No more will come. */
  readonly ended: boolean;
  /** When the first and the tenth frame came and the last one had, as far as it is known (`performance.now`). */
  readonly times?: { begun?: number; tenth?: number; ended?: number };
  /** What ended it, where it was a failure. */
  readonly failure?: Error;
  close(): Promise<void>;
}

/** How a source is read. */
export interface SourceOptions {
  /** Where a stream is recorded. */
  readonly folder: string;
  /** A file that has not grown for so long is finished. */
  readonly idleSeconds: number;
  /** After so many frames it is finished. */
  readonly nFrames: number | null;
  /** Positions by the number of the frame, where the stream does not append them. */
  readonly positions?: PlannedPositions;
}

/** Positions that are known before the scan. */
export interface PlannedPositions {
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  readonly unit: 'px' | 'm';
  /** Numbers of their frames, where the file has such a column; else they are in the order of the frames. */
  readonly indexes?: ArrayLike<number>;
}

/** Opens a source by its name. @throws PtychoError FILE_NOT_FOUND, USAGE for an address that cannot be used, BACKEND_MISSING, OUTPUT_UNWRITABLE */
export async function openSource(name: string, options: SourceOptions, services: Services = {}): Promise<GrowingScan> {
  if (/^(tcp|ipc):\/\//.test(name)) return StreamSource.open(name, options, services);
  const found = await stat(name).catch((cause) => {
    throw new PtychoError('FILE_NOT_FOUND', `There is no file or folder ${name}; a source is tcp://HOST:PORT of a detector, an HDF5 file or a folder of frames that grows.`, { path: name }, { cause }); // biome-ignore format: one sentence
  });
  return new FileSource(name, found.isDirectory(), options);
}

/** A file, or the frames in a folder: what does not change any more is finished. */
class FileSource implements GrowingScan {
  readonly options: OpenDatasetOptions;
  readonly recorded = false;
  ended = false;
  #mark: string | undefined;
  #since = performance.now();

  constructor(
    readonly path: string,
    private readonly isFolder: boolean,
    private readonly given: SourceOptions,
  ) {
    const { nFrames } = given;
    this.options = { drop_unpaired: true, ...(nFrames !== null && { frames: `0:${nFrames}` }) };
  }

  async look(): Promise<string | undefined> {
    const mark = this.isFolder ? await this.#newestFrame() : await stampOf(this.path);
    if (mark !== this.#mark) [this.#mark, this.#since] = [mark, performance.now()];
    else if (performance.now() - this.#since > 1000 * this.given.idleSeconds) this.ended = true;
    return mark;
  }

  async #newestFrame(): Promise<string | undefined> {
    const names = await tiffFilesAt(this.path);
    const last = names.reduce((newest, name) => (name > newest ? name : newest), '');
    return last === '' ? undefined : `${names.length} ${await stampOf(last)}`;
  }

  found(patterns: number): void {
    const { nFrames } = this.given;
    if (nFrames !== null && patterns >= nFrames) this.ended = true;
  }

  async close(): Promise<void> {}
}

/** Size and time: datasets may grow within a file that does not. */
async function stampOf(file: string): Promise<string | undefined> {
  const { size, mtimeMs } = await stat(file);
  return size === 0 ? undefined : `${size} ${mtimeMs}`;
}

/** The least of a ZeroMQ socket that is needed. */
interface PullSocket extends AsyncIterable<Uint8Array[]> {
  connect(address: string): void;
  close(): void;
  receiveHighWaterMark: number;
}

/** From so many frames on there is a picture; of fewer it shows nothing. */
export const TENTH = 10;
/** What has come and is not written may take so much memory. */
const MOST_WAITING_BYTES = 2 ** 28;
/** How often what came is made readable. */
const FLUSH_MS = 200;
/** Frames that wait in memory, at most; more wait at the detector. */
const WAITING = 2000;

/** A stream of a detector, written down as it comes. */
class StreamSource implements GrowingScan {
  readonly recorded = true;
  readonly times: { begun?: number; tenth?: number; ended?: number } = {};
  ended = false;
  failure: Error | undefined;
  #flushing: Promise<void> = Promise.resolve();
  #places: ReadonlyMap<number, number> | null | undefined;

  private constructor(
    private readonly socket: PullSocket,
    private readonly record: FrameRecord,
    private readonly given: SourceOptions,
    private readonly logger: Logger,
  ) {}

  static async open(
    address: string,
    given: SourceOptions,
    { logger = silentLogger, signal }: Services,
  ): Promise<StreamSource> {
    let Pull: new () => PullSocket;
    try {
      Pull = (await import('zeromq')).Pull as unknown as new () => PullSocket;
    } catch (cause) {
      throw missingPackage('A stream over the network needs zeromq', 'zeromq@6', cause);
    }
    const socket = new Pull();
    socket.receiveHighWaterMark = WAITING;
    try {
      socket.connect(address);
    } catch (cause) {
      socket.close();
      throw new PtychoError('USAGE', `${address} is no address of a detector (${messageOf(cause)}); give one such as tcp://127.0.0.1:9999.`, { found: address }, { cause }); // biome-ignore format: one sentence
    }
    const record = await FrameRecord.open(given.folder);
    if (record.count > 0) logger.info(`Going on after ${record.count} frames that were recorded before.`);
    const source = new StreamSource(socket, record, given, logger);
    signal?.addEventListener('abort', () => source.#end());
    void source.#listen();
    return source;
  }

  get path(): string {
    return this.record.patterns;
  }

  get options(): OpenDatasetOptions {
    return { positions: this.record.positions, drop_unpaired: true, measurement_domain: 'count_intensity' };
  }

  look(): Promise<string | undefined> {
    const { readable } = this.record;
    return Promise.resolve(readable === 0 ? undefined : String(readable));
  }

  found(): void {}

  #end(): void {
    if (this.ended) return;
    this.socket.close();
    this.times.ended = performance.now();
    this.ended = true;
  }

  async #listen(): Promise<void> {
    const timer = setInterval(() => void this.#flush(), FLUSH_MS);
    try {
      let series = await readSeries(this.given.folder, this.record.count);
      for await (const parts of this.socket) {
        const message = readMessage(parts);
        if (message === undefined) continue;
        if (series !== undefined && message.series !== series.series && message.kind !== 'end') {
          this.logger.warn(`Series ${message.series} began before series ${series.series} had ended; the scan is what came of the first.`); // biome-ignore format: one sentence
          break;
        }
        if (message.kind === 'header') this.logger.info(`Series ${message.series} begins.`);
        if (message.kind === 'end') break;
        if (message.kind !== 'frame') continue;
        series ??= await this.#begin(message);
        const position = positionOf(message.appendix) ?? this.#planned(message.frame - series.first);
        if (position === undefined) {
          throw new PtychoError('DATASET_VALUE', `Frame ${message.frame} has no position: the stream appends none (x_m, y_m or x_px, y_px), and --positions has none of that number.`, { frame: message.frame }); // biome-ignore format: one sentence
        }
        this.record.add(message.data, message.shape, position);
        this.times.begun ??= performance.now();
        if (this.record.count >= TENTH) this.times.tenth ??= performance.now();
        if (this.given.nFrames !== null && this.record.count >= this.given.nFrames) break;
        // A disk that is slower than the detector: more waits there.
        if (this.record.waitingBytes > MOST_WAITING_BYTES) await this.#flush();
      }
    } catch (error) {
      if (!this.ended) this.#fail(error as Error);
    } finally {
      clearInterval(timer);
      await this.#flushing;
      await this.record.flush().catch((error: Error) => this.#fail(error));
      this.#end();
    }
  }

  #fail(error: Error): void {
    this.failure ??= error;
    this.#end();
  }

  #flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.record.flush()).catch((error: Error) => this.#fail(error));
    return this.#flushing;
  }

  /** What the first frame says of the numbers of all: a detector may count from 0 or from 1. */
  async #begin({ series, frame }: { readonly series: number; readonly frame: number }): Promise<Series> {
    const begun = { series, first: frame === 1 ? 1 : 0 };
    if (frame > 1) this.logger.warn(`The first frame that came is number ${frame}; those before it are missing.`);
    await writeAtomically(path.join(this.given.folder, SERIES_FILE), json(begun));
    return begun;
  }

  /** @param place of the frame among those of the series, counted from 0 */
  #planned(place: number): FramePosition | undefined {
    const { positions } = this.given;
    if (!positions) return undefined;
    const { x, y, unit, indexes } = positions;
    this.#places ??= placesOf(indexes);
    const row = this.#places === null ? place : this.#places.get(place);
    return row !== undefined && row < x.length ? { x: x[row], y: y[row], unit } : undefined;
  }

  async close(): Promise<void> {
    this.#end();
    await this.#flushing;
    await this.record.close();
  }
}

/** The series of a record, and the number of its first frame. */
interface Series {
  readonly series: number;
  readonly first: number;
}
const SERIES_FILE = 'series.json';

/** That of a record which is gone on with. */
async function readSeries(folder: string, frames: number): Promise<Series | undefined> {
  if (frames === 0) return undefined;
  try {
    const text = await readTextInput(path.join(folder, SERIES_FILE), { maxBytes: CONFIG_BYTES });
    const { series, first } = JSON.parse(text) as Partial<Series>;
    return typeof series === 'number' && typeof first === 'number' ? { series, first } : undefined;
  } catch {
    return undefined;
  }
}

/** Rows of a table of positions by the place of the frame; null where they are in its order. */
function placesOf(indexes: ArrayLike<number> | undefined): ReadonlyMap<number, number> | null {
  if (indexes === undefined) return null;
  const numbers = Array.from(indexes);
  const smallest = numbers.reduce((least, number) => Math.min(least, number), Number.POSITIVE_INFINITY);
  return new Map(numbers.map((number, row) => [number - smallest, row]));
}

/** A position that the beamline appended to a frame. */
function positionOf(appendix: unknown): FramePosition | undefined {
  const { x_m, y_m, x_px, y_px } = (appendix ?? {}) as Record<string, unknown>;
  const [x, y, unit] = x_m === undefined ? ([x_px, y_px, 'px'] as const) : ([x_m, y_m, 'm'] as const);
  return typeof x === 'number' && typeof y === 'number' ? { x, y, unit } : undefined;
}

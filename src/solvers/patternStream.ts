/**
 * The patterns of a scan that does not fit into memory: a temporary file holds them as passes take them, and a batch is read while the
 * one before it is at work. Files of beamlines are read once, in order: their frames are larger than what is cut out of them, compressed, and
 * many to a chunk.
 *
 * @example
 * const stream = PatternStream.create({ N: 256, count: 20_000, most: 256 }, 'scan.h5');
 * for (const part of parts) stream.append(part);
 * const batches = stream.plan([Int32Array.of(4, 7), Int32Array.of(1, 9)]);
 * await stream.load(batches[0]); // and begins to read batches[1]
 */
import { tmpdir } from 'node:os';
import { PtychoError } from '../core/errors.js';
import { formatBytes } from '../core/words.js';
import { ScratchFile } from '../formats/scratchFile.js';
import { type MeasuredSums, type PatternLoader, patternAt, type SolverScan } from './wavePasses.js';

/** What a stream holds at a time. */
export interface StreamSizes {
  readonly N: number;
  readonly count: number;
  /** The largest batch. */
  readonly most: number;
}

/** Bytes of memory that a stream takes. */
export const streamBytes = ({ N, most }: Omit<StreamSizes, 'count'>): number => 2 * 4 * most * N * N;

/** Reads at a time. */
const READS = 4;

interface Ahead {
  readonly batch: Int32Array;
  readonly half: number;
  readonly ready: Promise<void>;
}

export class PatternStream implements PatternLoader {
  /** Two halves of `most` patterns each: one is at work, into the other the next batch is read. */
  readonly amplitudes: Float32Array<SharedArrayBuffer>;
  readonly slots: Int32Array<SharedArrayBuffer>;
  readonly measured: MeasuredSums;
  readonly #area: number;
  #appended = 0;
  /** The half that is at work. */
  #half = 0;
  #loaded: Int32Array | undefined;
  #planned: readonly Int32Array[] = [];
  #ahead: Ahead | undefined;

  /** @throws PtychoError OUTPUT_UNWRITABLE where temporary files have no room for the patterns */
  static create(sizes: StreamSizes, source: string): PatternStream {
    const file = ScratchFile.create(4 * sizes.count * sizes.N ** 2);
    if (!file) throw noRoom(sizes, source);
    return new PatternStream(file, sizes, source);
  }

  private constructor(
    private readonly file: ScratchFile,
    private readonly sizes: StreamSizes,
    private readonly source: string,
  ) {
    const { N, count } = sizes;
    this.#area = N * N;
    this.amplitudes = new Float32Array(new SharedArrayBuffer(streamBytes(sizes)));
    this.slots = new Int32Array(new SharedArrayBuffer(4 * count)).fill(-1);
    this.measured = { amplitude: new Float64Array(count), counts: new Float64Array(count) };
  }

  /** The next patterns in the order of the scan, (n, N, N) as `SolverScan.amplitudes` has them. */
  append(patterns: Float32Array): void {
    const sums = measuredSums(patterns, this.#area);
    this.measured.amplitude.set(sums.amplitude, this.#appended);
    this.measured.counts.set(sums.counts, this.#appended);
    const bytes = new Uint8Array(patterns.buffer, patterns.byteOffset, patterns.byteLength);
    if (!this.file.write(4 * this.#area * this.#appended, bytes)) throw noRoom(this.sizes, this.source);
    this.#appended += patterns.length / this.#area;
  }

  /** Batches that will be asked for in this order; others may come between them. @returns the same */
  plan(batches: Int32Array[]): Int32Array[] {
    this.#planned = batches;
    return batches;
  }

  async load(batch: Int32Array): Promise<void> {
    if (batch.length > this.sizes.most)
      throw new RangeError(`a batch of ${batch.length} of at most ${this.sizes.most}`);
    if (batch === this.#loaded) return;
    this.#loaded = undefined;
    if (this.#ahead?.batch === batch) {
      const { half, ready } = this.#ahead;
      this.#ahead = undefined;
      await ready;
      this.#half = half;
    } else await this.#read(batch, this.#half);
    this.slots.fill(-1);
    batch.forEach((k, i) => {
      this.slots[k] = this.#half * this.sizes.most + i;
    });
    this.#loaded = batch;
    this.#readAhead(batch);
  }

  /** The one after a planned batch, into the half that is free. */
  #readAhead(batch: Int32Array): void {
    const at = this.#planned.indexOf(batch);
    if (at < 0 || at + 1 >= this.#planned.length || this.#ahead) return;
    const [next, half] = [this.#planned[at + 1], 1 - this.#half];
    const ready = this.#read(next, half);
    // Told where the batch is asked for, if ever.
    ready.catch(() => undefined);
    this.#ahead = { batch: next, half, ready };
  }

  async #read(batch: Int32Array, half: number): Promise<void> {
    const bytes = 4 * this.#area;
    const from = half * this.sizes.most * bytes;
    let next = 0;
    const reader = async () => {
      for (let i = next++; i < batch.length; i = next++) {
        await this.file.readAsync(bytes * batch[i], new Uint8Array(this.amplitudes.buffer, from + i * bytes, bytes));
      }
    };
    await Promise.all(Array.from({ length: READS }, reader));
  }

  /** Waits for what is being read, and removes the file. */
  async close(): Promise<void> {
    await this.#ahead?.ready.catch(() => undefined);
    this.file.close();
  }
}

function noRoom({ count, N }: StreamSizes, source: string): PtychoError {
  const bytes = 4 * count * N * N;
  return new PtychoError(
    'OUTPUT_UNWRITABLE',
    `${source}: its patterns need ${formatBytes(bytes)} in the folder for temporary files (${tmpdir()}), which has no room for them; free some, set TMPDIR to another disk, or use fewer patterns (--n_subsample).`,
    { path: source, bytes },
  );
}

/** Patterns of a scan in their order, whoever holds them; each is valid until the next is taken. */
export async function* patternsOf(scan: SolverScan, most = 64): AsyncGenerator<Float32Array> {
  for (let from = 0; from < scan.count; from += most) {
    const batch = Int32Array.from({ length: Math.min(most, scan.count - from) }, (_, i) => from + i);
    await scan.stream?.load(batch);
    for (const k of batch) yield patternAt(scan, k);
  }
}

/** Σ√I and ΣI over the good pixels of each of some patterns. */
export function measuredSums(patterns: Float32Array, area: number): MeasuredSums {
  const count = patterns.length / area;
  const [amplitude, counts] = [new Float64Array(count), new Float64Array(count)];
  for (let k = 0, at = 0; k < count; k++) {
    for (const end = at + area; at < end; at++) {
      const root = Math.max(0, patterns[at]);
      amplitude[k] += root;
      counts[k] += root * root;
    }
  }
  return { amplitude, counts };
}

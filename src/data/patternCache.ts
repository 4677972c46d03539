import type { PatternSource, PatternSums } from './patternSource.js';

/** The most bytes of patterns that are kept unless told otherwise: 1 GiB. */
export const DEFAULT_CACHE_BYTES = 2 ** 30;

/**
 * A source that keeps the patterns `indices` (repeats count once) in memory from the first time they are read, because
 * training reads the same ones every epoch; the source itself when it has them in memory anyway or when they take more than
 * `maxBytes` (then nothing is kept, so that memory does not grow with the scan).
 */
export function keepPatterns(
  source: PatternSource,
  indices: ArrayLike<number>,
  maxBytes: number = DEFAULT_CACHE_BYTES,
): PatternSource {
  if (source.resident) return source;
  const kept = sortedDistinct(indices);
  return kept.length * source.N * source.N * 4 <= maxBytes ? new KeptPatterns(source, kept) : source;
}

/**
 * A source that keeps as many of the patterns `indices` as fit `maxBytes`, the first ones of the file: for two passes over a
 * scan of any length, of which the second need not read those again.
 */
export function keepFirstPatterns(source: PatternSource, indices: ArrayLike<number>, maxBytes: number): PatternSource {
  if (source.resident) return source;
  const wanted = sortedDistinct(indices);
  const kept = wanted.subarray(0, Math.floor(maxBytes / (source.N * source.N * 4)));
  return kept.length > 0 ? new KeptPatterns(source, kept, kept.length === wanted.length) : source;
}

/**
 * Reads patterns in ascending order, each once, so that neighbours in the file are read in one go, and puts them where
 * they were asked for.
 * @param out shape (indices.length, N, N).
 * @param scale a factor for the amplitudes, see `PatternSource.readAmplitudes`.
 */
export async function readInFileOrder(
  source: PatternSource,
  indices: ArrayLike<number>,
  out: Float32Array,
  scale = 1,
): Promise<void> {
  if (source.resident || isAscending(indices)) return source.readAmplitudes(indices, out, scale);
  const distinct = sortedDistinct(indices);
  const size = source.N * source.N;
  const pixels = new Float32Array(distinct.length * size);
  await source.readAmplitudes(distinct, pixels, scale);
  const placeOf = new Map<number, number>();
  for (let i = 0; i < distinct.length; i++) placeOf.set(distinct[i], i * size);
  for (let i = 0; i < indices.length; i++) {
    const at = placeOf.get(indices[i])!;
    out.set(pixels.subarray(at, at + size), i * size);
  }
}

/** Another source's patterns; what is not changed is that source's business. */
class WrappedPatterns implements PatternSource {
  constructor(
    protected readonly source: PatternSource,
    readonly count: number,
    readonly resident: boolean,
    readonly sums?: PatternSums,
  ) {}

  get N() {
    return this.source.N;
  }
  get domain() {
    return this.source.domain;
  }
  get storedDtype() {
    return this.source.storedDtype;
  }

  readAmplitudes(indices: ArrayLike<number>, out: Float32Array, scale?: number): Promise<void> {
    return this.source.readAmplitudes(this.placesOf(indices), out, scale);
  }

  readStored(indices: ArrayLike<number>, out: Float32Array): Promise<void> {
    return this.source.readStored(this.placesOf(indices), out);
  }

  /** Which of the source's patterns these are. */
  protected placesOf(indices: ArrayLike<number>): ArrayLike<number> {
    return indices;
  }

  close(): Promise<void> {
    return this.source.close();
  }
}

/** Some of the patterns of a source, with what they sum up to. */
export class SomePatterns extends WrappedPatterns {
  constructor(
    source: PatternSource,
    private readonly rows: Int32Array,
    sums: PatternSums | undefined,
  ) {
    super(source, rows.length, source.resident, sums);
  }

  /** An index that does not exist stays what it is, and the source says so. */
  protected override placesOf(indices: ArrayLike<number>): Int32Array {
    return Int32Array.from(indices, (i) => (i >= 0 && i < this.count ? this.rows[i] : -1));
  }
}

/** Amplitudes in one block of memory, filled as they are first read. What is stored is not kept: whoever wants it wants it once. */
class KeptPatterns extends WrappedPatterns {
  /** Where a pattern's pixels are (in patterns), −1 for those that are not kept. */
  private readonly slots: Int32Array;
  private readonly filled: Uint8Array;
  private block: Float32Array | undefined;

  /** @param all that will be asked for is kept: copies of it would save nothing */
  constructor(
    source: PatternSource,
    private readonly kept: Int32Array,
    all = true,
  ) {
    super(source, source.count, all);
    this.slots = new Int32Array(source.count).fill(-1);
    kept.forEach((pattern, slot) => {
      this.slots[pattern] = slot;
    });
    this.filled = new Uint8Array(kept.length);
  }

  override async readAmplitudes(indices: ArrayLike<number>, out: Float32Array, scale = 1): Promise<void> {
    const { slots, filled } = this;
    const size = this.N * this.N;
    // Others, and indices that do not exist, are the source's business.
    const isKept = (index: number) => slots[index] >= 0;
    const others = Array.from(indices).filter((index) => !isKept(index));
    if (others.length > 0) {
      const some = !this.resident && others.length < indices.length;
      return some ? this.readBoth(indices, others, out, scale) : readInFileOrder(this.source, indices, out, scale);
    }
    const absent = sortedDistinct(indices).filter((pattern) => filled[slots[pattern]] === 0);
    if (absent.length > 0) {
      const pixels = new Float32Array(absent.length * size);
      await this.source.readAmplitudes(absent, pixels);
      this.block ??= new Float32Array(this.kept.length * size);
      for (let i = 0; i < absent.length; i++) {
        const slot = slots[absent[i]];
        this.block.set(pixels.subarray(i * size, (i + 1) * size), slot * size);
        filled[slot] = 1;
      }
    }
    for (let i = 0; i < indices.length; i++) {
      const at = slots[indices[i]] * size;
      const pixels = this.block!.subarray(at, at + size);
      if (scale === 1) out.set(pixels, i * size);
      else scaleInto(out, i * size, pixels, scale);
    }
  }

  /** Patterns of which only some are kept. */
  private async readBoth(
    indices: ArrayLike<number>,
    others: readonly number[],
    out: Float32Array,
    scale: number,
  ): Promise<void> {
    const size = this.N * this.N;
    const kept = Array.from(indices).filter((index) => this.slots[index] >= 0);
    const parts = { kept: new Float32Array(kept.length * size), others: new Float32Array(others.length * size) };
    await readInFileOrder(this.source, others, parts.others, scale);
    await this.readAmplitudes(kept, parts.kept, scale);
    const at = { kept: 0, others: 0 };
    for (let i = 0; i < indices.length; i++) {
      const part = this.slots[indices[i]] >= 0 ? 'kept' : 'others';
      out.set(parts[part].subarray(at[part], at[part] + size), i * size);
      at[part] += size;
    }
  }
}

function scaleInto(out: Float32Array, at: number, pixels: Float32Array, scale: number): void {
  const factor = Math.fround(scale);
  for (let p = 0; p < pixels.length; p++) out[at + p] = pixels[p] * factor;
}

function isAscending(list: ArrayLike<number>): boolean {
  for (let i = 1; i < list.length; i++) if (!(list[i] > list[i - 1])) return false;
  return true;
}

function sortedDistinct(list: ArrayLike<number>): Int32Array {
  const sorted = Int32Array.from(list).sort();
  return sorted.filter((value, i) => i === 0 || value !== sorted[i - 1]);
}

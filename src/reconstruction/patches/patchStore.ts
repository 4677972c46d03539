/**
 * Patches kept for a second look: in memory while they are few, then in a temporary file, so that memory does not grow with the
 * scan.
 */
import { ScratchFile } from '../../formats/scratchFile.js';
import { cropStart, type ScanBounds, scanBounds } from '../frame.js';

/** Patches kept in memory: 2,000 of 32×32 pixels. */
const MEMORY_BYTES = 32 * 2 ** 20;
/** Patches given back at a time. */
const CHUNK = 256;

/** Some patches in the order in which they came: (count, M, M) arrays and their positions. */
export interface PatchChunk {
  readonly re: Float32Array;
  readonly im: Float32Array;
  readonly count: number;
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  /** Number of the first one. */
  readonly start: number;
}

/** Keeps the central M×M pixels of patches. */
export class PatchStore {
  #count = 0;
  #room: number;
  #xs = new Float64Array(CHUNK);
  #ys = new Float64Array(CHUNK);
  #memory: Float32Array;
  #file: ScratchFile | undefined;
  #full = false;
  readonly #memoryPatches: number;

  /**
   * @param cropSide M
   * @param expected patches that are likely to come
   * @param memoryBytes how much may be kept in memory
   */
  constructor(
    readonly cropSide: number,
    expected: number,
    memoryBytes = MEMORY_BYTES,
  ) {
    this.#memoryPatches = Math.max(1, Math.floor(memoryBytes / this.#bytes));
    this.#room = Math.min(Math.max(1, expected), this.#memoryPatches);
    this.#memory = new Float32Array((this.#room * this.#bytes) / 4);
  }

  get #bytes(): number {
    return 8 * this.cropSide ** 2;
  }

  /** Patches so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Keeps the first `count` patches of (≥ count, side, side) arrays at xs, ys.
   * @returns false when the temporary file cannot take them; those before are still there, more are not taken
   */
  add(
    re: Float32Array,
    im: Float32Array,
    count: number,
    side: number,
    xs: ArrayLike<number>,
    ys: ArrayLike<number>,
  ): boolean {
    if (this.#full) return false;
    const { cropSide } = this;
    const skip = cropStart(side, cropSide);
    const values = new Float32Array((count * this.#bytes) / 4);
    const area = cropSide ** 2;
    for (let k = 0; k < count; k++) {
      for (let r = 0; r < cropSide; r++) {
        const from = k * side * side + (skip + r) * side + skip;
        const to = 2 * k * area + r * cropSide;
        // Rows are short: element by element is many times faster than views of them.
        for (let c = 0; c < cropSide; c++) {
          values[to + c] = re[from + c];
          values[to + area + c] = im[from + c];
        }
      }
    }
    if (this.#count + count > this.#xs.length) {
      const size = 2 * (this.#count + count);
      this.#xs = grown(this.#xs, new Float64Array(size));
      this.#ys = grown(this.#ys, new Float64Array(size));
    }
    for (let k = 0; k < count; k++) {
      this.#xs[this.#count + k] = xs[k];
      this.#ys[this.#count + k] = ys[k];
    }
    if (!this.#write(values, count)) {
      this.#full = true;
      return false;
    }
    this.#count += count;
    return true;
  }

  /** The first patches go to memory, the others to the file. */
  #write(values: Float32Array, count: number): boolean {
    const per = this.#bytes / 4;
    const inMemory = Math.max(0, Math.min(count, this.#memoryPatches - this.#count));
    if (inMemory > 0 && this.#count + inMemory > this.#room) {
      this.#room = Math.min(this.#memoryPatches, 2 * (this.#count + inMemory));
      this.#memory = grown(this.#memory, new Float32Array(this.#room * per));
    }
    this.#memory.set(values.subarray(0, inMemory * per), Math.min(this.#count, this.#room) * per);
    if (inMemory === count) return true;
    const rest = values.subarray(inMemory * per);
    this.#file ??= ScratchFile.create(rest.byteLength);
    if (this.#file === undefined) return false;
    const at = (this.#count + inMemory - this.#memoryPatches) * this.#bytes;
    return this.#file.write(at, new Uint8Array(rest.buffer, rest.byteOffset, rest.byteLength));
  }

  /** Extreme positions of the patches so far. */
  bounds(): ScanBounds {
    return scanBounds(this.#xs.subarray(0, this.#count), this.#ys.subarray(0, this.#count));
  }

  /** All patches from number `from` on again, in order. */
  *chunks(from = 0): Generator<PatchChunk, void, void> {
    const area = this.cropSide ** 2;
    const per = 2 * area;
    for (let start = from; start < this.#count; start += CHUNK) {
      const count = Math.min(CHUNK, this.#count - start);
      const values = new Float32Array(count * per);
      const inMemory = Math.max(0, Math.min(count, this.#memoryPatches - start));
      values.set(this.#memory.subarray(start * per, (start + inMemory) * per));
      if (inMemory < count) {
        const at = (start + inMemory - this.#memoryPatches) * this.#bytes;
        this.#file?.read(at, new Uint8Array(values.buffer, inMemory * this.#bytes));
      }
      const re = new Float32Array(count * area);
      const im = new Float32Array(count * area);
      for (let k = 0; k < count; k++) {
        re.set(values.subarray(k * per, k * per + area), k * area);
        im.set(values.subarray(k * per + area, (k + 1) * per), k * area);
      }
      yield {
        re,
        im,
        count,
        xs: this.#xs.subarray(start, start + count),
        ys: this.#ys.subarray(start, start + count),
        start,
      };
    }
  }

  /** Removes the temporary file. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}

/** The values at the beginning of a larger array. */
function grown<T extends Float64Array | Float32Array>(values: T, larger: T): T {
  larger.set(values);
  return larger;
}

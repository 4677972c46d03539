/**
 * Diffraction patterns of a scan, read on demand as amplitudes. The one place where intensities are square-rooted and where
 * pixels are checked to be finite and not negative.
 */
import { PtychoError } from '../core/errors.js';
import { formatShape, type NumericArray, type Shape } from '../core/tensor.js';
import { type NpyOrigin, nameOf } from '../formats/npyHeader.js';
import type { NpzFile } from '../formats/npz.js';
import type { MeasurementDomain } from './measurementDomain.js';

/** Patterns of N×N pixels with zero frequency at (N/2, N/2). */
export interface PatternSource {
  readonly count: number;
  /** Pixels along each side. */
  readonly N: number;
  /** What is stored; what is delivered is always an amplitude: √counts, or the normalised amplitude. */
  readonly domain: MeasurementDomain;
  /** True when the patterns are in memory, so that keeping copies of them saves nothing. */
  readonly resident: boolean;
  /**
   * Writes the amplitudes of patterns `indices` one after the other into `out`, shape (indices.length, N, N).
   * @throws PtychoError DATASET_VALUE naming the first pixel that is NaN, infinite or negative; DATASET_SHAPE for an index
   * or an `out` that does not fit; reading errors of the file.
   */
  readAmplitudes(indices: ArrayLike<number>, out: Float32Array): Promise<void>;
  close(): Promise<void>;
}

/** Checks a read request against the source. */
function checkRequest(source: PatternSource, indices: ArrayLike<number>, out: Float32Array): void {
  for (let i = 0; i < indices.length; i++) {
    if (!(Number.isInteger(indices[i]) && indices[i] >= 0 && indices[i] < source.count)) {
      throw new PtychoError('DATASET_SHAPE', `There is no pattern ${indices[i]} among ${source.count}.`, {
        found: indices[i],
        expected: source.count,
      });
    }
  }
  const size = indices.length * source.N * source.N;
  if (out.length !== size) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${indices.length} patterns need room for ${size} pixels, got ${out.length}.`,
      {
        found: out.length,
        expected: size,
      },
    );
  }
}

/**
 * Turns stored values into amplitudes in place.
 * @param patternAt the number of the i-th pattern in the file, for messages.
 */
function toAmplitudes(
  values: Float32Array,
  source: PatternSource,
  patternAt: (i: number) => number,
  origin: NpyOrigin,
): void {
  const root = source.domain === 'count_intensity';
  for (let p = 0; p < values.length; p++) {
    const v = values[p];
    if (!(v >= 0 && v < Number.POSITIVE_INFINITY)) {
      const { N } = source;
      const pixel = p % (N * N);
      throw new PtychoError(
        'DATASET_VALUE',
        `${nameOf(origin)} has the value ${v} in pattern ${patternAt(Math.floor(p / (N * N)))}, row ${Math.floor(pixel / N)}, column ${pixel % N}, but pixels must be finite and not negative; replace such pixels (by 0, say) and save again.`,
        { path: origin.path, key: origin.member, found: v },
      );
    }
    if (root) values[p] = Math.sqrt(v);
  }
}

/** Patterns in memory: `data` has shape (n, N, N), C order. */
export class ArrayPatterns implements PatternSource {
  readonly count: number;
  readonly resident = true;

  /**
   * @param rows patterns of `data` that the source consists of; all by default.
   */
  constructor(
    private readonly data: NumericArray,
    readonly N: number,
    readonly domain: MeasurementDomain,
    private readonly origin: NpyOrigin,
    private readonly rows?: Int32Array,
  ) {
    this.count = rows?.length ?? data.length / (N * N);
  }

  async readAmplitudes(indices: ArrayLike<number>, out: Float32Array): Promise<void> {
    checkRequest(this, indices, out);
    const size = this.N * this.N;
    const rowOf = (i: number) => this.rows?.[indices[i]] ?? indices[i];
    for (let i = 0; i < indices.length; i++) {
      out.set(this.data.subarray(rowOf(i) * size, (rowOf(i) + 1) * size), i * size);
    }
    toAmplitudes(out, this, rowOf, this.origin);
  }

  async close(): Promise<void> {}
}

/** Patterns of an NPZ array of shape (n, N, N): read from disk row by row where the archive allows it. */
export class NpzPatterns implements PatternSource {
  readonly count: number;

  /**
   * @param rows patterns of the array that the source consists of.
   * @param resident whether the archive has to keep the array in memory (see `NpzFile.rowAccess`).
   */
  constructor(
    private readonly npz: NpzFile,
    private readonly key: string,
    readonly N: number,
    readonly domain: MeasurementDomain,
    private readonly rows: Int32Array,
    readonly resident: boolean,
  ) {
    this.count = rows.length;
  }

  async readAmplitudes(indices: ArrayLike<number>, out: Float32Array): Promise<void> {
    checkRequest(this, indices, out);
    const rows = Int32Array.from(indices, (i) => this.rows[i]);
    await this.npz.readRowsInto(this.key, rows, out);
    toAmplitudes(out, this, (i) => rows[i], this.npz.origin(this.key));
  }

  close(): Promise<void> {
    return this.npz.close();
  }
}

/**
 * How a diffraction array is laid out: (n, N, N), or (N, N, n) as older files have it, with or without a last axis of length
 * 1. The rule: the two equal axes are the pixels; else the axis as long as the coordinates counts the patterns; else one
 * that is not longer; else a last axis longer than both others.
 *
 * @returns the number of patterns, their side, and whether the pattern axis comes last.
 * @throws PtychoError DATASET_SHAPE for a wrong rank, patterns that are not square, or no patterns.
 */
export function patternLayout(shape: Shape, coordinates: number, origin: NpyOrigin) {
  const fail = (what: string) =>
    new PtychoError('DATASET_SHAPE', `${nameOf(origin)} has shape ${formatShape(shape)}, ${what}.`, {
      path: origin.path,
      key: origin.member,
      found: shape,
    });
  const axes = shape.length === 4 && shape[3] === 1 ? shape.slice(0, 3) : shape;
  if (axes.length !== 3) throw fail('but diffraction must have three axes: (patterns, N, N)');
  const last = patternsComeLast(axes, coordinates);
  const [count, rows, columns] = last ? [axes[2], axes[0], axes[1]] : axes;
  if (rows !== columns) {
    throw fail(`so its patterns are ${rows}×${columns} pixels, but they must be square; crop or pad them to N×N`);
  }
  if (count === 0 || rows === 0) throw fail('so it holds no patterns');
  return { count, N: rows, last };
}

function patternsComeLast([s0, s1, s2]: Shape, n: number): boolean {
  const canonical = s1 === s2;
  const legacy = s0 === s1;
  if (canonical !== legacy) return legacy;
  if ((s0 === n) !== (s2 === n)) return s2 === n;
  if (s0 < n !== s2 < n) return s2 < n;
  return s2 > Math.max(s0, s1);
}

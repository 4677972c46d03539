/**
 * Diffraction patterns of a scan, read on demand as amplitudes. The one place where frames are cropped and turned, where bad
 * pixels are blanked, where intensities are square-rooted and where pixels are checked to be finite and, unless they are noise
 * around zero, not negative.
 */
import { PtychoError } from '../core/errors.js';
import type { NumericArray } from '../core/tensor.js';
import { type NpyDtype, type NpyOrigin, npyError } from '../formats/npyHeader.js';
import type { MeasurementDomain } from './opening/measurementDomain.js';
import { type CropWindow, copyWindow } from './prepare/frameLayout.js';
import type { StoredPatterns } from './scanFile.js';

/** Patterns of N×N pixels with zero frequency at (N/2, N/2). */
export interface PatternSource {
  readonly count: number;
  /** Pixels along each side. */
  readonly N: number;
  /** What is stored; what is delivered is always an amplitude: √counts, or the normalised amplitude. */
  readonly domain: MeasurementDomain;
  /** True when the patterns are in memory, so that keeping copies of them saves nothing. */
  readonly resident: boolean;
  /** The type of the stored values. */
  readonly storedDtype: NpyDtype;
  /**
   * Writes the amplitudes of patterns `indices` one after the other into `out`, shape (indices.length, N, N), each times
   * `scale` (1 when left out; the product is one in single precision, as the network's input is defined).
   * Noise below zero, where the scan has it, becomes 0.
   * @throws PtychoError DATASET_VALUE naming the first pixel that is NaN, infinite or (elsewhere) negative; DATASET_SHAPE for an index
   * or an `out` that does not fit; reading errors of the file.
   */
  readAmplitudes(indices: ArrayLike<number>, out: Float32Array, scale?: number): Promise<void>;
  /** The same in the stored unit (`domain`): counts stay counts, noise below zero included. Bad pixels are 0 here too. */
  readStored(indices: ArrayLike<number>, out: Float32Array): Promise<void>;
  /** What each pattern sums up to, where a pass over all of them has measured it (`surveyScan`). */
  readonly sums?: PatternSums;
  /** Releases the files. */
  close(): Promise<void>;
}

/** Patterns looked at, (indices.length, N, N): intensities or amplitudes. */
export interface LookedPatterns {
  readonly pixels: Float32Array;
  /** Which patterns of the scan they are. */
  readonly indices: Int32Array;
}

/** Sums over the pixels of each pattern, (count,) each; d is the amplitude. */
export interface PatternSums {
  /** Σ d² */
  readonly power: Float64Array;
  /** Σ d⁴ */
  readonly squares: Float64Array;
  /** Σ d */
  readonly sum: Float64Array;
  readonly max: Float64Array;
}

/** How frames of a file become patterns. */
export interface PatternView {
  /** Frames of the file that the source consists of; all by default. */
  readonly rows?: Int32Array;
  /** What is cut out of each frame; all of it by default. */
  readonly window?: CropWindow;
  /** Exchange rows and columns (after cropping). */
  readonly transpose?: boolean;
  /** (N, N) of the finished pattern: 1 = unusable. */
  readonly badPixels?: Uint8Array;
  /** Values below zero are noise: kept as they are stored, 0 as amplitudes. Refused otherwise. */
  readonly negativeNoise?: boolean;
}

/** Pixels of whole frames that are read in one go before they are cropped. */
const CHUNK_PIXELS = 1 << 22;

/** Patterns made from the frames of any file, a few at a time. */
export class FramePatterns implements PatternSource {
  readonly count: number;
  readonly N: number;
  readonly resident: boolean;
  readonly storedDtype: NpyDtype;
  private readonly window: CropWindow;
  /** The places of the bad pixels. */
  private readonly bad: Int32Array;
  private readonly toAmplitudes: AmplitudeRule;
  private readonly toStored: AmplitudeRule;

  /** @param frames square, or with a window. */
  constructor(
    private readonly frames: StoredPatterns,
    readonly domain: MeasurementDomain,
    private readonly view: PatternView = {},
  ) {
    this.count = view.rows?.length ?? frames.count;
    this.window = view.window ?? { row: 0, column: 0, side: frames.width };
    this.N = this.window.side;
    this.resident = frames.resident;
    this.storedDtype = frames.dtype;
    this.toAmplitudes = amplitudeRule(
      frames.dtype,
      domain === 'count_intensity',
      view.negativeNoise ? 'clip' : 'refuse',
    );
    this.toStored = amplitudeRule(frames.dtype, false, view.negativeNoise ? 'keep' : 'refuse');
    this.bad = Int32Array.from({ length: view.badPixels ? this.N ** 2 : 0 }, (_, p) => p).filter(
      (p) => view.badPixels![p] === 1,
    );
  }

  readAmplitudes(indices: ArrayLike<number>, out: Float32Array, scale = 1): Promise<void> {
    return this.read(indices, out, this.toAmplitudes, scale);
  }

  readStored(indices: ArrayLike<number>, out: Float32Array): Promise<void> {
    return this.read(indices, out, this.toStored, 1);
  }

  /** Values as the file has them, cropped and turned, and nothing else: bad pixels and NaN are there. @returns the file's rows */
  async readUnchecked(indices: ArrayLike<number>, out: Float32Array): Promise<Int32Array> {
    this.checkRequest(indices, out);
    const rows = Int32Array.from(indices, (i) => this.view.rows?.[i] ?? i);
    if (this.view.window === undefined && !this.view.transpose) await this.frames.readRowsInto(rows, out);
    else await this.readWindows(rows, out);
    return rows;
  }

  async close(): Promise<void> {}

  private async readWindows(rows: Int32Array, out: Float32Array): Promise<void> {
    const { height, width } = this.frames;
    const { window } = this;
    const [frame, pattern] = [height * width, window.side ** 2];
    const step = Math.min(rows.length, Math.max(1, Math.floor(CHUNK_PIXELS / frame)));
    const buffer = new Float32Array(step * frame);
    for (let from = 0; from < rows.length; from += step) {
      const part = rows.subarray(from, from + step);
      const pixels = buffer.subarray(0, part.length * frame);
      await this.frames.readRowsInto(part, pixels);
      for (let i = 0; i < part.length; i++) {
        copyWindow(
          pixels.subarray(i * frame, (i + 1) * frame),
          width,
          window,
          this.view.transpose ?? false,
          out.subarray((from + i) * pattern, (from + i + 1) * pattern),
        );
      }
    }
  }

  /** Bad pixels become 0 whatever they hold (detectors put −1, NaN or 2³²−1 there); all others must be intensities. */
  private async read(indices: ArrayLike<number>, out: Float32Array, rule: AmplitudeRule, scale: number): Promise<void> {
    const { bad } = this;
    const rows = await this.readUnchecked(indices, out);
    const size = this.N * this.N;
    for (let i = 0; i < rows.length; i++) {
      const pattern = out.subarray(i * size, (i + 1) * size);
      for (let b = 0; b < bad.length; b++) pattern[bad[b]] = 0;
      rule(pattern, scale, (pixel, value) => this.refuse(value, rows[i], pixel));
    }
  }

  private refuse(value: number, frame: number, pixel: number): never {
    const { N, window } = this;
    const { origin } = this.frames;
    const place = [Math.floor(pixel / N), pixel % N];
    if (this.view.transpose) place.reverse();
    throw npyError(
      'DATASET_VALUE',
      origin,
      `has the value ${value} in pattern ${frame}, row ${place[0] + window.row}, column ${place[1] + window.column}, but pixels must be finite and not negative; say which values are data with --valid_range LO:HI, mark the pixel with --bad_pixels FILE[:key], or leave the pattern out with --skip_frames ${frame}.`,
      { found: value },
    );
  }

  private checkRequest(indices: ArrayLike<number>, out: Float32Array): void {
    for (let i = 0; i < indices.length; i++) {
      if (!(Number.isInteger(indices[i]) && indices[i] >= 0 && indices[i] < this.count)) {
        throw new PtychoError('DATASET_SHAPE', `There is no pattern ${indices[i]} among ${this.count}.`, {
          found: indices[i],
          expected: this.count,
        });
      }
    }
    const size = indices.length * this.N * this.N;
    if (out.length !== size) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `${indices.length} patterns need room for ${size} pixels, got ${out.length}.`,
        { found: out.length, expected: size },
      );
    }
  }
}

/** Frames in memory: `data` has shape (n, height, width), C order. */
export function framesInMemory(
  data: NumericArray,
  [count, height, width]: readonly number[],
  dtype: NpyDtype,
  origin: NpyOrigin,
): StoredPatterns {
  const size = height * width;
  return {
    count,
    height,
    width,
    dtype,
    resident: true,
    origin,
    async readRowsInto(rows, out) {
      for (let i = 0; i < rows.length; i++) out.set(data.subarray(rows[i] * size, (rows[i] + 1) * size), i * size);
    },
  };
}

/**
 * Checks that values are finite and not negative (unless it was said what becomes of those), takes their square roots where they are counts, and multiplies by a factor
 * (products in single precision).
 * @param refuse called with the place and the value of the first that is neither; must throw.
 */
export type AmplitudeRule = (
  values: Float32Array,
  scale: number,
  refuse: (place: number, value: number) => never,
) => void;

/** What becomes of values below zero; that of the noise of dark counts, say. */
export type Negatives = 'refuse' | 'clip' | 'keep';

/** The rule for values of a stored type; `root` says that they are counts. */
export function amplitudeRule(dtype: NpyDtype, root: boolean, negatives: Negatives = 'refuse'): AmplitudeRule {
  // Small unsigned counts need no check, and their roots are looked up faster than computed.
  const bits = dtype === 'uint8' ? 8 : dtype === 'uint16' ? 16 : 0;
  return root && bits > 0
    ? lookUp(2 ** bits)
    : (values, scale, refuse) => compute(values, root, scale, refuse, negatives);
}

function lookUp(size: number): AmplitudeRule {
  let roots: Float32Array | undefined;
  let rootsScale = Number.NaN;
  return (values, scale) => {
    if (roots === undefined || rootsScale !== scale) {
      const factor = Math.fround(scale);
      roots = new Float32Array(size);
      for (let k = 0; k < size; k++) roots[k] = Math.fround(Math.sqrt(k)) * factor;
      rootsScale = scale;
    }
    const table = roots;
    for (let i = 0; i < values.length; i++) values[i] = table[values[i] | 0];
  };
}

function compute(
  values: Float32Array,
  root: boolean,
  scale: number,
  refuse: (place: number, value: number) => never,
  negatives: Negatives,
): void {
  const factor = Math.fround(scale);
  for (let i = 0; i < values.length; i++) {
    let v = values[i];
    if (!(v >= 0 && v < Number.POSITIVE_INFINITY)) {
      if (negatives === 'refuse' || !(v < 0 && v > Number.NEGATIVE_INFINITY)) refuse(i, v);
      if (negatives === 'clip') {
        v = 0;
        values[i] = 0;
      }
    }
    if (root) values[i] = Math.fround(Math.sqrt(v)) * factor;
    else if (factor !== 1) values[i] = v * factor;
  }
}

/**
 * The grouped-data dictionary: the arrays that the Python tools make of a scan's groups, under the same names, with the same
 * shapes, types and order, channels (the C members of a group) last.
 *
 * The images are produced on demand, because they are C times as large as the scan: `diffraction` and `X_full` take 4 bytes,
 * `Y` 8 bytes, times B·C·N² each (50,000 groups of 4 patterns of 128²: 13 GB). Training does not need them; it reads batches
 * from `DiffractionDataset`.
 *
 * @example
 * const groups = groupScan(raw.xcoords, raw.ycoords, { gridsize: 2, n_groups: 512, neighbor_count: 7 });
 * const grouped = groupedData(raw, groups);
 * grouped.coords_relative.shape;                // [512, 1, 2, 4]
 * (await grouped.X_full.rows(0, 8)).shape;      // [8, 64, 64, 4]
 */
import { PtychoError } from '../../core/errors.js';
import { valuesAt } from '../../core/numbers.js';
import {
  type ComplexImage,
  type ComplexTensor,
  formatShape,
  type NumericArray,
  type Shape,
  sizeOf,
  type Tensor,
} from '../../core/tensor.js';
import { type Groups, groupsFromMembers } from '../../data/grouping/grouping.js';
import { groupedStatistics } from '../../data/normalise.js';
import { describeOrientation } from '../../data/opening/orientation.js';
import { readInFileOrder } from '../../data/patternCache.js';
import type { PatternSource } from '../../data/patternSource.js';
import type { RawData } from '../../data/rawData.js';
import { extractPatches } from '../../physics/sampling.js';

/** B groups of C patterns of N×N. Shapes are those of `channels: 'last'`; `first`: (B, C, N, N), (B, C, 1, 2), (B, 1, 1, 2). */
export interface GroupedData {
  /** (B, N, N, C) float32 amplitudes: as stored, √ of stored counts. */
  readonly diffraction: LazyArray<Tensor>;
  /**
   * (B, N, N, C) complex64 ground truth: the file's `Y`, else patches of `objectGuess` around each member's position, else
   * null. The Python tools cut the patches of gridsize > 1 mirrored at the group's centre; these are not.
   */
  readonly Y: LazyArray<ComplexTensor> | null;
  /** (B, 1, 2, C) float64 positions of the members, [x; y] in object pixels. */
  readonly coords_nn: Tensor<Float64Array>;
  /** (B, 1, 2, 1) float64 centres of the groups. */
  readonly coords_offsets: Tensor<Float64Array>;
  /** (B, 1, 2, C) float64 centre − member. */
  readonly coords_relative: Tensor<Float64Array>;
  /** The same from the positions at the start of the exposures; null where the scan has none. */
  readonly coords_start_nn: Tensor<Float64Array> | null;
  readonly coords_start_offsets: Tensor<Float64Array> | null;
  readonly coords_start_relative: Tensor<Float64Array> | null;
  /** (B, C) int32: the members, as indices into the selected patterns. */
  readonly nn_indices: Tensor<Int32Array>;
  readonly objectGuess: ComplexImage | null;
  /** (B, N, N, C) float32 `diffraction` times s = √((N/2)² / mean Σ d²): mean power (N/2)² an image. */
  readonly X_full: LazyArray<Tensor>;
  /** (n,) int32: which patterns of the file the selected ones are. */
  readonly sample_indices: Tensor<Int32Array>;
}

/** Options of {@link groupedData}. */
export interface GroupedDataOptions {
  /** Where the axis of the members is: `last` as in TensorFlow (default), or `first` as in PyTorch. */
  readonly channels?: 'last' | 'first';
  /** The scale of `X_full` where it is known; otherwise the first use of `X_full` reads every grouped pattern once. */
  readonly inputScale?: number;
  /** Read from here instead of `raw.patterns`: the same patterns, kept in memory (`keepPatterns`). */
  readonly patterns?: PatternSource;
}

/** The grouped-data dictionary of a scan; see {@link GroupedData}. Nothing is read before a lazy member is asked for. */
export function groupedData(raw: RawData, groups: Groups, options: GroupedDataOptions = {}): GroupedData {
  const { count: B, C, members } = groups;
  const { N } = raw;
  const last = (options.channels ?? 'last') === 'last';
  const patterns = options.patterns ?? raw.patterns;
  const imageShape = (rows: number): Shape => (last ? [rows, N, N, C] : [rows, C, N, N]);
  const arrange = (pixels: Float32Array, rows: number) => (last ? channelsLast(pixels, rows, C, N * N) : pixels);

  const amplitudes = async (from: number, to: number, scale?: number): Promise<Tensor> => {
    const pixels = new Float32Array((to - from) * C * N * N);
    await readInFileOrder(patterns, members.subarray(from * C, to * C), pixels, scale);
    return { data: arrange(pixels, to - from), shape: imageShape(to - from) };
  };
  let inputScale = options.inputScale === undefined ? undefined : Promise.resolve(options.inputScale);
  const measured = async () => (await groupedStatistics(patterns, groups, { badPixels: raw.badPixels })).inputScale;
  const truth = groundTruth(raw);
  const start =
    raw.xcoordsStart && raw.ycoordsStart
      ? groupsFromMembers(members, C, raw.xcoordsStart, raw.ycoordsStart)
      : undefined;
  const coordinates = (values: Float64Array, channels: number): Tensor<Float64Array> =>
    last
      ? { data: coordinatesLast(values, channels), shape: [B, 1, 2, channels] }
      : { data: values, shape: [B, channels, 1, 2] };
  return {
    diffraction: lazyArray(imageShape(B), 4, (from, to) => amplitudes(from, to)),
    Y:
      truth &&
      lazyArray(imageShape(B), 8, async (from, to) => {
        const { re, im } = await truth(members.subarray(from * C, to * C));
        return { re: arrange(re, to - from), im: arrange(im, to - from), shape: imageShape(to - from) };
      }),
    coords_nn: coordinates(groups.coordsNn, C),
    coords_offsets: coordinates(groups.coordsOffsets, 1),
    coords_relative: coordinates(groups.coordsRelative, C),
    coords_start_nn: start ? coordinates(start.coordsNn, C) : null,
    coords_start_offsets: start ? coordinates(start.coordsOffsets, 1) : null,
    coords_start_relative: start ? coordinates(start.coordsRelative, C) : null,
    nn_indices: { data: members, shape: [B, C] },
    objectGuess: raw.objectGuess ?? null,
    X_full: lazyArray(imageShape(B), 4, async (from, to) => {
      inputScale ??= measured();
      return amplitudes(from, to, await inputScale);
    }),
    sample_indices: { data: raw.sampleIndices, shape: [raw.sampleIndices.length] },
  };
}

/**
 * Reads complex patches (members, N, N) of the true object; null where the scan has none: no `Y`, and no `objectGuess` or
 * one that lies otherwise than the positions, which were flipped, exchanged or scaled on opening.
 */
function groundTruth(raw: RawData): ((members: Int32Array) => Promise<ComplexTensor>) | null {
  const { groundTruth: stored, objectGuess, N } = raw;
  if (stored) {
    return async (members) => {
      if (stored.height === N && stored.width === N) return stored.readRows(members);
      throw new PtychoError(
        'DATASET_SHAPE',
        `${raw.source}: the patches Y are ${formatShape([stored.height, stored.width])} pixels, but the patterns are ${formatShape([N, N])}; cut them to the patterns' size or leave Y out of the file.`,
        { key: 'Y', found: [stored.height, stored.width], expected: [N, N] },
      );
    };
  }
  if (!objectGuess || describeOrientation(raw.orientation) !== '') return null;
  return async (members) => {
    return extractPatches(objectGuess, valuesAt(raw.xcoords, members), valuesAt(raw.ycoords, members), N);
  };
}

/** (rows, C, pixels) → (rows, pixels, C). */
function channelsLast(pixels: Float32Array, rows: number, C: number, size: number): Float32Array {
  if (C === 1) return pixels;
  const out = new Float32Array(pixels.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < C; c++) {
      const from = (r * C + c) * size;
      for (let p = 0, at = r * C * size + c; p < size; p++, at += C) out[at] = pixels[from + p];
    }
  }
  return out;
}

/** (B, C, [x, y]) → (B, [x, y], C). */
function coordinatesLast(values: Float64Array, C: number): Float64Array {
  const out = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const [member, axis] = [i >> 1, i & 1];
    const [b, c] = [Math.floor(member / C), member % C];
    out[(b * 2 + axis) * C + c] = values[i];
  }
  return out;
}

/** An array on demand: call it for the whole, `rows` for a part; nothing is kept. */
export interface LazyArray<T extends Tensor<NumericArray> | ComplexTensor> {
  (): Promise<T>;
  /**
   * Rows `from` … `to` − 1 of the first axis.
   * @throws PtychoError DATASET_SHAPE for rows that do not exist, and those of reading.
   */
  rows(from: number, to: number): Promise<T>;
  readonly shape: Shape;
  /** What the whole array takes in memory. */
  readonly bytes: number;
}

/**
 * @param bytesPerElement 4 for float32, 8 for complex64.
 * @param read produces rows `from` … `to` − 1; called with a range that exists.
 */
export function lazyArray<T extends Tensor<NumericArray> | ComplexTensor>(
  shape: Shape,
  bytesPerElement: number,
  read: (from: number, to: number) => Promise<T>,
): LazyArray<T> {
  const rows = async (from: number, to: number) => {
    if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from <= to && to <= shape[0])) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `An array of shape ${formatShape(shape)} has no rows ${from} to ${to}; give a range within 0 … ${shape[0]}.`,
        { found: [from, to], expected: shape[0] },
      );
    }
    return read(from, to);
  };
  return Object.assign(() => rows(0, shape[0]), { rows, shape, bytes: sizeOf(shape) * bytesPerElement });
}

/** Rows `from` … `to` − 1 of a lazy array as an array of their own. */
export function lazyRange<T extends Tensor<NumericArray> | ComplexTensor>(
  array: LazyArray<T>,
  from: number,
  to: number,
): LazyArray<T> {
  const shape = [to - from, ...array.shape.slice(1)];
  const bytesPerElement = array.bytes / Math.max(1, sizeOf(array.shape));
  return lazyArray(shape, bytesPerElement, (a, b) => array.rows(from + a, from + b));
}

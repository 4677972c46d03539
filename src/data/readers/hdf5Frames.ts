/** Frames and masks of HDF5 files, for the readers whose scans are HDF5. */
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { formatShape, type Shape, type Tensor } from '../../core/tensor.js';
import type { Hdf5File } from '../../formats/hdf5/file.js';
import { frameError, Hdf5Rows } from '../../formats/hdf5/rows.js';
import { type NpyDtype, nameOf, npyError } from '../../formats/npyHeader.js';
import {
  crossedAxes,
  type LayoutHints,
  layoutHints,
  type PatternLayout,
  patternLayout,
  planesOf,
  possibleCounts,
} from '../opening/patternLayout.js';
import { positionsOfOptions } from '../opening/positionsFile.js';
import type { ReaderOptions } from '../options.js';
import type { StoredPatterns, StoredPositions } from '../scanFile.js';

/** 8192 × 8192: no detector has more in one frame that anybody reconstructs. */
const MAX_PIXELS = 2 ** 26;

/** The frames of one dataset. */
interface FramePiece {
  readonly path: string;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly dtype: NpyDtype;
  readonly raster?: readonly [number, number];
  readInto(rows: ArrayLike<number>, out: Float32Array): Promise<void>;
}

/** Frames of a file, and the rows and columns of their raster where the dataset has both. */
export interface Hdf5Frames extends StoredPatterns {
  readonly raster?: readonly [number, number];
}

/**
 * Frames of a dataset, or of several, one after the other, which may also be single frames (height, width); see `patternLayout`
 * for the shapes. Arrays of MATLAB are (height, width, n), or (n, height, width) where the sizes say so.
 * @param hints what tells a raster from several channels; for several datasets, that of the channel alone
 * @throws PtychoError DATASET_SHAPE for other shapes, no frames or pieces that differ; DATASET_VALUE for numbers that are not
 * real; those of `Hdf5File.header`. Reading gives those of `Hdf5Rows.readInto`, with the number of the frame.
 */
export function hdf5Frames(file: Hdf5File, paths: readonly string[], hints: LayoutHints = {}): Hdf5Frames {
  const known = paths.length === 1 ? hints : { channel: hints.channel };
  const pieces = paths.map((path) => framePiece(file, path, paths.length > 1, known));
  const [{ height, width, dtype }] = pieces;
  for (const piece of pieces) {
    if (piece.height === height && piece.width === width && piece.dtype === dtype) continue;
    throw npyError(
      'DATASET_SHAPE',
      file.origin(piece.path),
      `has shape ${formatShape(file.header(piece.path).shape)} of ${piece.dtype}, which does not continue ${paths[0]} of shape ${formatShape(file.header(paths[0]).shape)} of ${dtype}; name the dataset that is meant with diffraction_path.`,
    );
  }
  if (/bool/.test(dtype)) {
    throw npyError('DATASET_VALUE', file.origin(paths[0]), 'holds bool values, but diffraction must be numbers.');
  }
  const count = pieces.reduce((sum, piece) => sum + piece.count, 0);
  if (count === 0) throw npyError('DATASET_SHAPE', file.origin(paths[0]), 'holds no patterns.');
  return {
    count,
    height,
    width,
    raster: pieces.length === 1 ? pieces[0].raster : undefined,
    dtype,
    resident: false,
    origin: file.origin(paths.length === 1 ? paths[0] : `${paths[0]} … ${paths.at(-1)?.split('/').at(-1)}`),
    readRowsInto: (rows, out) => (pieces.length === 1 ? pieces[0].readInto(rows, out) : readPieces(pieces, rows, out)),
  };
}

function framePiece(file: Hdf5File, path: string, isPart: boolean, hints: LayoutHints): FramePiece {
  const { shape, columnMajor } = file.header(path);
  if (columnMajor && shape.length === 3) return matlabPiece(file, path, hints);
  if (!isPart || shape.length !== 2) {
    const layout = checkedLayout(file, path, shape, hints);
    const { count, height, width, raster, stride, offset } = layout;
    const rows = new Hdf5Rows(file, path, undefined, layout.rowAxes);
    return {
      path,
      count,
      height,
      width,
      raster,
      dtype: rows.dtype,
      readInto: (wanted, out) =>
        numbered(
          () => rows.readInto(planesOf(layout, wanted), out),
          (plane) => (plane - offset) / stride,
        ),
    };
  }
  // A single frame: its rows are the rows of the dataset.
  const rows = new Hdf5Rows(file, path);
  const { height, width } = checkedLayout(file, path, [1, ...shape], hints);
  const all = Int32Array.from({ length: height }, (_, row) => row);
  return {
    path,
    count: 1,
    height,
    width,
    dtype: rows.dtype,
    async readInto(wanted, out) {
      for (let i = 0; i < wanted.length; i++) {
        await numbered(
          () => rows.readInto(all, out.subarray(i * height * width, (i + 1) * height * width)),
          () => 0,
        );
      }
    },
  };
}

/** Frames that MATLAB wrote, whose columns are the rows of the file. */
function matlabPiece(file: Hdf5File, path: string, hints: LayoutHints): FramePiece {
  const { shape } = file.header(path);
  const layout = checkedLayout(file, path, [...shape].reverse(), { positions: shape[0], ...hints, lastAllowed: true });
  const { height, width } = layout;
  const size = height * width;
  const rows = new Hdf5Rows(file, path);
  if (layout.last) {
    return {
      path,
      count: layout.count,
      height,
      width,
      dtype: rows.dtype,
      async readInto(wanted, out) {
        await rows.readInto(wanted, out);
        const frame = new Float32Array(size);
        for (let at = 0; at < out.length; at += size) {
          frame.set(out.subarray(at, at + size));
          for (let y = 0; y < height; y++)
            for (let x = 0; x < width; x++) out[at + y * width + x] = frame[x * height + y];
        }
      },
    };
  }
  // The frames are counted by the axis that varies fastest in the file, so each of them is everywhere in it.
  const { data } = file.readReal(path);
  return {
    path,
    count: layout.count,
    height,
    width,
    dtype: rows.dtype,
    async readInto(wanted, out) {
      for (let i = 0; i < wanted.length; i++) {
        out.set(data.subarray(wanted[i] * size, (wanted[i] + 1) * size) as Float32Array, i * size);
      }
    },
  };
}

/** Gives an error about a frame the number that it has outside. */
async function numbered(work: () => Promise<void>, outside: (frame: number) => number): Promise<void> {
  try {
    await work();
  } catch (error) {
    const inside = isPtychoError(error) ? error.fields.frame : undefined;
    throw typeof inside === 'number' ? frameError(error as PtychoError, outside(inside)) : error;
  }
}

/**
 * Frames and their positions, each of which helps to understand the other: positions tell a raster from several channels, the
 * shape of the frames tells (3, n) from (n, 3).
 * @param ownPositions those at a place in the file, or in the usual one where none is given, told how many patterns there may be
 * @throws PtychoError as {@link hdf5Frames}, `positionsOfOptions` and `ownPositions`.
 */
export async function hdf5FramesAndPositions(
  file: Hdf5File,
  paths: readonly string[],
  options: ReaderOptions,
  ownPositions: (place: string | undefined, counts: readonly number[]) => StoredPositions,
): Promise<{ readonly patterns: StoredPatterns; readonly positions: StoredPositions }> {
  const counts = hdf5Counts(file, paths);
  const { positions: spec, scan_step } = options;
  const inside = spec?.startsWith('/') && file.kindOf(spec) !== undefined && scan_step === undefined;
  const given = inside ? undefined : await positionsOfOptions(options, file.header(paths[0]).shape);
  const found = given ?? ownPositions(inside ? spec : undefined, counts);
  const patterns = hdf5Frames(file, paths, layoutHints(found, options));
  return { patterns, positions: crossedAxes(found, patterns.raster ?? options.scan_shape) };
}

/** Numbers of patterns that the datasets may hold together. */
function hdf5Counts(file: Hdf5File, paths: readonly string[]): number[] {
  const shapes = paths.map((path) => file.header(path).shape);
  return shapes.length === 1
    ? possibleCounts(shapes[0])
    : [shapes.reduce((sum, shape) => sum + (shape.length === 2 ? 1 : shape[0]), 0)];
}

function checkedLayout(file: Hdf5File, path: string, shape: Shape, hints: LayoutHints): PatternLayout {
  const layout = patternLayout(shape, hints, file.origin(path));
  if (layout.height * layout.width <= MAX_PIXELS) return layout;
  throw npyError(
    'DATASET_SHAPE',
    file.origin(path),
    `has shape ${formatShape(shape)}, but diffraction must be (patterns, height, width) with at most ${MAX_PIXELS} pixels a pattern.`,
    { found: shape },
  );
}

async function readPieces(pieces: readonly FramePiece[], rows: ArrayLike<number>, out: Float32Array): Promise<void> {
  const size = pieces[0].height * pieces[0].width;
  let first = 0;
  for (const piece of pieces) {
    const start = first;
    const mine: number[] = [];
    for (let i = 0; i < rows.length; i++) if (rows[i] >= start && rows[i] < start + piece.count) mine.push(i);
    if (mine.length > 0) {
      const part = mine.length === rows.length ? out : new Float32Array(mine.length * size);
      const inside = mine.map((i) => rows[i] - start);
      await numbered(
        () => piece.readInto(inside, part),
        (frame) => frame + start,
      );
      if (part !== out) {
        mine.forEach((i, k) => {
          out.set(part.subarray(k * size, (k + 1) * size), i * size);
        });
      }
    }
    first += piece.count;
  }
}

/** Some of the frames, in another order. */
export function selectFrames(frames: StoredPatterns, chosen: Int32Array): StoredPatterns {
  return {
    ...frames,
    count: chosen.length,
    readRowsInto: (rows, out) => {
      const wanted = Int32Array.from(rows, (row) => {
        if (row in chosen) return chosen[row];
        throw new PtychoError('DATASET_SHAPE', `${nameOf(frames.origin)} has no pattern ${row} of ${chosen.length}.`);
      });
      return numbered(
        () => frames.readRowsInto(wanted, out),
        (frame) => chosen.indexOf(frame),
      );
    },
  };
}

/**
 * A mask of unusable pixels: whatever `isBad` says, by default what is not 0.
 * @returns undefined where there is none, or one that is left out with a note
 * @throws PtychoError reading errors of the file.
 */
export function hdf5Mask(
  file: Hdf5File,
  path: string,
  { height, width }: StoredPatterns,
  notes: string[],
  isBad: (value: number) => boolean = (value) => value !== 0,
): Tensor<Uint8Array> | undefined {
  if (!file.has(path)) return undefined;
  const { shape: stored, columnMajor } = file.header(path);
  const shape = columnMajor ? [...stored].reverse() : stored;
  const axes = shape.length === 3 && shape[0] === 1 ? shape.slice(1) : shape;
  if (axes.length !== 2 || axes[0] !== height || axes[1] !== width) {
    notes.push(
      `Left out: ${nameOf(file.origin(path))} has shape ${formatShape(shape)} and is no mask of frames of ${height}×${width} pixels.`,
    );
    return undefined;
  }
  const { data } = file.readReal(path);
  const mask = new Uint8Array(data.length);
  for (let p = 0; p < mask.length; p++) mask[p] = isBad(data[p]) ? 1 : 0;
  return { data: mask, shape: [height, width] };
}

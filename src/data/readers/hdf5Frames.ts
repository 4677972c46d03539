/** Frames and masks of HDF5 files, for the readers whose scans are HDF5. */
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { formatShape, type Tensor } from '../../core/tensor.js';
import type { Hdf5File } from '../../formats/hdf5/file.js';
import { frameError, Hdf5Rows } from '../../formats/hdf5/rows.js';
import { type NpyDtype, nameOf, npyError } from '../../formats/npyHeader.js';
import { patternLayout } from '../opening/patternLayout.js';
import type { StoredPatterns } from '../scanFile.js';

/** 8192 × 8192: no detector has more in one frame that anybody reconstructs. */
const MAX_PIXELS = 2 ** 26;

/** The frames of one dataset. */
interface FramePiece {
  readonly path: string;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly dtype: NpyDtype;
  readInto(rows: ArrayLike<number>, out: Float32Array): Promise<void>;
}

/**
 * Frames of a dataset (n, height, width) or (n, 1, height, width), or of several, one after the other, which may also be single
 * frames (height, width). Arrays of MATLAB are (height, width, n), or (n, height, width) where the sizes say so.
 * @param coordinates number of scan positions, where it is known
 * @throws PtychoError DATASET_SHAPE for other shapes, no frames or pieces that differ; DATASET_VALUE for numbers that are not
 * real; those of `Hdf5File.header`. Reading gives those of `Hdf5Rows.readInto`, with the number of the frame.
 */
export function hdf5Frames(file: Hdf5File, paths: readonly string[], coordinates?: number): StoredPatterns {
  const pieces = paths.map((path) => framePiece(file, path, paths.length > 1, coordinates));
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
    dtype,
    resident: false,
    origin: file.origin(paths.length === 1 ? paths[0] : `${paths[0]} … ${paths.at(-1)?.split('/').at(-1)}`),
    readRowsInto: (rows, out) => (pieces.length === 1 ? pieces[0].readInto(rows, out) : readPieces(pieces, rows, out)),
  };
}

function framePiece(file: Hdf5File, path: string, isPart: boolean, coordinates: number | undefined): FramePiece {
  const { shape, columnMajor } = file.header(path);
  if (columnMajor && shape.length === 3) return matlabPiece(file, path, coordinates);
  const rows = new Hdf5Rows(file, path);
  if (!isPart || shape.length !== 2) {
    const { height, width } = frameSize(file, path, shape);
    return {
      path,
      count: rows.count,
      height,
      width,
      dtype: rows.dtype,
      readInto: (wanted, out) => rows.readInto(wanted, out),
    };
  }
  // A single frame: its rows are the rows of the dataset.
  const { height, width } = frameSize(file, path, [1, ...shape]);
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
function matlabPiece(file: Hdf5File, path: string, coordinates: number | undefined): FramePiece {
  const { shape } = file.header(path);
  const layout = patternLayout([...shape].reverse(), coordinates ?? shape[0], file.origin(path));
  const { height, width } = frameSize(file, path, [layout.count, layout.height, layout.width]);
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

function frameSize(file: Hdf5File, path: string, shape: readonly number[]) {
  const axes = shape.length === 4 && shape[1] === 1 ? [shape[0], shape[2], shape[3]] : shape;
  const [, height, width] = axes;
  if (axes.length === 3 && height > 0 && width > 0 && height * width <= MAX_PIXELS) return { height, width };
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
 * @returns the mask, or a sentence that says why it is left out
 * @throws PtychoError reading errors of the file.
 */
export function hdf5Mask(
  file: Hdf5File,
  path: string,
  { height, width }: StoredPatterns,
  isBad: (value: number) => boolean = (value) => value !== 0,
): { readonly badPixels: Tensor<Uint8Array> } | { readonly note: string } {
  const { shape: stored, columnMajor } = file.header(path);
  const shape = columnMajor ? [...stored].reverse() : stored;
  const axes = shape.length === 3 && shape[0] === 1 ? shape.slice(1) : shape;
  if (axes.length !== 2 || axes[0] !== height || axes[1] !== width) {
    return {
      note: `Left out: ${nameOf(file.origin(path))} has shape ${formatShape(shape)} and is no mask of frames of ${height}×${width} pixels.`,
    };
  }
  const { data } = file.readReal(path);
  const mask = new Uint8Array(data.length);
  for (let p = 0; p < mask.length; p++) mask[p] = isBad(data[p]) ? 1 : 0;
  return { badPixels: { data: mask, shape: [height, width] } };
}

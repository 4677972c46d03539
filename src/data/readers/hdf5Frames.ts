/** Frames and masks of HDF5 files, for the readers whose scans are HDF5. */
import { PtychoError } from '../../core/errors.js';
import { formatShape, type Shape, type Tensor } from '../../core/tensor.js';
import type { Hdf5File } from '../../formats/hdf5/file.js';
import { Hdf5Rows } from '../../formats/hdf5/rows.js';
import { nameOf, npyError } from '../../formats/npyHeader.js';
import {
  type LayoutHints,
  layoutHints,
  type PatternLayout,
  patternLayout,
  planesOf,
  possibleCounts,
} from '../opening/patternLayout.js';
import { positionsOfOptions } from '../opening/positionsFile.js';
import { crossedAxes } from '../opening/raster.js';
import type { ReaderOptions, StoredPatterns, StoredPositions } from '../scanFile.js';

/** 8192 × 8192: no detector has more in one frame that anybody reconstructs. */
const MAX_PIXELS = 2 ** 26;

/** Frames of a file, and the rows and columns of their raster where the dataset has both. */
export interface Hdf5Frames extends StoredPatterns {
  readonly raster?: readonly [number, number];
}

/**
 * Frames of a dataset, or of several, one after the other; see `patternLayout` for the shapes.
 * @param hints what tells a raster from several channels; for several datasets, that of the channel alone
 * @throws PtychoError DATASET_SHAPE for other shapes, no frames or pieces that differ; DATASET_VALUE for numbers that are not
 * real; those of `Hdf5File.header`.
 */
export function hdf5Frames(file: Hdf5File, paths: readonly string[], hints: LayoutHints = {}): Hdf5Frames {
  const known = paths.length === 1 ? hints : { channel: hints.channel };
  const sizes = paths.map((path) => frameSize(file, path, file.header(path).shape, known));
  const pieces = paths.map((path, i) => new FramePiece(file, path, sizes[i]));
  const [{ height, width }] = sizes;
  pieces.forEach(({ header, dtype }, i) => {
    if (sizes[i].height === height && sizes[i].width === width && dtype === pieces[0].dtype) return;
    throw npyError(
      'DATASET_SHAPE',
      file.origin(header.path),
      `has shape ${formatShape(header.shape)} of ${dtype}, which does not continue ${paths[0]} of shape ${formatShape(pieces[0].header.shape)} of ${pieces[0].dtype}; name the dataset that is meant with diffraction_path.`,
    );
  });
  if (/bool/.test(pieces[0].dtype)) {
    throw npyError('DATASET_VALUE', file.origin(paths[0]), 'holds bool values, but diffraction must be numbers.');
  }
  const count = pieces.reduce((sum, piece) => sum + piece.count, 0);
  if (count === 0) throw npyError('DATASET_SHAPE', file.origin(paths[0]), 'holds no patterns.');
  return {
    count,
    height,
    width,
    raster: pieces.length === 1 ? sizes[0].raster : undefined,
    dtype: pieces[0].dtype,
    resident: false,
    origin: file.origin(paths.length === 1 ? paths[0] : `${paths[0]} … ${paths.at(-1)?.split('/').at(-1)}`),
    readRowsInto: (rows, out) => (pieces.length === 1 ? pieces[0].readInto(rows, out) : readPieces(pieces, rows, out)),
  };
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
  notes: string[],
  ownPositions: (place: string | undefined, counts: readonly number[]) => StoredPositions,
): Promise<{ readonly patterns: StoredPatterns; readonly positions: StoredPositions }> {
  const counts = hdf5Counts(file, paths);
  const { positions: spec, scan_step } = options;
  const inside = spec?.startsWith('/') && file.kindOf(spec) !== undefined && scan_step === undefined;
  const given = inside ? undefined : await positionsOfOptions(options, file.header(paths[0]).shape);
  notes.push(...(given?.notes ?? []));
  const found = given?.positions ?? ownPositions(inside ? spec : undefined, counts);
  const patterns = hdf5Frames(file, paths, layoutHints(found, options));
  return { patterns, positions: crossedAxes(found, patterns.raster ?? options.scan_shape) };
}

/** Numbers of patterns that the datasets may hold together. */
function hdf5Counts(file: Hdf5File, paths: readonly string[]): number[] {
  const shapes = paths.map((path) => file.header(path).shape);
  return shapes.length === 1 ? possibleCounts(shapes[0]) : [shapes.reduce((sum, [count]) => sum + count, 0)];
}

function frameSize(file: Hdf5File, path: string, shape: Shape, hints: LayoutHints): PatternLayout {
  const layout = patternLayout(shape, hints, file.origin(path));
  if (layout.height * layout.width <= MAX_PIXELS) return layout;
  throw npyError(
    'DATASET_SHAPE',
    file.origin(path),
    `has shape ${formatShape(shape)}, but diffraction must be (patterns, height, width) with at most ${MAX_PIXELS} pixels a pattern.`,
    { found: shape },
  );
}

/** The patterns of one dataset. */
class FramePiece {
  readonly count: number;
  readonly rowLength: number;
  private readonly rows: Hdf5Rows;

  constructor(
    file: Hdf5File,
    path: string,
    private readonly layout: PatternLayout,
  ) {
    this.rows = new Hdf5Rows(file, path, undefined, layout.rowAxes);
    this.count = layout.count;
    this.rowLength = this.rows.rowLength;
  }

  get header() {
    return this.rows.header;
  }

  get dtype() {
    return this.rows.dtype;
  }

  readInto(patterns: ArrayLike<number>, out: Float32Array): Promise<void> {
    return this.rows.readInto(planesOf(this.layout, patterns), out);
  }
}

async function readPieces(pieces: readonly FramePiece[], rows: ArrayLike<number>, out: Float32Array): Promise<void> {
  const { rowLength } = pieces[0];
  let first = 0;
  for (const piece of pieces) {
    const mine: number[] = [];
    for (let i = 0; i < rows.length; i++) if (rows[i] >= first && rows[i] < first + piece.count) mine.push(i);
    if (mine.length > 0) {
      const part = mine.length === rows.length ? out : new Float32Array(mine.length * rowLength);
      await piece.readInto(
        mine.map((i) => rows[i] - first),
        part,
      );
      if (part !== out) {
        mine.forEach((i, k) => {
          out.set(part.subarray(k * rowLength, (k + 1) * rowLength), i * rowLength);
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
      return frames.readRowsInto(wanted, out);
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
  const { shape } = file.header(path);
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

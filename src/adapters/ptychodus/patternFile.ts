/** Files of patterns that a host names: Ptychodus' own, HDF5 and NPZ, whose positions are in the product, and any other scan. */
import { PtychoError } from '../../core/errors.js';
import type { NumericArray, Tensor } from '../../core/tensor.js';
import { hasMagic, MAGIC, ptychodusFile } from '../../data/opening/files.js';
import { patternLayout } from '../../data/opening/patternLayout.js';
import { framesInMemory } from '../../data/patternSource.js';
import { hdf5Frames, hdf5Mask } from '../../data/readers/hdf5Frames.js';
import { framesOfNpy } from '../../data/readers/npy.js';
import { readIndexes } from '../../data/readers/ptychodus.js';
import { openScanFile } from '../../data/readers/registry.js';
import type { ScanFile, StoredPatterns } from '../../data/scanFile.js';
import { isHdf5File, keepHdf5 } from '../../formats/hdf5/file.js';
import { NpyRows } from '../../formats/npyFile.js';
import type { NpyOrigin } from '../../formats/npyHeader.js';
import { dtypeOf } from '../../formats/npyWrite.js';
import { usingNpz } from '../../formats/npz.js';

/** Patterns with their indexes, before they have positions. */
export interface IndexedPatterns {
  readonly patterns: StoredPatterns;
  /** Absent where the file has none: see `numberedFor`. */
  readonly indexes?: NumericArray;
  readonly origin: NpyOrigin;
  readonly badPixels?: Tensor<Uint8Array>;
  readonly measurementDomain: ScanFile['measurementDomain'];
  readonly notes: readonly string[];
  close(): Promise<void>;
}

/** Where HDF5 files that Ptychodus reads and writes without positions have their patterns. */
const PLACES = ['/patterns', '/dp', '/exchange/data', '/entry/data/data'];

const INTENSITIES = (path: string) => ({
  text: 'count_intensity',
  where: `${path}, in the format of Ptychodus (patterns are intensities),`,
});

/**
 * Opens the patterns of a file: `diffraction.h5` (or the folder that holds it), its NPZ twin, an NPY, fold_slice's `/dp`, or any scan
 * that has patterns; positions of the file, where it has some, are not looked at.
 * @throws PtychoError FILE_NOT_FOUND, FILE_FORMAT, and those of the readers
 */
export async function openPatternFile(path: string): Promise<IndexedPatterns> {
  const inside = ptychodusFile(path);
  if ((await hasMagic(inside, MAGIC.hdf5)) && (await isHdf5File(inside))) {
    const opened = await keepHdf5<IndexedPatterns | undefined>(inside, (file) => {
      const place = PLACES.find((known) => file.has(known));
      if (place === undefined) {
        file.close();
        return undefined;
      }
      const notes: string[] = [];
      const patterns = hdf5Frames(file, [place]);
      const badPixels = hdf5Mask(file, '/bad_pixels', patterns, notes);
      return {
        patterns,
        indexes: readIndexes(file, patterns.count),
        origin: file.origin(file.has('/indexes') ? '/indexes' : place),
        badPixels,
        measurementDomain: INTENSITIES(inside),
        notes,
        close: async () => file.close(),
      };
    });
    if (opened) return opened;
  }
  return (await patternsOfNpz(inside)) ?? (await patternsOfNpy(inside)) ?? patternsOfScan(path);
}

/** An array of patterns, which knows neither positions nor indexes; frames are read when they are asked for. */
async function patternsOfNpy(path: string): Promise<IndexedPatterns | undefined> {
  if (!(await hasMagic(path, MAGIC.npy))) return undefined;
  const rows = await NpyRows.open(path);
  try {
    const { shape, dtype } = rows.header;
    const origin = { path };
    if (/complex|str|bool/.test(dtype)) {
      throw new PtychoError('DATASET_VALUE', `${path} holds ${dtype} values, but patterns must be real numbers.`, {
        path,
        found: dtype,
      });
    }
    const layout = patternLayout(shape, {}, origin);
    return {
      patterns: framesOfNpy(rows, layout, origin),
      origin,
      measurementDomain: INTENSITIES(path),
      notes: [],
      close: () => rows.close(),
    };
  } catch (error) {
    await rows.close();
    throw error;
  }
}

/** The NPZ that Ptychodus exports: compressed, so it is read at once. */
async function patternsOfNpz(path: string): Promise<IndexedPatterns | undefined> {
  if (!(await hasMagic(path, MAGIC.zip))) return undefined;
  return usingNpz(path, async (npz) => {
    if (!npz.has('patterns') || npz.has('xcoords')) return undefined;
    const origin = npz.origin('patterns');
    const { data, shape } = await npz.readReal('patterns');
    if (shape.length !== 3 || data.length === 0) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `${path}: "patterns" has shape (${shape.join(', ')}), but must be (n, height, width), n at least 1.`,
        { path, key: 'patterns', found: shape },
      );
    }
    const [count, height, width] = shape;
    const notes: string[] = [];
    const indexes = npz.has('indexes')
      ? Float64Array.from((await npz.readReal('indexes')).data as ArrayLike<number>)
      : undefined;
    if (indexes && indexes.length !== count) {
      throw new PtychoError('DATASET_SHAPE', `${path}: "indexes" has ${indexes.length} values for ${count} patterns.`, {
        path,
        key: 'indexes',
        found: indexes.length,
        expected: count,
      });
    }
    let badPixels: Tensor<Uint8Array> | undefined;
    if (npz.has('bad_pixels')) {
      const mask = await npz.readReal('bad_pixels');
      const fits = mask.data.length === height * width;
      if (fits)
        badPixels = { data: Uint8Array.from(mask.data as ArrayLike<number>, (v) => (v ? 1 : 0)), shape: [height, width] }; // biome-ignore format: one call
      else notes.push(`Left out: "bad_pixels" of ${path} is no mask of patterns of ${height}×${width} pixels.`);
    }
    return {
      patterns: framesInMemory(data, shape, dtypeOf(data), origin),
      indexes,
      origin: npz.origin(indexes ? 'indexes' : 'patterns'),
      badPixels,
      measurementDomain: INTENSITIES(path),
      notes,
      close: async () => {},
    };
  });
}

async function patternsOfScan(path: string): Promise<IndexedPatterns> {
  const file = await openScanFile(path, 'auto', {});
  return {
    patterns: file.patterns,
    origin: file.patterns.origin,
    badPixels: file.badPixels,
    measurementDomain: file.measurementDomain,
    notes: file.notes,
    close: () => file.close(),
  };
}

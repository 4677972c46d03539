/**
 * A measured or simulated scan: patterns (read on demand), positions, probe. Contract of the files: `specs/data.md`.
 *
 * @example
 * const raw = await openRawData('scan.npz', { n_subsample: 512, subsample_seed: 7 });
 * try { console.log(raw.count, raw.N, raw.domain, raw.domainReason); } finally { await raw.close(); }
 */
import { PtychoError } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import { LegacyRng } from '../core/rng.js';
import {
  type ComplexImage,
  type ComplexTensor,
  formatShape,
  type NumericArray,
  sizeOf,
  type Tensor,
} from '../core/tensor.js';
import type { NpyDtype } from '../formats/npyHeader.js';
import { openNpz } from '../formats/npz.js';
import { inferMeasurementDomain, type MeasurementDomain, parseMeasurementDomain } from './measurementDomain.js';
import { fromNdarray, isNdarray, type NumericNdarray } from './ndarray.js';
import { ArrayPatterns, NpzPatterns, type PatternSource, patternLayout } from './patternSource.js';
import { checkProbe, readProbe } from './probeFile.js';
import { checkCoordinates, readScanArrays, type ScanArrays } from './scanArrays.js';

export type { MeasurementDomain } from './measurementDomain.js';
export type { PatternSource } from './patternSource.js';

/** A scan, of which `count` patterns were selected; per-position arrays have that length. Positions are object pixels. */
export interface RawData {
  /** Where it comes from: a path, or a name given in memory. */
  readonly source: string;
  readonly count: number;
  /** Side of the patterns, pixels. */
  readonly N: number;
  readonly patterns: PatternSource;
  /** (count,) column and row of each position. */
  readonly xcoords: Float64Array;
  readonly ycoords: Float64Array;
  /** (count,) positions at the start of each exposure, for fly scans that recorded them. */
  readonly xcoordsStart?: Float64Array;
  readonly ycoordsStart?: Float64Array;
  /** (N, N); the file's, or the one asked for. */
  readonly probeGuess: ComplexImage | undefined;
  /** Any size. */
  readonly objectGuess?: ComplexImage;
  /** (count,) number of the scan each pattern belongs to; zeros where the file has none. */
  readonly scanIndex: Int32Array;
  readonly domain: MeasurementDomain;
  /** Why the patterns are taken to be in `domain`. */
  readonly domainReason: string;
  /** (count,) which patterns of the file these are, ascending. */
  readonly sampleIndices: Int32Array;
  close(): Promise<void>;
}

/** Options of {@link openRawData}; names as in the configuration. */
export interface OpenRawDataOptions {
  /** Use this many patterns, drawn at random, in the file's order; all when left out or not fewer. */
  readonly n_subsample?: number;
  /** Seed of that draw; 0 when left out. */
  readonly subsample_seed?: number;
  /** `FILE[:key]`: use this probe instead of the file's. */
  readonly probe?: string;
  /** Overrides what the file declares or what would be inferred. */
  readonly measurement_domain?: MeasurementDomain;
  /** The most memory that the patterns may take when they cannot be read row by row (compressed, Fortran order). */
  readonly maxResidentBytes?: number;
  readonly logger?: Logger;
}

const DIFFRACTION_KEYS = ['diffraction', 'diff3d'] as const;
/** Patterns looked at when a scan is opened: enough to tell the domain and to find damage that is everywhere. */
const LOOKED_AT = 16;

/**
 * Opens a scan in an NPZ file. Patterns stay on disk (uncompressed files) and are read when asked for; positions, probe and
 * object are read and checked now.
 *
 * Keys: `diffraction` or `diff3d` (n, N, N) [(N, N, n) is transposed, with a log line], `xcoords`, `ycoords` (n,); optional
 * `xcoords_start`, `ycoords_start`, `probeGuess`, `objectGuess`, `scan_index`, `measurement_domain`.
 *
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT, FORMAT_UNSUPPORTED, DATASET_KEY_MISSING, DATASET_SHAPE,
 * DATASET_VALUE, DATASET_UNITS, PROBE_SHAPE, CONFIG_INVALID: one sentence each.
 */
export async function openRawData(path: string, options: OpenRawDataOptions = {}): Promise<RawData> {
  const logger = options.logger ?? silentLogger;
  const npz = await openNpz(path, { maxResidentBytes: options.maxResidentBytes });
  try {
    const key = DIFFRACTION_KEYS.find((name) => npz.has(name));
    if (key === undefined) {
      throw new PtychoError(
        'DATASET_KEY_MISSING',
        `${path} has no diffraction patterns: the accepted keys are ${DIFFRACTION_KEYS.join(' and ')}, the file holds ${npz.keys.join(', ') || 'nothing'}.`,
        { path, key: 'diffraction', expected: DIFFRACTION_KEYS, found: npz.keys },
      );
    }
    const header = await npz.header(key);
    const scan = await readScanArrays(npz, logger);
    const layout = patternLayout(header.shape, scan.xcoords.length, npz.origin(key));
    if (/complex|str|bool/.test(header.dtype)) {
      throw new PtychoError(
        'DATASET_VALUE',
        `${path}, array "${key}", holds ${header.dtype} values, but diffraction must be real numbers: amplitudes or counts.`,
        { path, key, found: header.dtype },
      );
    }
    checkCounts(scan, layout.count, path, key);
    const probeGuess = await findProbe(path, layout.N, scan, options.probe);
    const rows = selectPatterns(layout.count, options, logger);

    const declared =
      options.measurement_domain !== undefined
        ? {
            domain: parseMeasurementDomain(options.measurement_domain, 'the option measurement_domain'),
            reason: 'it was given',
          }
        : scan.measurementDomain !== undefined && {
            domain: parseMeasurementDomain(scan.measurementDomain, `${path}, array "measurement_domain",`),
            reason: 'the file declares it',
          };
    const looked = spread(rows, LOOKED_AT);
    const pixels = new Float32Array(looked.length * layout.N * layout.N);
    let source: (domain: MeasurementDomain) => PatternSource;
    if (layout.last) {
      logger.info(
        `${path}: "${key}" has shape ${formatShape(header.shape)} with the patterns last; transposed to (${layout.count}, ${layout.N}, ${layout.N}).`,
      );
      const axes = header.shape.length === 4 ? [2, 0, 1, 3] : [2, 0, 1];
      const { data } = (await npz.read(key, axes)) as Tensor<NumericArray>;
      source = (domain) => new ArrayPatterns(data, layout.N, domain, npz.origin(key), rows);
    } else {
      const resident = (await npz.rowAccess(key)) === 'resident';
      source = (domain) => new NpzPatterns(npz, key, layout.N, domain, rows, resident);
    }
    const found = declared || (await inferFrom(source, looked, pixels, header.dtype));
    const patterns = source(found.domain);
    // Read once in the final domain, so that unusable pixels are reported now and not in the middle of training.
    await patterns.readAmplitudes(looked, pixels);
    logger.info(`${path}: ${rows.length} patterns of ${layout.N}×${layout.N}, ${found.domain}: ${found.reason}.`);
    return {
      ...select(scan, rows),
      source: path,
      count: rows.length,
      N: layout.N,
      patterns,
      probeGuess,
      objectGuess: scan.objectGuess,
      domain: found.domain,
      domainReason: found.reason,
      sampleIndices: rows,
      close: () => npz.close(),
    };
  } catch (error) {
    await npz.close();
    throw error;
  }
}

/** Arrays in memory that make a scan; `ndarray` views are accepted, strided ones are copied. */
export interface RawDataArrays {
  /** (n, N, N) amplitudes or counts. */
  readonly diffraction: Tensor<NumericArray> | NumericNdarray;
  /** (n,) object pixels. */
  readonly xcoords: ArrayLike<number>;
  readonly ycoords: ArrayLike<number>;
  readonly xcoordsStart?: ArrayLike<number>;
  readonly ycoordsStart?: ArrayLike<number>;
  readonly probeGuess?: ComplexTensor;
  readonly objectGuess?: ComplexImage;
  readonly scanIndex?: ArrayLike<number>;
  /** Inferred when left out. */
  readonly measurement_domain?: MeasurementDomain;
  /** A name for messages; `memory` when left out. */
  readonly source?: string;
}

/**
 * A scan from arrays in memory, checked as a file is.
 * @throws PtychoError DATASET_SHAPE, DATASET_VALUE, DATASET_UNITS, PROBE_SHAPE.
 */
export function rawDataFromArrays(arrays: RawDataArrays): RawData {
  const path = arrays.source ?? 'memory';
  const origin = { path, member: 'diffraction' };
  const { data, shape } = isNdarray(arrays.diffraction) ? fromNdarray(arrays.diffraction) : arrays.diffraction;
  const scan: ScanArrays = {
    xcoords: Float64Array.from(arrays.xcoords),
    ycoords: Float64Array.from(arrays.ycoords),
    xcoordsStart: arrays.xcoordsStart && Float64Array.from(arrays.xcoordsStart),
    ycoordsStart: arrays.ycoordsStart && Float64Array.from(arrays.ycoordsStart),
    scanIndex: arrays.scanIndex && Int32Array.from(arrays.scanIndex),
  };
  // In memory the patterns come first: there is no legacy of other layouts, hence nothing to guess.
  const layout = patternLayout(shape, scan.xcoords.length, origin);
  if (layout.last || data.length !== sizeOf(shape)) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${path}: diffraction of shape ${formatShape(shape)} must be (patterns, N, N).`,
      {
        found: shape,
      },
    );
  }
  for (const name of ['xcoords', 'ycoords', 'xcoordsStart', 'ycoordsStart'] as const) {
    if (scan[name] !== undefined) checkCoordinates(scan[name], path, name);
  }
  checkCounts(scan, layout.count, path, 'diffraction');
  const rows = Int32Array.from({ length: layout.count }, (_, i) => i);
  const size = layout.N * layout.N;
  const looked = spread(rows, LOOKED_AT);
  const pixels = new Float32Array(looked.length * size);
  looked.forEach((row, i) => {
    pixels.set(data.subarray(row * size, (row + 1) * size), i * size);
  });
  const dtype = data[Symbol.toStringTag].replace('Array', '').toLowerCase() as NpyDtype;
  const found = arrays.measurement_domain
    ? { domain: parseMeasurementDomain(arrays.measurement_domain, path), reason: 'it was given' }
    : inferMeasurementDomain(pixels, dtype);
  return {
    ...select(scan, rows),
    source: path,
    count: layout.count,
    N: layout.N,
    patterns: new ArrayPatterns(data, layout.N, found.domain, origin),
    probeGuess: arrays.probeGuess && checkProbe(arrays.probeGuess, layout.N, { path, member: 'probeGuess' }),
    objectGuess: arrays.objectGuess,
    domain: found.domain,
    domainReason: found.reason,
    sampleIndices: rows,
    async close() {},
  };
}

async function findProbe(path: string, N: number, scan: ScanArrays, spec?: string): Promise<ComplexImage | undefined> {
  if (spec !== undefined) return readProbe(spec, N);
  return scan.probeGuess && checkProbe(scan.probeGuess, N, { path, member: 'probeGuess' });
}

async function inferFrom(
  source: (domain: MeasurementDomain) => PatternSource,
  looked: Int32Array,
  pixels: Float32Array,
  dtype: NpyDtype,
) {
  // Amplitudes pass unchanged, so this reads the values as stored.
  await source('normalized_amplitude').readAmplitudes(looked, pixels);
  return inferMeasurementDomain(pixels, dtype);
}

function checkCounts(scan: ScanArrays, patterns: number, path: string, key: string): void {
  const lengths = {
    xcoords: scan.xcoords.length,
    ycoords: scan.ycoords.length,
    xcoords_start: scan.xcoordsStart?.length,
    ycoords_start: scan.ycoordsStart?.length,
    scan_index: scan.scanIndex?.length,
  };
  for (const [name, found] of Object.entries(lengths)) {
    if (found === undefined || found === patterns) continue;
    throw new PtychoError(
      'DATASET_SHAPE',
      `${path} has ${patterns} patterns in "${key}" but ${found} values in "${name}"; there must be one for each pattern.`,
      { path, key: name, found, expected: patterns },
    );
  }
}

/** The patterns to use: all, or a seeded random choice in ascending order. */
function selectPatterns(
  count: number,
  { n_subsample, subsample_seed }: OpenRawDataOptions,
  logger: Logger,
): Int32Array {
  const all = Int32Array.from({ length: count }, (_, i) => i);
  if (n_subsample === undefined) return all;
  if (!(Number.isInteger(n_subsample) && n_subsample >= 1)) {
    throw new PtychoError('CONFIG_INVALID', `n_subsample must be a positive integer, got ${n_subsample}.`, {
      key: 'n_subsample',
      found: n_subsample,
    });
  }
  if (n_subsample >= count) {
    if (n_subsample > count)
      logger.info(`n_subsample is ${n_subsample}, the file has ${count} patterns: all are used.`);
    return all;
  }
  return new LegacyRng(subsample_seed ?? 0).choice(count, n_subsample, false).sort();
}

/** Up to `most` values of a list, evenly spread over it. */
function spread(list: Int32Array, most: number): Int32Array {
  const count = Math.min(most, list.length);
  return Int32Array.from({ length: count }, (_, i) => Math.floor((i * list.length) / count));
}

/** The per-position arrays of the selected patterns. */
function select(scan: ScanArrays, rows: Int32Array) {
  const pick = (values: Float64Array) => Float64Array.from(rows, (row) => values[row]);
  return {
    xcoords: pick(scan.xcoords),
    ycoords: pick(scan.ycoords),
    xcoordsStart: scan.xcoordsStart && pick(scan.xcoordsStart),
    ycoordsStart: scan.ycoordsStart && pick(scan.ycoordsStart),
    scanIndex: Int32Array.from(rows, (row) => scan.scanIndex?.[row] ?? 0),
  };
}

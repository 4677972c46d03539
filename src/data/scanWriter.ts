/**
 * Writes scans as contract NPZ files: the one writer behind `simulate`, `convert` and `split`. Patterns stream through, so
 * memory does not grow with the scan. Contract: `specs/data.md`.
 *
 * @example
 * const raw = await openDataset('scan.h5', { crop_px: 128 });
 * await writeScan('scan.npz', raw, { transformation: { tool: 'ptychopinn convert', operation: 'convert' } });
 */

import { cancelPoint } from '../core/cancel.js';
import { isPtychoError, messageOf, PtychoError, requireObject } from '../core/errors.js';
import { integers, valuesAt } from '../core/numbers.js';
import type { NumericArray, Tensor } from '../core/tensor.js';
import type { NpyArray } from '../formats/npy.js';
import type { NpyDtype } from '../formats/npyHeader.js';
import type { NpyInput, StreamedNpyInput } from '../formats/npyWrite.js';
import { type NpzFile, takeRows, usingNpz, writeNpz } from '../formats/npz.js';
import {
  type DataTransformation,
  geometryRecord,
  LENGTHS,
  type MetadataRecord,
  withDomain,
  withSection,
  withTransformation,
} from './metadata.js';
import type { MeasurementDomain } from './opening/measurementDomain.js';
import { describeOrientation, keepsAxes } from './opening/orientation.js';
import type { RawData } from './rawData.js';
import { LAYER_KEYS, POSITION_KEYS } from './readers/keys.js';
import type { StoredPatches } from './scanFile.js';

/** What is written of a {@link RawData}; one made by hand needs no more than this. */
export type ScanContent = Omit<RawData, 'close' | 'domainReason' | 'format' | 'notes'>;

/** Options of {@link writeScan}. */
export interface WriteScanOptions {
  /** Patterns to write, as indices into the scan; all by default. */
  readonly rows?: ArrayLike<number>;
  /** The step that made this file; it goes to the end of the metadata's `data_transformations`. */
  readonly transformation?: DataTransformation;
  /** Arrays that the contract does not know, written as they are; see `readExtraArrays`. */
  readonly extra?: Readonly<Record<string, NpyInput | StreamedNpyInput>>;
  /** Write amplitudes under the published key `diff3d`, whatever the source holds. */
  readonly amplitudes?: boolean;
  /** Deflate the arrays: smaller, but patterns can then not be read one by one. */
  readonly compress?: boolean;
  readonly signal?: AbortSignal;
  /** Told the number of patterns written so far. */
  readonly onPatterns?: (written: number) => void;
}

/** What Ptychodus calls the patterns, under its own name for that. */
const [PATTERN_INDEXES] = POSITION_KEYS;
/** Pixels that are in memory at a time. */
const PIECE_PIXELS = 1 << 20;

/** How patterns are stored. */
interface PatternFormat {
  readonly dtype: NpyDtype & Exclude<NpyDtype, 'str'>;
  readonly domain: MeasurementDomain;
  readonly make: (values: Float32Array) => NumericArray;
}

/**
 * Writes a scan; the target appears only when complete.
 *
 * Keys: `diffraction` (n, N, N), integers where the source holds integer counts (`count_intensity`), else float32 amplitudes
 * (with `amplitudes` these always, as `diff3d`);
 * `measurement_domain`; `xcoords`, `ycoords` in object pixels; `xcoords_start`, `ycoords_start`, `xcoords_end`, `ycoords_end`, `probeGuess` ((N, N) or
 * (P, N, N)), `objectGuess`, `object_layers`, `object_layer_spacing_m`, `probe_position_indexes`, `bad_pixels`, `Y`, `label`, `norm_Y_I` where the scan has them; `scan_index`; `sample_indices`
 * when these are not 0, 1, 2, …; `_metadata` as text. Bad pixels are written as 0. Counts above 2²⁴ are
 * rounded to single precision.
 *
 * @throws PtychoError OUTPUT_UNWRITABLE, DATASET_SHAPE for rows that do not exist, CANCELLED, and those of reading patterns.
 */
export async function writeScan(path: string, raw: ScanContent, options: WriteScanOptions = {}): Promise<void> {
  requireObject(raw, 'writeScan takes a path, and then an open scan', ['patterns', 'count']);
  const rows = Int32Array.from(options.rows ?? { length: raw.count }, (row, i) => row ?? i);
  const wrong = rows.find((row) => !(row >= 0 && row < raw.count));
  if (wrong !== undefined) {
    throw new PtychoError('DATASET_SHAPE', `There is no pattern ${wrong} among ${raw.count}.`, {
      found: wrong,
      expected: raw.count,
    });
  }
  const { N } = raw;
  const format = formatOf(raw, options.amplitudes);
  const coordinates = (values: Float64Array | undefined): Tensor<Float64Array> | undefined =>
    values && { data: valuesAt(values, rows), shape: [rows.length] };
  const sources = Int32Array.from(rows, (row) => raw.sampleIndices[row]);
  const metadata = metadataOf(raw, rows.length, format.domain, options.transformation);
  const arrays: Record<string, NpyInput | StreamedNpyInput | undefined> = {
    [options.amplitudes ? 'diff3d' : 'diffraction']: patternStream(raw, rows, format, options),
    xcoords: coordinates(raw.xcoords),
    ycoords: coordinates(raw.ycoords),
    xcoords_start: coordinates(raw.xcoordsStart),
    ycoords_start: coordinates(raw.ycoordsStart),
    xcoords_end: coordinates(raw.xcoordsEnd),
    ycoords_end: coordinates(raw.ycoordsEnd),
    probeGuess: raw.probeGuess,
    objectGuess: raw.objectGuess,
    [LAYER_KEYS.array]: raw.objectLayers?.array,
    [LAYER_KEYS.spacing]: raw.objectLayers && {
      data: raw.objectLayers.spacing_m,
      shape: [raw.objectLayers.spacing_m.length],
    },
    scan_index: { data: Int32Array.from(rows, (row) => raw.scanIndex[row]), shape: [rows.length] },
    [PATTERN_INDEXES]: raw.patternIndexes && {
      data: Int32Array.from(rows, (row) => raw.patternIndexes![row]),
      shape: [rows.length],
    },
    bad_pixels: raw.badPixels && { data: raw.badPixels, shape: [N, N], dtype: 'bool' },
    measurement_domain: { strings: [format.domain], shape: [] },
    Y: raw.groundTruth && patchStream(raw.groundTruth, rows, options.signal),
    label: raw.labels && patchStream(raw.labels, rows, options.signal),
    norm_Y_I: raw.norm_Y_I === undefined ? undefined : { data: Float64Array.of(raw.norm_Y_I), shape: [] },
    sample_indices: sources.some((source, i) => source !== i) ? { data: sources, shape: [rows.length] } : undefined,
    _metadata: Object.keys(metadata).length > 0 ? { strings: [JSON.stringify(metadata)], shape: [] } : undefined,
  };
  const present = Object.entries({ ...arrays, ...options.extra }).filter(([, input]) => input !== undefined);
  await writeNpz(path, Object.fromEntries(present) as Record<string, NpyInput | StreamedNpyInput>, {
    compress: options.compress,
  });
}

type MakeIntegers = readonly [dtype: PatternFormat['dtype'], make: PatternFormat['make']];

/** How integer counts of each stored type are written. */
const INTEGERS: ReadonlyMap<NpyDtype, MakeIntegers> = new Map<NpyDtype, MakeIntegers>([
  ['uint8', ['uint8', (values) => Uint8Array.from(values)]],
  ['int8', ['int8', (values) => Int8Array.from(values)]],
  ['uint16', ['uint16', (values) => Uint16Array.from(values)]],
  ['int16', ['int16', (values) => Int16Array.from(values)]],
  // Single precision may round up to 2³¹ and 2³².
  ['int32', ['int32', (values) => Int32Array.from(values, (v) => Math.min(v, 2 ** 31 - 1))]],
  ['uint32', ['uint32', toUint32]],
  ['int64', ['uint32', toUint32]],
  ['uint64', ['uint32', toUint32]],
]);

/** Counts of an integer type stay integers; everything else becomes the amplitude that the source delivers. */
function formatOf({ domain, patterns }: Pick<ScanContent, 'domain' | 'patterns'>, amplitudes = false): PatternFormat {
  const integers = domain === 'count_intensity' && !amplitudes ? INTEGERS.get(patterns.storedDtype) : undefined;
  if (integers !== undefined) return { dtype: integers[0], domain, make: integers[1] };
  return {
    dtype: 'float32',
    domain: domain === 'count_intensity' ? 'count_amplitude' : domain,
    make: (values) => values,
  };
}

/** 64-bit counts that fit into 32 bits, as all that detectors give do. */
function toUint32(values: Float32Array): Uint32Array {
  const large = values.find((v) => v > 2 ** 32);
  if (large !== undefined) {
    throw new PtychoError('DATASET_VALUE', `A count of ${large} does not fit into 32 bits; mark it as a bad pixel.`, {
      found: large,
    });
  }
  return Uint32Array.from(values, (v) => Math.min(v, 2 ** 32 - 1));
}

/** Patterns piece by piece, in the form in which they are written, and their measurement domain. */
export function patternsToWrite(
  raw: Pick<ScanContent, 'count' | 'domain' | 'patterns' | 'N'>,
): StreamedNpyInput & { readonly domain: MeasurementDomain } {
  const format = formatOf(raw);
  return { ...patternStream(raw, integers(raw.count), format, {}), domain: format.domain };
}

function patternStream(
  { patterns, N }: Pick<ScanContent, 'patterns' | 'N'>,
  rows: Int32Array,
  { dtype, domain, make }: PatternFormat,
  { signal, onPatterns }: WriteScanOptions,
): StreamedNpyInput {
  const step = Math.max(1, Math.floor(PIECE_PIXELS / (N * N)));
  return {
    dtype,
    shape: [rows.length, N, N],
    async *pieces() {
      const pause = cancelPoint(signal, 'Writing the scan');
      for (let from = 0; from < rows.length; from += step) {
        await pause();
        const part = rows.subarray(from, from + step);
        const values = new Float32Array(part.length * N * N);
        if (domain === 'count_intensity') await patterns.readStored(part, values);
        else await patterns.readAmplitudes(part, values);
        yield make(values);
        onPatterns?.(from + part.length);
      }
    },
  };
}

/** Complex patches of some patterns, read while they are written. */
export function patchStream(patches: StoredPatches, rows: Int32Array, signal?: AbortSignal): StreamedNpyInput {
  const { height, width } = patches;
  const step = Math.max(1, Math.floor(PIECE_PIXELS / (2 * height * width)));
  return {
    dtype: 'complex64',
    shape: [rows.length, height, width],
    async *pieces() {
      const pause = cancelPoint(signal, 'Writing the scan');
      for (let from = 0; from < rows.length; from += step) {
        await pause();
        const { re, im } = await patches.readRows(rows.subarray(from, from + step));
        const pairs = new Float32Array(2 * re.length);
        for (let i = 0; i < re.length; i++) {
          pairs[2 * i] = re[i];
          pairs[2 * i + 1] = im[i];
        }
        yield pairs;
      }
    },
  };
}

/** The source's record with what is true of the new file: its domain, N and geometry, and the step that made it. */
function metadataOf(
  raw: ScanContent,
  count: number,
  domain: MeasurementDomain,
  transformation: DataTransformation | undefined,
): MetadataRecord {
  let record = withDomain(raw.metadata, domain);
  const physics = record.physics_parameters as MetadataRecord | undefined;
  if (typeof physics?.N === 'number') record = withSection(record, 'physics_parameters', { N: raw.N });
  // The centre is that of an object whose pixels the positions fall on.
  const onObject = raw.objectGuess && keepsAxes(raw.orientation) && raw.orientation.coord_scale === 1;
  const { objectCentre_m, ...others } = raw.geometry;
  const geometry = geometryRecord({ ...others, ...(onObject && { objectCentre_m }) });
  if (Object.values(geometry).some((value) => value !== undefined)) {
    record = withSection(record, 'additional_parameters', { geometry });
  }
  if (transformation === undefined) return record;
  const turned = describeOrientation(raw.orientation);
  return withTransformation(record, {
    ...transformation,
    parameters: {
      source: raw.source,
      patterns: count,
      ...(turned === '' ? {} : { orientation: turned }),
      ...transformation.parameters,
    },
  });
}

/** Everything that readers of NPZ scans understand or writers make. */
const CONTRACT_KEYS: ReadonlySet<string> = new Set([
  'diffraction',
  'diff3d',
  'patterns',
  'xcoords',
  'ycoords',
  'xcoords_start',
  'ycoords_start',
  'xcoords_end',
  'ycoords_end',
  'probeGuess',
  'objectGuess',
  'scan_index',
  'probe_position_indexes',
  'bad_pixels',
  'measurement_domain',
  'Y',
  'ground_truth_patches',
  'label',
  'norm_Y_I',
  'sample_indices',
  '_metadata',
  // What these say is in the geometry of the metadata.
  ...['energy_eV', 'wavelength_m', 'object_pixel_m', ...Object.keys(LENGTHS)],
]);
/** Larger ones are left out: they would be copied through the memory. */
const LARGEST_BYTES = 2 ** 29;

/** What {@link readExtraArrays} found. */
export interface ExtraArrays {
  readonly keys: readonly string[];
  /** What was left out and why, whole sentences. */
  readonly notes: readonly string[];
  /** The arrays for some patterns of the file: those with one entry a pattern are picked from, the others are whole. */
  of(rows: ArrayLike<number>): Record<string, NpyInput>;
}

/**
 * Reads them. An array belongs to the patterns when its first axis is as long as the scan and it is no complex image.
 * @throws PtychoError reading errors of the file, but not for arrays of types that cannot be read: these are left out.
 */
export async function readExtraArrays(path: string): Promise<ExtraArrays> {
  return usingNpz(
    path,
    async (npz) => {
      const notes: string[] = [];
      const arrays: [string, NpyArray][] = [];
      for (const key of npz.keys.filter((name) => !CONTRACT_KEYS.has(name))) {
        try {
          arrays.push([key, await npz.read(key)]);
        } catch (error) {
          if (!isPtychoError(error, 'FORMAT_UNSUPPORTED')) throw error;
          notes.push(`Left out: ${messageOf(error)}`);
        }
      }
      const patterns = await countOf(npz);
      return {
        keys: arrays.map(([key]) => key),
        notes,
        of: (rows) =>
          Object.fromEntries(
            arrays.map(([key, array]) => {
              const whole = array.shape[0] !== patterns || (array.kind === 'complex' && array.shape.length === 2);
              return [key, input(whole ? array : takeRows(array, rows))];
            }),
          ),
      };
    },
    { maxResidentBytes: LARGEST_BYTES },
  );
}

/** One value of `xcoords` a pattern; without them nothing is taken to belong to patterns. */
async function countOf(npz: NpzFile): Promise<number> {
  return npz.has('xcoords') ? ((await npz.header('xcoords')).shape[0] ?? -1) : -1;
}

/** What is written back is what was read; float16 becomes float32. */
function input(array: NpyArray): NpyInput {
  if (array.kind !== 'real') return array;
  const { data, shape, dtype } = array;
  return dtype === 'bool' || dtype === 'int64' || dtype === 'uint64' ? { data, shape, dtype } : { data, shape };
}

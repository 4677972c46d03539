/**
 * A measured or simulated scan: patterns (read on demand), positions, probe. Contract of the files: `specs/data.md`.
 *
 * @example
 * const raw = await openRawData('scan.npz', { n_subsample: 512, subsample_seed: 7 });
 * try { console.log(raw.count, raw.N, raw.domain, raw.domainReason); } finally { await raw.close(); }
 */
import { PtychoError } from '../core/errors.js';
import {
  type ComplexImage,
  type ComplexTensor,
  formatShape,
  type NumericArray,
  sameShape,
  sizeOf,
  type Tensor,
} from '../core/tensor.js';
import { dtypeOf } from '../formats/npyWrite.js';
import { totalIntensity } from '../physics/probe.js';
import { Findings, sentenceOf } from './findings/finding.js';
import { fromNdarray, isNdarray, type NumericNdarray } from './ndarray.js';
import { maskOfPatterns } from './opening/badPixels.js';
import { type MeasurementDomain, settleMeasurementDomain } from './opening/measurementDomain.js';
import { LOOKED_AT } from './opening/openDatasetOptions.js';
import { type Orientation, UPRIGHT } from './opening/orientation.js';
import { patternLayout } from './opening/patternLayout.js';
import { alignPositions } from './opening/positions.js';
import { checkProbe } from './opening/probeFile.js';
import { FramePatterns, framesInMemory, type PatternSource } from './patternSource.js';
import { badPixelFinding, judgeFrames, judgePixels } from './prepare/pixels.js';
import type { ScanFormat, ScanGeometry, StoredPatches, StoredPositions } from './scanFile.js';

export type { MeasurementDomain } from './opening/measurementDomain.js';
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
  /** (N, N), or incoherent modes first (P, N, N) with P > 1; the file's, or the one asked for. */
  readonly probeGuess: ComplexTensor | undefined;
  /** Any size; as the file has it, whatever `orientation` says. */
  readonly objectGuess?: ComplexImage;
  /** (N, N): 1 where a pixel cannot be used; amplitudes are 0 there. */
  readonly badPixels?: Uint8Array;
  /** (count,) number of the scan each pattern belongs to; zeros where the file has none. */
  readonly scanIndex: Int32Array;
  readonly domain: MeasurementDomain;
  /** Why the patterns are taken to be in `domain`. */
  readonly domainReason: string;
  /** (count,) which patterns of the file these are, ascending. */
  readonly sampleIndices: Int32Array;
  /** (count,) what Ptychodus calls these patterns, where the file says so: see `ScanFile`. */
  readonly patternIndexes?: Int32Array;
  /** The family of the file, or `memory`. */
  readonly format: ScanFormat | 'memory';
  /** Lengths and energies as far as they are known; `objectPixel_m` is filled in where it can be computed. */
  readonly geometry: ScanGeometry;
  /** The file's metadata record, `{}` where it has none; see `metadata.ts`. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The file's scale of `Y`, where it has one. */
  readonly norm_Y_I?: number;
  /** Ground-truth patches of the selected patterns, (count, N, N). */
  readonly groundTruth?: StoredPatches;
  /** Labels for supervised training of the selected patterns, (count, N, N). */
  readonly labels?: StoredPatches;
  /** What was done to positions and patterns. */
  readonly orientation: Orientation;
  /** What the user should know: transposed, left out, assumed; each one sentence, already logged. */
  readonly notes: readonly string[];
  /** What a look at the scan showed; absent for scans in memory until `surveyScan` has looked. */
  readonly findings?: Findings;
  /** What the first full pass shall leave out. */
  readonly preparation?: { readonly minCounts: number; readonly skipUnreadable: boolean };
  close(): Promise<void>;
}

export { openDataset, openDataset as openRawData } from './openDataset.js';
export type { OpenDatasetOptions, OpenDatasetOptions as OpenRawDataOptions } from './opening/openDatasetOptions.js';

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
  /** (n, N, N) known patches of the object, one a pattern. */
  readonly labels?: ComplexTensor;
  readonly scanIndex?: ArrayLike<number>;
  /** (N, N): other than 0 where a pixel cannot be used. */
  readonly badPixels?: ArrayLike<number>;
  readonly geometry?: ScanGeometry;
  readonly metadata?: Readonly<Record<string, unknown>>;
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
  const positions = coordinates(arrays.xcoords, arrays.ycoords, path);
  // In memory the patterns come first: there is no legacy of other layouts, hence nothing to guess.
  const { count, height, width } = patternLayout(shape, { positions: positions.x.length }, origin);
  if (shape.length > 3 || height !== width || data.length !== sizeOf(shape)) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${path}: diffraction of shape ${formatShape(shape)} must be (patterns, N, N).`,
      { found: shape },
    );
  }
  const N = width;
  const dtype = dtypeOf(data);
  const patterns = framesInMemory(data, [count, N, N], dtype, origin);
  const { xcoordsStart, ycoordsStart } = arrays;
  const startPositions = xcoordsStart && ycoordsStart && coordinates(xcoordsStart, ycoordsStart, path);
  const notes: string[] = [];
  const note = (sentence: string) => notes.push(sentence);
  const aligned = alignPositions(
    { path, patterns, positions, startPositions, scanIndex: arrays.scanIndex && Int32Array.from(arrays.scanIndex) },
    {},
    ({ message }) => note(message),
  );
  const mask = arrays.badPixels && { data: Uint8Array.from(arrays.badPixels, (v) => (v === 0 ? 0 : 1)), shape: [N, N] };
  if (mask && mask.data.length !== N * N) {
    throw new PtychoError('DATASET_SHAPE', `${path}: badPixels holds ${mask.data.length} values, not ${N}×${N}.`, {
      found: mask.data.length,
    });
  }
  const given = mask && maskOfPatterns({ mask, origin: { path, member: 'badPixels' } }, patterns, undefined, false);
  const pixels = sample(data, N);
  const noData = judgeFrames(pixels, N * N);
  const judged = judgePixels(pixels, N, { given, noData: noData.mask, dtype });
  const badPixels = judged.mask;
  const probeGuess = arrays.probeGuess && checkProbe(arrays.probeGuess, N, { path, member: 'probeGuess' }, note);
  const found = settleMeasurementDomain({ option: arrays.measurement_domain }, pixels, dtype, path, {
    side: N,
    tradition: 'amplitudes',
    probePower: probeGuess && totalIntensity(probeGuess),
  });
  const negatives = found.domain === 'count_intensity' ? judged.negatives : undefined;
  const findings = new Findings(path);
  const about = [badPixelFinding(noData.found, path), ...judged.findings, found.finding, negatives?.finding];
  for (const finding of about) {
    if (finding === undefined) continue;
    findings.add(finding);
    if (finding.severity !== 'wrong') note(sentenceOf(finding));
  }
  findings.settle();
  return {
    source: path,
    format: 'memory',
    count,
    N,
    patterns: new FramePatterns(patterns, found.domain, { badPixels, negativeNoise: negatives !== undefined }),
    xcoords: aligned.positions.x,
    ycoords: aligned.positions.y,
    xcoordsStart: aligned.start?.x,
    ycoordsStart: aligned.start?.y,
    probeGuess,
    objectGuess: arrays.objectGuess,
    labels: arrays.labels && patchesInMemory(arrays.labels, count, N, path),
    badPixels,
    scanIndex: aligned.scanIndex,
    domain: found.domain,
    domainReason: found.reason,
    sampleIndices: Int32Array.from({ length: count }, (_, i) => i),
    geometry: arrays.geometry ?? {},
    metadata: arrays.metadata ?? {},
    orientation: UPRIGHT,
    notes,
    async close() {},
  };
}

function patchesInMemory({ re, im, shape }: ComplexTensor, count: number, N: number, path: string): StoredPatches {
  if (!sameShape(shape, [count, N, N])) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${path}: labels of shape ${formatShape(shape)} must be ${formatShape([count, N, N])}, one patch a pattern.`,
      { key: 'label', found: shape, expected: [count, N, N] },
    );
  }
  const pick = (values: Float32Array, rows: ArrayLike<number>) => {
    const out = new Float32Array(rows.length * N * N);
    for (let i = 0; i < rows.length; i++) out.set(values.subarray(rows[i] * N * N, (rows[i] + 1) * N * N), i * N * N);
    return out;
  };
  return {
    count,
    height: N,
    width: N,
    readRows: async (rows) => ({ re: pick(re, rows), im: pick(im, rows), shape: [rows.length, N, N] }),
  };
}

function coordinates(x: ArrayLike<number>, y: ArrayLike<number>, path: string): StoredPositions {
  return { x: Float64Array.from(x), y: Float64Array.from(y), unit: 'px', origin: { path } };
}

/** Pixels of some patterns, evenly spread. */
function sample(data: NumericArray, N: number): Float32Array {
  const size = N * N;
  const count = data.length / size;
  const looked = Math.min(LOOKED_AT, count);
  const pixels = new Float32Array(looked * size);
  for (let i = 0; i < looked; i++) {
    const row = Math.floor((i * count) / looked);
    pixels.set(data.subarray(row * size, (row + 1) * size), i * size);
  }
  return pixels;
}

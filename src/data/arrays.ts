/**
 * Scans from arrays in memory, and views of the `ndarray` package at the library's edge: what comes in strided leaves as a
 * C-ordered {@link Tensor}, and a Tensor goes out as a view without copying.
 *
 * @example
 * const t = fromNdarray(ndarray(new Float32Array(6), [2, 3]).transpose(1, 0)); // shape [3, 2], copied into C order
 * const raw = rawDataFromArrays({ diffraction: t, xcoords, ycoords, probeGuess });
 */
import ndarray from 'ndarray';
import { PtychoError, requireObject } from '../core/errors.js';
import { integers, rowsAt, spreadIndices } from '../core/numbers.js';
import {
  type ComplexImage,
  type ComplexTensor,
  formatShape,
  type NumericArray,
  sameShape,
  sizeOf,
  stridesOf,
  type Tensor,
} from '../core/tensor.js';
import { dtypeOf } from '../formats/npyWrite.js';
import { totalIntensity } from '../physics/probe.js';
import { Findings, sentenceOf } from './findings/finding.js';
import { type MeasurementDomain, settleMeasurementDomain } from './opening/measurementDomain.js';
import { isNearField, nearFieldGeometry } from './opening/nearField.js';
import { UPRIGHT } from './opening/orientation.js';
import { patternLayout } from './opening/patternLayout.js';
import { alignPositions } from './opening/positions.js';
import { checkProbe } from './opening/probe.js';
import { LOOKED_AT } from './options.js';
import { FramePatterns, framesInMemory } from './patternSource.js';
import { maskOfPatterns } from './prepare/masks.js';
import { badPixelFinding, judgeFrames, judgePixels } from './prepare/pixels.js';
import type { RawData } from './rawData.js';
import type { ScanGeometry, StoredPatches, StoredPositions } from './scanFile.js';

/** An `ndarray` view of a numeric typed array. */
export type NumericNdarray<T extends NumericArray = NumericArray> = ndarray.NdArray<T>;

/** True for an `ndarray` view, as opposed to a {@link Tensor}. */
export function isNdarray(value: unknown): value is NumericNdarray {
  const candidate = value as Partial<NumericNdarray> | null;
  return typeof candidate === 'object' && candidate !== null && 'stride' in candidate && 'offset' in candidate;
}

/** A tensor as an `ndarray` view of the same memory. */
export function toNdarray<T extends NumericArray>({ data, shape }: Tensor<T>): NumericNdarray<T> {
  return ndarray(data, [...shape]) as NumericNdarray<T>;
}

/**
 * An `ndarray` view as a tensor: the same memory where it is already in C order, a copy otherwise.
 * @throws PtychoError DATASET_VALUE when its data are no numeric typed array (plain arrays, BigInt arrays).
 */
export function fromNdarray<T extends NumericArray>(view: NumericNdarray<T>): Tensor<T> {
  const { data, shape, stride } = view;
  if (!ArrayBuffer.isView(data) || data instanceof BigInt64Array || data instanceof BigUint64Array) {
    throw new PtychoError('DATASET_VALUE', 'An ndarray must view a numeric typed array such as a Float32Array.', {
      found: Object.prototype.toString.call(data),
    });
  }
  const size = sizeOf(shape);
  const inOrder = sameShape(
    stride.filter((_, axis) => shape[axis] !== 1),
    stridesOf(shape).filter((_, axis) => shape[axis] !== 1),
  );
  if (inOrder) return { data: data.subarray(view.offset, view.offset + size) as T, shape: [...shape] };
  const copy = new (data.constructor as new (length: number) => T)(size);
  const counters = shape.map(() => 0);
  let at = view.offset;
  for (let i = 0; i < size; i++) {
    copy[i] = data[at];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += stride[axis];
      if (++counters[axis] < shape[axis]) break;
      at -= counters[axis] * stride[axis];
      counters[axis] = 0;
    }
  }
  return { data: copy, shape: [...shape] };
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
  readonly xcoordsEnd?: ArrayLike<number>;
  readonly ycoordsEnd?: ArrayLike<number>;
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
  const takes = 'rawDataFromArrays takes { diffraction: { data, shape }, xcoords, ycoords, … }';
  requireObject(arrays, takes, ['diffraction', 'xcoords', 'ycoords']);
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
  const places = (x?: ArrayLike<number>, y?: ArrayLike<number>) => x && y && coordinates(x, y, path);
  const startPositions = places(arrays.xcoordsStart, arrays.ycoordsStart);
  const endPositions = places(arrays.xcoordsEnd, arrays.ycoordsEnd);
  const notes: string[] = [];
  const note = (sentence: string) => notes.push(sentence);
  const aligned = alignPositions(
    {
      ...{ path, patterns, positions, startPositions, endPositions },
      scanIndex: arrays.scanIndex && Int32Array.from(arrays.scanIndex),
    },
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
  const pixels = Float32Array.from(rowsAt(data, N * N, spreadIndices(count, LOOKED_AT)));
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
    xcoordsEnd: aligned.end?.x,
    ycoordsEnd: aligned.end?.y,
    probeGuess,
    objectGuess: arrays.objectGuess,
    labels: arrays.labels && patchesInMemory(arrays.labels, count, N, path),
    badPixels,
    scanIndex: aligned.scanIndex,
    domain: found.domain,
    domainReason: found.reason,
    sampleIndices: integers(count),
    geometry: geometryInMemory(arrays.geometry ?? {}, N, path),
    metadata: arrays.metadata ?? {},
    orientation: UPRIGHT,
    notes,
    async close() {},
  };
}

/** A distance that only near fields have makes the scan one. */
function geometryInMemory(geometry: ScanGeometry, N: number, path: string): ScanGeometry {
  if (geometry.nearField || !isNearField(geometry)) return geometry;
  return nearFieldGeometry(path, geometry, geometry.objectPixel_m, {}, N);
}

function patchesInMemory({ re, im, shape }: ComplexTensor, count: number, N: number, path: string): StoredPatches {
  if (!sameShape(shape, [count, N, N])) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${path}: labels of shape ${formatShape(shape)} must be ${formatShape([count, N, N])}, one patch a pattern.`,
      { key: 'label', found: shape, expected: [count, N, N] },
    );
  }
  const area = N * N;
  return {
    count,
    height: N,
    width: N,
    readRows: async (rows) => ({
      re: rowsAt(re, area, rows),
      im: rowsAt(im, area, rows),
      shape: [rows.length, N, N],
    }),
  };
}

function coordinates(x: ArrayLike<number>, y: ArrayLike<number>, path: string): StoredPositions {
  return { x: Float64Array.from(x), y: Float64Array.from(y), unit: 'px', origin: { path } };
}

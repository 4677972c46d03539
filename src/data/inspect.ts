/** What a scan file holds and whether it can be used: the facts behind `ptychopinn inspect`. */
import { stat } from 'node:fs/promises';
import { isPtychoError, messageOf } from '../core/errors.js';
import type { ComplexImage, Shape } from '../core/tensor.js';
import { openNpz } from '../formats/npz.js';
import type { MeasurementDomain } from './measurementDomain.js';
import { meanNearestDistance } from './neighbours.js';
import { forEachPattern, patternPower } from './normalise.js';
import { openRawData, type RawData } from './rawData.js';

/** One array of the file; `problem` instead of its shape when it cannot be read. */
export interface InspectedArray {
  readonly key: string;
  readonly shape?: Shape;
  readonly dtype?: string;
  readonly order?: 'C' | 'Fortran';
  readonly compressed: boolean;
  readonly problem?: string;
}

/** A report in plain values, ready for JSON. */
export interface ScanInspection {
  readonly path: string;
  readonly bytes: number;
  readonly arrays: readonly InspectedArray[];
  /** Everything that is wrong, or unusual enough to look at; empty for a sound scan. */
  readonly problems: readonly string[];
  /** Absent when the file cannot be opened as a scan; the first problem then says why. */
  readonly scan?: ScanSummary;
}

export interface ScanSummary {
  readonly count: number;
  readonly N: number;
  readonly domain: MeasurementDomain;
  readonly domainReason: string;
  /** Σ d² of a pattern (photons, in count domains), over `measured` patterns spread evenly over the scan. */
  readonly power: { readonly min: number; readonly mean: number; readonly max: number; readonly measured: number };
  readonly maxAmplitude: number;
  readonly xRange_px: readonly [number, number];
  readonly yRange_px: readonly [number, number];
  /** Mean distance of a position to its nearest neighbour. */
  readonly meanStep_px?: number;
  /** Diameter of a disc as large as the probe: 2·√(A/π), A = (Σ|P|²)² / Σ|P|⁴ pixels. */
  readonly probeDiameter_px?: number;
  /** Linear overlap of neighbouring positions: 1 − step/diameter, not below 0. */
  readonly overlap?: number;
}

/** Patterns measured at most, so that large scans are inspected in seconds. */
const MOST_MEASURED = 1024;
const LEAST_OVERLAP = 0.5;

/**
 * Looks at a scan file: arrays from their headers, patterns from a sample.
 * @throws PtychoError only when the file is missing or is no NPZ archive; all else is reported in `problems`.
 */
export async function inspectScan(path: string): Promise<ScanInspection> {
  const problems: string[] = [];
  const arrays = await listArrays(path);
  for (const { problem } of arrays) if (problem !== undefined) problems.push(problem);
  const { size } = await stat(path);
  let scan: ScanSummary | undefined;
  try {
    // What opening warns about, it warns about unreadable arrays: these are listed already.
    const raw = await openRawData(path);
    try {
      scan = await summarise(raw, problems);
    } finally {
      await raw.close();
    }
  } catch (error) {
    if (!isPtychoError(error)) throw error;
    if (!problems.includes(messageOf(error))) problems.unshift(messageOf(error));
  }
  return { path, bytes: size, arrays, problems, scan };
}

async function listArrays(path: string): Promise<InspectedArray[]> {
  const npz = await openNpz(path);
  try {
    const arrays: InspectedArray[] = [];
    for (const key of npz.keys) {
      const compressed = npz.isCompressed(key);
      try {
        const { shape, dtype, fortranOrder } = await npz.header(key);
        arrays.push({ key, shape, dtype, order: fortranOrder ? 'Fortran' : 'C', compressed });
      } catch (error) {
        if (!isPtychoError(error)) throw error;
        arrays.push({ key, compressed, problem: messageOf(error) });
      }
    }
    return arrays;
  } finally {
    await npz.close();
  }
}

async function summarise(raw: RawData, problems: string[]): Promise<ScanSummary> {
  const measured = Math.min(raw.count, MOST_MEASURED);
  const indices = Int32Array.from({ length: measured }, (_, i) => Math.floor((i * raw.count) / measured));
  let [min, max, total, maxAmplitude, dark] = [Number.POSITIVE_INFINITY, 0, 0, 0, 0];
  const mean = new Float64Array(raw.N * raw.N);
  await forEachPattern(raw.patterns, indices, (amplitudes) => {
    const power = patternPower(amplitudes);
    min = Math.min(min, power);
    max = Math.max(max, power);
    total += power;
    if (power === 0) dark++;
    for (let p = 0; p < amplitudes.length; p++) {
      mean[p] += amplitudes[p] * amplitudes[p];
      if (amplitudes[p] > maxAmplitude) maxAmplitude = amplitudes[p];
    }
  });
  if (dark > 0) problems.push(`${dark} of ${measured} patterns looked at are dark (zero everywhere).`);
  if (darkInTheMiddle(mean, raw.N)) {
    problems.push(
      'The light is in the corners of the patterns: zero frequency should be at (N/2, N/2), see numpy.fft.fftshift.',
    );
  }
  const step = meanNearestDistance(raw.xcoords, raw.ycoords);
  if (step === 0) problems.push('Every scan position occurs more than once.');
  const diameter = raw.probeGuess && probeDiameter(raw.probeGuess);
  if (raw.probeGuess === undefined)
    problems.push('The file has no probeGuess: training needs a probe (--probe FILE[:key]).');
  const overlap = diameter === undefined || Number.isNaN(step) ? undefined : Math.max(0, 1 - step / diameter);
  if (overlap !== undefined && overlap < LEAST_OVERLAP) {
    problems.push(
      `Neighbouring positions overlap by ${(100 * overlap).toFixed(0)} % of the probe's diameter; below ${100 * LEAST_OVERLAP} % reconstructions are poor. Are the positions in object pixels?`,
    );
  }
  return {
    count: raw.count,
    N: raw.N,
    domain: raw.domain,
    domainReason: raw.domainReason,
    power: { min, mean: total / measured, max, measured },
    maxAmplitude,
    xRange_px: range(raw.xcoords),
    yRange_px: range(raw.ycoords),
    meanStep_px: Number.isNaN(step) ? undefined : step,
    probeDiameter_px: diameter,
    overlap,
  };
}

/** True when the quarter of the pixels nearest to the corners holds more light than the quarter in the middle. */
function darkInTheMiddle(power: Float64Array, N: number): boolean {
  const [low, high] = [N / 4, N - N / 4];
  let [middle, corners] = [0, 0];
  for (let row = 0; row < N; row++) {
    const inRow = row >= low && row < high;
    for (let column = 0; column < N; column++) {
      const inColumn = column >= low && column < high;
      if (inRow && inColumn) middle += power[row * N + column];
      else if (!inRow && !inColumn) corners += power[row * N + column];
    }
  }
  return corners > middle;
}

function probeDiameter({ re, im }: ComplexImage): number {
  let [sum, squares] = [0, 0];
  for (let p = 0; p < re.length; p++) {
    const intensity = re[p] * re[p] + im[p] * im[p];
    sum += intensity;
    squares += intensity * intensity;
  }
  return 2 * Math.sqrt((sum * sum) / squares / Math.PI);
}

function range(values: Float64Array): [number, number] {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return [min, max];
}

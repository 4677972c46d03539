/** What the patterns of a scan measure: light, spread, pixels that behave oddly. */
import { extentOf, meanOf, spreadIndices } from '../../core/numbers.js';
import { forEachPiece } from '../normalise.js';
import type { LookedPatterns } from '../patternSource.js';
import type { RawData } from '../rawData.js';

/** A histogram with bins of equal width on a logarithmic scale. */
export interface Histogram {
  /** Borders of the bins, one more than counts. */
  readonly edges: readonly number[];
  readonly counts: readonly number[];
}

/** Figures of the patterns looked at, spread evenly over the scan. */
export interface PatternFigures {
  /** Which patterns, and the power Σ d² of each. */
  readonly indices: Int32Array;
  readonly power: Float64Array;
  /** (N, N) mean of d². */
  readonly meanIntensity: Float64Array;
  readonly maxAmplitude: number;
  /** Pixels, over all patterns looked at, that hold exactly the largest value. */
  readonly atMaximum: number;
  /** Patterns with NaN, infinite or negative pixels; they are in no other figure. */
  readonly unusable: number;
  /** The message about the first of them. */
  readonly firstProblem?: string;
}

/** Patterns measured at most, so that large scans are inspected in seconds. */
const MOST_MEASURED = 1024;

/** Adds up the figures of patterns that are handed over one by one. */
class FigureMeter {
  private readonly meanIntensity: Float64Array;
  private readonly indices: number[] = [];
  private readonly powers: number[] = [];
  private largest = 0;
  private atLargest = 0;
  private unusable = 0;
  private firstProblem: string | undefined;

  /** @param size pixels of a pattern */
  constructor(private readonly size: number) {
    this.meanIntensity = new Float64Array(size);
  }

  /** @param intensities the pixels are intensities, not amplitudes */
  take({ pixels, indices }: LookedPatterns, intensities = false): void {
    const { size } = this;
    indices.forEach((index, i) => {
      this.#takeOne(index, pixels.subarray(i * size, (i + 1) * size), intensities);
    });
  }

  #takeOne(index: number, pixels: Float32Array, intensities: boolean): void {
    const { meanIntensity, size } = this;
    let { largest, atLargest } = this;
    let power = 0;
    for (let p = 0; p < size; p++) {
      const v = pixels[p];
      const intensity = intensities ? v : v * v;
      power += intensity;
      meanIntensity[p] += intensity;
      if (intensity > largest) [largest, atLargest] = [intensity, 1];
      else if (intensity === largest) atLargest++;
    }
    [this.largest, this.atLargest] = [largest, atLargest];
    this.indices.push(index);
    this.powers.push(power);
  }

  /** A pattern that cannot be read or used. */
  refuse(problem: string): void {
    this.firstProblem ??= problem;
    this.unusable++;
  }

  figures(): PatternFigures {
    const taken = Math.max(1, this.powers.length);
    return {
      indices: Int32Array.from(this.indices),
      power: Float64Array.from(this.powers),
      meanIntensity: this.meanIntensity.map((v) => v / taken),
      maxAmplitude: Math.sqrt(Math.max(0, this.largest)),
      atMaximum: this.atLargest,
      unusable: this.unusable,
      firstProblem: this.firstProblem,
    };
  }
}

/** What patterns of `size` pixels measure. */
export function figuresOf(looked: LookedPatterns, size: number, intensities = false): PatternFigures {
  const meter = new FigureMeter(size);
  meter.take(looked, intensities);
  return meter.figures();
}

/** Measures up to 1024 patterns. @throws PtychoError reading errors other than DATASET_VALUE */
export async function measurePatterns({ patterns, count, N }: RawData): Promise<PatternFigures> {
  const meter = new FigureMeter(N * N);
  const lost = { code: 'DATASET_VALUE', add: (problem: string) => meter.refuse(problem) } as const;
  await forEachPiece(patterns, spreadIndices(count, MOST_MEASURED), (piece) => meter.take(piece), lost);
  return meter.figures();
}

/** A histogram of the positive values. */
export function logHistogram(values: Float64Array, bins: number): Histogram | undefined {
  const logs = values.filter((v) => v > 0).map(Math.log);
  if (logs.length === 0) return undefined;
  const [low, high] = extentOf(logs);
  const span = high - low || 1e-9;
  const counts = new Array<number>(bins).fill(0);
  for (const v of logs) counts[Math.min(bins - 1, Math.floor((bins * (v - low)) / span))]++;
  return { edges: Array.from({ length: bins + 1 }, (_, i) => Math.exp(low + (i * span) / bins)), counts };
}

/** True when the quarter of the pixels nearest to the corners holds more than `times` the light of the quarter in the middle. */
export function lightInCorners(light: Float64Array, height: number, width: number, times: number): boolean {
  let [middle, corners] = [0, 0];
  for (let row = 0; row < height; row++) {
    const inRow = row >= height / 4 && row < height - height / 4;
    for (let column = 0; column < width; column++) {
      const inColumn = column >= width / 4 && column < width - width / 4;
      if (inRow && inColumn) middle += light[row * width + column];
      else if (!inRow && !inColumn) corners += light[row * width + column];
    }
  }
  return corners > times * middle;
}

/** Centre of mass of the light, in pixels; undefined without light. */
export function centreOfLight(intensity: Float64Array, N: number): { row: number; column: number } | undefined {
  let [total, row, column] = [0, 0, 0];
  intensity.forEach((v, p) => {
    total += v;
    row += v * Math.floor(p / N);
    column += v * (p % N);
  });
  return total === 0 ? undefined : { row: row / total, column: column / total };
}

/** How much brighter than the brightest of its neighbours a pixel must be, on average, to be no signal. */
const HOT = 20;

/** Pixels that stick out of their neighbours far beyond what light does, brightest first. */
export function hotPixels(intensity: Float64Array, N: number): { row: number; column: number }[] {
  const mean = meanOf(intensity);
  const found: { row: number; column: number; value: number }[] = [];
  for (let row = 0; row < N; row++) {
    for (let column = 0; column < N; column++) {
      const value = intensity[row * N + column];
      if (!(value > HOT * mean)) continue;
      let brightest = 0;
      for (let r = Math.max(0, row - 1); r <= Math.min(N - 1, row + 1); r++) {
        for (let c = Math.max(0, column - 1); c <= Math.min(N - 1, column + 1); c++) {
          if (r !== row || c !== column) brightest = Math.max(brightest, intensity[r * N + c]);
        }
      }
      if (value > HOT * brightest) found.push({ row, column, value });
    }
  }
  return found.sort((a, b) => b.value - a.value).map(({ row, column }) => ({ row, column }));
}

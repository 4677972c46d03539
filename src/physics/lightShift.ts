/**
 * How far the light of a scan lies from where its probe sends it: the shift at which the mean pattern and the probe's far field
 * agree best. An object spreads this light evenly to all sides, so that the shift is that of the beam on the detector.
 *
 * @example
 * const shift = lightShift(meanIntensity, farField(raw.probeGuess, raw.N), raw.N);
 * if (shift?.clear) console.log(shift.rows, shift.columns);
 */
import type { ComplexTensor } from '../core/tensor.js';
import { AnyFft2 } from './fourier.js';

/** A shift in pixels of the pattern, and how well the two agree with it. */
export interface LightShift {
  readonly rows: number;
  readonly columns: number;
  /** Correlation coefficient of the amplitudes at the best shift, and without one. */
  readonly best: number;
  readonly unmoved: number;
  /** The two agree well at one shift, so that it means something. */
  readonly clear: boolean;
}

/** Patterns are compared on so many blocks along each side: the shift need not be finer. */
const BLOCKS = 64;
/** Correlation from which the two are the same light. */
const ALIKE = 0.8;

/**
 * @param intensity (N, N) mean pattern
 * @param field (N, N) light that the probe sends there, see {@link farField}
 * @param blocks along each side: N for a shift to the pixel
 */
export function lightShift(
  intensity: Float64Array,
  field: Float64Array,
  N: number,
  blocks = BLOCKS,
): LightShift | undefined {
  const block = Math.max(1, Math.floor(N / blocks));
  const side = Math.floor(N / block);
  const measured = standardised(reduced(intensity, N, block, side));
  const expected = standardised(reduced(field, N, block, side));
  if (!measured || !expected) return undefined;
  const correlation = correlate(measured, expected, side);
  let at = 0;
  for (let p = 1; p < correlation.length; p++) if (correlation[p] > correlation[at]) at = p;
  const signed = (v: number) => (v >= side / 2 ? v - side : v) * block;
  const [best, unmoved] = [correlation[at], correlation[0]];
  const [rows, columns] = [signed(Math.floor(at / side)), signed(at % side)];
  return { rows, columns, best, unmoved, clear: best >= ALIKE };
}

/** Σ over the modes of |F P|², zero frequency at N/2. */
export function farField({ re, im }: ComplexTensor, N: number): Float64Array {
  const area = N * N;
  const out = new Float64Array(area);
  const fft = new AnyFft2(N, N);
  const half = Math.floor(N / 2);
  for (let from = 0; from < re.length; from += area) {
    const [a, b] = [
      Float64Array.from(re.subarray(from, from + area)),
      Float64Array.from(im.subarray(from, from + area)),
    ];
    fft.forward(a, b);
    for (let r = 0; r < N; r++) {
      const to = ((r + half) % N) * N;
      for (let c = 0; c < N; c++) {
        const p = r * N + c;
        out[to + ((c + half) % N)] += (a[p] * a[p] + b[p] * b[p]) / area;
      }
    }
  }
  return out;
}

/** Root of the light in blocks: amplitudes, so that one bright pixel does not decide. */
function reduced(intensity: Float64Array, N: number, block: number, side: number): Float64Array {
  const out = new Float64Array(side * side);
  for (let r = 0; r < side * block; r++) {
    const row = Math.floor(r / block) * side;
    for (let c = 0; c < side * block; c++) out[row + Math.floor(c / block)] += Math.max(0, intensity[r * N + c]);
  }
  return out.map(Math.sqrt);
}

/** Mean 0 and Σ v² = 1; undefined for what is the same everywhere. */
function standardised(values: Float64Array): Float64Array | undefined {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const norm = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0));
  return norm > 0 && Number.isFinite(norm) ? values.map((v) => (v - mean) / norm) : undefined;
}

/** c[s] = Σ_p a[p + s]·b[p], cyclic. */
function correlate(a: Float64Array, b: Float64Array, side: number): Float64Array {
  const fft = new AnyFft2(side, side);
  const [ar, ai] = [a.slice(), new Float64Array(a.length)];
  const [br, bi] = [b.slice(), new Float64Array(b.length)];
  fft.forward(ar, ai);
  fft.forward(br, bi);
  for (let p = 0; p < ar.length; p++) {
    [ar[p], ai[p]] = [ar[p] * br[p] + ai[p] * bi[p], ai[p] * br[p] - ar[p] * bi[p]];
  }
  fft.inverse(ar, ai);
  return ar;
}

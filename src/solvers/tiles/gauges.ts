/** The gauges of tiles, all together by linear least squares over their overlaps; a few rounds, because shifts and phases are not linear. */
import { solvePositive } from '../../core/cholesky.js';
import type { ComplexImage } from '../../core/tensor.js';
import type { Frame } from '../../reconstruction/frame.js';

/** What brings a tile O into the gauge of the image: e^{logScale + i·phase + i·ramp·(r − middle)}·O(r + shift). */
export interface Gauge {
  readonly logScale: number;
  /** Radians. */
  readonly phase: number;
  /** Radians a pixel. */
  readonly rampYx: readonly [number, number];
  /** Pixels. */
  readonly shiftYx: readonly [number, number];
}

/** A tile that is in the gauge of the image. */
export const NO_GAUGE: Gauge = { logScale: 0, phase: 0, rampYx: [0, 0], shiftYx: [0, 0] };

/** Two tiles where they overlap, as they are by now. */
export interface TilePair {
  /** Numbers of the tiles. */
  readonly a: number;
  readonly b: number;
  readonly first: ComplexImage;
  readonly second: ComplexImage;
  /** How much each pixel counts, 0 … 1. */
  readonly weight: Float32Array;
  readonly frame: Frame;
}

const UNKNOWNS = 6;
/** How far a round goes where little is known: log scale, phase, ramps per 100 px, shifts in pixels. */
const REACH = [0.3, 3, 3, 3, 0.5, 0.5];
/** The unit of ramps in the equations, so that all unknowns are of one size. */
const RAMP_PX = 100;

/**
 * One round: gauges in which the tiles of all pairs differ less. What is common to all tiles is left as it is.
 * @param pairs the tiles in the gauges so far
 * @param gauges so far
 * @param middle [y, x] about which ramps turn
 */
export function solveGauges(
  pairs: readonly TilePair[],
  gauges: readonly Gauge[],
  middle: readonly [number, number],
): readonly Gauge[] {
  const n = gauges.length;
  const size = UNKNOWNS * n;
  const matrix = new Float64Array(size * size);
  const right = new Float64Array(size);
  let [misfit, weights] = [0, 0];
  for (const pair of pairs) {
    const { apart, weight } = addPair(pair, middle, matrix, right, size);
    misfit += apart;
    weights += weight;
  }
  if (weights === 0) return gauges;
  // What tiles differ by where nothing explains it is the noise of the equations; both parts of a complex number count.
  const noise = misfit / (2 * weights);
  let strongest = 0;
  for (let i = 0; i < size; i++) {
    matrix[i * size + i] += noise / REACH[i % UNKNOWNS] ** 2 + 1e-12;
    strongest = Math.max(strongest, matrix[i * size + i]);
  }
  // The mean of each unknown over the tiles stays: nothing is compared by which it could be known.
  for (let k = 0; k < UNKNOWNS; k++) {
    for (let i = k; i < size; i += UNKNOWNS) {
      for (let j = k; j < size; j += UNKNOWNS) matrix[i * size + j] += strongest;
    }
  }
  const rows = Array.from({ length: size }, (_, i) => matrix.subarray(i * size, (i + 1) * size));
  const step = solvePositive(rows, right);
  if (!step) return gauges;
  return gauges.map((gauge, t) => {
    const [scale, phase, ky, kx, sy, sx] = step.subarray(UNKNOWNS * t, UNKNOWNS * (t + 1));
    return {
      logScale: gauge.logScale + scale,
      phase: gauge.phase + phase,
      rampYx: [gauge.rampYx[0] + ky / RAMP_PX, gauge.rampYx[1] + kx / RAMP_PX],
      shiftYx: [gauge.shiftYx[0] + sy, gauge.shiftYx[1] + sx],
    };
  });
}

/** Adds the equations of a pair: how each unknown changes the difference of the tiles, and the difference. */
function addPair(
  pair: TilePair,
  [y0, x0]: readonly [number, number],
  matrix: Float64Array,
  right: Float64Array,
  size: number,
) {
  // biome-ignore format: one line
  const { first, second, weight, frame } = pair;
  const { height, width } = frame;
  const local = 2 * UNKNOWNS;
  const sums = new Float64Array(local * local);
  const products = new Float64Array(local);
  const [re, im] = [new Float64Array(local), new Float64Array(local)];
  let [apart, total] = [0, 0];
  // Derivatives need a neighbour on either side.
  for (let r = 1; r < height - 1; r++) {
    for (let c = 1; c < width - 1; c++) {
      const i = r * width + c;
      const w = weight[i];
      if (w === 0) continue;
      const y = (frame.originYxPx[0] + r - y0) / RAMP_PX;
      const x = (frame.originYxPx[1] + c - x0) / RAMP_PX;
      derivatives(first, i, width, y, x, 1, re, im, 0);
      derivatives(second, i, width, y, x, -1, re, im, UNKNOWNS);
      const [dr, di] = [first.re[i] - second.re[i], first.im[i] - second.im[i]];
      for (let p = 0; p < local; p++) {
        const [pr, pi] = [w * re[p], w * im[p]];
        products[p] -= pr * dr + pi * di;
        for (let q = 0; q <= p; q++) sums[p * local + q] += pr * re[q] + pi * im[q];
      }
      apart += w * (dr * dr + di * di);
      total += w;
    }
  }
  const place = (p: number) => (p < UNKNOWNS ? UNKNOWNS * pair.a + p : UNKNOWNS * pair.b + p - UNKNOWNS);
  for (let p = 0; p < local; p++) {
    right[place(p)] += products[p];
    for (let q = 0; q < local; q++) matrix[place(p) * size + place(q)] += sums[Math.max(p, q) * local + Math.min(p, q)];
  }
  return { apart, weight: total };
}

/** How a pixel of a tile changes with each unknown, times `sign`. */
function derivatives(
  { re, im }: ComplexImage,
  i: number,
  width: number,
  y: number,
  x: number,
  sign: number,
  outRe: Float64Array,
  outIm: Float64Array,
  at: number,
): void {
  // biome-ignore format: one line
  const [a, b] = [sign * re[i], sign * im[i]];
  outRe[at] = a;
  outIm[at] = b;
  outRe[at + 1] = -b;
  outIm[at + 1] = a;
  outRe[at + 2] = -b * y;
  outIm[at + 2] = a * y;
  outRe[at + 3] = -b * x;
  outIm[at + 3] = a * x;
  outRe[at + 4] = (sign * (re[i + width] - re[i - width])) / 2;
  outIm[at + 4] = (sign * (im[i + width] - im[i - width])) / 2;
  outRe[at + 5] = (sign * (re[i + 1] - re[i - 1])) / 2;
  outIm[at + 5] = (sign * (im[i + 1] - im[i - 1])) / 2;
}

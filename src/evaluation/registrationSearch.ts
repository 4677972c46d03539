/**
 * The whole-pixel shift between two images, from the normalised cross correlation of what neighbouring pixels differ by, over the
 * pixels that both have at each shift.
 *
 * The features conj(o(r,c))·o(r,c+1) and conj(o(r,c))·o(r+1,c) carry amplitude and phase; a global phase does not change them
 * and a phase ramp gives each a constant factor, of which the modulus of the correlation is free. Correlations at every shift
 * are normalised by the overlap at that shift, so that windows of one object are found and not their frames.
 * Source of masked normalised correlation: Padfield, IEEE Trans. Image Process. 21, 2706 (2012).
 */
import { Fft2, nextPowerOfTwo } from '../physics/fourier.js';

import { gaussianBlur } from '../physics/gaussian.js';
import { imageSides } from '../physics/sampling.js';
import type { EvaluatedImage } from './images.js';

/** Differences of neighbours of an image; zero where the mask is. */
export interface Features {
  readonly rows: number;
  readonly cols: number;
  /** Real and imaginary parts of both features, means taken out: x re, x im, y re, y im. */
  readonly planes: readonly [Float64Array, Float64Array, Float64Array, Float64Array];
  /** 1 where pixel, right and lower neighbour count. */
  readonly mask: Uint8Array;
  readonly count: number;
  /** Spread of the features against their size; below about 10⁻⁶ the image is flat. */
  readonly contrast: number;
}

/** A whole-pixel shift and how sure it is. */
export interface WholeShift {
  readonly shiftYx: readonly [number, number];
  /** Correlation of the features over the overlap, 0 … 1. */
  readonly correlation: number;
  /** Significance of the next best distinct shift as a share of the best one's. */
  readonly runnerUp: number;
}

/** Longest side that is searched in full; larger images are binned. */
const SEARCH_PX = 192;
/** A correlation beyond which more tells nothing. */
const GOOD = 0.98;

/** @param mask (rows·cols) of the pixels that count */
export function featuresOf(image: EvaluatedImage, mask: Uint8Array): Features {
  const [rows, cols] = imageSides(image);
  const size = rows * cols;
  const valid = new Uint8Array(size);
  const planes = [0, 1, 2, 3].map(() => new Float64Array(size)) as unknown as Features['planes'];
  const { re, im } = image;
  let count = 0;
  let squares = 0;
  const sums = [0, 0, 0, 0];
  for (let r = 0; r + 1 < rows; r++) {
    for (let c = 0; c + 1 < cols; c++) {
      const i = r * cols + c;
      if (!mask[i] || !mask[i + 1] || !mask[i + cols]) continue;
      valid[i] = 1;
      count++;
      [i + 1, i + cols].forEach((j, axis) => {
        const a = re[i] * re[j] + im[i] * im[j];
        const b = re[i] * im[j] - im[i] * re[j];
        planes[2 * axis][i] = a;
        planes[2 * axis + 1][i] = b;
        sums[2 * axis] += a;
        sums[2 * axis + 1] += b;
        squares += a * a + b * b;
      });
    }
  }
  let variance = 0;
  planes.forEach((plane, p) => {
    const mean = sums[p] / Math.max(1, count);
    for (let i = 0; i < size; i++) {
      if (!valid[i]) continue;
      plane[i] -= mean;
      variance += plane[i] ** 2;
    }
  });
  return { rows, cols, planes, mask: valid, count, contrast: squares > 0 ? Math.sqrt(variance / squares) : 0 };
}

/**
 * The shift of `moving` that agrees best with `fixed`; undefined where no shift has enough overlap.
 * @param leastOverlap share of the smaller image that must overlap
 */
export function findWholeShift(fixed: Features, moving: Features, leastOverlap: number): WholeShift | undefined {
  const factor = Math.ceil(Math.max(fixed.rows, fixed.cols, moving.rows, moving.cols) / SEARCH_PX);
  const [a, b] = [smooth(fixed), smooth(moving)];
  const found = searchAll(binned(a, factor), binned(b, factor), leastOverlap);
  if (!found || factor === 1) return found;
  let best = { shiftYx: found.shiftYx, correlation: -1 };
  const correlationAt = correlationOf(a, b);
  for (let dy = -factor; dy <= factor; dy++) {
    for (let dx = -factor; dx <= factor; dx++) {
      const shiftYx = [found.shiftYx[0] * factor + dy, found.shiftYx[1] * factor + dx] as const;
      const correlation = correlationAt(shiftYx);
      if (correlation > best.correlation) best = { shiftYx, correlation };
    }
  }
  return { ...best, runnerUp: found.runnerUp };
}

/** Features are dominated by the noise of single pixels; a little smoothing keeps what images of less detail share. */
function smooth(f: Features): Features {
  const shape = [f.rows, f.cols];
  const planes = f.planes.map((data) => gaussianBlur({ data, shape }, 1, { edge: 'zero' }).data.map((v, i) => (f.mask[i] ? v : 0))); // biome-ignore format: one call
  return { ...f, planes: planes as unknown as Features['planes'] };
}

/** Means over squares of `factor` pixels; a square counts where at least half of it does. */
function binned(f: Features, factor: number): Features {
  if (factor === 1) return f;
  const [rows, cols] = [Math.floor(f.rows / factor), Math.floor(f.cols / factor)];
  const mask = new Uint8Array(rows * cols);
  const planes = f.planes.map(() => new Float64Array(rows * cols)) as unknown as Features['planes'];
  let count = 0;
  for (let r = 0, at = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, at++) {
      let n = 0;
      for (let y = 0; y < factor; y++) {
        for (let x = 0; x < factor; x++) {
          const i = (r * factor + y) * f.cols + c * factor + x;
          if (!f.mask[i]) continue;
          n++;
          for (let p = 0; p < 4; p++) planes[p][at] += f.planes[p][i];
        }
      }
      const kept = 2 * n >= factor * factor;
      mask[at] = kept ? 1 : 0;
      count += mask[at];
      for (const plane of planes) plane[at] = kept ? plane[at] / n : 0;
    }
  }
  return { ...f, rows, cols, planes, mask, count };
}

/** Correlations at all shifts at once, through Fourier space. */
function searchAll(a: Features, b: Features, leastOverlap: number): WholeShift | undefined {
  const height = nextPowerOfTwo(a.rows + b.rows);
  const width = nextPowerOfTwo(a.cols + b.cols);
  const size = height * width;
  const fft = new Fft2(height, width);
  const spectrum = (f: Features, re: ArrayLike<number>, im?: ArrayLike<number>) => {
    const z = { re: new Float64Array(size), im: new Float64Array(size) };
    for (let r = 0; r < f.rows; r++) {
      for (let c = 0; c < f.cols; c++) {
        z.re[r * width + c] = re[r * f.cols + c];
        if (im) z.im[r * width + c] = im[r * f.cols + c];
      }
    }
    fft.forward(z.re, z.im, f.rows);
    return z;
  };
  type Spectrum = ReturnType<typeof spectrum>;
  /** Σₓ f(x)·conj(g(x − t)) for every t. */
  const correlate = (f: Spectrum, g: Spectrum): Spectrum => {
    const z = { re: new Float64Array(size), im: new Float64Array(size) };
    for (let i = 0; i < size; i++) {
      z.re[i] = f.re[i] * g.re[i] + f.im[i] * g.im[i];
      z.im[i] = f.im[i] * g.re[i] - f.re[i] * g.im[i];
    }
    fft.inverse(z.re, z.im);
    return z;
  };
  const squares = ({ planes: [p, q, r, s] }: Features) => p.map((v, i) => v ** 2 + q[i] ** 2 + r[i] ** 2 + s[i] ** 2);
  const [maskA, maskB] = [spectrum(a, a.mask), spectrum(b, b.mask)];
  const n = correlate(maskA, maskB).re;
  const powerA = correlate(spectrum(a, squares(a)), maskB).re;
  const powerB = correlate(maskA, spectrum(b, squares(b))).re;
  const numerator = new Float64Array(size);
  for (const [p, q] of [
    [0, 1],
    [2, 3],
  ]) {
    const [fa, fb] = [spectrum(a, a.planes[p], a.planes[q]), spectrum(b, b.planes[p], b.planes[q])];
    const product = correlate(fa, fb);
    const sumA = correlate(fa, maskB);
    const sumB = correlate(maskA, fb);
    for (let i = 0; i < size; i++) {
      if (n[i] < 1) continue;
      // Σ(f − f̄)·conj(g − ḡ) = Σ f·conj g − Σf·conj(Σg)/n; sumB is conj(Σg) already.
      const re = product.re[i] - (sumA.re[i] * sumB.re[i] - sumA.im[i] * sumB.im[i]) / n[i];
      const im = product.im[i] - (sumA.re[i] * sumB.im[i] + sumA.im[i] * sumB.re[i]) / n[i];
      numerator[i] += Math.hypot(re, im);
      powerA[i] -= (sumA.re[i] ** 2 + sumA.im[i] ** 2) / n[i];
      powerB[i] -= (sumB.re[i] ** 2 + sumB.im[i] ** 2) / n[i];
    }
  }
  const whole = Math.min(a.count, b.count);
  const least = Math.max(48, leastOverlap * whole);
  const floor = 1e-9 * Math.sqrt(largest(powerA) * largest(powerB));
  const score = new Float64Array(size);
  const correlations = new Float64Array(size);
  let best = -1;
  for (let i = 0; i < size; i++) {
    const power = Math.sqrt(Math.max(0, powerA[i]) * Math.max(0, powerB[i]));
    if (n[i] < least - 0.5 || power <= floor) continue;
    correlations[i] = Math.min(0.999999, numerator[i] / power);
    // Fisher's z: chance correlations spread as 1/√n, and 0.98 is far more than 0.9 is.
    score[i] = Math.atanh(correlations[i]) * Math.sqrt(Math.min(1, n[i] / whole));
    if (best < 0 || score[i] > score[best]) best = i;
  }
  if (best < 0) return undefined;
  const signed = (k: number, limit: number, period: number) => (k < limit ? k : k - period);
  // Equal images agree without end; what else agrees well is measured against good agreement.
  const peak = Math.atanh(Math.min(GOOD, correlations[best])) * Math.sqrt(Math.min(1, n[best] / whole));
  return {
    shiftYx: [signed(Math.floor(best / width), a.rows, height), signed(best % width, a.cols, width)],
    correlation: correlations[best],
    runnerUp: Math.min(1, secondPeak(score, height, width, best, peak / 2) / peak),
  };
}

/** The highest local maximum that is not on the hill of the best one: the region around it above `foot`. */
function secondPeak(score: Float64Array, height: number, width: number, best: number, foot: number): number {
  const hill = new Uint8Array(score.length);
  const stack = [best];
  hill[best] = 1;
  const neighbours = (i: number) => {
    const [r, c] = [Math.floor(i / width), i % width];
    const [up, down] = [((r + height - 1) % height) * width, ((r + 1) % height) * width];
    const [left, right] = [(c + width - 1) % width, (c + 1) % width];
    const row = r * width;
    return [up + left, up + c, up + right, row + left, row + right, down + left, down + c, down + right];
  };
  for (let i = stack.pop(); i !== undefined; i = stack.pop()) {
    for (const j of neighbours(i)) {
      if (hill[j] || score[j] < foot) continue;
      hill[j] = 1;
      stack.push(j);
    }
  }
  let second = 0;
  for (let i = 0; i < score.length; i++) {
    if (hill[i] || score[i] <= second) continue;
    // On the foot of the hill something is always higher next door.
    if (neighbours(i).every((j) => score[j] <= score[i])) second = score[i];
  }
  return second;
}

const largest = (values: Float64Array): number => values.reduce((m, v) => Math.max(m, v), 0);

type Shift = readonly [dy: number, dx: number];

/** The correlation of `a` with `b` moved by a shift, 0 … 1; 0 where they share nothing. */
export function correlationOf(a: Features, b: Features): (shift: Shift) => number {
  if (isWhole(a) && isWhole(b)) return wholeCorrelation(a, b);
  return (shift) => maskedCorrelation(a, b, shift);
}

/** Every pixel counts that has a right and a lower neighbour. */
const isWhole = ({ mask, rows, cols }: Features): boolean => {
  for (let r = 0; r + 1 < rows; r++) for (let c = 0; c + 1 < cols; c++) if (!mask[r * cols + c]) return false;
  return true;
};

/** Without masks the overlap is a rectangle, whose sums are had from running sums: only the products are left to add up. */
function wholeCorrelation(a: Features, b: Features): (shift: Shift) => number {
  const [sumsA, sumsB] = [sumsOf(a), sumsOf(b)];
  return ([dy, dx]) => {
    const [top, left] = [Math.max(0, dy), Math.max(0, dx)];
    const height = Math.min(a.rows - 1, b.rows - 1 + dy) - top;
    const width = Math.min(a.cols - 1, b.cols - 1 + dx) - left;
    if (height <= 0 || width <= 0) return 0;
    const n = height * width;
    const inA = (sums: RunningSums) => sums.of(top, left, height, width);
    const inB = (sums: RunningSums) => sums.of(top - dy, left - dx, height, width);
    let [numerator, aa, bb] = [0, inA(sumsA.squares), inB(sumsB.squares)];
    for (const p of [0, 2] as const) {
      const [re, im, otherRe, otherIm] = [a.planes[p], a.planes[p + 1], b.planes[p], b.planes[p + 1]];
      let [productRe, productIm] = [0, 0];
      for (let r = top; r < top + height; r++) {
        let j = (r - dy) * b.cols + left - dx;
        for (let i = r * a.cols + left, end = i + width; i < end; i++, j++) {
          productRe += re[i] * otherRe[j] + im[i] * otherIm[j];
          productIm += im[i] * otherRe[j] - re[i] * otherIm[j];
        }
      }
      const [sumRe, sumIm] = [inA(sumsA.planes[p]), inA(sumsA.planes[p + 1])];
      const [otherSumRe, otherSumIm] = [inB(sumsB.planes[p]), inB(sumsB.planes[p + 1])];
      const alignedRe = productRe - (sumRe * otherSumRe + sumIm * otherSumIm) / n;
      const alignedIm = productIm - (sumIm * otherSumRe - sumRe * otherSumIm) / n;
      numerator += Math.hypot(alignedRe, alignedIm);
      aa -= (sumRe ** 2 + sumIm ** 2) / n;
      bb -= (otherSumRe ** 2 + otherSumIm ** 2) / n;
    }
    return ratio(numerator, aa, bb);
  };
}

/** Sums over any rectangle of an image, from sums over all rectangles at its corner. */
class RunningSums {
  private readonly sums: Float64Array;

  constructor(
    values: Float64Array,
    rows: number,
    private readonly cols: number,
  ) {
    this.sums = new Float64Array((rows + 1) * (cols + 1));
    for (let r = 0; r < rows; r++) {
      let along = 0;
      for (let c = 0; c < cols; c++) {
        along += values[r * cols + c];
        const at = (r + 1) * (cols + 1) + c + 1;
        this.sums[at] = this.sums[at - cols - 1] + along;
      }
    }
  }

  of(top: number, left: number, height: number, width: number): number {
    const above = top * (this.cols + 1) + left;
    const below = (top + height) * (this.cols + 1) + left;
    return this.sums[below + width] - this.sums[below] - this.sums[above + width] + this.sums[above];
  }
}

function sumsOf({ planes, rows, cols }: Features) {
  const [p, q, r, s] = planes;
  const squares = p.map((v, i) => v ** 2 + q[i] ** 2 + r[i] ** 2 + s[i] ** 2);
  return {
    planes: planes.map((plane) => new RunningSums(plane, rows, cols)),
    squares: new RunningSums(squares, rows, cols),
  };
}

/** Pixel by pixel, whatever the masks are. */
export function maskedCorrelation(a: Features, b: Features, [dy, dx]: readonly [number, number]): number {
  let [n, numerator, aa, bb] = [0, 0, 0, 0];
  for (const p of [0, 2] as const) {
    const [re, im, otherRe, otherIm] = [a.planes[p], a.planes[p + 1], b.planes[p], b.planes[p + 1]];
    let [productRe, productIm, sumRe, sumIm, otherSumRe, otherSumIm] = [0, 0, 0, 0, 0, 0];
    n = 0;
    for (let r = Math.max(0, dy); r < Math.min(a.rows, b.rows + dy); r++) {
      const last = Math.min(a.cols, b.cols + dx);
      const offset = (r - dy) * b.cols - dx - r * a.cols;
      for (let i = r * a.cols + Math.max(0, dx), end = r * a.cols + last; i < end; i++) {
        const j = i + offset;
        if (!a.mask[i] || !b.mask[j]) continue;
        n++;
        const u = re[i];
        const v = im[i];
        const x = otherRe[j];
        const y = otherIm[j];
        productRe += u * x + v * y;
        productIm += v * x - u * y;
        sumRe += u;
        sumIm += v;
        otherSumRe += x;
        otherSumIm += y;
        aa += u * u + v * v;
        bb += x * x + y * y;
      }
    }
    if (n === 0) return 0;
    const alignedRe = productRe - (sumRe * otherSumRe + sumIm * otherSumIm) / n;
    const alignedIm = productIm - (sumIm * otherSumRe - sumRe * otherSumIm) / n;
    numerator += Math.hypot(alignedRe, alignedIm);
    aa -= (sumRe ** 2 + sumIm ** 2) / n;
    bb -= (otherSumRe ** 2 + otherSumIm ** 2) / n;
  }
  return ratio(numerator, aa, bb);
}

function ratio(numerator: number, aa: number, bb: number): number {
  const power = Math.sqrt(Math.max(0, aa) * Math.max(0, bb));
  return power > 0 ? numerator / power : 0;
}

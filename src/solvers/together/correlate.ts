/**
 * How far two images of one object lie apart: by the cross-correlation of their gradients, conj(O)·∂O, whose imaginary part is that of the
 * phase and whose real part that of the amplitude. A phase ramp, which every reconstruction may have of its own, adds a constant to them,
 * which is taken away; a factor and a global phase play no part.
 */
import type { ComplexImage, Tensor } from '../../core/tensor.js';
import { AnyFft2 } from '../../physics/fourier.js';
import type { Frame } from '../../reconstruction/frame.js';

/** An image, where it lies, and how much light fell on it, 1 at the brightest. */
export interface LitImage {
  readonly image: ComplexImage;
  readonly frame: Frame;
  readonly coverage: Tensor;
}

/** Where an image lies beside another. */
export interface Apart {
  /** [y, x] t for which b(r) is a(r + t), in the pixels of the scans. */
  readonly shift_yx_px: readonly [number, number];
  /** Correlation of both where they overlap, at most 1. */
  readonly agreement: number;
  /** The same over the root mean square of all other places: below some 6 nothing was found. */
  readonly distinct: number;
}

/** Light below this share of the brightest tells little. */
const LIT = 0.1;

/** Places where less than this share of the smaller image meets the other are not compared. */
const LEAST_OVERLAP = 0.15;

/** Pixels that are correlated at most; larger images are binned. */
const MOST_PIXELS = 2 ** 22;

/** Finds it; undefined where the images never overlap enough, or one of them is empty. */
export function apartBy(a: LitImage, b: LitImage): Apart | undefined {
  const pixels = (a.frame.height + b.frame.height) * (a.frame.width + b.frame.width);
  const bin = Math.max(1, Math.ceil(Math.sqrt(pixels / MOST_PIXELS)));
  const [one, other] = [a, b].map((image) => gradientsOf(bin === 1 ? image : binned(image, bin)));
  const height = goodLength(one.height + other.height);
  const width = goodLength(one.width + other.width);
  const fft = new AnyFft2(height, width);
  const laid = ({ height: rows, width: columns }: Gradients, re: Float64Array, im?: Float64Array): Spectrum => {
    const out = { re: new Float64Array(height * width), im: new Float64Array(height * width) };
    for (let r = 0; r < rows; r++) {
      out.re.set(re.subarray(r * columns, (r + 1) * columns), r * width);
      if (im) out.im.set(im.subarray(r * columns, (r + 1) * columns), r * width);
    }
    fft.forward(out.re, out.im, rows);
    return out;
  };
  /** Σ_r a(r + t)·conj(b(r)) for every t, real part. */
  const correlated = (pairs: readonly (readonly [Spectrum, Spectrum])[]): Float64Array => {
    const sum = { re: new Float64Array(height * width), im: new Float64Array(height * width) };
    for (const [p, q] of pairs) {
      for (let i = 0; i < sum.re.length; i++) {
        sum.re[i] += p.re[i] * q.re[i] + p.im[i] * q.im[i];
        sum.im[i] += p.im[i] * q.re[i] - p.re[i] * q.im[i];
      }
    }
    fft.inverse(sum.re, sum.im);
    return sum.re;
  };
  const both = [one, other].map((g) => ({
    y: laid(g, g.y.re, g.y.im),
    x: laid(g, g.x.re, g.x.im),
    lit: laid(g, g.lit),
    power: laid(g, g.power),
  }));
  const cross = correlated([[both[0].y, both[1].y] as const, [both[0].x, both[1].x] as const]);
  const met = correlated([[both[0].lit, both[1].lit]]);
  const powerA = correlated([[both[0].power, both[1].lit]]);
  const powerB = correlated([[both[0].lit, both[1].power]]);
  const area = ({ lit }: Gradients) => lit.reduce((sum, v) => sum + v, 0);
  const least = LEAST_OVERLAP * Math.min(area(one), area(other));
  const ratio = cross.map((v, i) => {
    const below = powerA[i] * powerB[i];
    return met[i] >= least && met[i] > 0.5 && below > 0 ? v / Math.sqrt(below) : Number.NaN;
  });
  let [best, sum, count] = [-1, 0, 0];
  // Where little overlaps, chance alone correlates more.
  const weight = (i: number) => ratio[i] * Math.sqrt(met[i]);
  ratio.forEach((r, i) => {
    if (Number.isNaN(r)) return;
    sum += weight(i) ** 2;
    count++;
    if (best < 0 || weight(i) > weight(best)) best = i;
  });
  if (best < 0) return undefined;
  const [row, column] = [Math.floor(best / width), best % width];
  const at = (r: number, c: number) => ratio[((r + height) % height) * width + ((c + width) % width)];
  const peak = at(row, column);
  const dy = summit(at(row - 1, column), peak, at(row + 1, column));
  const dx = summit(at(row, column - 1), peak, at(row, column + 1));
  const signed = (k: number, n: number, first: number) => (k >= first ? k - n : k);
  // Shifts of arrays: a's reach from −(rows of b − 1) to rows of a − 1.
  const y = signed(row, height, one.height) + dy;
  const x = signed(column, width, one.width) + dx;
  const origin = (axis: 0 | 1) => a.frame.originYxPx[axis] - b.frame.originYxPx[axis];
  return {
    shift_yx_px: [bin * y + origin(0), bin * x + origin(1)],
    agreement: peak,
    distinct: weight(best) / Math.sqrt(Math.max(1e-30, sum - weight(best) ** 2) / Math.max(1, count - 1)),
  };
}

interface Spectrum {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** Gradients where light fell, 0 elsewhere, with their means taken away. */
interface Gradients {
  readonly height: number;
  readonly width: number;
  readonly y: Spectrum;
  readonly x: Spectrum;
  /** 1 where light fell. */
  readonly lit: Float64Array;
  /** |∂O|² of both axes. */
  readonly power: Float64Array;
}

function gradientsOf({ image, frame: { height, width }, coverage }: LitImage): Gradients {
  const { re, im } = smoothed(image, height, width);
  const pixels = height * width;
  const lit = new Float64Array(pixels);
  const [y, x] = [0, 1].map(() => ({ re: new Float64Array(pixels), im: new Float64Array(pixels) }));
  for (let r = 1; r + 1 < height; r++) {
    for (let c = 1; c + 1 < width; c++) {
      const i = r * width + c;
      if (!(coverage.data[i] > LIT)) continue;
      lit[i] = 1;
      for (const [axis, step] of [
        [y, width],
        [x, 1],
      ] as const) {
        const [a, b] = [re[i + step] - re[i - step], im[i + step] - im[i - step]];
        axis.re[i] = re[i] * a + im[i] * b;
        axis.im[i] = re[i] * b - im[i] * a;
      }
    }
  }
  const area = lit.reduce((sum, v) => sum + v, 0) || 1;
  for (const part of [y.re, y.im, x.re, x.im]) {
    const mean = part.reduce((sum, v) => sum + v, 0) / area;
    for (let i = 0; i < pixels; i++) part[i] -= lit[i] * mean;
  }
  const power = lit.map((_, i) => y.re[i] ** 2 + y.im[i] ** 2 + x.re[i] ** 2 + x.im[i] ** 2);
  return { height, width, y, x, lit, power };
}

/** Over three pixels each way: noise from pixel to pixel tells nothing of where an image lies. */
function smoothed({ re, im }: ComplexImage, height: number, width: number): Spectrum {
  const along = (values: ArrayLike<number>, step: number, n: number, at: (i: number) => number) =>
    Float64Array.from({ length: height * width }, (_, i) => {
      const k = at(i);
      return 0.25 * values[k > 0 ? i - step : i] + 0.5 * values[i] + 0.25 * values[k + 1 < n ? i + step : i];
    });
  const both = (values: ArrayLike<number>) =>
    along(
      along(values, 1, width, (i) => i % width),
      width,
      height,
      (i) => Math.floor(i / width),
    );
  return { re: both(re), im: both(im) };
}

/** Means over squares of `bin` pixels; what is left over at the rims is left out. */
function binned({ image, frame, coverage }: LitImage, bin: number): LitImage {
  const [height, width] = [Math.floor(frame.height / bin), Math.floor(frame.width / bin)];
  const mean = (values: Float32Array) => {
    const out = new Float32Array(height * width);
    for (let r = 0; r < height * bin; r++) {
      for (let c = 0; c < width * bin; c++) {
        out[Math.floor(r / bin) * width + Math.floor(c / bin)] += values[r * frame.width + c] / (bin * bin);
      }
    }
    return out;
  };
  return {
    image: { re: mean(image.re), im: mean(image.im), shape: [height, width] },
    frame: { ...frame, height, width },
    coverage: { data: mean(coverage.data as Float32Array), shape: [height, width] },
  };
}

/** The place of the summit of a parabola through three neighbours, within half a pixel; 0 where there is none. */
function summit(before: number, at: number, after: number): number {
  const bend = 2 * at - before - after;
  return bend > 0 ? Math.max(-0.5, Math.min(0.5, (0.5 * (after - before)) / bend)) : 0;
}

/** The next length without prime factors above 5, whose transform is quick. */
function goodLength(least: number): number {
  for (let n = least; ; n++) {
    let rest = n;
    for (const p of [2, 3, 5]) while (rest % p === 0) rest /= p;
    if (rest === 1) return n;
  }
}

/**
 * Phases and their free plane. Ramps are found by the peak of a Fourier transform and refined by Newton's method on the complex sum,
 * so that phase wraps do not matter.
 */
import type { ComplexImage, Tensor } from '../core/tensor.js';
import { Fft2, nextPowerOfTwo } from '../physics/fourier.js';
import { type FloatArray, imageSides } from '../physics/sampling.js';

/** A phase ramp in radians per pixel: phase(r, c) = x·c + y·r. */
export interface PhaseRamp {
  readonly x: number;
  readonly y: number;
}

/** The ramp that maximises |Σ g·e^{−i·ramp}| for an image g (rows, cols); zero for an empty image. */
export function fitRamp(g: ComplexImage<FloatArray>): PhaseRamp {
  const [rows, cols] = imageSides(g);
  const coarse = spectralPeak(g, rows, cols);
  return refine(g, rows, cols, coarse);
}

/** g·e^{−i·ramp}, in float64. */
export function removeRamp(g: ComplexImage<FloatArray>, ramp: PhaseRamp): ComplexImage<Float64Array> {
  const [rows, cols] = imageSides(g);
  const re = new Float64Array(rows * cols);
  const im = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    for (let c = 0, i = r * cols; c < cols; c++, i++) {
      const angle = -(ramp.x * c + ramp.y * r);
      const cos = Math.cos(angle);
      const sin = Math.sin(angle);
      re[i] = g.re[i] * cos - g.im[i] * sin;
      im[i] = g.re[i] * sin + g.im[i] * cos;
    }
  }
  return { re, im, shape: g.shape };
}

/** Coarse search: the largest Fourier coefficient on a grid at least twice as fine as the image resolves. */
function spectralPeak(g: ComplexImage<FloatArray>, rows: number, cols: number): PhaseRamp {
  const height = nextPowerOfTwo(2 * rows);
  const width = nextPowerOfTwo(2 * cols);
  const re = new Float64Array(height * width);
  const im = new Float64Array(height * width);
  for (let r = 0; r < rows; r++) {
    re.set(g.re.subarray(r * cols, (r + 1) * cols), r * width);
    im.set(g.im.subarray(r * cols, (r + 1) * cols), r * width);
  }
  new Fft2(height, width).forward(re, im, rows);
  let best = 0;
  let largest = 0;
  for (let i = 0; i < re.length; i++) {
    const power = re[i] * re[i] + im[i] * im[i];
    if (power > largest) {
      largest = power;
      best = i;
    }
  }
  const signed = (k: number, n: number) => (2 * Math.PI * (k < n / 2 ? k : k - n)) / n;
  return { x: signed(best % width, width), y: signed(Math.floor(best / width), height) };
}

/** Sums of g·e^{−i·ramp} with powers of the centred coordinates up to two. */
interface Moments {
  readonly power: number;
  readonly gradX: number;
  readonly gradY: number;
  readonly xx: number;
  readonly xy: number;
  readonly yy: number;
}

function refine(g: ComplexImage<FloatArray>, rows: number, cols: number, start: PhaseRamp): PhaseRamp {
  let ramp = start;
  let now = moments(g, rows, cols, ramp);
  for (let iteration = 0; iteration < 30 && now.power > 0; iteration++) {
    const determinant = now.xx * now.yy - now.xy * now.xy;
    const concave = now.xx < 0 && determinant > 0;
    // Newton where the peak is concave, else a short step uphill.
    let dx = concave ? -(now.yy * now.gradX - now.xy * now.gradY) / determinant : 0;
    let dy = concave ? -(now.xx * now.gradY - now.xy * now.gradX) / determinant : 0;
    if (!concave) {
      const length = Math.hypot(now.gradX, now.gradY) || 1;
      dx = ((0.1 / cols) * now.gradX) / length;
      dy = ((0.1 / rows) * now.gradY) / length;
    }
    let better: { ramp: PhaseRamp; moments: Moments } | undefined;
    for (let halving = 0; halving < 8 && !better; halving++, dx /= 2, dy /= 2) {
      const trial = { x: ramp.x + dx, y: ramp.y + dy };
      const m = moments(g, rows, cols, trial);
      if (m.power > now.power) better = { ramp: trial, moments: m };
    }
    if (!better) break;
    const gain = better.moments.power / now.power - 1;
    ({ ramp, moments: now } = better);
    if (gain < 1e-15) break;
  }
  return ramp;
}

function moments(g: ComplexImage<FloatArray>, rows: number, cols: number, ramp: PhaseRamp): Moments {
  const cosX = Float64Array.from({ length: cols }, (_, c) => Math.cos(ramp.x * c));
  const sinX = Float64Array.from({ length: cols }, (_, c) => Math.sin(ramp.x * c));
  // S, S_x, S_y, S_xx, S_xy, S_yy as real and imaginary parts; coordinates centred to keep the Hessian well conditioned.
  const s = new Float64Array(12);
  for (let r = 0; r < rows; r++) {
    // Sums along the row of g·e^{−iθ}, times 1, x and x².
    let [a0, a1, b0, b1, c0, c1] = [0, 0, 0, 0, 0, 0];
    for (let k = 0, i = r * cols; k < cols; k++, i++) {
      const x = k - (cols - 1) / 2;
      const re = g.re[i] * cosX[k] + g.im[i] * sinX[k];
      const im = g.im[i] * cosX[k] - g.re[i] * sinX[k];
      a0 += re;
      a1 += im;
      b0 += x * re;
      b1 += x * im;
      c0 += x * x * re;
      c1 += x * x * im;
    }
    const y = r - (rows - 1) / 2;
    const cos = Math.cos(ramp.y * r);
    const sin = Math.sin(ramp.y * r);
    for (const [at, re, im, factor] of [
      [0, a0, a1, 1],
      [2, b0, b1, 1],
      [4, a0, a1, y],
      [6, c0, c1, 1],
      [8, b0, b1, y],
      [10, a0, a1, y * y],
    ]) {
      s[at] += factor * (re * cos + im * sin);
      s[at + 1] += factor * (im * cos - re * sin);
    }
  }
  // With T = Σ x g e^{−iθ}: ∂S/∂a = −iT, so ∂|S|²/∂a = 2 Im(conj(S)·T), and so on.
  const cross = (p: number, q: number) => s[p] * s[q + 1] - s[p + 1] * s[q]; // Im(conj(p)·q)
  const dot = (p: number, q: number) => s[p] * s[q] + s[p + 1] * s[q + 1]; // Re(conj(p)·q)
  return {
    power: dot(0, 0),
    gradX: 2 * cross(0, 2),
    gradY: 2 * cross(0, 4),
    xx: 2 * (dot(2, 2) - dot(0, 6)),
    xy: 2 * (dot(2, 4) - dot(0, 8)),
    yy: 2 * (dot(4, 4) - dot(0, 10)),
  };
}

/** A phase image whose best plane is zero. */
export interface PlaneRemoved {
  /** Radians, wrapped to (−π, π] about the plane, weighted mean zero. */
  readonly phase: Tensor<Float64Array>;
  /** The plane that was removed, radians per pixel. */
  readonly ramp: PhaseRamp;
}

/**
 * The phase of a complex image minus its plane x·c + y·r + offset.
 *
 * The ramp is found on the complex image (no unwrapping), then the plane of weighted least squares is taken out of the
 * residual phase, which is wrapped about that plane and fitted again until it stands still.
 *
 * @param mask pixels where it is not zero count; all pixels are returned
 * @param weights of the fit; default |image|, since the phase of dark pixels means little
 */
export function removePhasePlane(
  image: ComplexImage<FloatArray>,
  options: { readonly mask?: ArrayLike<number>; readonly weights?: ArrayLike<number> } = {},
): PlaneRemoved {
  const [rows, cols] = imageSides(image);
  const size = rows * cols;
  const weight = new Float64Array(size);
  const seen = { re: new Float64Array(size), im: new Float64Array(size), shape: image.shape };
  for (let i = 0; i < size; i++) {
    if (options.mask && !options.mask[i]) continue;
    const modulus = Math.hypot(image.re[i], image.im[i]);
    weight[i] = options.weights ? options.weights[i] : modulus;
    if (modulus === 0) continue;
    seen.re[i] = (image.re[i] / modulus) * weight[i];
    seen.im[i] = (image.im[i] / modulus) * weight[i];
  }
  const coarse = fitRamp(seen);
  const flat = removeRamp(seen, coarse);
  const mean = Math.atan2(
    flat.im.reduce((s, v) => s + v, 0),
    flat.re.reduce((s, v) => s + v, 0),
  );
  const level = removeRamp(image, coarse);
  const phase = new Float64Array(size);
  for (let i = 0; i < size; i++) phase[i] = wrap(Math.atan2(level.im[i], level.re[i]) - mean);

  let { x, y } = coarse;
  for (let pass = 0; pass < 10; pass++) {
    const plane = fitPlane(phase, weight, rows, cols);
    x += plane.x;
    y += plane.y;
    let wrapped = false;
    for (let r = 0; r < rows; r++) {
      for (let c = 0, i = r * cols; c < cols; c++, i++) {
        const residual = phase[i] - (plane.x * c + plane.y * r + plane.offset);
        phase[i] = wrap(residual);
        wrapped ||= phase[i] !== residual && weight[i] > 0;
      }
    }
    if (!wrapped) break; // without wraps one least-squares fit is final
  }
  return { phase: { data: phase, shape: image.shape }, ramp: { x, y } };
}

/** The plane z = x·c + y·r + offset of weighted least squares. */
export function fitPlane(
  z: ArrayLike<number>,
  weight: ArrayLike<number>,
  rows: number,
  cols: number,
): PhaseRamp & { readonly offset: number } {
  let [w, wx, wy, wz] = [0, 0, 0, 0];
  for (let r = 0; r < rows; r++) {
    for (let c = 0, i = r * cols; c < cols; c++, i++) {
      w += weight[i];
      wx += weight[i] * c;
      wy += weight[i] * r;
      wz += weight[i] * z[i];
    }
  }
  if (w === 0) return { x: 0, y: 0, offset: 0 };
  const [mx, my, mz] = [wx / w, wy / w, wz / w];
  let [xx, xy, yy, xz, yz] = [0, 0, 0, 0, 0];
  for (let r = 0; r < rows; r++) {
    for (let c = 0, i = r * cols; c < cols; c++, i++) {
      const dx = c - mx;
      const dy = r - my;
      const dz = z[i] - mz;
      xx += weight[i] * dx * dx;
      xy += weight[i] * dx * dy;
      yy += weight[i] * dy * dy;
      xz += weight[i] * dx * dz;
      yz += weight[i] * dy * dz;
    }
  }
  const determinant = xx * yy - xy * xy;
  // A single row or column has no slope across it.
  const solvable = determinant > 1e-12 * xx * yy;
  const x = solvable ? (yy * xz - xy * yz) / determinant : xx > 0 && yy === 0 ? xz / xx : 0;
  const y = solvable ? (xx * yz - xy * xz) / determinant : yy > 0 && xx === 0 ? yz / yy : 0;
  return { x, y, offset: mz - x * mx - y * my };
}

/** An angle in (−π, π]. */
export function wrap(angle: number): number {
  if (angle > -Math.PI && angle <= Math.PI) return angle;
  const turns = Math.ceil((angle - Math.PI) / (2 * Math.PI));
  return angle - 2 * Math.PI * turns;
}

/** What probe and object are held to: the probe's power, where it may be, modes that share nothing; the object's total variation. */
import { modeIntensity, totalIntensity } from '../../physics/probe.js';
import type { FieldMemory, Planes } from '../fieldMemory.js';

/** Planes of several modes, one after the other. */
export type ModePlanes = Pick<Planes, 're' | 'im'>;

/** Gives the probe this power, what it varies by the same factor, and the object the inverse: no exit wave changes. */
export function holdPower(memory: FieldMemory, power: number): void {
  const now = totalIntensity(memory.probe);
  if (!(now > 0)) return;
  const factor = Math.sqrt(power / now);
  memory.scale(memory.probe, factor);
  memory.scale(memory.variation, factor);
  memory.scale(memory.firstSlice, 1 / factor);
}

/**
 * Blanks the probe where its intensity, summed over modes and smoothed over 5×5 pixels, is below `share` of the largest (the
 * support as Ptychodus' algorithms shrink it), and with it the modes by which it varies.
 */
export function blankOutside(probe: ModePlanes, N: number, share: number, variation?: ModePlanes): void {
  const area = N * N;
  const smooth = smoothed(smoothed(modeIntensity(probe, area), N, 1), N, N);
  const most = smooth.reduce((m, v) => Math.max(m, v), 0);
  for (const { re, im } of variation ? [probe, variation] : [probe]) {
    for (let i = 0; i < re.length; i++) {
      if (smooth[i % area] >= share * most) continue;
      re[i] = 0;
      im[i] = 0;
    }
  }
}

/** Means over five neighbours along one axis, fewer at the rims. */
function smoothed(plane: Float64Array, N: number, stride: number): Float64Array {
  const out = new Float64Array(plane.length);
  for (let i = 0; i < plane.length; i++) {
    const at = Math.floor(i / stride) % N;
    let [sum, count] = [0, 0];
    for (let d = Math.max(-2, -at); d <= Math.min(2, N - 1 - at); d++) {
      sum += plane[i + d * stride];
      count++;
    }
    out[i] = sum / count;
  }
  return out;
}

/**
 * Replaces modes by orthogonal ones with the same mutual intensity Σ P·conj(P)ᵀ, the strongest first (principal components;
 * P. Thibault, A. Menzel, Nature 494, 68, 2013). Each new mode has the phase of the old one that it has most of.
 * @param pixels of one mode
 */
export function orthogonaliseModes({ re, im }: ModePlanes, pixels: number): void {
  const modes = re.length / pixels;
  if (modes < 2) return;
  const gram = gramMatrix({ re, im }, pixels);
  const { values, vectors } = hermitianEigen(gram, modes);
  const order = values.map((_, k) => k).sort((a, b) => values[b] - values[a]);
  const [oldRe, oldIm] = [Float32Array.from(re), Float32Array.from(im)];
  re.fill(0);
  im.fill(0);
  order.forEach((k, to) => {
    let leading = 0;
    const weight = (b: number) => Math.hypot(vectors.re[b * modes + k], vectors.im[b * modes + k]);
    for (let b = 1; b < modes; b++) if (weight(b) > weight(leading)) leading = b;
    const size = weight(leading);
    const [cos, sin] = [vectors.re[leading * modes + k] / size, vectors.im[leading * modes + k] / size];
    for (let b = 0; b < modes; b++) {
      const [vr, vi] = [vectors.re[b * modes + k], vectors.im[b * modes + k]];
      const [wr, wi] = [vr * cos + vi * sin, vi * cos - vr * sin];
      for (let i = 0; i < pixels; i++) {
        const [pr, pi] = [oldRe[b * pixels + i], oldIm[b * pixels + i]];
        re[to * pixels + i] += pr * wr - pi * wi;
        im[to * pixels + i] += pr * wi + pi * wr;
      }
    }
  });
}

interface Matrix {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** Σ conj(P_a)·P_b. */
function gramMatrix({ re, im }: ModePlanes, pixels: number): Matrix {
  const modes = re.length / pixels;
  const gram = { re: new Float64Array(modes * modes), im: new Float64Array(modes * modes) };
  for (let a = 0; a < modes; a++) {
    for (let b = 0; b < modes; b++) {
      let [sr, si] = [0, 0];
      for (let i = 0, p = a * pixels, q = b * pixels; i < pixels; i++, p++, q++) {
        sr += re[p] * re[q] + im[p] * im[q];
        si += re[p] * im[q] - im[p] * re[q];
      }
      gram.re[a * modes + b] = sr;
      gram.im[a * modes + b] = si;
    }
  }
  return gram;
}

/** Eigenvalues and eigenvectors (columns) of a small Hermitian matrix, by Jacobi's rotations. */
export function hermitianEigen(matrix: Matrix, n: number): { readonly values: number[]; readonly vectors: Matrix } {
  const a = { re: matrix.re.slice(), im: matrix.im.slice() };
  const v = { re: new Float64Array(n * n), im: new Float64Array(n * n) };
  for (let i = 0; i < n; i++) v.re[i * n + i] = 1;
  const trace = Array.from({ length: n }, (_, i) => Math.abs(a.re[i * n + i])).reduce((s, x) => s + x, 0);
  for (let sweep = 0; sweep < 50; sweep++) {
    let outside = 0;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const [re, im] = [a.re[p * n + q], a.im[p * n + q]];
        const size = Math.hypot(re, im);
        outside += size;
        if (size < 1e-15 * trace) continue;
        // The phase makes the pair real, then an ordinary rotation by the angle with tan 2θ = 2|a|/(a_qq − a_pp).
        const theta = 0.5 * Math.atan2(2 * size, a.re[q * n + q] - a.re[p * n + p]);
        rotate(a, v, n, p, q, Math.cos(theta), Math.sin(theta), re / size, im / size);
      }
    }
    if (outside < 1e-13 * trace) break;
  }
  return { values: Array.from({ length: n }, (_, i) => a.re[i * n + i]), vectors: v };
}

/** a ← Rᴴ a R, v ← v R, with R[p,p] = c, R[p,q] = s·e^{iφ}, R[q,p] = −s·e^{−iφ}, R[q,q] = c. */
function rotate(
  a: Matrix,
  v: Matrix,
  n: number,
  p: number,
  q: number,
  c: number,
  s: number,
  cos: number,
  sin: number,
): void {
  const columns = (m: Matrix) => {
    for (let i = 0; i < n; i++) {
      const [pr, pi, qr, qi] = [m.re[i * n + p], m.im[i * n + p], m.re[i * n + q], m.im[i * n + q]];
      m.re[i * n + p] = c * pr - s * (qr * cos + qi * sin);
      m.im[i * n + p] = c * pi - s * (qi * cos - qr * sin);
      m.re[i * n + q] = c * qr + s * (pr * cos - pi * sin);
      m.im[i * n + q] = c * qi + s * (pi * cos + pr * sin);
    }
  };
  columns(a);
  columns(v);
  for (let i = 0; i < n; i++) {
    const [pr, pi, qr, qi] = [a.re[p * n + i], a.im[p * n + i], a.re[q * n + i], a.im[q * n + i]];
    a.re[p * n + i] = c * pr - s * (qr * cos - qi * sin);
    a.im[p * n + i] = c * pi - s * (qi * cos + qr * sin);
    a.re[q * n + i] = c * qr + s * (pr * cos + pi * sin);
    a.im[q * n + i] = c * qi + s * (pi * cos - pr * sin);
  }
}

/** Iterations of the dual problem: enough for a step that is repeated every epoch. */
const TV_ITERATIONS = 12;

/**
 * Replaces u by the minimum of ½‖v − u‖² + weight·TV(v), TV the sum of the lengths of the gradients of the complex image (isotropic;
 * A. Chambolle, J. Math. Imaging Vis. 20, 89, 2004).
 * @param weight in units of the image
 */
export function smoothTotalVariation(
  { re, im }: ModePlanes,
  { height, width }: { readonly height: number; readonly width: number },
  weight: number,
): void {
  if (!(weight > 0)) return;
  const pixels = height * width;
  // Dual fields: gradients of real and imaginary part along rows and columns, of common length at most 1.
  const dual = Array.from({ length: 4 }, () => new Float32Array(pixels));
  const current = [Float32Array.from(re), Float32Array.from(im)];
  const sources = [re, im];
  const tau = 0.125 / weight;
  for (let iteration = 0; iteration < TV_ITERATIONS; iteration++) {
    for (let r = 0, i = 0; r < height; r++) {
      for (let c = 0; c < width; c++, i++) {
        const down = r + 1 < height ? i + width : i;
        const right = c + 1 < width ? i + 1 : i;
        const g0 = dual[0][i] + tau * (current[0][down] - current[0][i]);
        const g1 = dual[1][i] + tau * (current[0][right] - current[0][i]);
        const g2 = dual[2][i] + tau * (current[1][down] - current[1][i]);
        const g3 = dual[3][i] + tau * (current[1][right] - current[1][i]);
        const length = Math.max(1, Math.sqrt(g0 * g0 + g1 * g1 + g2 * g2 + g3 * g3));
        dual[0][i] = g0 / length;
        dual[1][i] = g1 / length;
        dual[2][i] = g2 / length;
        dual[3][i] = g3 / length;
      }
    }
    for (let part = 0; part < 2; part++) {
      const [dy, dx] = [dual[2 * part], dual[2 * part + 1]];
      for (let r = 0, i = 0; r < height; r++) {
        for (let c = 0; c < width; c++, i++) {
          const divergence =
            (r + 1 < height ? dy[i] : 0) -
            (r > 0 ? dy[i - width] : 0) +
            (c + 1 < width ? dx[i] : 0) -
            (c > 0 ? dx[i - 1] : 0);
          current[part][i] = sources[part][i] + weight * divergence;
        }
      }
    }
  }
  re.set(current[0]);
  im.set(current[1]);
}

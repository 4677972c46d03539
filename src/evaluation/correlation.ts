/** Correlations with means subtracted: a constant image scores 0, whatever its value. */
import type { ComplexTensor } from '../core/tensor.js';

/** Spread below this share of the mean square is rounding, not structure. */
const ROUNDING = 1e-13;

/**
 * Pearson correlation of two real arrays of equal length, −1 … 1; 0 where either is constant.
 * @param mask counts elements where it is not zero
 * @param flatBelow an array whose standard deviation is below this counts as constant (for phases, whose mean is no measure
 * of their rounding)
 */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>, mask?: ArrayLike<number>, flatBelow = 0): number {
  let n = 0;
  let sumA = 0;
  let sumB = 0;
  for (let i = 0; i < a.length; i++) {
    if (mask && !mask[i]) continue;
    n++;
    sumA += a[i];
    sumB += b[i];
  }
  if (n === 0) return 0;
  const meanA = sumA / n;
  const meanB = sumB / n;
  let aa = 0;
  let bb = 0;
  let ab = 0;
  for (let i = 0; i < a.length; i++) {
    if (mask && !mask[i]) continue;
    const da = a[i] - meanA;
    const db = b[i] - meanB;
    aa += da * da;
    bb += db * db;
    ab += da * db;
  }
  const flat = n * flatBelow * flatBelow;
  if (isFlat(aa, n, meanA * meanA) || isFlat(bb, n, meanB * meanB) || aa < flat || bb < flat) return 0;
  return ab / Math.sqrt(aa * bb);
}

/**
 * Modulus of the complex correlation Σ conj(a−ā)(b−b̄) / (‖a−ā‖·‖b−b̄‖), 0 … 1: blind to a common complex factor, 0 where
 * either is constant.
 */
export function complexPearson(
  a: ComplexTensor<Float32Array | Float64Array>,
  b: ComplexTensor<Float32Array | Float64Array>,
  mask?: ArrayLike<number>,
): number {
  const size = a.re.length;
  let n = 0;
  let [ar, ai, br, bi] = [0, 0, 0, 0];
  for (let i = 0; i < size; i++) {
    if (mask && !mask[i]) continue;
    n++;
    ar += a.re[i];
    ai += a.im[i];
    br += b.re[i];
    bi += b.im[i];
  }
  if (n === 0) return 0;
  [ar, ai, br, bi] = [ar / n, ai / n, br / n, bi / n];
  let aa = 0;
  let bb = 0;
  let re = 0;
  let im = 0;
  for (let i = 0; i < size; i++) {
    if (mask && !mask[i]) continue;
    const pr = a.re[i] - ar;
    const pi = a.im[i] - ai;
    const qr = b.re[i] - br;
    const qi = b.im[i] - bi;
    aa += pr * pr + pi * pi;
    bb += qr * qr + qi * qi;
    re += pr * qr + pi * qi;
    im += pr * qi - pi * qr;
  }
  if (isFlat(aa, n, ar * ar + ai * ai) || isFlat(bb, n, br * br + bi * bi)) return 0;
  return Math.hypot(re, im) / Math.sqrt(aa * bb);
}

function isFlat(squares: number, n: number, meanSquared: number): boolean {
  return squares <= ROUNDING * n * meanSquared || squares === 0;
}

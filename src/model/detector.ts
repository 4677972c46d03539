/** From illuminated patches to the detector: the centred orthonormal DFT as two real matrix products. */
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import { type ComplexNode, fromSideBySide, sideBySide } from './complex.js';

/** F[k,n] = exp(−2πi (k−N/2) n / N)/√N, real and imaginary parts. The product is reduced mod N to keep the angle exact. */
function dftMatrix(side: number): { re: Float64Array; im: Float64Array } {
  const re = new Float64Array(side * side);
  const im = new Float64Array(side * side);
  for (let k = 0; k < side; k++) {
    for (let n = 0; n < side; n++) {
      const turn = (((k - side / 2) * n) % side) / side;
      re[k * side + n] = Math.cos(2 * Math.PI * turn) / Math.sqrt(side);
      im[k * side + n] = -Math.sin(2 * Math.PI * turn) / Math.sqrt(side);
    }
  }
  return { re, im };
}

/** The real 2N×2N matrix R with [re | im]·R = [re | im] of z·Fᵀ. */
function rightBlock(side: number): Float32Array {
  const f = dftMatrix(side);
  const out = new Float32Array(4 * side * side);
  for (let n = 0; n < side; n++) {
    for (let k = 0; k < side; k++) {
      const re = f.re[k * side + n];
      const im = f.im[k * side + n];
      out[n * 2 * side + k] = re;
      out[n * 2 * side + side + k] = im;
      out[(side + n) * 2 * side + k] = -im;
      out[(side + n) * 2 * side + side + k] = re;
    }
  }
  return out;
}

/** The real 2N×2N matrix L with L·[re; im] = [re; im] of F·z. */
function leftBlock(side: number): Float32Array {
  const f = dftMatrix(side);
  const out = new Float32Array(4 * side * side);
  for (let k = 0; k < side; k++) {
    for (let n = 0; n < side; n++) {
      const re = f.re[k * side + n];
      const im = f.im[k * side + n];
      out[k * 2 * side + n] = re;
      out[k * 2 * side + side + n] = -im;
      out[(side + k) * 2 * side + n] = im;
      out[(side + k) * 2 * side + side + n] = re;
    }
  }
  return out;
}

/** The detector field F ψ Fᵀ of exit waves ψ [..., N, N]; DC at N/2, Σ|Ψ|² = Σ|ψ|². */
export function detectorField(wave: ComplexNode): ComplexNode {
  const side = wave.re.shape[wave.re.shape.length - 1];
  const right = op.constant(rightBlock(side), [2 * side, 2 * side], 'DFT along rows');
  const left = op.constant(leftBlock(side), [2 * side, 2 * side], 'DFT along columns');
  const rows = fromSideBySide(op.matmul(sideBySide(wave), right));
  const field = op.matmul(left, op.concat([rows.re, rows.im], -2));
  return { re: op.sliceAxis(field, -2, 0, side), im: op.sliceAxis(field, -2, side, side) };
}

/**
 * Blurs the exit wave with the published 3×3 kernel softmax(−k²/(2σ²)), reflecting at the edges (0 disables it).
 */
export function smoothWave(wave: ComplexNode, sigma: number): ComplexNode {
  if (sigma === 0) return wave;
  const side = wave.re.shape[wave.re.shape.length - 1];
  const e = Math.exp(-1 / (2 * sigma * sigma));
  const [outer, inner] = [e / (1 + 2 * e), 1 / (1 + 2 * e)];
  const data = new Float32Array(side * side);
  for (let i = 0; i < side; i++) {
    data[i * side + i] += inner;
    for (const j of [i - 1, i + 1]) {
      const k = j < 0 ? 1 : j >= side ? side - 2 : j;
      data[i * side + k] += outer;
    }
  }
  const g = op.constant(data, [side, side], 'smoothing');
  const gt = op.transposeLast(g);
  const blur = (x: GraphNode) => op.matmul(g, op.matmul(x, gt));
  return { re: blur(wave.re), im: blur(wave.im) };
}

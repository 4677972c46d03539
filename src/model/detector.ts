/** From illuminated patches to the detector: the centred orthonormal DFT as two real matrix products. */
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import { type ComplexNode, fromSideBySide, sideBySide } from './complex.js';

/** F[k,n] = exp(−2πi (k−k₀) n / N)/√N, real and imaginary parts. The product is reduced mod N to keep the angle exact. */
function dftMatrix(side: number, zeroAt: number): { re: Float64Array; im: Float64Array } {
  const re = new Float64Array(side * side);
  const im = new Float64Array(side * side);
  for (let k = 0; k < side; k++) {
    for (let n = 0; n < side; n++) {
      const turn = (((k - zeroAt) * n) % side) / side;
      re[k * side + n] = Math.cos(2 * Math.PI * turn) / Math.sqrt(side);
      im[k * side + n] = -Math.sin(2 * Math.PI * turn) / Math.sqrt(side);
    }
  }
  return { re, im };
}

/**
 * The DFT as real 2N×2N matrices: `left`·[re; im] = [re; im] of F·z, and [re | im]·`right` = [re | im] of z·Fᵀ. One is the
 * other transposed; the inverse has them exchanged where `zeroAt` is 0.
 * @param zeroAt row of frequency 0
 */
export function dftBlocks(side: number, zeroAt: number): { left: Float32Array; right: Float32Array } {
  const f = dftMatrix(side, zeroAt);
  const left = new Float32Array(4 * side * side);
  const right = new Float32Array(4 * side * side);
  const put = (row: number, column: number, value: number) => {
    left[row * 2 * side + column] = value;
    right[column * 2 * side + row] = value;
  };
  for (let k = 0; k < side; k++) {
    for (let n = 0; n < side; n++) {
      const re = f.re[k * side + n];
      const im = f.im[k * side + n];
      put(k, n, re);
      put(k, side + n, -im);
      put(side + k, n, im);
      put(side + k, side + n, re);
    }
  }
  return { left, right };
}

/** The detector field F ψ Fᵀ of exit waves ψ [..., N, N]; DC at N/2, Σ|Ψ|² = Σ|ψ|². */
export function detectorField(wave: ComplexNode): ComplexNode {
  const side = wave.re.shape[wave.re.shape.length - 1];
  const blocks = dftBlocks(side, side / 2);
  const right = op.constant(blocks.right, [2 * side, 2 * side], 'DFT along rows');
  const left = op.constant(blocks.left, [2 * side, 2 * side], 'DFT along columns');
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

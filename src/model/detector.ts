/** From illuminated patches to the detector: the centred orthonormal DFT as two real matrix products. */
import type { ComplexTensor } from '../core/tensor.js';
import { type ComplexNode, fromSideBySide, sideBySide } from '../graph/complex.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';

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

/** The published kernel softmax(−k²/(2σ²)) of three points as a matrix [side, side] on the rows, reflecting at the edges. */
function smoothingMatrix(side: number, sigma: number): Float32Array {
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
  return data;
}

/** Blurs the exit wave along both axes with the published kernel of width `sigma` pixels (0 disables it). */
export function smoothWave(wave: ComplexNode, sigma: number): ComplexNode {
  if (sigma === 0) return wave;
  const side = wave.re.shape[wave.re.shape.length - 1];
  const g = op.constant(smoothingMatrix(side, sigma), [side, side], 'smoothing');
  const gt = op.transposeLast(g);
  const blur = (x: GraphNode) => op.matmul(g, op.matmul(x, gt));
  return { re: blur(wave.re), im: blur(wave.im) };
}

/** {@link smoothWave} on the host, of a probe (N, N) or modes (P, N, N): the exit wave of a constant object. */
export function smoothedProbe({ re, im, shape }: ComplexTensor, sigma: number): ComplexTensor {
  const side = shape[shape.length - 1];
  const g = smoothingMatrix(side, sigma);
  const blur = (x: Float32Array) => {
    const out = new Float32Array(x.length);
    for (let from = 0; from < x.length; from += side * side) {
      const image = x.subarray(from, from + side * side);
      out.set(transposed(product(g, transposed(product(g, image, side), side), side), side), from);
    }
    return out;
  };
  return { re: blur(re), im: blur(im), shape };
}

/** Of square matrices. */
function product(a: Float32Array, b: Float32Array, side: number): Float32Array {
  const out = new Float32Array(side * side);
  for (let i = 0; i < side; i++) {
    for (let k = 0; k < side; k++) {
      const factor = a[i * side + k];
      if (factor === 0) continue;
      for (let j = 0; j < side; j++) out[i * side + j] += factor * b[k * side + j];
    }
  }
  return out;
}

function transposed(a: Float32Array, side: number): Float32Array {
  return a.map((_, i) => a[(i % side) * side + Math.floor(i / side)]);
}
